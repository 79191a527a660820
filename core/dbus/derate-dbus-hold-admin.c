/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-dbus-server-private.h"

#include <string.h>

#include "derate-degradation-manager-private.h"
#include "derate-error.h"
#include "derate-log-private.h"
#include "derate-names-private.h"

static GVariant *
done (void)
{
  return g_variant_ref_sink (g_variant_new ("()"));
}

/* Options this version does not know are refused: to leave one out could mean to hold for longer
 * than was asked for. */
static gboolean
read_options (GVariant *options, GTimeSpan ttl, gboolean *bound, GError **error)
{
  GVariantIter iter;
  const char *key = NULL;
  GVariant *value = NULL;

  *bound = ttl == 0;
  g_variant_iter_init (&iter, options);
  while (g_variant_iter_loop (&iter, "{&sv}", &key, &value))
    {
      gboolean is_bind =
          strcmp (key, "bind") == 0 && g_variant_is_of_type (value, G_VARIANT_TYPE_STRING);
      const char *bind = is_bind ? g_variant_get_string (value, NULL) : "";

      if (strcmp (bind, "caller") == 0)
        *bound = TRUE;
      else if (strcmp (bind, "none") == 0)
        *bound = FALSE;
      else
        {
          g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_ARGUMENT,
                       "hold: option “%s”: only bind is known, caller or none", key);
          g_variant_unref (value);
          return FALSE;
        }
    }
  return TRUE;
}

GVariant *
derate_dbus_admin_hold (DerateDbusRequest *request, GError **error)
{
  DerateHoldRequest hold = { .owner = request->owner, .uid = request->uid, .may_mask = TRUE };
  g_autoptr (GVariant) options = NULL;
  g_autofree char *id = NULL;
  const char *level = NULL;
  const char *mode = NULL;
  guint64 ttl = 0;

  g_variant_get (request->parameters, "(&s&s&s&st@a{sv})", &level, &mode, &hold.who, &hold.reason,
                 &ttl, &options);
  hold.ttl = derate_dbus_admin_get_ttl (ttl);
  if (!derate_level_from_nick (level, &hold.level, error) ||
      !derate_hold_mode_from_nick (mode, &hold.mode, error) ||
      !read_options (options, hold.ttl, &hold.bound, error))
    return NULL;
  id = derate_degradation_manager_take_hold (request->server->degradation, &hold, error);
  if (id == NULL)
    return NULL;
  /* One who has left already is found out, too. */
  if (hold.bound)
    derate_dbus_bonds_add (request->server->bonds, request->sender);
  return g_variant_ref_sink (g_variant_new ("(s)", id));
}

static DerateHoldCaller
get_caller (DerateDbusRequest *request)
{
  return (DerateHoldCaller){ request->owner, request->uid, request->privileged };
}

GVariant *
derate_dbus_admin_renew (DerateDbusRequest *request, GError **error)
{
  DerateHoldCaller caller = get_caller (request);
  const char *id = NULL;
  guint64 ttl = 0;

  g_variant_get (request->parameters, "(&st)", &id, &ttl);
  if (!derate_degradation_manager_renew_hold (request->server->degradation, id,
                                              derate_dbus_admin_get_ttl (ttl), &caller, error))
    return NULL;
  return done ();
}

GVariant *
derate_dbus_admin_release (DerateDbusRequest *request, GError **error)
{
  DerateHoldCaller caller = get_caller (request);
  const char *id = NULL;

  g_variant_get (request->parameters, "(&s)", &id);
  if (!derate_degradation_manager_release_hold (request->server->degradation, id, &caller, error))
    return NULL;
  return done ();
}

/* Who did it and why; each hold says for itself that it has ended. */
static void
log_released (DerateDbusRequest *request, guint count, const char *reason)
{
  g_autofree char *who = g_strdup_printf ("uid %u", request->uid);
  g_autofree char *number = g_strdup_printf ("%u", count);
  g_autofree char *message = g_strdup_printf ("Holds released by %s: %u: %s", who, count, reason);

  derate_log_event (G_LOG_LEVEL_INFO, DERATE_EVENT_HOLDS_RELEASED, "degradation", message,
                    DERATE_FIELD_WHO, who, DERATE_FIELD_REASON, reason, DERATE_FIELD_COUNT, number,
                    NULL);
}

GVariant *
derate_dbus_admin_release_all (DerateDbusRequest *request, GError **error)
{
  DerateHoldCaller caller = get_caller (request);
  const char *reason = NULL;
  guint count = 0;

  g_variant_get (request->parameters, "(&s)", &reason);
  if (!derate_dbus_admin_check_reason (reason, error))
    return NULL;
  count = derate_degradation_manager_release_holds (request->server->degradation, &caller);
  log_released (request, count, reason);
  return g_variant_ref_sink (g_variant_new ("(u)", count));
}
