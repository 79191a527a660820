# SPDX-License-Identifier: LGPL-2.1-or-later
"""What Python adds to Derate: circuit breakers as decorators and context managers.

    @Derate.circuit_breaker("prices", failure_threshold=3, recovery_timeout=30)
    def ask_price(item): ...

    with breaker: ...
    async with breaker: ...
    breaker.call(ask_price, 7)
    await breaker.call_async(ask_price_async, 7)

A call that the breaker refuses raises CircuitBreakerError. What the function itself raises passes
unchanged. Threads and tasks may share a breaker; no permit is ever kept on it.
"""
import contextvars
import functools
import inspect
import sys
import threading

from gi.importer import modules
from gi.overrides import _derate_outcome as outcome
from gi.overrides import override
from gi.overrides._derate_config import make_config
from gi.overrides._derate_fallback import with_fallback
from gi.overrides._derate_policy import Plan, Run
from gi.repository import GLib

Derate = modules["Derate"]._introspection_module
__all__ = ["CircuitBreakerError", "circuit_breaker", "with_fallback"]

_REASONS = {
    int(Derate.Error.OPEN): "open",
    int(Derate.Error.HALF_OPEN_FULL): "half-open-full",
    int(Derate.Error.FORCED): "forced",
    int(Derate.Error.RAMPING): "ramping",
    int(Derate.Error.DRILL): "drill",
}
_NOTHING = object()


class CircuitBreakerError(GLib.Error):
    """A circuit breaker refused the call; it was not made.

    It is the GLib.Error that C sees, with the same domain and code, and
      name: the breaker's name
      reason: `open`, `half-open-full`, `forced`, `ramping` or `drill`
      retry_after: seconds until it is worth asking again, at least 0
    """

    def __init__(self, message="the circuit breaker refused the call", code=Derate.Error.OPEN,
                 name=None, retry_after=0.0):
        super().__init__(message, outcome.DOMAIN, int(code))
        self.name = name
        self.retry_after = retry_after

    def __str__(self):
        return self.message

    @property
    def reason(self):
        return _REASONS.get(self.code, "open")


class Permit(Derate.Permit):
    """The right to make one call: `with breaker.begin() as permit:` ends it as the block ends.

    An exception is a failure, unless it is a cancellation, or one that is ignored or not recorded.
    permit.succeed(), permit.fail(error) and permit.cancel() in the block have the first word.
    """

    _judge = None

    def fail(self, error=None):
        """The call failed. Whether the exception is a failure is for the breaker to say."""
        if error is None:
            error = GLib.Error.new_literal(Derate.error_quark(), "the call failed",
                                           Derate.Error.FAILED)
        if outcome.is_failure(error, self._judge):
            super().fail(outcome.to_gerror(error))
        else:
            self.cancel()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if error is None:
            self.succeed()
        else:
            self.fail(error)

    def _run(self, fn, args, kwargs):
        with self:
            answer = fn(*args, **kwargs)
            if isinstance(answer, outcome.LAZY):
                outcome.check_answer(fn, answer)
            return answer

    async def _run_async(self, fn, args, kwargs):
        with self:
            answer = fn(*args, **kwargs)
            if inspect.isawaitable(answer):
                return await answer
            if isinstance(answer, outcome.LAZY):
                outcome.check_answer(fn, answer)
            return answer


Permit = override(Permit)
__all__.append("Permit")


# The permits of `with breaker:` in this thread or task: (breaker, permit, those around it).
_entered = contextvars.ContextVar("derate-permits", default=None)


