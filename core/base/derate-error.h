/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-visibility.h>
#include <glib-object.h>

G_BEGIN_DECLS

/**
 * DERATE_ERROR:
 *
 * The error domain of the library. Codes are only ever added; each has a D-Bus name.
 *
 * Since: 1.0
 */
#define DERATE_ERROR (derate_error_quark ())

/**
 * DerateError:
 * @DERATE_ERROR_FAILED: something else
 * @DERATE_ERROR_OPEN: refused: the breaker is open
 * @DERATE_ERROR_HALF_OPEN_FULL: refused: the breaker is half-open and every probe is out
 * @DERATE_ERROR_FORCED: refused: an operator forced the breaker open
 * @DERATE_ERROR_DRILL: refused: a drill pretends that the service is down
 * @DERATE_ERROR_QUEUE_FULL: refused: a bounded queue has no room
 * @DERATE_ERROR_RATE_LIMITED: refused: a rate limiter or budget is spent
 * @DERATE_ERROR_TIMED_OUT: a deadline of the library passed
 * @DERATE_ERROR_UNAVAILABLE: no fallback had an answer
 * @DERATE_ERROR_INVALID_ARGUMENT: a value is out of its range
 * @DERATE_ERROR_INVALID_STATE: the object is not in a state that allows this
 * @DERATE_ERROR_INVALID_CONFIG: a configuration file or rule set is refused
 * @DERATE_ERROR_INVALID_PLUGIN: a plugin file is refused
 * @DERATE_ERROR_INVALID_METRIC: a metric's name, labels or type clash or break the rules
 * @DERATE_ERROR_UNKNOWN_LEVEL: no level of that name
 * @DERATE_ERROR_UNKNOWN_MODE: no mode of that name
 * @DERATE_ERROR_UNKNOWN_STRATEGY: no fallback strategy of that name
 * @DERATE_ERROR_NO_SUCH_HOLD: no hold of that id
 * @DERATE_ERROR_NO_SUCH_SERVICE: no service of that name
 * @DERATE_ERROR_NO_SUCH_BREAKER: no breaker of that name
 * @DERATE_ERROR_NO_SUCH_PLUGIN: no plugin of that name
 * @DERATE_ERROR_NOT_OWNER: the hold or drill is another caller's
 * @DERATE_ERROR_LIMIT_EXCEEDED: too many of them; or a drill would make the level too bad
 * @DERATE_ERROR_INVALID_TTL: a time to live outside its bounds
 * @DERATE_ERROR_INVALID_REASON: a reason or a name that is empty or too long
 * @DERATE_ERROR_EXISTS: the name is taken
 * @DERATE_ERROR_ABANDONED: whoever had to answer a call dropped it; neutral to a circuit breaker
 * @DERATE_ERROR_RAMPING: refused: the breaker has closed and does not let every call through yet
 * @DERATE_ERROR_LEVEL: refused: the level does not allow it
 * @DERATE_ERROR_HOLD: refused: an operator's hold does not allow it
 * @DERATE_ERROR_NO_SUCH_DRILL: no drill of that id
 *
 * What can go wrong.
 *
 * Since: 1.0
 */
typedef enum
{
  DERATE_ERROR_FAILED,
  DERATE_ERROR_OPEN,
  DERATE_ERROR_HALF_OPEN_FULL,
  DERATE_ERROR_FORCED,
  DERATE_ERROR_DRILL,
  DERATE_ERROR_QUEUE_FULL,
  DERATE_ERROR_RATE_LIMITED,
  DERATE_ERROR_TIMED_OUT,
  DERATE_ERROR_UNAVAILABLE,
  DERATE_ERROR_INVALID_ARGUMENT,
  DERATE_ERROR_INVALID_STATE,
  DERATE_ERROR_INVALID_CONFIG,
  DERATE_ERROR_INVALID_PLUGIN,
  DERATE_ERROR_INVALID_METRIC,
  DERATE_ERROR_UNKNOWN_LEVEL,
  DERATE_ERROR_UNKNOWN_MODE,
  DERATE_ERROR_UNKNOWN_STRATEGY,
  DERATE_ERROR_NO_SUCH_HOLD,
  DERATE_ERROR_NO_SUCH_SERVICE,
  DERATE_ERROR_NO_SUCH_BREAKER,
  DERATE_ERROR_NO_SUCH_PLUGIN,
  DERATE_ERROR_NOT_OWNER,
  DERATE_ERROR_LIMIT_EXCEEDED,
  DERATE_ERROR_INVALID_TTL,
  DERATE_ERROR_INVALID_REASON,
  DERATE_ERROR_EXISTS,
  DERATE_ERROR_ABANDONED,
  DERATE_ERROR_RAMPING,
  DERATE_ERROR_LEVEL,
  DERATE_ERROR_HOLD,
  DERATE_ERROR_NO_SUCH_DRILL,
} DerateError;

DERATE_AVAILABLE_IN_1_0
GQuark derate_error_quark (void);

G_END_DECLS
