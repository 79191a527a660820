# SPDX-License-Identifier: LGPL-2.1-or-later
"""deratectl status on a terminal of 80 by 24, and what it shows of a program as it changes."""
import json
import os
import re
import signal
import subprocess
import time

import busworld
from busworld import call, hold
from screen import Screen

import taprunner

LONG = "Moving the cache to the new machines in the cellar, back at noon or so"
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


class Terminal(busworld.BusTestCase):
    clock = "system"  # the ages are those of the clock on the wall

    def start(self, *words, env=None, **options):
        screen = Screen([busworld.DERATECTL, "--address", self.bus.address, *words],
                        env={**os.environ, "LC_ALL": "C.UTF-8", "TERM": "xterm-256color",
                             **(env or {})}, **options)
        self.addCleanup(screen.close)
        return screen

    def watch(self, *words, **options):
        screen = self.start("status", "--watch", *words, **options)
        screen.until("^OPTIMAL")
        return screen

    def make_trouble(self):
        self.program.ask("fail s3 3")
        self.program.ask("check down")
        for _ in range(3):  # one failed check does not make it down
            call(self.connection, "CheckService", "(s)", "redis")

    def table(self, screen, header="SERVICE"):
        """The rows below that header, to the next empty line."""
        lines = screen.lines()
        start = next(i for i, line in enumerate(lines) if line.startswith(header)) + 1
        return lines[start:lines.index("", start) if "" in lines[start:] else None]


class Status(Terminal):
    """Once, on a terminal."""

    def show(self, **options):
        screen = self.start("status", **options)
        self.assertEqual(screen.wait(), 0)
        return screen

    def test_nothing_wraps_at_80_columns(self):
        self.make_trouble()
        hold(self.connection, reason=LONG)
        screen = self.show()
        lines = screen.lines()
        self.assertRegex(lines[0], "^(LIMITED|MINIMAL|DEGRADED)  ")
        self.assertRegex(lines[1], r"^  hold +\w{8}  at least minimal, .*: Moving .*…$")
        self.assertEqual(len(lines[1]), 80)
        rows = self.table(screen)
        self.assertEqual([row.split()[0] for row in rows], ["redis", "s3", "database", "openai"])
        self.assertRegex(rows[0], r"^redis +down .* connection to redis.*…$")
        self.assertEqual(len(rows[0]), 80)

    def test_the_whole_error_where_there_is_room_or_no_terminal(self):
        self.make_trouble()
        screen = self.show(width=140)
        self.assertIn("CRITICALITY  CHECKED", screen.text())
        self.assertIn("cache:6379 refused", screen.text())
        _, output, _ = busworld.deratectl(self.bus, "status")
        self.assertIn("CRITICALITY  CHECKED", output)
        self.assertIn("cache:6379 refused", output)
        self.assertNotRegex(output.replace("\n", ""), CONTROL)

    def test_breakers_and_programs_fit_as_well(self):
        self.program.ask("service a-service-with-a-name-of-sixty-three-letters-which-is-the-limi")
        for words in (["breaker", "list"], ["list"]):
            screen = self.start(*words, width=60)
            self.assertEqual(screen.wait(), 0)
            self.assertIn(screen.text().split()[0], ("BREAKER", "PROGRAM"))
            for line in screen.lines():  # one that wrapped would leave a row without a name
                self.assertNotRegex(line, r"^ +\S")

    def test_wide_letters_are_two_cells(self):
        hold(self.connection, reason="数据库" * 28)
        self.assertRegex(self.show().lines()[2], "^  without ")

    def test_no_color(self):
        self.assertNotIn("\033[3", self.show(env={"NO_COLOR": "1"}).sent)
        self.assertIn("\033[32m", self.show().sent)