class Breaker(Derate.Breaker):
    """A circuit breaker.

    Derate.Breaker(name, failure_threshold=5, recovery_timeout=60, …) takes every key of the
    configuration as a keyword, durations in seconds, and
      clock: a Derate.Clock, such as a Derate.ManualClock in a test
      record, ignore: exception classes or a predicate; what is not recorded or is ignored counts
        nothing. Where both speak, ignore wins.
    """

    _judge = None

    def __new__(cls, name, *, clock=None, record=None, ignore=None, **settings):
        judge = outcome.make_judge(record, ignore)
        config = make_config(settings)
        if not isinstance(name, str) or not name:
            raise ValueError(f"{name!r} is not the name of a circuit breaker")
        self = Derate.Breaker.new_with_clock(name, config, clock or Derate.Clock.get_system())
        if judge is not None:
            self._judge = judge
        return self

    def __init__(self, *_args, **_kwargs):
        pass

    def __repr__(self):
        return f"<Derate.Breaker {self.name!r}: {self.state}>"

    @property
    def name(self):
        """Its name."""
        return self.get_name()

    @property
    def state(self):
        """`closed`, `open` or `half-open`."""
        return self.get_state().value_nick

    @property
    def retry_after(self):
        """Seconds until a call may be let through; 0 unless it is open."""
        return max(self.get_retry_after(), 0) / 1000000

    @property
    def stats(self):
        """What it counted: a dict with the keys of /circuit-breakers, a copy."""
        return self.dup_stats().to_variant().unpack()

    def begin(self):
        """Asks for a permit to make one call; CircuitBreakerError when it is refused."""
        try:
            permit = super().begin()
        except GLib.Error as error:
            if error.domain != outcome.DOMAIN or error.code not in _REASONS:
                raise
            message, code = error.message, error.code
        else:
            if self._judge is not None:
                permit._judge = self._judge
            return permit
        # Out here, so that it has no context whose frames keep the breaker.
        raise CircuitBreakerError(message, code, self.name, self.retry_after)

    def call(self, fn, /, *args, **kwargs):
        """Calls a function if the breaker lets it through; gives what it returns."""
        return self.begin()._run(fn, args, kwargs)

    async def call_async(self, fn, /, *args, **kwargs):
        """Calls a coroutine function, and awaits it, if the breaker lets it through."""
        return await self.begin()._run_async(fn, args, kwargs)

    def _enter(self, frame):
        if frame.f_code.co_flags & (inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR):
            raise RuntimeError("a generator leaves its block in the midst of others: "
                               "write `with breaker.begin():` there")
        permit = self.begin()
        _entered.set((self, permit, _entered.get()))
        return permit

    def _leave(self):
        inner = []
        entry = _entered.get()
        while entry is not None and entry[0] is not self:
            inner.append(entry)
            entry = entry[2]
        if entry is None:
            raise RuntimeError(f"the block of {self!r} ends in another context than it began in")
        rest = entry[2]
        for breaker, permit, _ in reversed(inner):
            rest = (breaker, permit, rest)
        _entered.set(rest)
        return entry[1]

    def __enter__(self):
        return self._enter(sys._getframe(1))

    def __exit__(self, *what):
        self._leave().__exit__(*what)

    async def __aenter__(self):
        return self._enter(sys._getframe(1))

    async def __aexit__(self, *what):
        self._leave().__exit__(*what)


Breaker = override(Breaker)
__all__.append("Breaker")


class BreakerRegistry(Derate.BreakerRegistry):
    """Circuit breakers by name."""

    def _ensure(self, name, config=None):
        breaker = self.lookup(name)
        if breaker is None:
            breaker, _ = self.get_or_create(name, config or make_config({}))
        return breaker

    def call(self, name, fn, /, *args, **kwargs):
        """Calls a function through the breaker of that name, which is made if there is none."""
        return self._ensure(name).call(fn, *args, **kwargs)

    async def call_async(self, name, fn, /, *args, **kwargs):
        """Calls a coroutine function through the breaker of that name."""
        return await self._ensure(name).call_async(fn, *args, **kwargs)


BreakerRegistry = override(BreakerRegistry)
__all__.append("BreakerRegistry")


_core_lock = threading.Lock()


