#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What ./dev counts and complains of."""
import unittest

import check
import csource
import tap
import taprunner


def count(*results):
    counted = tap.Count()
    for result in results:
        counted.add({"name": "derate / case", "result": "OK", "returncode": 0, "stdout": "",
                     **result})
    return counted


class CountTest(unittest.TestCase):
    def check(self, passed, failed, **result):
        counted = count(result)
        self.assertEqual((counted.passed, len(counted.failed)), (passed, failed), counted.failed)

    def test_each_case_counts(self):
        self.check(2, 0, stdout="TAP version 13\n# random seed: x\n1..2\nok 1 /a\nok 2 /b\n")

    def test_a_failed_case(self):
        self.check(1, 1, stdout="ok 1 /a\nnot ok 2 /b - text\n1..2\n", result="FAIL")

    def test_a_skip_is_a_failure(self):
        self.check(1, 1, stdout="1..2\nok 1 /a\nok 2 /b # SKIP no server\n")

    def test_a_skip_of_all_is_a_failure(self):
        self.check(0, 1, stdout="1..0 # SKIP no server\n", result="SKIP")

    def test_a_crash_is_a_failure(self):
        self.check(1, 1, stdout="1..3\nok 1 /a\n", result="ERROR", returncode=-11)

    def test_a_failure_after_the_cases(self):
        self.check(2, 1, stdout="1..2\nok 1 /a\nok 2 /b\n", result="FAIL", returncode=1)

    def test_without_tap_the_exit_status_counts(self):
        self.check(1, 0, stdout="hello")
        self.check(0, 1, stdout="hello", result="FAIL", returncode=3)


class FakeTree(check.Tree):
    """Files that are on no disk."""

    def __init__(self, **files):
        self.texts = {name.replace("__", "/").replace("_c", ".c").replace("_h", ".h"): text
                      for name, text in files.items()}
        self.c_files = [name for name in self.texts if name.endswith(".c")]
        self.headers = [name for name in self.texts if name.endswith(".h")]
        self.code = {name: csource.strip(text) for name, text in self.texts.items()}


def function(lines):
    return "static void\nlong_one (int a,\n          int b)\n{\n" + "  a++;\n" * lines + "}\n"


class RulesTest(unittest.TestCase):
    def complaints(self, rule, **files):
        return list(rule(FakeTree(**files)))

    def test_goto(self):
        self.assertEqual(len(self.complaints(check.check_goto, a_c="  goto out;\n")), 1)
        self.assertEqual(self.complaints(check.check_goto, a_c='/* goto */ f ("goto");\n'), [])

    def test_time(self):
        text = "now = g_get_real_time ();\n"
        self.assertEqual(len(self.complaints(check.check_time, core__x__a_c=text)), 1)
        self.assertEqual(self.complaints(check.check_time, tests__a_c=text), [])

    def test_sizes(self):
        self.assertEqual(self.complaints(check.check_sizes, a_c=function(78)), [])
        found = self.complaints(check.check_sizes, a_c=function(79))
        self.assertEqual(found, ["a.c:4: long_one: 81 lines, 0 levels of nesting"])
        deep = "void\nf (void)\n{\n" + "  {\n" * 5 + "  }\n" * 5 + "}\n"
        self.assertEqual(len(self.complaints(check.check_sizes, a_c=deep)), 1)
        self.assertEqual(len(self.complaints(check.check_sizes, a_c="\n" * 701)), 1)

    def test_rooms(self):
        up, down = '#include "derate-up.h"\n', '#include "derate-down.h"\n'
        self.assertEqual(self.complaints(check.check_rooms, **{
            "core__base__derate-up_h": "", "core__http__derate-down_h": up}), [])
        self.assertEqual(len(self.complaints(check.check_rooms, **{
            "core__base__derate-up_h": down, "core__http__derate-down_h": ""})), 1)

    def test_private_headers(self):
        header = {"core__base__derate-a-private_h": ""}
        text = '#include "derate-a-private.h"\n'
        self.assertEqual(len(self.complaints(check.check_rooms, plugins__x_c=text, **header)), 1)
        self.assertEqual(self.complaints(check.check_rooms, tests__x_c=text, **header), [])

    def test_headers(self):
        self.assertEqual(len(self.complaints(check.check_headers, a_h="int a;\n")), 1)
        self.assertEqual(len(self.complaints(check.check_headers, a_c="\tint a;\n")), 1)
        self.assertEqual(len(self.complaints(check.check_headers, a_c="x" * 101 + "\n")), 1)
        self.assertEqual(self.complaints(check.check_headers, a_h="#pragma once\n"), [])

    def test_spdx_and_space(self):
        self.assertEqual(self.complaints(check.check_spdx, a_c="int a;\n"), ["a.c"])
        self.assertEqual(self.complaints(check.check_space, a_c="int a; \n"), ["a.c"])
        self.assertEqual(self.complaints(check.check_space, a_c="int a;"), ["a.c"])
        self.assertEqual(self.complaints(check.check_space, a_c="int a;\n"), [])


if __name__ == "__main__":
    taprunner.main()
