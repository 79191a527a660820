/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <derate.h>

#include <string.h>

#include "derate-hold-set-private.h"

#define NOW (100 * G_TIME_SPAN_SECOND)
#define REAL_NOW (G_GINT64_CONSTANT (1763720000) * G_TIME_SPAN_SECOND)

typedef struct
{
  DerateHoldSet set;
} Fixture;

static void
set_up (Fixture *f, gconstpointer unused)
{
  derate_hold_set_init (&f->set);
}

static void
tear_down (Fixture *f, gconstpointer unused)
{
  derate_hold_set_clear (&f->set);
}

static DerateHoldRequest
make_request (DerateLevel level, DerateHoldMode mode)
{
  return (DerateHoldRequest){
    .level = level,
    .mode = mode,
    .who = "ana",
    .reason = "maintenance",
    .ttl = 60 * G_TIME_SPAN_SECOND,
    .owner = ":1.1",
    .uid = 1000,
  };
}

static const DerateHold *
add (Fixture *f, const DerateHoldRequest *request)
{
  g_autoptr (GError) error = NULL;
  DerateHold *hold = derate_hold_new (request, NOW, REAL_NOW, &error);
  const DerateHold *added;

  g_assert_no_error (error);
  added = derate_hold_set_add (&f->set, hold, &error);
  g_assert_no_error (error);
  return added;
}

static char *
add_simple (Fixture *f, DerateLevel level, DerateHoldMode mode)
{
  DerateHoldRequest request = make_request (level, mode);

  return g_strdup (add (f, &request)->id);
}

static gboolean
has_id (const DerateHold *hold, gconstpointer id)
{
  return g_str_equal (hold->id, id);
}

static void
release (Fixture *f, const char *id)
{
  g_autoptr (GPtrArray) taken = derate_hold_set_take (&f->set, has_id, id);

  g_assert_cmpuint (taken->len, ==, 1);
}

