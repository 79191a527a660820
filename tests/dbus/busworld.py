# SPDX-License-Identifier: LGPL-2.1-or-later
"""A bus, a program on it and callers, each a process or a connection of its own."""
import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

import gi

gi.require_version("Gio", "2.0")
from gi.repository import Gio, GLib  # noqa: E402

PROGRAM = os.environ["TEST_PROGRAM"]
DERATECTL = os.environ["DERATECTL"]
LIBRARY = os.environ["DERATE_LIBRARY"]
POLICY = os.environ["DERATE_BUS_POLICY"]
NAME = "org.derate.Derate1.shop"
PATH = "/org/derate/Derate1"
MANAGER = "org.derate.Derate1.Manager"
ADMIN = "org.derate.Derate1.Admin"
PROPERTIES = "org.freedesktop.DBus.Properties"
SECOND = 1_000_000
HOUR = 3600 * SECOND
TIMEOUT_MS = 60_000

CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
  </policy>
  {more}
</busconfig>
"""

# As the system's bus has it: nothing but signals and answers goes through unless a rule says so.
STRICT = """<policy context="default">
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_destination="org.freedesktop.DBus"/>
  </policy>
  <include>{policy}</include>"""


def enter_namespace():
    """Without root, be root of a user namespace with more than one uid; otherwise go on as we are."""
    if os.geteuid() == 0 or os.environ.get("DERATE_IN_NAMESPACE"):
        return
    command = ["unshare", "--user", "--map-root-user", "--map-auto"]
    try:
        subprocess.run([*command, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return
    os.environ["DERATE_IN_NAMESPACE"] = "1"
    os.execvp(command[0], [*command, sys.executable, *sys.argv])


class Failed(Exception):
    """A call that was refused: the D-Bus name of the error, and its text."""

    def __init__(self, error):
        self.name = Gio.DBusError.get_remote_error(error) or error.domain
        Gio.DBusError.strip_remote_error(error)
        super().__init__(f"{self.name}: {error.message}")


def connect(address):
    return Gio.DBusConnection.new_for_address_sync(
        address,
        Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
        | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)


def call(connection, method, signature=None, *arguments, interface=ADMIN, name=NAME, path=PATH):
    """Calls a method; gives what it answers, unpacked, without the tuple if it is one thing."""
    parameters = GLib.Variant(signature, arguments) if signature else None
    try:
        reply = connection.call_sync(name, path, interface, method, parameters, None,
                                     Gio.DBusCallFlags.NO_AUTO_START, TIMEOUT_MS, None)
    except GLib.Error as error:
        raise Failed(error) from None
    values = reply.unpack()
    return values[0] if len(values) == 1 else values


def hold(connection, level="minimal", mode="at-least", who="ana", reason="maintenance",
         ttl=60 * SECOND, bind=None, **where):
    options = {} if bind is None else {"bind": GLib.Variant("s", bind)}
    return call(connection, "Hold", "(ssssta{sv})", level, mode, who, reason, ttl, options, **where)


def get(connection, prop, interface=MANAGER, **where):
    return call(connection, "Get", "(ss)", interface, prop, interface=PROPERTIES, **where)


class Listener:
    """Every signal that a connection hears from the program, in order."""

    def __init__(self, connection, name=NAME):
        self.connection = connection
        self.heard = []
        self.watch = connection.signal_subscribe(
            name, None, None, None, None, Gio.DBusSignalFlags.NONE, self.on_signal)
        # The bus answers in order: now it knows of the subscription.
        connection.call_sync("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                             "GetId", None, None, Gio.DBusCallFlags.NONE, -1, None)

    def on_signal(self, _connection, _sender, path, interface, signal_name, parameters):
        self.heard.append((signal_name, path, interface, parameters.unpack()))

    def stop(self):
        self.connection.signal_unsubscribe(self.watch)

    def named(self, signal_name):
        return [entry[3] for entry in self.heard if entry[0] == signal_name]

    def until(self, condition, seconds=60):
        """Runs the loop until @condition () holds."""
        context = GLib.MainContext.default()
        late = []
        timer = GLib.timeout_add_seconds(seconds, late.append, True)
        while not condition() and not late:
            context.iteration(True)
        if not late:
            GLib.source_remove(timer)
        else:
            raise AssertionError(f"not within {seconds} s; heard {self.heard}")


class Program:
    """tests/dbus/test-program.c, which does as it is told."""

    def __init__(self, bus, clock="manual", name="shop", env=None, config=None, log=None):
        """@log: a file for what it logs, all of it."""
        more = {**(env or {}), **({"G_MESSAGES_DEBUG": "Derate"} if log else {})}
        self.process = subprocess.Popen(
            [PROGRAM, bus.address, name, clock, *([config] if config else [])], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=log, bufsize=0, env={**os.environ, **more})
        word, self.bus_name = self.read().split()
        assert word == "ready", word

    def read(self, seconds=20):
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        if not ready:
            raise AssertionError("the program does not answer")
        return self.process.stdout.readline().decode().strip()

    def tell(self, line):
        self.process.stdin.write(line.encode() + b"\n")

    def ask(self, line):
        self.tell(line)
        return self.read()

    def advance(self, usec):
        self.ask(f"advance {usec}")

    def kill(self):
        """Without a word, as in a crash."""
        self.process.kill()
        self.process.wait(timeout=30)
        self.process.stdin.close()
        self.process.stdout.close()

    def quit(self):
        """Ends it, and gives what it exited with: a leak or a critical is not 0."""
        if self.process.poll() is None:
            self.process.stdin.close()
        status = self.process.wait(timeout=30)
        self.process.stdout.close()
        return status


class Bus:
    """A dbus-daemon that others than its user may use as well."""

    def __init__(self, more=""):
        self.folder = tempfile.TemporaryDirectory(prefix="derate-bus-")
        folder = pathlib.Path(self.folder.name)
        folder.chmod(0o755)
        config = folder / "bus.conf"
        config.write_text(CONFIG.format(socket=folder / "bus", more=more), encoding="utf-8")
        self.process = subprocess.Popen(
            ["dbus-daemon", f"--config-file={config}", "--nofork", "--nopidfile",
             "--print-address"], stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().strip()

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=30)
        self.process.stdout.close()
        self.folder.cleanup()


class Stranger:
    """A caller with another uid: a process that calls what it is told and tells what came back."""

    UID = 65534

    def __init__(self, address, groups=()):
        here = pathlib.Path(__file__).parent
        with open(here / "stranger.py", encoding="utf-8") as script:
            code = script.read()
        self.process = subprocess.Popen(
            ["/usr/bin/python3", "-c", code, address], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, user=self.UID, group=self.UID,
            extra_groups=list(groups))
        self.unique_name = json.loads(self.process.stdout.readline())

    def call(self, method, signature="()", *arguments, interface=ADMIN, name=NAME):
        """The answer, or raises AssertionError; see refused ()."""
        answer = self.send(method, signature, arguments, interface, name)
        assert "error" not in answer, answer
        return answer["value"]

    def refused(self, method, signature="()", *arguments, interface=ADMIN, name=NAME):
        """The D-Bus name of the error; None if there was none."""
        return self.send(method, signature, arguments, interface, name).get("error")

    def send(self, method, signature, arguments, interface, name):
        json.dump([name, PATH, interface, method, signature, arguments], self.process.stdin)
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def die(self):
        """Without a word, as in a crash."""
        if self.process.returncode is not None:
            return
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def copy_deratectl(bus):
    """deratectl where everybody may run it: others may not look into the folder of the build."""
    folder = pathlib.Path(bus.folder.name)
    shutil.copy(LIBRARY, folder / "libderate-1.so.0")
    return {"tool": shutil.copy(DERATECTL, folder), "env": {"LD_LIBRARY_PATH": str(folder)},
            "cwd": folder, "user": Stranger.UID, "group": Stranger.UID, "extra_groups": []}


def deratectl(bus, *words, tool=DERATECTL, env=None, **options):
    """Runs the command-line tool; gives its exit status, output and errors."""
    done = subprocess.run([tool, "--address", bus.address, *words], capture_output=True,
                          text=True, timeout=60, check=False,
                          env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})}, **options)
    return done.returncode, done.stdout, done.stderr


class BusTestCase(unittest.TestCase):
    """Each case has a bus and a program of its own."""

    clock = "manual"
    more = ""

    def setUp(self):
        self.bus = Bus(self.more)
        self.addCleanup(self.bus.close)
        self.connection = self.connect()
        listener = Listener(self.connection, None)
        self.program = self.make_program()
        listener.until(lambda: listener.named("LevelChanged"))
        listener.stop()

    def make_program(self, **options):
        program = Program(self.bus, clock=self.clock, **options)
        self.addCleanup(lambda: self.assertEqual(program.quit(), 0, "the program's exit"))
        return program

    def connect(self):
        return connect(self.bus.address)

    def stranger(self, groups=()):
        if os.geteuid() != 0:
            self.fail("another uid needs root or a user namespace with several uids (uidmap)")
        stranger = Stranger(self.bus.address, groups)
        self.addCleanup(stranger.die)
        return stranger

    def assert_refused(self, error, function, *arguments, **options):
        with self.assertRaises(Failed) as caught:
            function(*arguments, **options)
        self.assertEqual(caught.exception.name, error)
        return str(caught.exception)

    def assert_level(self, level):
        self.assertEqual(get(self.connection, "Level"), level)
        self.assertEqual(self.program.ask("level"), level)
