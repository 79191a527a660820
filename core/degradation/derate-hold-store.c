/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-hold-store-private.h"

#include <glib/gstdio.h>
#include <string.h>

#include "derate-clock-private.h"
#include "derate-error.h"

#define FILE_NAME "holds.conf"
#define BOOT_ID_FILE "/proc/sys/kernel/random/boot_id"

#define GROUP_STORE "store"
#define GROUP_HOLD "hold "
#define KEY_VERSION "version"
#define KEY_BOOT_ID "boot-id"
#define VERSION 1

struct _DerateHoldStore
{
  char *path;
  DerateClock *clock;
  char *boot_id;
  GTimeSpan asleep; /* −1 = read it from the kernel */
  gboolean is_damaged; /* what is there, which goes aside before anything is stored */
};

DerateHoldStore *
derate_hold_store_new (const char *folder, DerateClock *clock)
{
  DerateHoldStore *store = g_new0 (DerateHoldStore, 1);

  store->path = g_build_filename (folder, FILE_NAME, NULL);
  store->clock = g_object_ref (clock);
  store->asleep = -1;
  if (g_file_get_contents (BOOT_ID_FILE, &store->boot_id, NULL, NULL))
    g_strstrip (store->boot_id);
  else
    store->boot_id = g_strdup ("");
  return store;
}

void
derate_hold_store_free (DerateHoldStore *store)
{
  g_free (store->path);
  g_free (store->boot_id);
  g_object_unref (store->clock);
  g_free (store);
}

void
derate_hold_store_set_boot (DerateHoldStore *store, const char *boot_id, GTimeSpan asleep)
{
  g_free (store->boot_id);
  store->boot_id = g_strdup (boot_id);
  store->asleep = asleep;
}

void
derate_hold_store_set_aside (DerateHoldStore *store)
{
  store->is_damaged = TRUE;
}

static void
move_damaged (DerateHoldStore *store)
{
  g_autofree char *aside = g_strconcat (store->path, ".bad", NULL);

  if (g_rename (store->path, aside) != 0)
    g_debug ("%s stays where it is", store->path); /* it is replaced */
  store->is_damaged = FALSE;
}

/* CLOCK_BOOTTIME, or the same of a clock that is not the machine's. */
static gint64
get_boot_time (DerateHoldStore *store)
{
  GTimeSpan asleep = store->asleep;

  if (asleep < 0)
    asleep = derate_clock_read_time_asleep ();
  return derate_clock_get_time (store->clock) + asleep;
}

static void
put_hold (DerateHoldStore *store, GKeyFile *file, const DerateHold *hold)
{
  g_autofree char *group = g_strconcat (GROUP_HOLD, hold->id, NULL);
  GTimeSpan left = hold->deadline - derate_clock_get_time (store->clock);

  g_key_file_set_string (file, group, "level", derate_level_get_nick (hold->level));
  g_key_file_set_string (file, group, "mode", derate_hold_mode_get_nick (hold->mode));
  g_key_file_set_string (file, group, "who", hold->who);
  g_key_file_set_string (file, group, "reason", hold->reason);
  if (hold->owner != NULL)
    g_key_file_set_string (file, group, "owner", hold->owner);
  g_key_file_set_uint64 (file, group, "uid", hold->uid);
  g_key_file_set_boolean (file, group, "may-mask", hold->may_mask);
  g_key_file_set_int64 (file, group, "since", hold->since);
  g_key_file_set_int64 (file, group, "ttl", hold->ttl);
  g_key_file_set_int64 (file, group, "boot-deadline", get_boot_time (store) + left);
  g_key_file_set_int64 (file, group, "wall-deadline",
                        derate_clock_get_real_time (store->clock) + left);
}

gboolean
derate_hold_store_save (DerateHoldStore *store, GPtrArray *holds, GError **error)
{
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autofree char *text = NULL;
  gsize length = 0;

  g_key_file_set_integer (file, GROUP_STORE, KEY_VERSION, VERSION);
  g_key_file_set_string (file, GROUP_STORE, KEY_BOOT_ID, store->boot_id);
  for (guint i = 0; i < holds->len; i++)
    {
      const DerateHold *hold = g_ptr_array_index (holds, i);

      if (!hold->bound)
        put_hold (store, file, hold);
    }
  text = g_key_file_to_data (file, &length, NULL);
  if (store->is_damaged)
    move_damaged (store);
  if (g_file_set_contents_full (store->path, text, (gssize)length,
                                G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE, 0600,
                                error))
    return TRUE;
  g_prefix_error (error, "hold store: ");
  return FALSE;
}

