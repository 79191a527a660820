# SPDX-License-Identifier: LGPL-2.1-or-later
"""Just enough of C for house rules: text without comments and strings, and where functions are."""
import dataclasses
import re

NOISE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
COMMENT = re.compile(r"/\*.*?\*/", re.S)
NAME = re.compile(r"(\w+) \(")


@dataclasses.dataclass
class Function:
    """A definition: `lines` from its brace to its brace, `depth` of braces with its own."""

    name: str
    start: int
    lines: int
    depth: int


def blank(match):
    text = match[0]
    return "\n" * text.count("\n") if text[0] == "/" else text[0] + text[0]


def strip(text):
    """The same lines, without what is said in comments and strings."""
    return NOISE.sub(blank, text)


def functions(code):
    """Definitions in GNU style: an opening brace in the first column after a line that ends `)`."""
    lines = code.splitlines()
    start = depth = deepest = 0
    for number, line in enumerate(lines):
        if line == "{" and number and lines[number - 1].endswith(")"):
            start, depth, deepest = number, 0, 0
        if start:
            for letter in line:
                depth += (letter == "{") - (letter == "}")
                deepest = max(deepest, depth)
        if start and depth == 0:
            yield Function(name_before(lines, start), start + 1, number - start + 1, deepest)
            start = 0


def name_before(lines, number):
    for line in reversed(lines[max(0, number - 20):number]):
        found = NAME.match(line)
        if found:
            return found[1]
    return "?"
