/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-hold-set-private.h"

#include <string.h>

#include "derate-clock.h"
#include "derate-error.h"

void
derate_hold_set_init (DerateHoldSet *set)
{
  *set = (DerateHoldSet){ 0 };
  set->holds = g_ptr_array_new_with_free_func ((GDestroyNotify)derate_hold_free);
}

void
derate_hold_set_clear (DerateHoldSet *set)
{
  g_clear_pointer (&set->holds, g_ptr_array_unref);
}

static DerateHold *
lookup (const DerateHoldSet *set, const char *id)
{
  for (guint i = 0; i < set->holds->len; i++)
    {
      DerateHold *hold = g_ptr_array_index (set->holds, i);

      if (g_strcmp0 (hold->id, id) == 0)
        return hold;
    }
  return NULL;
}

/* Random, so that an id of a hold that has ended is not soon another's. */
static char *
make_id (const DerateHoldSet *set)
{
  while (TRUE)
    {
      g_autofree char *uuid = g_uuid_string_random ();
      g_autofree char *id = g_strndup (uuid, 8);

      if (lookup (set, id) == NULL)
        return g_steal_pointer (&id);
    }
}

/* A command that has ended comes back under another bus name, so an unbound hold is its user's. */
gboolean
derate_hold_is_owned_by (const DerateHold *hold, const DerateHoldCaller *caller)
{
  if (g_strcmp0 (hold->owner, caller->owner) == 0 && hold->uid == caller->uid)
    return TRUE;
  return !hold->bound && hold->owner != NULL && caller->owner != NULL && hold->uid == caller->uid;
}

static gboolean
check_limits (const DerateHoldSet *set, const DerateHold *hold, GError **error)
{
  DerateHoldCaller caller = { hold->owner, hold->uid, FALSE };
  guint count = 0;

  if (set->holds->len >= DERATE_HOLD_SET_MAX)
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_LIMIT_EXCEEDED,
                   "hold: there are %u already, the most in all", set->holds->len);
      return FALSE;
    }
  for (guint i = 0; i < set->holds->len; i++)
    count += derate_hold_is_owned_by (g_ptr_array_index (set->holds, i), &caller);
  if (count < DERATE_HOLD_SET_MAX_A_CALLER)
    return TRUE;
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_LIMIT_EXCEEDED,
               "hold: the caller has %u already, the most for one", count);
  return FALSE;
}

const DerateHold *
derate_hold_set_add (DerateHoldSet *set, DerateHold *hold, GError **error)
{
  g_autoptr (DerateHold) owned = hold;

  if (!check_limits (set, hold, error))
    return NULL;
  owned->id = make_id (set);
  g_ptr_array_add (set->holds, g_steal_pointer (&owned));
  return hold;
}

void
derate_hold_set_restore (DerateHoldSet *set, DerateHold *hold)
{
  if (set->holds->len < DERATE_HOLD_SET_MAX && lookup (set, hold->id) == NULL)
    g_ptr_array_add (set->holds, hold);
  else
    derate_hold_free (hold);
}

gboolean
derate_hold_set_contains (const DerateHoldSet *set, const char *id)
{
  return id != NULL && lookup (set, id) != NULL;
}

DerateHold *
derate_hold_set_find (DerateHoldSet *set,
                      const char *id,
                      const DerateHoldCaller *caller,
                      GError **error)
{
  DerateHold *hold = lookup (set, id);

  if (hold == NULL)
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_NO_SUCH_HOLD, "no hold “%s”",
                   id != NULL ? id : "");
      return NULL;
    }
  if (!caller->privileged && !derate_hold_is_owned_by (hold, caller))
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_NOT_OWNER, "hold “%s” is another caller's",
                   id);
      return NULL;
    }
  return hold;
}

GPtrArray *
derate_hold_set_take (DerateHoldSet *set, DerateHoldMatch match, gconstpointer data)
{
  GPtrArray *taken = g_ptr_array_new_with_free_func ((GDestroyNotify)derate_hold_free);

  for (guint i = 0; i < set->holds->len;)
    {
      if (!match (g_ptr_array_index (set->holds, i), data))
        {
          i++;
          continue;
        }
      if (i < set->local_after)
        set->local_after--;
      g_ptr_array_add (taken, g_ptr_array_steal_index (set->holds, i));
    }
  return taken;
}

