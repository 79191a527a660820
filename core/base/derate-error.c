/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-error.h"

#include <gio/gio.h>

#include "derate-names-private.h"

static const GDBusErrorEntry entries[] = {
#define ENTRY(code, name)                              \
  {                                                    \
    DERATE_ERROR_##code, DERATE_DBUS_ERROR_PREFIX name \
  }
  ENTRY (FAILED, "Failed"),
  ENTRY (OPEN, "Open"),
  ENTRY (HALF_OPEN_FULL, "HalfOpenFull"),
  ENTRY (FORCED, "Forced"),
  ENTRY (DRILL, "Drill"),
  ENTRY (QUEUE_FULL, "QueueFull"),
  ENTRY (RATE_LIMITED, "RateLimited"),
  ENTRY (TIMED_OUT, "TimedOut"),
  ENTRY (UNAVAILABLE, "Unavailable"),
  ENTRY (INVALID_ARGUMENT, "InvalidArgument"),
  ENTRY (INVALID_STATE, "InvalidState"),
  ENTRY (INVALID_CONFIG, "InvalidConfig"),
  ENTRY (INVALID_PLUGIN, "InvalidPlugin"),
  ENTRY (INVALID_METRIC, "InvalidMetric"),
  ENTRY (UNKNOWN_LEVEL, "UnknownLevel"),
  ENTRY (UNKNOWN_MODE, "UnknownMode"),
  ENTRY (UNKNOWN_STRATEGY, "UnknownStrategy"),
  ENTRY (NO_SUCH_HOLD, "NoSuchHold"),
  ENTRY (NO_SUCH_SERVICE, "NoSuchService"),
  ENTRY (NO_SUCH_BREAKER, "NoSuchBreaker"),
  ENTRY (NO_SUCH_PLUGIN, "NoSuchPlugin"),
  ENTRY (NOT_OWNER, "NotOwner"),
  ENTRY (LIMIT_EXCEEDED, "LimitExceeded"),
  ENTRY (INVALID_TTL, "InvalidTtl"),
  ENTRY (INVALID_REASON, "InvalidReason"),
  ENTRY (EXISTS, "Exists"),
  ENTRY (ABANDONED, "Abandoned"),
  ENTRY (RAMPING, "Ramping"),
  ENTRY (LEVEL, "Level"),
  ENTRY (HOLD, "Hold"),
  ENTRY (NO_SUCH_DRILL, "NoSuchDrill"),
#undef ENTRY
};

GQuark
derate_error_quark (void)
{
  static gsize quark = 0;

  g_dbus_error_register_error_domain ("derate-error-quark", &quark, entries,
                                      G_N_ELEMENTS (entries));
  return (GQuark)quark;
}
