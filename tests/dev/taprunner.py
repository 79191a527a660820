# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs unittest cases and prints TAP."""
import sys
import traceback
import unittest


class TapResult(unittest.TestResult):
    """Prints each case as it ends."""

    def __init__(self):
        super().__init__()
        self.count = 0
        self.half_failed = None  # the case whose parts have failed, so far

    def say(self, word, test, tail=""):
        self.count += 1
        print(f"{word} {self.count} - {test.id().removeprefix('__main__.')}{tail}", flush=True)

    def addSuccess(self, test):
        self.say("ok", test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.say("not ok", test)
        print(self.failures[-1][1], file=sys.stderr)

    def addError(self, test, err):
        super().addError(test, err)
        self.say("not ok", test)
        print(self.errors[-1][1], file=sys.stderr)

    def addSubTest(self, test, subtest, err):
        """One line a case, however many of its parts fail."""
        super().addSubTest(test, subtest, err)
        if err is None:
            return
        if self.half_failed is not test:
            self.say("not ok", test)
        self.half_failed = test
        print(subtest, "".join(traceback.format_exception(*err)), sep="\n", file=sys.stderr)

    def addSkip(self, test, reason):
        self.say("ok", test, f" # SKIP {reason}")


def main():
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
    print(f"1..{suite.countTestCases()}", flush=True)
    result = TapResult()
    suite.run(result)
    sys.exit(0 if result.wasSuccessful() else 1)
