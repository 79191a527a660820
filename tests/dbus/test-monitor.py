# SPDX-License-Identifier: LGPL-2.1-or-later
"""deratectl monitor: a line an event, in the order in which they happen."""
import json
import os
import signal
import subprocess
import time

import busworld
from busworld import SECOND, GLib, call, hold

import taprunner


class Monitor(busworld.BusTestCase):
    clock = "system"  # what is left of a hold is by the clock on the wall

    def follow(self, *words, **options):
        process = subprocess.Popen(
            [busworld.DERATECTL, "--address", self.bus.address, "monitor", *words],
            stdout=subprocess.PIPE, text=True, env={**os.environ, "LC_ALL": "C.UTF-8"},
            **options)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def start(self):
        """Past the first line, and with the state of everything known."""
        process = self.follow("--json")
        first = self.next(process)
        self.assertEqual((first["event"], first["name"], first["there"], first["level"]),
                         ("program", "shop", True, "optimal"))
        self.let_it_know(process)
        return process

    def let_it_know(self, process):
        """Until the state of everything is known: what is asked first is answered first."""
        ident = hold(self.connection, level="optimal")
        call(self.connection, "Release", "(s)", ident)
        while "over" not in process.stdout.readline():
            pass

    def next(self, process):
        event = json.loads(process.stdout.readline())
        self.assertLess(abs(event["time"] - time.time()), 60)
        return event

    def take(self, process, *kinds):
        """The next events, one of each of those kinds, by kind."""
        events = [self.next(process) for _ in kinds]
        self.assertEqual(sorted(event["event"] for event in events), sorted(kinds))
        return {event["event"]: event for event in events}

    def assert_members(self, told, **members):
        self.assertEqual({key: told[key] for key in members}, members)

    def test_level_service_and_breaker(self):
        process = self.start()
        self.program.ask("fail s3 3")
        events = self.take(process, "level", "service", "breaker")
        self.assert_members(events["level"], **{"from": "optimal", "to": "degraded"},
                            rule="dependency-down", computed="degraded", inputs={"s3": "down"},
                            hold=None)
        self.assert_members(events["service"], **{"from": "healthy", "to": "down"}, name="s3",
                            cause="breaker-open")
        self.assert_members(events["breaker"], **{"from": "closed", "to": "open"}, name="s3",
                            mode_from="normal", mode_to="normal")

    def test_a_breaker_s_mode(self):
        process = self.start()
        call(self.connection, "SetBreakerMode", "(ssst)", "s3", "metrics-only", "test", 60 * SECOND)
        self.assert_members(self.next(process), **{"from": "closed", "to": "closed"}, name="s3",
                            event="breaker", mode_from="normal", mode_to="metrics-only")

    def test_holds_are_taken_renewed_and_over(self):
        process = self.start()
        ident = hold(self.connection, reason="für später")
        events = self.take(process, "hold", "level")
        self.assert_members(events["hold"], id=ident, change="taken", level="minimal",
                            mode="at-least", who="ana", reason="für später", uid=os.geteuid())
        self.assertAlmostEqual(events["hold"]["remaining_seconds"], 60, delta=50)
        self.assert_members(events["level"], **{"from": "optimal", "to": "minimal"}, rule="hold",
                            hold=ident)
        call(self.connection, "Renew", "(st)", ident, 300 * SECOND)
        self.assert_members(self.next(process), event="hold", id=ident, change="renewed")
        call(self.connection, "Release", "(s)", ident)
        self.assert_members(self.next(process), event="hold", id=ident, change="over")

    def test_drills_begin_and_are_over(self):
        process = self.start()
        ident = call(self.connection, "Drill", "(sa{sv}ta{sv})", "s3",
                     {"latency": GLib.Variant("t", SECOND // 2)}, 60 * SECOND,
                     {"reason": GLib.Variant("s", "rehearsal")})
        event = self.next(process)
        self.assert_members(event, event="drill", id=ident, change="begun", service="s3",
                            fault="latency", latency_seconds=0.5, rate=0, limit="minimal",
                            reason="rehearsal", uid=os.geteuid())
        self.assertAlmostEqual(event["remaining_seconds"], 60, delta=50)
        call(self.connection, "StopDrill", "(s)", ident)
        self.assert_members(self.next(process), event="drill", id=ident, change="over", service="s3")

    def test_services_that_come(self):
        process = self.start()
        self.program.ask("service till")
        events = self.take(process, "service", "breaker")
        self.assert_members(events["service"], **{"from": None, "to": "healthy"}, name="till")
        self.assert_members(events["breaker"], **{"from": None, "to": "closed"}, name="till")

    def test_it_goes_on_when_the_program_is_back(self):
        process = self.start()
        hold(self.connection)
        self.take(process, "hold", "level")
        self.program.ask("fail s3 3")
        self.take(process, "service", "breaker")
        self.program.ask("stop")
        self.assert_members(self.next(process), event="program", name="shop", there=False, level=None)
        self.program.quit()
        self.program = self.make_program()
        wanted = {("hold", "over", None), ("service", "down", "healthy"), ("program", None, None),
                  ("breaker", "open", "closed")}
        while wanted:  # redis, which has to be checked first, may be unknown in between
            event = self.next(process)
            self.assertIn(event.get("name", "shop"), ("shop", "s3", "redis"))
            wanted.discard((event["event"], event.get("from") or event.get("change"),
                            event.get("to")))
        self.program.ask("fail database 3")
        while self.next(process).get("name") != "database":
            pass

    def test_in_words(self):
        process = self.follow()
        self.assertRegex(process.stdout.readline(), r"^\d\d:\d\d:\d\d  program  shop there, optimal$")
        self.let_it_know(process)
        self.program.ask("fail s3 3")
        lines = sorted(process.stdout.readline()[10:] for _ in range(3))
        self.assertEqual(lines, ["breaker  s3 open, was closed\n",
                                 "level    degraded, was optimal  (dependency-down: s3 down)\n",
                                 "service  s3 down, was healthy  (breaker-open)\n"])
        ident = hold(self.connection, reason="one\n\033[2Jtwo", bind="caller", ttl=0)
        line = process.stdout.readline()[10:]
        self.assertEqual(line, f"hold     {ident} at least minimal while its owner stays, by ana "
                               f"(uid {os.geteuid()}): one ?[2Jtwo\n")
        self.assertEqual(process.stdout.readline()[10:],
                         f"level    minimal, was degraded  (hold {ident})\n")
        call(self.connection, "SetBreakerMode", "(ssst)", "s3", "forced-open", "test", 60 * SECOND)
        self.assertEqual(process.stdout.readline()[10:],
                         "breaker  s3 mode forced-open, was normal\n")
        ident = call(self.connection, "Drill", "(sa{sv}ta{sv})", "s3",
                     {"latency": GLib.Variant("t", 2 * SECOND)}, 60 * SECOND,
                     {"reason": GLib.Variant("s", "rehearsal")})
        self.assertRegex(process.stdout.readline()[10:],
                         rf"^drill    {ident} s3 calls begin 2s later for (1m 0s|\d+s), at worst minimal, "
                         rf"by .+ \(uid {os.geteuid()}\): rehearsal\n$")
        call(self.connection, "StopDrill", "(s)", ident)
        self.assertEqual(process.stdout.readline()[10:], f"drill    {ident} over\n")
        self.program.ask("stop")
        self.assertEqual(process.stdout.readline()[10:], "program  shop gone\n")

    def test_a_program_that_is_stuck_is_asked_again(self):
        self.program.process.send_signal(signal.SIGSTOP)
        try:
            process = self.follow("--json", stderr=subprocess.PIPE)
            self.addCleanup(process.stderr.close)
            self.assertRegex(process.stderr.readline(), "^deratectl: Timeout")
        finally:
            self.program.process.send_signal(signal.SIGCONT)
        self.assert_members(self.next(process), event="program", there=True, level="optimal")
        self.let_it_know(process)
        self.program.ask("fail s3 3")
        self.take(process, "level", "service", "breaker")

    def test_it_ends_when_told_to(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            process = self.follow()
            process.stdout.readline()
            process.send_signal(number)
            self.assertEqual(process.wait(timeout=30), 0)

    def test_it_ends_with_the_bus(self):
        process = self.start()
        self.program.ask("stop")
        self.bus.process.kill()
        self.assertEqual(process.wait(timeout=30), 1)

    def test_no_such_program(self):
        code, _, errors = busworld.deratectl(self.bus, "--name", "till", "monitor")
        self.assertEqual(code, 3, errors)


if __name__ == "__main__":
    taprunner.main()
