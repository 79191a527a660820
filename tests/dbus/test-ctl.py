# SPDX-License-Identifier: LGPL-2.1-or-later
"""deratectl: what it does, what it prints, and what it exits with."""
import json
import signal
import subprocess

import busworld
from busworld import MANAGER, SECOND, Listener, call, get, hold

import taprunner

DONE, FAILED, USAGE, NOT_FOUND, DENIED = range(5)


class Ctl(busworld.BusTestCase):
    def run_ctl(self, *words, status=DONE, **options):
        """Gives the output; @status is what it must exit with."""
        code, output, errors = busworld.deratectl(self.bus, *words, **options)
        self.assertEqual(code, status, f"{words}: {output}{errors}")
        if status in (FAILED, NOT_FOUND, DENIED):
            self.assertEqual(output, "")
            self.assertRegex(errors, r"^deratectl: .+\n$")
            self.assertNotIn("GDBus", errors)
            self.assertNotIn("org.", errors)
        return output if status == DONE else errors

    def level(self):
        return get(self.connection, "Level")


class Reading(Ctl):
    def test_list(self):
        lines = self.run_ctl("list").splitlines()
        self.assertEqual([line.split()[:2] for line in lines],
                         [["PROGRAM", "LEVEL"], ["shop", "optimal"]])

    def test_status_puts_the_level_first_and_what_is_down_above(self):
        self.program.ask("fail s3 3")
        lines = self.run_ctl("status").splitlines()
        self.assertTrue(lines[0].startswith("DEGRADED  "), lines[0])
        self.assertIn("shop", lines[0])
        self.assertRegex(lines[1], r"^  why +s3 down  \(rule dependency-down\)$")
        table = [line.split() for line in lines[lines.index("") + 1:]]
        self.assertEqual(table[0][:4], ["SERVICE", "STATUS", "FOR", "CAUSE"])
        self.assertEqual(table[1][:2], ["s3", "down"])
        self.assertIn("breaker-open", table[1])

    def test_status_shows_holds_with_what_is_left(self):
        ident = hold(self.connection, reason="new disks", ttl=3661 * SECOND)
        lines = self.run_ctl("status").splitlines()
        self.assertRegex(lines[1], rf"^  hold +{ident}  at least minimal, 1h 1m left, by ana "
                                   r"\(uid \d+\): new disks$")
        self.assertRegex(lines[2], r"^  without +optimal$")

    def test_columns_are_aligned_and_nothing_trails(self):
        output = self.run_ctl("status")
        self.assertNotRegex(output, r"(?m) +$")
        lines = output.splitlines()
        start = lines.index("") + 1
        rows = lines[start:start + 5]
        column = rows[0].index("STATUS")
        for row in rows[1:]:
            self.assertEqual(row[column - 2:column], "  ")
            self.assertNotEqual(row[column], " ")

    def test_no_colour_unless_on_a_terminal(self):
        for words in (["status"], ["list"], ["breaker", "list"], ["explain"], ["history"]):
            self.assertNotIn("\033", self.run_ctl(*words))

    def test_what_others_wrote_does_not_move_the_cursor(self):
        hold(self.connection, who="\033[2Jeve", reason="one\ntwo\u202e")
        for words in (["status"], ["explain"]):
            output = self.run_ctl(*words)
            self.assertIn("eve", output)
            self.assertNotIn("\033", output)
            self.assertNotIn("\u202e", output)
            self.assertIn("one two", output)

    def test_json_is_what_the_program_dumps(self):
        hold(self.connection)
        for words, what in ((["status", "--json"], "status"), (["breaker", "list", "--json"], "breakers")):
            dumped = call(self.connection, "Dump", "(s)", what, interface=MANAGER)
            self.assertEqual(self.run_ctl(*words), dumped + "\n")

    def test_json_is_utf_8_whatever_the_locale(self):
        hold(self.connection, reason="Wartung für später")
        output = self.run_ctl("status", "--json", env={"LC_ALL": "C"})
        self.assertEqual(json.loads(output)["holds"][0]["reason"], "Wartung für später")

    def test_explain_and_history(self):
        self.program.ask("fail s3 3")
        self.assertIn("s3 down", self.run_ctl("explain"))
        lines = self.run_ctl("history").splitlines()
        self.assertEqual(lines[1].split()[-3:], ["optimal", "degraded", "dependency-down"])

    def test_breakers_that_are_not_closed_come_first(self):
        self.program.ask("fail s3 3")
        lines = self.run_ctl("breaker", "list").splitlines()
        self.assertEqual([line.split()[:2] for line in lines[:2]], [["BREAKER", "STATE"], ["s3", "open"]])
        self.assertEqual(len(lines), 5)


