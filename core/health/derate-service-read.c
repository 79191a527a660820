/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-service-room-private.h"

/* What is read of a service. */

/**
 * derate_service_get_status:
 * @service: a service
 *
 * How the service is. One atomic load; may be called from any thread.
 *
 * Returns: the status
 *
 * Since: 1.0
 */
DerateHealthStatus
derate_service_get_status (DerateService *service)
{
  g_return_val_if_fail (DERATE_IS_SERVICE (service), DERATE_HEALTH_STATUS_UNKNOWN);

  return derate_service_word_get_status (g_atomic_int_get (&service->word));
}

/**
 * derate_service_get_cause:
 * @service: a service
 *
 * Why the service is not healthy. One atomic load; may be called from any thread.
 *
 * Returns: the cause
 *
 * Since: 1.0
 */
DerateHealthCause
derate_service_get_cause (DerateService *service)
{
  g_return_val_if_fail (DERATE_IS_SERVICE (service), DERATE_HEALTH_CAUSE_NONE);

  return derate_service_word_get_cause (g_atomic_int_get (&service->word));
}

DerateHealthStatus
derate_service_get_effective_status (DerateService *service, gboolean in_grace)
{
  return derate_service_word_get_effective (g_atomic_int_get (&service->word), TRUE, in_grace);
}

DerateHealthStatus
derate_service_get_undrilled_status (DerateService *service, gboolean in_grace)
{
  return derate_service_word_get_effective (g_atomic_int_get (&service->word), FALSE, in_grace);
}

DerateBreaker *
derate_service_dup_breaker (DerateService *service)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&service->mutex);

  return service->breaker != NULL ? g_object_ref (service->breaker) : NULL;
}

/**
 * derate_service_get_since:
 * @service: a service
 *
 * When the status last changed. A date: it moves when the clock of the machine is set. May be
 * called from any thread.
 *
 * Returns: microseconds since 1970
 *
 * Since: 1.0
 */
gint64
derate_service_get_since (DerateService *service)
{
  g_autoptr (GMutexLocker) locker = NULL;

  g_return_val_if_fail (DERATE_IS_SERVICE (service), 0);

  locker = g_mutex_locker_new (&service->mutex);
  return service->since_wall;
}

/**
 * derate_service_get_last_check:
 * @service: a service
 *
 * When a check last had a result. May be called from any thread.
 *
 * Returns: microseconds since 1970; 0 where none had
 *
 * Since: 1.0
 */
gint64
derate_service_get_last_check (DerateService *service)
{
  g_autoptr (GMutexLocker) locker = NULL;

  g_return_val_if_fail (DERATE_IS_SERVICE (service), 0);

  locker = g_mutex_locker_new (&service->mutex);
  return service->last_result_wall;
}

/**
 * derate_service_get_check_errors:
 * @service: a service
 *
 * How often the check itself failed, which says nothing about the service. May be called from any
 * thread.
 *
 * Returns: the count
 *
 * Since: 1.0
 */
guint64
derate_service_get_check_errors (DerateService *service)
{
  g_autoptr (GMutexLocker) locker = NULL;

  g_return_val_if_fail (DERATE_IS_SERVICE (service), 0);

  locker = g_mutex_locker_new (&service->mutex);
  return service->stats.errors;
}

/* Called locked. */
static char *
copy_error (DerateService *service)
{
  DerateHealthReport *finding = derate_service_get_worst_finding (service);

  if (service->error == NULL && finding != NULL)
    return g_strdup (derate_health_report_get_message (finding));
  return g_strdup (service->error);
}

/**
 * derate_service_dup_error:
 * @service: a service
 *
 * What went wrong last, in words and without secrets: the message of the newest check that was not
 * healthy, or the check's own failure, or else what a user of the service has found. Forgotten when
 * the service is healthy and a check agrees. May be called from any thread.
 *
 * Returns: (transfer full) (nullable): the text
 *
 * Since: 1.0
 */
char *
derate_service_dup_error (DerateService *service)
{
  g_autoptr (GMutexLocker) locker = NULL;

  g_return_val_if_fail (DERATE_IS_SERVICE (service), NULL);

  locker = g_mutex_locker_new (&service->mutex);
  return copy_error (service);
}

void
derate_service_get_check_stats (DerateService *service, DerateServiceCheckStats *stats)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&service->mutex);

  *stats = service->stats;
}

