# SPDX-License-Identifier: LGPL-2.1-or-later
"""One private server: how it starts, stops, freezes and thaws."""
import os
import pathlib
import select
import shutil
import signal
import subprocess

from . import port, process
from .process import Failed

ROOT = pathlib.Path(__file__).resolve().parents[3]
START_SECONDS = 60
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "derate",
    "AWS_SECRET_ACCESS_KEY": "derate-example-secret",
    "OPENAI_API_KEY": "derate-example-key",
}


def find_program(name, *folders):
    found = shutil.which(name, path=os.pathsep.join([*folders, os.environ.get("PATH", os.defpath),
                                                     "/usr/sbin", "/usr/bin"]))
    if found is None:
        raise Failed(f"{name} is not installed")
    return found


class Server:
    """A server. A subclass says what to run (`command ()`), where it is (`uri`), and how it shows
    that it is ready."""

    name = "server"
    usual = True  # started where none is named
    stop_signal = signal.SIGKILL

    def __init__(self, scratch, runtime):
        self.folder = scratch / self.name
        self.runtime = runtime
        self.child = None
        self.frozen = False
        self.identity = {}
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def uri(self):
        raise NotImplementedError

    def command(self):
        raise NotImplementedError

    def prepare(self):
        """What must be done once, before the first start."""

    def wait_ready(self):
        raise NotImplementedError

    def environment(self):
        kept = {key: value for key, value in os.environ.items()
                if not key.startswith(("PG", "AWS_", "OPENAI_", "LD_", "ASAN_", "TSAN_", "UBSAN_"))}
        return {**kept, **CREDENTIALS, "PYTHONDONTWRITEBYTECODE": "1"}

    def log_path(self):
        return self.folder / "log"

    def spawn(self, command, **more):
        with open(self.log_path(), "ab") as log:
            options = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, **more}
            return subprocess.Popen(command, env=self.environment(), cwd=self.folder,
                                    preexec_fn=process.die_with_parent(), **self.identity, **options)

    def launch(self):
        self.child = self.spawn(self.command())

    def alive(self):
        return self.child is not None and self.child.poll() is None

    def must_live(self):
        if not self.alive():
            raise Failed(f"{self.name}: ended at once: {self.last_words()}")

    def last_words(self):
        with open(self.log_path(), encoding="utf-8", errors="replace") as log:
            return " / ".join(line.strip() for line in log.readlines()[-3:])

    # What the user may ask for

    def status(self):
        if self.child is None:
            return "stopped"
        if not self.alive():
            return "dead"
        return "frozen" if self.frozen else "running"

    def start(self):
        if not self.alive():
            self.launch()
            self.frozen = False
            self.wait_ready()
        return f"{self.status()} {self.uri}"

    def stop(self):
        if self.alive():
            members = process.family(self.child.pid)
            self.child.send_signal(self.stop_signal)
            process.thaw(self.child.pid)
            self.wait_end(members)
        self.child = None
        self.frozen = False
        return "stopped"

    def wait_end(self, members):
        try:
            self.child.wait(5)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        for pid in members:
            process.send(pid, signal.SIGKILL)
        process.wait_until(lambda: all(process.is_stopped(pid) for pid in members),
                           process.PATIENCE, self.name)

    def promote(self):
        raise Failed(f"{self.name} is no standby")

    def freeze(self):
        if not self.alive():
            raise Failed(f"{self.name} is not running")
        process.freeze(self.child.pid)
        self.frozen = True
        return "frozen"

    def thaw(self):
        if not self.alive():
            raise Failed(f"{self.name} is not running")
        process.thaw(self.child.pid)
        self.frozen = False
        return "running"


class Announcing(Server):
    """A server that says on its standard output that it is ready."""

    def launch(self):
        self.child = self.spawn(self.command(), stdout=subprocess.PIPE)

    def wait_ready(self):
        pipe = self.child.stdout
        if not select.select([pipe], [], [], START_SECONDS)[0]:
            raise Failed(f"{self.name}: not ready within {START_SECONDS} s")
        line = pipe.readline().decode()
        if not line:
            self.child.wait()
            self.must_live()
        self.announced(line.strip())

    def announced(self, line):
        """What the server said."""


class Backend(Announcing):
    """One of our own, under examples/backends."""

    def __init__(self, scratch, runtime):
        super().__init__(scratch, runtime)
        self.port = port.take()

    def command(self):
        program = ROOT / "examples" / "backends" / f"{self.name}-backend"
        return [str(program), "--port", str(self.port.number)]


class S3(Backend):
    """The S3-compatible backend, with one bucket."""

    name = "s3"

    @property
    def uri(self):
        return f"s3://uploads?endpoint=http://127.0.0.1:{self.port.number}&region=us-east-1"

    def command(self):
        return [*super().command(), "--bucket", "uploads", "--folder", str(self.folder / "data")]


class OpenAI(Backend):
    """The OpenAI-compatible backend."""

    name = "openai"

    @property
    def uri(self):
        return f"http://127.0.0.1:{self.port.number}/v1"


class DBus(Announcing):
    """A message bus of our own; anyone on this machine may connect, as on the system's."""

    name = "dbus"
    config = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
  </policy>
</busconfig>
"""

    @property
    def socket(self):
        return self.runtime / "bus"

    @property
    def uri(self):
        return f"unix:path={self.socket}"

    def command(self):
        config = self.folder / "bus.conf"
        config.write_text(self.config.format(socket=self.socket), encoding="utf-8")
        self.socket.unlink(missing_ok=True)
        return [find_program("dbus-daemon"), f"--config-file={config}", "--nofork",
                "--nopidfile", "--print-address"]


class Redis(Server):
    """Redis, which forgets everything when it stops."""

    name = "redis"

    def __init__(self, scratch, runtime):
        super().__init__(scratch, runtime)
        self.port = port.take()

    @property
    def uri(self):
        return f"redis://127.0.0.1:{self.port.number}"

    def launch(self):
        """The package redis-tools has the server under another name, which the server obeys."""
        try:
            program = find_program("redis-server")
        except Failed:
            program = find_program("redis-check-rdb")
        self.child = self.spawn(self.command(), executable=program)

    def command(self):
        return ["redis-server", "--port", str(self.port.number), "--bind", "127.0.0.1",
                "--save", "", "--appendonly", "no", "--daemonize", "no", "--databases", "1",
                "--dir", str(self.folder)]

    def ping(self):
        self.must_live()
        return port.answers(self.port.number, b"PING\r\n", b"+PONG")

    def wait_ready(self):
        process.wait_until(self.ping, START_SECONDS, self.name)
