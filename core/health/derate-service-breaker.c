/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-service-room-private.h"

#include <math.h>

/* All that a service asks of its breaker. No mutex of the service is held here. */

static DerateBreakerState
read_state (DerateBreaker *breaker)
{
  switch (derate_breaker_get_mode (breaker))
    {
    case DERATE_BREAKER_MODE_FORCED_OPEN:
      return DERATE_BREAKER_STATE_OPEN;
    case DERATE_BREAKER_MODE_DISABLED:
    case DERATE_BREAKER_MODE_METRICS_ONLY:
      return DERATE_BREAKER_STATE_CLOSED;
    case DERATE_BREAKER_MODE_UNKNOWN:
    case DERATE_BREAKER_MODE_NORMAL:
    default:
      return derate_breaker_get_state (breaker);
    }
}

/* The rate, if enough calls are young enough to say something. */
static double
read_rate (DerateBreaker *breaker, const DerateBreakerConfig *config, GTimeSpan window)
{
  double rate = NAN;
  guint n_recent = 0;

  derate_breaker_get_window (breaker, window, &rate, &n_recent);
  return n_recent >= derate_breaker_config_get_minimum_calls (config) ? rate : NAN;
}

static double
read_degraded_rate (const DerateBreakerConfig *config, const DerateBreakerQuestion *question)
{
  if (question->degraded_rate > 0)
    return question->degraded_rate;
  if (question->degraded_rate == 0 || question->role == DERATE_SERVICE_ROLE_DATABASE)
    return INFINITY;
  return derate_breaker_config_get_failure_rate_threshold (config) / 2;
}

void
derate_service_breaker_read (DerateBreaker *breaker,
                             const DerateBreakerQuestion *question,
                             DerateBreakerView *view)
{
  g_autoptr (DerateBreakerConfig) config = NULL;
  gint64 success;
  gint64 now;

  *view = (DerateBreakerView){
    .failure_rate = NAN,
    .degraded_rate = INFINITY,
    .down_rate = INFINITY,
  };
  if (breaker == NULL)
    return;
  view->present = TRUE;
  view->state = read_state (breaker); /* first: all that comes later is as new at least */
  config = derate_breaker_dup_config (breaker);
  now = derate_clock_get_time (derate_breaker_get_clock (breaker));
  success = derate_breaker_get_last_success (breaker);

  view->recent_success = success > 0 && now - success <= question->window;
  view->degraded_rate = read_degraded_rate (config, question);
  view->down_rate = derate_breaker_config_get_failure_rate_threshold (config);
  view->failure_rate = read_rate (breaker, config, question->window);
}

gboolean
derate_service_breaker_has_changed (DerateBreaker *breaker, const DerateBreakerView *view)
{
  return breaker != NULL && read_state (breaker) != view->state;
}

guint64
derate_service_breaker_count_openings (DerateBreaker *breaker)
{
  DerateBreakerTotals totals;
  guint64 n = 0;

  derate_breaker_get_totals (breaker, &totals);
  for (guint from = 0; from < G_N_ELEMENTS (totals.edges); from++)
    n += totals.edges[from][DERATE_BREAKER_STATE_OPEN];
  return n;
}
