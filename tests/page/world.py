#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""world.py BUILD: what the page shows, and who injures it, for the test in JavaScript.

Each line of standard input is [COMMAND, ARGUMENT...] in JSON, and is answered by a line in JSON:
{"value": ...} or {"error": TEXT}. At the end of the input everything is taken away.
"""
import contextlib
import json
import os
import signal
import sys
import traceback

sys.dont_write_bytecode = True

import agentworld
import hostworld
from gi.repository import GLib

ADMIN = "org.derate.Derate1.Admin"
MINUTE = 60 * 1000000


class Agent(agentworld.World):
    """The retail agent on real servers."""

    drill_id = None

    def admin(self, method, signature, *arguments):
        return self.call(agentworld.ROOT_PATH, ADMIN, method, GLib.Variant(signature, arguments))[0]

    def hold(self, reason):
        return self.admin("Hold", "(ssssta{sv})", "minimal", "at-least", "ana", reason, 5 * MINUTE,
                          {"bind": GLib.Variant("s", "none")})

    def drill(self, service, reason):
        self.drill_id = self.admin("Drill", "(sa{sv}ta{sv})", service, {"down": GLib.Variant("b", True)}, MINUTE,
                                   {"reason": GLib.Variant("s", reason)})

    def heal(self):
        if self.drill_id is not None:
            self.admin("StopDrill", "(s)", self.drill_id)
            self.drill_id = None
        super().heal()

    def fail_calls(self, number):
        """As users would: what opens a breaker."""
        for _ in range(number):
            self.work_out()
            self.price()

    def stop_agent(self):
        return self.stack.stop_agent()

    def start_agent(self):
        self.stack.start_agent()

    def signal_agent(self, name):
        self.stack.agent.send_signal(signal.Signals[name])


class Shops(hostworld.World):
    """derated with many services, of which some are down."""

    def __init__(self, case, number, bad):
        super().__init__(case)
        up, down = self.door(), self.door()
        down.close()
        case.addCleanup(down.open)
        self.write(*(hostworld.service(f"shop-{i:02}", down if i in bad else up) for i in range(number)))
        self.url = f"http://127.0.0.1:{self.run_with_pages()[1]}/"


class Worlds(contextlib.ExitStack):
    """Both, each made when it is asked for."""

    addCleanup = contextlib.ExitStack.callback

    def agent(self):
        self.world = Agent()
        self.callback(self.world.end)
        return self.world.stack.url + "/"

    def shops(self, number, bad):
        return Shops(self, number, bad).url

    def answer(self, command, *arguments):
        try:
            function = getattr(self, command, None) or getattr(self.world, command)
            return {"value": function(*arguments)}
        except Exception:  # whatever it was, the test is to say it
            return {"error": traceback.format_exc()}


def main():
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    with Worlds() as worlds:
        for line in sys.stdin:
            print(json.dumps(worlds.answer(*json.loads(line))), file=answers)


if __name__ == "__main__":
    main()
