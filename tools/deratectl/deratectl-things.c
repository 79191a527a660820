/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "deratectl-monitor.h"

#define SERVICE DERATECTL_NAME_PREFIX "Service"
#define BREAKER DERATECTL_NAME_PREFIX "Breaker"

struct _DeratectlThings
{
  GHashTable *all; /* Thing by path */
  gboolean known;
};

typedef struct
{
  gboolean is_service;
  char *name;
  char *state; /* or status */
  char *more; /* a service's cause, a breaker's mode */
  gboolean seen;
} Thing;

static void
thing_free (gpointer data)
{
  Thing *thing = data;

  g_free (thing->name);
  g_free (thing->state);
  g_free (thing->more);
  g_free (thing);
}

DeratectlThings *
deratectl_things_new (void)
{
  DeratectlThings *things = g_new0 (DeratectlThings, 1);

  things->all = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, thing_free);
  return things;
}

void
deratectl_things_free (DeratectlThings *things)
{
  g_hash_table_unref (things->all);
  g_free (things);
}

static GVariant *
text_or_null (const char *text)
{
  return g_variant_new_maybe (G_VARIANT_TYPE_STRING,
                              text != NULL ? g_variant_new_string (text) : NULL);
}

/* @now is NULL once there is no such service. */
static void
tell_service (const char *name, const char *before, const char *now, const char *cause)
{
  gboolean caused = now != NULL && cause != NULL && *cause != '\0';
  g_autofree char *was = before == NULL ? g_strdup (", new") : g_strconcat (", was ", before, NULL);
  g_autofree char *text =
      now == NULL ? g_strdup_printf ("%s removed", name)
                  : g_strdup_printf ("%s %s%s%s%s%s", name, now, was, caused ? "  (" : "",
                                     caused ? cause : "", caused ? ")" : "");

  deratectl_tell ("service",
                  g_variant_new_parsed ("{'name': <%s>, 'from': <%@ms>, 'to': <%@ms>,"
                                        " 'cause': <%@ms>}",
                                        name, text_or_null (before), text_or_null (now),
                                        text_or_null (caused ? cause : NULL)),
                  text);
}

static void
tell_breaker (const char *name, const Thing *before, const char *state, const char *mode)
{
  const char *old_state = before != NULL ? before->state : NULL;
  const char *old_mode = before != NULL ? before->more : NULL;
  g_autoptr (GString) text = g_string_new (name);

  if (state == NULL)
    g_string_append (text, " removed");
  else if (before == NULL)
    g_string_append_printf (text, " %s, new", state);
  else if (strcmp (state, old_state) != 0)
    g_string_append_printf (text, " %s, was %s", state, old_state);
  if (state != NULL && old_mode != NULL && strcmp (mode, old_mode) != 0)
    g_string_append_printf (text, "%s mode %s, was %s", strcmp (state, old_state) != 0 ? ";" : "",
                            mode, old_mode);
  deratectl_tell ("breaker",
                  g_variant_new_parsed ("{'name': <%s>, 'from': <%@ms>, 'to': <%@ms>,"
                                        " 'mode_from': <%@ms>, 'mode_to': <%@ms>}",
                                        name, text_or_null (old_state), text_or_null (state),
                                        text_or_null (old_mode), text_or_null (mode)),
                  text->str);
}

static char *
get_text (GVariant *properties, const char *name, const char *otherwise)
{
  char *text = NULL;

  if (!g_variant_lookup (properties, name, "s", &text))
    return g_strdup (otherwise);
  return text;
}

static void
tell (const Thing *before, const Thing *now)
{
  if (now->is_service)
    tell_service (now->name, before != NULL ? before->state : NULL, now->state, now->more);
  else
    tell_breaker (now->name, before, now->state, now->more);
}

static gboolean
is_news (const Thing *before, const Thing *now)
{
  return before == NULL || strcmp (before->state, now->state) != 0 ||
         (!now->is_service && strcmp (before->more, now->more) != 0);
}

void
deratectl_things_change (DeratectlThings *things,
                         const char *path,
                         const char *interface,
                         GVariant *properties)
{
  Thing *before = g_hash_table_lookup (things->all, path);
  gboolean is_service = strcmp (interface, SERVICE) == 0;
  Thing *now;

  if (!is_service && strcmp (interface, BREAKER) != 0)
    return;
  now = g_new0 (Thing, 1);
  now->is_service = is_service;
  now->seen = TRUE;
  now->name =
      get_text (properties, "Name", before != NULL ? before->name : strrchr (path, '/') + 1);
  now->state = get_text (properties, is_service ? "Status" : "State",
                         before != NULL ? before->state : "unknown");
  now->more =
      get_text (properties, is_service ? "Cause" : "Mode", before != NULL ? before->more : "");
  if (things->known && is_news (before, now))
    tell (before, now);
  g_hash_table_replace (things->all, g_strdup (path), now);
}

void
deratectl_things_add (DeratectlThings *things, const char *path, GVariant *interfaces)
{
  GVariantIter iter;
  const char *interface = NULL;
  GVariant *properties = NULL;

  g_variant_iter_init (&iter, interfaces);
  while (g_variant_iter_loop (&iter, "{&s@a{sv}}", &interface, &properties))
    deratectl_things_change (things, path, interface, properties);
}

static void
tell_removed (const Thing *thing)
{
  if (thing->is_service)
    tell_service (thing->name, thing->state, NULL, NULL);
  else
    tell_breaker (thing->name, thing, NULL, NULL);
}

void
deratectl_things_remove (DeratectlThings *things, const char *path)
{
  Thing *thing = g_hash_table_lookup (things->all, path);

  if (thing == NULL)
    return;
  tell_removed (thing);
  g_hash_table_remove (things->all, path);
}

void
deratectl_things_take_all (DeratectlThings *things, GVariant *objects)
{
  GHashTableIter all;
  gpointer thing = NULL;
  GVariantIter iter;
  const char *path = NULL;
  GVariant *interfaces = NULL;

  g_hash_table_iter_init (&all, things->all);
  while (g_hash_table_iter_next (&all, NULL, &thing))
    ((Thing *)thing)->seen = FALSE;

  g_variant_iter_init (&iter, objects);
  while (g_variant_iter_loop (&iter, "{&o@a{sa{sv}}}", &path, &interfaces))
    deratectl_things_add (things, path, interfaces);

  g_hash_table_iter_init (&all, things->all);
  while (g_hash_table_iter_next (&all, NULL, &thing))
    if (!((Thing *)thing)->seen)
      {
        tell_removed (thing);
        g_hash_table_iter_remove (&all);
      }
  things->known = TRUE;
}
