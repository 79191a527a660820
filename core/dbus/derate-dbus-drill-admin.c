/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-dbus-server-private.h"

#include <string.h>

#include "derate-error.h"

/* A limit of that name is none, which is told after what is wrong with the rest. */
#define NO_LEVEL ((DerateLevel)-1)

static gboolean
refuse (GError **error, const char *key, const char *problem)
{
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_ARGUMENT, "drill: %s: %s", key, problem);
  return FALSE;
}

/* Exactly one fault, which derate_fault_check () looks at later. */
static gboolean
read_fault (GVariant *entries, DerateFault *fault, GError **error)
{
  g_autoptr (GVariant) value = NULL;
  const char *key = NULL;

  if (g_variant_n_children (entries) != 1)
    return refuse (error, "fault", "exactly one of down, error-rate and latency is wanted");
  g_variant_get_child (entries, 0, "{&sv}", &key, &value);
  if (strcmp (key, "down") == 0)
    {
      fault->kind = DERATE_FAULT_KIND_DOWN;
      return (g_variant_is_of_type (value, G_VARIANT_TYPE_BOOLEAN) &&
              g_variant_get_boolean (value)) ||
             refuse (error, key, "only the boolean true is known");
    }
  if (strcmp (key, "error-rate") == 0)
    {
      if (!g_variant_is_of_type (value, G_VARIANT_TYPE_DOUBLE))
        return refuse (error, key, "is not a double");
      fault->kind = DERATE_FAULT_KIND_ERROR_RATE;
      fault->rate = g_variant_get_double (value);
      return TRUE;
    }
  if (strcmp (key, "latency") != 0)
    return refuse (error, key, "only down, error-rate and latency are known");
  if (!g_variant_is_of_type (value, G_VARIANT_TYPE_UINT64))
    return refuse (error, key, "is not a number of microseconds (t)");
  fault->kind = DERATE_FAULT_KIND_LATENCY;
  fault->latency = derate_dbus_admin_get_ttl (g_variant_get_uint64 (value));
  return TRUE;
}

/* Those this version does not know are refused: one left out could mean to drill more than was
 * asked for. The texts are @options'. */
static gboolean
read_options (GVariant *options, DerateDrillRequest *drill, const char **limit, GError **error)
{
  gsize n = g_variant_n_children (options);

  for (gsize i = 0; i < n; i++)
    {
      g_autoptr (GVariant) value = NULL;
      const char *key = NULL;
      const char *text;

      g_variant_get_child (options, i, "{&sv}", &key, &value);
      if (strcmp (key, "limit") != 0 && strcmp (key, "reason") != 0)
        return refuse (error, key, "only the options limit and reason are known");
      if (!g_variant_is_of_type (value, G_VARIANT_TYPE_STRING))
        return refuse (error, key, "is not a string");
      text = g_variant_get_string (value, NULL);
      if (strcmp (key, "reason") == 0)
        drill->reason = text;
      else
        *limit = text;
    }
  return TRUE;
}

static gboolean
check_service (DerateCore *core, const char *name, GError **error)
{
  g_autoptr (DerateService) service = derate_core_lookup_service (core, name);

  if (service != NULL)
    return TRUE;
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_NO_SUCH_SERVICE, "drill: no service “%s”", name);
  return FALSE;
}

static char *
begin (DerateDbusRequest *request, DerateDrillRequest *drill, const char *limit, GError **error)
{
  g_autoptr (GError) unknown = NULL;
  g_autoptr (GError) refused = NULL;
  char *id;

  if (limit != NULL && !derate_level_from_nick (limit, &drill->limit, &unknown))
    drill->limit = NO_LEVEL;
  id = derate_core_begin_drill (request->core, drill, &refused);
  if (id != NULL)
    return id;
  if (unknown != NULL && g_error_matches (refused, DERATE_ERROR, DERATE_ERROR_UNKNOWN_LEVEL))
    g_propagate_prefixed_error (error, g_steal_pointer (&unknown), "drill: limit: ");
  else
    g_propagate_error (error, g_steal_pointer (&refused));
  return NULL;
}

GVariant *
derate_dbus_admin_drill (DerateDbusRequest *request, GError **error)
{
  g_autofree char *who = g_strdup_printf ("uid %u", request->uid);
  DerateDrillRequest drill = { .who = who, .owner = request->owner, .uid = request->uid };
  g_autoptr (GVariant) fault = NULL;
  g_autoptr (GVariant) options = NULL;
  g_autofree char *id = NULL;
  const char *limit = NULL;
  guint64 duration = 0;

  g_variant_get (request->parameters, "(&s@a{sv}t@a{sv})", &drill.service, &fault, &duration,
                 &options);
  drill.duration = derate_dbus_admin_get_ttl (duration);
  if (!check_service (request->core, drill.service, error) ||
      !read_fault (fault, &drill.fault, error) || !read_options (options, &drill, &limit, error))
    return NULL;
  id = begin (request, &drill, limit, error);
  if (id == NULL)
    return NULL;
  /* One who has left already is found out, too. */
  derate_dbus_bonds_add (request->server->bonds, request->sender);
  return g_variant_ref_sink (g_variant_new ("(s)", id));
}

GVariant *
derate_dbus_admin_stop_drill (DerateDbusRequest *request, GError **error)
{
  DerateHoldCaller caller = { request->owner, request->uid, request->privileged };
  g_autoptr (GVariant) report = NULL;
  const char *id = NULL;

  g_variant_get (request->parameters, "(&s)", &id);
  report = derate_drill_set_end (request->server->drills, id, &caller, error);
  return report != NULL ? g_variant_ref_sink (g_variant_new ("(@a{sv})", report)) : NULL;
}
