/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "manager-fixture.h"

#define HEALTHY DERATE_HEALTH_STATUS_HEALTHY
#define DOWN DERATE_HEALTH_STATUS_DOWN
#define MINUTE G_TIME_SPAN_MINUTE

static char *
hold (Fixture *f, DerateLevel level, DerateHoldMode mode, guint seconds)
{
  g_autoptr (GError) error = NULL;
  char *id = derate_degradation_manager_hold (f->manager, level, mode, "ana", "maintenance",
                                              seconds * G_TIME_SPAN_SECOND, &error);

  g_assert_no_error (error);
  return id;
}

static void
release (Fixture *f, const char *id)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (derate_degradation_manager_release (f->manager, id, &error));
  g_assert_no_error (error);
}

/* A caller of the bus, with no right but to hold. */
static char *
take (Fixture *f,
      DerateLevel level,
      DerateHoldMode mode,
      const char *owner,
      gboolean bound,
      GError **error)
{
  DerateHoldRequest request = {
    .level = level,
    .mode = mode,
    .who = "bob",
    .reason = "test",
    .ttl = bound ? 0 : MINUTE,
    .owner = owner,
    .uid = 1000,
    .bound = bound,
  };

  return derate_degradation_manager_take_hold (f->manager, &request, error);
}

static void
on_event (DerateDegradationManager *manager, const DerateDegradationEvent *event, gpointer data)
{
  GString *heard = data;

  if (event->type == DERATE_DEGRADATION_EVENT_LEVEL)
    g_string_append_printf (heard, "level:%s ", derate_level_get_nick (event->new_level));
  else if (event->type == DERATE_DEGRADATION_EVENT_HOLD_TAKEN)
    g_string_append_printf (heard, "taken:%s ", event->hold->owner);
  else if (event->type == DERATE_DEGRADATION_EVENT_HOLD_RELEASED)
    g_string_append_printf (heard, "%s:%s ", event->cause, event->hold->owner);
}

/* Floor minimal for 40 s: minimal until then, and a normal climb. */
static void
test_floor_expires (Fixture *f, gconstpointer unused)
{
  g_autofree char *id = NULL;

  fixture_begin (f);
  fixture_advance (f, 5);
  id = hold (f, DERATE_LEVEL_MINIMAL, DERATE_HOLD_MODE_AT_LEAST, 40);
  fixture_assert_level (f, "minimal");
  fixture_assert_rule (f, "hold");
  g_assert_cmpint (derate_degradation_manager_get_computed_level (f->manager), ==,
                   DERATE_LEVEL_OPTIMAL);
  fixture_advance (f, 39);
  fixture_assert_level (f, "minimal");
  fixture_advance (f, 1);
  fixture_assert_level (f, "minimal"); /* it has ended; better is for the tick */
  g_assert_false (derate_degradation_manager_release (f->manager, id, NULL));
  fixture_advance (f, 15);
  fixture_assert_level (f, "optimal");
  fixture_assert_told (f, "1>4:hold 4>1:all-well ");
}

/* On expiry what is worse applies at once. */
static void
test_exact_expires_while_worse (Fixture *f, gconstpointer unused)
{
  g_autofree char *id = NULL;

  fixture_begin (f);
  id = hold (f, DERATE_LEVEL_OPTIMAL, DERATE_HOLD_MODE_EXACT, 10);
  fixture_set_status (f, DATABASE, DOWN);
  fixture_assert_level (f, "optimal");
  fixture_advance (f, 9);
  fixture_assert_level (f, "optimal");
  fixture_advance (f, 1);
  fixture_assert_level (f, "minimal");
  fixture_assert_rule (f, "database-limited");
  fixture_assert_told (f, "1>4:database-limited ");
}

static void
test_exact_applies_at_once (Fixture *f, gconstpointer unused)
{
  g_autofree char *first = NULL;
  g_autofree char *second = NULL;

  fixture_begin (f);
  first = hold (f, DERATE_LEVEL_LIMITED, DERATE_HOLD_MODE_EXACT, 60);
  second = hold (f, DERATE_LEVEL_EMERGENCY, DERATE_HOLD_MODE_EXACT, 60);
  fixture_assert_level (f, "emergency");
  release (f, second);
  fixture_assert_level (f, "limited"); /* the one before is restored */
  release (f, first);
  fixture_assert_level (f, "limited");
  fixture_advance (f, 30);
  fixture_assert_level (f, "optimal");
}

