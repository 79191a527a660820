#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Circuit breakers in Python's own forms: with, call, decorators."""
import contextlib
import copy
import datetime
import functools
import pickle
import threading
import traceback
from unittest import mock

from breakers import SECOND, BreakerTest, Derate, GLib, Gio, Watched, boom, cancelled
import taprunner

STATS = """name state mode failure_count success_count failure_rate slow_call_rate failure_threshold
    recovery_timeout total_requests calls successful_requests failed_requests calls_blocked
    consecutive_failures consecutive_successes circuit_open_count circuit_half_open_count
    last_failure_time last_success_time last_state_change time_in_current_state
    retry_after_seconds""".split()


class ConfigTest(BreakerTest):
    def test_keywords(self):
        breaker = self.make(failure_threshold=3, recovery_timeout=30, window_size=20,
                            minimum_calls=5, failure_rate_threshold=0.25, slow_call_duration=0.25,
                            slow_call_rate_threshold=0.75, open_duration_multiplier=2,
                            open_duration_max=datetime.timedelta(minutes=5), half_open_max_calls=4,
                            success_threshold=3, half_open_lease="90s")
        config = breaker.dup_config()
        got = [getattr(config, "get_" + key)() for key in
               ("failure_threshold", "open_duration", "window_size", "minimum_calls",
                "failure_rate_threshold", "slow_call_duration", "slow_call_rate_threshold",
                "open_duration_multiplier", "open_duration_max", "open_duration_jitter",
                "half_open_max_calls", "success_threshold", "half_open_lease")]
        self.assertEqual(got, [3, 30 * SECOND, 20, 5, 0.25, SECOND // 4, 0.75, 2, 300 * SECOND, 0,
                               4, 3, 90 * SECOND])

    def test_window(self):
        for window in ("none", Derate.BreakerWindow.NONE):
            self.assertEqual(self.make(window=window).dup_config().get_window(),
                             Derate.BreakerWindow.NONE)
        for window in ("time", Derate.BreakerWindow.TIME):
            for size in (2.5, "2500ms", datetime.timedelta(seconds=2.5)):
                config = self.make(window_size=size, window=window).dup_config()
                self.assertEqual((config.get_window(), config.get_window_duration()),
                                 (Derate.BreakerWindow.TIME, 2500000))
        for decision in ("rate", Derate.BreakerDecision.RATE):
            self.assertEqual(self.make(half_open_decision=decision).dup_config()
                             .get_half_open_decision(), Derate.BreakerDecision.RATE)
        self.assertTrue(self.make(measure=True).dup_config().get_measure())
        self.assertFalse(self.make(measure=False).dup_config().get_measure())
        self.assertEqual(self.make(window_size=20, window="count").dup_config().get_window_size(),
                         20)

    def test_wrong_settings(self):
        for settings, kind, word in (({"treshold": 3}, TypeError, "treshold"),
                                     ({"failure_threshold": True}, TypeError, "failure_threshold"),
                                     ({"failure_threshold": None}, TypeError, "failure_threshold"),
                                     ({"failure_threshold": -1}, ValueError, "failure-threshold"),
                                     ({"recovery_timeout": -3}, ValueError, "open-duration"),
                                     ({"recovery_timeout": float("nan")}, ValueError, "finite"),
                                     ({"recovery_timeout": 1, "open_duration": 1}, TypeError,
                                      "same"),
                                     ({"minimum_calls": 11}, ValueError, "minimum-calls"),
                                     ({"record": 7}, TypeError, "record"),
                                     ({"ignore": (ValueError, 7)}, TypeError, "ignore")):
            for make in (self.make, Derate.circuit_breaker):
                with self.subTest(settings=settings), self.assertRaisesRegex(kind, word):
                    make("backend", **settings)

    def test_a_name(self):
        for name in ("", None, boom):
            with self.assertRaises((TypeError, ValueError)):
                Derate.Breaker(name)
            with self.assertRaises(TypeError):
                Derate.circuit_breaker(name)

    def test_environment(self):
        GLib.setenv("DEFAULT_FAILURE_THRESHOLD", "7", True)
        self.addCleanup(GLib.unsetenv, "DEFAULT_FAILURE_THRESHOLD")
        self.assertEqual(self.make().stats["failure_threshold"], 7)
        self.assertEqual(self.make(failure_threshold=2).stats["failure_threshold"], 2)

    def test_environment_disables(self):
        GLib.setenv("ENABLE_RESILIENCE", "false", True)
        self.addCleanup(GLib.unsetenv, "ENABLE_RESILIENCE")
        registry = Derate.BreakerRegistry.new(None)

        @Derate.circuit_breaker("backend", registry=registry, failure_threshold=1)
        def fail():
            raise ValueError("boom")
        for breaker in (self.make(failure_threshold=1), registry._ensure("other"),
                        fail.guard.breaker):
            self.assertEqual(breaker.get_mode(), Derate.BreakerMode.DISABLED)
            for _ in range(20):
                with self.assertRaises(ValueError):
                    breaker.call(fail.__wrapped__)
            self.assertEqual(breaker.state, "closed")


