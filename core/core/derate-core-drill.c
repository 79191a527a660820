/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <unistd.h>

#include "derate-core-object-private.h"
#include "derate-core-run-private.h"
#include "derate-error.h"
#include "derate-names-private.h"

/* What a drill may come to unless it says otherwise: emergency has to be asked for. */
#define DEFAULT_LIMIT DERATE_LEVEL_MINIMAL

char *
derate_core_begin_drill (DerateCore *core, const DerateDrillRequest *request, GError **error)
{
  g_autoptr (GPtrArray) services = derate_core_snapshot_services (core);
  DerateDrillRequest full = *request;
  char *id;

  /* Half of it would be hit: pipelines let everything straight through. */
  if (core->disabled)
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_STATE,
                   "drill: nothing is protected (" DERATE_ENV_ENABLE "=false)");
      return NULL;
    }
  if (full.limit == DERATE_LEVEL_UNKNOWN)
    full.limit = DEFAULT_LIMIT;
  id = derate_drill_set_begin (core->drills, services, &full, error);
  /* Another thread may have changed the services meanwhile, and not have seen this drill. */
  if (id != NULL)
    derate_core_check_drills (core);
  return id;
}

DerateDrillSet *
derate_core_get_drills (DerateCore *core)
{
  return core->drills;
}

void
derate_core_check_drills (DerateCore *core)
{
  g_autoptr (GPtrArray) services = derate_core_snapshot_services (core);

  derate_drill_set_check_services (core->drills, services);
}

/* What does not fit is out of every bound, on its side. */
static GTimeSpan
span_from_seconds (double seconds)
{
  if (!(seconds < 1e9))
    return G_MAXINT64;
  return seconds > 0 ? (GTimeSpan)(seconds * G_TIME_SPAN_SECOND) : 0;
}

/**
 * derate_core_start_drill:
 * @core: a core that has its first level
 * @service: the name of a service
 * @fault: what it is to suffer from
 * @value: of %DERATE_FAULT_KIND_ERROR_RATE the share of calls that fails, more than 0 and at most
 * 1, which takes a breaker; of %DERATE_FAULT_KIND_LATENCY the delay in seconds, more than 0 and at
 * most 300; else not used
 * @duration: for how long in microseconds, 1 s to 1 h
 * @limit: the worst level that it may come to; %DERATE_LEVEL_UNKNOWN is %DERATE_LEVEL_MINIMAL
 * @reason: (nullable): why, at most 256 bytes
 * @error: where to put the error
 *
 * Begins a drill: for a time the service behaves in this process, and in no other, as if it were
 * down, failed at a rate, or were slow. Down and failing, its breaker refuses calls with
 * %DERATE_ERROR_DRILL, and its status has the cause %DERATE_HEALTH_CAUSE_DRILL; slow, its pipelines
 * and checks begin later. All services that share its breaker are hit, as they would be in an
 * outage. Level and features follow as they would, without holding back recovery afterwards.
 *
 * It is refused where the level would get worse than @limit. It ends after @duration; when it is
 * stopped; when something real fails as well and both together would pass @limit; when the service
 * is removed, or the core stops. May be called from any thread.
 *
 * Returns: (transfer full): the id of the drill, or %NULL with %DERATE_ERROR_INVALID_STATE where
 *   there is no level yet or any more, or with `ENABLE_RESILIENCE=false`,
 *   %DERATE_ERROR_NO_SUCH_SERVICE, %DERATE_ERROR_INVALID_ARGUMENT, %DERATE_ERROR_INVALID_TTL,
 *   %DERATE_ERROR_INVALID_REASON, %DERATE_ERROR_UNKNOWN_LEVEL, %DERATE_ERROR_EXISTS where it is
 *   drilled already, or %DERATE_ERROR_LIMIT_EXCEEDED
 *
 * Since: 1.0
 */
char *
derate_core_start_drill (DerateCore *core,
                         const char *service,
                         DerateFaultKind fault,
                         double value,
                         GTimeSpan duration,
                         DerateLevel limit,
                         const char *reason,
                         GError **error)
{
  DerateDrillRequest request = {
    .service = service,
    .fault = { .kind = fault, .rate = value, .latency = span_from_seconds (value) },
    .duration = duration,
    .limit = limit,
    .reason = reason,
    .uid = getuid (),
  };

  g_return_val_if_fail (DERATE_IS_CORE (core), NULL);
  g_return_val_if_fail (service != NULL, NULL);

  request.who = core->name;
  return derate_core_begin_drill (core, &request, error);
}

/**
 * derate_core_stop_drill:
 * @core: a core
 * @id: the id of a drill
 * @error: where to put the error
 *
 * Ends a drill, whoever began it, and tells what happened. The last 16 that ended by themselves can
 * be asked for, too. May be called from any thread.
 *
 * The report is an `a{sv}` of: `id`, `service`, `fault`, `rate` (1 for down), `latency_seconds`,
 * `limit`, `who`, `reason` (empty for none), `uid`, `since` and `ended` (seconds since 1970),
 * `duration_seconds`; `cause`: `expired`, `stopped`, `vanished` (who began it left the bus),
 * `limit`, `removed` or `shutdown`; `level` `{before, worst, rule, after}`: the level in force
 * before and at worst with what decided that, and the one that services and holds allow now;
 * `features`: `{from, to}` of each whose mode changed; `refused`: calls that the drill refused;
 * `fallbacks`: for each `service`, `strategy` and `reason` that answered, `count`, and how long the
 * strategy took whatever it was asked for, `mean_seconds` and `p95_seconds` (at most; as exact as
 * the metric); `fallback_failures`: how often one was asked and had nothing; `answers` `{real,
 * fallback, refused}`: how the program's calls ended meanwhile, those to other services, too. What
 * else fails while it runs is in there as well.
 *
 * Returns: (transfer full): the report, or %NULL with %DERATE_ERROR_NO_SUCH_DRILL
 *
 * Since: 1.0
 */
GVariant *
derate_core_stop_drill (DerateCore *core, const char *id, GError **error)
{
  DerateHoldCaller caller = { .uid = getuid (), .privileged = TRUE };

  g_return_val_if_fail (DERATE_IS_CORE (core), NULL);
  g_return_val_if_fail (id != NULL, NULL);

  return derate_drill_set_end (core->drills, id, &caller, error);
}

/**
 * derate_core_dup_drills:
 * @core: a core
 * @details: whether to tell who drills and why, which is not for everybody
 *
 * The drills that run, oldest first, as `/degradation` has them: `aa{sv}` with `id`, `service`,
 * `fault`, `rate`, `latency_seconds`, `limit`, `who`, `reason` and `uid` (nothing without
 * @details), `since` (seconds since 1970) and `remaining_seconds`. May be called from any thread.
 *
 * Returns: (transfer full): the drills
 *
 * Since: 1.0
 */
GVariant *
derate_core_dup_drills (DerateCore *core, gboolean details)
{
  g_return_val_if_fail (DERATE_IS_CORE (core), NULL);

  return g_variant_ref_sink (derate_drill_set_to_variant (core->drills, details));
}