static void
add_change (GVariantBuilder *changes, const DerateServiceChange *change)
{
  gboolean has_cause = change->cause != DERATE_HEALTH_CAUSE_NONE;

  g_variant_builder_open (changes, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (changes, "{sv}", "time",
                         g_variant_new_double ((double)change->time / G_TIME_SPAN_SECOND));
  g_variant_builder_add (changes, "{sv}", "from",
                         g_variant_new_string (derate_health_status_get_nick (change->from)));
  g_variant_builder_add (changes, "{sv}", "to",
                         g_variant_new_string (derate_health_status_get_nick (change->to)));
  g_variant_builder_add (changes, "{sv}", "cause",
                         g_variant_new ("ms", has_cause
                                                  ? derate_health_cause_get_nick (change->cause)
                                                  : NULL));
  g_variant_builder_close (changes);
}

/**
 * derate_service_dup_history:
 * @service: a service
 *
 * The last changes of the status (20 are kept), oldest first, whether or not the level of the
 * program changed with them: `aa{sv}` with `time` (seconds since 1970), `from`, `to` and `cause`
 * (nothing where it is well). May be called from any thread.
 *
 * Returns: (transfer full): the changes
 *
 * Since: 1.0
 */
GVariant *
derate_service_dup_history (DerateService *service)
{
  GVariantBuilder changes;
  g_autoptr (GMutexLocker) locker = NULL;

  g_return_val_if_fail (DERATE_IS_SERVICE (service), NULL);

  g_variant_builder_init (&changes, G_VARIANT_TYPE ("aa{sv}"));
  locker = g_mutex_locker_new (&service->mutex);
  for (GList *link = service->history.head; link != NULL; link = link->next)
    add_change (&changes, link->data);
  return g_variant_ref_sink (g_variant_builder_end (&changes));
}

/**
 * derate_service_to_variant:
 * @service: a service
 *
 * Everything that is shown of a service, as one entry of `services` in the JSON of `/degradation`
 * has it. May be called from any thread.
 *
 * Returns: (transfer floating): an `a{sv}` of `status`, `cause`, `since` (seconds since 1970),
 *   `breaker`, `role`, `criticality`, `age_seconds` (of the last result) and `error`; what is not
 * known is a maybe that holds nothing
 *
 * Since: 1.0
 */
GVariant *
derate_service_to_variant (DerateService *service)
{
  GVariantBuilder builder;
  g_autoptr (DerateBreaker) breaker = NULL;
  gint64 now;
  gint64 last;
  gint64 since;
  double age;
  guint word;
  DerateHealthCause cause;
  DerateCriticality criticality;
  g_autofree char *error = NULL;

  g_return_val_if_fail (DERATE_IS_SERVICE (service), NULL);

  now = derate_clock_get_time (service->clock);
  g_mutex_lock (&service->mutex);
  word = g_atomic_int_get (&service->word);
  since = service->since_wall;
  last = service->last_result;
  g_set_object (&breaker, service->breaker);
  criticality = service->criticality;
  error = copy_error (service);
  g_mutex_unlock (&service->mutex);

  cause = derate_service_word_get_cause (word);
  age = MAX (now - last, 0) / (double)G_TIME_SPAN_SECOND;
  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&builder, "{sv}", "status",
                         g_variant_new_string (derate_health_status_get_nick (
                             derate_service_word_get_status (word))));
  g_variant_builder_add (&builder, "{sv}", "cause",
                         g_variant_new ("ms", cause != DERATE_HEALTH_CAUSE_NONE
                                                  ? derate_health_cause_get_nick (cause)
                                                  : NULL));
  g_variant_builder_add (&builder, "{sv}", "since",
                         g_variant_new_double (since / (double)G_TIME_SPAN_SECOND));
  g_variant_builder_add (&builder, "{sv}", "breaker",
                         g_variant_new ("ms", breaker != NULL
                                                  ? derate_breaker_state_to_nick (
                                                        derate_breaker_get_state (breaker))
                                                  : NULL));
  g_variant_builder_add (&builder, "{sv}", "role",
                         g_variant_new_string (derate_service_role_get_nick (service->role)));
  g_variant_builder_add (&builder, "{sv}", "criticality",
                         g_variant_new_string (derate_criticality_get_nick (criticality)));
  g_variant_builder_add (&builder, "{sv}", "age_seconds", g_variant_new ("md", last > 0, age));
  g_variant_builder_add (&builder, "{sv}", "error", g_variant_new ("ms", error));
  return g_variant_builder_end (&builder);
}
