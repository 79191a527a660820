#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""test-behaviours.py TABLE PROGRAM|SOURCE...: each number of the table has a case in one of those
test programs, or in the source of one that cannot be asked without its servers, or a reason not
to."""
import csv
import pathlib
import re
import subprocess
import sys
import unittest

import taprunner

NUMBERS = {
    "behaviours.tsv": {"behaviour": range(1, 66), "trap": range(1, 28)},
    "behaviours-levels.tsv": {
        "behaviour": [1, 3, 4, 6, 7, 8, 11, 12, 13, 14, 15, 17, 19, 20, 22, 23, 25, 26, 28, 29, 30,
                      32, 33, 35, 46, 47],
        "trap": range(1, 6),
        "ahead": [1, 2, 4, 5, 6, 7, 8, 11, 12, 13]},
    "behaviours-metrics.tsv": {"behaviour": [35, 37, 38, 41, 43], "trap": [22, 23, 25]},
    "behaviours-pool.tsv": {
        "behaviour": [1, 2, 4, 5, 7, 8, 10, 11, 13, 15, 16, 18, 19, 21, 22, 24, 25, 27, 28],
        "trap": range(1, 22)},
}
CASE = re.compile(r"/(\w+)/(behaviour|trap|ahead)/(\d\d)-[^ ]+")
IN_C = re.compile(r'"/(\w+)/(behaviour|trap|ahead)/(\d\d)-[^"]+"')
IN_PYTHON = re.compile(r"def test_(behaviour|trap|ahead)_(\d\d)_")
TABLE = sys.argv[1]
PROGRAMS = sys.argv[2:]


def read_table(name=TABLE):
    path = pathlib.Path(__file__).with_name(name)
    lines = [line for line in path.read_text(encoding="utf-8").splitlines()
             if not line.startswith("#")]
    return list(csv.DictReader(lines, delimiter="\t", restval="", quoting=csv.QUOTE_NONE))


def numbers_of(row):
    first, _, last = row["numbers"].partition("-")
    return range(int(first), int(last or first) + 1)


def missing_of(row):
    """Why a room has no case, by room."""
    return dict(part.split(": ", 1) for part in row["missing"].split(" | ") if part)


def rooms_of(table):
    return {room for row in table for room in row["rooms"].split(",")}


def list_program(program):
    lines = subprocess.run([program, "-l"], check=True, capture_output=True, text=True)
    cases = (CASE.fullmatch(line) for line in lines.stdout.splitlines())
    return {(case[1], case[2], int(case[3])) for case in cases if case}


def list_source(path):
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return {(path.parent.name, kind, int(number)) for kind, number in IN_PYTHON.findall(text)}
    return {(room, kind, int(number)) for room, kind, number in IN_C.findall(text)}


def list_cases():
    """(room, kind, number) of each case."""
    found = set()
    for program in PROGRAMS:
        path = pathlib.Path(program)
        found |= list_source(path) if path.suffix in (".c", ".py") else list_program(program)
    return found


class Behaviours(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.table = read_table()
        cls.cases = list_cases()

    def test_table_is_complete(self):
        for kind, wanted in NUMBERS[TABLE].items():
            numbers = [n for row in self.table if row["kind"] == kind for n in numbers_of(row)]
            self.assertEqual(numbers, list(wanted))

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
        others = set().union(*(rooms_of(read_table(name)) for name in NUMBERS if name != TABLE))
        mine = {case for case in self.cases if case[0] not in others}
        self.assertEqual(sorted(mine - known), [])

    def test_tables_share_no_room(self):
        """Or a number would be taken for another."""
        for name in NUMBERS:
            if name != TABLE:
                self.assertEqual(rooms_of(self.table) & rooms_of(read_table(name)), set())


if __name__ == "__main__":
    taprunner.main()
