#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Grafana's boards: what its server would refuse, what would overlap, and what Prometheus would not
understand."""
import json
import re
import subprocess
import unittest

import promql
import taprunner
from promql import BUILT_IN, VARIABLE, fill

WRITER = promql.ROOT / "scripts" / "dev" / "boards.py"
NAMES = ["breakers", "database", "fallbacks", "levels"]
VARIABLES = ["datasource", "prefix", "label", "job", "instance"]
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
COLUMNS = 24
# What the mapping of a panel shows for each value.
STATES = {"0": ("CLOSED", "green"), "1": ("OPEN", "red"), "2": ("HALF_OPEN", "yellow")}


class Boards(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.boards = promql.load_boards()
        cls.table = promql.read_table()

    def panels(self):
        for name, board in self.boards.items():
            for panel in board["panels"]:
                yield f"{name}: {panel['title']}", panel

    def panel(self, board, title):
        return next(panel for panel in self.boards[f"derate-{board}"]["panels"]
                    if panel["title"] == title)

    def expressions(self):
        return [ask["expr"] for board in self.boards.values() for ask in promql.asks_of(board)]

    def test_they_are_as_written(self):
        done = subprocess.run(["/usr/bin/python3", str(WRITER), "--check"], capture_output=True,
                              text=True, check=False)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_behaviour_47_title_and_uid(self):
        self.assertEqual(list(self.boards), [f"derate-{name}" for name in NAMES])
        for name, board in self.boards.items():
            self.assertIsNone(board["id"])
            self.assertTrue(0 < len(board["title"]) < 100)
            self.assertEqual(board["uid"], name)
            self.assertTrue(8 <= len(board["uid"]) <= 40)
            self.assertGreaterEqual(board["schemaVersion"], 36)
            self.assertNotIn("dashboard", board)
        self.assertEqual(len({board["title"] for board in self.boards.values()}), len(NAMES))

    def test_panels_are_whole(self):
        for title, panel in self.panels():
            self.assertTrue(panel["type"], title)
            self.assertGreater(len(panel["title"]), 3, title)
            self.assertEqual(set(panel["fieldConfig"]), {"defaults", "overrides"}, title)
            self.assertNotEqual(panel["options"], {}, title)
            self.assertGreater(len(panel["targets"]), 0, title)
            thresholds = panel["fieldConfig"]["defaults"].get("thresholds")
            if thresholds:
                first, *values = [step["value"] for step in thresholds["steps"]]
                self.assertEqual((first, values), (None, sorted(values)), title)

    def test_behaviour_47_no_panels_overlap(self):
        for name, board in self.boards.items():
            ids = [panel["id"] for panel in board["panels"]]
            self.assertEqual(len(set(ids)), len(ids), name)
            taken = {}
            for panel in board["panels"]:
                place = panel["gridPos"]
                self.assertTrue(1 <= place["w"] <= COLUMNS and place["h"] > 0, panel["title"])
                self.assertTrue(0 <= place["x"] <= COLUMNS - place["w"] and place["y"] >= 0,
                                panel["title"])
                for x in range(place["x"], place["x"] + place["w"]):
                    for y in range(place["y"], place["y"] + place["h"]):
                        other = taken.setdefault((x, y), panel["title"])
                        self.assertIs(other, panel["title"], f"{name}: {other}")

    def test_all_ask_the_chosen_source(self):
        for name, board in self.boards.items():
            queries = [variable for variable in board["templating"]["list"]
                       if variable["type"] == "query"]
            for thing in (*board["panels"], *promql.asks_of(board), *queries):
                self.assertEqual(thing["datasource"], SOURCE, name)
            for panel in board["panels"]:
                refs = [target["refId"] for target in panel["targets"]]
                self.assertEqual(len(set(refs)), len(refs), panel["title"])

    def test_variables(self):
        for name, board in self.boards.items():
            names = [variable["name"] for variable in board["templating"]["list"]]
            more = ["breaker"] if name == "derate-breakers" else []
            self.assertEqual(names, VARIABLES + more)
            used = {word for word in VARIABLE.findall(json.dumps(board)) if not word.isdigit()}
            self.assertEqual(used - set(names) - set(BUILT_IN), {"__all"}, name)
            self.assertLessEqual(set(VARIABLES), used, name)

    def test_behaviour_47_expressions_parse(self):
        self.assertEqual(promql.check([fill(text) for text in self.expressions()]), "")

    def test_they_name_what_there_is(self):
        self.assertEqual([fault for text in self.expressions()
                          for fault in promql.faults_of(fill(text), self.table)], [])

    def test_legends(self):
        """Each names labels that the series of its expression have."""
        for title, panel in self.panels():
            for target in panel["targets"]:
                expression = fill(target["expr"])
                known = promql.TARGET.union(*(
                    self.table[promql.family_of(series, self.table)].labels
                    for series in promql.series_of(expression)))
                shown = set(re.findall(r"\{\{(\w+)\}\}", fill(target["legendFormat"])))
                self.assertLessEqual(shown, known, title)

    def test_prefix_and_label(self):
        """They reach every metric, and the label of breakers wherever one is named."""
        for text in self.expressions():
            series = promql.series_of(fill(text, prefix="shop_"))
            self.assertTrue(all(name.startswith("shop_") for name in series), text)
            if all(name.startswith("shop_circuit_breaker_") for name in series):
                self.assertNotIn("name", promql.labels_of(fill(text, label="component")), text)

    def test_what_was_asked_for(self):
        """The formulas and colours that others rely on."""
        mappings = self.panel("breakers", "State")["fieldConfig"]["defaults"]["mappings"]
        self.assertEqual({value: (shown["text"], shown["color"])
                          for value, shown in mappings[0]["options"].items()}, STATES)
        for board, title, kind, part in (
                ("breakers", "State over time", "state-timeline", "circuit_breaker_state"),
                ("breakers", "Openings over time", "heatmap", 'from="closed", to="open"'),
                ("breakers", "Share of the last hour open", "timeseries", "== bool 1)[1h:15s])"),
                ("database", "Pool use", "stat", "/ ignoring (state, status)")):
            panel = self.panel(board, title)
            self.assertEqual(panel["type"], kind)
            self.assertIn(part, panel["targets"][0]["expr"])

    def test_marks(self):
        for board in self.boards.values():
            self.assertEqual([mark["name"] for mark in board["annotations"]["list"]],
                             ["Opened", "Closed", "Level"])


if __name__ == "__main__":
    taprunner.main()
