#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""tap.py MESON-LOGS WHAT: counts the cases of the last `meson test`.

Prints what failed and, last, `N passed, N failed`. A skipped case is a failed one: a test that does
not run proves nothing.
"""
import json
import pathlib
import re
import sys

CASE = re.compile(r"(not )?ok\b\s*\d*\s*(?:- )?(.*)")
PLAN = re.compile(r"1\.\.(\d+)\s*(#.*)?")


class Count:
    """Passed cases, and the names of failed ones."""

    def __init__(self):
        self.passed = 0
        self.failed = []

    def add_case(self, test, failed, text):
        name, _, directive = text.partition(" # ")
        if directive.upper().startswith(("SKIP", "TODO")):
            self.failed.append(f"{test}: {name} (skipped: {directive[4:].strip()})")
        elif failed:
            self.failed.append(f"{test}: {name}")
        else:
            self.passed += 1

    def add_tap(self, test, output):
        """Gives whether it was TAP at all."""
        planned = None
        seen = 0
        for line in output.splitlines():
            case = CASE.match(line)
            plan = PLAN.match(line)
            if case:
                seen += 1
                self.add_case(test, bool(case[1]), case[2])
            elif plan:
                planned = int(plan[1])
        if planned is None and seen == 0:
            return False
        if planned == 0:
            self.failed.append(f"{test}: skipped as a whole")
        elif planned is None or planned > seen:
            self.failed.append(f"{test}: ended after {seen} of {planned or '?'} cases")
        return True

    def add(self, result):
        name = result["name"].split(" / ")[-1]
        before = len(self.failed)
        is_tap = self.add_tap(name, result.get("stdout", ""))
        good = result["result"] == "OK"
        if not good and len(self.failed) == before:
            self.failed.append(f"{name}: {result['result']} ({result.get('returncode')})")
        elif good and not is_tap:
            self.passed += 1


def main():
    folder = pathlib.Path(sys.argv[1])
    count = Count()
    for log in folder.glob("testlog*.json"):
        for line in log.read_text(encoding="utf-8").splitlines():
            count.add(json.loads(line))
    for name in count.failed:
        print(f"failed: {name}")
    if count.passed == 0 and not count.failed:
        count.failed.append("no test ran")
        print("failed: no test ran")
    print(f"log: {folder}/testlog*.txt ({sys.argv[2]})")
    print(f"{count.passed} passed, {len(count.failed)} failed")
    sys.exit(1 if count.failed else 0)


if __name__ == "__main__":
    main()
