#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""./dev ctl: deratectl against the running stack. `check-…` and help need none."""
import os
import sys

import checkout

PROGRAM = checkout.BUILD / "tools" / "deratectl" / "deratectl"


def main():
    words = sys.argv[1:]
    where = []
    alone = not words or words[0].startswith(("check-", "print-", "-", "help"))
    if not alone:
        where = ["--address", checkout.running()["bus"]]
    os.environ.setdefault("DERATE_PLUGIN_PATH", checkout.plugin_path())
    os.execv(PROGRAM, [str(PROGRAM), *where, *words])


if __name__ == "__main__":
    main()
