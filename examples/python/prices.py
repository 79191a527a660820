# SPDX-License-Identifier: LGPL-2.1-or-later
"""A decorator around each call, and an answer for when there is none."""
import gi

gi.require_version("Derate", "1")
from gi.repository import Derate

BACKEND = {"tea": 9.5}


def guess(item, *, error):
    return f"about 10, because {error}"


@Derate.circuit_breaker("prices", failure_threshold=2, recovery_timeout=60, fallback=guess)
def price(item):
    if item not in BACKEND:
        raise ConnectionError("connection refused")
    return BACKEND[item]


if __name__ == "__main__":
    for item in ("tea", "rum", "rum", "tea"):
        print(f"{item}: {price(item)}")
    print(price.guard.breaker.state)
