#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""./dev backend: injures one backend of the running stack."""
import socket
import sys

import checkout

VERBS = ("stop", "start", "freeze", "thaw", "status")
NAMES = ("postgresql", "redis", "s3", "openai")


def ask(control, line):
    """Gives the answer of the servers to one command."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(control)
        peer.sendall(line.encode() + b"\n")
        return peer.makefile(encoding="utf-8").readline().strip()


def main():
    words = sys.argv[1:]
    if len(words) != 2 or words[0] not in VERBS or words[1] not in NAMES:
        print(f"usage: ./dev backend {'|'.join(VERBS)} {'|'.join(NAMES)}", file=sys.stderr)
        sys.exit(2)
    answer = ask(checkout.running()["control"], " ".join(words))
    if not answer.startswith("ok "):
        checkout.fail(answer.removeprefix("error "))
    print(answer.removeprefix("ok "))


if __name__ == "__main__":
    main()
