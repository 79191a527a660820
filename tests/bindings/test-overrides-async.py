#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Circuit breakers around coroutines, on asyncio."""
import asyncio
import contextlib
import inspect

from breakers import SECOND, BreakerTest, Derate, GLib, Watched, boom, cancelled
import taprunner


async def give(answer=None):
    await asyncio.sleep(0)
    return answer


async def fail(error=ValueError):
    await asyncio.sleep(0)
    raise error


class CallAsyncTest(BreakerTest):
    def test_any_object(self):
        breaker = self.make()
        answer = object()
        self.assertIs(asyncio.run(breaker.call_async(give, answer)), answer)
        self.assertEqual(asyncio.run(breaker.call_async(int, "7")), 7)
        with self.assertRaises(ValueError):
            asyncio.run(breaker.call_async(fail))
        self.assertEqual(self.counts(breaker), (3, 2, 1, 0))

    def test_refused(self):
        breaker = self.make()
        breaker.trip()
        with self.assertRaises(Derate.CircuitBreakerError):
            asyncio.run(breaker.call_async(self.fail, "must not be called"))

    def test_futures(self):
        breaker = self.make()

        async def main():
            future = asyncio.get_running_loop().create_future()
            task = asyncio.ensure_future(breaker.call_async(lambda: future))
            await asyncio.sleep(0)
            future.set_result(5)
            return await task
        self.assertEqual(asyncio.run(main()), 5)
        self.assertEqual(self.counts(breaker), (1, 1, 0, 0))

    def test_async_generators(self):
        breaker = self.make()

        async def steps():
            yield 1
        with self.assertRaises(TypeError):
            asyncio.run(breaker.call_async(steps))
        self.assertNothingOut(breaker)

    def test_registry(self):
        registry = Derate.BreakerRegistry.new(self.clock)
        self.assertEqual(asyncio.run(registry.call_async("one", give, 3)), 3)
        self.assertEqual(self.counts(registry.lookup("one")), (1, 1, 0, 0))

    def test_cancelled(self):
        """By its task, and by GLib: neutral, and the probe is free again."""
        breaker = self.make()
        breaker.trip()
        self.clock.advance(60 * SECOND)

        async def main():
            task = asyncio.ensure_future(breaker.call_async(asyncio.Event().wait))
            await asyncio.sleep(0)
            with self.assertRaises(Derate.CircuitBreakerError):
                breaker.begin()
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            with self.assertRaises(GLib.Error):
                await breaker.call_async(fail, cancelled())
            return await breaker.call_async(give, 1)
        self.assertEqual(asyncio.run(main()), 1)
        self.assertEqual(self.counts(breaker), (3, 1, 0, 1))

    def test_timeouts(self):
        """Around the breaker it is a cancellation; inside, a failure."""
        breaker = self.make()
        never = asyncio.Event

        async def around():
            async with asyncio.timeout(0):
                await breaker.call_async(never().wait)

        async def inside():
            await breaker.call_async(asyncio.wait_for, never().wait(), 0)
        for main, counts in ((around, (1, 0, 0, 0)), (inside, (2, 0, 1, 0))):
            with self.assertRaises(asyncio.TimeoutError):
                asyncio.run(main())
            self.assertEqual(self.counts(breaker), counts)

    def test_never_awaited(self):
        """Nothing is asked before it runs; a loop that ends early frees the permit."""
        breaker = self.make()
        breaker.call_async(give).close()
        self.assertEqual(self.counts(breaker), (0, 0, 0, 0))
        coroutine = breaker.call_async(give)
        coroutine.send(None)
        coroutine.close()
        self.assertEqual(self.counts(breaker), (1, 0, 0, 0))
        self.assertNothingOut(breaker)