class CallTest(BreakerTest):
    def test_any_object(self):
        breaker = self.make()
        for answer in (None, object(), [1], {"a": {2}}, boom):
            self.assertIs(breaker.call(lambda: answer), answer)
        self.assertEqual(breaker.call(dict, a=1, fn=2), {"a": 1, "fn": 2})
        self.assertEqual(self.counts(breaker), (6, 6, 0, 0))

    def test_exceptions_pass(self):
        breaker = self.make()
        error = ValueError("boom")

        def fail():
            raise error
        try:
            breaker.call(fail)
        except ValueError as caught:
            names = [frame.name for frame in traceback.extract_tb(caught.__traceback__)]
            self.assertEqual((names[0], names[-1]), ("test_exceptions_pass", "fail"))
            self.assertIs(caught, error)
        self.assertIsNone(error.__cause__)
        self.assertIsNone(error.__context__)
        self.assertEqual(self.counts(breaker), (1, 0, 1, 0))

    def test_exceptions_that_c_does_not_understand(self):
        class Mute(Exception):
            def __str__(self):
                raise RuntimeError("nothing to say")

        class Broken(GLib.Error):
            def __init__(self):
                pass
        breaker = self.make(failure_threshold=0, window="none")
        errors = (Mute(), Broken(), ValueError("\ud800"), ValueError("a\0b"), OSError(2**40, "big"),
                  OSError([], "odd"), OSError(-5, "negative"), GLib.Error("\udcff"),
                  GLib.Error("x", "a-domain", 2**40), GLib.Error(None), GLib.Error("x", 7, None))
        for count, error in enumerate(errors, 1):
            with self.subTest(kind=type(error), args=error.args):
                caught = None
                try:
                    with breaker:
                        raise error
                except Exception as other:
                    caught = other
                self.assertIs(caught, error)
                self.assertEqual(self.counts(breaker), (count, 0, count, 0))

    def test_refusal(self):
        breaker = self.make(failure_threshold=1, recovery_timeout=30)
        with self.assertRaises(ValueError):
            breaker.call(boom)
        self.clock.advance(10 * SECOND)
        with self.assertRaises(Derate.CircuitBreakerError) as refused:
            breaker.call(self.fail, "must not be called")
        error = refused.exception
        self.assertEqual((error.name, error.reason, error.retry_after), ("backend", "open", 20.0))
        self.assertEqual(str(error), "circuit breaker 'backend' is open")
        self.assertIsInstance(error, GLib.Error)
        self.assertTrue(error.matches(Derate.error_quark(), Derate.Error.OPEN))
        self.assertEqual(self.counts(breaker), (1, 0, 1, 1))

    def test_reasons(self):
        breaker = self.make(recovery_timeout=30)
        breaker.set_mode(Derate.BreakerMode.FORCED_OPEN)
        with self.assertRaises(Derate.CircuitBreakerError) as refused:
            breaker.call(int)
        self.assertEqual((refused.exception.reason, refused.exception.retry_after),
                         ("forced", 30.0))
        breaker.close()
        breaker.trip()
        self.clock.advance(30 * SECOND)
        probe = breaker.begin()
        with self.assertRaises(Derate.CircuitBreakerError) as refused:
            breaker.call(int)
        self.assertEqual(refused.exception.reason, "half-open-full")
        self.assertGreaterEqual(refused.exception.retry_after, 0)
        probe.cancel()

    def test_ramping(self):
        breaker = self.make(ramp_duration=10, success_threshold=1, half_open_decision="rate")
        breaker.trip()
        self.clock.advance(60 * SECOND)
        breaker.call(int)
        self.assertEqual(breaker.call(int), 0)
        with self.assertRaises(Derate.CircuitBreakerError) as refused:
            breaker.call(int)
        self.assertEqual((refused.exception.reason, refused.exception.retry_after),
                         ("ramping", 10.0))
        self.assertEqual(Derate.with_fallback(7)(breaker.begin)(), 7)

    def test_a_refusal_is_copied_whole(self):
        breaker = self.make()
        breaker.trip()
        with self.assertRaises(Derate.CircuitBreakerError) as refused:
            breaker.begin()
        for other in (pickle.loads(pickle.dumps(refused.exception)),
                      copy.copy(refused.exception)):
            self.assertIsInstance(other, Derate.CircuitBreakerError)
            self.assertEqual((other.name, other.reason, other.retry_after, str(other)),
                             ("backend", "open", 60.0, "circuit breaker 'backend' is open"))

    def test_neutral(self):
        """Cancellation, the end of the program, and what another breaker refused."""
        other = self.make("other")
        other.trip()
        breaker = self.make()
        for error in (cancelled(), KeyboardInterrupt(), SystemExit(), GeneratorExit()):
            with self.assertRaises(type(error)):
                breaker.call(mock.Mock(side_effect=error))
        with self.assertRaises(Derate.CircuitBreakerError):
            breaker.call(other.call, int)
        self.assertEqual(self.counts(breaker), (5, 0, 0, 0))
        self.assertNothingOut(breaker)

    def test_gerrors_are_judged_by_the_config(self):
        breaker = self.make()
        config = breaker.dup_config()
        config.ignore_error(Gio.io_error_quark(), Gio.IOErrorEnum.NOT_FOUND)
        config.ignore_error(Gio.io_error_quark(), Gio.IOErrorEnum.TIMED_OUT)
        breaker.reconfigure(config)
        for error in (GLib.Error.new_literal(Gio.io_error_quark(), "", Gio.IOErrorEnum.NOT_FOUND),
                      FileNotFoundError(2, "none"), TimeoutError()):
            with self.assertRaises(type(error)):
                breaker.call(mock.Mock(side_effect=error))
        self.assertEqual(self.counts(breaker), (3, 0, 0, 0))
        with self.assertRaises(PermissionError):
            breaker.call(mock.Mock(side_effect=PermissionError(13, "no")))
        self.assertEqual(self.counts(breaker), (4, 0, 1, 0))

    def test_record_and_ignore(self):
        for settings, failed in (({"record": OSError}, [0, 1, 1]),
                                 ({"ignore": OSError}, [1, 0, 0]),
                                 ({"record": (KeyError, OSError)}, [1, 1, 1]),
                                 ({"record": OSError, "ignore": ConnectionError}, [0, 1, 0]),
                                 ({"record": lambda error: error.args[0] == 1}, [1, 1, 0]),
                                 ({"ignore": lambda error: error.args[0] == 1}, [0, 0, 1])):
            with self.subTest(settings=settings):
                breaker = self.make(**settings)
                decorated = Derate.circuit_breaker(str(settings), **settings)(
                    lambda error: self.throw(error))
                for error in (KeyError(1), OSError(1), ConnectionError(2)):
                    for call in (functools.partial(breaker.call, self.throw), decorated):
                        with self.assertRaises(type(error)):
                            call(error)
                self.assertEqual(self.counts(breaker)[2], sum(failed))
                self.assertEqual(self.counts(decorated.guard.breaker)[2], sum(failed))

    def throw(self, error):
        raise error

    def test_a_predicate_that_fails(self):
        """It is reported, and the exception of the function passes and counts."""
        breaker = self.make(ignore=lambda error: 1 // 0)
        with mock.patch("sys.excepthook") as hook, self.assertRaises(ValueError):
            breaker.call(boom)
        self.assertEqual(hook.call_args.args[0], ZeroDivisionError)
        self.assertEqual(self.counts(breaker), (1, 0, 1, 0))

    def test_what_a_breaker_records_stays_with_it(self):
        registry = Derate.BreakerRegistry.new(self.clock)
        registry.add(self.make(ignore=ValueError))
        with self.assertRaises(ValueError):
            registry.call("backend", boom)
        self.assertEqual(self.counts(registry.lookup("backend")), (1, 0, 0, 0))

    def test_exception_groups(self):
        breaker = self.make(ignore=KeyError)
        for errors in ([KeyError()], [KeyError(), OSError()]):
            with self.assertRaises(ExceptionGroup):
                breaker.call(self.throw, ExceptionGroup("both", errors))
        self.assertEqual(self.counts(breaker), (2, 0, 1, 0))

    def test_what_has_not_run(self):
        """A coroutine or generator that call () is given back says nothing yet."""
        breaker = self.make()

        async def later():
            return 1

        def count():
            yield 1

        async def count_later():
            yield 1
        for fn in (later, count, count_later):
            with self.assertRaises(TypeError):
                breaker.call(fn)
        self.assertEqual(self.counts(breaker), (3, 0, 0, 0))
        self.assertNothingOut(breaker)
        breaker.close()
        self.assertEqual(list(breaker.call(lambda: (i for i in range(2)))), [0, 1])

    def test_registry_call(self):
        registry = Derate.BreakerRegistry.new(self.clock)
        self.assertEqual(registry.call("one", int, "7"), 7)
        self.assertEqual(registry.call("one", int, "8"), 8)
        self.assertEqual([breaker.name for breaker in registry.list()], ["one"])
        self.assertEqual(self.counts(registry.lookup("one")), (2, 2, 0, 0))


class WithTest(BreakerTest):
    def test_success_and_failure(self):
        breaker = self.make()
        with breaker as permit:
            self.assertIsInstance(permit, Derate.Permit)
        with self.assertRaises(ValueError), breaker:
            boom()
        self.assertEqual(self.counts(breaker), (2, 1, 1, 0))

    def test_refused(self):
        breaker = self.make()
        breaker.trip()
        with self.assertRaises(Derate.CircuitBreakerError):
            with breaker:
                self.fail("must not be entered")

    def test_the_permit_has_the_first_word(self):
        breaker = self.make()
        with breaker as permit:
            permit.fail()
        with breaker as permit:
            permit.fail(KeyboardInterrupt())
        with breaker as permit:
            permit.cancel()
        with self.assertRaises(ValueError), breaker as permit:
            permit.succeed()
            boom()
        self.assertEqual(self.counts(breaker), (4, 1, 1, 0))

    def test_nested(self):
        """The inner block may fail and be handled; both are counted, in themselves and in others."""
        breaker, other = self.make(), self.make("other")
        with breaker, other:
            with contextlib.suppress(ValueError), breaker, other:
                boom()
        for one in (breaker, other):
            self.assertEqual(self.counts(one), (2, 1, 1, 0))

    def test_exit_stack(self):
        """Blocks that end in another order."""
        breaker, other = self.make(), self.make("other")
        breaker.__enter__()
        other.__enter__()
        breaker.__exit__(None, None, None)
        other.__exit__(ValueError, ValueError(), None)
        with contextlib.ExitStack() as stack:
            stack.enter_context(breaker)
        self.assertEqual(self.counts(breaker), (2, 2, 0, 0))
        self.assertEqual(self.counts(other), (1, 0, 1, 0))

    def test_exit_without_enter(self):
        with self.assertRaises(RuntimeError):
            self.make().__exit__(None, None, None)

    def test_generators_are_refused(self):
        breaker = self.make()

        def steps():
            with breaker:
                yield
        with self.assertRaisesRegex(RuntimeError, "with breaker.begin()"):
            next(steps())
        self.assertEqual(self.counts(breaker), (0, 0, 0, 0))

    def test_begin_in_generators(self):
        """Each keeps its own permit: the first ends first, the second is closed."""
        breaker = self.make()

        def steps():
            with breaker.begin():
                yield
        first, second, third = steps(), steps(), steps()
        for one in (first, second, third):
            next(one)
        with self.assertRaises(StopIteration):
            next(first)
        second.close()
        with self.assertRaises(OSError):
            third.throw(OSError())
        self.assertEqual(self.counts(breaker), (3, 1, 1, 0))

    def test_threads(self):
        """Each block ends its own permit, however the threads take turns."""
        breaker = self.make()
        breaker.begin = Watched
        barrier = threading.Barrier(10)
        wrong = []

        def work(number):
            for turn in range(100):
                error = ValueError(number, turn) if (number + turn) % 2 else None
                with contextlib.suppress(ValueError), breaker as permit:
                    if turn % 10 == 0:
                        barrier.wait(timeout=30)
                    with breaker as inner:
                        pass
                    if permit.ended != "not yet" or inner.ended is not None:
                        wrong.append((number, turn))
                    if error:
                        raise error
                if permit.ended is not error:
                    wrong.append((number, turn))
        threads = [threading.Thread(target=work, args=(number,)) for number in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])


