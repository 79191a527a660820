/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-dbus-server-private.h"

#include <string.h>

#include "derate-core-object-private.h"
#include "derate-degradation-manager-private.h"
#include "derate-error.h"
#include "derate-json.h"
#include "derate-version.h"

/* How far a computed end of a hold may be from the one told before and still be the same. */
#define EXPIRY_TOLERANCE G_TIME_SPAN_SECOND

static GVariant *
read_services (DerateCore *core)
{
  g_autoptr (GPtrArray) services = derate_core_snapshot_services (core);
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a{ss}"));
  for (guint i = 0; i < services->len; i++)
    {
      DerateService *service = g_ptr_array_index (services, i);

      g_variant_builder_add (&builder, "{ss}", derate_service_get_name (service),
                             derate_health_status_get_nick (derate_service_get_status (service)));
    }
  return g_variant_builder_end (&builder);
}

static GVariant *
read_features (DerateDegradationManager *degradation)
{
  g_autoptr (GVariant) features =
      g_variant_take_ref (derate_degradation_manager_dup_features (degradation));
  GVariantBuilder builder;
  GVariantIter iter;
  const char *name = NULL;
  GVariant *feature = NULL;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a{ss}"));
  g_variant_iter_init (&iter, features);
  while (g_variant_iter_loop (&iter, "{&sv}", &name, &feature))
    {
      const char *mode = "off";

      g_variant_lookup (feature, "mode", "&s", &mode);
      g_variant_builder_add (&builder, "{ss}", name, mode);
    }
  return g_variant_builder_end (&builder);
}

/* A date, made of what remains; it stays the same while nobody renews the hold or sets the clock.
 */
static gint64
get_expiry (DerateDbusServer *server, GHashTable *told, const char *id, gint64 deadline)
{
  gint64 left = MAX (deadline - derate_clock_get_time (server->clock), 0);
  gint64 expiry = derate_clock_get_real_time (server->clock) + left;
  gint64 *known = g_hash_table_lookup (told, id);

  if (known != NULL && ABS (*known - expiry) < EXPIRY_TOLERANCE)
    expiry = *known;
  g_hash_table_insert (server->expiries, g_strdup (id), g_memdup2 (&expiry, sizeof expiry));
  return expiry;
}

static void
add (GVariantBuilder *builder, const char *key, GVariant *value)
{
  g_variant_builder_add (builder, "{sv}", key, value);
}

/* Times in microseconds; 0 for a hold that does not end by itself. */
static void
add_hold (DerateDbusServer *server,
          GHashTable *told,
          const DerateHold *hold,
          GVariantBuilder *builder)
{
  gint64 expiry = hold->deadline != DERATE_CLOCK_NEVER
                      ? get_expiry (server, told, hold->id, hold->deadline)
                      : 0;

  g_variant_builder_open (builder, G_VARIANT_TYPE_VARDICT);
  add (builder, "id", g_variant_new_string (hold->id));
  add (builder, "level", g_variant_new_string (derate_level_get_nick (hold->level)));
  add (builder, "mode", g_variant_new_string (derate_hold_mode_get_nick (hold->mode)));
  add (builder, "who", g_variant_new_string (hold->who));
  add (builder, "reason", g_variant_new_string (hold->reason));
  add (builder, "uid", g_variant_new_uint32 (hold->uid));
  add (builder, "since", g_variant_new_uint64 ((guint64)hold->since));
  add (builder, "expires", g_variant_new_uint64 ((guint64)expiry));
  add (builder, "bound", g_variant_new_boolean (hold->bound));
  g_variant_builder_close (builder);
}

static GVariant *
read_holds (DerateDbusServer *server)
{
  g_autoptr (GPtrArray) holds = derate_degradation_manager_copy_holds (server->degradation);
  g_autoptr (GHashTable) told = server->expiries;
  GVariantBuilder builder;

  /* Those of holds that have ended are forgotten. */
  server->expiries = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  g_variant_builder_init (&builder, G_VARIANT_TYPE ("aa{sv}"));
  for (guint i = 0; i < holds->len; i++)
    add_hold (server, told, g_ptr_array_index (holds, i), &builder);
  return g_variant_builder_end (&builder);
}

