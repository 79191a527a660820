/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-dbus-server-private.h"

#include "derate-error.h"
#include "derate-log-private.h"
#include "derate-names-private.h"

#define TTL_MIN G_TIME_SPAN_SECOND
#define TTL_MAX (24 * G_TIME_SPAN_HOUR)

static GVariant *
done (void)
{
  return g_variant_ref_sink (g_variant_new ("()"));
}

static DerateBreaker *
find_breaker (DerateDbusRequest *request, const char *name, const char *reason, GError **error)
{
  DerateBreaker *breaker = NULL;

  if (!derate_dbus_admin_check_reason (reason, error))
    return NULL;
  breaker = derate_core_lookup_breaker (request->core, name);
  if (breaker == NULL)
    g_set_error (error, DERATE_ERROR, DERATE_ERROR_NO_SUCH_BREAKER, "no breaker “%s”", name);
  return breaker;
}

static gboolean
check_ttl (GTimeSpan ttl, GError **error)
{
  if (ttl == 0 || (ttl >= TTL_MIN && ttl <= TTL_MAX))
    return TRUE;
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_TTL,
               "breaker: a time to live of %" G_GINT64_FORMAT " µs: it must be 1s to 24h, or 0",
               ttl);
  return FALSE;
}

/* Who did what, and why. What it led to is logged by who it happened to. */
static void
log_action (DerateDbusRequest *request, const char *component, const char *what, const char *reason)
{
  g_autofree char *who = g_strdup_printf ("uid %u", request->uid);
  g_autofree char *message = g_strdup_printf ("%s: %s by %s: %s", component, what, who, reason);

  derate_log_event (G_LOG_LEVEL_INFO, DERATE_EVENT_BREAKER_OPERATED, component, message,
                    DERATE_FIELD_WHO, who, DERATE_FIELD_REASON, reason, NULL);
}

GVariant *
derate_dbus_admin_trip_breaker (DerateDbusRequest *request, GError **error)
{
  g_autoptr (DerateBreaker) breaker = NULL;
  const char *name = NULL;
  const char *reason = NULL;
  guint64 usec = 0;
  GTimeSpan ttl = 0;

  g_variant_get (request->parameters, "(&s&st)", &name, &reason, &usec);
  ttl = derate_dbus_admin_get_ttl (usec);
  breaker = find_breaker (request, name, reason, error);
  if (breaker == NULL || !check_ttl (ttl, error))
    return NULL;
  log_action (request, name, "tripped", reason);
  if (ttl > 0 ? !derate_breaker_open_for (breaker, ttl, error)
              : !derate_breaker_trip (breaker, error))
    return NULL;
  return done ();
}

GVariant *
derate_dbus_admin_close_breaker (DerateDbusRequest *request, GError **error)
{
  g_autoptr (DerateBreaker) breaker = NULL;
  const char *name = NULL;
  const char *reason = NULL;

  g_variant_get (request->parameters, "(&s&s)", &name, &reason);
  breaker = find_breaker (request, name, reason, error);
  if (breaker == NULL)
    return NULL;
  log_action (request, name, "closed", reason);
  derate_breaker_close (breaker);
  return done ();
}

GVariant *
derate_dbus_admin_reset_breaker (DerateDbusRequest *request, GError **error)
{
  g_autoptr (DerateBreaker) breaker = NULL;
  const char *name = NULL;
  const char *reason = NULL;

  g_variant_get (request->parameters, "(&s&s)", &name, &reason);
  breaker = find_breaker (request, name, reason, error);
  if (breaker == NULL)
    return NULL;
  log_action (request, name, "reset", reason);
  derate_breaker_reset (breaker);
  return done ();
}

GVariant *
derate_dbus_admin_reset_all_breakers (DerateDbusRequest *request, GError **error)
{
  const char *reason = NULL;

  g_variant_get (request->parameters, "(&s)", &reason);
  if (!derate_dbus_admin_check_reason (reason, error))
    return NULL;
  log_action (request, "all breakers", "reset", reason);
  return g_variant_ref_sink (g_variant_new ("(u)", derate_breaker_registry_reset_all (
                                                       derate_core_get_breakers (request->core))));
}

GVariant *
derate_dbus_admin_set_breaker_mode (DerateDbusRequest *request, GError **error)
{
  DerateDbusServer *server = request->server;
  g_autoptr (DerateBreaker) breaker = NULL;
  DerateBreakerMode mode = DERATE_BREAKER_MODE_NORMAL;
  const char *name = NULL;
  const char *nick = NULL;
  const char *reason = NULL;
  guint64 usec = 0;
  GTimeSpan ttl = 0;

  g_variant_get (request->parameters, "(&s&s&st)", &name, &nick, &reason, &usec);
  ttl = derate_dbus_admin_get_ttl (usec);
  breaker = find_breaker (request, name, reason, error);
  if (breaker == NULL || !derate_breaker_mode_from_nick (nick, &mode, error) ||
      !check_ttl (ttl, error))
    return NULL;
  log_action (request, name, nick, reason);
  derate_dbus_leases_set (server->leases, breaker, mode, ttl, request->sender);
  if (ttl == 0 && mode != DERATE_BREAKER_MODE_NORMAL)
    derate_dbus_bonds_add (server->bonds, request->sender);
  return done ();
}
