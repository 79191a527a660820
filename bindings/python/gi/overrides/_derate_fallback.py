# SPDX-License-Identifier: LGPL-2.1-or-later
"""@with_fallback: who answers for a function that was refused or failed."""
import functools
import inspect
import logging
import time

from gi.importer import modules
from gi.overrides import _derate_outcome as outcome
from gi.repository import GLib

Derate = modules["Derate"]._introspection_module
_log = logging.getLogger("derate")


def _to_text(text):
    if "\0" in text:
        raise ValueError("a text in C ends at its first zero")
    return text


def _to_variant(value):
    if isinstance(value, GLib.Variant):
        return value
    if isinstance(value, str):
        return GLib.Variant("s", _to_text(value))
    for kind, code in ((bool, "b"), (int, "x"), (float, "d"), (bytes, "ay")):
        if isinstance(value, kind):
            return GLib.Variant(code, value)
    if isinstance(value, dict):
        return GLib.Variant("a{sv}", {_to_text(key): _to_variant(one)
                                      for key, one in value.items()})
    if isinstance(value, (list, tuple)):
        return GLib.Variant("av", [_to_variant(one) for one in value])
    raise TypeError("it is no plain value")


def to_variant(value):
    """A GVariant of plain Python values; TypeError for any other, and for what C cannot hold."""
    try:
        return _to_variant(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise TypeError(f"a {type(value).__name__} is not kept: {error}") from None


class _Value:
    """Answers with a value."""

    strategy = "default"

    def __init__(self, value):
        self._value = value

    def answer(self, _call):
        return self._value


class _Function:
    """Answers with a function of the same arguments, and of the exception if it wants `error`."""

    strategy = "degraded"

    def __init__(self, fn):
        self._fn = fn
        try:
            error = inspect.signature(fn).parameters.get("error")
        except ValueError:  # of a builtin
            error = None
        self._wants_error = error is not None and error.kind is error.KEYWORD_ONLY

    def answer(self, call):
        more = {"error": call.error} if self._wants_error else {}
        return self._fn(*call.args, **call.kwargs, **more)


class _Strategy:
    """Answers with a Derate.Fallback."""

    def __init__(self, fallback):
        self._fallback = fallback
        self.strategy = fallback.get_strategy()

    def answer(self, call):
        cause = outcome.to_gerror(call.error)
        request = Derate.FallbackRequest.new(call.service, call.reason, cause, call.key, None)
        return self._fallback.answer(request).get_value().unpack()

    def note(self, key, answer):
        try:
            value = to_variant(answer)
        except (TypeError, OverflowError):
            return
        self._fallback.note_answer(key, value)


class _FailedCall:
    """A call that a fallback is asked to answer."""

    def __init__(self, guard, fn, args, kwargs, error):
        self.args = args
        self.kwargs = kwargs
        self.error = error
        self.key = None
        self.service = guard.name if guard else fn.__qualname__
        self._guard = guard
        self._began = time.monotonic()

    @property
    def reason(self):
        return Derate.fallback_reason_from_error(outcome.to_gerror(self.error))

    def end(self, strategy, failure=None):
        """Counts it in the metrics of the core that has the breaker."""
        core = Derate.Core.get_default()
        if self._guard and core and core.get_breakers() is self._guard.registry:
            spent = round((time.monotonic() - self._began) * 1000000)
            core.get_fallback_usage().note(self.service, strategy, self.reason, spent,
                                           failure is None)
        if failure is not None and hasattr(self.error, "add_note"):  # Python 3.11 and later
            self.error.add_note(f"its fallback failed: {failure!r}")


def make_key(fn, args, kwargs):
    """What tells one call from another, for a fallback that keeps answers."""
    words = [repr(one) for one in args] + [f"{key}={kwargs[key]!r}" for key in sorted(kwargs)]
    return f"{fn.__qualname__}({', '.join(words)})"


def _is_refusal(error):
    """Refused, or given up, by Derate itself."""
    return (isinstance(error, GLib.Error) and error.domain == outcome.DOMAIN
            and (Derate.Error.OPEN <= error.code <= Derate.Error.TIMED_OUT
                 or error.code in (Derate.Error.RAMPING, Derate.Error.LEVEL, Derate.Error.HOLD)))


def _make_answerer(fallback):
    if isinstance(fallback, Derate.Fallback):
        return _Strategy(fallback)
    if callable(fallback):
        outcome.check_function(fallback, "with_fallback")
        return _Function(fallback)
    return _Value(fallback)


class _Fallback:
    """Stands around one function, whose failed calls it answers."""

    def __init__(self, fn, answerer, judge, key):
        self._fn = fn
        self._answerer = answerer
        self._judge = judge or getattr(fn, "judge", None)  # of policy.protect()
        self._key = key
        self._guard = getattr(fn, "guard", None)

    def _may_answer(self, error):
        if _is_refusal(error):
            return True
        if self._guard is not None and self._judge is None:
            return self._guard.is_failure(error)
        return outcome.is_failure(error, self._judge)

    def _make_key(self, args, kwargs):
        if not isinstance(self._answerer, _Strategy):
            return None
        return str(self._key(*args, **kwargs)) if self._key else make_key(self._fn, args, kwargs)

    def note(self, args, kwargs, answer):
        """Gives the real answer to a fallback that keeps answers. What fails here is only logged:
        the answer is a good one all the same."""
        if not isinstance(self._answerer, _Strategy):
            return
        try:
            self._answerer.note(self._make_key(args, kwargs), answer)
        except Exception:
            name = getattr(self._fn, "__qualname__", type(self._fn).__name__)
            _log.warning("with_fallback: an answer of %s is not kept", name, exc_info=True)

    def begin(self, args, kwargs, error):
        """The call to answer, or None when it is not for a fallback."""
        if not self._may_answer(error):
            return None
        return _FailedCall(self._guard, self._fn, args, kwargs, error)

    def answer(self, call):
        """Whether there is an answer, and the answer. No exception stays in a frame of its own
        traceback: that would be a cycle."""
        try:
            call.key = self._make_key(call.args, call.kwargs)
            answer = self._answerer.answer(call)
        except Exception as failure:
            call.end(self._answerer.strategy, failure)
            return False, None
        call.end(self._answerer.strategy)
        return True, answer

    async def answer_async(self, call):
        try:
            call.key = self._make_key(call.args, call.kwargs)
            answer = self._answerer.answer(call)
            if inspect.isawaitable(answer):
                answer = await answer
        except Exception as failure:
            call.end(self._answerer.strategy, failure)
            return False, None
        call.end(self._answerer.strategy)
        return True, answer


def _answer_for(fn, stage):
    @functools.wraps(fn)
    def answered(*args, **kwargs):
        try:
            answer = fn(*args, **kwargs)
        except Exception as error:
            call = stage.begin(args, kwargs, error)
            done, answer = stage.answer(call) if call else (False, None)
            call = None
            if not done:
                raise
            return answer
        stage.note(args, kwargs, answer)
        return answer
    return answered


def _answer_for_async(fn, stage):
    @functools.wraps(fn)
    async def answered(*args, **kwargs):
        try:
            answer = await fn(*args, **kwargs)
        except Exception as error:
            call = stage.begin(args, kwargs, error)
            done, answer = await stage.answer_async(call) if call else (False, None)
            call = None
            if not done:
                raise
            return answer
        stage.note(args, kwargs, answer)
        return answer
    return answered


def with_fallback(fallback, *, record=None, ignore=None, key=None):
    """Answers for a function, plain or async, that was refused, ran out of time or failed.

    The fallback is a function of the same arguments (which gets the exception too if it has a
    keyword-only parameter `error`), a Derate.Fallback that answers at once, or else a value. It
    does not answer what is neutral to the breaker below it: an exception that is ignored or not
    recorded, or a cancellation. When the fallback fails, the caller gets the first exception.
      record, ignore: what is to be answered where no @circuit_breaker stands below
      key: a function of the same arguments that tells one call from another, for a Derate.Fallback
        that keeps answers. When it fails, a good answer is not kept, and the logger `derate` says
        why; of a failed call the fallback has failed
    """
    answerer = _make_answerer(fallback)
    judge = outcome.make_judge(record, ignore)

    def decorate(fn):
        outcome.check_function(fn, "with_fallback")
        stage = _Fallback(fn, answerer, judge, key)
        if outcome.is_async(fn):
            return _answer_for_async(fn, stage)
        if isinstance(answerer, _Function) and outcome.is_async(fallback):
            raise TypeError(f"with_fallback: {fallback!r} is async and {fn!r} is not")
        return _answer_for(fn, stage)
    return decorate