class Changing(Ctl):
    def test_hold_and_release(self):
        output = self.run_ctl("hold", "minimal", "--reason", "maintenance", "--for", "20s")
        ident = output.split()[0]
        self.assert_level("minimal")
        (entry,) = get(self.connection, "Holds")
        self.assertEqual((entry["id"], entry["reason"], entry["mode"]), (ident, "maintenance", "at-least"))
        self.assertEqual(entry["expires"] - entry["since"], 20 * SECOND)
        self.run_ctl("release", ident)
        self.assertEqual(get(self.connection, "Holds"), [])
        self.run_ctl("release", ident, status=NOT_FOUND)

    def test_force_is_an_exact_hold(self):
        for words in (["force", "emergency"], ["hold", "emergency", "--exact"]):
            self.run_ctl(*words, "--reason", "test", "--for", "1h", "--who", "eva")
            (entry,) = get(self.connection, "Holds")
            self.assertEqual((entry["mode"], entry["who"]), ("exact", "eva"))
            self.assertEqual(self.run_ctl("release", "--all"), "released 1 hold\n")

    def test_hold_while_a_command_runs(self):
        inside = ("hold", "minimal", "--reason", "test", "--", "sh", "-c",
                  f"{busworld.DERATECTL} --address '{self.bus.address}' status --json; exit 7")
        code, output, _ = busworld.deratectl(self.bus, *inside)
        self.assertEqual(code, 7)
        shown = json.loads(output)
        self.assertEqual(shown["level"], "minimal")
        self.assertEqual((shown["holds"][0]["bound"], shown["holds"][0]["remaining_seconds"]),
                         (True, None))
        self.assertEqual(get(self.connection, "Holds"), [])

    def test_options_of_the_command_are_its_own(self):
        code, output, _ = busworld.deratectl(self.bus, "hold", "minimal", "--reason", "test", "--",
                                             "echo", "--json", "--", "--name")
        self.assertEqual((code, output), (0, "--json -- --name\n"))

    def start_holding(self):
        process = subprocess.Popen(
            [busworld.DERATECTL, "--address", self.bus.address, "hold", "minimal", "--reason", "test",
             "--", "sh", "-c", "trap 'exit 3' TERM; echo running; read line; exit 0"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.wait)
        self.assertEqual(process.stdout.readline(), "running\n")
        return process

    def test_killed_it_holds_nothing(self):
        listener = Listener(self.connection)
        process = self.start_holding()
        self.assertEqual(len(get(self.connection, "Holds")), 1)
        process.send_signal(signal.SIGKILL)
        listener.until(lambda: not get(self.connection, "Holds"))

    def test_terminated_it_ends_the_command(self):
        process = self.start_holding()
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=30), 3)
        process.communicate()
        self.assertEqual(get(self.connection, "Holds"), [])

    def test_it_says_when_the_hold_ended_before_the_command(self):
        process = self.start_holding()
        self.run_ctl("release", "--all")
        _, errors = process.communicate("go on\n", timeout=30)
        self.assertEqual(process.returncode, 0)
        self.assertIn("ended before the command", errors)

    def test_breakers(self):
        self.run_ctl("breaker", "trip", "s3", "--for", "1h", "--reason", "test")
        self.assertEqual(self.level(), "degraded")
        self.run_ctl("breaker", "close", "s3")
        self.run_ctl("breaker", "mode", "s3", "forced-open", "--for", "10m")
        self.assertEqual(get(self.connection, "Services")["s3"], "down")
        self.run_ctl("breaker", "mode", "s3", "normal")
        self.assertEqual(get(self.connection, "Services")["s3"], "healthy")
        self.run_ctl("breaker", "trip", "s3")
        self.run_ctl("breaker", "reset", "s3")
        self.assertEqual(self.run_ctl("breaker", "reset", "--all"), "reset: 4\n")
        self.run_ctl("breaker", "trip", "s4", status=NOT_FOUND)

    def test_service_check(self):
        self.assertEqual(self.run_ctl("service", "check", "redis"), "redis  healthy\n")
        self.program.ask("check down")
        self.assertEqual(self.run_ctl("service", "check", "redis"), "redis  down  refused\n")
        self.run_ctl("service", "check", "s4", status=NOT_FOUND)


