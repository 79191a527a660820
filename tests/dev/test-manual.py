#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""test-manual.py DERATECTL: the manual pages, the completions and the parsers know the same verbs,
options, groups and keys."""
import functools
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import taprunner

DERATECTL = sys.argv[1]
ROOT = pathlib.Path(__file__).parents[2]
MANUAL = ROOT / "data/man"

ESCAPES = ((r"\-", "-"), (r"\fI", ""), (r"\fR", ""), (r"\fB", ""), (r"\ ", " "))
TAG = re.compile(r"^\.TP(?: \d+)?\n(?:\.([BIR]+) )?(.*)$", re.MULTILINE)


def plain(text):
    for escape, character in ESCAPES:
        text = text.replace(escape, character)
    return text


def sections(name, level):
    """(heading, text) of each section of a page, up to the next heading."""
    text = (MANUAL / name).read_text(encoding="utf-8")
    parts = re.split(r"^\.(SH|SS) (.*)$", text, flags=re.MULTILINE)[1:]
    for kind, heading, body in zip(parts[::3], parts[1::3], parts[2::3]):
        if kind == level:
            yield plain(heading), body


def tags(body):
    """What is described there: the line behind each .TP, without its fonts."""
    for macro, text in TAG.findall(body):
        words = [quoted or word for quoted, word in re.findall(r'"([^"]*)"|(\S+)', text)]
        # In a macro of two fonts they alternate, with nothing between the words.
        yield plain(("" if len(macro) == 2 else " ").join(words))


def options_of(body):
    return {option for tag in tags(body) for option in re.findall(r"--[a-z-]+", tag)}


def ask(*words):
    """What deratectl offers behind those words, without its descriptions."""
    done = subprocess.run([DERATECTL, "complete", "--address", "unix:path=/nonexistent", *words],
                          capture_output=True, text=True, check=True)
    return [line.partition("\t")[0] for line in done.stdout.splitlines()]


@functools.cache
def list_verbs():
    """Each verb with its group, such as "breaker trip"."""
    verbs = []
    for verb in ask(""):
        usage = run_help(verb)[0]
        inner = [] if usage else ask(verb, "")
        verbs += [f"{verb} {word}" for word in inner] if inner else [verb]
    return verbs


def run_help(*words):
    """The usage and the options that GOption tells of a verb; a group has no usage."""
    done = subprocess.run([DERATECTL, *words, "--help"], capture_output=True, text=True, check=False,
                          env={**os.environ, "LC_ALL": "C.UTF-8"})
    usage = done.stdout.splitlines()[1].strip() if done.returncode == 0 else ""
    return usage, set(re.findall(r"^  (?:-\w, )?(--[a-z-]+)", done.stdout, re.MULTILINE))


def globals_of():
    return set(ask("--")) - {"--watch", "--version"}


class Deratectl(unittest.TestCase):
    maxDiff = None

    def test_each_verb_has_a_section(self):
        found = [" ".join(re.findall(r"^[a-z-]+(?: [a-z-]+(?= |$))?", heading))
                 for heading, _ in sections("deratectl.1", "SS")]
        self.assertEqual(sorted(found), sorted(list_verbs()))
        self.assertGreater(len(found), 14)

    def test_each_verb_has_its_options(self):
        for heading, body in sections("deratectl.1", "SS"):
            verb = re.match(r"[a-z-]+(?: [a-z-]+(?= |$))?", heading)[0]
            with self.subTest(verb=verb):
                self.assertEqual(options_of(body), set(ask(*verb.split(), "--")) - globals_of())

    def test_options_before_the_verb(self):
        (body,) = [body for heading, body in sections("deratectl.1", "SH") if heading == "OPTIONS"]
        self.assertEqual(options_of(body), set(ask("--")))

    def test_completions_are_what_the_parser_takes(self):
        self.assertEqual(run_help()[1], set(ask("--")))
        for verb in list_verbs():
            with self.subTest(verb=verb):
                self.assertEqual(run_help(*verb.split())[1], set(ask(*verb.split(), "--")))

    def test_words_of_each_usage_can_be_completed(self):
        """A word in a usage is of a kind that completions know, or the words themselves."""
        known = {"BREAKER", "FILE", "ID", "LEVEL", "SERVICE"}
        for verb in list_verbs():
            usage = run_help(*verb.split())[0].removeprefix("Usage:").strip()
            words = usage.removeprefix(f"deratectl {verb}").removeprefix(" [OPTION…]")
            first = re.match(r" ([A-Z]+)(?= |$)", words)
            with self.subTest(verb=verb, usage=usage):
                self.assertTrue(first is None or first[1] in known)


def read_source(path):
    return (ROOT / "core" / path).read_text(encoding="utf-8")


def keys_in(text):
    """The keys in a table of fields."""
    return set(re.findall(r'(?:\.key = |(?:DURATION|UINT|DOUBLE|WORD) \()"([a-z-]+)"', text))


def schema():
    """The keys of each group, as the tables in the source have them."""
    source = read_source("config/derate-config-schema.c")
    arrays = {name: keys_in(body) for name, body in
              re.findall(r"static const Field (\w+)\[\] = \{(.*?)\n\};", source, re.DOTALL)}
    groups = {}
    for entry in re.findall(r"\{ \.word = .*?\}", source, re.DOTALL):
        word = re.search(r'\.word = "(\w+)"', entry)[1]
        groups[word] = set(arrays[re.search(r"FIELDS \((\w+)\)", entry)[1]])
    properties = set(re.findall(r'^  \{ "([a-z-]+)", KIND_',
                                read_source("breaker/derate-breaker-config-parse.c"), re.MULTILINE))
    checks = set(re.findall(r'^  \{ "(check-[a-z-]+)", parse_',
                            read_source("health/derate-health-check-config.c"), re.MULTILINE))
    groups["breaker"] |= properties | arrays["breaker_extra_fields"]
    groups["service"] |= checks | {"check-KEY", "breaker-KEY"}
    return groups


class Configuration(unittest.TestCase):
    maxDiff = None

    def groups(self):
        for heading, body in sections("derate.conf.5", "SS"):
            if heading.startswith("["):
                keys = [tag.partition("=")[0].replace(" ", "") for tag in tags(body)]
                self.assertEqual(len(keys), len(set(keys)), f"{heading}: a key twice")
                yield heading.strip("[]").split()[0], set(keys)

    def test_each_group_has_its_keys(self):
        found, known = dict(self.groups()), schema()
        self.assertEqual(sorted(found), sorted(known))
        for group, keys in found.items():
            with self.subTest(group=group):
                self.assertEqual(sorted(keys), sorted(known[group]))
        self.assertGreater(sum(len(keys) for keys in known.values()), 70)

    def complaint(self, group, key):
        named = group not in ("derate", "http", "dbus")
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as config:
            config.write(f"[{group}{' x' if named else ''}]\n{key}=\x01\n")
            config.flush()
            done = subprocess.run([DERATECTL, "check-config", config.name], capture_output=True,
                                  text=True, check=False)
        return done.stderr

    def test_the_parser_knows_each_key(self):
        for group, keys in self.groups():
            self.assertIn("no such key", self.complaint(group, "no-such-key")
                          if group != "fallback" else "no such key")
            for key in sorted(keys):
                with self.subTest(group=group, key=key):
                    self.assertNotIn("no such key", self.complaint(group, key.replace("KEY", "rise")
                                                               if key == "check-KEY" else
                                                               key.replace("KEY", "window")))


class Pages(unittest.TestCase):
    def test_they_are_well_formed(self):
        pages = sorted(MANUAL.glob("*.[1-8]"))
        self.assertGreater(len(pages), 2)
        for page in pages:
            done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z", str(page)],
                                  capture_output=True, text=True, check=False)
            self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""), page.name)

    def test_they_are_installed(self):
        text = (MANUAL / "meson.build").read_text(encoding="utf-8")
        for page in MANUAL.glob("*.[1-8]"):
            self.assertIn(f"'{page.name}'", text)


if __name__ == "__main__":
    taprunner.main()
