#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs private servers under a scratch folder.

  servers.py serve --scratch DIR [--control] [NAME ...]
                               postgresql redis s3 openai dbus, which are all started when none is
                               named, apache, and standby, which follows postgresql

Prints `NAME ready URI` for each, then `ready`. The keys that the backends ask for are written to
DIR/environment. Then takes commands, one a line, on standard input and, with --control, on the unix
socket that `control ready PATH` names:

  stop|start|freeze|thaw|status|promote NAME    answered by `ok NAME ...` or `error ...`

Ends everything, and removes what it made, at the end of standard input and on TERM, INT and HUP.

Two processes do this. The first only waits; the second has the servers. Each cleans up when the
other is killed, so kill -9 of either leaves nothing behind, not even a frozen PostgreSQL.
"""
import sys

sys.dont_write_bytecode = True

import argparse
import os
import pathlib
import selectors
import shutil
import signal
import socket
import tempfile

from private_servers import KINDS, process, remove_shared_memory
from private_servers.process import Failed
from private_servers.server import CREDENTIALS

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
COMMANDS = ("stop", "start", "freeze", "thaw", "status", "promote")


class Ended(BaseException):
    """Somebody asked for the end."""


def raise_ended(number, _frame):
    for each in ENDING:
        signal.signal(each, signal.SIG_IGN)
    raise Ended(number)


class Peer:
    """Somebody who gives commands: a pair of file descriptors."""

    def __init__(self, source, sink, is_input):
        self.source = source
        self.sink = sink
        self.is_input = is_input
        self.buffer = b""

    def read(self):
        """Gives the next whole lines, or None at the end."""
        try:
            data = os.read(self.source, 4096)
        except ConnectionError:
            data = b""
        if not data:
            return None
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        return [line.decode(errors="replace").split() for line in lines]

    def write(self, text):
        try:
            os.write(self.sink, text.encode() + b"\n")
        except (BrokenPipeError, ConnectionError):
            pass


class Servers:
    """The servers, and those who give them commands."""

    def __init__(self, names, scratch, runtime, control):
        self.selector = selectors.DefaultSelector()
        self.servers = {name: KINDS[name](scratch, runtime) for name in names}
        if "standby" in names:
            self.servers["standby"].follow(self.servers["postgresql"])
        if control:
            self.listen(runtime / "control")
        text = "".join(f"{key}={value}\n" for key, value in CREDENTIALS.items())
        (scratch / "environment").write_text(text, encoding="utf-8")

    def listen(self, control):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(control))
        control.chmod(0o600)
        self.listener.listen()
        self.selector.register(self.listener, selectors.EVENT_READ, None)
        print(f"control ready {control}", flush=True)

    def start(self):
        """PostgreSQL's cluster takes the longest to make; the others start meanwhile. A standby is
        a copy of one that answers."""
        standby = [self.servers[name] for name in ("standby",) if name in self.servers]
        others = [server for server in self.servers.values() if server not in standby]
        self.start_all(sorted(others, key=lambda each: each.name == "postgresql"))
        self.start_all(standby)
        print("ready", flush=True)

    @staticmethod
    def start_all(servers):
        for server in servers:
            server.prepare()
            server.launch()
        for server in servers:
            server.wait_ready()
            print(f"{server.name} ready {server.uri}", flush=True)

    def answer(self, words):
        if len(words) != 2 or words[0] not in COMMANDS:
            return f"error usage: {'|'.join(COMMANDS)} NAME"
        if words[1] not in self.servers:
            return f"error no such server: {words[1]}"
        try:
            return f"ok {words[1]} {getattr(self.servers[words[1]], words[0])()}"
        except (Failed, OSError) as error:
            return f"error {error}"

    def accept(self):
        connection = self.listener.accept()[0]
        peer = Peer(connection.fileno(), connection.fileno(), False)
        peer.connection = connection
        self.selector.register(connection, selectors.EVENT_READ, peer)

    def hear(self, key):
        """Gives False at the end of standard input."""
        peer = key.data
        lines = peer.read()
        for words in lines or []:
            peer.write(self.answer(words))
        if lines is None and not peer.is_input:
            self.selector.unregister(peer.connection)
            peer.connection.close()
        return lines is not None or not peer.is_input

    def run(self):
        self.start()
        self.selector.register(0, selectors.EVENT_READ, Peer(0, 1, True))
        while True:
            for key, _events in self.selector.select():
                if key.data is None:
                    self.accept()
                elif not self.hear(key):
                    return


class Scratch:
    """The folders, and what of them was not there before.

    `runtime` is short, as the path of a unix socket must be, and may be entered by all."""

    def __init__(self, path, names):
        self.path = pathlib.Path(path).absolute()
        self.made = [] if self.path.exists() else [self.path]
        self.path.mkdir(parents=True, exist_ok=True)
        self.runtime = pathlib.Path(tempfile.mkdtemp(prefix="derate-"))
        self.runtime.chmod(0o755)
        self.made += [self.path / name for name in names if not (self.path / name).exists()]
        self.made += [self.path / "environment", self.runtime]

    def remove(self):
        for folder in (self.path, self.runtime):
            remove_shared_memory(folder)
        for path in self.made:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def serve(names, scratch, control):
    """The second process. Gives its exit status."""
    try:
        for number in ENDING:
            signal.signal(number, raise_ended)
        process.adopt_orphans()
        Servers(names, scratch.path, scratch.runtime, control).run()
        return 0
    except (Failed, OSError) as error:
        print(f"servers.py: {error}", file=sys.stderr)
        return 1
    except Ended:
        return 0
    finally:
        for number in ENDING:
            signal.signal(number, signal.SIG_IGN)
        process.kill_descendants()
        scratch.remove()


def watch(child, scratch):
    """The first process: hands signals on; cleans up when the second was killed."""
    for number in ENDING:
        signal.signal(number, lambda number, _frame: process.send(child, number))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    process.kill_descendants()
    scratch.remove()
    return max(status, 1) if status else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["serve"])
    parser.add_argument("--scratch", required=True)
    parser.add_argument("--control", action="store_true")
    parser.add_argument("names", nargs="*", default=[])
    options = parser.parse_intermixed_args()
    names = options.names or [name for name, kind in KINDS.items() if kind.usual]
    unknown = [name for name in names if name not in KINDS]
    if unknown:
        parser.error(f"no such server: {unknown[0]}")
    if "standby" in names and "postgresql" not in names:
        parser.error("standby follows postgresql, which is not named")
    scratch = Scratch(options.scratch, names)
    process.adopt_orphans()
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    ask = process.die_with_parent(signal.SIGTERM)
    child = os.fork()
    if child == 0:
        ask()
        os.setsid()
        os._exit(serve(names, scratch, options.control))
    sys.exit(watch(child, scratch))


if __name__ == "__main__":
    main()
