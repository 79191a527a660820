# SPDX-License-Identifier: LGPL-2.1-or-later
"""A terminal of 80 by 24 cells, with a program in it and eyes on it."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pyte

ALTERNATE = "\033[?1049"
CURSOR = "\033[?25"


class Screen:
    """Runs @command in a terminal of its own; lines () is what a person sees of it."""

    def __init__(self, command, env=None, cwd=None, width=80, height=24):
        self.screen = pyte.Screen(width, height)
        self.stream = pyte.Stream(self.screen)
        self.sent = ""  # every character that it was sent
        self.master, terminal = pty.openpty()
        self.set_size(width, height)
        self.before = termios.tcgetattr(terminal)
        self.process = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal,
                                        env=env, cwd=cwd, start_new_session=True,
                                        preexec_fn=self.take_terminal)
        self.terminal = terminal
        self.rest = b""

    @staticmethod
    def take_terminal():
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def set_size(self, width, height):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def resize(self, width, height):
        self.screen.resize(height, width)
        self.set_size(width, height)  # which sends SIGWINCH

    def read(self, seconds):
        """What there is to read within that time; FALSE if nothing came."""
        ready, _, _ = select.select([self.master], [], [], seconds)
        if not ready:
            return False
        data = self.rest + os.read(self.master, 65536)
        text = data.decode(errors="ignore")
        self.rest = data[len(text.encode()):]
        self.sent += text
        self.stream.feed(text)
        return True

    def lines(self):
        return [line.rstrip() for line in self.screen.display]

    def text(self):
        return "\n".join(self.lines()).rstrip()

    def until(self, pattern, seconds=60):
        """Looks on until the screen shows it."""
        end = time.monotonic() + seconds
        while not re.search(pattern, self.text(), re.MULTILINE):
            if time.monotonic() > end:
                raise AssertionError(f"never showed {pattern}:\n{self.text()}")
            self.read(0.1)
        while self.read(0.05):  # the rest of that page
            pass
        return self.text()

    def press(self, key):
        os.write(self.master, key.encode())

    def wait(self):
        """Its exit status, once it has ended by itself; the screen shows the rest of it."""
        while self.process.poll() is None:
            self.read(0.1)
        while self.read(0):
            pass
        return self.process.returncode

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)

    def is_as_before(self):
        """Whether the terminal is as the program found it: modes, screen, cursor."""
        last = {name: self.sent.rfind(name + "l") > self.sent.rfind(name + "h")
                for name in (ALTERNATE, CURSOR)}
        shown = CURSOR not in self.sent or not last[CURSOR]
        own = ALTERNATE in self.sent and not last[ALTERNATE]
        return termios.tcgetattr(self.terminal) == self.before and shown and not own

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.terminal)
        os.close(self.master)
