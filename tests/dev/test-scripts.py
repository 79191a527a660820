#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What ./dev counts and complains of."""
import contextlib
import io
import subprocess
import unittest

import bench
import check
import checkout
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


class BenchTest(unittest.TestCase):
    """./dev bench, without measuring anything."""

    def row(self, threads, ns, ratio=0, pair=0, most=0, over=0, peer=0):
        return bench.Row(f"case\tx\t{threads}\t{ns}\t1\t9\tclock\t10\t{ratio}\t{pair}\t{most}"
                         f"\t{over}\t{peer}")

    def judged(self, row, single=None):
        row.judge(single or row)
        return row.over, row.budget

    def test_budgets(self):
        self.assertEqual(self.judged(self.row(1, 6, ratio=0.6)), (False, "0.60 <= 0.6 x clock"))
        self.assertEqual(self.judged(self.row(1, 6.1, ratio=0.6)), (True, "0.61 <= 0.6 x clock"))
        self.assertEqual(self.judged(self.row(1, 61, most=60)), (True, "61 <= 60 ns"))
        self.assertEqual(self.judged(self.row(1, 61, most=2e6)), (False, "61 <= 2000000 ns"))
        self.assertEqual(self.judged(self.row(1, 12.1, over=2)), (True, "2.10 <= 2 ns over clock"))
        pair = self.row(2, 7.5, ratio=0.6, pair=1.2)
        self.assertEqual(self.judged(pair, self.row(1, 6)), (True, "1.25 <= 1.2 x 1 thread"))
        self.assertEqual(self.judged(self.row(1, 6)), (False, ""))

    def test_budget_beside_a_peer(self):
        row = self.row(1, 13, peer=8)
        self.assertEqual(self.judged(row), (False, ""))
        row.peers = [(100.0, "fast"), (200.0, "slow")]
        self.assertEqual(self.judged(row), (True, "0.13 <= 0.125 x fast"))
        row.peers.append((400.0, bench.RIVAL))
        self.assertEqual(self.judged(row), (False, f"0.03 <= 0.125 x {bench.RIVAL}"))

    def test_columns(self):
        row = self.row(1, 20)
        row.insn, row.peers = 7.25, [(100.0, "fast"), (200.0, "slow")]
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            bench.print_tsv([row], [("bytes-new", 640.0, 640.0)])
        self.assertEqual(out.getvalue().splitlines(), [
            "name\tthreads\tns\tinsn\tfloor\tfloor_ns\tratio\tpeer\tpeer_ns",
            "x\t1\t20.00\t7.2\tclock\t10.00\t2.000\tfast\t100.0",
            "bytes-new\t\t640\t\t\t\t\t\t"])

    def test_every_case_has_its_instructions(self):
        self.assertIn(("breaker", "closed-default"), bench.read_kept())
        self.assertIn(("level", "get-level"), bench.read_kept())
        for old, insn, differs in ((None, 8, True), (8, 8.05, False), (8, 9, True),
                                   (2e6, 2e6 + 1000, False), (2e6, 2e6 + 3000, True)):
            self.assertEqual(bench.differs(old, insn), differs, (old, insn))

    def test_unknown_names(self):
        for words in ([], ["mars"], ["floors"], ["breaker", "mars"], ["--wrong"]):
            done = subprocess.run([checkout.ROOT / "dev", "bench", *words], capture_output=True,
                                  text=True, stdin=subprocess.DEVNULL, timeout=30)
            self.assertEqual(done.returncode, 2, words)
            self.assertIn("\nnames: breaker", done.stderr)


if __name__ == "__main__":
    taprunner.main()
