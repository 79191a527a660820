# SPDX-License-Identifier: LGPL-2.1-or-later
"""What bash, zsh and fish offer for deratectl, and what deratectl tells them."""
import os
import pathlib
import signal
import subprocess
import tempfile
import time

import busworld
from busworld import hold
from screen import Screen

import taprunner

COMPLETIONS = pathlib.Path(os.environ["COMPLETIONS"])
LEVELS = ["optimal", "degraded", "limited", "minimal", "emergency"]
MODES = ["normal", "disabled", "metrics-only", "forced-open"]
SERVICES = ["database", "openai", "redis", "s3"]
GLOBALS = ["--address", "--help", "--name", "--session", "--system"]

# What is typed up to the key, and what is offered; {id} is the hold's.
TABLE = [
    ("sta", ["status"]),
    ("s", ["service", "status"]),
    ("status --", [*GLOBALS, "--json", "--watch"]),
    ("status ", ["--json", "--watch"]),
    ("bogus ", []),
    ("breaker ", ["close", "list", "mode", "reset", "trip"]),
    ("--session breaker re", ["reset"]),
    ("breaker trip ", SERVICES),
    ("breaker trip --reason why re", ["redis"]),
    ("breaker mode s3 ", MODES),
    ("breaker mode s3 metrics-only --f", ["--for"]),
    ("service check d", ["database"]),
    ("drill ", SERVICES),
    ("drill redis --limit m", ["minimal"]),
    ("hold ", LEVELS),
    ("hold --reason --exact m", ["minimal"]),
    ("hold --exact m", ["minimal"]),
    ("release ", ["{id}"]),
    ("--name ", ["shop"]),
    ("status -n s", ["shop"]),
    ("--name till service check ", []),
]


class Completion(busworld.BusTestCase):
    def setUp(self):
        super().setUp()
        self.ident = hold(self.connection)
        folder = tempfile.TemporaryDirectory(prefix="derate-completion-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "bin").mkdir()
        (self.folder / "bin" / "deratectl").symlink_to(busworld.DERATECTL)
        (self.folder / "shop.conf").touch()
        self.env = {**os.environ, "DBUS_SESSION_BUS_ADDRESS": self.bus.address, "LC_ALL": "C.UTF-8",
                    "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent", "HOME": folder.name,
                    "TERM": "xterm", "PATH": f"{folder.name}/bin:{os.environ['PATH']}"}

    def run_words(self, *command):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False,
                              env=self.env, cwd=self.folder, stdin=subprocess.DEVNULL)
        self.assertEqual((done.returncode, done.stderr), (0, ""), command)
        return done.stdout.splitlines()

    def complete(self, *words):
        return [line.partition("\t")[0] for line in self.run_words("deratectl", "complete", *words)]

    def check_table(self, offered):
        for typed, expected in TABLE:
            with self.subTest(typed=typed):
                self.assertEqual(sorted(offered(typed)),
                                 sorted(word.format(id=self.ident) for word in expected))

    def shell(self, *command):
        screen = Screen(command, env=self.env, cwd=self.folder)
        self.addCleanup(screen.close)
        return screen


