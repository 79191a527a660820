/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager-fixture.h"

#include "derate-hold-set-private.h"

/* Holds taken and given back in every order there is. What is expected is the rule itself: the
 * worst of every floor and of the latest exact, or where there is none of what the services allow.
 */

#define MOST 5
#define DAY (24 * G_TIME_SPAN_HOUR)

static const DerateLevel levels[MOST] = {
  DERATE_LEVEL_LIMITED,  DERATE_LEVEL_OPTIMAL,   DERATE_LEVEL_MINIMAL,
  DERATE_LEVEL_DEGRADED, DERATE_LEVEL_EMERGENCY,
};

/* Which of n holds are there, oldest first, and which were there already. */
typedef struct
{
  guint n;
  guint modes; /* a bit each: exact */
  guint held[MOST];
  guint n_held;
  guint done; /* bits */
} State;

static gboolean
is_held (const State *state, guint which)
{
  for (guint i = 0; i < state->n_held; i++)
    if (state->held[i] == which)
      return TRUE;
  return FALSE;
}

static DerateHoldMode
mode_of (const State *state, guint which)
{
  return state->modes & 1u << which ? DERATE_HOLD_MODE_EXACT : DERATE_HOLD_MODE_AT_LEAST;
}

static void
take (State *state, guint which)
{
  state->held[state->n_held++] = which;
}

static void
give_back (State *state, guint which)
{
  guint kept = 0;

  for (guint i = 0; i < state->n_held; i++)
    if (state->held[i] != which)
      state->held[kept++] = state->held[i];
  state->n_held = kept;
  state->done |= 1u << which;
}

static DerateLevel
expect (const State *state, DerateLevel computed)
{
  DerateLevel exact = computed;
  DerateLevel floor = DERATE_LEVEL_UNKNOWN;

  for (guint i = 0; i < state->n_held; i++)
    if (mode_of (state, state->held[i]) == DERATE_HOLD_MODE_EXACT)
      exact = levels[state->held[i]];
    else
      floor = MAX (floor, levels[state->held[i]]);
  return MAX (exact, floor);
}

/* The set alone: every order of three, and of four with modes in turn; of four and five every
 * step from every state that an order can lead to. */

typedef struct
{
  DerateHoldSet set;
  char *ids[MOST];
  guint64 n_orders;
  guint64 n_steps;
  gboolean states_only; /* each state once, however one gets there */
  GHashTable *seen;
} Walk;

static gboolean
has_id (const DerateHold *hold, gconstpointer id)
{
  return g_str_equal (hold->id, id);
}

static void
add_to_set (Walk *walk, const State *state, guint which)
{
  g_autofree char *owner = g_strdup_printf (":1.%u", which);
  DerateHoldRequest request = {
    .level = levels[which],
    .mode = mode_of (state, which),
    .who = "ana",
    .reason = "test",
    .ttl = DAY,
    .owner = owner,
    .may_mask = TRUE,
  };

  g_free (walk->ids[which]);
  walk->ids[which] =
      g_strdup (derate_hold_set_add (&walk->set, derate_hold_new (&request, 0, 0, NULL), NULL)->id);
}

/* The set as @state has it, made anew. */
static void
rebuild (Walk *walk, const State *state)
{
  derate_hold_set_clear (&walk->set);
  derate_hold_set_init (&walk->set);
  for (guint i = 0; i < state->n_held; i++)
    add_to_set (walk, state, state->held[i]);
}

static void
assert_effect (Walk *walk, const State *state)
{
  DerateHoldEffect effect = derate_hold_set_get_effect (&walk->set);
  DerateLevel exact = effect.exact != DERATE_LEVEL_UNKNOWN ? effect.exact : DERATE_LEVEL_OPTIMAL;

  walk->n_steps++;
  g_assert_cmpint (MAX (exact, effect.floor), ==, expect (state, DERATE_LEVEL_OPTIMAL));
}

static gboolean
is_new (Walk *walk, const State *state)
{
  guint64 key = state->done;

  if (!walk->states_only)
    return TRUE;
  for (guint i = 0; i < state->n_held; i++)
    key = key << 3 | (state->held[i] + 1);
  key = key << 8 | state->modes;
  return g_hash_table_add (walk->seen, g_memdup2 (&key, sizeof key));
}

static void
walk_on (Walk *walk, const State *state)
{
  gboolean is_last = TRUE;

  for (guint which = 0; which < state->n; which++)
    {
      State next = *state;

      if (state->done & 1u << which)
        continue;
      is_last = FALSE;
      rebuild (walk, state);
      if (is_held (state, which))
        {
          g_autoptr (GPtrArray) ended = NULL;

          ended = derate_hold_set_take (&walk->set, has_id, walk->ids[which]);
          g_assert_cmpuint (ended->len, ==, 1);
          give_back (&next, which);
        }
      else
        {
          add_to_set (walk, state, which);
          take (&next, which);
        }
      assert_effect (walk, &next);
      if (is_new (walk, &next))
        walk_on (walk, &next);
    }
  walk->n_orders += is_last;
}

/* All modes of three, and of four state by state; of more a part, with both among them. */
static gboolean
is_wanted (guint n, guint modes, gboolean states_only)
{
  if (n == 3 || (n == 4 && states_only))
    return TRUE;
  return states_only ? modes % 4 == 2 : modes == 5 || modes == 10;
}

