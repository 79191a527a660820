# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests of the Python overrides share."""
import unittest

import gi

gi.require_version("Derate", "1")
from gi.repository import Derate, Gio, GLib

SECOND = 1000000


def cancelled():
    return GLib.Error.new_literal(Gio.io_error_quark(), "stopped", Gio.IOErrorEnum.CANCELLED)


def boom(*_args, **_kwargs):
    raise ValueError("boom")


class Watched:
    """A permit that says with what its block ended."""

    ended = "not yet"

    def __exit__(self, kind, error, traceback):
        assert self.ended == "not yet"
        self.ended = error


class BreakerTest(unittest.TestCase):
    """Each case has a clock, and a default core on it."""

    def setUp(self):
        self.clock = Derate.ManualClock.new()
        self.core = Derate.Core.new("test", self.clock)
        Derate.Core.set_default(self.core)

    def make(self, name="backend", **settings):
        settings.setdefault("open_duration_jitter", 0)
        return Derate.Breaker(name, clock=self.clock, **settings)

    def breaker(self, name="backend"):
        return self.core.get_breakers().lookup(name)

    def counts(self, breaker):
        """Let through, succeeded, failed, refused."""
        stats = breaker.stats
        return tuple(stats[key] for key in ("calls", "successful_requests", "failed_requests",
                                            "calls_blocked"))

    def assertNothingOut(self, breaker):
        """A half-open breaker whose one probe is free lets a call through."""
        breaker.trip()
        self.clock.advance(breaker.get_retry_after())
        breaker.begin().cancel()
        breaker.begin().cancel()
