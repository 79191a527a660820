#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""test-behaviours.py PROGRAM...: each number of behaviours.tsv has a case in one of those test
programs, or a reason not to."""
import csv
import pathlib
import re
import subprocess
import sys
import unittest

import taprunner

LAST = {"behaviour": 65, "trap": 27}
CASE = re.compile(r"/(\w+)/(behaviour|trap)/(\d\d)-[^ ]+")
PROGRAMS = sys.argv[1:]


def read_table():
    path = pathlib.Path(__file__).with_name("behaviours.tsv")
    lines = [line for line in path.read_text(encoding="utf-8").splitlines()
             if not line.startswith("#")]
    return list(csv.DictReader(lines, delimiter="\t", restval="", quoting=csv.QUOTE_NONE))


def numbers_of(row):
    first, _, last = row["numbers"].partition("-")
    return range(int(first), int(last or first) + 1)


def missing_of(row):
    """Why a room has no case, by room."""
    return dict(part.split(": ", 1) for part in row["missing"].split(" | ") if part)


def list_cases():
    """(room, kind, number) of each case."""
    found = set()
    for program in PROGRAMS:
        lines = subprocess.run([program, "-l"], check=True, capture_output=True, text=True)
        for line in lines.stdout.splitlines():
            case = CASE.fullmatch(line)
            if case:
                found.add((case[1], case[2], int(case[3])))
    return found


class Behaviours(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.table = read_table()
        cls.cases = list_cases()

    def test_table_is_complete(self):
        for kind, last in LAST.items():
            numbers = [n for row in self.table if row["kind"] == kind for n in numbers_of(row)]
            self.assertEqual(numbers, list(range(1, last + 1)))

    def test_titles(self):
        titles = [row["title"] for row in self.table]
        self.assertEqual(len(set(titles)), len(titles))
        self.assertTrue(all(len(title) > 15 for title in titles))

    def test_each_number_has_a_case_or_a_reason(self):
        wrong = []
        for row in self.table:
            missing = missing_of(row)
            wrong += [f"{row['kind']} {row['numbers']}: no such room: {room}"
                      for room in missing if room not in row["rooms"].split(",")]
            for room in row["rooms"].split(","):
                has = any((room, row["kind"], number) in self.cases for number in numbers_of(row))
                if has == (len(missing.get(room, "")) > 10):
                    wrong.append(f"{row['kind']} {row['numbers']}, {room}: "
                                 + ("has cases, and a reason to have none" if has
                                    else "neither a case nor a reason"))
        self.assertEqual(wrong, [])

    def test_each_case_has_a_number(self):
        known = {(room, row["kind"], number) for row in self.table
                 for room in row["rooms"].split(",") for number in numbers_of(row)}
        self.assertEqual(sorted(self.cases - known), [])


if __name__ == "__main__":
    taprunner.main()
