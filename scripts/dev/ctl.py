#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""./dev ctl: deratectl against the running stack. `check-…` and help need none."""
import os
import sys

import checkout
from private_servers.server import CREDENTIALS

ALONE = ("check-", "print-", "-h", "--help", "--version", "help")
PLACES = ("--address", "--session", "--system")
PROGRAM = checkout.BUILD / "tools" / "deratectl" / "deratectl"


def main():
    words = sys.argv[1:]
    where = []
    alone = not words or words[0].startswith(ALONE)
    if not alone and not any(word.startswith(PLACES) for word in words):
        where = ["--address", checkout.running()["bus"]]
    for key, value in CREDENTIALS.items():  # so that check-config finds what ./dev run gives
        os.environ.setdefault(key, value)
    os.environ.setdefault("DERATE_PLUGIN_PATH", checkout.plugin_path())
    os.execv(PROGRAM, [str(PROGRAM), *where, *words])


if __name__ == "__main__":
    main()
