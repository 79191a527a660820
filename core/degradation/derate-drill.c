/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-drill-private.h"

#include "derate-breaker-private.h"
#include "derate-error.h"
#include "derate-hold-private.h"
#include "derate-log-private.h"
#include "derate-names-private.h"
#include "derate-time-span.h"
#include "derate-variant-private.h"

static DerateService *
find_service (GPtrArray *services, const char *name)
{
  for (guint i = 0; i < services->len; i++)
    if (g_strcmp0 (derate_service_get_name (g_ptr_array_index (services, i)), name) == 0)
      return g_ptr_array_index (services, i);
  return NULL;
}

GPtrArray *
derate_drill_find_targets (GPtrArray *services, const char *name, DerateBreaker **breaker)
{
  DerateService *service = find_service (services, name);
  GPtrArray *targets;

  *breaker = service != NULL ? derate_service_dup_breaker (service) : NULL;
  if (service == NULL)
    return NULL;
  targets = g_ptr_array_new_with_free_func (g_object_unref);
  g_ptr_array_add (targets, g_object_ref (service));
  for (guint i = 0; *breaker != NULL && i < services->len; i++)
    {
      DerateService *other = g_ptr_array_index (services, i);
      g_autoptr (DerateBreaker) its = derate_service_dup_breaker (other);

      if (other != service && its == *breaker)
        g_ptr_array_add (targets, g_object_ref (other));
    }
  return targets;
}

static gboolean
check_duration (GTimeSpan duration, GError **error)
{
  if (duration >= DERATE_DRILL_DURATION_MIN && duration <= DERATE_DRILL_DURATION_MAX)
    return TRUE;
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_TTL,
               "drill: a duration of %" G_GINT64_FORMAT " µs: it must be 1s to 1h", duration);
  return FALSE;
}

/* A share of the calls is the breaker's to refuse. */
static gboolean
check_fault (const DerateDrillRequest *request, DerateBreaker *breaker, GError **error)
{
  if (!derate_fault_check (&request->fault, error))
    {
      g_prefix_error (error, "drill: ");
      return FALSE;
    }
  if (request->fault.kind != DERATE_FAULT_KIND_ERROR_RATE || breaker != NULL)
    return TRUE;
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_ARGUMENT,
               "drill: error-rate: service “%s” has no breaker to refuse calls", request->service);
  return FALSE;
}

static gboolean
check_request (const DerateDrillRequest *request, DerateBreaker *breaker, GError **error)
{
  if (!check_fault (request, breaker, error))
    return FALSE;
  if (!check_duration (request->duration, error) ||
      (request->reason != NULL &&
       !derate_hold_check_text ("drill", "reason", request->reason, error)))
    return FALSE;
  if (derate_level_get_number (request->limit) != 0)
    return TRUE;
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_UNKNOWN_LEVEL, "drill: limit: no level %d",
               (int)request->limit);
  return FALSE;
}

DerateDrill *
derate_drill_new (const DerateDrillRequest *request,
                  GPtrArray *services,
                  DerateClock *clock,
                  GError **error)
{
  g_autoptr (DerateBreaker) breaker = NULL;
  g_autoptr (GPtrArray) targets = derate_drill_find_targets (services, request->service, &breaker);
  DerateDrill *drill;

  if (targets == NULL)
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_NO_SUCH_SERVICE, "drill: no service “%s”",
                   request->service);
      return NULL;
    }
  if (!check_request (request, breaker, error))
    return NULL;

  drill = g_atomic_rc_box_new0 (DerateDrill);
  drill->service = g_strdup (request->service);
  drill->fault = request->fault;
  drill->limit = request->limit;
  drill->reason = g_strdup (request->reason);
  drill->who = g_strdup (request->who);
  drill->owner = g_strdup (request->owner);
  drill->uid = request->uid;
  drill->since = derate_clock_get_real_time (clock);
  drill->began = derate_clock_get_time (clock);
  drill->deadline = drill->began + request->duration;
  drill->targets = g_steal_pointer (&targets);
  drill->breaker = g_steal_pointer (&breaker);
  return drill;
}

static void
drill_clear (gpointer data)
{
  DerateDrill *drill = data;

  g_free (drill->id);
  g_free (drill->service);
  g_free (drill->reason);
  g_free (drill->who);
  g_free (drill->owner);
  g_clear_pointer (&drill->targets, g_ptr_array_unref);
  g_clear_object (&drill->breaker);
  g_clear_pointer (&drill->report, g_variant_unref);
  derate_drill_record_clear (&drill->record);
}

DerateDrill *
derate_drill_ref (DerateDrill *drill)
{
  return g_atomic_rc_box_acquire (drill);
}

void
derate_drill_unref (DerateDrill *drill)
{
  g_atomic_rc_box_release_full (drill, drill_clear);
}

DerateHealthStatus *
derate_drill_judge (const DerateDrill *drill)
{
  DerateHealthStatus *statuses = g_new0 (DerateHealthStatus, drill->targets->len);

  for (guint i = 0; i < drill->targets->len; i++)
    statuses[i] = derate_service_judge_fault (g_ptr_array_index (drill->targets, i), &drill->fault);
  return statuses;
}