def _default_core():
    """The program's core; one is made where there is none."""
    core = Derate.Core.get_default()
    if core is not None:
        return core
    with _core_lock:
        core = Derate.Core.get_default()
        if core is None:
            core = Derate.Core.new("python", None)
            Derate.Core.set_default(core)
        return core


class _Guard:
    """What stands around a decorated function: function.guard.breaker is its breaker."""

    def __init__(self, name, registry, judge, config):
        self.name = name
        self.judge = judge
        self._registry = registry
        self._config = config

    @property
    def registry(self):
        return self._registry or _default_core().get_breakers()

    @property
    def breaker(self):
        """Asked of the registry each time: it may have been replaced, removed or evicted."""
        return self.registry._ensure(self.name, self._config)

    def begin(self):
        permit = self.breaker.begin()
        if self.judge is not None:
            permit._judge = self.judge
        return permit

    def is_failure(self, error):
        breaker = self.breaker
        return (outcome.is_failure(error, self.judge or breaker._judge)
                and breaker.dup_config().is_failure(outcome.to_gerror(error)))


def circuit_breaker(name, *, registry=None, fallback=_NOTHING, record=None, ignore=None,
                    **settings):
    """Puts the circuit breaker of that name around a function, plain or async.

    The breaker is looked up at each call in `registry`, by default that of the default core, and
    made of `settings` where there is none: every key of the configuration is a keyword, durations
    in seconds; recovery_timeout is open_duration. One that is there keeps its own settings.
      fallback: as with_fallback(fallback) above it
      record, ignore: exception classes or a predicate; what is not recorded or is ignored counts
        nothing. Where both speak, ignore wins.
    """
    if not isinstance(name, str) or not name:
        raise TypeError("circuit_breaker wants a name: @circuit_breaker(\"backend\")")
    guard = _Guard(name, registry, outcome.make_judge(record, ignore), make_config(settings))

    def decorate(fn):
        outcome.check_function(fn, "circuit_breaker")
        if outcome.is_async(fn):
            @functools.wraps(fn)
            async def guarded(*args, **kwargs):
                return await guard.begin()._run_async(fn, args, kwargs)
        else:
            @functools.wraps(fn)
            def guarded(*args, **kwargs):
                return guard.begin()._run(fn, args, kwargs)
        guarded.guard = guard
        return guarded if fallback is _NOTHING else with_fallback(fallback)(guarded)
    return decorate


# Policies

def _find_breakers(policy):
    stages = getattr(policy, "_stages", [policy])
    return [stage.get_breaker() for stage in stages if isinstance(stage, Derate.BreakerPolicy)]


class Policy(Derate.Policy):
    """Something that stands around calls, alone or in a Derate.Pipeline."""

    def _translate(self, error):
        """A breaker's refusal has a class of its own."""
        if error.domain != outcome.DOMAIN or error.code not in _REASONS:
            return error
        for breaker in _find_breakers(self):
            if f"'{breaker.name}'" in error.message:
                return CircuitBreakerError(error.message, error.code, breaker.name,
                                           breaker.retry_after)
        return CircuitBreakerError(error.message, error.code)

    def _run(self, fn, args, kwargs, plan):
        run = Run(fn, args, kwargs, plan)
        try:
            value, fallback = super().call(plan.make_request(fn, args, kwargs), run.attempt, None)
            done, answer = run.get_answer(value, fallback)
            if done:
                return answer
        except GLib.Error as error:
            run.close(error, self._translate)
        raise run.take()

    def call(self, fn, /, *args, **kwargs):
        """Calls a function, in this thread, as something that must not be done twice."""
        return self._run(fn, args, kwargs, Plan())

    def protect(self, fn=None, /, **settings):
        """A decorator of plain functions: @policy.protect, or @policy.protect(read=True, ...).

          idempotent: doing it twice is as doing it once, so that it may be tried again
          read: it changes nothing
          key: a function of the same arguments that tells one read from another, for fallbacks
            that keep answers
          record, ignore: exception classes or a predicate; what is not recorded or is ignored is
            final, and counts nothing. Where both speak, ignore wins.
        """
        plan = Plan(**settings)

        def decorate(target):
            outcome.check_function(target, "protect")
            if outcome.is_async(target):
                raise TypeError(f"protect: {target!r} is async; policies call plain functions, in "
                                "threads: await asyncio.to_thread(policy.call, ...)")

            @functools.wraps(target)
            def protected(*args, **kwargs):
                return self._run(target, args, kwargs, plan)
            protected.judge = plan.judge
            return protected
        return decorate if fn is None else decorate(fn)


