#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""check.py [--fix]: the house rules. Each rule is one case of `N passed, N failed`."""
import re
import subprocess
import sys

import checkout
import csource

# Rooms of core, upper ones first: a room includes only what stands above it.
ROOMS = ("base", "metrics", "breaker", "fallback", "policy", "health", "degradation", "plugin",
         "config", "core", "dbus", "http")
PUBLIC_ONLY = ("plugins/", "fallbacks/", "examples/", "tools/")
TEXT_WITHOUT_SPDX = re.compile(r"(^|/)(LICENSE|.*\.(json|svg|png|ico|txt|golden))$")
# The clocks, and what must count the time while the machine sleeps.
TIME_KEEPERS = ("core/base/derate-clock.c", "core/base/derate-manual-clock.c",
                "core/degradation/derate-hold-store.c")
FILE_LINES, TEST_LINES, FUNCTION_LINES, NESTING, COLUMNS = 700, 1000, 80, 5, 100
# What cppcheck cannot know (GLib's macros, ownership, sentinels) and the compilers and sanitizers do.
CPPCHECK_BLIND = ("unknownMacro", "memleak", "leakNoVarFunctionCall", "uninitvar", "varFuncNullUB",
                  "nullPointerRedundantCheck", "nullPointerArithmeticRedundantCheck")
CPPCHECK = ["cppcheck", "--quiet", "-j2", "--enable=warning,performance,portability", "--std=c11",
            "--language=c", "--library=gtk", "--inline-suppr", "--max-configs=1", "-D__GNUC__=12",
            *(f"--suppress={name}" for name in CPPCHECK_BLIND)]


def listed():
    """The files of the repository, with those not committed yet."""
    names = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                           check=True, capture_output=True, text=True).stdout.split("\0")
    return [name for name in sorted(set(names)) if name and (checkout.ROOT / name).is_file()]


class Tree:
    """The files, read once."""

    def __init__(self, names):
        self.texts = {}
        for name in names:
            try:
                self.texts[name] = (checkout.ROOT / name).read_text(encoding="utf-8")
            except UnicodeDecodeError:
                pass
        self.c_files = [name for name in self.texts if name.endswith(".c")]
        self.headers = [name for name in self.texts if name.endswith(".h")]
        self.code = {name: csource.strip(self.texts[name]) for name in self.c_files + self.headers}

    def lines(self, name):
        return self.texts[name].splitlines()

    def grep(self, pattern, names):
        found = re.compile(pattern)
        for name in names:
            for number, line in enumerate(self.code[name].splitlines(), 1):
                if found.search(line):
                    yield f"{name}:{number}: {line.strip()}"


def output_of(command):
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    text = (done.stdout + done.stderr).strip().splitlines()
    return text or [f"{command[0]}: exit {done.returncode}"] if done.returncode else []


def check_format(tree):
    """C is as clang-format writes it"""
    return output_of(["clang-format-14", "--dry-run", "--Werror", "--ferror-limit=3", *tree.c_files])


def check_headers(tree):
    """headers: #pragma once, availability, no tab, 100 columns"""
    for name in tree.headers:
        if "#pragma once" not in tree.texts[name]:
            yield f"{name}: no #pragma once"
    for name in tree.headers + tree.c_files:
        by_hand = False  # a table that is better to read as it was typed
        for number, line in enumerate(tree.lines(name), 1):
            by_hand = by_hand and "clang-format on" not in line or "clang-format off" in line
            if "\t" in line or (len(line) > COLUMNS and not by_hand):
                yield f"{name}:{number}: a tab or more than {COLUMNS} columns"


def check_space(tree):
    """no white space at an end of line, a newline at the end of each file"""
    for name in tree.texts:
        text = tree.texts[name]
        if text and (re.search(r"[ \t]+$", text, re.M) or not text.endswith("\n")):
            yield name


def check_spdx(tree):
    """an SPDX line in each file"""
    for name in tree.texts:
        head = "\n".join(tree.lines(name)[:4])
        if not TEXT_WITHOUT_SPDX.search(name) and "SPDX-License-Identifier:" not in head:
            yield name


def check_sizes(tree):
    """files, functions and nesting stay small"""
    for name in tree.c_files:
        limit = TEST_LINES if name.startswith("tests/") else FILE_LINES
        if len(tree.lines(name)) > limit:
            yield f"{name}: {len(tree.lines(name))} lines"
        for function in csource.functions(tree.code[name]):
            if function.lines > FUNCTION_LINES or function.depth > NESTING:
                yield (f"{name}:{function.start}: {function.name}: {function.lines} lines, "
                       f"{function.depth - 1} levels of nesting")


