#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""test-scrape.py PROGRAM: what others read of our expositions is what was meant: promtool, the
parsers of Prometheus's Python client, and a Prometheus that scrapes. In a locale with a decimal
comma, too."""
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

import taprunner
from private_servers.prometheus import Prometheus
from prometheus_client import openmetrics, parser
import prometheus_client.openmetrics.parser

PROGRAM = sys.argv[1]
FORMATS = ("text", "openmetrics")

TEXTS = ["plain", "", 'q"uote', "back\\slash", "line\nfeed", "\\n", "ends in \\", "}, {", '="', " # {",
         "café", "😀", "tab\t"]
VALUES = {"nan": math.nan, "inf": math.inf, "minus-inf": -math.inf, "tenth": 0.1, "tiny": 5e-324,
          "huge": 1e300, "minus": -2.5, "third": 1 / 3, "large": 123456789.0, "micro": 1e-06,
          "time": 1763720000.123456}
BOUNDS = {"1e-05": 1, "0.1": 1, "1.0": 2, "10.0": 2, "100000.0": 2, "1e+06": 2, "+Inf": 3}
HELP = 'Help with "quotes", a back\\slash, \\n and\na line 😀'
LOCALE = "de_DE.UTF-8"


def make_locale():
    """Gives a folder with a locale that writes 0,1; it need not be installed."""
    folder = tempfile.TemporaryDirectory(prefix="derate-locale-")
    subprocess.run(["localedef", "--no-archive", "-i", "de_DE", "-f", "UTF-8",
                    str(pathlib.Path(folder.name) / LOCALE)], check=True, capture_output=True)
    return folder


def render(form, **environment):
    done = subprocess.run([PROGRAM, form], check=True, capture_output=True, text=True,
                          env={**os.environ, **environment})
    return done.stdout


def parse(form, text):
    """The families by name. The parser of the old format knows a counter without its _total, too."""
    if form == "text":
        families = parser.text_string_to_metric_families(text)
    else:
        families = openmetrics.parser.text_string_to_metric_families(text)
    return {family.name: family for family in families}


def same(one, other):
    return one == other or (math.isnan(one) and math.isnan(other))


class Exposition(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.texts = {form: render(form) for form in FORMATS}
        cls.families = {form: parse(form, text) for form, text in cls.texts.items()}

    def test_behaviour_35_labels_and_help(self):
        for form in FORMATS:
            with self.subTest(form):
                family = self.families[form]["odd_texts"]
                self.assertEqual((family.type, family.documentation), ("counter", HELP))
                self.assertEqual([(s.name, s.labels, s.value) for s in family.samples],
                                 [("odd_texts_total", {"text": text, "index": str(i)}, i + 1)
                                  for i, text in enumerate(TEXTS)])

    def test_trap_22_nothing_is_injected(self):
        for form in FORMATS:
            with self.subTest(form):
                lines = self.texts[form].split("\n")
                self.assertEqual(len([line for line in lines if line.startswith("odd_texts")]),
                                 len(TEXTS))
                self.assertTrue(all(line.startswith(("# ", *self.families[form])) for line
                                    in lines[:-1]))
                self.assertEqual(lines[-1], "")

    def test_behaviour_35_values(self):
        for form in FORMATS:
            with self.subTest(form):
                found = {s.labels["value"]: s.value
                         for s in self.families[form]["odd_values_seconds"].samples}
                self.assertEqual(found.keys(), VALUES.keys())
                for name, value in VALUES.items():
                    self.assertTrue(same(found[name], value), (name, found[name]))

    def test_behaviour_37_bounds(self):
        for form in FORMATS:
            with self.subTest(form):
                samples = self.families[form]["odd_bounds_seconds"].samples
                self.assertEqual({s.labels["le"]: s.value for s in samples if "le" in s.labels},
                                 BOUNDS)
                self.assertEqual({s.name[-6:]: s.value for s in samples if "le" not in s.labels},
                                 {"ds_sum": 2000000.250005, "_count": 3})

    def test_units_and_exemplars(self):
        families = self.families["openmetrics"]
        self.assertEqual(families["odd_values_seconds"].unit, "seconds")
        self.assertEqual(families["odd_texts"].unit, "")
        self.assertEqual([s.exemplar.labels["trace_id"] for s in families["odd_texts"].samples],
                         ["-" if "{" in text else text for text in TEXTS])
        exemplars = {s.labels["le"]: s.exemplar for s in families["odd_bounds_seconds"].samples
                     if s.exemplar}
        self.assertEqual({le: (e.labels["trace_id"], e.value) for le, e in exemplars.items()},
                         {"1e-05": ("first", 5e-06), "+Inf": ('far "away"', 2e6)})
        for exemplar in exemplars.values():
            self.assertLess(abs(float(exemplar.timestamp) - time.time()), 600)

    def test_below_zero(self):
        """OpenMetrics forbids a sum of values that may be negative."""
        names = {form: {s.name for s in self.families[form]["odd_negative"].samples}
                 for form in FORMATS}
        self.assertEqual(names["text"], {"odd_negative_bucket", "odd_negative_sum",
                                         "odd_negative_count"})
        self.assertEqual(names["openmetrics"], {"odd_negative_bucket"})

    def test_both_formats_say_the_same(self):
        """But for what goes on: the process's own numbers, and times."""
        self.assertEqual(self.families["text"].keys(), self.families["openmetrics"].keys())
        for name, family in self.families["text"].items():
            other = self.families["openmetrics"][name]
            self.assertEqual((family.type, family.documentation),
                             (other.type, other.documentation), name)
            if name.startswith("process_") or "_seconds" in name or "negative" in name:
                continue
            self.assertEqual([(s.name, s.labels) for s in family.samples],
                             [(s.name, s.labels) for s in other.samples])
            for one, two in zip(family.samples, other.samples):
                self.assertTrue(same(one.value, two.value), one)

    def test_promtool(self):
        """Nothing to complain of but the names that are odd on purpose, which it does not see."""
        done = subprocess.run(["promtool", "check", "metrics"], input=self.texts["text"], text=True,
                              capture_output=True)
        self.assertEqual((done.returncode, done.stdout + done.stderr),
                         (3, "odd_values_seconds no help text\n"))

    def test_behaviour_37_decimal_comma(self):
        with make_locale() as folder:
            comma = subprocess.run(["locale", "-k", "decimal_point"], check=True, text=True,
                                   capture_output=True,
                                   env={**os.environ, "LOCPATH": folder, "LC_ALL": LOCALE}).stdout
            self.assertEqual(comma, 'decimal_point=","\n')
            for form in FORMATS:
                text = render(form, LOCPATH=folder, LC_ALL=LOCALE)
                here, there = ([line for line in lines.splitlines() if line.startswith("odd_")
                                and " # " not in line] for lines in (self.texts[form], text))
                self.assertEqual(here, there)
                self.assertEqual(parse(form, text).keys(), self.families[form].keys())


