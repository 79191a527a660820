#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every program of the guides is compiled and run as written, and prints what stands below it.

In docs/guides, a block of C or Python is a whole program, and the block of text after it is what it
prints. One that is a file of the tree has the line `<!-- path -->` above it and is that file, whole.
The tables of settings, errors and numbers are compared with the library.
"""
import json
import pathlib
import re
import sys
import unittest

from shop import Shop
from stage import Stage
import taprunner

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = sys.argv[1]
COMPILER = sys.argv[2:]
GUIDES = sorted((ROOT / "docs/guides").glob("*.md"))
BLOCK = re.compile(r"^(?:<!-- (?P<file>[\w./-]+) -->\n)?```(?P<language>\w+)\n(?P<text>.*?)^```$",
                   re.DOTALL | re.MULTILINE)
# What it prints is asked of the library itself.
ASK = """
import json
import gi
gi.require_version("Derate", "1")
from gi.repository import Derate
def is_default(key, value):
    config = Derate.BreakerConfig.new()
    config.set_from_string(key, value)
    return config.equal(Derate.BreakerConfig.new())
core = Derate.Core.new("docs", None)
Derate.Core.set_default(core)
Derate.circuit_breaker("backend", fallback=0, slow_call_duration=1)(next)(iter(()))
print(json.dumps(%s))
"""


# Prints each property of a pool, and its default as GObject writes it.
POOL = """
#include <derate-postgresql.h>

