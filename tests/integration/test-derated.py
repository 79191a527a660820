#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""derated: what it tells systemd, the bus and who reads its pages, from its start to its end."""
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import unittest

sys.dont_write_bytecode = True

import hostworld
import taprunner
from hostworld import ask, deratectl, load, service, wait_until

READY = "READY=1"
STATUS = "STATUS=Level "
PASSWORD = "Planted-Pa55word"
UNIT = pathlib.Path(os.environ["DERATED_UNIT"])
EXAMPLE = pathlib.Path(os.environ["DERATED_EXAMPLE"])


class HostCase(unittest.TestCase):
    def setUp(self):
        self.world = hostworld.World(self)


class Systemd(HostCase):
    """What is told on NOTIFY_SOCKET."""

    def follow(self, ear):
        """From the start over an outage to the end."""
        door = self.world.door()
        self.world.write(service("redis", door))
        host = self.world.run(ear=ear)
        lines = ear.until(READY)
        self.assertIn(STATUS + "optimal, all-well", lines)
        self.assertEqual([line for line in lines if line.startswith("STOPPING")], [])
        door.close()
        ear.until(STATUS + "degraded, dependency-down: redis down")
        door.open()
        ear.until(STATUS + "optimal, all-well")
        host.signal(signal.SIGTERM)
        ear.until("STOPPING=1")
        self.assertEqual(host.wait(), 0, host.said())
        return host

    def test_ready_status_stopping(self):
        self.follow(self.world.ear())

    def test_abstract_socket(self):
        self.follow(self.world.ear(f"@derate-test-{os.getpid()}"))

    def test_a_reader_that_does_not_read_holds_nothing_up(self):
        ear = self.world.ear()
        door = self.world.door()
        self.world.write(service("redis", door))
        filler = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.addCleanup(filler.close)
        with self.assertRaises(BlockingIOError):
            while True:
                filler.sendto(b"X=1", ear.address)
        host, port = self.world.run_with_pages(ear=ear)
        host.until_said("ready, level optimal")
        self.assertEqual(ask(port, "/health/ready")[0], 200)
        lines = ear.until(READY)
        self.assertIn(STATUS + "optimal, all-well", lines)

    def test_without_systemd(self):
        self.world.write(service("redis", self.world.door()))
        host = self.world.run(env={"NOTIFY_SOCKET": ""})
        host.until_said("ready, level optimal")

    def test_a_wrong_socket_is_refused(self):
        self.world.write()
        host = self.world.run(env={"NOTIFY_SOCKET": "relative"})
        self.assertEqual(host.wait(), 1)
        self.assertIn("NOTIFY_SOCKET=relative", host.said())


class Watchdog(HostCase):
    """The loop of derated is stopped by a check that only tests can load."""

    SECONDS = 2

    def setUp(self):
        super().setUp()
        self.stall = self.world.folder / "stall"
        self.ear = self.world.ear()
        self.door = self.world.door()
        self.world.write(service("redis", self.door),
                         f"[service loop]\nplugin=stall\nuri={self.stall}\n"
                         "check-interval=100ms\ncheck-timeout=100ms\ncheck-fall=1\n"
                         "criticality=low\n")

    def run_watched(self, **more):
        host = self.world.run(ear=self.ear, env={"WATCHDOG_USEC": str(self.SECONDS * 1000000),
                                                 **more})
        self.ear.until(READY)
        return host

    def pings_within(self, seconds):
        end = time.monotonic() + seconds
        pings = 0
        while time.monotonic() < end:
            lines = self.ear.next(max(end - time.monotonic(), 0)) or []
            pings += lines.count("WATCHDOG=1")
        return pings

    def test_it_is_fed_twice_in_its_time(self):
        """Who fed it once would take at least twice as long; a busy machine may, but not always."""
        self.run_watched()
        self.ear.until("WATCHDOG=1")
        for _ in range(10):
            begin = time.monotonic()
            for _ in range(2):
                self.ear.until("WATCHDOG=1")
            took = time.monotonic() - begin
            if took < 2 * self.SECONDS:
                break
        self.assertLess(took, 2 * self.SECONDS)
        self.assertGreater(took, self.SECONDS / 4)

    def test_behaviour_29_a_stuck_loop_does_not_feed_it(self):
        host = self.run_watched()
        self.stall.touch()
        stalled = self.world.folder / "stall-now"
        wait_until(stalled.exists, "the loop's end")
        # After what was under way, and what the loop's age allows still.
        wait_until(lambda: self.pings_within(2 * self.SECONDS) == 0, "silence")
        self.assertIsNone(host.process.poll())
        # The rest lives: the level is told by the monitor's thread.
        self.door.close()
        self.ear.until(STATUS + ".*redis down.*")
        self.door.open()
        self.stall.unlink()
        self.ear.until("WATCHDOG=1")
        host.signal(signal.SIGTERM)
        self.assertEqual(host.wait(), 0, host.said())

    def test_another_process_is_watched(self):
        self.run_watched(WATCHDOG_PID="1")
        self.assertEqual(self.pings_within(2 * self.SECONDS), 0)


