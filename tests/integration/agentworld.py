# SPDX-License-Identifier: LGPL-2.1-or-later
"""The retail agent on private servers, asked over HTTP and D-Bus, with a password in its URIs."""
import http.client
import json
import pathlib
import sys
import tempfile
import threading
import time

import gi

gi.require_version("Gio", "2.0")
from gi.repository import Gio, GLib

import checkout
import stack
from private_servers import port

checkout.BUILD = pathlib.Path(sys.argv[1])
BUS_NAME = "org.derate.Derate1.retail-agent"
ROOT_PATH = "/org/derate/Derate1"
MANAGER = "org.derate.Derate1.Manager"
PASSWORD = "Planted-Pa55word"
BUDGET = 1
SLOWEST = 1.25 * BUDGET

# Fast where the test would only wait: how fast each is when shipped, the tour shows. And slow where a
# machine that is busy would be late: of its budget the agent gives a quarter to Redis.
OVERRIDES = f"""[derate]
answer-budget={BUDGET}s
recovery-interval=500ms
recovery-hold=500ms
recovery-damping=off
"""
SERVICE = """[service {name}]
check-interval=500ms
breaker-open-duration=10s
"""


class Hiccups(threading.Thread):
    """How long this machine holds up somebody who only wants to look at the clock."""

    def __init__(self):
        super().__init__(daemon=True)
        self.worst = 0
        self.over = threading.Event()

    def run(self):
        while not self.over.is_set():
            begin = time.monotonic()
            self.over.wait(0.005)
            self.worst = max(self.worst, time.monotonic() - begin - 0.005)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_error):
        self.over.set()
        self.join()


class Answer:
    """What came back, and in what time: without what others' processes took of it."""

    def __init__(self, response, body, seconds):
        self.status = response.status
        self.headers = response.headers
        self.text = body.decode()
        self.seconds = seconds

    @property
    def json(self):
        return json.loads(self.text)


