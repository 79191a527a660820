# SPDX-License-Identifier: LGPL-2.1-or-later
"""derated as its users have it: told by a configuration, heard on systemd's socket, bus and pages."""
import http.client
import json
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import tempfile
import threading
import time

from private_servers import port, process

DERATED = os.environ["DERATED"]
DERATECTL = os.environ["DERATECTL"]
PATIENCE = 60  # seconds for what must happen
# Nothing is slow on a machine that is busy with something else.
CHECKS = """check-interval=100ms
check-fast-interval=100ms
check-timeout=10s
check-slow=9s
check-fall=1
check-rise=1
"""
BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={path}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow own="*"/>
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
  </policy>
</busconfig>
"""


class Door:
    """A port at which a service stands, or not."""

    def __init__(self):
        self.port = port.take()
        self.socket = None
        self.open()

    @property
    def uri(self):
        return f"tcp://127.0.0.1:{self.port.number}"

    def open(self):
        self.socket = socket.create_server(("127.0.0.1", self.port.number), backlog=128)
        threading.Thread(target=self.serve, args=(self.socket,), daemon=True).start()

    @staticmethod
    def serve(listener):
        while True:
            try:
                listener.accept()[0].close()
            except OSError:
                return

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


class Ear:
    """What systemd would hear."""

    def __init__(self, address):
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address.replace("@", "\0", 1) if address[0] == "@" else address)
        self.heard = []

    def next(self, seconds):
        """The next message as a list of lines; None when there is none in that time."""
        if not select.select([self.socket], [], [], seconds)[0]:
            return None
        lines = self.socket.recv(4096).decode().split("\n")
        self.heard += lines
        return lines

    def until(self, wanted, seconds=PATIENCE):
        """Waits for a line that matches; gives the lines heard until then."""
        end = time.monotonic() + seconds
        lines = []
        while time.monotonic() < end:
            lines += self.next(max(end - time.monotonic(), 0)) or []
            if any(re.fullmatch(wanted, line) for line in lines):
                return lines
        raise AssertionError(f"not heard within {seconds} s: {wanted}; heard {lines}")

    def close(self):
        self.socket.close()


class Host:
    """One run of derated."""

    def __init__(self, world, *words, env=None):
        self.log = open(world.folder / "derated.log", "ab+")
        self.begin = self.log.seek(0, os.SEEK_END)
        self.process = subprocess.Popen(
            [DERATED, *words], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            cwd=world.folder, env={**os.environ, **(env or {})},
            preexec_fn=process.die_with_parent())

    def said(self):
        self.log.seek(self.begin)
        return self.log.read().decode()

    def until_said(self, wanted, seconds=PATIENCE):
        """Gives what matched; the last, where there are several."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = re.findall(wanted, self.said())
            if found:
                return found[-1]
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        raise AssertionError(f"not said within {seconds} s: {wanted}; said {self.said()}")

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, seconds=PATIENCE):
        return self.process.wait(seconds)

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.log.close()


class World:
    """A folder, a bus and doors, for one case."""

    def __init__(self, case):
        self.case = case
        folder = tempfile.TemporaryDirectory(prefix="derate-test-")
        case.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.config = self.folder / "shop.conf"
        self.daemon = None

    def door(self):
        door = Door()
        self.case.addCleanup(door.close)
        return door

    def ear(self, address=None):
        ear = Ear(address or str(self.folder / "notify"))
        self.case.addCleanup(ear.close)
        return ear

    def bus(self):
        """The address of a message bus, which `daemon` runs."""
        path = self.folder / "bus"
        config = self.folder / "bus.conf"
        config.write_text(BUS.format(path=path), encoding="utf-8")
        daemon = subprocess.Popen(
            ["dbus-daemon", f"--config-file={config}", "--nofork", "--nopidfile",
             "--print-address"], stdout=subprocess.PIPE, text=True,
            preexec_fn=process.die_with_parent())
        self.case.addCleanup(daemon.stdout.close)
        self.case.addCleanup(daemon.wait)
        self.case.addCleanup(daemon.kill)
        self.daemon = daemon
        return daemon.stdout.readline().strip()

    def write(self, *groups):
        text = "[derate]\nname=shop\nrecovery-interval=200ms\nrecovery-hold=0\n"
        self.config.write_text(text + "recovery-damping=off\n" + "".join(groups), encoding="utf-8")

    def run(self, *words, ear=None, env=None):
        """derated with the configuration, heard by @ear."""
        more = {"NOTIFY_SOCKET": ear.address} if ear else {}
        host = Host(self, "--config", str(self.config), *words, env={**more, **(env or {})})
        self.case.addCleanup(host.end)
        return host

    def run_with_pages(self, *words, **more):
        """The same, with the pages on a port that is free; gives that too."""
        host = self.run("--http", "127.0.0.1:0", *words, **more)
        return host, int(host.until_said(r"pages at http://127.0.0.1:(\d+)/"))


def service(name, door, more=""):
    return f"[service {name}]\nplugin=tcp\nuri={door.uri}\nrole=cache\n{CHECKS}{more}"


def ask(number, path, host="127.0.0.1"):
    """Gives status and body."""
    connection = http.client.HTTPConnection(host, number, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def deratectl(address, *words):
    return subprocess.run([DERATECTL, "--address", address, *words], capture_output=True, text=True,
                          timeout=PATIENCE, check=False)


def wait_until(condition, what, seconds=PATIENCE):
    process.wait_until(condition, seconds, what)


def load(text):
    return json.loads(text)


END_SIGNALS = (signal.SIGTERM, signal.SIGINT)
