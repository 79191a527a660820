#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""bench.py NAME [--tsv]: runs a program of tests/bench and its peers, and judges the budgets.

Times differ from machine to machine and from hour to hour; instructions do not. Those that
tests/bench/instructions.tsv keeps are what a change is judged by.
"""
import concurrent.futures
import contextlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import checkout
import npm

BENCH = checkout.ROOT / "tests" / "bench"
BUILD = checkout.ROOT / "build" / "bench"
KEPT = BENCH / "instructions.tsv"
RIVAL = "pgxpool"  # of the budgets about peers, where it is there
COLUMNS = ("name", "threads", "ns", "insn", "floor", "floor_ns", "ratio", "peer", "peer_ns")


def output_of(*command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, **options)
    if done.returncode:
        checkout.fail(f"{command[0]} exited with {done.returncode}\n{done.stderr}")
    return done


# Instructions


def count_instructions(program, case, n, env):
    """Those of a whole process. A clock read counts as its system call: there is no vDSO here."""
    done = output_of("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program,
                     "--count", n, case, env=env)
    return int(re.search(r"Collected : (\d+)", done.stderr)[1])


def instructions_of(program, case, n, env):
    """An operation's: what N more of them add."""
    once = count_instructions(program, case, n, env)
    return (count_instructions(program, case, 2 * n, env) - once) / n


def read_kept():
    rows = [line.split("\t") for line in KEPT.read_text(encoding="utf-8").splitlines()
            if not line.startswith("#")] if KEPT.exists() else []
    return {(bench, case): float(insn) for bench, case, insn in rows}


def differs(old, insn):
    """Where much is allocated, the last digits depend on addresses."""
    return old is None or abs(old - insn) >= max(0.1, old / 1000)


def compare_instructions(name, counted):
    """Says what changed, and leaves the new table where it can be copied from."""
    kept = read_kept()
    changed = []
    for case, insn in counted.items():
        old = kept.get((name, case))
        if differs(old, insn):
            changed.append(f"  {case}: {'none' if old is None else f'{old:.1f}'} -> {insn:.1f}")
    gone = [case for bench, case in kept if bench == name and case not in counted]
    changed += [f"  {case}: gone" for case in gone]
    if not changed:
        return [f"instructions: as in {KEPT.relative_to(checkout.ROOT)}"]
    table = {key: insn for key, insn in kept.items() if key[0] != name}
    table.update({(name, case): insn for case, insn in counted.items()})
    new = BUILD / "instructions.tsv"
    new.write_text("# SPDX-License-Identifier: LGPL-2.1-or-later\n"
                   "# bench\tcase\tinstructions of one operation (callgrind, gcc 12, -O2)\n" +
                   "".join(f"{bench}\t{case}\t{insn:.1f}\n"
                           for (bench, case), insn in sorted(table.items())), encoding="utf-8")
    return ["instructions changed:", *changed,
            f"  to keep: cp {new.relative_to(checkout.ROOT)} {KEPT.relative_to(checkout.ROOT)}"]


# Peers


def measure_peers(name, told):
    """{case: [(ns, peer), fastest first]}"""
    script = BENCH / "peers" / f"{name}.mjs"
    program = BUILD / "tests" / "bench" / f"peer-{name}"
    folder = npm.install(script.parent, BUILD / "peers") if script.exists() else None
    lines = output_of("node", script, cwd=folder).stdout.splitlines() if folder else []
    lines += output_of(program).stdout.splitlines() if program.exists() else []
    lines += told
    peers = {}
    for line in lines:
        case, peer, ns = line.split("\t")
        peers.setdefault(case, []).append((float(ns), peer))
    return {case: sorted(rows) for case, rows in peers.items()}


