#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""No secret leaves: planted wherever a program is told one, and looked for wherever it speaks."""
import base64
import http.client
import os
import pathlib
import re
import subprocess
import sys
import unittest
import urllib.parse

sys.dont_write_bytecode = True

import gi

gi.require_version("Gio", "2.0")
from gi.repository import Gio, GLib

import agentworld
import hostworld
import relay
import taprunner
from private_servers.server import CREDENTIALS

BUS_NAMES = {"agent": agentworld.BUS_NAME, "derated": "org.derate.Derate1.shop"}
MANAGER = agentworld.MANAGER
# With what a URI must encode; base 64 of it has no + and no /, which would be one more form.
SECRETS = {kind: f"{kind}-Pa55/w@rd:{kind[::-1]}"
           for kind in ("postgresql", "redis", "openai", "page", "header", "file", "query")}
SECRETS["s3 key"] = CREDENTIALS["AWS_SECRET_ACCESS_KEY"]
SECRETS["openai key"] = CREDENTIALS["OPENAI_API_KEY"]
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
PATHS = ("/metrics", "/health", "/health/live", "/health/ready", "/degradation", "/circuit-breakers",
         "/metrics/circuit-breakers", "/circuit-breaker/status", "/")
VERBS = (("status",), ("status", "--json"), ("list",), ("explain",), ("history",),
         ("breaker", "list"))
# What each must be when its server is so; a page that is open to all cannot be of another opinion.
STATUS = {"whole": "healthy", "refusing": "down", "silent": "down", "denying": "down",
          "telling": "down"}
CHECKS = """check-interval=1s
check-fast-interval=200ms
check-timeout=500ms
check-slow=450ms
check-fall=1
check-rise=1
"""


def quote(text):
    return urllib.parse.quote(text, safe="")


def forms(secret):
    """As it is, as a URI has it, and its part of whatever base 64 it stands in."""
    found = {secret, quote(secret), quote(secret).lower(), quote(secret).replace("%3A", ":")}
    found |= {urllib.parse.quote(secret), urllib.parse.quote(secret, safe="/:@")}
    for shift in range(3):
        coded = base64.b64encode(b"u" * shift + secret.encode() + b"uu").decode()
        begin, end = (8 * shift + 5) // 6, (8 * (shift + len(secret))) // 6
        found.add(coded[begin:end])
        found.add(coded[begin:end].replace("+", "-").replace("/", "_"))
    return found


