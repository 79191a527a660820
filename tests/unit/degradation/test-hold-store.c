/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <derate.h>

#include <glib/gstdio.h>

#include "derate-hold-set-private.h"
#include "derate-hold-store-private.h"

#define MINUTE G_TIME_SPAN_MINUTE

typedef struct
{
  DerateManualClock *clock;
  char *folder;
  char *path;
} Fixture;

static void
set_up (Fixture *f, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;

  f->clock = DERATE_MANUAL_CLOCK (derate_manual_clock_new ());
  f->folder = g_dir_make_tmp ("derate-holds-XXXXXX", &error);
  g_assert_no_error (error);
  f->path = g_build_filename (f->folder, "holds.conf", NULL);
}

static void
tear_down (Fixture *f, gconstpointer unused)
{
  g_unlink (f->path);
  g_assert_cmpint (g_rmdir (f->folder), ==, 0);
  g_free (f->folder);
  g_free (f->path);
  g_assert_finalize_object (f->clock);
}

static DerateHoldStore *
make_store (Fixture *f, const char *boot_id, GTimeSpan asleep)
{
  DerateHoldStore *store = derate_hold_store_new (f->folder, DERATE_CLOCK (f->clock));

  derate_hold_store_set_boot (store, boot_id, asleep);
  return store;
}

static DerateHold *
make_hold (Fixture *f, const char *id, gboolean bound, GTimeSpan ttl)
{
  DerateHoldRequest request = {
    .level = DERATE_LEVEL_LIMITED,
    .mode = DERATE_HOLD_MODE_EXACT,
    .who = "ana; [x]",
    .reason = "línea 1\nlínea 2 = #",
    .owner = ":1.7",
    .uid = 1000,
    .bound = bound,
    .may_mask = TRUE,
    .ttl = ttl,
  };
  g_autoptr (GError) error = NULL;
  DerateHold *hold = derate_hold_new (&request, derate_clock_get_time (DERATE_CLOCK (f->clock)),
                                      derate_clock_get_real_time (DERATE_CLOCK (f->clock)), &error);

  g_assert_no_error (error);
  hold->id = g_strdup (id);
  return hold;
}

/* An unbound one of 10 minutes and a bound one, of this boot, with an hour of sleep behind it. */
static void
save (Fixture *f)
{
  g_autoptr (GPtrArray) holds = g_ptr_array_new_with_free_func ((GDestroyNotify)derate_hold_free);
  g_autoptr (DerateHoldStore) store = make_store (f, "boot-a", 60 * MINUTE);
  g_autoptr (GError) error = NULL;

  g_ptr_array_add (holds, make_hold (f, "aaaa0001", FALSE, 10 * MINUTE));
  g_ptr_array_add (holds, make_hold (f, "aaaa0002", TRUE, 0));
  g_assert_true (derate_hold_store_save (store, holds, &error));
  g_assert_no_error (error);
}

/* What the one hold has left when it is loaded. */
static GTimeSpan
load_left (Fixture *f, const char *boot_id, GTimeSpan asleep)
{
  g_autoptr (DerateHoldStore) store = make_store (f, boot_id, asleep);
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) holds = derate_hold_store_load (store, &error);
  DerateHold *hold;

  g_assert_no_error (error);
  g_assert_cmpuint (holds->len, ==, 1);
  hold = g_ptr_array_index (holds, 0);
  return hold->deadline - derate_clock_get_time (DERATE_CLOCK (f->clock));
}

static void
test_round_trip (Fixture *f, gconstpointer unused)
{
  g_autoptr (DerateHoldStore) store = make_store (f, "boot-a", 60 * MINUTE);
  g_autoptr (GPtrArray) holds = NULL;
  DerateHold *hold;
  GStatBuf info;

  save (f);
  holds = derate_hold_store_load (store, NULL);
  g_assert_cmpuint (holds->len, ==, 1);
  hold = g_ptr_array_index (holds, 0);
  g_assert_cmpstr (hold->id, ==, "aaaa0001");
  g_assert_cmpint (hold->level, ==, DERATE_LEVEL_LIMITED);
  g_assert_cmpint (hold->mode, ==, DERATE_HOLD_MODE_EXACT);
  g_assert_cmpstr (hold->who, ==, "ana; [x]");
  g_assert_cmpstr (hold->reason, ==, "línea 1\nlínea 2 = #");
  g_assert_cmpstr (hold->owner, ==, ":1.7");
  g_assert_cmpuint (hold->uid, ==, 1000);
  g_assert_false (hold->bound);
  g_assert_true (hold->may_mask);
  g_assert_cmpint (hold->ttl, ==, 10 * MINUTE);
  g_assert_cmpint (hold->since, ==, derate_clock_get_real_time (DERATE_CLOCK (f->clock)));
  /* Who holds and why is not for other users. */
  g_assert_cmpint (g_stat (f->path, &info), ==, 0);
  g_assert_cmpuint (info.st_mode & 0777, ==, 0600);
}

