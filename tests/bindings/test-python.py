#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The library from Python, through introspection alone."""
import unittest

import gi

gi.require_version("Derate", "1")
from gi.repository import Derate, Gio, GLib, GObject

import taprunner

SECOND = 1000000


class FakeCheck(GObject.Object, Derate.HealthCheck):
    """A health check written in Python; `status` is what it finds."""

    status = Derate.HealthStatus.HEALTHY
    runs = 0

    def do_run_async(self, _cancellable, callback, *_data):
        self.runs += 1
        GLib.idle_add(callback, self, Gio.Task.new(self, None, None))

    def do_run_finish(self, _result):
        cause = (Derate.HealthCause.NONE if self.status == Derate.HealthStatus.HEALTHY
                 else Derate.HealthCause.REFUSED)
        return Derate.HealthReport.new(self.status, cause, "seen from Python")


class PythonTest(unittest.TestCase):
    def setUp(self):
        self.clock = Derate.ManualClock.new()

    def make_breaker(self, name="backend", threshold=3):
        config = Derate.BreakerConfig.new()
        config.set_failure_threshold(threshold)
        return Derate.Breaker.new_with_clock(name, config, self.clock)

    def fail_calls(self, breaker, times):
        for _ in range(times):
            breaker.begin().fail(GLib.Error.new_literal(Gio.io_error_quark(), "boom",
                                                        Gio.IOErrorEnum.FAILED))

    def test_permit(self):
        breaker = self.make_breaker()
        breaker.begin().succeed()
        self.assertEqual(breaker.dup_stats().successful_requests, 1)
        self.fail_calls(breaker, 3)
        self.assertEqual(breaker.get_state(), Derate.BreakerState.OPEN)
        with self.assertRaises(GLib.Error) as refused:
            breaker.begin()
        self.assertTrue(refused.exception.matches(Derate.error_quark(), Derate.Error.OPEN))
        self.assertIn("'backend' is open", refused.exception.message)
        self.assertGreaterEqual(breaker.get_retry_after(), 60 * SECOND)
        self.clock.advance(66 * SECOND)
        breaker.begin().succeed()
        self.assertEqual(breaker.get_state(), Derate.BreakerState.HALF_OPEN)
        breaker.begin().succeed()
        self.assertEqual(breaker.get_state(), Derate.BreakerState.CLOSED)

    def test_dropped_permit_is_neutral(self):
        breaker = self.make_breaker()
        permit = breaker.begin()
        del permit
        stats = breaker.dup_stats()
        self.assertEqual((stats.calls, stats.successful_requests, stats.failed_requests), (1, 0, 0))

    def test_call(self):
        breaker = self.make_breaker(threshold=1)
        answer = breaker.call(lambda *_: GLib.Variant("s", "hello"), None)
        self.assertEqual(answer.unpack(), "hello")
        self.assertEqual(breaker.dup_stats().successful_requests, 1)

    def test_call_that_gives_nothing(self):
        """A function of Python's cannot set an error; nothing at all is one."""
        breaker = self.make_breaker(threshold=1)
        with self.assertRaises(GLib.Error):
            breaker.call(lambda *_: None, None)
        self.assertEqual(breaker.get_state(), Derate.BreakerState.OPEN)

    def make_core(self, name="shop"):
        core = Derate.Core.new(name, self.clock)
        self.assertEqual(core.get_name(), name)
        return core

    def start(self, core):
        started = []
        core.start_async(None, lambda source, result: started.append(source.start_finish(result)))
        self.clock.advance(0)
        self.assertEqual(started, [True])

    def test_core_with_a_service(self):
        core = self.make_core()
        breaker = self.make_breaker("redis")
        service = Derate.Service.new("redis", Derate.ServiceRole.CACHE, self.clock)
        service.set_breaker(breaker)
        self.assertTrue(core.add_service(service))
        self.start(core)
        manager = core.get_degradation_manager()
        seen = []
        manager.connect("level-changed", lambda _manager, old, new, rule: seen.append(
            (old, new, rule)))
        self.fail_calls(breaker, 3)
        self.assertEqual(manager.get_level(), Derate.Level.DEGRADED)
        self.clock.advance(0)
        self.assertEqual(seen, [(Derate.Level.OPTIMAL, Derate.Level.DEGRADED, "dependency-down")])
        status = core.dup_status(True).unpack()
        self.assertEqual((status["level"], status["inputs"]), ("degraded", {"redis": "down"}))

    def test_check_in_python(self):
        core = self.make_core()
        check = FakeCheck()
        service = Derate.Service.new("sea", Derate.ServiceRole.NONE, self.clock)
        service.set_health_check(check)
        core.add_service(service)
        self.start(core)
        self.assertEqual(service.get_status(), Derate.HealthStatus.HEALTHY)
        check.status = Derate.HealthStatus.DOWN
        self.clock.advance(20 * SECOND)
        self.assertEqual(service.get_status(), Derate.HealthStatus.DOWN)
        self.assertEqual(service.get_cause(), Derate.HealthCause.REFUSED)
        self.assertEqual(service.dup_error(), "seen from Python")
        self.assertGreater(check.runs, 3)
        self.assertEqual(core.get_degradation_manager().get_level(), Derate.Level.DEGRADED)

    def test_drill(self):
        core = self.make_core()
        breaker = self.make_breaker("redis")
        service = Derate.Service.new("redis", Derate.ServiceRole.CACHE, self.clock)
        service.set_breaker(breaker)
        core.add_service(service)
        self.start(core)
        ident = core.start_drill("redis", Derate.FaultKind.DOWN, 0, 60 * SECOND,
                                 Derate.Level.UNKNOWN, "Friday")
        with self.assertRaises(GLib.Error) as refused:
            breaker.begin()
        self.assertTrue(refused.exception.matches(Derate.error_quark(), Derate.Error.DRILL))
        (shown,) = core.dup_drills(True).unpack()
        self.assertEqual((shown["id"], shown["reason"], shown["remaining_seconds"]),
                         (ident, "Friday", 60))
        self.clock.advance(20 * SECOND)
        report = core.stop_drill(ident).unpack()
        self.assertEqual((report["cause"], report["refused"], report["level"]["worst"]),
                         ("stopped", 1, "degraded"))
        self.assertEqual(core.dup_drills(False).unpack(), [])
        with self.assertRaises(GLib.Error) as refused:
            core.stop_drill("6f2a")
        self.assertTrue(refused.exception.matches(Derate.error_quark(),
                                                  Derate.Error.NO_SUCH_DRILL))

    def test_errors(self):
        with self.assertRaises(GLib.Error) as refused:
            Derate.Core.new("Bad Name", self.clock)
        self.assertTrue(refused.exception.matches(Derate.error_quark(),
                                                  Derate.Error.INVALID_ARGUMENT))


if __name__ == "__main__":
    taprunner.main()