def check_goto(tree):
    """no goto"""
    return tree.grep(r"\bgoto\b", tree.c_files + tree.headers)


def check_time(tree):
    """time comes from DerateClock"""
    library = [name for name in tree.c_files if name.startswith(("core/", "fallbacks/", "plugins/"))
               and name not in TIME_KEEPERS]
    return tree.grep(r"\bg_get_(real|monotonic)_time\b|\bg_timeout_(add|source_new)|"
                     r"\bclock_gettime\b|\bg_usleep\b|\b(us|nano)?sleep \(", library)


def room_of(path):
    parts = path.split("/")
    return parts[1] if len(parts) > 2 and parts[0] == "core" else None


def includes(tree, name):
    return re.findall(r'^#\s*include\s+["<](derate[\w.-]*\.h)[">]', tree.texts[name], re.M)


def check_rooms(tree):
    """a room includes only rooms above it; others only public headers"""
    rooms = {name.split("/")[-1]: room_of(name) for name in tree.headers if room_of(name)}
    for name in tree.c_files + tree.headers:
        room = room_of(name)
        for header in includes(tree, name):
            other = rooms.get(header)
            if room and other and ROOMS.index(other) > ROOMS.index(room):
                yield f"{name}: {room} includes {header} of {other}"
            if other and name.startswith(PUBLIC_ONLY) and header.endswith("-private.h"):
                yield f"{name}: includes the private {header} of core"


def check_shell(tree):
    """shell scripts pass shellcheck"""
    scripts = [name for name in tree.texts if re.match(r"#!.*\b(ba)?sh\b", tree.texts[name])]
    return output_of(["shellcheck", "--external-sources", *scripts])


def check_python(tree):
    """Python compiles"""
    for name in tree.texts:
        if name.endswith(".py") or re.match(r"#!.*python", tree.texts[name]):
            try:
                compile(tree.texts[name], name, "exec")
            except SyntaxError as error:
                yield str(error)


def check_meson(_tree):
    """meson has nothing to warn of"""
    folder = checkout.ROOT / "build" / "check"
    again = ["--wipe"] if (folder / "build.ninja").exists() else []
    done = subprocess.run(["meson", "setup", *again, str(folder)], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)
    lines = done.stdout.splitlines() + done.stderr.splitlines()
    return [line for line in lines if "WARNING" in line or "ERROR" in line]


def check_cppcheck(tree):
    """cppcheck finds nothing"""
    done = subprocess.run([*CPPCHECK, *tree.c_files], capture_output=True, text=True)
    return done.stderr.splitlines()


RULES = (check_format, check_headers, check_space, check_spdx, check_sizes, check_goto, check_time,
         check_rooms, check_shell, check_python, check_meson, check_cppcheck)


def fix_header(name, text):
    """Breaks long comments. clang-format would also undo the columns of prototypes."""
    formatted = subprocess.run(["clang-format-14", str(checkout.ROOT / name)], check=True,
                               capture_output=True, text=True).stdout
    comments = iter(csource.COMMENT.findall(formatted))
    (checkout.ROOT / name).write_text(csource.COMMENT.sub(lambda _match: next(comments), text),
                                      encoding="utf-8")


def fix(tree):
    subprocess.run(["clang-format-14", "-i", *tree.c_files], check=True)
    for name in tree.headers:
        if any(len(line) > COLUMNS for line in tree.lines(name)):
            fix_header(name, tree.texts[name])
    for name in check_space(tree):
        path = checkout.ROOT / name
        text = re.sub(r"[ \t]+$", "", path.read_text(encoding="utf-8"), flags=re.M)
        path.write_text(text.rstrip("\n") + "\n", encoding="utf-8")


def main():
    tree = Tree(listed())
    if "--fix" in sys.argv[1:]:
        fix(tree)
        tree = Tree(listed())
    failed = 0
    for rule in RULES:
        complaints = list(rule(tree))
        failed += bool(complaints)
        print(f"{'not ok' if complaints else 'ok'} - {rule.__doc__}", flush=True)
        for complaint in complaints[:60]:
            print(f"    {complaint}")
    print(f"{len(RULES) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