class Watch(Terminal):
    def test_it_shows_at_once_what_changes(self):
        screen = self.watch()
        self.make_trouble()
        screen.until("^redis +down +.* refused +closed")
        self.assertIn("s3        down", screen.text())
        ident = hold(self.connection, level="emergency", reason=LONG)
        screen.until("^EMERGENCY ")
        screen.until(rf"^  hold +{ident}  at least emergency")
        call(self.connection, "Release", "(s)", ident)
        screen.until("^  recovers +degraded")
        self.assertNotRegex(screen.text(), "(?m)^  hold")
        self.assertNotIn("\n\n\n", screen.text())  # nothing of the longer page is left

    def test_ages_go_on_by_themselves(self):
        self.program.ask("fail s3 3")
        screen = self.watch_degraded()
        before = re.search(r"^s3 +down +(\S+)s ", screen.text(), re.MULTILINE)[1]
        screen.until(rf"^s3 +down +(?!{before}s )\d+s ")

    def watch_degraded(self):
        screen = self.start("--watch")
        screen.until("^DEGRADED ")
        return screen

    def test_the_terminal_is_as_before_at_each_end(self):
        for end in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, "q"):
            with self.subTest(end=end):
                screen = self.watch()
                self.assertFalse(screen.is_as_before())
                if end == "q":
                    screen.press("q")
                else:
                    screen.kill(end)
                self.assertEqual(screen.wait(), 0)
                self.assertTrue(screen.is_as_before())

    def test_interrupt_from_the_keyboard(self):
        screen = self.watch()
        screen.press("\x03")
        self.assertEqual(screen.wait(), 0)
        self.assertTrue(screen.is_as_before())

    def test_the_terminal_is_as_before_when_the_bus_goes(self):
        screen = self.watch()
        self.program.ask("stop")
        screen.until("^GONE ")
        self.bus.process.kill()
        self.assertEqual(screen.wait(), 1)
        self.assertTrue(screen.is_as_before())
        self.assertIn("deratectl: the message bus is gone", screen.sent)

    def test_keys_are_not_shown(self):
        screen = self.watch()
        screen.press("xyzzy")
        self.make_trouble()
        screen.until("^redis +down")
        self.assertNotIn("xyz", screen.sent)

    def test_resize(self):
        screen = self.watch()
        self.make_trouble()
        screen.until("^redis +down")
        self.assertNotIn("CRITICALITY", screen.text())
        screen.resize(120, 30)
        screen.until("CRITICALITY +CHECKED +ERROR")
        screen.resize(50, 8)
        screen.until("… and 2 more")
        self.assertEqual([row.split()[0] for row in self.table(screen)], ["redis", "s3", "…"])
        self.assertEqual(len(screen.text().splitlines()), 8)
        screen.resize(20, 2)
        screen.until(r"\A\w+… .*\n.*…$")
        screen.resize(1, 1)
        screen.resize(80, 24)
        screen.until("^openai +healthy")

    def test_many_services_and_holds_fit(self):
        for i in range(20):
            self.program.ask(f"service payments-{i}")
        for i in range(5):
            hold(self.connection, reason=f"number {i}")
        self.program.ask("fail payments-7 3")
        screen = self.watch_minimal()
        screen.until("^payments-7 +down")
        self.assertRegex(self.table(screen)[0], "^payments-7 +down")
        self.assertRegex(self.table(screen)[-1], r"^… and \d+ more$")
        self.assertRegex(screen.text(), r"(?m)^ +… and 3 more$")
        self.assertRegex(self.table(screen, "FEATURE")[0], r"^\S+ +(off|queued)")
        self.assertEqual(len(screen.text().splitlines()), 24)

    def watch_minimal(self):
        screen = self.start("status", "--watch")
        screen.until("^MINIMAL ")
        return screen

    def test_gone_and_back(self):
        self.program.ask("fail s3 3")
        screen = self.watch_degraded()
        self.program.ask("stop")
        text = screen.until(r"^GONE +since \d\d:\d\d:\d\d, \d+s ago +shop$")
        self.assertIn("degraded  before that", text)
        before = re.search(r"(\d+)s ago", text)[1]
        screen.until(rf", (?!{before}s )\d+s ago")
        self.program.quit()
        self.make_program()
        screen.until("^OPTIMAL ")
        self.assertNotIn("GONE", screen.text())

    def test_a_program_that_is_stuck_is_told_of(self):
        screen = self.watch()
        self.program.process.send_signal(signal.SIGSTOP)
        try:
            screen.until(r"^NO ANSWER +since")
            self.assertIn("optimal  before that", screen.text())
            self.assertIn("Timeout", screen.text())
        finally:
            self.program.process.send_signal(signal.SIGCONT)
        screen.until("^OPTIMAL ")

    def test_what_others_wrote_does_not_move_the_cursor(self):
        screen = self.watch()
        hold(self.connection, who="\033[2Jeve", reason="one\ntwo")
        screen.until(r"by \?\[2Jeve .*: one two")
        self.assertNotIn("\033[2J", screen.sent)


