#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Retry, timeout, breaker and fallback around functions of Python's, alone and in a pipeline."""
import gc
import itertools
import sys
import threading
import weakref

from gi.repository import GObject

from breakers import SECOND, BreakerTest, Derate, GLib, boom, cancelled
import taprunner


class Thing:
    """What can be looked after."""


class Oops(Exception):
    pass


class Kept(GObject.Object, Derate.Fallback):
    """Gives the last good answer to the same call, or whatever it has."""

    def __init__(self, value=None):
        super().__init__()
        self.kept = {}
        self.value = value

    def do_get_strategy(self):
        return "kept"

    def do_answer(self, request):
        value = self.kept.get(request.get_key(), self.value)
        if value is None:
            raise GLib.Error.new_literal(Derate.error_quark(), "nothing kept",
                                         Derate.Error.UNAVAILABLE)
        return Derate.FallbackResult.new(value, "kept", "stale", request.get_reason(), 0)

    def do_note_answer(self, key, value):
        self.kept[key] = value


class PolicyTest(BreakerTest):
    def setUp(self):
        super().setUp()
        self.calls = 0

    def fails(self, *errors, answer="answer"):
        """A function that fails with each of the errors in turn, then answers."""
        left = list(errors)

        def fn(*_args):
            self.calls += 1
            if left:
                raise left.pop(0)
            return answer
        return fn

    def retry(self, retries=3, **settings):
        return Derate.Retry(retries, delay=0, clock=self.clock, **settings)

    def test_any_object(self):
        answer = object()
        for policy in (Derate.Pipeline(), self.retry(), Derate.Timeout(1, clock=self.clock),
                       Derate.BreakerPolicy.new(self.make())):
            self.assertIs(policy.call(lambda: answer), answer)
            self.assertIsNone(policy.call(lambda: None))
            self.assertEqual(policy.call(dict, a=1), {"a": 1})

    def test_exceptions_pass(self):
        """The one of the last attempt, with its frames, and told how many there were."""
        first, last = OSError(5, "first"), ValueError("last")
        policy = self.retry(1)
        with self.assertRaises(ValueError) as caught:
            policy.protect(read=True)(self.fails(first, last))()
        self.assertIs(caught.exception, last)
        self.assertIsNone(last.__context__)
        self.assertEqual((self.calls, last.__notes__), (2, ["after 2 attempts"]))

    def test_exceptions_that_c_does_not_understand(self):
        timeout = Derate.Timeout.new(self.clock, SECOND)
        for error in (ValueError("a\0b"), ValueError("\ud800"), OSError(2**40, "big"),
                      GLib.Error("x", "a-domain", 2**40)):
            def fail():
                raise error
            with self.subTest(kind=type(error), args=error.args):
                caught = None
                try:
                    timeout.call(fail)
                except Exception as other:
                    caught = other
                self.assertIs(caught, error)

    def test_the_answer_of_the_attempt_that_won(self):
        """A hedge's first attempt ends later; its answer is nobody's."""
        hedge = Derate.Hedge.new(None, 0)
        for options in ({"idempotent": True}, {"read": True}):
            numbers = itertools.count(1)

            def ask():
                number = next(numbers)
                if number == 1:
                    lost = threading.Event()
                    Derate.call_dup_cancellable().connect(lambda *_: lost.set())
                    lost.wait(10)
                return number
            with self.subTest(options=options):
                self.assertEqual(hedge.protect(**options)(ask)(), 2)

    def test_an_answer_that_equals_nothing(self):
        answer = float("nan")
        self.assertIs(self.retry().protect(read=True)(lambda: answer)(), answer)

    def test_retries(self):
        """A read is tried again after any failure; a write only where nothing was done."""
        for settings, error, calls in (({"read": True}, OSError(5, "torn"), 2),
                                       ({"idempotent": True}, ValueError(), 2),
                                       ({}, ConnectionRefusedError(111, "refused"), 2),
                                       ({}, OSError(5, "torn"), 1),
                                       ({"read": True, "ignore": LookupError}, KeyError(1), 1),
                                       ({"read": True, "record": LookupError}, OSError(), 1),
                                       ({"read": True}, cancelled(), 1),
                                       ({"read": True}, KeyboardInterrupt(), 1)):
            with self.subTest(settings=settings, error=error):
                self.calls = 0
                protected = self.retry().protect(**settings)(self.fails(error))
                if calls == 2:
                    self.assertEqual(protected(), "answer")
                else:
                    with self.assertRaises(type(error)) as caught:
                        protected()
                    self.assertIs(caught.exception, error)
                self.assertEqual(self.calls, calls)

    def test_settings(self):
        self.assertEqual(Derate.Retry().get_max_retries(), 3)
        self.assertEqual(Derate.Retry(7).get_max_retries(), 7)
        retry = Derate.Retry(delay=1, multiplier=3, max_delay=5)
        self.assertEqual([retry.get_longest_delay(n) for n in (1, 2, 3)],
                         [SECOND, 3 * SECOND, 5 * SECOND])
        self.assertEqual(Derate.Timeout().get_span(), 30 * SECOND)
        self.assertEqual(Derate.Timeout(0.25).get_span(), SECOND // 4)
        with self.assertRaises(GLib.Error):
            Derate.Retry(budget=-1)
        with self.assertRaises(ValueError):
            Derate.Timeout(0)

    def test_a_timeout(self):
        """What ends late has failed, although nobody can interrupt it."""
        breaker = self.make()
        pipeline = Derate.Pipeline(breaker, Derate.Timeout(1, clock=self.clock))
        self.assertIs(pipeline.call(self.clock.advance, SECOND - 1), None)
        with self.assertRaises(GLib.Error) as late:
            pipeline.call(self.clock.advance, SECOND)
        self.assertTrue(late.exception.matches(Derate.error_quark(), Derate.Error.TIMED_OUT))
        self.assertEqual(self.counts(breaker), (2, 1, 1, 0))

    def test_a_deadline(self):
        seen = []
        Derate.Timeout(1, clock=self.clock).call(
            lambda: seen.append(Derate.call_get_deadline() - self.clock.get_time()))
        self.assertEqual(seen, [SECOND])

    def assertRefused(self, code, fn, *args):
        with self.assertRaises(GLib.Error) as refused:
            fn(*args)
        self.assertTrue(refused.exception.matches(Derate.error_quark(), code))

    def test_a_bulkhead(self):
        """One call in another finds no place; neither counts against a breaker."""
        breaker = self.make()
        places = Derate.Pipeline(breaker, Derate.Bulkhead(1, clock=self.clock))
        self.assertRefused(Derate.Error.QUEUE_FULL, places.call, places.call, int)
        self.assertEqual(places.call(int), 0)
        self.assertEqual(self.counts(breaker), (3, 1, 0, 0))
        self.assertEqual(Derate.Bulkhead().get_limit(), 25)
        with self.assertRaises(ValueError):
            Derate.Bulkhead(0)
        with self.assertRaises(GLib.Error):
            Derate.Bulkhead(1, queue=1, max_wait=-1)

    def test_a_rate_limiter(self):
        limiter = Derate.RateLimiter(1, burst=2, clock=self.clock)
        ask = Derate.with_fallback("later")(limiter.protect(lambda: "now"))
        self.assertEqual([ask() for _ in range(3)], ["now", "now", "later"])
        self.assertRefused(Derate.Error.RATE_LIMITED, limiter.call, int)
        self.clock.advance(SECOND)
        self.assertEqual(ask(), "now")
        for wrong in ((0,), (1, 0), (float("nan"),)):
            with self.assertRaises(ValueError):
                Derate.RateLimiter(*wrong)

    def test_a_pipeline(self):
        """The breaker inside a retry sees each attempt; its refusal is not tried again."""
        breaker = self.make(failure_threshold=2)
        pipeline = Derate.Pipeline(self.retry(), breaker)
        self.assertEqual(pipeline.get_length(), 2)
        protected = pipeline.protect(read=True)(self.fails(*[OSError(5, "torn")] * 9))
        with self.assertRaises(Derate.CircuitBreakerError) as refused:
            protected()
        self.assertEqual((self.calls, self.counts(breaker)), (2, (2, 0, 2, 1)))
        self.assertEqual((refused.exception.name, refused.exception.reason,
                          refused.exception.retry_after), ("backend", "open", 60.0))

    def test_pipelines_in_pipelines(self):
        breaker = self.make()
        breaker.trip()
        pipeline = Derate.Pipeline(self.retry(), Derate.Pipeline(self.retry(0), breaker))
        self.assertEqual(pipeline.get_length(), 3)
        with self.assertRaises(Derate.CircuitBreakerError) as refused:
            pipeline.call(int)
        self.assertEqual(refused.exception.name, "backend")

    def test_neutral_to_the_breaker(self):
        breaker = self.make(failure_threshold=1)
        ask = Derate.Pipeline(breaker).protect(ignore=LookupError)(self.fails(KeyError(1)))
        with self.assertRaises(KeyError):
            ask()
        self.assertEqual(self.counts(breaker), (1, 0, 0, 0))

    def test_a_fallback(self):
        """It keeps the answers of reads, of plain values only, and answers the same call."""
        kept = Kept()
        breaker = self.make()
        pipeline = Derate.Pipeline(Derate.FallbackPolicy.new("shop", kept), breaker)
        answers = {"tea": {"price": 9.5}, "hat": object()}
        read = pipeline.protect(read=True)(lambda item: answers[item])
        self.assertEqual(read("tea"), {"price": 9.5})
        self.assertIs(read("hat"), answers["hat"])
        answers.clear()
        breaker.trip()
        self.assertEqual(read("tea"), {"price": 9.5})
        with self.assertRaises(GLib.Error):
            read("rum")

    def test_with_fallback_above(self):
        """It answers what the pipeline refuses or fails with, and not what it takes for an answer."""
        breaker = self.make()
        protect = Derate.Pipeline(breaker).protect(ignore=LookupError)
        for error, answer in ((OSError(5, "torn"), 1), (KeyError(), None)):
            ask = Derate.with_fallback(1)(protect(self.fails(error)))
            if answer is None:
                with self.assertRaises(KeyError):
                    ask()
            else:
                self.assertEqual(ask(), answer)
        breaker.trip()
        self.assertEqual(Derate.with_fallback(2)(protect(int))(), 2)

    def test_a_gate(self):
        """While the feature is off nothing is called, and the fallback answers."""
        config = Derate.Config.new_from_data("[derate]\nname=shop\n[service openai]\nrole=ai\n",
                                             "shop.conf")
        core = Derate.Core.new_from_config(config, self.clock)
        core.start_async(None, lambda *_result: None)
        self.clock.advance(0)
        pipeline = core.create_gated_pipeline("openai", "ai", Derate.CorePipelineFlags.FULL)
        price = pipeline.protect(read=True, record=OSError)(self.fails(answer=120))
        self.assertEqual(price(), 120)
        core.get_degradation_manager().hold(Derate.Level.LIMITED, Derate.HoldMode.AT_LEAST, "ana",
                                            "maintenance", 60 * SECOND)
        self.assertRefused(Derate.Error.HOLD, price)
        self.assertEqual(Derate.with_fallback(130)(price)(), 130)
        self.assertEqual(self.calls, 1)
        with self.assertRaisesRegex(GLib.Error, "no feature “magic”"):
            core.create_gated_pipeline("openai", "magic", Derate.CorePipelineFlags.FULL)

    def test_a_token_is_no_answer(self):
        """What a fallback kept of an answer that is no plain value is not given out."""
        kept = Kept()
        pipeline = Derate.Pipeline(Derate.FallbackPolicy.new("shop", kept))
        read = pipeline.protect(read=True, key=lambda: "one")(self.fails(answer=object()))
        read()
        torn = pipeline.protect(read=True, key=lambda: "one")(self.fails(OSError(5, "torn")))
        with self.assertRaises(OSError):
            torn()
        breaker = self.make()
        breaker.trip()
        pipeline = Derate.Pipeline(Derate.FallbackPolicy.new("shop", kept), breaker)
        with self.assertRaisesRegex(GLib.Error, "no answer"):
            pipeline.protect(read=True, key=lambda: "one")(int)()

    def test_what_cannot_be_protected(self):
        async def later():
            return 1

        def steps():
            yield 1
        policy = Derate.Pipeline(self.make(failure_threshold=1))
        for wrong in (later, steps, 7):
            with self.assertRaises(TypeError):
                policy.protect(wrong)
        for wrong in (later, steps):
            with self.assertRaises(TypeError):
                policy.call(wrong)
        with self.assertRaises(TypeError):
            policy.protect(reed=True)
        self.assertEqual(policy.call(int), 0)

    def test_calls_in_calls(self):
        outer, inner = self.make("outer"), self.make("inner")
        inner.trip()
        pipelines = [Derate.Pipeline(one) for one in (outer, inner)]
        with self.assertRaises(Derate.CircuitBreakerError) as refused:
            pipelines[0].call(pipelines[1].call, int)
        self.assertEqual(refused.exception.name, "inner")
        self.assertEqual(self.counts(outer), (1, 0, 0, 0))

    def test_memory(self):
        """Nothing that a call touched is kept, and the process does not grow."""
        breaker = self.make(failure_threshold=0, window="none")
        pipeline = Derate.Pipeline(self.retry(1, budget=float("inf")), breaker,
                                   Derate.Timeout(1, clock=self.clock))

        def fail(thing):
            raise Oops(thing)
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)

        def use():
            thing = Thing()
            refs = [weakref.ref(thing)]
            try:
                pipeline.protect(read=True)(fail)(thing)
            except Oops as error:
                refs.append(weakref.ref(error))
            return refs
        self.assertEqual([ref() for ref in use()], [None, None])
        for call in (lambda: pipeline.call(int), use):
            for _ in range(1000):
                call()
            blocks = sys.getallocatedblocks()
            for _ in range(20000):
                call()
            self.assertLess(sys.getallocatedblocks() - blocks, 200)


if __name__ == "__main__":
    taprunner.main()