def build_go(name):
    """Against the libraries that Debian has; nothing is fetched."""
    program = BUILD / f"peer-{name}-go"
    done = subprocess.run(["go", "build", "-o", program, BENCH / "peers" / f"{name}.go"],
                          env={**os.environ, "GO111MODULE": "off", "GOFLAGS": "",
                               "GOPATH": "/usr/share/gocode", "GOCACHE": str(BUILD / "go-cache")},
                          capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        checkout.fail(f"go: {done.stderr}")
    return program


# A server for who needs one


@contextlib.contextmanager
def surroundings(name):
    """What the program finds in its environment: of the pool a server, and the peers, which it
    runs in turns with itself."""
    if name != "pool":
        yield None
        return
    peers = [f"pgxpool={build_go(name)}",
             f"psycopg_pool=/usr/bin/python3 {BENCH / 'peers' / 'pool.py'}"]
    with tempfile.TemporaryDirectory(prefix="derate-bench-") as scratch:
        servers = subprocess.Popen(["/usr/bin/python3", checkout.ROOT / "scripts/dev/servers.py",
                                    "serve", "--scratch", scratch, "postgresql"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            words = servers.stdout.readline().split()
            if words[:2] != ["postgresql", "ready"]:
                checkout.fail("the server did not start")
            yield {**os.environ, "BENCH_POSTGRESQL": words[2], "BENCH_PEERS": "\n".join(peers)}
        finally:
            servers.communicate()


# The program


def busy_ticks():
    """Of all processors, by all processes, and by our ended children."""
    words = pathlib.Path("/proc/stat").read_text(encoding="utf-8").splitlines()[0].split()[1:9]
    ours = pathlib.Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    ticks = [int(word) for word in words]
    return sum(ticks) - ticks[3] - ticks[4], sum(int(ours[i]) for i in (11, 12, 13, 14))


class Row:
    """What the program measured of one case with so many threads."""

    def __init__(self, line):
        words = line.split("\t")
        self.kind, self.name, self.threads, self.floor = words[0], words[1], int(words[2]), words[6]
        self.ns, self.least, self.most, self.floor_ns = (float(words[i]) for i in (3, 4, 5, 7))
        (self.max_ratio, self.max_pair, self.max_ns, self.max_over,
         self.min_peer) = map(float, words[8:])
        self.insn, self.peers, self.budget, self.over = None, [], "", False

    def ratio(self):
        return self.ns / self.floor_ns if self.floor_ns else None

    def rival(self):
        """The peer that a budget is about: the one it names, else the fastest."""
        return next((pair for pair in self.peers if pair[1] == RIVAL), self.peers[0])

    def judge(self, single):
        """The budget with what became of it. @single is the same row of one thread."""
        alone = single is self or single is None
        if not alone and self.max_pair:
            value, limit, what = self.ns / single.ns, self.max_pair, "x 1 thread"
        elif alone and self.max_ratio:
            value, limit, what = self.ratio(), self.max_ratio, f"x {self.floor}"
        elif alone and self.max_over:
            value, limit, what = self.ns - self.floor_ns, self.max_over, f"ns over {self.floor}"
        elif alone and self.max_ns:
            value, limit, what = self.ns, self.max_ns, "ns"
        elif self.peers and self.min_peer:
            peer_ns, peer = self.rival()
            value, limit, what = self.ns / peer_ns, 1 / self.min_peer, f"x {peer}"
        else:
            return
        self.over = value > limit
        self.budget = f"{value:.{0 if what == 'ns' else 2}f} <= {limit:.9g} {what}"


def run_program(program, env):
    """Gives the rows, what it tells of peers that it ran itself, and how busy others were."""
    before, time_before = busy_ticks(), time.monotonic()
    lines = output_of(program, env=env).stdout.splitlines()
    busy, ours = (b - a for a, b in zip(before, busy_ticks()))
    others = max(busy - ours, 0) / (time.monotonic() - time_before)
    return ([Row(line) for line in lines if not line.startswith("peer\t")],
            [line.removeprefix("peer\t") for line in lines if line.startswith("peer\t")], others)


def measure(name, env):
    program = BUILD / "tests" / "bench" / f"bench-{name}"
    listed = [line.split("\t") for line in output_of(program, "--list").stdout.splitlines()]
    figures = []
    for figure in (word for kind, word, _n in listed if kind == "figure"):
        value, limit = output_of(program, "--figure", figure, env=env).stdout.split()
        figures.append((figure, float(value), float(limit)))
    rows, told, others = run_program(program, env)
    peers = measure_peers(name, told)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        cases = {word: int(n) for kind, word, n in listed if kind == "case"}
        counted = dict(zip(cases, pool.map(
            lambda case: instructions_of(program, case, cases[case], env), cases)))
    singles = {row.name: row for row in rows if row.threads == 1}
    for row in rows:
        single = singles.get(row.name)
        if row.kind == "case" and single in (row, None):
            row.insn, row.peers = counted.get(row.name), peers.get(row.name, [])
        row.judge(single)
    return rows, figures, counted, others


# Print


def shown(value, digits):
    return "" if value is None else f"{value:.{digits}f}"


def print_tsv(rows, figures):
    """What is no time says so in its name, and stands in the column of times."""
    print("\t".join(COLUMNS))
    for row in rows:
        if row.kind == "case":
            ns, peer = row.peers[0] if row.peers else (None, "")
            print(row.name, row.threads, shown(row.ns, 2), shown(row.insn, 1), row.floor,
                  shown(row.floor_ns or None, 2), shown(row.ratio(), 3), peer, shown(ns, 1),
                  sep="\t")
    for name, value, _limit in figures:
        print(name, "", f"{value:g}", *[""] * 6, sep="\t")


def shown_time(ns):
    return f"{ns:.{1 if ns < 10000 else 0}f}"


def print_table(rows, figures):
    print(f"{'':18} {'thr':>3} {'ns, median (min-max)':>30} {'insn':>9}  {'floor, ns':24} "
          f"{'budget':28} {'':4}  fastest peer")
    for row in rows:
        times = f"{shown_time(row.ns)} ({shown_time(row.least)}-{shown_time(row.most)})"
        floor = f"{row.floor} {shown_time(row.floor_ns)}" if row.floor else ""
        verdict = ("over" if row.over else "ok") if row.budget else ""
        peer = f"{row.peers[0][1]} {row.peers[0][0] / row.ns:.1f} x" if row.peers else ""
        print(f"{row.name:18} {row.threads:>3} {times:>30} {shown(row.insn, 1):>9}  {floor:24} "
              f"{row.budget:28} {verdict:4}  {peer}".rstrip())
    for name, value, limit in figures:
        budget = f"{f'<= {limit:g}':28} {'over' if value > limit else 'ok'}" if limit >= 0 else ""
        print(f"{name:18} {'':3} {value:>30g} {'':9}  {'':24} {budget}".rstrip())
    for case, peers in ((row.name, row.peers) for row in rows if row.peers):
        print(f"peers of {case}: " + ", ".join(f"{peer} {ns:.0f} ns" for ns, peer in peers))


def main():
    name = sys.argv[1]
    with surroundings(name) as env:
        rows, figures, counted, others = measure(name, env)
    changes = compare_instructions(name, counted)
    if "--tsv" in sys.argv[2:]:
        print_tsv(rows, figures)
        print("\n".join(changes), file=sys.stderr)
    else:
        print_table(rows, figures)
        print("\n".join(changes))
    if others > 5:
        print(f"others used {others:.0f} % of a processor meanwhile: peers and rows of two threads "
              "may be faster than shown", file=sys.stderr)


if __name__ == "__main__":
    main()
