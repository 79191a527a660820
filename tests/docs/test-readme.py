#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The README shows the examples as they are; it and the guides name only what there is."""
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import unittest

import taprunner

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(sys.argv[1]).resolve()
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDES = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs/guides").glob("*.md"))]
TEXT = "\n".join([README, *GUIDES])
HELLOS = ("hello-breaker", "hello-degradation")
PAGES = ("/prices/1", "/db/read?query=product&id=1", "/db/write", "/metrics", "/health",
         "/degradation", "/circuit-breakers")


def blocks(language, text=TEXT):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def commands(program):
    """The words after that program of every command of the page."""
    found = []
    for block in blocks("sh"):
        for command in re.split(r"\n|&&", block):
            words = shlex.split(command, comments=True)
            if words and words[0] == program:
                found.append(words[1:])
    return found


def run(*command):
    return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=30)


class ReadmeTest(unittest.TestCase):
    def test_hello_programs_are_shown_whole(self):
        for name in HELLOS:
            text = (ROOT / "examples" / f"{name}.c").read_text(encoding="utf-8")
            self.assertIn(text, blocks("c", README), name)
            self.assertLess(text.count("\n"), 60, name)
            self.assertEqual(re.findall("#include .*", text), ["#include <derate.h>"])

    def test_hello_breaker_runs(self):
        ran = run(BUILD / "examples" / "hello-breaker")
        states = re.findall("the breaker is (.*)", ran.stdout)
        self.assertEqual((ran.returncode, states), (0, ["open", "half-open", "closed"]))

    def test_hello_degradation_runs(self):
        ran = run(BUILD / "examples" / "hello-degradation")
        levels = [line.split()[1] for line in ran.stdout.splitlines()]
        self.assertEqual(ran.returncode, 0)
        self.assertEqual(set(levels), {"optimal", "degraded", "limited", "minimal", "emergency"})
        self.assertEqual((levels[0], levels[-1]), ("optimal", "optimal"))

    def test_every_command_is_known(self):
        known = {"./dev", "deratectl", "derated", "curl", "meson", "ninja", "cc",
                 *(f"build/examples/{name}" for name in HELLOS)}
        for block in blocks("sh"):
            for command in re.split(r"\n|&&", block.rstrip("\n")):
                self.assertIn(shlex.split(command, comments=True)[0], known)

    def test_dev_verbs(self):
        text = (ROOT / "dev").read_text(encoding="utf-8")
        verbs = set(re.findall(r"^usage: \./dev (\w+)|^       \./dev (\w+)", text, re.MULTILINE))
        verbs = {verb for pair in verbs for verb in pair if verb}
        self.assertGreater(len(commands("./dev")), 5)
        for words in commands("./dev"):
            self.assertIn(words[0], verbs)
            if words[0] == "backend":
                self.assertIn(words[1], ("stop", "start", "freeze", "thaw", "status"))

    def test_deratectl_verbs(self):
        """Each parses its words, and fails only because there is no program to speak to."""
        used = commands("deratectl") + [words[1:] for words in commands("./dev")
                                        if words[0] == "ctl"]
        self.assertGreater(len(used), 5)
        with tempfile.TemporaryDirectory() as folder:
            for words in used:
                ran = run(BUILD / "tools/deratectl/deratectl", "--address",
                          f"unix:path={folder}/none", *words)
                self.assertIn("no message bus", ran.stderr, words)

    def test_derated_options(self):
        """Each is taken, and only the file is not there."""
        self.assertGreater(len(commands("derated")), 0)
        for words in commands("derated"):
            ran = run(BUILD / "tools/derated/derated", *words)
            self.assertEqual(ran.returncode, 1, ran.stderr)
            self.assertIn(words[words.index("--config") + 1], ran.stderr)

    def test_pages(self):
        for words in commands("curl"):
            self.assertIn("/" + words[0].split("/", 3)[3], PAGES)

    def test_named_files_exist(self):
        for name in re.findall(r"`((?:examples|core|fallbacks|plugins|tools)/[\w./-]*)`", TEXT):
            self.assertTrue((ROOT / name).exists(), name)


if __name__ == "__main__":
    taprunner.main()