class Reload(HostCase):
    """HUP."""

    def setUp(self):
        super().setUp()
        self.ear = self.world.ear()
        self.door = self.world.door()

    def test_a_good_file(self):
        self.world.write(service("redis", self.door))
        host, port = self.world.run_with_pages(ear=self.ear)
        self.ear.until(READY)
        before = time.monotonic()
        self.world.write(service("redis", self.door), service("other", self.door))
        host.signal(signal.SIGHUP)
        lines = self.ear.until(READY)
        self.assertEqual(lines[0], "RELOADING=1")
        usec = int(re.fullmatch(r"MONOTONIC_USEC=(\d+)", lines[1]).group(1))
        self.assertTrue(before <= usec / 1e6 <= time.monotonic())
        host.until_said("read again: service other added")
        self.assertEqual(set(load(ask(port, "/degradation")[1])["services"]), {"redis", "other"})

    def test_a_bad_file_changes_nothing(self):
        self.world.write(service("redis", self.door))
        host, port = self.world.run_with_pages(ear=self.ear)
        self.ear.until(READY)
        self.world.write(service("redis", self.door), service("other", self.door, "check-everything=1\n"))
        host.signal(signal.SIGHUP)
        lines = self.ear.until(READY)
        self.assertIn(STATUS + "optimal, all-well (the last reload was refused)", lines)
        text = host.until_said("the old configuration goes on: (.*)")
        for part in ("shop.conf", "[service other]", "check-everything=1"):
            self.assertIn(part, text)
        self.assertEqual(set(load(ask(port, "/degradation")[1])["services"]), {"redis"})
        # And the old one does go on.
        self.door.close()
        self.ear.until(STATUS + "degraded, dependency-down: redis down.*")
        self.door.open()

    def test_the_pages_move(self):
        numbers = [hostworld.port.take() for _ in range(2)]
        taken = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(taken.close)

        def write(number, more=""):
            self.world.write(service("redis", self.door), f"[http]\nport={number}\n{more}")

        write(numbers[0].number)
        host = self.world.run(ear=self.ear)
        self.ear.until(READY)
        self.assertEqual(ask(numbers[0].number, "/health/ready")[0], 200)
        write(numbers[1].number, "prefix=/ops\n")
        host.signal(signal.SIGHUP)
        self.ear.until(READY)
        self.assertEqual(ask(numbers[1].number, "/ops/health/ready")[0], 200)
        with self.assertRaises(ConnectionRefusedError):
            ask(numbers[0].number, "/health/ready")
        write(taken.getsockname()[1])
        host.signal(signal.SIGHUP)
        self.ear.until(READY)
        host.until_said("the pages stay where they were")
        self.assertEqual(ask(numbers[1].number, "/ops/health/ready")[0], 200)
        write(numbers[1].number, "metrics=false\n")
        host.signal(signal.SIGHUP)
        self.ear.until(READY)
        self.assertEqual(ask(numbers[1].number, "/metrics")[0], 404)
        self.assertEqual(ask(numbers[1].number, "/health/ready")[0], 200)
        self.world.write(service("redis", self.door))
        host.signal(signal.SIGHUP)
        self.ear.until(READY)
        with self.assertRaises(ConnectionRefusedError):
            ask(numbers[1].number, "/health/ready")

    def test_over_dbus(self):
        """An operator's reload moves the pages as HUP does."""
        address = self.world.bus()
        number = hostworld.port.take()
        self.world.write(service("redis", self.door))
        host = self.world.run("--address", address, ear=self.ear)
        self.ear.until(READY)
        host.until_said("on the bus as org.derate.Derate1.shop")
        self.world.write(service("redis", self.door), f"[http]\nport={number.number}\n")
        subprocess.run(["gdbus", "call", "--address", address, "--dest", "org.derate.Derate1.shop",
                        "--object-path", "/org/derate/Derate1", "--method",
                        "org.derate.Derate1.Admin.Reload"], check=True, capture_output=True,
                       timeout=hostworld.PATIENCE)
        self.assertEqual(ask(number.number, "/health/ready")[0], 200)

    def test_many_at_once(self):
        self.world.write(service("redis", self.door))
        host, port = self.world.run_with_pages(ear=self.ear)
        self.ear.until(READY)
        for _ in range(200):
            host.signal(signal.SIGHUP)
        wait_until(lambda: ask(port, "/health/ready")[0] == 200, "an answer", hostworld.PATIENCE)
        host.signal(signal.SIGTERM)
        self.assertEqual(host.wait(), 0, host.said())