static void
test_floor_outranks_exact (Fixture *f, gconstpointer unused)
{
  g_autofree char *floor = NULL;
  g_autofree char *exact = NULL;
  g_autofree char *deciding = NULL;

  fixture_begin (f);
  exact = hold (f, DERATE_LEVEL_OPTIMAL, DERATE_HOLD_MODE_EXACT, 60);
  floor = hold (f, DERATE_LEVEL_LIMITED, DERATE_HOLD_MODE_AT_LEAST, 60);
  fixture_assert_level (f, "limited");
  deciding = derate_degradation_manager_dup_deciding_hold (f->manager);
  g_assert_cmpstr (deciding, ==, floor);
  derate_degradation_manager_set_level (f->manager, DERATE_LEVEL_OPTIMAL, NULL);
  fixture_assert_level (f, "limited");
  fixture_set_status (f, DATABASE, DOWN);
  fixture_assert_level (f, "limited"); /* exact, and no better than the floor */
  release (f, floor);
  fixture_assert_level (f, "optimal");
  g_clear_pointer (&deciding, g_free);
  deciding = derate_degradation_manager_dup_deciding_hold (f->manager);
  g_assert_null (deciding); /* set_level () is no hold */
}

/* Under a floor the services count where they are worse. */
static void
test_floor_under_worse (Fixture *f, gconstpointer unused)
{
  g_autofree char *floor = NULL;

  fixture_begin (f);
  floor = hold (f, DERATE_LEVEL_DEGRADED, DERATE_HOLD_MODE_AT_LEAST, 600);
  fixture_assert_rule (f, "hold");
  fixture_set_status (f, DATABASE, DOWN);
  fixture_assert_level (f, "minimal");
  fixture_assert_rule (f, "database-limited");
  fixture_set_status (f, DATABASE, HEALTHY);
  fixture_advance (f, 30);
  fixture_assert_level (f, "degraded");
  fixture_assert_rule (f, "hold");
}

/* Holds are not counted as flapping, and do not put recovery off. */
static void
test_not_an_incident (Fixture *f, gconstpointer unused)
{
  fixture_begin (f);
  for (guint i = 0; i < 5; i++)
    {
      g_autofree char *id = NULL;

      fixture_advance (f, 25);
      id = hold (f, DERATE_LEVEL_MINIMAL, DERATE_HOLD_MODE_AT_LEAST, 2);
      fixture_advance (f, 5);
      fixture_assert_level (f, "optimal");
    }
  g_assert_false (derate_degradation_manager_get_flapping (f->manager));
}