class Scraped(unittest.TestCase):
    """By Prometheus, which asks for OpenMetrics and gzip."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="derate-test-")
        folder = pathlib.Path(cls.folder.name)
        cls.program = subprocess.Popen([PROGRAM, "serve"], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, text=True)
        cls.prometheus = Prometheus(folder, folder, cls.program.stdout.readline().strip(), [])
        try:
            cls.prometheus.prepare()
            cls.prometheus.start()
            cls.wait_for_scrape()
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def tearDownClass(cls):
        cls.prometheus.stop()
        cls.program.communicate()
        cls.folder.cleanup()

    @classmethod
    def wait_for_scrape(cls):
        end = time.monotonic() + 60
        while True:
            (target,) = cls.prometheus.ask("targets")["activeTargets"] or [{"health": "unknown"}]
            if target["health"] != "unknown":
                break
            if time.monotonic() > end:
                raise AssertionError("no scrape in 30 s")
            time.sleep(0.1)
        if target["health"] != "up":
            raise AssertionError(target["lastError"])

    def ask(self, query):
        return [(row["metric"], float(row["value"][1]))
                for row in self.prometheus.ask("query", query=query)["result"]]

    def test_behaviour_35_labels(self):
        found = {labels["index"]: (labels.get("text", ""), value)
                 for labels, value in self.ask("odd_texts_total")}
        self.assertEqual(found, {str(i): (text, i + 1) for i, text in enumerate(TEXTS)})

    def test_behaviour_35_values(self):
        found = {labels["value"]: value for labels, value in self.ask("odd_values_seconds")}
        self.assertEqual(found.keys(), VALUES.keys())
        for name, value in VALUES.items():
            self.assertTrue(same(found[name], value), (name, found[name]))

    def test_behaviour_37_bounds(self):
        found = {labels["le"]: value for labels, value in self.ask("odd_bounds_seconds_bucket")}
        self.assertEqual(found, BOUNDS)

    def test_metadata(self):
        """It has understood types, help and units as OpenMetrics has them."""
        found = self.prometheus.ask("metadata")
        self.assertEqual(found["odd_texts"], [{"type": "counter", "help": HELP, "unit": ""}])
        self.assertEqual(found["odd_bounds_seconds"],
                         [{"type": "histogram", "help": "Bounds.", "unit": "seconds"}])


if __name__ == "__main__":
    taprunner.main()