/* What it has left, never more than it was given. */
static GTimeSpan
get_left (DerateHoldStore *store, GKeyFile *file, const char *group, GTimeSpan ttl)
{
  g_autofree char *boot_id = g_key_file_get_string (file, GROUP_STORE, KEY_BOOT_ID, NULL);
  gboolean same_boot =
      boot_id != NULL && boot_id[0] != '\0' && g_str_equal (boot_id, store->boot_id);
  gint64 deadline =
      g_key_file_get_int64 (file, group, same_boot ? "boot-deadline" : "wall-deadline", NULL);
  gint64 now = same_boot ? get_boot_time (store) : derate_clock_get_real_time (store->clock);

  if (deadline <= now)
    return 0;
  return MIN (deadline - now, ttl);
}

static DerateHold *
get_hold (DerateHoldStore *store, GKeyFile *file, const char *group, GError **error)
{
  g_autofree char *level = g_key_file_get_string (file, group, "level", error);
  g_autofree char *mode = level != NULL ? g_key_file_get_string (file, group, "mode", error) : NULL;
  g_autofree char *who = g_key_file_get_string (file, group, "who", NULL);
  g_autofree char *reason = g_key_file_get_string (file, group, "reason", NULL);
  g_autofree char *owner = g_key_file_get_string (file, group, "owner", NULL);
  DerateHoldRequest request = { .who = who, .reason = reason, .owner = owner };
  gint64 now = derate_clock_get_time (store->clock);
  DerateHold *hold;

  if (mode == NULL || !derate_level_from_nick (level, &request.level, error) ||
      !derate_hold_mode_from_nick (mode, &request.mode, error))
    return NULL;
  request.ttl = g_key_file_get_int64 (file, group, "ttl", NULL);
  request.may_mask = g_key_file_get_boolean (file, group, "may-mask", NULL);
  request.uid = (guint)g_key_file_get_uint64 (file, group, "uid", NULL);
  hold = derate_hold_new (&request, now, g_key_file_get_int64 (file, group, "since", NULL), error);
  if (hold == NULL)
    return NULL;
  hold->id = g_strdup (group + strlen (GROUP_HOLD));
  hold->deadline = now + get_left (store, file, group, hold->ttl);
  return hold;
}

static gboolean
is_missing (const GError *error)
{
  return g_error_matches (error, G_FILE_ERROR, G_FILE_ERROR_NOENT);
}

GPtrArray *
derate_hold_store_load (DerateHoldStore *store, GError **error)
{
  g_autoptr (GPtrArray) holds = g_ptr_array_new_with_free_func ((GDestroyNotify)derate_hold_free);
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autoptr (GError) local = NULL;
  g_auto (GStrv) groups = NULL;

  if (!g_key_file_load_from_file (file, store->path, G_KEY_FILE_NONE, &local))
    {
      if (is_missing (local))
        return g_steal_pointer (&holds);
      g_propagate_prefixed_error (error, g_steal_pointer (&local), "%s: ", store->path);
      return NULL;
    }
  if (g_key_file_get_integer (file, GROUP_STORE, KEY_VERSION, NULL) != VERSION)
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG,
                   "%s: not a hold store of version %d", store->path, VERSION);
      return NULL;
    }
  groups = g_key_file_get_groups (file, NULL);
  for (guint i = 0; groups[i] != NULL; i++)
    {
      DerateHold *hold;

      if (!g_str_has_prefix (groups[i], GROUP_HOLD))
        continue;
      hold = get_hold (store, file, groups[i], &local);
      if (hold == NULL)
        {
          g_propagate_prefixed_error (error, g_steal_pointer (&local), "%s: [%s]: ", store->path,
                                      groups[i]);
          return NULL;
        }
      g_ptr_array_add (holds, hold);
    }
  return g_steal_pointer (&holds);
}
