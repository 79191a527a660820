# SPDX-License-Identifier: LGPL-2.1-or-later
"""deratectl drill: what it says, when it ends, and what it exits with."""
import json
import os
import pwd
import signal
import subprocess

import busworld
from busworld import MANAGER, SECOND, Listener, call, get

import taprunner

DONE, FAILED, USAGE, NOT_FOUND, DENIED = range(5)
SIGNATURE = "(sa{sv}ta{sv})"


class CtlDrill(busworld.BusTestCase):
    def drills(self):
        return json.loads(call(self.connection, "Dump", "(s)", "status", interface=MANAGER))["drills"]

    def begin(self, *words, service="redis", **options):
        """It runs once it has said so."""
        process = subprocess.Popen(
            [busworld.DERATECTL, "--address", self.bus.address, "drill", service, "--for", "60s", *words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "LC_ALL": "C.UTF-8"}, **options)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        said = process.stderr if "--json" in words else process.stdout
        self.first = said.readline()
        self.assertEqual(said.readline(), "Ctrl-C ends it early.\n")
        return process

    def end(self, process, status=DONE):
        output, errors = process.communicate(timeout=30)
        self.assertEqual(process.returncode, status, output + errors)
        self.assertTrue(all(len(line) <= 80 for line in output.splitlines()), output)
        self.assertNotRegex(output, r"(?m) +$")
        return output if status != FAILED or output else errors

    def run_ctl(self, *words, status=DONE, **options):
        code, output, errors = busworld.deratectl(self.bus, *words, **options)
        self.assertEqual(code, status, f"{words}: {output}{errors}")
        self.assertEqual(output, "")
        return errors

    def test_ahead_08_it_says_what_happens_and_reports(self):
        process = self.begin()
        (shown,) = self.drills()
        self.assertRegex(self.first, r"^redis  down for 60s, until \d\d:\d\d:\d\d, at worst minimal  "
                                     rf"\[{shown['id']}\]\n$")
        user = os.environ.get("SUDO_USER") or pwd.getpwuid(os.getuid()).pw_name
        self.assertEqual((shown["reason"], shown["limit"]), (f"drill by {user}", "minimal"))
        self.assertEqual(self.program.ask("succeed redis 7"), "0")
        self.program.advance(60 * SECOND)
        self.assertEqual(self.end(process).splitlines(), [
            "",
            "Drill of redis over after 1m 0s: its time is over",
            "  level      degraded at worst, by rule dependency-down; optimal before",
            "             optimal again at the next recovery tick",
            "  features   cache off, on before",
            "  refused    7 calls",
            "  fallbacks  none answered",
            "  answers    0 real, 0 by a fallback, and 0 calls that got none"])
        self.assertEqual(self.drills(), [])

    def test_what_fallbacks_and_calls_did(self):
        process = self.begin()
        self.assertEqual(self.program.ask("answers redis"), "ok")
        process.send_signal(signal.SIGINT)
        output = self.end(process)
        self.assertIn("  fallbacks  redis cached (drill): 40, mean 250us, 95 % within 250us\n", output)
        self.assertIn("             redis default (timeout): 2, mean 1.5s, 95 % within 3s\n", output)
        self.assertIn("             asked in vain: 3\n", output)
        self.assertIn("  answers    5 real, 42 by a fallback, and 3 calls that got none\n", output)

    def test_a_signal_ends_it_early_with_its_report(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            with self.subTest(signal=number):
                process = self.begin()
                self.assertEqual(len(self.drills()), 1)
                process.send_signal(number)
                output = self.end(process)
                self.assertIn("Drill of redis over after 0s: it was stopped\n", output)
                self.assertEqual(self.drills(), [])

    def test_killed_it_drills_no_more(self):
        process = self.begin("--limit", "emergency")
        listener = Listener(self.connection)
        self.assertEqual(get(self.connection, "Services")["redis"], "down")
        process.kill()
        listener.until(lambda: not self.drills())
        self.assertEqual(get(self.connection, "Services")["redis"], "healthy")

    def test_failing_and_slow(self):
        for words, said, kind, member, value in (
                (["--error-rate", "0.25"], "25 % of calls fail", "error-rate", "rate", 0.25),
                (["--latency", "250ms"], "calls begin 250ms later", "latency", "latency_seconds", 0.25),
                (["--down"], "down", "down", "rate", 1)):
            with self.subTest(words=words):
                process = self.begin(*words, "--reason", "because", "--limit", "limited")
                self.assertTrue(self.first.startswith(f"redis  {said} for 60s, "), self.first)
                self.assertIn("at worst limited", self.first)
                (shown,) = self.drills()
                self.assertEqual((shown["fault"], shown[member], shown["reason"], shown["limit"]),
                                 (kind, value, "because", "limited"))
                process.send_signal(signal.SIGTERM)
                self.end(process)

    def test_json_is_the_report_and_nothing_else(self):
        process = self.begin("--json")
        self.program.ask("succeed redis 3")
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=30)
        report = json.loads(output)
        self.assertEqual((report["cause"], report["refused"], report["level"]["worst"]),
                         ("stopped", 3, "degraded"))
        self.assertEqual(process.returncode, DONE)

    def test_one_that_something_real_ended_has_failed(self):
        process = self.begin()
        self.program.ask("fail database 3")
        output = self.end(process, FAILED)
        self.assertIn(": something real failed as well\n", output)
        self.assertIn("  level      minimal at worst, by rule database-limited; optimal before\n", output)

    def test_one_that_another_stopped_has_not(self):
        process = self.begin()
        (shown,) = self.drills()
        call(self.connection, "StopDrill", "(s)", shown["id"])
        self.assertIn(": it was stopped\n", self.end(process))

    def test_a_program_that_goes_takes_the_drill_along(self):
        process = self.begin()
        self.program.ask("stop")
        self.assertRegex(self.end(process, FAILED), "^deratectl: drill .* ended without a report: ")

    def test_usage(self):
        for words in ([], ["redis"], ["redis", "--for", "soon"], ["redis", "--for", "0"],
                      ["redis", "--for", "61m"], ["redis", "s3", "--for", "1m"],
                      ["redis", "--for", "1m", "--down", "--latency", "1s"],
                      ["redis", "--for", "1m", "--error-rate", "0.1", "--latency", "1s"],
                      ["redis", "--for", "1m", "--error-rate", "0"],
                      ["redis", "--for", "1m", "--error-rate", "20%"],
                      ["redis", "--for", "1m", "--error-rate", "1.1"],
                      ["redis", "--for", "1m", "--error-rate", "nan"],
                      ["redis", "--for", "1m", "--latency", "0"],
                      ["redis", "--for", "1m", "--latency", "6m"],
                      ["redis", "--for", "1m", "--latency", "slow"],
                      ["redis", "--for", "1m", "--limit", "purple"],
                      ["redis", "--for", "1m", "--reason", ""]):
            with self.subTest(words=words):
                self.run_ctl("drill", *words, status=USAGE)
        self.assertEqual(self.drills(), [])
        self.assert_level("optimal")

    def test_refusals(self):
        self.run_ctl("drill", "s4", "--for", "1m", status=NOT_FOUND)
        errors = self.run_ctl("drill", "s3", "--for", "1m", "--limit", "optimal", status=FAILED)
        self.assertEqual(errors, "deratectl: drill: with s3 the level would be degraded by rule "
                                 "dependency-down, and its limit is optimal\n")
        self.begin()
        self.run_ctl("drill", "redis", "--for", "1m", status=FAILED)

    def test_another_uid_is_denied(self):
        self.stranger()  # fails where there cannot be one
        nobody = busworld.copy_deratectl(self.bus)
        errors = self.run_ctl("drill", "redis", "--for", "1m", status=DENIED, **nobody)
        self.assertIn(f"uid {nobody['user']} may not call Drill", errors)

    def test_status_shows_it(self):
        self.begin("--reason", "Friday")
        (shown,) = self.drills()
        code, output, _ = busworld.deratectl(self.bus, "status")
        self.assertEqual(code, DONE)
        self.assertRegex(output, rf"(?m)^  drill +{shown['id']}  redis down, 1m 0s left, at worst "
                                 r"minimal, by uid \d+: Friday$")


if __name__ == "__main__":
    busworld.enter_namespace()
    taprunner.main()