static void
test_time_down_counts (Fixture *f, gconstpointer unused)
{
  save (f);
  derate_manual_clock_advance (f->clock, 4 * MINUTE);
  g_assert_cmpint (load_left (f, "boot-a", 60 * MINUTE), ==, 6 * MINUTE);
  g_assert_cmpint (load_left (f, "boot-a", 62 * MINUTE), ==, 4 * MINUTE);
  derate_manual_clock_advance (f->clock, 6 * MINUTE);
  g_assert_cmpint (load_left (f, "boot-a", 60 * MINUTE), ==, 0);
}

/* In the same boot the wall clock says nothing. */
static void
test_wall_clock_jumps (Fixture *f, gconstpointer unused)
{
  save (f);
  derate_manual_clock_step_real_time (f->clock, 5 * 60 * MINUTE);
  g_assert_cmpint (load_left (f, "boot-a", 60 * MINUTE), ==, 10 * MINUTE);
}

static void
test_another_boot (Fixture *f, gconstpointer unused)
{
  save (f);
  derate_manual_clock_advance (f->clock, MINUTE);
  g_assert_cmpint (load_left (f, "boot-b", 0), ==, 9 * MINUTE);
  derate_manual_clock_step_real_time (f->clock, 7 * MINUTE);
  g_assert_cmpint (load_left (f, "boot-b", 0), ==, 2 * MINUTE);
  derate_manual_clock_step_real_time (f->clock, 60 * MINUTE);
  g_assert_cmpint (load_left (f, "boot-b", 0), ==, 0);
  /* A clock that was set back gives nobody more than was asked for. */
  derate_manual_clock_step_real_time (f->clock, -48 * 60 * MINUTE);
  g_assert_cmpint (load_left (f, "boot-b", 0), ==, 10 * MINUTE);
}

static void
test_no_file (Fixture *f, gconstpointer unused)
{
  g_autoptr (DerateHoldStore) store = make_store (f, "boot-a", 0);
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) holds = derate_hold_store_load (store, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (holds->len, ==, 0);
}

static void
test_damaged (Fixture *f, gconstpointer unused)
{
  static const char *const texts[] = {
    "garbage",
    "[store]\nversion=2\n",
    "[hold a]\nlevel=limited\n",
    "[store]\nversion=1\nboot-id=x\n[hold a]\nlevel=limited\nmode=pin\n",
    "[store]\nversion=1\nboot-id=x\n[hold a]\nlevel=limited\nmode=exact\nwho=a\nttl=5000000\n",
    "[store]\nversion=1\nboot-id=x\n[hold a]\nlevel=limited\nmode=exact\nwho=a\nttl=999999999999\n",
  };

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_autoptr (DerateHoldStore) store = make_store (f, "boot-a", 0);
      g_autoptr (GError) error = NULL;

      g_assert_true (g_file_set_contents (f->path, texts[i], -1, NULL));
      g_assert_null (derate_hold_store_load (store, &error));
      g_assert_nonnull (error);
      g_assert_nonnull (g_strstr_len (error->message, -1, f->path));
    }
}

static void
test_unwritable (Fixture *f, gconstpointer unused)
{
  g_autoptr (DerateHoldStore) store =
      derate_hold_store_new ("/nonexistent/derate", DERATE_CLOCK (f->clock));
  g_autoptr (GPtrArray) holds = g_ptr_array_new ();
  g_autoptr (GError) error = NULL;

  g_assert_false (derate_hold_store_save (store, holds, &error));
  g_assert_nonnull (error);
}

#define ADD(name, func) \
  g_test_add ("/degradation/hold-store/" name, Fixture, NULL, set_up, func, tear_down)

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  ADD ("round-trip", test_round_trip);
  ADD ("time-down-counts", test_time_down_counts);
  ADD ("wall-clock-jumps", test_wall_clock_jumps);
  ADD ("another-boot", test_another_boot);
  ADD ("no-file", test_no_file);
  ADD ("damaged", test_damaged);
  ADD ("unwritable", test_unwritable);
  return g_test_run ();
}