int
main (void)
{
  g_autoptr (GTypeClass) klass = g_type_class_ref (DERATE_TYPE_PG_POOL);
  guint n;
  g_autofree GParamSpec **specs = g_object_class_list_properties ((GObjectClass *)klass, &n);

  for (guint i = 0; i < n; i++)
    {
      g_autofree char *text =
          g_strdup_value_contents (g_param_spec_get_default_value (specs[i]));

      g_print ("%s %s\\n", specs[i]->name, text);
    }
  return 0;
}
"""
NO_SETTINGS = {"name", "uri", "password", "clock", "breaker", "write-mode"}
UNITS = {"ms": 1000, "s": 1000000, "min": 60000000}


class Block:
    def __init__(self, guide, found):
        self.language, self.text, self.file = found["language"], found["text"], found["file"]
        self.line = guide.count("\n", 0, found.start("text"))


def read_blocks(path):
    guide = path.read_text(encoding="utf-8")
    return [Block(guide, found) for found in BLOCK.finditer(guide)]


def rows(text, heading):
    """The cells of the table below a heading."""
    part = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE).group(1)
    lines = [line for line in part.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def codes(cell):
    return re.findall("`([^`]+)`", cell)


class GuidesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stage = Stage(BUILD, COMPILER)
        cls.shop = Shop()
        cls.stage.environment.update(cls.shop.environment())

    @classmethod
    def tearDownClass(cls):
        cls.shop.end()
        cls.stage.cleanup()

    def ask(self, expression):
        done = self.stage.run_python("-c", ASK % expression)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def run_program(self, block):
        source = self.stage.top / {"c": "program.c", "python": "program.py"}[block.language]
        source.write_text(block.text, encoding="utf-8")
        if block.language == "python":
            return self.stage.run_python(source)
        package = "derate-postgresql-1" if "<derate-postgresql.h>" in block.text else "derate-1"
        self.stage.compile(source, "program", package)
        return self.stage.run(self.stage.top / "program")

    def check_program(self, block, output):
        done = self.run_program(block)
        # g_test's comments have a random seed.
        printed = "".join(line for line in done.stdout.splitlines(keepends=True)
                          if not line.startswith("# "))
        self.assertEqual((done.returncode, printed), (0, output), done.stderr)

    def test_blocks_are_closed(self):
        for path in GUIDES:
            fences = re.findall("^```", path.read_text(encoding="utf-8"), re.MULTILINE)
            self.assertEqual(len(fences), 2 * len(read_blocks(path)), path.name)

    def test_files_are_shown_as_they_are(self):
        shown = set()
        for path in GUIDES:
            for block in read_blocks(path):
                if block.file:
                    text = (ROOT / block.file).read_text(encoding="utf-8")
                    self.assertEqual(block.text, text, f"{path.name}:{block.line}")
                    shown.add(block.file)
        small = {str(file.relative_to(ROOT)) for pattern in ("*.c", "python/*.py")
                 for file in (ROOT / "examples").glob(pattern)}
        self.assertEqual(small - shown, {"examples/hello-degradation.c"})

    def test_configuration(self):
        count = 0
        for path in GUIDES:
            for block in read_blocks(path):
                if block.language == "ini":
                    count += 1
                    file = self.stage.top / "guide.conf"
                    file.write_text(block.text, encoding="utf-8")
                    done = self.stage.run(self.stage.prefix / "bin/deratectl", "check-config", file)
                    self.assertEqual(done.returncode, 0, f"{path.name}:{block.line}: {done.stderr}")
        self.assertGreater(count, 0)

    def test_every_symbol_is_there(self):
        headers = "".join(file.read_text(encoding="utf-8") for file in
                          (self.stage.prefix / "include/derate-1").iterdir())
        template = (ROOT / "data/dbusmock/derate.py").read_text(encoding="utf-8")
        alerts = {file.stem for file in (ROOT / "data/runbooks").glob("*.md")}
        known = alerts | set(re.findall(r"\w+", headers + template))
        for path in GUIDES:
            text = BLOCK.sub("", path.read_text(encoding="utf-8"))
            named = set(re.findall(r"\b(?:derate|DERATE)_\w+|\bDerate[A-Z]\w+", text))
            self.assertEqual(named - known, set(), path.name)

    def test_links(self):
        for path in GUIDES:
            for link in re.findall(r"\]\(([^)#:]+)[^):]*\)", path.read_text(encoding="utf-8")):
                self.assertTrue((path.parent / link).exists(), f"{path.name}: {link}")

    def test_pool_settings(self):
        """The table has every property of a pool that is a setting, with its default."""
        text = (ROOT / "docs/guides/postgresql-pool.md").read_text(encoding="utf-8")
        source = self.stage.top / "pool.c"
        source.write_text(POOL, encoding="utf-8")
        self.stage.compile(source, "pool", "derate-postgresql-1")
        there = dict(line.split(" ", 1) for line in self.stage.run(
            self.stage.top / "pool").stdout.splitlines())
        told = {}
        for name, default, *_ in rows(text, "Settings"):
            number, _, unit = default.partition(" ")
            told[codes(name)[0]] = str(int(number) * UNITS[unit]) if unit else number
        # An enum is written as ((DeratePgReset) DERATE_PG_RESET_LIGHT).
        self.assertEqual(told, {name: default.rpartition("_")[2].strip(")").lower()
                                if default.startswith("((") else default
                                for name, default in there.items() if name not in NO_SETTINGS})

    def test_settings(self):
        """The table has every key of the library, each with its default and its getter."""
        text = (ROOT / "docs/guides/circuit-breaker.md").read_text(encoding="utf-8")
        source = (ROOT / "core/breaker/derate-breaker-config-parse.c").read_text(encoding="utf-8")
        table = rows(text, "Settings")
        keys = [codes(row[0])[0] for row in table]
        self.assertEqual(sorted(keys), sorted(set(re.findall(r'^  \{ "([a-z-]+)", KIND_', source,
                                                             re.MULTILINE))))
        defaults = [(key, row[1].strip("`")) for key, row in zip(keys, table) if row[1][0] == "`"]
        self.assertGreater(len(defaults), 10)
        asked = self.ask(f"[[key, is_default(key, value)] for key, value in {defaults!r}]")
        self.assertEqual([key for key, right in asked if not right], [])

    def test_errors(self):
        """The reasons stand beside the codes that Python maps them to."""
        text = (ROOT / "docs/guides/circuit-breaker.md").read_text(encoding="utf-8")
        pairs = [(codes(row[0])[0].removeprefix("DERATE_ERROR_"), codes(row[1])[0])
                 for row in rows(text, "When it refuses") if codes(row[1])]
        self.assertGreater(len(pairs), 3)
        reasons = self.ask("{name: Derate.CircuitBreakerError('', getattr(Derate.Error, name)).reason"
                           f" for name in {[name for name, _ in pairs]!r}}}")
        self.assertEqual(reasons, dict(pairs))

    def test_numbers(self):
        text = (ROOT / "docs/guides/circuit-breaker.md").read_text(encoding="utf-8")
        named = {name for row in rows(text, "Numbers") for name in codes(row[0])}
        exposed = self.ask("core.get_metrics().render()")
        families = set(re.findall(r"^# TYPE (circuit_breaker_\w+)", exposed, re.MULTILINE))
        self.assertEqual(named, families)


def add_programs():
    for path in GUIDES:
        blocks = read_blocks(path)
        for number, block in enumerate(blocks):
            if block.language not in ("c", "python"):
                continue
            output = blocks[number + 1] if number + 1 < len(blocks) else None

            def test(self, block=block, output=output, path=path):
                place = f"{path.name}:{block.line}"
                self.assertTrue(output and output.language == "text", f"{place}: no output below")
                self.check_program(block, output.text)
            name = pathlib.Path(block.file).stem if block.file else f"line {block.line}"
            setattr(GuidesTest, f"test_program {path.stem} {block.language} {name}", test)


if __name__ == "__main__":
    add_programs()
    taprunner.main()
