# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a PromQL expression names, beside the table of the metrics that there are."""
import csv
import dataclasses
import json
import pathlib
import re
import subprocess
import tempfile

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = ROOT / "data" / "prometheus" / "derate.rules.yml"
RUNBOOKS = ROOT / "data" / "runbooks"
BOARDS = ROOT / "data" / "grafana"
SUFFIXES = ("_bucket", "_sum", "_count")
# Labels that Prometheus adds, or that every histogram has.
TARGET = {"job", "instance"}
OPERATORS = {"and", "or", "unless", "bool", "offset"}
STRING = re.compile(r'"(?:\\.|[^"\\])*"')
MATCHERS = re.compile(r"\{([^{}]*)\}")
GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^()]*)\)")
RANGE = re.compile(r"\[[^\]]*\]")
# Grafana's variables, and those that it puts in by itself.
VARIABLE = re.compile(r"\$\{?(\w+)\}?")
BUILT_IN = {"__rate_interval": "5m", "__range": "6h"}
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
WORD = re.compile(r"\b[a-zA-Z_:][\w:]*\b(?!\s*\()")


@dataclasses.dataclass
class Metric:
    type: str
    labels: frozenset
    when: str


# What every Prometheus has of each target.
FOREIGN = {"up": Metric("gauge", frozenset(), "always")}


def read_table():
    """The metrics of metrics.tsv by name."""
    path = pathlib.Path(__file__).with_name("metrics.tsv")
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line[0] != "#"]
    rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    return {row["metric"]: Metric(row["type"], frozenset(filter(None, row["labels"].split(","))),
                                  row["when"]) for row in rows}


def load_rules():
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def load_boards():
    return {path.stem: json.loads(path.read_text(encoding="utf-8"))
            for path in sorted(BOARDS.glob("*.json"))}


def load_runbooks():
    return {path.stem: path.read_text(encoding="utf-8") for path in RUNBOOKS.glob("*.md")}


def asks_of(board):
    """Everything of a board that asks Prometheus."""
    for panel in board["panels"]:
        yield from panel["targets"]
    yield from board["annotations"]["list"]


def queries_of(page):
    """The expressions that a runbook gives."""
    return [line for kind, block in BLOCK.findall(page) if kind == "promql"
            for line in block.splitlines()]


def shipped():
    """All expressions of rules, boards and runbooks."""
    yield from (rule["expr"] for rule in load_rules().values())
    yield from (fill(ask["expr"]) for board in load_boards().values() for ask in asks_of(board))
    yield from (query for page in load_runbooks().values() for query in queries_of(page))


def family_of(series, table):
    """The metric to which a series belongs: a histogram has three."""
    for suffix in SUFFIXES:
        base = series.removesuffix(suffix)
        if base != series and base in table and table[base].type == "histogram":
            return base
    return series


def series_of(expression):
    """The names of the series that an expression reads."""
    bare = GROUPING.sub(" ", RANGE.sub(" ", MATCHERS.sub(" ", STRING.sub('""', expression))))
    return {word for word in WORD.findall(bare) if word not in OPERATORS}


def labels_of(expression):
    """The labels that an expression names, in matchers and groupings."""
    bare = STRING.sub('""', expression)
    found = {re.match(r"\s*(\w+)", part)[1] for matchers in MATCHERS.findall(bare)
             for part in matchers.split(",") if part.strip()}
    found |= {word.strip() for words in GROUPING.findall(bare) for word in words.split(",")}
    return found - {""}


def faults_of(expression, table):
    """What an expression names that is not there."""
    series = series_of(expression) - FOREIGN.keys()
    families = {family_of(name, table) for name in series}
    faults = [f"no metric {name}" for name in families - set(table)]
    labels = TARGET.union(*(table[name].labels for name in families if name in table))
    if any(name.endswith("_bucket") for name in series):
        labels |= {"le"}
    if "__name__" not in labels_of(expression):
        faults += [f"no label {name}" for name in labels_of(expression) - labels]
    return [f"{fault}: {expression}" for fault in sorted(faults)]


def fill(text, label="name", prefix=""):
    """What Prometheus gets of an expression of a board."""
    values = {**BUILT_IN, "prefix": prefix, "label": label, "breaker": ".*", "job": ".*",
              "instance": ".*", "1": "$1"}
    return VARIABLE.sub(lambda found: values[found[1]], text)


def run(*words, **options):
    """promtool; gives its exit status and what it said."""
    done = subprocess.run(["promtool", *map(str, words)], text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    return done.returncode, done.stdout


def check(expressions):
    """Gives what promtool says against expressions, each wrapped as a recording rule."""
    rules = [{"record": f"expression:{number}", "expr": expression}
             for number, expression in enumerate(expressions)]
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        json.dump({"groups": [{"name": "expressions", "rules": rules}]}, file)
        file.flush()
        status, said = run("check", "rules", "--lint=none", file.name)
    return said if status else ""


def read_scrape(text):
    """(type, label names of its series) of each family of an exposition."""
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    found = {name: (kind, set()) for name, kind in types.items()}
    for series, labels in re.findall(r"^([a-zA-Z_:][\w:]*)(\{.*\})? ", text, re.M):
        suffix = next((end for end in SUFFIXES if series.endswith(end)
                       and types.get(series.removesuffix(end)) == "histogram"), "")
        names = set(re.findall(r"(\w+)=", STRING.sub('""', labels))) - ({"le"} if suffix else set())
        found[series.removesuffix(suffix)][1].add(frozenset(names))
    return found
