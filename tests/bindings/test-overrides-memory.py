#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Nothing that a call touched is kept, without the help of the garbage collector."""
import contextlib
import gc
import resource
import sys
import weakref

from breakers import BreakerTest, Derate, boom
import taprunner

CALLS = 100000
PAGE = resource.getpagesize()
# What an allocator may take once; a leak of one byte a call is more than that.
SLACK = CALLS


class Thing:
    """What can be looked after."""


class Oops(Exception):
    pass


def resident():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * PAGE


def drive(coroutine):
    """Runs it to its end; it waits for nothing, and a loop would leave cycles of its own."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waits")


class MemoryTest(BreakerTest):
    def setUp(self):
        super().setUp()
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)

    def assertNoGrowth(self, call):
        """Of Python's objects and of the process, over many calls."""
        for _ in range(2000):
            call()
        blocks, bytes_before = sys.getallocatedblocks(), resident()
        for _ in range(CALLS):
            call()
        self.assertLess(sys.getallocatedblocks() - blocks, CALLS // 100)
        self.assertLess(resident() - bytes_before, SLACK)

    def test_success(self):
        breaker = self.make()
        self.assertNoGrowth(lambda: breaker.call(int))

    def test_with(self):
        breaker = self.make()

        def call():
            with breaker:
                pass
        self.assertNoGrowth(call)

    def test_failures(self):
        breaker = self.make(failure_threshold=0, window="none")

        def call():
            try:
                breaker.call(boom)
            except ValueError:
                pass
        self.assertNoGrowth(call)

    def test_refusals(self):
        breaker = self.make()
        breaker.trip()

        def call():
            try:
                breaker.call(int)
            except Derate.CircuitBreakerError:
                pass
        self.assertNoGrowth(call)

    def test_decorated_with_a_fallback(self):
        self.assertNoGrowth(Derate.circuit_breaker("backend", fallback=1)(boom))
        self.assertNoGrowth(Derate.circuit_breaker("other", fallback=1)(int))

    def test_dropped_permits(self):
        breaker = self.make()
        self.assertNoGrowth(breaker.begin)
        self.assertEqual(breaker.stats["calls"], CALLS + 2000)

    def test_async(self):
        breaker = self.make(failure_threshold=0, window="none")

        async def fail():
            raise Oops

        async def call():
            async with breaker:
                pass
            try:
                await breaker.call_async(fail)
            except Oops:
                pass
        self.assertNoGrowth(lambda: drive(call()))

    def test_what_a_call_was_given(self):
        """Arguments, answer and exception go with their last reference: there is no cycle."""
        breaker = self.make(failure_threshold=0, window="none")
        instead = Derate.with_fallback(boom, record=KeyError)

        def fail(thing):
            raise Oops(thing)

        def use(call, thing):
            try:
                call(thing)
            except Oops as error:
                return weakref.ref(error)

        async def fail_async(thing):
            raise Oops(thing)
        decorated = Derate.circuit_breaker("other", failure_threshold=0, window="none")
        for call in (lambda thing: breaker.call(fail, thing),
                     decorated(fail), instead(decorated(fail)),
                     Derate.with_fallback(lambda _thing: boom())(fail),
                     lambda thing: drive(breaker.call_async(fail_async, thing))):
            thing = Thing()
            watched = weakref.ref(thing)
            error = use(call, thing)
            del thing
            self.assertEqual((watched(), error()), (None, None))

    def test_refusals_are_no_cycle(self):
        breaker = self.make()
        breaker.trip()
        seen = []
        for call in (breaker.begin, lambda: breaker.call(int),
                     lambda: drive(breaker.call_async(int))):
            try:
                call()
            except Derate.CircuitBreakerError as error:
                seen.append(weakref.ref(error))
        self.assertEqual([error() for error in seen], [None, None, None])

    def test_breakers(self):
        """A breaker goes with its last reference, also one that has a predicate, was used in a
        block, and refused a call whose exception is still there."""
        breaker = self.make(ignore=lambda error: False)
        gone = []
        breaker.weak_ref(lambda: gone.append(True))
        with contextlib.suppress(ValueError), breaker:
            boom()
        breaker.trip()
        try:
            breaker.begin()
        except Derate.CircuitBreakerError as error:
            kept = error.with_traceback(None)
        del breaker
        gc.collect()
        self.assertEqual((gone, kept.name), ([True], "backend"))

    def test_a_kept_exception_keeps_no_permit(self):
        """The one probe is free although its exception, and so its frames, are still there."""
        breaker = self.make(success_threshold=1, failure_threshold=0, window="none")
        kept = []
        for _ in range(3):
            breaker.trip()
            self.clock.advance(breaker.get_retry_after())
            try:
                breaker.call(boom)
            except ValueError as error:
                kept.append(error)
            self.assertEqual(breaker.state, "open")
        self.assertNothingOut(breaker)


if __name__ == "__main__":
    taprunner.main()
