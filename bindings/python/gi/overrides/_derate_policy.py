# SPDX-License-Identifier: LGPL-2.1-or-later
"""Calls of Python functions under a Derate.Policy.

C sees a token for an answer and a GError for an exception; the caller gets what the function
itself returned or raised.
"""
import itertools

from gi.importer import modules
from gi.overrides import _derate_outcome as outcome
from gi.overrides._derate_fallback import make_key, to_variant
from gi.repository import Gio, GLib

Derate = modules["Derate"]._introspection_module

_TOKEN = "org.derate.Derate1.Python"


def _make_token(number):
    """Stands for the answer of an attempt that is no plain value. No fallback gives it to a
    caller."""
    return GLib.Variant("(su)", (_TOKEN, number))


def _is_token(value):
    return value.get_type_string() == "(su)" and value.get_child_value(0).get_string() == _TOKEN


class Plan:
    """What is said once of all calls of a function."""

    def __init__(self, idempotent=False, read=False, key=None, record=None, ignore=None):
        flags = Derate.RequestFlags.NONE
        if idempotent:
            flags |= Derate.RequestFlags.IDEMPOTENT
        if read:
            flags |= Derate.RequestFlags.READ
        self.flags = flags
        self.read = read
        self.judge = outcome.make_judge(record, ignore)
        self._key = key

    def make_request(self, fn, args, kwargs):
        if not self.read:
            return Derate.Request.new(self.flags, None)
        key = str(self._key(*args, **kwargs)) if self._key else make_key(fn, args, kwargs)
        return Derate.Request.new(self.flags, key)


class Run:
    """One call: its attempts, and how it ended. An exception goes before it is raised: its frames
    have this object, and that would be a cycle."""

    def __init__(self, fn, args, kwargs, plan):
        self._fn = fn
        self._args = args
        self._kwargs = kwargs
        self._plan = plan
        self._numbers = itertools.count()
        self._answers = []  # (what C was told, the answer); a hedge's attempts are in two threads
        self._failed = []  # (what C was told, the exception), oldest first
        self._exception = None

    def attempt(self, *_args):
        """What C calls, in the thread of the caller."""
        try:
            answer = self._fn(*self._args, **self._kwargs)
            if isinstance(answer, outcome.LAZY):
                outcome.check_answer(self._fn, answer)
        except BaseException as error:
            raise self._tell(error) from None
        told = self._to_variant(answer)
        self._answers.append((told, answer))
        return told

    def _tell(self, error):
        """What is neutral to a breaker is as good as cancelled to the others."""
        if outcome.is_failure(error, self._plan.judge):
            told = outcome.to_gerror(error)
        else:
            told = GLib.Error.new_literal(Gio.io_error_quark(), type(error).__name__,
                                          Gio.IOErrorEnum.CANCELLED)
        self._failed.append((told, error))
        return told

    def _to_variant(self, answer):
        """A read's answer, since a fallback may keep it."""
        if not self._plan.read:
            return _make_token(next(self._numbers))
        try:
            return to_variant(answer)
        except (TypeError, OverflowError):
            return _make_token(next(self._numbers))

    def get_answer(self, value, fallback):
        """The answer, and whether there is one: a fallback may have kept a mere token."""
        if fallback is None:
            return True, next(answer for told, answer in self._answers if told.equal(value))
        value = fallback.get_value()
        if not _is_token(value):
            return True, value.unpack()
        self._exception = self._failed[-1][1] if self._failed else GLib.Error.new_literal(
            Derate.error_quark(), "the fallback has no answer to that call",
            Derate.Error.UNAVAILABLE)
        self._failed.clear()
        return False, None

    def close(self, error, translate):
        """Ends with C's error: the exception that it was made of, or else what `translate` makes."""
        prefix = ""
        for told, exception in self._failed:
            if ((told.domain, told.code) == (error.domain, error.code)
                    and error.message.endswith(told.message)):
                self._exception = exception
                prefix = error.message[:len(error.message) - len(told.message)].rstrip(": ")
        self._failed.clear()
        if self._exception is None:
            self._exception = translate(error)
        elif prefix and hasattr(self._exception, "add_note"):  # Python 3.11 and later
            self._exception.add_note(prefix)

    def take(self):
        """The exception to raise."""
        exception, self._exception = self._exception, None
        return exception