static void
test_renew (Fixture *f, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *id = NULL;

  fixture_begin (f);
  id = hold (f, DERATE_LEVEL_MINIMAL, DERATE_HOLD_MODE_EXACT, 10);
  fixture_advance (f, 9);
  g_assert_true (derate_degradation_manager_renew (f->manager, id, 20 * G_TIME_SPAN_SECOND, NULL));
  fixture_advance (f, 19);
  g_assert_false (derate_degradation_manager_renew (f->manager, id, 0, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_TTL);
  fixture_assert_level (f, "minimal");
  fixture_advance (f, 1); /* of no effect was the one that was refused */
  g_clear_error (&error);
  g_assert_false (derate_degradation_manager_renew (f->manager, id, MINUTE, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_NO_SUCH_HOLD);
}

/* To less, too. */
static void
test_renew_shortens (Fixture *f, gconstpointer unused)
{
  g_autoptr (GString) heard = g_string_new (NULL);
  g_autofree char *id = NULL;

  fixture_begin (f);
  id = hold (f, DERATE_LEVEL_MINIMAL, DERATE_HOLD_MODE_AT_LEAST, 600);
  derate_degradation_manager_add_listener (f->manager, on_event, heard, NULL);
  g_assert_true (derate_degradation_manager_renew (f->manager, id, 7 * G_TIME_SPAN_SECOND, NULL));
  fixture_advance (f, 6);
  g_assert_cmpstr (heard->str, ==, "");
  fixture_advance (f, 1);
  g_assert_cmpstr (heard->str, ==, "expired:(null) ");
}

/* What is renewed is so after a restart as well, and then again for no longer than that. */
static void
test_renew_and_restart (Fixture *f, gconstpointer unused)
{
  static const guint spans[] = { 3600, 10 };
  g_autofree char *folder = g_dir_make_tmp ("derate-state-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "holds.conf", NULL);
  g_autofree char *id = NULL;

  g_assert_true (derate_degradation_manager_set_state_dir (f->manager, folder, NULL));
  fixture_begin (f);
  id = hold (f, DERATE_LEVEL_MINIMAL, DERATE_HOLD_MODE_AT_LEAST, 60);
  for (guint i = 0; i < G_N_ELEMENTS (spans); i++)
    {
      g_autoptr (GPtrArray) holds = NULL;
      const DerateHold *kept;

      g_assert_true (
          derate_degradation_manager_renew (f->manager, id, spans[i] * G_TIME_SPAN_SECOND, NULL));
      fixture_tear_down (f, NULL);
      fixture_set_up (f, NULL);
      g_assert_true (derate_degradation_manager_set_state_dir (f->manager, folder, NULL));
      holds = derate_degradation_manager_copy_holds (f->manager);
      g_assert_cmpuint (holds->len, ==, 1);
      kept = g_ptr_array_index (holds, 0);
      g_assert_cmpint (kept->ttl, ==, spans[i] * G_TIME_SPAN_SECOND);
      g_assert_cmpint (kept->deadline - derate_clock_get_time (DERATE_CLOCK (f->clock)), ==,
                       spans[i] * G_TIME_SPAN_SECOND);
    }
  g_unlink (path);
  g_assert_cmpint (g_rmdir (folder), ==, 0);
}

/* The expiry timer follows the earliest deadline, in whatever order they are taken. */
static void
test_timer_follows (Fixture *f, gconstpointer unused)
{
  g_autoptr (GString) heard = g_string_new (NULL);
  g_autofree char *late = NULL;
  g_autofree char *early = NULL;

  fixture_begin (f);
  late = hold (f, DERATE_LEVEL_MINIMAL, DERATE_HOLD_MODE_AT_LEAST, 20);
  early = hold (f, DERATE_LEVEL_MINIMAL, DERATE_HOLD_MODE_AT_LEAST, 5);
  derate_degradation_manager_add_listener (f->manager, on_event, heard, NULL);
  fixture_advance (f, 5);
  g_assert_cmpstr (heard->str, ==, "expired:(null) ");
  fixture_advance (f, 14);
  g_assert_cmpstr (heard->str, ==, "expired:(null) ");
  fixture_advance (f, 1);
  g_assert_cmpstr (heard->str, ==, "expired:(null) expired:(null) ");
}

static void
test_vanished (Fixture *f, gconstpointer unused)
{
  g_autoptr (GString) heard = g_string_new (NULL);
  g_autofree char *one = NULL;
  g_autofree char *two = NULL;
  g_autofree char *unbound = NULL;

  fixture_begin (f);
  derate_degradation_manager_add_listener (f->manager, on_event, heard, NULL);
  one = take (f, DERATE_LEVEL_EMERGENCY, DERATE_HOLD_MODE_EXACT, ":1.1", TRUE, NULL);
  two = take (f, DERATE_LEVEL_LIMITED, DERATE_HOLD_MODE_AT_LEAST, ":1.2", TRUE, NULL);
  unbound = take (f, DERATE_LEVEL_DEGRADED, DERATE_HOLD_MODE_AT_LEAST, ":1.1", FALSE, NULL);
  fixture_advance (f, 3600 * 30); /* no limit while the caller is there; the unbound one ends */
  fixture_assert_level (f, "emergency");
  derate_degradation_manager_owner_vanished (f->manager, ":1.1");
  fixture_advance (f, 30);
  fixture_assert_level (f, "limited");
  g_assert_cmpstr (heard->str, ==,
                   "taken::1.1 level:emergency taken::1.2 taken::1.1 expired::1.1 "
                   "vanished::1.1 level:limited ");
}

static gboolean
release_as (Fixture *f,
            const char *id,
            const char *owner,
            guint uid,
            gboolean privileged,
            GError **error)
{
  DerateHoldCaller caller = { owner, uid, privileged };

  return derate_degradation_manager_release_hold (f->manager, id, &caller, error);
}

static void
test_release_by_others (Fixture *f, gconstpointer unused)
{
  g_autoptr (GString) heard = g_string_new (NULL);
  g_autofree char *one = NULL;
  g_autofree char *two = NULL;
  DerateHoldCaller stranger = { ":1.9", 1009, FALSE };
  DerateHoldCaller root = { ":1.8", 0, TRUE };
  g_autoptr (GError) error = NULL;

  fixture_begin (f);
  one = take (f, DERATE_LEVEL_LIMITED, DERATE_HOLD_MODE_AT_LEAST, ":1.1", TRUE, NULL);
  two = take (f, DERATE_LEVEL_MINIMAL, DERATE_HOLD_MODE_AT_LEAST, ":1.1", TRUE, NULL);
  derate_degradation_manager_add_listener (f->manager, on_event, heard, NULL);
  g_assert_false (release_as (f, one, ":1.9", 1009, FALSE, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_NOT_OWNER);
  g_clear_error (&error);
  g_assert_false (
      derate_degradation_manager_renew_hold (f->manager, one, MINUTE, &stranger, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_NOT_OWNER);
  g_assert_cmpuint (derate_degradation_manager_release_holds (f->manager, &stranger), ==, 0);
  fixture_assert_level (f, "minimal");

  g_assert_true (release_as (f, two, ":1.1", 1000, FALSE, NULL));
  g_assert_cmpuint (derate_degradation_manager_release_holds (f->manager, &root), ==, 1);
  g_assert_cmpstr (heard->str, ==, "released::1.1 overridden::1.1 ");
}

/* What was no better than the services when it was taken does not hide what comes later. */
static void
test_masking_later (Fixture *f, gconstpointer unused)
{
  g_autofree char *exact = NULL;
  g_autofree char *deciding = NULL;

  fixture_begin (f);
  exact = take (f, DERATE_LEVEL_LIMITED, DERATE_HOLD_MODE_EXACT, ":1.1", TRUE, NULL);
  g_assert_nonnull (exact);
  fixture_assert_level (f, "limited");
  fixture_set_status (f, DATABASE, DOWN);
  fixture_assert_level (f, "minimal");
  fixture_assert_rule (f, "database-limited");
  deciding = derate_degradation_manager_dup_deciding_hold (f->manager);
  g_assert_null (deciding);
  fixture_set_status (f, DATABASE, HEALTHY);
  fixture_assert_level (f, "minimal");
  fixture_advance (f, 30);
  fixture_assert_level (f, "limited"); /* it still holds */
  fixture_assert_rule (f, "hold");
}

/* An exact hold better than the computed level needs the stronger right. */
static void
test_masking (Fixture *f, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *refused = NULL;
  g_autofree char *equal = NULL;
  g_autofree char *floor = NULL;

  refused = take (f, DERATE_LEVEL_MINIMAL, DERATE_HOLD_MODE_EXACT, ":1.1", TRUE, &error);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED); /* nothing is known yet */
  g_clear_error (&error);
  fixture_begin (f);
  fixture_set_status (f, DATABASE, DOWN);
  refused = take (f, DERATE_LEVEL_LIMITED, DERATE_HOLD_MODE_EXACT, ":1.1", TRUE, &error);
  g_assert_null (refused);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED);
  g_clear_error (&error);
  equal = take (f, DERATE_LEVEL_MINIMAL, DERATE_HOLD_MODE_EXACT, ":1.1", TRUE, &error);
  g_assert_no_error (error);
  floor = take (f, DERATE_LEVEL_DEGRADED, DERATE_HOLD_MODE_AT_LEAST, ":1.1", TRUE, &error);
  g_assert_no_error (error);
  fixture_assert_level (f, "minimal");
}

static void
test_refused (Fixture *f, gconstpointer unused)
{
  static const struct
  {
    DerateLevel level;
    int mode;
    const char *who;
    const char *reason;
    GTimeSpan ttl;
    DerateError code;
  } cases[] = {
    { 11, 0, "a", "b", MINUTE, DERATE_ERROR_UNKNOWN_LEVEL },
    { DERATE_LEVEL_LIMITED, 9, "a", "b", MINUTE, DERATE_ERROR_UNKNOWN_MODE },
    { DERATE_LEVEL_LIMITED, 0, "", "b", MINUTE, DERATE_ERROR_INVALID_REASON },
    { DERATE_LEVEL_LIMITED, 0, "a", "", MINUTE, DERATE_ERROR_INVALID_REASON },
    { DERATE_LEVEL_LIMITED, 0, "a", "b", 0, DERATE_ERROR_INVALID_TTL },
    { DERATE_LEVEL_LIMITED, 0, "a", "b", 25 * G_TIME_SPAN_HOUR, DERATE_ERROR_INVALID_TTL },
  };

  fixture_begin (f);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (GVariant) holds = NULL;

      g_assert_null (derate_degradation_manager_hold (f->manager, cases[i].level, cases[i].mode,
                                                      cases[i].who, cases[i].reason, cases[i].ttl,
                                                      &error));
      g_assert_error (error, DERATE_ERROR, (gint)cases[i].code);
      holds = derate_degradation_manager_dup_holds (f->manager, TRUE);
      g_assert_cmpuint (g_variant_n_children (holds), ==, 0);
    }
  fixture_assert_level (f, "optimal");
}

static void
test_details (Fixture *f, gconstpointer unused)
{
  g_autofree char *id = NULL;
  g_autoptr (GVariant) open = NULL;
  g_autoptr (GVariant) closed = NULL;
  g_autofree char *open_json = NULL;
  g_autofree char *closed_json = NULL;

  fixture_begin (f);
  id = hold (f, DERATE_LEVEL_MINIMAL, DERATE_HOLD_MODE_EXACT, 60);
  open = derate_degradation_manager_to_variant (f->manager, TRUE);
  closed = derate_degradation_manager_to_variant (f->manager, FALSE);
  open_json = derate_json_from_variant (open);
  closed_json = derate_json_from_variant (closed);
  g_assert_nonnull (strstr (open_json, "\"ana\""));
  g_assert_nonnull (strstr (open_json, "\"maintenance\""));
  g_assert_nonnull (strstr (closed_json, id));
  g_assert_null (strstr (closed_json, "\"ana\""));
  g_assert_null (strstr (closed_json, "\"maintenance\""));
}

static void
test_release_all (Fixture *f, gconstpointer unused)
{
  g_autofree char *one = NULL;
  g_autofree char *two = NULL;

  fixture_begin (f);
  one = hold (f, DERATE_LEVEL_MINIMAL, DERATE_HOLD_MODE_EXACT, 60);
  two = take (f, DERATE_LEVEL_MINIMAL, DERATE_HOLD_MODE_AT_LEAST, ":1.1", TRUE, NULL);
  g_assert_cmpuint (derate_degradation_manager_release_all (f->manager), ==, 2);
  g_assert_cmpuint (derate_degradation_manager_release_all (f->manager), ==, 0);
  fixture_advance (f, 30);
  fixture_assert_level (f, "optimal");
}

/* A second manager over the same folder, as after a restart. */
static void
test_restart (Fixture *f, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *folder = g_dir_make_tmp ("derate-state-XXXXXX", &error);
  g_autofree char *path = g_build_filename (folder, "holds.conf", NULL);
  g_autofree char *kept = NULL;
  g_autofree char *bound = NULL;
  g_autofree char *released = NULL;
  g_autofree char *text = NULL;

  g_assert_no_error (error);
  g_assert_true (derate_degradation_manager_set_state_dir (f->manager, folder, &error));
  fixture_begin (f);
  kept = hold (f, DERATE_LEVEL_MINIMAL, DERATE_HOLD_MODE_AT_LEAST, 60);
  released = hold (f, DERATE_LEVEL_EMERGENCY, DERATE_HOLD_MODE_AT_LEAST, 60);
  bound = take (f, DERATE_LEVEL_EMERGENCY, DERATE_HOLD_MODE_AT_LEAST, ":1.1", TRUE, NULL);
  release (f, released);
  fixture_tear_down (f, NULL);

  fixture_set_up (f, NULL);
  g_assert_true (derate_degradation_manager_set_state_dir (f->manager, folder, &error));
  derate_degradation_manager_first_sweep_done (f->manager);
  fixture_assert_level (f, "minimal");
  fixture_assert_rule (f, "hold");
  g_assert_true (derate_degradation_manager_release (f->manager, kept, &error));
  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  g_assert_null (strstr (text, "[hold"));

  g_unlink (path);
  g_assert_cmpint (g_rmdir (folder), ==, 0);
}

/* Who has news of a service does not wait for the disk, whatever holds others have. */
static void
test_news_do_not_store (Fixture *f, gconstpointer unused)
{
  g_autofree char *folder = g_dir_make_tmp ("derate-state-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "holds.conf", NULL);
  g_autofree char *id = NULL;
  g_autofree char *before = NULL;
  g_autofree char *after = NULL;

  g_assert_true (derate_degradation_manager_set_state_dir (f->manager, folder, NULL));
  fixture_begin (f);
  id = hold (f, DERATE_LEVEL_MINIMAL, DERATE_HOLD_MODE_AT_LEAST, 10);
  derate_degradation_manager_stop (
      f->manager); /* nothing but the news is to see that it has ended */
  fixture_advance (f, 20);
  fixture_set_status (f, DATABASE, DOWN);
  fixture_assert_rule (f, "database-limited");
  g_assert_true (g_file_get_contents (path, &before, NULL, NULL));
  g_assert_nonnull (strstr (before, "[hold"));

  derate_degradation_manager_start (f->manager, f->context);
  fixture_advance (f, 30);
  g_assert_true (g_file_get_contents (path, &after, NULL, NULL));
  g_assert_null (strstr (after, "[hold"));
  g_unlink (path);
  g_assert_cmpint (g_rmdir (folder), ==, 0);
}

static void
test_damaged_state (Fixture *f, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *folder = g_dir_make_tmp ("derate-state-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "holds.conf", NULL);
  g_autofree char *aside = g_strconcat (path, ".bad", NULL);
  g_autofree char *id = NULL;
  g_autofree char *kept = NULL;

  g_assert_true (g_file_set_contents (path, "nonsense", -1, NULL));
  g_assert_false (derate_degradation_manager_set_state_dir (f->manager, folder, &error));
  g_assert_nonnull (error);
  fixture_begin (f);
  id = hold (f, DERATE_LEVEL_MINIMAL, DERATE_HOLD_MODE_AT_LEAST, 60);
  fixture_assert_level (f, "minimal");
  g_assert_true (g_file_get_contents (aside, &kept, NULL, NULL));
  g_assert_cmpstr (kept, ==, "nonsense");
  g_unlink (path);
  g_unlink (aside);
  g_assert_cmpint (g_rmdir (folder), ==, 0);
}

static void
set_room (rlim_t room)
{
  struct rlimit limit;

  g_assert_cmpint (getrlimit (RLIMIT_FSIZE, &limit), ==, 0);
  limit.rlim_cur = MIN (room, limit.rlim_max);
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &limit), ==, 0);
}

static guint
count_entries (const char *folder)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  guint n = 0;

  while (g_dir_read_name (dir) != NULL)
    n++;
  return n;
}

/* With no room on the disk a hold is in force all the same; what was stored before is still whole,
 * and once there is room the rest comes after it at the next tick. */
static void
test_no_room (Fixture *f, gconstpointer unused)
{
  g_autofree char *folder = g_dir_make_tmp ("derate-state-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "holds.conf", NULL);
  g_autofree char *first = NULL;
  g_autofree char *second = NULL;
  g_autofree char *before = NULL;
  g_autofree char *meanwhile = NULL;
  g_autofree char *after = NULL;

  signal (SIGXFSZ, SIG_IGN);
  g_assert_true (derate_degradation_manager_set_state_dir (f->manager, folder, NULL));
  fixture_begin (f);
  first = hold (f, DERATE_LEVEL_LIMITED, DERATE_HOLD_MODE_AT_LEAST, 600);
  g_assert_true (g_file_get_contents (path, &before, NULL, NULL));
  set_room (0);
  second = hold (f, DERATE_LEVEL_MINIMAL, DERATE_HOLD_MODE_AT_LEAST, 600);
  fixture_advance (f, 30);
  set_room (RLIM_INFINITY);
  fixture_assert_level (f, "minimal");
  g_assert_true (g_file_get_contents (path, &meanwhile, NULL, NULL));
  g_assert_cmpstr (meanwhile, ==, before);
  g_assert_cmpuint (count_entries (folder), ==, 1);
  fixture_advance (f, 30);
  g_assert_true (g_file_get_contents (path, &after, NULL, NULL));
  g_assert_nonnull (strstr (after, first));
  g_assert_nonnull (strstr (after, second));
  g_unlink (path);
  g_assert_cmpint (g_rmdir (folder), ==, 0);
}

/* Neither is a folder that is not there a reason to refuse a hold, nor to forget it when it is. */
static void
test_no_folder (Fixture *f, gconstpointer unused)
{
  g_autofree char *base = g_dir_make_tmp ("derate-state-XXXXXX", NULL);
  g_autofree char *folder = g_build_filename (base, "state", NULL);
  g_autofree char *path = g_build_filename (folder, "holds.conf", NULL);
  g_autofree char *id = NULL;
  g_autofree char *text = NULL;

  g_assert_true (derate_degradation_manager_set_state_dir (f->manager, folder, NULL));
  fixture_begin (f);
  id = hold (f, DERATE_LEVEL_MINIMAL, DERATE_HOLD_MODE_AT_LEAST, 600);
  fixture_assert_level (f, "minimal");
  g_assert_cmpint (g_mkdir (folder, 0700), ==, 0);
  fixture_advance (f, 30);
  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  g_assert_nonnull (strstr (text, id));
  release (f, id);
  g_unlink (path);
  g_assert_cmpint (g_rmdir (folder), ==, 0);
  g_assert_cmpint (g_rmdir (base), ==, 0);
}

#define ADD(name, func) \
  g_test_add ("/degradation/holds/" name, Fixture, NULL, fixture_set_up, func, fixture_tear_down)

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  /* A level that worsens is a warning in the log. */
  g_log_set_always_fatal (G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL);
  ADD ("floor-expires", test_floor_expires);
  ADD ("exact-expires-while-worse", test_exact_expires_while_worse);
  ADD ("exact-applies-at-once", test_exact_applies_at_once);
  ADD ("floor-outranks-exact", test_floor_outranks_exact);
  ADD ("floor-under-worse", test_floor_under_worse);
  ADD ("not-an-incident", test_not_an_incident);
  ADD ("renew", test_renew);
  ADD ("renew-shortens", test_renew_shortens);
  ADD ("renew-and-restart", test_renew_and_restart);
  ADD ("timer-follows", test_timer_follows);
  ADD ("vanished", test_vanished);
  ADD ("release-by-others", test_release_by_others);
  ADD ("masking", test_masking);
  ADD ("masking-later", test_masking_later);
  ADD ("refused", test_refused);
  ADD ("details", test_details);
  ADD ("release-all", test_release_all);
  ADD ("restart", test_restart);
  ADD ("news-do-not-store", test_news_do_not_store);
  ADD ("damaged-state", test_damaged_state);
  ADD ("no-room", test_no_room);
  ADD ("no-folder", test_no_folder);
  return g_test_run ();
}