Policy = override(Policy)
__all__.append("Policy")


def _to_us(seconds):
    return round(seconds * 1000000)


class Retry(Derate.Retry):
    """Makes a call again when it failed and another try may help. Delays are in seconds."""

    def __new__(cls, max_retries=None, *, delay=0.5, multiplier=2, max_delay=30, jitter=1,
                budget=0.2, reserve=3, clock=None):
        self = Derate.Retry.new_from_environment(clock or Derate.Clock.get_system())
        if max_retries is not None:
            self.set_max_retries(max_retries)
        self.set_backoff(_to_us(delay), multiplier, _to_us(max_delay), jitter)
        self.set_budget(budget, reserve)
        return self

    def __init__(self, *_args, **_kwargs):
        pass


Retry = override(Retry)
__all__.append("Retry")


class Timeout(Derate.Timeout):
    """A limit in seconds on how long a call may take."""

    def __new__(cls, seconds=Derate.TIMEOUT_DEFAULT / 1000000, *, clock=None):
        if not seconds > 0:
            raise ValueError(f"{seconds!r} is no time to wait")
        return Derate.Timeout.new(clock or Derate.Clock.get_system(), _to_us(seconds))

    def __init__(self, *_args, **_kwargs):
        pass


Timeout = override(Timeout)
__all__.append("Timeout")


class Bulkhead(Derate.Bulkhead):
    """A limit on how many calls are under way at once; `queue` of them may wait, in seconds."""

    def __new__(cls, max_concurrent=Derate.BULKHEAD_DEFAULT, *, queue=0, max_wait=None, clock=None):
        if max_concurrent < 1:
            raise ValueError(f"{max_concurrent!r} calls cannot be under way")
        self = Derate.Bulkhead.new(clock, max_concurrent)
        self.set_queue(queue, GLib.MAXINT64 if max_wait is None else _to_us(max_wait))
        return self

    def __init__(self, *_args, **_kwargs):
        pass


Bulkhead = override(Bulkhead)
__all__.append("Bulkhead")


class RateLimiter(Derate.RateLimiter):
    """A limit on how many calls begin in a second, with room for a burst of them."""

    def __new__(cls, rate, burst=1, *, max_wait=0, clock=None):
        if not rate > 0 or burst < 1:
            raise ValueError(f"{rate!r} a second and {burst!r} at once are no limit")
        self = Derate.RateLimiter.new(clock, rate, burst)
        self.set_max_wait(_to_us(max_wait))
        return self

    def __init__(self, *_args, **_kwargs):
        pass


RateLimiter = override(RateLimiter)
__all__.append("RateLimiter")


class Pipeline(Derate.Pipeline):
    """Policies around a call, the outermost first; a Derate.Breaker may stand among them."""

    def __new__(cls, *policies):
        self = Derate.Pipeline.new()
        self._stages = []
        for policy in policies:
            self.append(policy)
        return self

    def __init__(self, *_policies):
        pass

    def append(self, policy):
        if isinstance(policy, Derate.Breaker):
            policy = Derate.BreakerPolicy.new(policy)
        super().append(policy)
        self.__dict__.setdefault("_stages", []).extend(getattr(policy, "_stages", [policy]))


Pipeline = override(Pipeline)
__all__.append("Pipeline")