class Blocks(Terminal):
    """Where standard output is no terminal."""

    def follow(self, *words, **options):
        process = subprocess.Popen(
            [busworld.DERATECTL, "--address", self.bus.address, *words], stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL, text=True, env={**os.environ, "LC_ALL": "C.UTF-8"}, **options)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def read_block(self, process):
        lines, tables = [], 0
        while tables < 3:  # head, services, features, each with an empty line behind it
            lines.append(process.stdout.readline())
            tables += lines[-1] == "\n"
            if lines[0].startswith("GONE") and tables:
                break
        return "".join(lines)

    def test_a_block_at_each_change(self):
        process = self.follow("status", "--watch")
        self.assertRegex(self.read_block(process), r"^OPTIMAL .* shop  \d\d:\d\d:\d\d\n")
        self.program.ask("fail s3 3")
        text = self.read_block(process)
        self.assertRegex(text, r"^DEGRADED ")
        self.assertRegex(text, r"(?m)^s3 +down")
        self.assertNotRegex(text.replace("\n", ""), CONTROL)
        self.program.ask("stop")
        self.assertRegex(self.read_block(process), r"^GONE  since .*\n  level  degraded")
        process.send_signal(signal.SIGTERM)
        self.assertEqual((process.stdout.read(), process.wait()), ("", 0))

    def test_time_alone_is_no_change(self):
        process = self.follow("status", "--watch", "--json")
        self.assertEqual(json.loads(process.stdout.readline())["level"], "optimal")
        call(self.connection, "CheckService", "(s)", "redis")  # at which something is heard of
        call(self.connection, "CheckService", "(s)", "redis")
        time.sleep(0.3)  # longer than it rests between two questions
        hold(self.connection)
        self.assertEqual(json.loads(process.stdout.readline())["level"], "minimal")

    def test_json_is_one_object_a_line(self):
        process = self.follow("status", "--watch", "--json")
        shown = json.loads(process.stdout.readline())
        self.assertEqual((shown["level"], shown["holds"]), ("optimal", []))
        hold(self.connection, reason="Wartung für später")
        shown = json.loads(process.stdout.readline())
        self.assertEqual((shown["level"], shown["holds"][0]["reason"]),
                         ("minimal", "Wartung für später"))
        self.program.ask("stop")
        gone = json.loads(process.stdout.readline())
        self.assertEqual((gone["name"], gone["level"]), ("shop", None))
        self.assertLess(abs(gone["gone_since"] - time.time()), 60)
        self.program.quit()
        self.make_program()
        self.assertEqual(json.loads(process.stdout.readline())["level"], "optimal")

    def test_a_program_that_is_stuck_is_asked_again(self):
        self.program.process.send_signal(signal.SIGSTOP)
        try:
            process = self.follow("status", "--watch", "--json")
            silent = json.loads(process.stdout.readline())
            self.assertEqual((silent["name"], silent["level"]), ("shop", None))
            self.assertLess(abs(silent["silent_since"] - time.time()), 60)
        finally:
            self.program.process.send_signal(signal.SIGCONT)
        self.assertEqual(json.loads(process.stdout.readline())["level"], "optimal")

    def test_a_reader_that_leaves_ends_it(self):
        process = self.follow("status", "--watch", "--json")
        process.stdout.readline()
        process.stdout.close()
        hold(self.connection)
        self.assertEqual(process.wait(timeout=30), -signal.SIGPIPE)

    def test_a_terminal_that_can_do_nothing_gets_blocks_that_fit(self):
        screen = self.start("status", "--watch", env={"TERM": "dumb"})
        screen.until("^OPTIMAL")
        hold(self.connection, reason=LONG)
        screen.until("^MINIMAL")
        self.assertIn("OPTIMAL", screen.sent)
        self.assertNotIn("\033", screen.sent)
        self.assertIn("…", screen.text())

    def test_usage(self):
        for words in (["--watch", "list"], ["list", "--watch"], ["status", "--watch", "x"]):
            code, _, errors = busworld.deratectl(self.bus, *words)
            self.assertEqual(code, 2, errors)
        self.program.ask("stop")
        code, _, errors = busworld.deratectl(self.bus, "status", "--watch")
        self.assertEqual(code, 3, errors)


if __name__ == "__main__":
    taprunner.main()
