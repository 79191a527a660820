# SPDX-License-Identifier: LGPL-2.1-or-later
"""A retry, a breaker and a limit on the time, around a plain function."""
import gi

gi.require_version("Derate", "1")
from gi.repository import Derate

breaker = Derate.Breaker("prices", failure_threshold=3)
pipeline = Derate.Pipeline(Derate.Retry(2, delay=0.02), breaker, Derate.Timeout(2))
failures = 2


@pipeline.protect(read=True)
def price(item):
    global failures
    failures -= 1
    if failures >= 0:
        raise ConnectionResetError(104, "connection reset")
    return 9.5


@pipeline.protect
def order(item):
    raise ConnectionResetError(104, "connection reset")


print(price("tea"), "with", breaker.stats["failed_requests"], "failures")
try:
    order("tea")
except ConnectionResetError as error:
    print("not tried again:", error.strerror)
print(breaker.stats["calls"], "calls")
