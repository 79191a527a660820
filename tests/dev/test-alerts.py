#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""test-alerts.py DERATECTL: the alerts, their unit tests and their runbooks belong together, and
name only what there is."""
import re
import subprocess
import sys
import unittest

import promql
import taprunner
import yaml

DERATECTL = sys.argv[1]
TESTS = sorted((promql.ROOT / "data" / "prometheus" / "tests").glob("*.yml"))
ALERTS = """BreakerNotClosed BreakerFlapping FailureRateHigh FailureRateCritical LevelLimited
LevelMinimal LevelEmergency LevelFlapping FallbackShareHigh HoldLong HoldMasksOutage
EvaluationStale TargetAbsent CheckStale PoolNearExhaustion"""
SECTIONS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]
COMMAND = re.compile(r"deratectl (?:--name NAME )?([a-z][a-z-]*)(?: ([a-z]+))?")
GROUPS = ("breaker", "service")


def load_cases():
    """(case, alert, all that is expected of it at its times)."""
    for path in TESTS:
        for case in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]:
            found = {}
            for wanted in case["alert_rule_test"]:
                found.setdefault(wanted["alertname"], []).append(wanted["exp_alerts"])
            for alert, wanted in found.items():
                yield case, alert, wanted


class AlertsTest(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.rules = promql.load_rules()
        cls.cases = list(load_cases())
        cls.table = promql.read_table() | promql.FOREIGN
        cls.pages = promql.load_runbooks()
        cls.index = cls.pages.pop("index")


class Rules(AlertsTest):
    def test_promtool_takes_them(self):
        status, said = promql.run("check", "rules", "--lint=all", "--lint-fatal", promql.RULES)
        self.assertEqual(status, 0, said)

    def test_all_are_there(self):
        self.assertEqual(list(self.rules), [f"Derate{name}" for name in ALERTS.split()])

    def test_each_is_whole(self):
        for name, rule in self.rules.items():
            with self.subTest(name):
                self.assertRegex(rule["for"], r"^\d+[mh]$")
                self.assertIn(rule["labels"]["severity"], ("info", "warning", "critical"))
                self.assertEqual(list(rule["annotations"]), ["summary", "description", "runbook"])
                self.assertRegex(rule["annotations"]["description"], r"\{\{ \$value\b")
                self.assertEqual(rule["annotations"]["runbook"], f"runbooks/{name}.md")

    def test_each_names_what_there_is(self):
        faults = [fault for rule in self.rules.values()
                  for fault in promql.faults_of(rule["expr"], self.table)]
        self.assertEqual(faults, [])
        shown = {name: set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
                 for name, rule in self.rules.items()}
        for name, rule in self.rules.items():
            known = promql.TARGET.union(*(self.table[series].labels for series
                                          in promql.series_of(rule["expr"])))
            self.assertLessEqual(shown[name], known, name)


class UnitTests(AlertsTest):
    def fires(self):
        """(alert, case) by name and by what is expected."""
        return {(alert, case["name"]) for case, alert, wanted in self.cases
                if re.match(rf"[\w, ]*\b{alert} fires", case["name"]) and any(wanted)}

    def is_silent(self):
        return {(alert, case["name"]) for case, alert, wanted in self.cases
                if re.match(rf"[\w, ]*\b{alert}\b[\w, ]* (is|are) silent", case["name"])
                and not any(wanted)}

    def test_they_pass(self):
        status, said = promql.run("test", "rules", *TESTS)
        self.assertEqual(status, 0, said)

    def test_each_alert_has_one_that_fires_and_one_that_is_silent(self):
        fires, silent = self.fires(), self.is_silent()
        self.assertEqual(({alert for alert, _ in fires}, {alert for alert, _ in silent}),
                         (set(self.rules), set(self.rules)))

    def test_behaviour_46_a_dead_service_does_not_flap(self):
        """Of one breaker, in one case."""
        one = {case for alert, case in self.fires() if alert == "DerateBreakerNotClosed"}
        other = {case for alert, case in self.is_silent() if alert == "DerateBreakerFlapping"}
        self.assertEqual(len(one & other), 1)

    def test_each_is_of_an_alert(self):
        """promtool is content when an alert that is not there does not fire."""
        self.assertEqual({alert for _, alert, _ in self.cases} - set(self.rules), set())

    def test_series_are_those_that_there_are(self):
        for case, _, _ in self.cases:
            for series in case["input_series"]:
                name, _, labels = series["series"].partition("{")
                self.assertIn(name, self.table)
                self.assertEqual(set(re.findall(r'(\w+)="', labels)),
                                 promql.TARGET | self.table[name].labels, series["series"])


class Runbooks(AlertsTest):
    def test_one_for_each_alert(self):
        self.assertEqual(set(self.pages), set(self.rules))

    def test_sections(self):
        for name, text in self.pages.items():
            self.assertEqual(re.findall(r"^# (.*)$", promql.BLOCK.sub("", text), re.M), [name])
            self.assertEqual(re.findall(r"^## (.*)$", text, re.M), SECTIONS, name)
            for part in re.split(r"^## .*$", text, flags=re.M)[1:]:
                self.assertGreater(len(part.strip()), 40, name)

    def test_index(self):
        rows = re.findall(r"^\| \[(\w+)\]\((\w+)\.md\) \| (\w+) \|", self.index, re.M)
        self.assertEqual(rows, [(name, name, rule["labels"]["severity"])
                                for name, rule in self.rules.items()])

    def test_inhibitions(self):
        """What the index says of Alertmanager: a worse alert silences a milder one."""
        (text,) = [block for kind, block in promql.BLOCK.findall(self.index) if kind == "yaml"]
        for rule in yaml.safe_load(text)["inhibit_rules"]:
            (source,), (target,) = (re.findall(r"Derate[\w|]+", "|".join(rule[side]))
                                    for side in ("source_matchers", "target_matchers"))
            self.assertEqual(self.rules[source]["labels"]["severity"], "critical")
            for name in re.findall(r"Derate\w+", target.replace("|", " ")):
                self.assertIn(name, self.rules)

    def test_links(self):
        for text in [*self.pages.values(), self.index]:
            for label, target in re.findall(r"\[(\w+)\]\(([^)]*)\)", text):
                self.assertEqual(target, f"{label}.md")
                self.assertIn(label, self.pages)

    def test_queries(self):
        queries = []
        for name, text in self.pages.items():
            found = promql.queries_of(text)
            self.assertGreater(len(found), 0, name)
            queries += found
        self.assertEqual(promql.check(queries), "")
        self.assertEqual([fault for query in queries
                          for fault in promql.faults_of(query, self.table)], [])

    def test_commands(self):
        """Of deratectl, by its own list of verbs."""
        shown = subprocess.run([DERATECTL], capture_output=True, text=True, check=False).stderr
        verbs = dict(re.findall(r"^  ([a-z-]+)(.*)$", shown, re.M))
        for name, text in [*self.pages.items(), ("index", self.index)]:
            commands = COMMAND.findall(text)
            self.assertGreater(len(commands), 0, name)
            for verb, word in commands:
                self.assertIn(verb, verbs, name)
                if verb in GROUPS:
                    self.assertRegex(verbs[verb], rf"\b{word}\b", name)


if __name__ == "__main__":
    taprunner.main()