class Place(agentworld.World):
    """The stack with relays before its servers, and derated beside it at the same ones."""

    def plant(self):
        uris = self.stack.servers.uris
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(uris["postgresql"]).query)
        socket = f"{query['host'][0]}/.s.PGSQL.{query['port'][0]}"
        self.relays = {"postgresql": relay.Relay(socket, relay.postgresql),
                       "page": relay.Relay(relay.page, relay.http)}
        for name in ("redis", "s3", "openai"):
            number = int(re.search(r"127\.0\.0\.1:(\d+)", uris[name]).group(1))
            self.relays[name] = relay.Relay(("127.0.0.1", number),
                                            relay.redis if name == "redis" else relay.http)
            self.tell_password(name, number)
            uris[name] = uris[name].replace(f":{number}", f":{self.relays[name].port.number}")
        ports = {name: one.port.number for name, one in self.relays.items()}
        password = {name: quote(secret) for name, secret in SECRETS.items()}
        uris["postgresql"] = (f"postgresql://derate:{password['postgresql']}@127.0.0.1:"
                              f"{ports['postgresql']}/shop?sslmode=disable")
        uris["redis"] = uris["redis"].replace("redis://", f"redis://:{password['redis']}@")
        uris["openai"] = uris["openai"].replace("http://", f"http://user:{password['openai']}@")
        uris["page"] = (f"http://user:{password['page']}@127.0.0.1:{ports['page']}/"
                        f"?token={password['query']}")

    def tell_password(self, name, number):
        if name == "redis":
            line = f"CONFIG SET requirepass {SECRETS['redis']}\r\n"
            if not agentworld.port.answers(number, line.encode(), b"+OK"):
                raise AssertionError("Redis does not take its password")

    def config(self):
        uris = self.stack.servers.uris
        kept = pathlib.Path(self.folder.name) / "password"
        kept.write_text(SECRETS["file"] + "\n", encoding="utf-8")
        services = "".join(
            f"[service {name}]\nplugin={plugin}\nuri={uris[of]}\n{CHECKS}{more}"
            for name, plugin, of, more in (
                ("postgresql", "postgresql", "postgresql", ""),
                ("redis", "redis", "redis", ""),
                ("s3", "s3", "s3", ""),
                ("openai", "openai", "openai", ""),
                ("page", "http", "page", f"check-header-x-key={SECRETS['header']}\n"),
                ("kept", "http", "kept", f"password-file={kept}\n")))
        path = pathlib.Path(self.folder.name) / "shop.conf"
        path.write_text("[derate]\nname=shop\nrecovery-interval=200ms\nrecovery-hold=0\n"
                        "recovery-damping=off\n[http]\nport=0\ndetails=true\n" + services,
                        encoding="utf-8")
        return path

    def start_host(self, *words, more):
        uris = self.stack.servers.uris
        uris["kept"] = f"http://127.0.0.1:{self.relays['page'].port.number}/kept"
        self.host_log = pathlib.Path(self.folder.name) / "derated.log"
        environment = {**self.stack.agent_environment(), **more}
        with open(self.host_log, "ab") as log:
            self.host = subprocess.Popen(
                [hostworld.DERATED, "--config", str(self.config()), "--address", self.stack.bus,
                 *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
                preexec_fn=hostworld.process.die_with_parent())
        hostworld.wait_until(lambda: self.host_port() is not None, "derated's pages")

    def host_port(self):
        found = re.findall(r"pages at http://127.0.0.1:(\d+)/",
                           self.host_log.read_text(encoding="utf-8", errors="replace"))
        return int(found[-1]) if found else None

    def set_mode(self, mode):
        for one in self.relays.values():
            one.set_mode(mode)

    def end(self):
        if getattr(self, "host", None) is not None:
            self.host.kill()
            self.host.wait()
        for one in getattr(self, "relays", {}).values():
            one.end()
        super().end()

    # What can be seen

    def fetch(self, number, path, accept="*/*"):
        connection = http.client.HTTPConnection("127.0.0.1", number, timeout=60)
        try:
            connection.request("GET", path, headers={"Accept": accept})
            response = connection.getresponse()
            return str(response.headers) + response.read().decode()
        finally:
            connection.close()

    def pages(self, number, services):
        for path in (*PATHS, *(f"/{kind}/{name}" for name in services
                               for kind in ("health", "circuit-breakers"))):
            yield path, self.fetch(number, path)
        yield "OpenMetrics", self.fetch(number, "/metrics", OPENMETRICS)
        connection = http.client.HTTPConnection("127.0.0.1", number, timeout=60)
        connection.request("GET", "/events")
        response = connection.getresponse()
        yield "/events", response.read1(65536).decode()
        connection.close()

    def objects(self, name):
        def call(path, interface, method, arguments=None):
            return repr(self.bus.call_sync(name, path, interface, method, arguments, None,
                                           Gio.DBusCallFlags.NONE, 60000, None).unpack())

        root = agentworld.ROOT_PATH
        yield "GetManagedObjects", call(root, "org.freedesktop.DBus.ObjectManager",
                                        "GetManagedObjects")
        yield "GetAll", call(root, "org.freedesktop.DBus.Properties", "GetAll",
                             GLib.Variant("(s)", (MANAGER,)))
        yield "Explain", call(root, MANAGER, "Explain")
        yield "History", call(root, MANAGER, "History", GLib.Variant("(u)", (100,)))
        for what in ("status", "breakers", "health"):
            yield f"Dump {what}", call(root, MANAGER, "Dump", GLib.Variant("(s)", (what,)))

    def command_lines(self, name, config):
        program = name.rpartition(".")[2]
        for words in VERBS:
            yield " ".join(words), self.deratectl("--name", program, *words)
        for verb in ("check-config", "print-rules"):
            yield verb, self.deratectl(verb, str(config))
        yield "check-config --json", self.deratectl("check-config", str(config), "--json")

    def deratectl(self, *words):
        done = subprocess.run([hostworld.DERATECTL, "--address", self.stack.bus, *words],
                              capture_output=True, text=True, timeout=20, check=False,
                              env=self.stack.agent_environment())
        return done.stdout + done.stderr

    def logs(self):
        yield "agent", (self.stack.folder / "log").read_text(encoding="utf-8")
        yield "derated", self.host_log.read_text(encoding="utf-8")

    def everything(self):
        """(where, text) of all that the two programs show."""
        for name, number, services, config in (
                ("agent", self.port.number, ("database", "redis", "openai", "s3"),
                 self.stack.config),
                ("derated", self.host_port(), ("postgresql", "redis", "openai", "s3", "page", "kept"),
                 pathlib.Path(self.folder.name) / "shop.conf")):
            for where, text in (*self.pages(number, services), *self.objects(BUS_NAMES[name]),
                                *self.command_lines(BUS_NAMES[name], config)):
                yield f"{name}: {where}", text
        for where, text in self.logs():
            yield f"log of {where}", text


# Nobody waits for checks that are as seldom as elsewhere.
agentworld.SERVICE = "[service {name}]\n" + CHECKS + "breaker-open-duration=500ms\n"


class Forms(unittest.TestCase):
    def test_each_is_found(self):
        """The search finds what it is for."""
        for secret in SECRETS.values():
            for text in (f"x{secret}y", f"?password={quote(secret)}&",
                         base64.b64encode(f"user:{secret}".encode()).decode(),
                         base64.b64encode(f":{secret}".encode()).decode(),
                         base64.b64encode(secret.encode()).decode()):
                self.assertTrue(any(form in text for form in forms(secret)), text)


class SecretsTest(unittest.TestCase):
    arguments = ()
    environment = {"G_MESSAGES_DEBUG": "", "DERATE_DEBUG": ""}

    @classmethod
    def setUpClass(cls):
        os.environ.update(cls.environment)
        cls.world = Place(*cls.arguments)
        cls.world.start_host(*cls.arguments, more={})
        cls.monitors = [subprocess.Popen(
            [hostworld.DERATECTL, "--address", cls.world.stack.bus, "--name", name, "monitor"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            preexec_fn=hostworld.process.die_with_parent()) for name in ("shop", "retail-agent")]

    @classmethod
    def tearDownClass(cls):
        for monitor in cls.monitors:
            monitor.kill()
            monitor.wait()
            monitor.stdout.close()
        cls.world.end()

    def await_status(self, mode):
        def arrived():
            for number, services in ((self.world.host_port(), 6), (self.world.port.number, 4)):
                page = hostworld.load(self.world.fetch(number, "/degradation").partition("\n\n")[2])
                found = [one["status"] for one in page["services"].values()]
                if len(found) != services or any(one != STATUS[mode] for one in found):
                    return False
            return True
        hostworld.wait_until(arrived, f"all services {STATUS[mode]}, servers {mode}")

    def use_agent(self):
        """Calls, not checks alone."""
        world = self.world
        world.price()
        world.work_out()
        world.ask("/uploads/x", "POST", "x")
        world.ask("/ai/analyze-invoice", "POST", '{"invoice_text":"x"}')

    def search(self, places):
        for where, text in places:
            self.assertNotEqual(text, "", where)
            for name, secret in SECRETS.items():
                for form in forms(secret):
                    self.assertNotIn(form, text, f"{where} shows the secret of {name}")

    def test_nowhere(self):
        """From whole to each, so that what is seen is of this injury and not of the last one."""
        for mode in relay.MODES:
            self.world.set_mode("whole")
            self.await_status("whole")
            self.world.set_mode(mode)
            self.use_agent()
            self.await_status(mode)
            with self.subTest(mode=mode):
                self.search(self.world.everything())
        with self.subTest("monitor"):
            self.search(self.read_monitors())
        self.search((("an answer", text) for text in self.world.seen if text))
        self.check_logs()

    def read_monitors(self):
        for monitor in self.monitors:
            monitor.terminate()
            yield "monitor", monitor.communicate()[0]

    def check_logs(self):
        """They were not searched in vain."""
        for _where, text in self.world.logs():
            self.assertIn("redis", text)


class SecretsInJson(SecretsTest):
    arguments = ("--log-json",)
    environment = {"G_MESSAGES_DEBUG": "all", "DERATE_DEBUG": "all"}

    def check_logs(self):
        for where, text in self.world.logs():
            lines = [hostworld.load(line) for line in text.splitlines() if line.startswith('{"')]
            self.assertIn("service_status_changed", [line["event"] for line in lines], where)


if __name__ == "__main__":
    taprunner.main()
