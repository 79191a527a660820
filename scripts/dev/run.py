#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""./dev run: the retail agent on private servers, until INT, TERM or HUP; or the tour."""
import argparse
import os
import pathlib
import socket
import sys

import checkout
import stack
import tour
from private_servers.process import Failed


def parse():
    parser = argparse.ArgumentParser(prog="./dev run", description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--tour", action="store_true")
    parser.add_argument("--scratch", type=pathlib.Path, default=checkout.STATE / "scratch")
    return parser.parse_args()


def check_port(number):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", number))
        except (OSError, OverflowError) as error:
            raise Failed(f"port {number}: {error}; choose another by --port") from error


def wait_for_end(running):
    """Until the agent or the servers end, which they should not."""
    ended, status = os.wait()
    who = "the retail agent" if ended == running.agent.pid else "servers.py"
    raise Failed(f"{who} ended unexpectedly ({os.waitstatus_to_exitcode(status)})")


def run(running, lock):
    running.start_servers()
    running.start_agent()
    lock.write(running.state())
    print(f"derate: ready {running.url}", flush=True)
    wait_for_end(running)


def main():
    options = parse()
    stack.end_on_signals()
    lock = checkout.Lock()
    running = None
    status = 0
    try:
        check_port(options.port)
        scratch = options.scratch.absolute()
        if options.tour:
            running = tour.make_stack(scratch, options.port)
            status = tour.play(running, lock)
        else:
            running = stack.Stack(scratch, options.port)
            run(running, lock)
    except (Failed, OSError) as error:
        print(f"derate: {error}", file=sys.stderr)
        status = 1
    except stack.Ended:
        status = int(options.tour)  # a tour that did not come to its end has shown nothing
    finally:
        lock.forget()
        if running is not None:
            running.end()
    sys.exit(status)


if __name__ == "__main__":
    main()
