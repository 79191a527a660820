/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a pool tells the service of a core that its server is: that nothing can be written, and that
 * callers wait in vain. Threads: set by whoever makes the pool, before it is opened; from then on
 * the pool thread's. */
#include "derate-pg-pool-attach.h"

#include "derate-pg-collector.h"
#include "derate-pg-pool-private.h"

#include <derate-error.h>

/* So many check intervals in a row with callers that waited in vain: semantics §3. */
#define BAD_INTERVALS 3

static DerateHealthReport *
make_report (DeratePgPool *pool)
{
  g_autofree char *message = NULL;

  if (!derate_pg_pool_get_write_mode (pool) && pool->roles.wants_writes)
    {
      message = g_strdup_printf ("pool %s: no server takes writes", pool->settings.name);
      return derate_health_report_new (DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_READ_ONLY,
                                       message);
    }
  if (pool->attachment.n_bad >= BAD_INTERVALS)
    {
      message = g_strdup_printf ("pool %s: callers waited in vain in each of %u check intervals",
                                 pool->settings.name, pool->attachment.n_bad);
      return derate_health_report_new (DERATE_HEALTH_STATUS_DEGRADED,
                                       DERATE_HEALTH_CAUSE_OVERLOADED, message);
    }
  return NULL;
}

void
derate_pg_attachment_tell (DeratePgPool *pool)
{
  g_autoptr (DerateHealthReport) report = NULL;

  if (pool->attachment.service == NULL)
    return;
  report = make_report (pool);
  derate_service_set_finding (pool->attachment.service, pool->settings.name, report);
}

static GTimeSpan
get_interval (DeratePgAttachment *attachment)
{
  g_autoptr (DerateHealthCheckConfig) config =
      derate_service_dup_check_config (attachment->service);

  return derate_health_check_config_get_interval (config);
}

gboolean
derate_pg_attachment_is_back (DeratePgPool *pool)
{
  DeratePgAttachment *attachment = &pool->attachment;
  gboolean was_down = attachment->was_down;

  attachment->was_down =
      attachment->service != NULL && pool->growth.error != NULL &&
      derate_service_get_status (attachment->service) == DERATE_HEALTH_STATUS_DOWN;
  return was_down && !attachment->was_down;
}

/* Counts an interval in which somebody waited in vain. */
static void
count_bad (DeratePgAttachment *attachment, gint64 interval)
{
  if (attachment->n_bad > 0 && interval == attachment->last_bad)
    return;
  attachment->n_bad = interval == attachment->last_bad + 1 ? attachment->n_bad + 1 : 1;
  attachment->last_bad = interval;
}

gint64
derate_pg_attachment_turn (DeratePgPool *pool, gint64 now)
{
  DeratePgAttachment *attachment = &pool->attachment;
  guint before = attachment->n_bad;
  guint64 timed_out;
  GTimeSpan span;

  if (attachment->service == NULL)
    return DERATE_CLOCK_NEVER;
  g_mutex_lock (&pool->lock);
  timed_out = pool->counts.timed_out;
  g_mutex_unlock (&pool->lock);
  if (timed_out == attachment->timed_out && attachment->n_bad == 0)
    return DERATE_CLOCK_NEVER;
  span = get_interval (attachment);
  if (timed_out != attachment->timed_out)
    count_bad (attachment, now / span);
  else if (now / span > attachment->last_bad + 1)
    attachment->n_bad = 0; /* a whole one without */
  attachment->timed_out = timed_out;
  if ((before >= BAD_INTERVALS) != (attachment->n_bad >= BAD_INTERVALS))
    derate_pg_attachment_tell (pool);
  return attachment->n_bad > 0 ? (attachment->last_bad + 2) * span : DERATE_CLOCK_NEVER;
}

void
derate_pg_attachment_clear (DeratePgPool *pool)
{
  if (pool->attachment.service != NULL)
    derate_service_set_finding (pool->attachment.service, pool->settings.name, NULL);
  g_clear_object (&pool->attachment.service);
}

/* One for each registry, however many pools are shown there. */
static DeratePgCollector *
get_collector (DerateMetricsRegistry *registry)
{
  static GMutex lock;
  DeratePgCollector *collector;

  g_mutex_lock (&lock);
  collector = g_object_get_data (G_OBJECT (registry), "derate-pg-collector");
  if (collector == NULL)
    {
      collector = derate_pg_collector_new ();
      g_object_set_data_full (G_OBJECT (registry), "derate-pg-collector", collector,
                              g_object_unref);
      derate_metrics_registry_add_collector (registry, DERATE_METRICS_COLLECTOR (collector));
    }
  g_mutex_unlock (&lock);
  return collector;
}

/**
 * derate_pg_pool_attach:
 * @pool: a pool that was not opened yet
 * @core: a core
 * @service: the name of one of its services: the one that the pool's server is
 * @error: where to put the error
 *
 * Makes @pool a part of @core. Its metrics stand in the registry of @core; they stay when the pool
 * goes, and a new pool of the same name goes on with them. @service is degraded, with the cause
 * `read-only`, from the moment when the pool finds no server that takes writes (unless its URI asks
 * for a standby), and with the cause `overloaded` once callers waited in vain for a session in each
 * of the last three check intervals. Once @service is not down any more, who asks for a session
 * does not wait for the rest of the pause after an attempt to connect that failed. Where the
 * service has a circuit breaker and the pool none, it becomes the pool's [property@PgPool:breaker].
 * Call it in the thread that made @pool, before its first use.
 *
 * Returns: %TRUE, or %FALSE with %DERATE_ERROR_NO_SUCH_SERVICE, with %DERATE_ERROR_INVALID_STATE
 *   where the pool is open or attached already, or with %DERATE_ERROR_EXISTS where another pool of
 *   that name is open
 *
 * Since: 1.0
 */
gboolean
derate_pg_pool_attach (DeratePgPool *pool, DerateCore *core, const char *service, GError **error)
{
  g_autoptr (DerateService) found = NULL;

  g_return_val_if_fail (DERATE_IS_PG_POOL (pool), FALSE);
  g_return_val_if_fail (DERATE_IS_CORE (core), FALSE);
  g_return_val_if_fail (service != NULL, FALSE);

  found = derate_core_lookup_service (core, service);
  if (found == NULL)
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_NO_SUCH_SERVICE,
                   "pool %s: no such service: %s", pool->settings.name, service);
      return FALSE;
    }
  if ((__atomic_load_n (&pool->gate, __ATOMIC_ACQUIRE) & GATE_UNOPENED) == 0 ||
      pool->attachment.service != NULL)
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_STATE,
                   "pool %s: it is open or attached already", pool->settings.name);
      return FALSE;
    }
  if (!derate_pg_collector_add (get_collector (derate_core_get_metrics (core)), pool, error))
    return FALSE;
  if (pool->breaker == NULL)
    g_set_object (&pool->breaker, derate_service_get_breaker (found));
  pool->attachment.service = g_steal_pointer (&found);
  return TRUE;
}
