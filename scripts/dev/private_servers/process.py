# SPDX-License-Identifier: LGPL-2.1-or-later
"""Processes: what begets them, ends them, freezes them.

A frozen or killed server must take its whole family along: PostgreSQL's backends are sessions of
their own, so neither a process group nor a session names them all. The family is therefore read
from /proc, and read again until nothing new turns up.
"""
import ctypes
import os
import signal
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
# Seconds for what comes soon, however busy the machine is: after them it will never come.
PATIENCE = 60
libc = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """Something that the user of a server must be told."""


def wait_until(condition, seconds, what):
    """Waits for a state of the outside world that nothing announces."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {seconds:g} s")
        time.sleep(0.01)


def die_with_parent(number=signal.SIGKILL):
    """For preexec_fn: a function that asks the kernel for a signal when this process ends.

    The kernel forgets the wish when the user changes: subprocess changes users before it calls."""
    parent = os.getpid()

    def ask():
        libc.prctl(PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:
            os._exit(1)
    return ask


def adopt_orphans():
    """Descendants whose parent dies become children of this process, so none is ever lost."""
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1) != 0:
        raise Failed("cannot become a subreaper")


def read_stat(pid):
    """Gives (parent, state), or None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(fields[1]), fields[0]


def snapshot():
    """Gives {pid: (parent, state)} of all that runs; zombies are over."""
    found = {}
    for name in os.listdir("/proc"):
        stat = read_stat(name) if name.isdigit() else None
        if stat is not None and stat[1] not in "ZX":
            found[int(name)] = stat
    return found


def family(root):
    """Gives the processes at and below one, parents before children."""
    seen = snapshot()
    members = [root] if root in seen else []
    for parent in members:
        members += [pid for pid, stat in seen.items() if stat[0] == parent]
    return members


def descendants():
    return family(os.getpid())[1:]


def send(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def is_stopped(pid):
    stat = read_stat(pid)
    return stat is None or stat[1] in "TtZX"


def freeze(root):
    """Stops a family: parents first, until a look finds nobody who still moves."""
    def all_stopped():
        moving = [pid for pid in family(root) if not is_stopped(pid)]
        for pid in moving:
            send(pid, signal.SIGSTOP)
        return not moving
    wait_until(all_stopped, PATIENCE, "freeze")


def thaw(root):
    """Lets a family go on: children first, so that no parent misses its own."""
    for pid in reversed(family(root)):
        send(pid, signal.SIGCONT)


def reap():
    """Collects adopted children that ended. Only for when no Popen is waited for any more."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass
    except ChildProcessError:
        pass


def kill_descendants():
    """Ends everything below this process, frozen or not."""
    def none_left():
        reap()
        left = descendants()
        for pid in left:
            send(pid, signal.SIGKILL)
        return not left
    wait_until(none_left, PATIENCE, "ending the servers")