class World:
    """The stack and those who look at it."""

    def __init__(self, *agent_words):
        self.folder = tempfile.TemporaryDirectory(prefix="derate-test-")
        self.port = port.take()
        services = "".join(SERVICE.format(name=name)
                           for name in ("database", "redis", "openai", "s3"))
        self.stack = stack.Stack(pathlib.Path(self.folder.name) / "scratch", self.port.number,
                                 OVERRIDES + services, log_to_file=True, agent_words=agent_words)
        self.seen = []
        try:
            self.stack.start_servers()
            self.plant()
            self.stack.start_agent()
            self.bus = Gio.DBusConnection.new_for_address_sync(
                self.stack.bus, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
                | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)
        except BaseException:
            self.end()
            raise

    def plant(self):
        """A password in each URI that may have one; Redis also asks for it."""
        uris = self.stack.servers.uris
        uris["postgresql"] += f"&password={PASSWORD}"
        uris["redis"] = uris["redis"].replace("redis://", f"redis://:{PASSWORD}@")
        uris["openai"] = uris["openai"].replace("http://", f"http://user:{PASSWORD}@")
        self.protect_redis()

    def tell_redis(self, commands, answer):
        number = int(self.stack.servers.uris["redis"].rpartition(":")[2])
        if not port.answers(number, commands.encode(), answer.encode()):
            raise AssertionError(f"Redis does not take {commands!r}")

    def protect_redis(self):
        """It forgets its password, as everything, when it stops."""
        self.tell_redis(f"CONFIG SET requirepass {PASSWORD}\r\n", "+OK")

    def spoil_copy(self, number):
        """What Redis has of a price is then not the agent's."""
        self.tell_redis(f"AUTH {PASSWORD}\r\nSET price:{number} junk\r\n", "+OK\r\n+OK")

    def end(self):
        self.stack.end()
        self.folder.cleanup()

    # HTTP

    def run_delay(self):
        """How long the agent's main thread has waited for a processor, ready to run."""
        try:
            text = pathlib.Path(f"/proc/{self.stack.agent.pid}/schedstat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return 0
        return int(text.split()[1]) / 1e9

    def ask(self, path, method="GET", body=None, timeout=60):
        """Keeps what was seen, for the search for the password."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port.number, timeout=timeout)
        delay = self.run_delay()
        begin = time.monotonic()
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = Answer(response, response.read(), 0)
        finally:
            connection.close()
        answer.took = time.monotonic() - begin
        answer.seconds = answer.took - (self.run_delay() - delay)
        self.seen.append(answer.text)
        return answer

    def metric(self, family, **labels):
        """The sum of the samples that have these labels."""
        found = 0
        for line in self.ask("/metrics").text.splitlines():
            series, _, value = line.rpartition(" ")
            if series.partition("{")[0] == family and all(f'{key}="{text}"' in series
                                                        for key, text in labels.items()):
                found += float(value)
        return found

    def price(self, number=1):
        return self.ask(f"/prices/{number}")

    def work_out(self, item="lamp", price=100):
        return self.ask("/ai/pricing", "POST", json.dumps({"item": item, "price": price}))

    # D-Bus

    def call(self, path, interface, method, arguments=None):
        found = self.bus.call_sync(BUS_NAME, path, interface, method, arguments, None,
                                   Gio.DBusCallFlags.NONE, 60000, None).unpack()
        self.seen.append(repr(found))
        return found

    def dump(self, what):
        return self.call(ROOT_PATH, MANAGER, "Dump", GLib.Variant("(s)", (what,)))[0]

    def look_at_all_objects(self):
        objects = self.call(ROOT_PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")[0]
        for path in (ROOT_PATH, *objects):
            self.call(path, "org.freedesktop.DBus.Introspectable", "Introspect")
        self.call(ROOT_PATH, "org.freedesktop.DBus.Properties", "GetAll",
                  GLib.Variant("(s)", (MANAGER,)))
        self.call(ROOT_PATH, MANAGER, "Explain")
        self.call(ROOT_PATH, MANAGER, "History", GLib.Variant("(u)", (100,)))
        return objects

    def level(self):
        return self.call(ROOT_PATH, "org.freedesktop.DBus.Properties", "Get",
                         GLib.Variant("(ss)", (MANAGER, "Level")))[0]

    def await_level(self, wanted, seconds=60):
        """Hears of the level over D-Bus."""
        context = GLib.MainContext.default()
        heard = []
        subscription = self.bus.signal_subscribe(
            BUS_NAME, MANAGER, "LevelChanged", ROOT_PATH, None, Gio.DBusSignalFlags.NONE,
            lambda *arguments: heard.append(arguments[5].unpack()))
        late = []
        timer = GLib.timeout_add(int(seconds * 1000), lambda: late.append(1) or True)
        try:
            while self.level() != wanted and not late:
                heard.clear()
                while not heard and not late:
                    context.iteration(True)
        finally:
            self.bus.signal_unsubscribe(subscription)
            GLib.source_remove(timer)
        level = self.level()
        if level != wanted:
            raise AssertionError(f"level {level}, not {wanted}, after {seconds} s: "
                                 f"{self.dump('status')}")

    # Injuries

    def injure(self, verb, name):
        self.stack.servers.ask(f"{verb} {name}")

    def heal(self):
        self.call(ROOT_PATH, "org.derate.Derate1.Admin", "ReleaseAll",
                  GLib.Variant("(s)", ("the case ended",)))
        for name in ("postgresql", "redis", "openai", "s3"):
            status = self.stack.servers.ask(f"status {name}").split()[-1]
            if status == "frozen":
                self.injure("thaw", name)
            elif status != "running":
                self.injure("start", name)
                if name == "redis":
                    self.protect_redis()
        self.reset_breakers()
        self.await_level("optimal")
        self.reset_breakers()  # there may have been a last call before

    def reset_breakers(self):
        self.call(ROOT_PATH, "org.derate.Derate1.Admin", "ResetAllBreakers",
                  GLib.Variant("(s)", ("the case ended",)))
