#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""@circuit_breaker and @with_fallback on plain functions."""
import contextlib
import inspect
import threading

from gi.repository import GObject

from breakers import SECOND, BreakerTest, Derate, Gio, GLib, boom, cancelled
import taprunner


class Kept(GObject.Object, Derate.Fallback):
    """Gives the last good answer to the same call."""

    def __init__(self):
        super().__init__()
        self.kept = {}
        self.requests = []

    def do_get_strategy(self):
        return "kept"

    def do_answer(self, request):
        self.requests.append((request.get_service(), Derate.fallback_reason_get_nick(
            request.get_reason()), request.get_cause().message))
        value = self.kept.get(request.get_key())
        if value is None:
            raise GLib.Error.new_literal(Derate.error_quark(), "nothing kept",
                                         Derate.Error.UNAVAILABLE)
        return Derate.FallbackResult.new(value, "kept", "stale", request.get_reason(), 0)

    def do_note_answer(self, key, value):
        self.kept[key] = value


class CircuitBreakerTest(BreakerTest):
    def test_opens_and_recovers(self):
        answers = ["down", "down", "up", "up"]

        @Derate.circuit_breaker("backend", failure_threshold=2, recovery_timeout=60,
                                open_duration_jitter=0)
        def ask(item, *, loud=False):
            """Asks."""
            if answers.pop(0) == "down":
                raise ConnectionError("down")
            return (item, loud)

        self.assertEqual((ask.__name__, ask.__doc__, list(inspect.signature(ask).parameters)),
                         ("ask", "Asks.", ["item", "loud"]))
        for _ in range(2):
            with self.assertRaises(ConnectionError):
                ask(1)
        with self.assertRaises(Derate.CircuitBreakerError) as refused:
            ask(1)
        self.assertEqual((refused.exception.name, refused.exception.retry_after), ("backend", 60))
        self.clock.advance(60 * SECOND)
        self.assertEqual(ask(1), (1, False))
        self.assertEqual(ask(2, loud=True), (2, True))
        self.assertEqual((self.breaker().state, ask.guard.breaker), ("closed", self.breaker()))

    def test_on_methods(self):
        class Client:
            @Derate.circuit_breaker("backend")
            def ask(self, item):
                return self, item

            @staticmethod
            @Derate.circuit_breaker("backend")
            def count():
                return 3

        client = Client()
        self.assertEqual(client.ask(1), (client, 1))
        self.assertEqual(Client.count(), 3)
        self.assertEqual(self.breaker().stats["successful_requests"], 2)

    def test_shared_and_registered(self):
        """The breaker that is there keeps its settings; a registry may be given."""
        registry = Derate.BreakerRegistry.new(self.clock)
        registry.add(self.make(failure_threshold=9))
        first = Derate.circuit_breaker("backend", registry=registry, failure_threshold=1)(int)
        second = Derate.circuit_breaker("backend", registry=registry)(int)
        self.assertEqual(first(1) + second(2), 3)
        self.assertEqual(self.counts(registry.lookup("backend")), (2, 2, 0, 0))
        self.assertEqual(first.guard.breaker.stats["failure_threshold"], 9)
        self.assertIsNone(self.breaker())

    def test_the_core_of_the_moment(self):
        """Decorated before the core is made, and used with each that is the default."""
        ask = Derate.circuit_breaker("backend")(int)
        ask("1")
        other = Derate.Core.new("other", self.clock)
        Derate.Core.set_default(other)
        ask("1")
        ask("1")
        calls = [core.get_breakers().lookup("backend").stats["calls"]
                 for core in (self.core, other)]
        self.assertEqual(calls, [1, 2])
        other.get_breakers().remove("backend")
        ask("1")
        self.assertEqual(other.get_breakers().lookup("backend").stats["calls"], 1)

    def test_what_cannot_be_decorated(self):
        def steps():
            yield 1

        async def later():
            yield 1
        for wrong in (steps, later, 7, classmethod(boom)):
            for decorate in (Derate.circuit_breaker("backend"), Derate.with_fallback(0)):
                with self.assertRaises(TypeError):
                    decorate(wrong)
        with self.assertRaises(TypeError):
            Derate.circuit_breaker(boom)

    def test_threads(self):
        """Many threads make one breaker, and only so many probes."""
        ask = Derate.circuit_breaker("backend", open_duration_jitter=0)(lambda work: work())
        barrier = threading.Barrier(8)

        def use(work):
            barrier.wait(timeout=30)
            with contextlib.suppress(Derate.CircuitBreakerError):
                ask(work)

        def run(work):
            threads = [threading.Thread(target=use, args=(work,)) for _ in range(8)]
            for thread in threads:
                thread.start()
            return threads
        for thread in run(int):
            thread.join()
        self.assertEqual(self.counts(self.breaker()), (8, 8, 0, 0))
        self.breaker().trip()
        self.clock.advance(60 * SECOND)
        release = threading.Event()
        inside = threading.Semaphore(0)
        threads = run(lambda: (inside.release(), release.wait(timeout=30)))
        inside.acquire(timeout=30)
        while self.breaker().stats["calls_blocked"] < 7:
            pass
        release.set()
        for thread in threads:
            thread.join()
        self.assertEqual(self.counts(self.breaker()), (9, 9, 0, 7))


