# SPDX-License-Identifier: LGPL-2.1-or-later
"""What of this checkout runs: one stack at most, its state in build/dev."""
import fcntl
import json
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "run"
STATE = ROOT / "build" / "dev"


def fail(text, status=1):
    print(f"derate: {text}", file=sys.stderr)
    sys.exit(status)


def read_state():
    """What the running stack wrote, or None. A stack that crashed holds no lock."""
    try:
        with open(STATE / "lock", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return None
    except FileNotFoundError:
        return None
    except BlockingIOError:
        pass
    try:
        return json.loads((STATE / "state.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}


def running():
    state = read_state()
    if state is None:
        fail("nothing runs; start it by ./dev run")
    if not state:
        fail("the stack is starting; wait for its line `derate: ready`")
    return state


class Lock:
    """Keeps a second stack away; the kernel lets go of it when this process ends."""

    def __init__(self):
        STATE.mkdir(parents=True, exist_ok=True)
        self.file = open(STATE / "lock", "w", encoding="utf-8")
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            state = read_state() or {}
            fail(f"a stack of this checkout runs already (process {state.get('pid', '?')}, "
                 f"{state.get('url', 'starting')}); end it first")
        self.forget()

    def write(self, state):
        part = STATE / "state.json.part"
        part.write_text(json.dumps({"pid": os.getpid(), **state}, indent=1) + "\n",
                        encoding="utf-8")
        part.replace(STATE / "state.json")

    def forget(self):
        (STATE / "state.json").unlink(missing_ok=True)


def plugin_path():
    """Where the modules of this build lie."""
    folders = sorted({path.parent for path in (BUILD / "plugins").rglob("libderate-plugin-*.so")})
    return os.pathsep.join(map(str, folders))