/* Three floors, taken and released in every order: the worst there is counts at each step. */
static void
test_floors_in_every_order (Fixture *f, gconstpointer unused)
{
  static const DerateLevel levels[3] = { DERATE_LEVEL_DEGRADED, DERATE_LEVEL_MINIMAL,
                                         DERATE_LEVEL_LIMITED };
  static const guint orders[6][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
                                      { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };

  for (guint take = 0; take < 6; take++)
    for (guint give = 0; give < 6; give++)
      {
        char *ids[3] = { NULL };
        gboolean held[3] = { FALSE };

        for (guint step = 0; step < 6; step++)
          {
            guint which = step < 3 ? orders[take][step] : orders[give][step - 3];
            DerateLevel worst = DERATE_LEVEL_UNKNOWN;

            if (step < 3)
              ids[which] = add_simple (f, levels[which], DERATE_HOLD_MODE_AT_LEAST);
            else
              release (f, ids[which]);
            held[which] = step < 3;
            for (guint i = 0; i < 3; i++)
              if (held[i])
                worst = MAX (worst, levels[i]);
            g_assert_cmpint (derate_hold_set_get_effect (&f->set).floor, ==, worst);
          }
        for (guint i = 0; i < 3; i++)
          g_free (ids[i]);
      }
}

/* Exact holds: the latest counts; releasing it restores the one before, releasing another nothing.
 */
static void
test_exacts_in_every_order (Fixture *f, gconstpointer unused)
{
  static const DerateLevel levels[3] = { DERATE_LEVEL_DEGRADED, DERATE_LEVEL_MINIMAL,
                                         DERATE_LEVEL_OPTIMAL };
  static const guint orders[6][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
                                      { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };

  for (guint give = 0; give < 6; give++)
    {
      char *ids[3] = { NULL };
      gboolean held[3] = { TRUE, TRUE, TRUE };

      for (guint i = 0; i < 3; i++)
        ids[i] = add_simple (f, levels[i], DERATE_HOLD_MODE_EXACT);
      g_assert_cmpint (derate_hold_set_get_effect (&f->set).exact, ==, levels[2]);
      for (guint step = 0; step < 3; step++)
        {
          DerateLevel latest = DERATE_LEVEL_UNKNOWN;

          release (f, ids[orders[give][step]]);
          held[orders[give][step]] = FALSE;
          for (guint i = 0; i < 3; i++)
            if (held[i])
              latest = levels[i];
          g_assert_cmpint (derate_hold_set_get_effect (&f->set).exact, ==, latest);
        }
      for (guint i = 0; i < 3; i++)
        g_free (ids[i]);
    }
}

/* set_level () is an exact like another: later ones count, earlier ones do not. */
static void
test_local (Fixture *f, gconstpointer unused)
{
  g_autofree char *first = add_simple (f, DERATE_LEVEL_MINIMAL, DERATE_HOLD_MODE_EXACT);
  g_autofree char *second = NULL;
  DerateHoldEffect effect;

  derate_hold_set_set_local (&f->set, DERATE_LEVEL_DEGRADED);
  effect = derate_hold_set_get_effect (&f->set);
  g_assert_cmpint (effect.exact, ==, DERATE_LEVEL_DEGRADED);
  g_assert_null (effect.exact_hold);

  second = add_simple (f, DERATE_LEVEL_LIMITED, DERATE_HOLD_MODE_EXACT);
  effect = derate_hold_set_get_effect (&f->set);
  g_assert_cmpint (effect.exact, ==, DERATE_LEVEL_LIMITED);
  g_assert_cmpstr (effect.exact_hold->id, ==, second);

  release (f, first);
  g_assert_cmpint (derate_hold_set_get_effect (&f->set).exact, ==, DERATE_LEVEL_LIMITED);
  release (f, second);
  g_assert_cmpint (derate_hold_set_get_effect (&f->set).exact, ==, DERATE_LEVEL_DEGRADED);
  derate_hold_set_set_local (&f->set, DERATE_LEVEL_UNKNOWN);
  g_assert_cmpint (derate_hold_set_get_effect (&f->set).exact, ==, DERATE_LEVEL_UNKNOWN);
}

typedef struct
{
  const char *name;
  gboolean bound;
  GTimeSpan ttl;
  gboolean good;
} TtlCase;

static const TtlCase ttls[] = {
  { "unbound-0", FALSE, 0, FALSE },
  { "unbound-below", FALSE, G_TIME_SPAN_SECOND - 1, FALSE },
  { "unbound-1s", FALSE, G_TIME_SPAN_SECOND, TRUE },
  { "unbound-24h", FALSE, 24 * G_TIME_SPAN_HOUR, TRUE },
  { "unbound-above", FALSE, 24 * G_TIME_SPAN_HOUR + 1, FALSE },
  { "unbound-25h", FALSE, 25 * G_TIME_SPAN_HOUR, FALSE },
  { "unbound-negative", FALSE, -G_TIME_SPAN_SECOND, FALSE },
  { "unbound-max", FALSE, G_MAXINT64, FALSE },
  { "bound-0", TRUE, 0, TRUE },
  { "bound-1s", TRUE, G_TIME_SPAN_SECOND, TRUE },
  { "bound-negative", TRUE, -1, FALSE },
  { "bound-25h", TRUE, 25 * G_TIME_SPAN_HOUR, FALSE },
};

static void
test_ttl (gconstpointer data)
{
  const TtlCase *c = data;
  DerateHoldRequest request = make_request (DERATE_LEVEL_MINIMAL, DERATE_HOLD_MODE_AT_LEAST);
  g_autoptr (GError) error = NULL;
  g_autoptr (DerateHold) hold = NULL;

  request.bound = c->bound;
  request.ttl = c->ttl;
  hold = derate_hold_new (&request, NOW, REAL_NOW, &error);
  if (!c->good)
    {
      g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_TTL);
      return;
    }
  g_assert_no_error (error);
  g_assert_cmpint (hold->deadline, ==, c->ttl == 0 ? DERATE_CLOCK_NEVER : NOW + c->ttl);
}

static void
assert_refused (DerateHoldRequest request, DerateError code)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (derate_hold_new (&request, NOW, REAL_NOW, &error));
  g_assert_error (error, DERATE_ERROR, (gint)code);
}

static void
test_texts (void)
{
  DerateHoldRequest good = make_request (DERATE_LEVEL_MINIMAL, DERATE_HOLD_MODE_AT_LEAST);
  DerateHoldRequest request = good;
  g_autofree char *longest = g_strnfill (256, 'x');
  g_autofree char *too_long = g_strnfill (257, 'x');
  g_autofree char *dots = g_strnfill (129, '.');
  g_auto (GStrv) wide = g_strsplit (dots, ".", -1);
  g_autofree char *too_wide = g_strjoinv ("é", wide); /* 129 characters, 258 bytes */
  const char *const refused[] = { "", " \t", NULL, too_long, too_wide, "caf\xe9", "\xed\xa0\x80" };
  g_autoptr (DerateHold) hold = NULL;

  request.reason = request.who = longest;
  hold = derate_hold_new (&request, NOW, REAL_NOW, NULL);
  g_assert_nonnull (hold);
  for (guint i = 0; i < G_N_ELEMENTS (refused); i++)
    {
      request = good;
      request.reason = refused[i];
      assert_refused (request, DERATE_ERROR_INVALID_REASON);
      request = good;
      request.who = refused[i];
      assert_refused (request, DERATE_ERROR_INVALID_REASON);
    }
  request = good;
  request.level = 15;
  assert_refused (request, DERATE_ERROR_UNKNOWN_LEVEL);
  request.level = DERATE_LEVEL_UNKNOWN;
  assert_refused (request, DERATE_ERROR_UNKNOWN_LEVEL);
  request = good;
  request.mode = 7;
  assert_refused (request, DERATE_ERROR_UNKNOWN_MODE);
}