class StatsTest(BreakerTest):
    def test_keys(self):
        breaker = self.make()
        self.assertEqual(list(breaker.stats), STATS)
        self.assertIs(type(breaker.stats), dict)
        self.assertEqual((breaker.stats["state"], breaker.stats["mode"]), ("closed", "normal"))
        self.assertIsNone(breaker.stats["failure_rate"])
        self.assertEqual(breaker.stats["recovery_timeout"], 60.0)

    def test_states(self):
        breaker = self.make()
        seen = [breaker.state]
        breaker.trip()
        seen.append(breaker.state)
        self.assertEqual(breaker.retry_after, 60.0)
        self.clock.advance(60 * SECOND)
        breaker.begin().succeed()
        seen.append(breaker.state)
        self.assertEqual(seen, ["closed", "open", "half-open"])
        self.assertEqual(repr(breaker), "<Derate.Breaker 'backend': half-open>")


class ListenerTest(BreakerTest):
    def test_listeners(self):
        breaker = self.make(success_threshold=1)
        seen = []
        for name in ("opened", "half-opened", "closed"):
            breaker.connect(name, lambda _breaker, old, name=name: seen.append(
                (name, old.value_nick)))
        breaker.trip()
        self.clock.advance(60 * SECOND)
        breaker.call(int)
        self.clock.advance(0)
        self.assertEqual(seen, [("opened", "closed"), ("half-opened", "open"),
                                ("closed", "half-open")])

    def test_a_listener_that_fails(self):
        breaker = self.make()
        seen = []
        breaker.connect("opened", boom)
        breaker.connect("opened", lambda *_: seen.append("opened"))
        breaker.connect("closed", lambda *_: seen.append("closed"))
        with mock.patch("sys.excepthook") as hook:
            breaker.trip()
            breaker.close()
            self.clock.advance(0)
        self.assertEqual(seen, ["opened", "closed"])
        self.assertEqual([call.args[0] for call in hook.call_args_list], [ValueError])


if __name__ == "__main__":
    taprunner.main()
