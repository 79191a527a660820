# SPDX-License-Identifier: LGPL-2.1-or-later
"""How a call of Python's ended: success, failure or neutral; and what cannot be a call."""
import builtins
import concurrent.futures
import errno
import inspect
import sys
import types

from gi.importer import modules
from gi.repository import Gio, GLib

Derate = modules["Derate"]._introspection_module

DOMAIN = GLib.quark_to_string(Derate.error_quark())
_IO_DOMAIN = GLib.quark_to_string(Gio.io_error_quark())
_GROUP = getattr(builtins, "BaseExceptionGroup", ())  # Python 3.11 and later

# Answers that may be calls not made yet.
LAZY = (types.CoroutineType, types.GeneratorType, types.AsyncGeneratorType)


def _match(what, word):
    """A predicate from a class, several classes or a predicate."""
    if what is None:
        return None
    classes = (what,) if isinstance(what, type) else what
    if isinstance(classes, (tuple, list, set, frozenset)):
        classes = tuple(classes)
        if all(isinstance(one, type) and issubclass(one, BaseException) for one in classes):
            return lambda error: isinstance(error, classes)
    elif callable(what):
        return what
    raise TypeError(f"{word}: {what!r} is no exception class, no tuple of them and no predicate")


def make_judge(record, ignore):
    """A function that says whether an exception is a failure; None where any is."""
    record = _match(record, "record")
    ignore = _match(ignore, "ignore")
    if record is None and ignore is None:
        return None

    def judge(error):
        try:
            return not (ignore and ignore(error)) and (record is None or bool(record(error)))
        except Exception:
            sys.excepthook(*sys.exc_info())  # as PyGObject does for a signal's handler
            return True
    return judge


def _is_neutral(error):
    """Whether it says nothing about the service, whatever the user thinks of it."""
    if isinstance(error, GLib.Error):
        return _code_of(error) == (_IO_DOMAIN, Gio.IOErrorEnum.CANCELLED)
    # Not an Exception: asyncio's CancelledError, GeneratorExit, KeyboardInterrupt, SystemExit.
    return (not isinstance(error, Exception)
            or isinstance(error, (concurrent.futures.CancelledError, Lazy)))


def is_failure(error, judge):
    """Whether an exception speaks against the service; judge is what make_judge() gave."""
    if isinstance(error, _GROUP):  # as of a TaskGroup
        return any(is_failure(part, judge) for part in error.exceptions)
    return not _is_neutral(error) and (judge is None or judge(error))


def _code_of(error):
    """The domain and code that C knows it by."""
    code = None
    if isinstance(error, GLib.Error):
        domain, code = getattr(error, "domain", None), getattr(error, "code", None)
    elif isinstance(error, (TimeoutError, concurrent.futures.TimeoutError)):
        domain, code = _IO_DOMAIN, Gio.IOErrorEnum.TIMED_OUT
    elif (isinstance(error, OSError) and isinstance(error.errno, int)
          and error.errno in errno.errorcode):
        domain, code = _IO_DOMAIN, Gio.io_error_from_errno(error.errno)
    if isinstance(code, int) and abs(code) <= GLib.MAXINT and isinstance(domain, str):
        return domain, int(code)
    return DOMAIN, int(Derate.Error.FAILED)


def to_gerror(error):
    """What C is told of an exception: a config's lists are of domains and codes. It never raises,
    or a failure would count as none: what has no text, or none in UTF-8, has its class's name."""
    try:
        text = error.message if isinstance(error, GLib.Error) else f"{type(error).__name__}: {error}"
        text = text.replace("\0", "\\0")  # C would end it there, and not know it again
        text.encode()
    except Exception:
        text = type(error).__name__
    return GLib.Error(text, *_code_of(error))


def is_async(fn):
    """Whether calling it gives a coroutine."""
    return (inspect.iscoroutinefunction(fn)
            or inspect.iscoroutinefunction(getattr(type(fn), "__call__", None)))


def _is_generator(fn):
    return inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn)


def check_function(fn, word):
    """Refuses what the decorator `word` cannot stand above."""
    if not callable(fn):
        raise TypeError(f"{word} stands above a function, not above {fn!r}")
    if _is_generator(fn):
        raise TypeError(f"{word}: {fn!r} is a generator: protect the calls that it makes")


class Lazy(TypeError):
    """A mistake of the program's: it says nothing about the service."""


def check_answer(fn, answer):
    """Refuses an answer that is the call itself, not made yet: nobody knows how it will end."""
    if isinstance(answer, types.CoroutineType):
        answer.close()
        raise Lazy(f"{fn!r} gave a coroutine: await call_async() instead of call()")
    if _is_generator(fn):
        raise Lazy(f"{fn!r} is a generator: protect the calls that it makes")