class Bus(HostCase):
    def test_an_operator_sees_and_holds(self):
        address = self.world.bus()
        ear = self.world.ear()
        self.world.write(service("redis", self.world.door()))
        host = self.world.run("--address", address, ear=ear)
        ear.until(READY)
        host.until_said("on the bus as org.derate.Derate1.shop")
        status = deratectl(address, "status", "--json")
        self.assertEqual(status.returncode, 0, status.stderr)
        self.assertEqual(load(status.stdout)["level"], "optimal")
        held = deratectl(address, "hold", "minimal", "--reason", "moving", "--for", "1m")
        self.assertEqual(held.returncode, 0, held.stderr)
        ear.until(STATUS + "minimal, hold")
        self.assertEqual(deratectl(address, "release", "--all").returncode, 0)
        host.signal(signal.SIGTERM)
        self.assertEqual(host.wait(), 0, host.said())

    def test_no_bus_is_no_start(self):
        self.world.write()
        host = self.world.run("--address", f"unix:path={self.world.folder}/nowhere")
        self.assertEqual(host.wait(), 1)
        self.assertIn("no message bus: ", host.said())

    def test_the_end_of_the_bus_is_not_ours(self):
        address = self.world.bus()
        self.world.write(service("redis", self.world.door()))
        host, port = self.world.run_with_pages("--address", address)
        host.until_said("on the bus as")
        self.world.daemon.kill()
        host.until_said("no longer on the bus")
        self.assertEqual(ask(port, "/health/ready")[0], 200)


class End(HostCase):
    def test_readiness_falls_before_the_end(self):
        for number in hostworld.END_SIGNALS:
            self.world.write(service("redis", self.world.door()))
            host, port = self.world.run_with_pages()
            wait_until(lambda: ask(port, "/health/ready")[0] == 200, "readiness")
            host.signal(number)
            wait_until(lambda: ask(port, "/health/ready")[0] == 503, "the 503")
            self.assertEqual(ask(port, "/health/live")[0], 200)
            self.assertEqual(host.wait(), 0, host.said())

    def test_told_twice_it_ends_at_once(self):
        self.world.write(service("redis", self.world.door()))
        host, _port = self.world.run_with_pages()
        host.until_said("ready, level")
        host.signal(signal.SIGTERM)
        host.until_said("ending")
        host.signal(signal.SIGTERM)
        self.assertEqual(host.wait(), 0, host.said())
        self.assertIn("ending at once", host.said())

    def test_before_it_is_ready(self):
        """A silent service: the first sweep takes its time."""
        silent = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(silent.close)
        self.world.write(f"[service silent]\nplugin=http\n"
                         f"uri=http://127.0.0.1:{silent.getsockname()[1]}/\n")
        ear = self.world.ear()
        host, _port = self.world.run_with_pages(ear=ear)
        ear.until("STATUS=Looking at the services")
        host.signal(signal.SIGTERM)
        lines = ear.until("STOPPING=1")
        self.assertNotIn(READY, lines)
        self.assertEqual(host.wait(), 0, host.said())

    def test_a_crash_leaves_nothing(self):
        address = self.world.bus()
        state = self.world.folder / "state"
        state.mkdir()
        self.world.write(service("redis", self.world.door()), "[http]\nport=0\n")
        before = sorted(path.name for path in self.world.folder.iterdir())
        host = self.world.run("--address", address, env={"STATE_DIRECTORY": str(state)})
        port = int(host.until_said(r"pages at http://127.0.0.1:(\d+)/"))
        host.until_said("on the bus as org.derate.Derate1.shop")
        self.assertEqual(deratectl(address, "hold", "limited", "--reason", "x", "--for",
                                   "1h").returncode, 0)
        host.signal(signal.SIGKILL)
        self.assertEqual(host.wait(), -signal.SIGKILL)
        after = sorted(path.name for path in self.world.folder.iterdir())
        self.assertEqual(set(after) - set(before), {"derated.log"})
        with self.assertRaises(ConnectionRefusedError):
            ask(port, "/health")
        # The name is free, and what an operator held is still held.
        again = self.world.run("--address", address, env={"STATE_DIRECTORY": str(state)})
        again.until_said("ready, level limited")
        again.until_said("on the bus as org.derate.Derate1.shop\n")