class Asked(Completion):
    """The verb that the shells ask."""

    def test_table(self):
        self.check_table(lambda typed: self.complete(*typed.split(" ")))

    def test_values_behind_an_equals_sign(self):
        self.assertEqual(self.complete("--name=s"), ["--name=shop"])
        self.assertEqual(self.complete("--name", "=", "s"), ["shop"])
        self.assertEqual(self.complete("--name", "="), ["shop"])
        self.assertEqual(self.complete("--name=till", "service", "check", ""), [])

    def test_files_and_commands(self):
        self.assertEqual(self.complete("check-config", ""), [":file"])
        self.assertEqual(self.complete("hold", "minimal", "--reason", "x", "--", ""), [":command"])
        self.assertEqual(self.complete("hold", "minimal", "--", "ls", "-"), [":file"])

    def test_descriptions(self):
        self.program.ask("fail s3 3")
        self.assertIn("s3\tdown", self.run_words("deratectl", "complete", "service", "check", ""))
        self.assertEqual(self.run_words("deratectl", "complete", "release", ""),
                         [f"{self.ident}\tminimal, by ana: maintenance"])

    def test_no_bus_and_no_program_say_nothing(self):
        self.program.ask("stop")
        self.assertEqual(self.complete("service", "check", ""), [])
        self.assertEqual(self.complete("--address", "unix:path=/nonexistent", "--name", ""), [])

    def test_a_program_that_is_stuck_does_not_keep_the_shell(self):
        self.program.process.send_signal(signal.SIGSTOP)
        try:
            before = time.monotonic()
            self.assertEqual(self.complete("service", "check", ""), [])
            # D-Bus itself gives up after 25 s.
            self.assertLess(time.monotonic() - before, 20)
        finally:
            self.program.process.send_signal(signal.SIGCONT)


class Bash(Completion):
    SCRIPT = COMPLETIONS / "deratectl.bash"

    def offered(self, typed):
        words = typed.split(" ")
        return self.run_words(
            "bash", "--norc", "-c", 'source "$1"; shift; COMP_WORDS=(deratectl "$@"); COMP_CWORD=$#;'
            '_deratectl deratectl "${COMP_WORDS[COMP_CWORD]}"; [ ${#COMPREPLY[@]} = 0 ] ||'
            'printf "%s\\n" "${COMPREPLY[@]}"', "bash", str(self.SCRIPT), *words)

    def test_table(self):
        self.check_table(self.offered)

    def test_keys(self):
        screen = self.shell("bash", "--norc", "--noprofile", "-i")
        screen.press(f"source {self.SCRIPT}; PS1='$ '; clear\r")
        screen.until(r"\A\$ *$")
        for keys, shown in (("deratectl sta\t", "deratectl status"),
                            ("--wa\t", "deratectl status --watch"),
                            ("\x15deratectl --name=\t", "--name=shop"),
                            ("service check r\t", "--name=shop service check redis"),
                            ("\x15deratectl check-config sh\t", "check-config shop.conf"),
                            ("\x15deratectl hold minimal -- derate\t", "-- deratectl")):
            screen.press(keys)
            screen.until(rf"{shown} *$")


class Zsh(Completion):
    def test_keys(self):
        screen = self.shell("zsh", "-f", "-i")
        screen.press(f"fpath=({COMPLETIONS} $fpath); autoload -Uz compinit; compinit -u -D; "
                     "PS1='$ '; setopt no_list_beep; clear\r")
        screen.until(r"\A\$ *$")
        for keys, shown in (("deratectl sta\t", r"\$ deratectl status *$"),
                            ("--wa\t", r"\$ deratectl status --watch *$"),
                            ("\x15deratectl breaker mode s3 met\t", r"mode s3 metrics-only *$"),
                            ("\x15deratectl --name=s\t", r"--name=shop *$"),
                            ("\x15deratectl release \t", rf"release {self.ident} *$"),
                            ("\x15deratectl check-config sh\t", r"check-config shop\.conf *$"),
                            ("\x15deratectl hold minimal -- deratec\t", r"-- deratectl *$"),
                            ("\x15deratectl service check \t", r"^database +openai +redis +s3 +-- healthy$")):
            screen.press(keys)
            screen.until(shown)


class Fish(Completion):
    SCRIPT = COMPLETIONS / "deratectl.fish"

    def offered(self, typed):
        lines = self.run_words("fish", "--no-config", "-c", 'source $argv[1]; complete -C $argv[2]',
                               str(self.SCRIPT), f"deratectl {typed}")
        return [line.partition("\t")[0] for line in lines]

    def test_table(self):
        self.check_table(self.offered)

    def test_files_and_commands(self):
        self.assertEqual(self.offered("check-config sh"), ["shop.conf"])
        self.assertEqual(self.offered("hold minimal -- deratec"), ["deratectl"])


if __name__ == "__main__":
    taprunner.main()