class AsyncWithTest(BreakerTest):
    def test_success_and_failure(self):
        breaker = self.make()

        async def main():
            async with breaker as permit:
                self.assertIsInstance(permit, Derate.Permit)
                await give()
            with contextlib.suppress(ValueError):
                async with breaker:
                    await fail()
            with breaker:
                await give()
        asyncio.run(main())
        self.assertEqual(self.counts(breaker), (3, 2, 1, 0))

    def test_refused(self):
        breaker = self.make()
        breaker.trip()

        async def main():
            async with breaker:
                self.fail("must not be entered")
        with self.assertRaises(Derate.CircuitBreakerError):
            asyncio.run(main())

    def test_many_tasks(self):
        """Each block ends its own permit, though they end in another order than they began in."""
        breaker = self.make()
        breaker.begin = Watched

        async def work(number):
            for turn in range(number % 7 + 1):
                error = ValueError(number, turn) if number % 2 else None
                with contextlib.suppress(ValueError):
                    async with breaker as permit:
                        for _ in range(number * turn % 5):
                            await asyncio.sleep(0)
                        async with breaker as inner:
                            await asyncio.sleep(0)
                        self.assertEqual((permit.ended, inner.ended), ("not yet", None))
                        if error:
                            raise error
                self.assertIs(permit.ended, error)

        async def main():
            await asyncio.gather(*map(work, range(70)))
        asyncio.run(main())

    def test_a_task_made_in_a_block(self):
        """It has blocks of its own, and outlives the one it was made in."""
        breaker = self.make()

        async def main():
            async with breaker:
                task = asyncio.ensure_future(child())
                await asyncio.sleep(0)
            await task

        async def child():
            with contextlib.suppress(ValueError):
                async with breaker:
                    for _ in range(5):
                        await asyncio.sleep(0)
                    boom()
        asyncio.run(main())
        self.assertEqual(self.counts(breaker), (2, 1, 1, 0))

    def test_a_cancelled_block(self):
        breaker = self.make()

        async def work():
            async with breaker:
                await asyncio.Event().wait()

        async def main():
            task = asyncio.ensure_future(work())
            await asyncio.sleep(0)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
        asyncio.run(main())
        self.assertEqual(self.counts(breaker), (1, 0, 0, 0))
        self.assertNothingOut(breaker)

    def test_async_generators_are_refused(self):
        breaker = self.make()

        async def steps():
            async with breaker:
                yield

        async def main():
            async for _ in steps():
                pass
        with self.assertRaisesRegex(RuntimeError, "with breaker.begin()"):
            asyncio.run(main())

    def test_exit_in_another_task(self):
        """An error says so, and the permit goes with its task."""
        breaker = self.make()

        async def main():
            stack = contextlib.AsyncExitStack()
            await asyncio.ensure_future(stack.enter_async_context(breaker))
            with self.assertRaisesRegex(RuntimeError, "another context"):
                await stack.aclose()
        asyncio.run(main())
        self.assertEqual(self.counts(breaker), (1, 0, 0, 0))


class AsyncDecoratorTest(BreakerTest):
    def test_coroutine_functions(self):
        @Derate.circuit_breaker("backend", failure_threshold=2)
        async def ask(error=None):
            if error:
                await fail(error)
            return await give(7)

        async def main():
            self.assertEqual(await ask(), 7)
            for _ in range(2):
                with self.assertRaises(OSError):
                    await ask(OSError)
            with self.assertRaises(Derate.CircuitBreakerError):
                await ask()
        self.assertTrue(inspect.iscoroutinefunction(ask))
        asyncio.run(main())
        self.assertEqual(self.counts(self.breaker()), (3, 1, 2, 1))

    def test_callable_objects(self):
        class Ask:
            __qualname__ = __name__ = "Ask"

            async def __call__(self):
                return await give(7)
        self.assertEqual(asyncio.run(Derate.circuit_breaker("backend")(Ask())()), 7)

    def test_fallbacks(self):
        async def later(*_args):
            return await give("later")
        for fallback, answer in ((7, 7), (lambda *_: 8, 8), (later, "later")):
            ask = Derate.circuit_breaker("backend", fallback=fallback, failure_threshold=1)(fail)
            self.assertEqual(asyncio.run(ask()), answer)
        self.assertEqual(self.counts(self.breaker()), (1, 0, 1, 2))
        with self.assertRaises(TypeError):
            Derate.with_fallback(later)(int)

    def test_a_fallback_that_fails(self):
        ask = Derate.with_fallback(lambda: fail(KeyError))(fail)
        with self.assertRaises(ValueError) as caught:
            asyncio.run(ask())
        self.assertEqual(caught.exception.__notes__, ["its fallback failed: KeyError()"])

    def test_cancelled_is_not_answered(self):
        ask = Derate.circuit_breaker("backend", fallback=1)(asyncio.Event().wait)

        async def main():
            task = asyncio.ensure_future(ask())
            await asyncio.sleep(0)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
        asyncio.run(main())
        self.assertEqual(self.counts(self.breaker()), (1, 0, 0, 0))


if __name__ == "__main__":
    taprunner.main()