class CommandLine(HostCase):
    def say(self, *words):
        done = subprocess.run([hostworld.DERATED, *words], capture_output=True, text=True,
                              timeout=hostworld.PATIENCE, check=False, cwd=self.world.folder)
        return done.returncode, done.stdout + done.stderr

    def test_usage(self):
        self.world.write()
        config = str(self.world.config)
        for words, part in (((), "--config is missing"),
                            (("--nonsense",), "--nonsense"),
                            (("--config", config, "more"), "nothing but options"),
                            (("--config", config, "--session", "--system"), "exclude"),
                            (("--config", config, "--system", "--address", "a"), "exclude"),
                            (("--config", config, "--http", "8080"), "HOST:PORT"),
                            (("--config", config, "--http", "::1:80"), "[HOST]:PORT"),
                            (("--config", config, "--http", "web.example:80"), "an IP address"),
                            (("--config", config, "--http", "127.0.0.1:65536"), "HOST:PORT"),
                            (("--config", config, "--http", "[::1]"), "HOST:PORT")):
            with self.subTest(words=words):
                status, text = self.say(*words)
                self.assertEqual(status, 2, text)
                self.assertIn(part, text)

    def test_version(self):
        status, text = self.say("--version")
        self.assertEqual(status, 0)
        self.assertRegex(text, r"^derated \d+\.\d+\.\d+\n$")

    def test_check(self):
        config = str(self.world.config)
        self.world.write("[service web]\nplugin=http\nuri=http://127.0.0.1:1/\n")
        self.assertEqual(self.say("--check", "--config", config),
                         (0, f"{config}: good; 1 services\n"))
        self.world.write("[service web]\nplugin=http\nuri=http://127.0.0.1:1/\ncheck-status=ok\n")
        status, text = self.say("--check", "--config", config)
        self.assertEqual(status, 1)
        for part in (config, "[service web]", "check-status=ok"):
            self.assertIn(part, text)
        self.assertEqual(self.say("--check", "--config", "nowhere.conf")[0], 1)

    def test_the_example_is_good(self):
        status, text = self.say("--check", "--config", str(EXAMPLE))
        self.assertEqual(status, 0, text)
        self.assertIn("good; 3 services", text)

    def test_ipv6(self):
        self.world.write()
        host = self.world.run("--http", "[::1]:0")
        port = int(host.until_said(r"pages at http://\[::1\]:(\d+)/"))
        self.assertEqual(ask(port, "/health/live", "::1")[0], 200)