/* Each with an end, which nothing moves. */
static GVariant *
read_drills (DerateDbusServer *server)
{
  g_autoptr (GPtrArray) drills = derate_drill_set_list (server->drills);
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("aa{sv}"));
  for (guint i = 0; i < drills->len; i++)
    {
      const DerateDrill *drill = g_ptr_array_index (drills, i);
      gint64 expires = drill->since + drill->deadline - drill->began;

      g_variant_builder_add_parsed (
          &builder,
          "{'id': <%s>, 'service': <%s>, 'fault': <%s>, 'rate': <%d>, 'latency': <%t>,"
          " 'limit': <%s>, 'who': <%s>, 'reason': <%s>, 'uid': <%u>, 'since': <%t>,"
          " 'expires': <%t>}",
          drill->id, drill->service, derate_fault_kind_get_nick (drill->fault.kind),
          derate_fault_get_share (&drill->fault), (guint64)derate_fault_get_delay (&drill->fault),
          derate_level_get_nick (drill->limit), drill->who,
          drill->reason != NULL ? drill->reason : "", drill->uid, (guint64)drill->since,
          (guint64)expires);
    }
  return g_variant_builder_end (&builder);
}

GVariant *
derate_dbus_manager_read (gpointer owner)
{
  DerateDbusServer *server = DERATE_DBUS_SERVER (owner);
  DerateDegradationManager *degradation = server->degradation;
  g_autoptr (DerateCore) core = g_weak_ref_get (&server->core);
  DerateLevel level = derate_degradation_manager_get_level (degradation);
  DerateLevel computed = derate_degradation_manager_get_computed_level (degradation);
  g_autofree char *rule = derate_degradation_manager_dup_rule (degradation);

  if (core == NULL)
    return g_variant_new ("a{sv}", NULL);
  return g_variant_new_parsed (
      "{'Version': <%s>, 'Level': <%s>, 'LevelValue': <%u>, 'ComputedLevel': <%s>, 'Reason': <%s>,"
      " 'LevelSince': <%t>, 'LoopLag': <%t>, 'Services': <%*>, 'Features': <%*>, 'Holds': <%*>,"
      " 'Drills': <%*>}",
      DERATE_VERSION, derate_level_get_nick (level), derate_level_get_number (level),
      derate_level_get_nick (computed), rule != NULL ? rule : "",
      (guint64)MAX (derate_degradation_manager_get_since (degradation), 0),
      (guint64)MAX (derate_core_get_loop_lag (core), 0), read_services (core),
      read_features (degradation), read_holds (server), read_drills (server));
}

static void
explain_holds (DerateDbusServer *server, GStrvBuilder *lines)
{
  g_autoptr (GVariant) holds =
      g_variant_take_ref (derate_degradation_manager_dup_holds (server->degradation, TRUE));
  GVariantIter iter;
  GVariant *hold = NULL;

  g_variant_iter_init (&iter, holds);
  while (g_variant_iter_loop (&iter, "@a{sv}", &hold))
    {
      g_autofree char *line = NULL;
      const char *texts[5] = { "", "", "", NULL, NULL };

      g_variant_lookup (hold, "id", "&s", &texts[0]);
      g_variant_lookup (hold, "mode", "&s", &texts[1]);
      g_variant_lookup (hold, "level", "&s", &texts[2]);
      g_variant_lookup (hold, "who", "m&s", &texts[3]);
      g_variant_lookup (hold, "reason", "m&s", &texts[4]);
      line = g_strdup_printf ("hold %s: %s %s, by %s: %s", texts[0], texts[1], texts[2], texts[3],
                              texts[4]);
      g_strv_builder_add (lines, line);
    }
}

static void
explain_drills (DerateCore *core, GStrvBuilder *lines)
{
  g_autoptr (GVariant) drills = g_variant_take_ref (derate_core_dup_drills (core, TRUE));
  GVariantIter iter;
  GVariant *drill = NULL;

  g_variant_iter_init (&iter, drills);
  while (g_variant_iter_loop (&iter, "@a{sv}", &drill))
    {
      g_autofree char *line = NULL;
      const char *texts[4] = { "", "", "", NULL };
      const char *reason = NULL;

      g_variant_lookup (drill, "id", "&s", &texts[0]);
      g_variant_lookup (drill, "service", "&s", &texts[1]);
      g_variant_lookup (drill, "fault", "&s", &texts[2]);
      g_variant_lookup (drill, "who", "m&s", &texts[3]);
      g_variant_lookup (drill, "reason", "m&s", &reason);
      line = g_strdup_printf ("drill %s: %s %s, by %s%s%s", texts[0], texts[1], texts[2], texts[3],
                              reason != NULL ? ": " : "", reason != NULL ? reason : "");
      g_strv_builder_add (lines, line);
    }
}

