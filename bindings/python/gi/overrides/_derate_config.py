# SPDX-License-Identifier: LGPL-2.1-or-later
"""A breaker's configuration from keywords."""
import datetime
import math

from gi.importer import modules
from gi.repository import GLib

Derate = modules["Derate"]._introspection_module

_DURATIONS = ("open-duration", "open-duration-max", "slow-call-duration", "half-open-lease",
              "ramp-duration")
_MICROSECOND = datetime.timedelta(microseconds=1)


def _to_text(word, value, is_span):
    """A setting as it stands in a configuration file; durations are in seconds."""
    if isinstance(value, str):
        return value
    if word == "measure":
        return str(value).lower()
    if isinstance(value, (Derate.BreakerWindow, Derate.BreakerDecision)):
        return value.value_nick
    if isinstance(value, datetime.timedelta):
        return f"{value // _MICROSECOND}us"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{word}: {value!r} is not a number")
    if not math.isfinite(value):
        raise ValueError(f"{word}: {value!r} is not finite")
    return f"{round(value * 1000000)}us" if is_span else repr(value)


def _set(function, *args):
    """A wrong value is a ValueError, as in Python it is."""
    try:
        function(*args)
    except GLib.Error as error:
        raise ValueError(error.message) from None


def make_config(settings):
    """A config of keywords, over what the environment says."""
    settings = dict(settings)
    if "recovery_timeout" in settings:
        if "open_duration" in settings:
            raise TypeError("recovery_timeout and open_duration are the same")
        settings["open_duration"] = settings.pop("recovery_timeout")
    spans = _DURATIONS
    if settings.get("window") in ("time", Derate.BreakerWindow.TIME):
        spans += ("window-size",)
    config = Derate.BreakerConfig.new_from_environment()
    for word, value in settings.items():
        key = word.replace("_", "-")
        if not Derate.BreakerConfig.has_key(key):
            raise TypeError(f"a circuit breaker has no setting {word!r}")
        _set(config.set_from_string, key, _to_text(word, value, key in spans))
    _set(config.validate)
    return config
