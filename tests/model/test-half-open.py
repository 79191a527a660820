#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""All interleavings of callers around a half-open breaker, by spin: never more permits than allowed,
never a breaker that gives none again. And with a mistake put in, each search must find it."""
import pathlib
import re
import subprocess
import tempfile
import unittest

import taprunner

MODEL = pathlib.Path(__file__).with_name("half-open.pml")
# What is searched for: how the search is compiled, how it is run, and what finds it.
SEARCHES = {
    "permits": ([], ["-DSAFETY"], [], "assertion violated"),
    "wedge": (["-DPROGRESS"], ["-DNP", "-DNFAIR=3"], ["-l", "-f"], "non-progress cycle"),
}
SIZES = {
    "one": ["-DN=3", "-DMAX=1"],
    "two": ["-DN=3", "-DMAX=2"],
    "one_by_rate": ["-DN=3", "-DMAX=1", "-DBY_RATE"],
    "two_by_rate": ["-DN=3", "-DMAX=2", "-DBY_RATE"],
    "one_with_operator": ["-DN=2", "-DMAX=1", "-DOPERATOR"],
    "two_by_rate_with_operator": ["-DN=2", "-DMAX=2", "-DBY_RATE", "-DOPERATOR"],
}
MISTAKES = (
    ("NO_GENERATION", "permits", ("one", "two_by_rate")),
    ("NO_RECHECK", "permits", ("one", "two_by_rate")),
    ("NO_LEASE", "wedge", ("one", "two_by_rate")),
)


class Found:
    """What a search printed."""

    def __init__(self, text):
        self.text = text
        self.errors = int(re.search(r"errors: (\d+)", text)[1])
        self.states = int(re.search(r"(\d+(?:\.\d+)?(?:e\+\d+)?) states, stored", text)[1])
        self.is_whole = not re.search(r"not completed|too small|out of memory", text)


def search(defines, what):
    more, compiled, options, _ = SEARCHES[what]
    with tempfile.TemporaryDirectory(prefix="derate-spin-") as folder:
        def run(*command):
            return subprocess.run(command, cwd=folder, check=True, text=True, timeout=300,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT).stdout

        run("spin", "-a", *defines, *more, str(MODEL))
        run("gcc", "-O1", "-w", "-DCOLLAPSE", *compiled, "-o", "pan", "pan.c")
        return Found(run("./pan", "-m1000000", *options))


class HalfOpen(unittest.TestCase):
    def expect_none(self, size, what):
        found = search(SIZES[size], what)
        self.assertEqual(found.errors, 0, found.text)
        self.assertTrue(found.is_whole, found.text)
        self.assertGreater(found.states, 1000)

    def expect_found(self, mistake, size, what):
        found = search([*SIZES[size], f"-D{mistake}"], what)
        self.assertGreater(found.errors, 0, found.text)
        self.assertIn(SEARCHES[what][3], found.text)


def add_cases():
    for what in SEARCHES:
        for size in SIZES:
            setattr(HalfOpen, f"test_no_{what}_{size}" if what == "wedge"
                    else f"test_{what}_as_allowed_{size}",
                    lambda self, size=size, what=what: self.expect_none(size, what))
    for mistake, what, sizes in MISTAKES:
        for size in sizes:
            setattr(HalfOpen, f"test_mistake_{mistake.lower()}_is_found_{size}",
                    lambda self, mistake=mistake, size=size, what=what:
                    self.expect_found(mistake, size, what))


add_cases()

if __name__ == "__main__":
    taprunner.main()