class FallbackTest(BreakerTest):
    def guarded(self, fallback, fn=boom, **settings):
        return Derate.circuit_breaker("backend", fallback=fallback, failure_threshold=1,
                                      **settings)(fn)

    def used(self):
        return self.core.get_fallback_usage().get_count("backend")

    def test_value(self):
        for value in (None, 7, {"price": 1}):
            ask = self.guarded(value)
            self.assertIs(ask(), value)
            self.assertIs(ask(), value)
        self.assertEqual(self.counts(self.breaker()), (1, 0, 1, 5))
        self.assertEqual(self.used(), 6)

    def test_function(self):
        ask = self.guarded(lambda item, times=1: item * times, lambda item, times: boom())
        self.assertEqual(ask("a", times=3), "aaa")

    def test_function_with_the_error(self):
        def instead(*, error):
            return error
        ask = self.guarded(instead)
        self.assertIsInstance(ask(), ValueError)
        self.assertEqual(ask().reason, "open")

    def test_stands_alone(self):
        self.assertEqual(Derate.with_fallback(1)(boom)(), 1)
        self.assertEqual(Derate.with_fallback(1)(int)("7"), 7)
        with self.assertRaises(ValueError):
            Derate.with_fallback(1, ignore=ValueError)(boom)()

    def test_neutral_is_not_answered(self):
        ask = self.guarded(1, lambda error: self.throw(error), ignore=LookupError)
        for error in (KeyError(), cancelled(), KeyboardInterrupt()):
            with self.assertRaises(type(error)):
                ask(error)
        self.assertEqual(self.counts(self.breaker()), (3, 0, 0, 0))
        config = self.breaker().dup_config()
        config.ignore_error(Gio.io_error_quark(), Gio.IOErrorEnum.NOT_FOUND)
        self.breaker().reconfigure(config)
        with self.assertRaises(FileNotFoundError):
            ask(FileNotFoundError(2, "none"))
        self.assertEqual(ask(OSError(5, "torn")), 1)

    def throw(self, error):
        raise error

    def test_a_fallback_that_fails(self):
        def instead():
            raise KeyError("nothing kept")
        ask = self.guarded(instead)
        with self.assertRaises(ValueError) as caught:
            ask()
        self.assertEqual(caught.exception.__notes__,
                         ["its fallback failed: KeyError('nothing kept')"])
        self.assertIsNone(caught.exception.__context__)
        with self.assertRaises(Derate.CircuitBreakerError):
            ask()
        self.assertEqual(self.used(), 0)

    def test_two_fallbacks(self):
        ask = Derate.with_fallback("second")(self.guarded(lambda: boom()))
        self.assertEqual(ask(), "second")

    def test_a_derate_fallback(self):
        """It is given each real answer, and asked for the one of the same call."""
        kept = Kept()
        answers = {"a": {"price": 9, "names": ["x", 1.5, True, b"y"]}, "b": object()}

        @Derate.circuit_breaker("backend", fallback=kept, failure_threshold=2)
        def ask(item):
            if item not in answers:
                raise TimeoutError("late")
            return answers[item]

        self.assertIs(ask("b"), answers["b"])
        self.assertIs(ask("a"), answers.pop("a"))
        self.assertEqual(len(kept.kept), 1)
        answer = ask("a")
        self.assertEqual((answer["price"], answer["names"][:3]), (9, ["x", 1.5, True]))
        with self.assertRaises(TimeoutError):
            ask("c")
        self.assertEqual(ask("a")["price"], 9)
        self.assertEqual(kept.requests[0], ("backend", "timeout", "TimeoutError: late"))
        self.assertEqual(kept.requests[2][:2], ("backend", "open"))
        self.assertEqual(self.used(), 2)

    def test_a_key(self):
        kept = Kept()
        ask = Derate.with_fallback(kept, key=lambda item, *_: item)(lambda item, fail: (
            boom() if fail else 5))
        ask("a", False)
        self.assertEqual((ask("a", True), list(kept.kept)), (5, ["a"]))

    def test_an_answer_that_cannot_be_kept(self):
        kept = Kept()
        loop = []
        loop.append(loop)
        ask = Derate.with_fallback(kept)(lambda answer: answer)
        for answer in ("\ud800", "a\0b", {"a\0b": 1}, {"\ud800": 1}, {1: 2}, loop, 2**70):
            with self.subTest(answer=ascii(answer)):
                self.assertIs(ask(answer), answer)
        self.assertEqual(kept.kept, {})

    def test_a_key_that_fails(self):
        class Mute:
            def __repr__(self):
                raise RuntimeError("nothing to say")
        kept = Kept()
        for ask, argument in (
                (Derate.with_fallback(kept, key=lambda _: boom())(lambda one: one), 5),
                (Derate.with_fallback(kept, key=lambda _: "\ud800")(lambda one: one), 5),
                (Derate.with_fallback(kept)(lambda one: one), Mute())):
            with self.assertLogs("derate", "WARNING") as logs:
                self.assertIs(ask(argument), argument)
            self.assertEqual(len(logs.output), 1)
            self.assertIn("lambda", logs.output[0])
        self.assertEqual(kept.kept, {})

    def test_a_key_that_fails_for_a_failed_call(self):
        def late(_one):
            raise TimeoutError("late")
        with self.assertRaisesRegex(TimeoutError, "late"):
            Derate.with_fallback(Kept(), key=lambda _: boom())(late)(5)

    def test_counted_in_the_metrics(self):
        ask = self.guarded(1)
        ask()
        ask()
        text = self.core.get_metrics().render()
        for reason in ("error", "open"):
            self.assertIn('circuit_breaker_fallback_used_total{name="backend",strategy="default",'
                          f'reason="{reason}"}} 1\n', text)


if __name__ == "__main__":
    taprunner.main()