class Refusals(Ctl):
    def test_usage(self):
        for words in ([], ["dance"], ["status", "--bogus"], ["status", "extra"], ["hold"],
                      ["hold", "minimal", "--for", "1m"],
                      ["hold", "minimal", "--reason", "", "--for", "1m"],
                      ["hold", "minimal", "--reason", "x" * 257, "--for", "1m"],
                      ["hold", "purple", "--reason", "test", "--for", "1m"],
                      ["hold", "minimal", "--reason", "test"],
                      ["hold", "minimal", "--reason", "test", "--for", "soon"],
                      ["hold", "minimal", "--reason", "test", "--for", "0"],
                      ["hold", "minimal", "--reason", "test", "--for", "25h"],
                      ["hold", "minimal", "--reason", "test", "--for", "1m", "--", "true"],
                      ["hold", "minimal", "--reason", "test", "--"],
                      ["release"], ["release", "x", "--all"], ["breaker"], ["breaker", "dance"],
                      ["breaker", "trip"], ["breaker", "trip", "s3", "--for", "25h"],
                      ["breaker", "reset"], ["breaker", "reset", "s3", "--all"],
                      ["breaker", "mode", "s3", "disabled"],
                      ["breaker", "mode", "s3", "open", "--for", "1m"],
                      ["service"], ["service", "check"], ["service", "check", "\udcff"],
                      ["breaker", "trip", "\udcff"], ["release", "\udcff"],
                      ["drill", "\udcff", "--for", "1s"]):
            with self.subTest(words=words):
                self.run_ctl(*words, status=USAGE)
        self.assertEqual(get(self.connection, "Holds"), [])
        self.assert_level("optimal")

    def test_no_such_program(self):
        self.assertIn("shop", self.run_ctl("--name", "other", "status", status=NOT_FOUND))

    def test_several_programs_have_to_be_told_apart(self):
        other = self.make_program(name="till")
        self.assertEqual(other.bus_name, "org.derate.Derate1.till")
        errors = self.run_ctl("status", status=USAGE)
        self.assertIn("shop, till", errors)
        self.run_ctl("--name", "till", "hold", "minimal", "--reason", "test", "--for", "1m")
        self.run_ctl("status", "--name", "org.derate.Derate1.till")
        self.assertEqual(get(self.connection, "Level", name=other.bus_name), "minimal")
        self.assertEqual(self.level(), "optimal")
        self.assertEqual(len(self.run_ctl("list").splitlines()), 3)

    def test_another_uid_is_denied_but_may_read(self):
        self.stranger()  # fails where there cannot be one
        nobody = busworld.copy_deratectl(self.bus)
        self.run_ctl("status", **nobody)
        errors = self.run_ctl("hold", "minimal", "--reason", "test", "--for", "1m", status=DENIED,
                              **nobody)
        self.assertIn(f"uid {nobody['user']} may not call Hold", errors)
        ident = hold(self.connection)
        self.run_ctl("release", ident, status=DENIED, **nobody)
        self.assert_level("minimal")

    def test_no_bus(self):
        code, _, errors = busworld.deratectl(self.bus, "--address", "unix:path=/nonexistent", "status")
        self.assertEqual(code, FAILED)
        self.assertIn("no message bus", errors)

    def test_no_program_at_all(self):
        self.program.ask("stop")
        self.run_ctl("status", status=NOT_FOUND)
        self.assertEqual(self.run_ctl("list"), "")


class StuckProgram(Ctl):
    def test_one_that_does_not_answer_is_listed(self):
        self.assertEqual(self.program.ask("block"), "blocked")  # on the manual clock all of it
        self.assertIn("does not answer", self.run_ctl("list"))
        self.assertEqual(self.program.ask("go on"), "going on")


if __name__ == "__main__":
    busworld.enter_namespace()
    taprunner.main()