class JsonLog(HostCase):
    def test_an_event_is_a_line(self):
        door = hostworld.Door()
        self.world.write(service("redis", door))
        host = self.world.run("--log-json")
        host.until_said("ready, level optimal")
        door.close()
        host.until_said('"event":"service_status_changed".*"state":"down"')
        lines = [load(line) for line in host.said().splitlines() if line.startswith("{")]
        event = next(line for line in lines if line["event"] == "service_status_changed"
                     and line.get("state") == "down")
        self.assertEqual((event["component"], event["cause"], event["priority"]),
                         ("redis", "refused", 4))
        self.assertRegex(event["timestamp"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertIn("degradation_level_changed", [line["event"] for line in lines])


class Debug(HostCase):
    def test_it_says_why(self):
        door = hostworld.Door()
        self.world.write(service("redis", door))
        more = pathlib.Path(f"{self.world.config}.d") / "more.conf"
        more.parent.mkdir()
        more.write_text("[service redis]\ncheck-rise=2\n")
        host = self.world.run(env={"DERATE_DEBUG": "all"})
        host.until_said("ready, level optimal")
        door.close()
        for what in (rf"config: \[service redis\] plugin: {self.world.config}, line \d+",
                     rf"config: \[service redis\] check-rise: {more}, line 2",
                     r"plugin: tcp is \S+/libderate-plugin-tcp\.so",
                     r"health: service redis: healthy after \d",
                     r"health: service redis: down after .*refused",
                     r"level: degraded: .*; rule dependency-down, redis down"):
            host.until_said(what)

    def test_an_unknown_word_is_refused(self):
        self.world.write()
        host = self.world.run(env={"DERATE_DEBUG": "brekaer"})
        self.assertEqual(host.wait(), 1)
        self.assertIn("environment variable DERATE_DEBUG: “brekaer”", host.said())


class Secrets(HostCase):
    def test_no_password_is_shown(self):
        address = self.world.bus()
        ear = self.world.ear()
        door = self.world.door()
        closed = hostworld.port.take().number
        self.world.write(
            f"[service web]\nplugin=http\nuri=http://user:{PASSWORD}@127.0.0.1:{closed}/\n"
            f"check-header-x-key={PASSWORD}\n",
            f"[service mute]\nplugin=tcp\nuri={door.uri}\ncheck-send={PASSWORD}\n"
            "check-expect=hello\n",
            "[http]\nport=0\ndetails=true\n")
        host = self.world.run("--address", address, ear=ear, env={"DERATE_DEBUG": "all"})
        port = int(host.until_said(r"pages at http://127.0.0.1:(\d+)/"))
        ear.until(READY)
        host.until_said("on the bus as org.derate.Derate1.shop")
        seen = [ask(port, path)[1] for path in ("/metrics", "/health", "/degradation", "/health/web",
                                                "/health/mute", "/circuit-breakers")]
        for words in (("status",), ("status", "--json"), ("explain",), ("history",), ("list",)):
            done = deratectl(address, *words)
            seen += [done.stdout, done.stderr]
        text = self.world.config.read_text(encoding="utf-8")
        self.world.config.write_text(text.replace("http://user", "ftp://user"), encoding="utf-8")
        host.signal(signal.SIGHUP)
        host.until_said("the old configuration goes on")
        host.signal(signal.SIGTERM)
        ear.until("STOPPING=1")
        self.assertEqual(host.wait(), 0, host.said())
        everything = "\n".join([*seen, host.said(), *ear.heard])
        self.assertIn("web", everything)
        self.assertNotIn(PASSWORD, everything)
        self.assertNotIn("dXNlcj", everything)  # of “user:” in base 64


class Unit(HostCase):
    """The unit of systemd. Its own tool looks at it where there is one."""

    def setUp(self):
        super().setUp()
        self.text = UNIT.read_text(encoding="utf-8")

    def values(self, key):
        return re.findall(rf"^{key}=(.*)$", self.text, re.MULTILINE)

    def test_what_it_says(self):
        """Also where there is no systemd."""
        self.assertIn(self.values("Type"), (["notify"], ["notify-reload"]))
        self.assertEqual(self.values("ExecReload") == [], self.values("Type") == ["notify-reload"])
        for key, value in (("DynamicUser", "yes"), ("NoNewPrivileges", "yes"),
                           ("ProtectSystem", "strict"), ("CapabilityBoundingSet", ""),
                           ("StateDirectory", "derate/%i"), ("WatchdogSec", "30s")):
            self.assertEqual(self.values(key), [value])
        self.assertNotIn("@", self.values("ExecStart")[0])
        self.assertNotRegex(self.text, r"@[a-z_]+@")

    def installed(self):
        """The unit with the program of this build."""
        unit = self.world.folder / "derated@shop.service"
        unit.write_text(re.sub("^ExecStart=[^ ]+", f"ExecStart={hostworld.DERATED}", self.text,
                               flags=re.MULTILINE), encoding="utf-8")
        return unit

    def analyze(self, *words):
        tool = shutil.which("systemd-analyze")
        if tool is None:
            return None
        done = subprocess.run([tool, *words, str(self.installed())], capture_output=True, text=True,
                              timeout=60, check=False, env={**os.environ, "LC_ALL": "C"})
        return done.returncode, done.stdout + done.stderr

    def test_systemd_knows_every_word(self):
        found = self.analyze("verify", "--man=no", "--recursive-errors=no")
        if found is not None:
            self.assertNotIn("derated@shop.service", found[1])

    def test_little_is_exposed(self):
        found = self.analyze("security", "--offline=yes", "--no-pager")
        if found is not None:
            exposure = float(re.search(r"exposure level for [^:]*: ([\d.]+)", found[1]).group(1))
            self.assertLessEqual(exposure, 2.0)


if __name__ == "__main__":
    taprunner.main()