static void
set_fault (DerateDrill *drill, const DerateFault *fault)
{
  if (drill->breaker != NULL)
    derate_breaker_set_drill (drill->breaker, derate_fault_get_share (fault));
  for (guint i = 0; i < drill->targets->len; i++)
    derate_service_set_drill (g_ptr_array_index (drill->targets, i), fault);
}

void
derate_drill_apply (DerateDrill *drill)
{
  set_fault (drill, &drill->fault);
}

void
derate_drill_unapply (DerateDrill *drill)
{
  set_fault (drill, NULL);
}

static void
add (GVariantBuilder *builder, const char *key, GVariant *value)
{
  g_variant_builder_add (builder, "{sv}", key, value);
}

static GVariant *
new_seconds (gint64 usec)
{
  return g_variant_new_double ((double)usec / G_TIME_SPAN_SECOND);
}

/* A rate and a latency each drill has: those of one that is down are 1 and 0. */
static void
add_fault (GVariantBuilder *builder, const DerateDrill *drill)
{
  add (builder, "id", g_variant_new_string (drill->id));
  add (builder, "service", g_variant_new_string (drill->service));
  add (builder, "fault", g_variant_new_string (derate_fault_kind_get_nick (drill->fault.kind)));
  add (builder, "rate", g_variant_new_double (derate_fault_get_share (&drill->fault)));
  add (builder, "latency_seconds", new_seconds (derate_fault_get_delay (&drill->fault)));
  add (builder, "limit", g_variant_new_string (derate_level_get_nick (drill->limit)));
}

GVariant *
derate_drill_to_variant (const DerateDrill *drill, gint64 now, gboolean details)
{
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  add_fault (&builder, drill);
  add (&builder, "who", g_variant_new ("ms", details ? drill->who : NULL));
  add (&builder, "reason", g_variant_new ("ms", details ? drill->reason : NULL));
  add (&builder, "uid", g_variant_new ("mu", details, drill->uid));
  add (&builder, "since", new_seconds (drill->since));
  add (&builder, "remaining_seconds", new_seconds (MAX (drill->deadline - now, 0)));
  return g_variant_builder_end (&builder);
}

GVariant *
derate_drill_build_report (const DerateDrill *drill,
                           DerateDegradationManager *manager,
                           DerateFallbackUsage *usage)
{
  gint64 duration = drill->ended - drill->began;
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  add_fault (&builder, drill);
  add (&builder, "who", g_variant_new_string (drill->who));
  add (&builder, "reason", g_variant_new_string (drill->reason != NULL ? drill->reason : ""));
  add (&builder, "uid", g_variant_new_uint32 (drill->uid));
  add (&builder, "since", new_seconds (drill->since));
  add (&builder, "ended", new_seconds (drill->since + duration));
  add (&builder, "duration_seconds", new_seconds (duration));
  add (&builder, "cause", g_variant_new_string (drill->cause));
  derate_drill_record_report (&drill->record, drill->targets, drill->breaker, manager, usage,
                              &builder);
  return derate_variant_share (g_variant_builder_end (&builder));
}

/* “down”, “error-rate 0.2”, “latency 2s” */
static char *
describe_fault (const DerateFault *fault)
{
  const char *nick = derate_fault_kind_get_nick (fault->kind);
  g_autofree char *span = NULL;
  char rate[G_ASCII_DTOSTR_BUF_SIZE];

  if (fault->kind == DERATE_FAULT_KIND_ERROR_RATE)
    return g_strdup_printf ("%s %s", nick, g_ascii_formatd (rate, sizeof rate, "%g", fault->rate));
  if (fault->kind != DERATE_FAULT_KIND_LATENCY)
    return g_strdup (nick);
  span = derate_time_span_to_string (fault->latency);
  return g_strdup_printf ("%s %s", nick, span);
}

void
derate_drill_log_started (const DerateDrill *drill)
{
  g_autofree char *fault = describe_fault (&drill->fault);
  g_autofree char *span = derate_time_span_to_string (drill->deadline - drill->began);
  g_autofree char *message =
      g_strdup_printf ("Drill %s of %s begun by %s: %s for %s, at worst %s%s%s", drill->id,
                       drill->service, drill->who, fault, span,
                       derate_level_get_nick (drill->limit), drill->reason != NULL ? ": " : "",
                       drill->reason != NULL ? drill->reason : "");

  derate_log_event (G_LOG_LEVEL_INFO, DERATE_EVENT_DRILL_STARTED, drill->service, message,
                    DERATE_FIELD_DRILL, drill->id, DERATE_FIELD_STATE, fault, DERATE_FIELD_WHO,
                    drill->who, DERATE_FIELD_REASON, drill->reason, NULL);
}

void
derate_drill_log_ended (const DerateDrill *drill)
{
  g_autofree char *span = derate_time_span_to_string (drill->ended - drill->began);
  g_autofree char *message = g_strdup_printf ("Drill %s of %s by %s ended after %s: %s", drill->id,
                                              drill->service, drill->who, span, drill->cause);

  derate_log_event (G_LOG_LEVEL_INFO, DERATE_EVENT_DRILL_ENDED, drill->service, message,
                    DERATE_FIELD_DRILL, drill->id, DERATE_FIELD_CAUSE, drill->cause,
                    DERATE_FIELD_WHO, drill->who, NULL);
}
