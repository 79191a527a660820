# SPDX-License-Identifier: LGPL-2.1-or-later
"""Ports of 127.0.0.1 that stay ours while their server is stopped.

They lie below the range from which the kernel takes ports for outgoing connections, so nothing
takes one by accident; an abstract unix socket, which the kernel removes with its process, keeps
the others of our kind away.
"""
import random
import socket

from .process import Failed

FIRST, LAST = 20000, 32000


class Port:
    """A port held for as long as this object lives."""

    def __init__(self, number, lock):
        self.number = number
        self.lock = lock


def bindable(number):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", number))
        except OSError:
            return False
    return True


def take():
    """Gives a free Port."""
    for _ in range(200):
        number = random.randint(FIRST, LAST)
        lock = socket.socket(socket.AF_UNIX)
        try:
            lock.bind(f"\0derate-port-{number}")
        except OSError:
            lock.close()
            continue
        if bindable(number):
            return Port(number, lock)
        lock.close()
    raise Failed("no free port")


def answers(number, question, answer):
    """Whether a server on that port answers a question so."""
    try:
        with socket.create_connection(("127.0.0.1", number), timeout=10) as peer:
            peer.sendall(question)
            return peer.recv(64).startswith(answer)
    except OSError:
        return False
