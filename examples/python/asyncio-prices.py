# SPDX-License-Identifier: LGPL-2.1-or-later
"""The three forms around coroutines."""
import asyncio

import gi

gi.require_version("Derate", "1")
from gi.repository import Derate

breaker = Derate.Breaker("prices", failure_threshold=2, open_duration_jitter=0)


async def ask(item):
    await asyncio.sleep(0)  # here the network would be
    if item != "tea":
        raise ConnectionError("connection refused")
    return 9.5


async def with_a_block(item):
    async with breaker:
        return await ask(item)


@Derate.circuit_breaker("other-prices", record=OSError)
async def decorated(item):
    return await ask(item)


async def main():
    print(await breaker.call_async(ask, "tea"))
    print(await with_a_block("tea"))
    print(await decorated("tea"))
    outcomes = await asyncio.gather(with_a_block("rum"), breaker.call_async(ask, "rum"),
                                    return_exceptions=True)
    print(*outcomes, sep=", ")
    try:
        await with_a_block("tea")
    except Derate.CircuitBreakerError as error:
        print(f"{error.name} is {error.reason}, worth asking again in {error.retry_after:.0f} s")


asyncio.run(main())