static void
test_set (guint n, gboolean states_only)
{
  Walk walk = { .states_only = states_only };

  derate_hold_set_init (&walk.set);
  walk.seen = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);
  for (guint modes = 0; modes < 1u << n; modes++)
    {
      State state = { .n = n, .modes = modes };

      if (is_wanted (n, modes, states_only))
        walk_on (&walk, &state);
    }
  g_test_message ("%u holds: %" G_GUINT64_FORMAT " %s, %" G_GUINT64_FORMAT " steps", n,
                  walk.states_only ? g_hash_table_size (walk.seen) : walk.n_orders,
                  walk.states_only ? "states" : "orders", walk.n_steps);
  /* (2n)! / 2^n orders of taking and giving back */
  if (!states_only)
    g_assert_cmpuint (walk.n_orders, ==, n == 3 ? 90 * 8 : 2520 * 2);
  derate_hold_set_clear (&walk.set);
  g_hash_table_unref (walk.seen);
  for (guint i = 0; i < MOST; i++)
    g_free (walk.ids[i]);
}

static void
test_orders (gconstpointer data)
{
  test_set (GPOINTER_TO_UINT (data), FALSE);
}

static void
test_states (gconstpointer data)
{
  test_set (GPOINTER_TO_UINT (data), TRUE);
}

/* The manager: every order of three, whatever way a hold ends. */

typedef struct
{
  Fixture *f;
  DerateLevel computed;
  char *ids[MOST];
  guint n_orders;
} Story;

static void
take_hold (Story *story, const State *state, guint which)
{
  g_autofree char *owner = g_strdup_printf (":1.%u", which);
  g_autoptr (GError) error = NULL;
  DerateHoldRequest request = {
    .level = levels[which],
    .mode = mode_of (state, which),
    .who = "ana",
    .reason = "test",
    .ttl = which == 2 ? 0 : DAY,
    .owner = owner,
    .uid = 1000,
    .bound = which == 2,
    .may_mask = TRUE,
  };

  g_free (story->ids[which]);
  story->ids[which] = derate_degradation_manager_take_hold (story->f->manager, &request, &error);
  g_assert_no_error (error);
}

/* The first by releasing it, the second by its time, the third as its holder vanishes. */
static void
end_hold (Story *story, guint which)
{
  DerateDegradationManager *manager = story->f->manager;

  if (which == 0)
    g_assert_true (derate_degradation_manager_release (manager, story->ids[which], NULL));
  else if (which == 1)
    {
      g_assert_true (
          derate_degradation_manager_renew (manager, story->ids[which], G_TIME_SPAN_SECOND, NULL));
      fixture_advance (story->f, 1);
    }
  else
    derate_degradation_manager_owner_vanished (manager, ":1.2");
}

static void
assert_story (Story *story, const State *state, DerateLevel before)
{
  DerateLevel wanted = expect (state, story->computed);
  DerateLevel now = derate_degradation_manager_get_level (story->f->manager);

  if (wanted >= before)
    g_assert_cmpint (now, ==, wanted); /* worse: at once */
  else
    g_assert_cmpint (now, >=, wanted);
  fixture_advance (story->f, 30);
  g_assert_cmpint (derate_degradation_manager_get_level (story->f->manager), ==, wanted);
  g_assert_cmpint (derate_degradation_manager_get_computed_level (story->f->manager), ==,
                   story->computed);
}

static void
tell_order (Story *story, const guint *order, guint modes)
{
  State state = { .n = 3, .modes = modes };

  for (guint i = 0; i < 6; i++)
    {
      DerateLevel before = derate_degradation_manager_get_level (story->f->manager);
      guint which = order[i];

      if (is_held (&state, which))
        {
          end_hold (story, which);
          give_back (&state, which);
        }
      else
        {
          take_hold (story, &state, which);
          take (&state, which);
        }
      assert_story (story, &state, before);
    }
  story->n_orders++;
}

/* Each of the three stands in the order twice. */
static void
tell_orders (Story *story, guint *order, guint place, guint modes)
{
  guint count[3] = { 0 };

  if (place == 6)
    {
      tell_order (story, order, modes);
      return;
    }
  for (guint i = 0; i < place; i++)
    count[order[i]]++;
  for (guint which = 0; which < 3; which++)
    if (count[which] < 2)
      {
        order[place] = which;
        tell_orders (story, order, place + 1, modes);
      }
}

static void
test_manager (Fixture *f, gconstpointer data)
{
  Story story = { .f = f, .computed = DERATE_LEVEL_OPTIMAL };
  guint order[6];

  fixture_begin (f);
  if (data != NULL)
    {
      fixture_set_status (f, REDIS, DERATE_HEALTH_STATUS_DOWN);
      story.computed = DERATE_LEVEL_DEGRADED;
    }
  for (guint modes = 0; modes < 8; modes++)
    tell_orders (&story, order, 0, modes);
  g_assert_cmpuint (story.n_orders, ==, 90 * 8);
  g_assert_false (derate_degradation_manager_get_flapping (f->manager));
  for (guint i = 0; i < MOST; i++)
    g_free (story.ids[i]);
}

static GLogWriterOutput
drop_log (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer data)
{
  if (level & (G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_ERROR))
    return g_log_writer_default (level, fields, n_fields, data);
  return G_LOG_WRITER_HANDLED;
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_log_set_writer_func (drop_log, NULL, NULL);
  g_test_add_data_func ("/degradation/hold-orders/set/3", GUINT_TO_POINTER (3), test_orders);
  g_test_add_data_func ("/degradation/hold-orders/set/4", GUINT_TO_POINTER (4), test_orders);
  g_test_add_data_func ("/degradation/hold-orders/states/4", GUINT_TO_POINTER (4), test_states);
  g_test_add_data_func ("/degradation/hold-orders/states/5", GUINT_TO_POINTER (5), test_states);
  g_test_add ("/degradation/hold-orders/manager/all-well", Fixture, NULL, fixture_set_up,
              test_manager, fixture_tear_down);
  g_test_add ("/degradation/hold-orders/manager/degraded", Fixture, "", fixture_set_up,
              test_manager, fixture_tear_down);
  return g_test_run ();
}
