#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What Prometheus gets from programs: all that the rules and boards name, under any prefix; and an
alert of a real one."""
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True

import agentworld
import hostworld
import promql
import taprunner
import yaml
from private_servers.prometheus import Prometheus

MINUTE = 60
# Expressions of boards that have no value where all is well.
NOT_HERE = re.compile(" > 0| == 0")
PREFIX, LABEL = "compra_agil_", "component"
NAMES = f"metrics-prefix={PREFIX}\nmetrics-breaker-label={LABEL}\n"


def wait_for(ask, condition, seconds, what):
    """Gives what was asked for once it is so."""
    end = time.monotonic() + seconds
    while True:
        value = ask()
        if condition(value):
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}: {value}")
        time.sleep(0.1)


class Scraped(unittest.TestCase):
    """The retail agent, and a Prometheus with the rules as they are shipped."""

    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.world = agentworld.World()
        folder = pathlib.Path(cls.world.folder.name)
        cls.prometheus = Prometheus(folder, folder, f"127.0.0.1:{cls.world.port.number}",
                                    [promql.RULES])
        try:
            cls.prometheus.prepare()
            cls.prometheus.launch()
            cls.prometheus.wait_ready()
            cls.world.await_level("optimal")
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def tearDownClass(cls):
        cls.prometheus.stop()
        cls.world.end()

    def rules(self):
        """By name; none before the first evaluation."""
        groups = self.prometheus.ask("rules")["groups"]
        return {rule["name"]: rule for group in groups for rule in group["rules"]}

    def alerts(self, name):
        return self.rules()[name]["alerts"]

    def value(self, query):
        result = self.prometheus.ask("query", query=query)["result"]
        return float(result[0]["value"][1]) if result else None

    def wait_for_value(self, query):
        """A rate needs two scrapes, and a subquery one that is older than its step."""
        wait_for(lambda: self.value(query), lambda value: value is not None, MINUTE, query)

    def scrape(self):
        self.world.price()
        self.world.work_out()
        return promql.read_scrape(self.world.ask("/metrics").text)

    def test_metrics_are_those_of_the_table(self):
        table, found = promql.read_table(), self.scrape()
        self.assertEqual(set(found), {name for name, metric in table.items()
                                      if metric.when in ("always", "measured")})
        for name, (kind, labels) in found.items():
            self.assertEqual(kind, table[name].type, name)
            self.assertLessEqual(labels, {table[name].labels}, name)

    def test_all_that_rules_boards_and_runbooks_name_is_scraped(self):
        """But the database's, as long as there is nothing that exports them."""
        table, found = promql.read_table(), self.scrape()
        named = {promql.family_of(series, table) for expression in promql.shipped()
                 for series in promql.series_of(expression) - promql.FOREIGN.keys()}
        self.assertGreater(len(named), 20)
        later = {name for name in named if name.startswith("db_") and table[name].when == "later"}
        self.assertEqual(named - found.keys(), later)

    def test_rules_are_evaluated(self):
        rules = wait_for(self.rules, lambda rules: all(rule["health"] == "ok" for rule
                                                       in rules.values()), MINUTE, "rules")
        self.assertEqual(set(rules), set(promql.load_rules()))
        wait_for(lambda: self.value("degradation_level"), lambda value: value == 1, MINUTE, "a scrape")
        firing = [name for name, rule in rules.items() if rule["state"] == "firing"]
        self.assertEqual(firing, [])

    def test_boards_have_something_to_show(self):
        boards = promql.load_boards()
        for name in ("breakers", "levels", "fallbacks"):
            for panel in boards[f"derate-{name}"]["panels"]:
                for target in panel["targets"]:
                    query = promql.fill(target["expr"])
                    shown = self.prometheus.ask("query", query=query)["result"]
                    if not shown and not NOT_HERE.search(query):
                        self.wait_for_value(query)

    def test_a_stopped_database_alerts(self):
        """Its breaker is pending within a minute, and no more when it is whole."""
        name = "DerateBreakerNotClosed"
        wait_for(lambda: self.value('circuit_breaker_state{name="database"}'),
                 lambda value: value == 0, MINUTE, "a scrape")
        self.assertEqual(self.alerts(name), [])
        self.world.injure("stop", "postgresql")
        for _ in range(5):
            self.world.price()
        (alert,) = wait_for(lambda: self.alerts(name), bool, MINUTE, "an alert")
        self.assertEqual((alert["state"], alert["labels"]["name"], alert["labels"]["severity"]),
                         ("pending", "database", "critical"))
        self.assertIn("Breaker database has not been closed", alert["annotations"]["description"])
        wait_for(lambda: self.rules()["DerateLevelMinimal"]["state"],
                 lambda state: state == "pending", MINUTE, "the level's alert")
        self.world.heal()
        wait_for(lambda: self.alerts(name), lambda alerts: not alerts, MINUTE, "silence")


class Renamed(unittest.TestCase):
    """derated with a prefix and a label of its own."""

    def setUp(self):
        self.world = hostworld.World(self)

    def test_printed_rules_name_what_is_scraped(self):
        self.world.write(NAMES, hostworld.service("redis", self.world.door(),
                                                  "breaker-slow-call-duration=1s\n"))
        host, port = self.world.run_with_pages()
        host.until_said("ready, level optimal")
        found = promql.read_scrape(hostworld.ask(port, "/metrics")[1])
        self.assertEqual(found[f"{PREFIX}circuit_breaker_call_duration_seconds"],
                         ("histogram", {frozenset({LABEL})}))
        printed = subprocess.run([hostworld.DERATECTL, "print-rules", str(self.world.config)],
                                 capture_output=True, text=True, check=True).stdout
        with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
            file.write(printed)
            file.flush()
            status, said = promql.run("check", "rules", "--lint=all", "--lint-fatal", file.name)
        self.assertEqual(status, 0, said)
        self.check_names(yaml.safe_load(printed)["groups"], found)

    def check_names(self, groups, found):
        table = promql.read_table()
        prefixed = {PREFIX + name for name in table}
        self.assertEqual({name for name in found if not name.startswith("process_")} - prefixed,
                         set())
        breakers = 0
        for rule in (rule for group in groups for rule in group["rules"]):
            for series in promql.series_of(rule["expr"]) - promql.FOREIGN.keys():
                self.assertIn(series, prefixed)
                name = series.removeprefix(PREFIX)
                if table[name].when == "always" and not name.startswith("db_"):
                    self.assertIn(series, found)
                if series.startswith(f"{PREFIX}circuit_breaker_"):
                    labels = set().union(*found[series][1]) | promql.TARGET
                    self.assertIn(LABEL, labels)
                    self.assertIn(f"$labels.{LABEL} ", rule["annotations"]["summary"])
                    self.assertLessEqual(promql.labels_of(rule["expr"]), labels)
                    breakers += 1
            self.assertNotIn("$labels.name", str(rule))
        self.assertGreater(breakers, 3)

    def test_without_them_the_rules_are_those_shipped(self):
        self.world.write()
        done = hostworld.deratectl("", "print-rules", str(self.world.config))
        self.assertEqual((done.returncode, done.stdout),
                         (0, promql.RULES.read_text(encoding="utf-8")))

    def test_refused(self):
        self.world.config.write_text("[derate]\nname=shop\nmetrics-prefix=a-b\n", encoding="utf-8")
        done = hostworld.deratectl("", "print-rules", str(self.world.config))
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("metrics-prefix", done.stderr)
        self.assertEqual(hostworld.deratectl("", "print-rules").returncode, 2)


if __name__ == "__main__":
    taprunner.main()