static gboolean
is_expired (const DerateHold *hold, gconstpointer now)
{
  return hold->deadline <= *(const gint64 *)now;
}

GPtrArray *
derate_hold_set_take_expired (DerateHoldSet *set, gint64 now)
{
  return derate_hold_set_take (set, is_expired, &now);
}

static gboolean
is_bound_to (const DerateHold *hold, gconstpointer owner)
{
  return hold->bound && g_strcmp0 (hold->owner, owner) == 0;
}

GPtrArray *
derate_hold_set_take_bound (DerateHoldSet *set, const char *owner)
{
  return derate_hold_set_take (set, is_bound_to, owner);
}

void
derate_hold_set_set_local (DerateHoldSet *set, DerateLevel level)
{
  set->local = level;
  set->local_after = set->holds->len;
}

gint64
derate_hold_set_get_deadline (const DerateHoldSet *set)
{
  gint64 earliest = DERATE_CLOCK_NEVER;

  for (guint i = 0; i < set->holds->len; i++)
    earliest = MIN (earliest, ((DerateHold *)g_ptr_array_index (set->holds, i))->deadline);
  return earliest;
}

DerateHoldEffect
derate_hold_set_get_effect (const DerateHoldSet *set)
{
  DerateHoldEffect effect = { 0 };
  guint exact_place = 0;

  for (guint i = 0; i < set->holds->len; i++)
    {
      const DerateHold *hold = g_ptr_array_index (set->holds, i);

      if (hold->mode == DERATE_HOLD_MODE_EXACT)
        {
          effect.exact = hold->level;
          effect.exact_hold = hold;
          exact_place = i;
        }
      else if (hold->level > effect.floor)
        {
          effect.floor = hold->level;
          effect.floor_hold = hold;
        }
    }
  if (set->local != DERATE_LEVEL_UNKNOWN &&
      (effect.exact_hold == NULL || exact_place < set->local_after))
    {
      effect.exact = set->local;
      effect.exact_hold = NULL;
    }
  return effect;
}

GVariant *
derate_hold_to_variant (const DerateHold *hold, gint64 now, gboolean details)
{
  double remaining = (double)MAX (hold->deadline - now, 0) / G_TIME_SPAN_SECOND;
  gboolean endless = hold->deadline == DERATE_CLOCK_NEVER;
  GVariantBuilder dict;

  g_variant_builder_init (&dict, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&dict, "{sv}", "id", g_variant_new_string (hold->id));
  g_variant_builder_add (&dict, "{sv}", "level",
                         g_variant_new_string (derate_level_get_nick (hold->level)));
  g_variant_builder_add (&dict, "{sv}", "mode",
                         g_variant_new_string (derate_hold_mode_get_nick (hold->mode)));
  g_variant_builder_add (&dict, "{sv}", "who", g_variant_new ("ms", details ? hold->who : NULL));
  g_variant_builder_add (&dict, "{sv}", "reason",
                         g_variant_new ("ms", details ? hold->reason : NULL));
  g_variant_builder_add (&dict, "{sv}", "uid", g_variant_new ("mu", details, hold->uid));
  g_variant_builder_add (&dict, "{sv}", "since",
                         g_variant_new_double ((double)hold->since / G_TIME_SPAN_SECOND));
  g_variant_builder_add (&dict, "{sv}", "remaining_seconds",
                         g_variant_new ("md", !endless, remaining));
  g_variant_builder_add (&dict, "{sv}", "bound", g_variant_new_boolean (hold->bound));
  return g_variant_builder_end (&dict);
}

GVariant *
derate_hold_set_to_variant (const DerateHoldSet *set, gint64 now, gboolean details)
{
  GVariantBuilder holds;

  g_variant_builder_init (&holds, G_VARIANT_TYPE ("aa{sv}"));
  for (guint i = 0; i < set->holds->len; i++)
    g_variant_builder_add_value (&holds, derate_hold_to_variant (g_ptr_array_index (set->holds, i),
                                                                 now, details));
  return g_variant_builder_end (&holds);
}