static void
explain_services (DerateCore *core, GStrvBuilder *lines)
{
  g_autoptr (GPtrArray) services = derate_core_snapshot_services (core);

  for (guint i = 0; i < services->len; i++)
    {
      DerateService *service = g_ptr_array_index (services, i);
      DerateHealthStatus status = derate_service_get_status (service);
      DerateHealthCause cause = derate_service_get_cause (service);
      g_autofree char *problem = derate_service_dup_error (service);
      g_autofree char *line = NULL;

      if (status == DERATE_HEALTH_STATUS_HEALTHY)
        continue;
      line =
          g_strdup_printf ("%s: %s%s%s%s%s", derate_service_get_name (service),
                           derate_health_status_get_nick (status),
                           cause != DERATE_HEALTH_CAUSE_NONE ? ", " : "",
                           cause != DERATE_HEALTH_CAUSE_NONE ? derate_health_cause_get_nick (cause)
                                                             : "",
                           problem != NULL ? ": " : "", problem != NULL ? problem : "");
      g_strv_builder_add (lines, line);
    }
}

static GVariant *
explain (DerateDbusServer *server, DerateCore *core)
{
  DerateDegradationManager *degradation = server->degradation;
  g_autofree char *rule = derate_degradation_manager_dup_rule (degradation);
  g_autofree char *text = derate_degradation_manager_dup_explanation (degradation);
  g_autoptr (GVariant) inputs =
      g_variant_take_ref (derate_degradation_manager_dup_inputs (degradation));
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  g_auto (GStrv) lines = NULL;

  g_strv_builder_add (builder, text);
  explain_holds (server, builder);
  explain_drills (core, builder);
  explain_services (core, builder);
  lines = g_strv_builder_end (builder);
  return g_variant_new ("(ss@a{ss}^as)",
                        derate_level_get_nick (derate_degradation_manager_get_level (degradation)),
                        rule != NULL ? rule : "", inputs, lines);
}

/* The manager's are the oldest first and in seconds. */
static GVariant *
list_history (DerateDbusServer *server, guint max)
{
  g_autoptr (GVariant) entries =
      g_variant_take_ref (derate_degradation_manager_dup_history (server->degradation, max));
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("aa{sv}"));
  for (gsize i = g_variant_n_children (entries); i > 0; i--)
    {
      g_autoptr (GVariant) entry = g_variant_get_child_value (entries, i - 1);
      const char *from = "";
      const char *to = "";
      const char *rule = "";
      double time = 0;

      g_variant_lookup (entry, "time", "d", &time);
      g_variant_lookup (entry, "from", "&s", &from);
      g_variant_lookup (entry, "to", "&s", &to);
      g_variant_lookup (entry, "rule", "&s", &rule);
      g_variant_builder_add_parsed (&builder,
                                    "{'time': <%t>, 'from': <%s>, 'to': <%s>, 'rule': <%s>}",
                                    (guint64)(time * G_USEC_PER_SEC), from, to, rule);
    }
  return g_variant_new ("(aa{sv})", &builder);
}

static GVariant *
dump (DerateCore *core, const char *what, GError **error)
{
  g_autoptr (GVariant) value = NULL;
  g_autofree char *json = NULL;

  if (strcmp (what, "status") == 0)
    value = derate_core_dup_status (core, TRUE);
  else if (strcmp (what, "breakers") == 0)
    value = derate_core_dup_breakers (core);
  else if (strcmp (what, "health") == 0)
    value = derate_core_dup_health (core);
  else
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_ARGUMENT,
                   "no dump of “%s”: status, breakers or health", what);
      return NULL;
    }
  g_variant_take_ref (value);
  json = derate_json_from_variant (value);
  return g_variant_new ("(s)", json);
}

static GVariant *
answer (DerateDbusServer *server, const char *method, GVariant *parameters, GError **error)
{
  g_autoptr (DerateCore) core = g_weak_ref_get (&server->core);
  const char *what = NULL;
  guint max = 0;

  if (core == NULL)
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_STATE, "the program is stopping");
      return NULL;
    }
  if (strcmp (method, "Explain") == 0)
    return explain (server, core);
  if (strcmp (method, "History") == 0)
    {
      g_variant_get (parameters, "(u)", &max);
      return list_history (server, max);
    }
  g_variant_get (parameters, "(&s)", &what);
  return dump (core, what, error);
}

void
derate_dbus_manager_call (gpointer owner, GDBusMethodInvocation *invocation)
{
  g_autoptr (GError) error = NULL;
  GVariant *reply =
      answer (DERATE_DBUS_SERVER (owner), g_dbus_method_invocation_get_method_name (invocation),
              g_dbus_method_invocation_get_parameters (invocation), &error);

  if (reply != NULL)
    g_dbus_method_invocation_return_value (invocation, reply);
  else
    derate_dbus_return_error (invocation, error);
}