static void
test_modes (void)
{
  DerateHoldMode mode;
  g_autoptr (GError) error = NULL;

  g_assert_true (derate_hold_mode_from_nick ("exact", &mode, NULL));
  g_assert_cmpint (mode, ==, DERATE_HOLD_MODE_EXACT);
  g_assert_true (derate_hold_mode_from_nick ("at-least", &mode, NULL));
  g_assert_cmpstr (derate_hold_mode_get_nick (mode), ==, "at-least");
  g_assert_false (derate_hold_mode_from_nick ("pin", &mode, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_UNKNOWN_MODE);
}

static void
assert_full (Fixture *f, const DerateHoldRequest *request)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (
      derate_hold_set_add (&f->set, derate_hold_new (request, NOW, REAL_NOW, NULL), &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_LIMIT_EXCEEDED);
}

static void
test_limits (Fixture *f, gconstpointer unused)
{
  DerateHoldRequest request = make_request (DERATE_LEVEL_DEGRADED, DERATE_HOLD_MODE_AT_LEAST);

  for (guint caller = 0; caller < 10; caller++)
    {
      g_autofree char *owner = g_strdup_printf (":1.%u", caller);

      request.owner = owner;
      request.uid = 1000 + caller;
      for (guint i = 0; i < 10; i++)
        add (f, &request);
      assert_full (f, &request);
    }
  request.owner = ":1.99";
  request.uid = 99;
  assert_full (f, &request);
  g_assert_cmpuint (f->set.holds->len, ==, DERATE_HOLD_SET_MAX);
}

/* A command connects anew each time: unbound holds of one user are one caller's. */
static void
test_limit_of_one_user (Fixture *f, gconstpointer unused)
{
  DerateHoldRequest request = make_request (DERATE_LEVEL_DEGRADED, DERATE_HOLD_MODE_AT_LEAST);

  for (guint i = 0; i < 10; i++)
    {
      g_autofree char *owner = g_strdup_printf (":1.%u", i);

      request.owner = owner;
      add (f, &request);
    }
  request.owner = ":1.50";
  assert_full (f, &request);
}

static void
assert_find (Fixture *f,
             const char *id,
             const char *owner,
             guint uid,
             gboolean privileged,
             int code)
{
  DerateHoldCaller caller = { owner, uid, privileged };
  g_autoptr (GError) error = NULL;
  DerateHold *hold = derate_hold_set_find (&f->set, id, &caller, &error);

  if (code < 0)
    g_assert_nonnull (hold);
  else
    g_assert_error (error, DERATE_ERROR, code);
}

static void
test_owners (Fixture *f, gconstpointer unused)
{
  DerateHoldRequest request = make_request (DERATE_LEVEL_DEGRADED, DERATE_HOLD_MODE_AT_LEAST);
  g_autofree char *unbound = g_strdup (add (f, &request)->id);
  g_autofree char *bound = NULL;
  g_autofree char *local = NULL;

  request.bound = TRUE;
  bound = g_strdup (add (f, &request)->id);
  request.bound = FALSE;
  request.owner = NULL;
  local = g_strdup (add (f, &request)->id);

  assert_find (f, bound, ":1.1", 1000, FALSE, -1);
  assert_find (f, bound, ":1.2", 1000, FALSE, DERATE_ERROR_NOT_OWNER);
  assert_find (f, bound, ":1.2", 0, TRUE, -1);
  assert_find (f, unbound, ":1.2", 1000, FALSE, -1);
  assert_find (f, unbound, ":1.2", 1001, FALSE, DERATE_ERROR_NOT_OWNER);
  assert_find (f, unbound, ":1.1", 1001, FALSE, DERATE_ERROR_NOT_OWNER);
  assert_find (f, local, ":1.1", 1000, FALSE, DERATE_ERROR_NOT_OWNER);
  assert_find (f, local, NULL, 1000, FALSE, -1);
  assert_find (f, "ffffffff", ":1.1", 1000, TRUE, DERATE_ERROR_NO_SUCH_HOLD);
  assert_find (f, NULL, ":1.1", 1000, TRUE, DERATE_ERROR_NO_SUCH_HOLD);
  g_assert_cmpstr (bound, !=, unbound);
}

static void
test_expired (Fixture *f, gconstpointer unused)
{
  DerateHoldRequest request = make_request (DERATE_LEVEL_DEGRADED, DERATE_HOLD_MODE_AT_LEAST);
  g_autoptr (GPtrArray) none = NULL;
  g_autoptr (GPtrArray) one = NULL;

  add (f, &request);
  request.ttl *= 2;
  add (f, &request);
  request.bound = TRUE;
  request.ttl = 0;
  add (f, &request);
  g_assert_cmpint (derate_hold_set_get_deadline (&f->set), ==, NOW + 60 * G_TIME_SPAN_SECOND);
  none = derate_hold_set_take_expired (&f->set, NOW + 60 * G_TIME_SPAN_SECOND - 1);
  g_assert_cmpuint (none->len, ==, 0);
  one = derate_hold_set_take_expired (&f->set, NOW + 60 * G_TIME_SPAN_SECOND);
  g_assert_cmpuint (one->len, ==, 1);
  g_assert_cmpint (derate_hold_set_get_deadline (&f->set), ==, NOW + 120 * G_TIME_SPAN_SECOND);
}

static void
test_vanished (Fixture *f, gconstpointer unused)
{
  DerateHoldRequest request = make_request (DERATE_LEVEL_DEGRADED, DERATE_HOLD_MODE_AT_LEAST);
  g_autoptr (GPtrArray) taken = NULL;

  add (f, &request);
  request.bound = TRUE;
  add (f, &request);
  request.owner = ":1.2";
  add (f, &request);
  taken = derate_hold_set_take_bound (&f->set, ":1.1");
  g_assert_cmpuint (taken->len, ==, 1);
  g_assert_cmpuint (f->set.holds->len, ==, 2);
}

static void
test_variant (Fixture *f, gconstpointer unused)
{
  DerateHoldRequest request = make_request (DERATE_LEVEL_MINIMAL, DERATE_HOLD_MODE_EXACT);
  const DerateHold *hold = add (f, &request);
  g_autoptr (GVariant) full = NULL;
  g_autoptr (GVariant) bare = NULL;
  g_autofree char *json = NULL;
  g_autofree char *bare_json = NULL;
  g_autofree char *expected = NULL;
  g_autofree char *bare_expected = NULL;

  full = g_variant_ref_sink (
      derate_hold_set_to_variant (&f->set, NOW + 42800 * G_TIME_SPAN_MILLISECOND, TRUE));
  bare = g_variant_ref_sink (derate_hold_set_to_variant (&f->set, NOW, FALSE));
  json = derate_json_from_variant (full);
  bare_json = derate_json_from_variant (bare);
  expected =
      g_strdup_printf ("[{\"id\":\"%s\",\"level\":\"minimal\",\"mode\":\"exact\",\"who\":\"ana\","
                       "\"reason\":\"maintenance\",\"uid\":1000,\"since\":1763720000,\"remaining_"
                       "seconds\":17.2,"
                       "\"bound\":false}]",
                       hold->id);
  bare_expected = g_strdup_printf (
      "[{\"id\":\"%s\",\"level\":\"minimal\",\"mode\":\"exact\",\"who\":null,\"reason\":null,"
      "\"uid\":null,\"since\":1763720000,\"remaining_seconds\":60,\"bound\":false}]",
      hold->id);
  g_assert_cmpstr (json, ==, expected);
  g_assert_cmpstr (bare_json, ==, bare_expected);
}

#define ADD(name, func) \
  g_test_add ("/degradation/hold-set/" name, Fixture, NULL, set_up, func, tear_down)

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  ADD ("floors-in-every-order", test_floors_in_every_order);
  ADD ("exacts-in-every-order", test_exacts_in_every_order);
  ADD ("local", test_local);
  ADD ("limits", test_limits);
  ADD ("limit-of-one-user", test_limit_of_one_user);
  ADD ("owners", test_owners);
  ADD ("expired", test_expired);
  ADD ("vanished", test_vanished);
  ADD ("variant", test_variant);
  g_test_add_func ("/degradation/hold/texts", test_texts);
  g_test_add_func ("/degradation/hold/modes", test_modes);
  for (guint i = 0; i < G_N_ELEMENTS (ttls); i++)
    {
      g_autofree char *name = g_strconcat ("/degradation/hold/ttl/", ttls[i].name, NULL);

      g_test_add_data_func (name, &ttls[i], test_ttl);
    }
  return g_test_run ();
}
