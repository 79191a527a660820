/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "breaker-model.h"
#include "breaker-script.h"

#include <math.h>

#include "derate-breaker-private.h"

/* A breaker and the model of one are given the same random things to do, and must look the same
 * after each. What went before is told when they do not. To do the same again, give --seed what
 * “random seed” said. */

#define N_STEPS (breaker_test_is_slow () ? 100000 : 1000000)
#define STEPS_PER_BREAKER 400
#define MAX_PERMITS 12

typedef struct
{
  Model *model;
  DerateClock *clock;
  DerateBreaker *breaker;
  DeratePermit permits[MAX_PERMITS];
  gboolean held[MAX_PERMITS];
  guint n_held;
  guint listener;
  guint heard; /* of the model's events */
  gboolean wrong;
  GString *log;
} Pair;

static gint64
get_now (Pair *pair)
{
  return derate_clock_get_time (pair->clock);
}

G_GNUC_PRINTF (2, 3)
static void
note (Pair *pair, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  g_string_append_vprintf (pair->log, format, args);
  va_end (args);
}

G_GNUC_PRINTF (2, 3)
static void
say_wrong (Pair *pair, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  if (!pair->wrong)
    g_test_message ("%s after: %s", text, pair->log->str);
  pair->wrong = TRUE;
}

static void
expect_equal (Pair *pair, const char *what, guint64 wanted, guint64 found)
{
  if (wanted != found)
    say_wrong (pair, "%s: %" G_GUINT64_FORMAT " instead of %" G_GUINT64_FORMAT, what, found,
               wanted);
}

static void
expect_rate (Pair *pair, const char *what, double wanted, double found)
{
  if (isnan (wanted) != isnan (found) || (!isnan (wanted) && fabs (wanted - found) > 1e-12))
    say_wrong (pair, "%s: %g instead of %g", what, found, wanted);
}

/* Each transition that the model made, in its order, and no other. */
static void
hear (DerateBreaker *breaker,
      DerateBreakerState old_state,
      DerateBreakerState new_state,
      const DerateBreakerCounters *counters,
      gpointer user_data)
{
  Pair *pair = user_data;
  const ModelEvent *event;

  if (!derate_breaker_has_edge (old_state, new_state))
    say_wrong (pair, "an illegal edge");
  if (pair->heard >= pair->model->events->len)
    {
      say_wrong (pair, "an event of %s to %s that is none",
                 derate_breaker_state_to_nick (old_state),
                 derate_breaker_state_to_nick (new_state));
      return;
    }
  event = &g_array_index (pair->model->events, ModelEvent, pair->heard++);
  expect_equal (pair, "event's old state", event->old_state, old_state);
  expect_equal (pair, "event's new state", event->new_state, new_state);
  expect_equal (pair, "event's calls", event->counts.calls, counters->calls);
  expect_equal (pair, "event's refusals", event->counts.blocked, counters->blocked);
  expect_equal (pair, "event's successes", event->counts.successes, counters->successes);
  expect_equal (pair, "event's failures", event->counts.failures, counters->failures);
  expect_equal (pair, "event's slow calls", event->counts.slow, counters->slow_calls);
  expect_equal (pair, "event's streak", event->streak, counters->failure_count);
}

static void
compare_counts (Pair *pair, const DerateBreakerStats *stats)
{
  const Model *model = pair->model;
  const ModelCounts *zero = &model->at_reset;

  expect_equal (pair, "calls", model->all.calls - zero->calls, stats->calls);
  expect_equal (pair, "blocked", model->all.blocked - zero->blocked, stats->calls_blocked);
  expect_equal (pair, "ok", model->all.successes - zero->successes, stats->successful_requests);
  expect_equal (pair, "failed", model->all.failures - zero->failures, stats->failed_requests);
  expect_equal (pair, "opens", model->opened, stats->circuit_open_count);
  expect_equal (pair, "probes", model->half_opened, stats->circuit_half_open_count);
  expect_equal (pair, "streak", model->streak, stats->failure_count);
  expect_equal (pair, "row", model->bad_row, stats->consecutive_failures);
  expect_equal (pair, "good", model->good_row, stats->consecutive_successes);
  expect_equal (pair, "retry", (guint64)model_get_retry_after (model, get_now (pair)),
                (guint64)stats->retry_after);
}

static void
compare_totals (Pair *pair)
{
  const ModelCounts *all = &pair->model->all;
  DerateBreakerTotals totals;

  derate_breaker_get_totals (pair->breaker, &totals);
  expect_equal (pair, "requests in all", all->calls + all->blocked, totals.requests);
  expect_equal (pair, "neutral in all", all->neutrals, totals.neutral);
  expect_equal (pair, "slow in all", all->slow, totals.slow_success + totals.slow_failure);
  expect_equal (pair, "in flight", model_count_in_flight (pair->model),
                derate_breaker_get_in_flight (pair->breaker));
}

static void
compare (Pair *pair)
{
  g_autoptr (DerateBreakerStats) stats = derate_breaker_dup_stats (pair->breaker);
  double failure_rate;
  double slow_rate;
  guint n;

  expect_equal (pair, "state", pair->model->state, stats->state);
  expect_equal (pair, "mode", pair->model->mode, stats->mode);
  expect_equal (pair, "state by word", pair->model->state,
                derate_breaker_get_state (pair->breaker));
  expect_equal (pair, "events", pair->model->events->len, pair->heard);
  compare_counts (pair, stats);
  compare_totals (pair);
  model_get_rates (pair->model, get_now (pair), &failure_rate, &slow_rate);
  expect_rate (pair, "failure rate", failure_rate, stats->failure_rate);
  expect_rate (pair, "slow rate", slow_rate, stats->slow_call_rate);
  derate_breaker_get_window (pair->breaker, G_TIME_SPAN_DAY, NULL, &n);
  expect_equal (pair, "window", pair->model->window->len, n);
}

/* A permit was given: never more than allowed are out. Fewer may be allowed than were before. */
static void
expect_few_out (Pair *pair)
{
  const Model *model = pair->model;
  guint taken = model_count_out (model);

  if (model->config.by_rate)
    taken += model->good_probes + model->bad_probes;
  if (model->state == DERATE_BREAKER_STATE_HALF_OPEN && taken > model->config.max_calls)
    say_wrong (pair, "%u permits out or answered where %u are allowed", taken,
               model->config.max_calls);
}

static guint
draw (guint n)
{
  return (guint)g_test_rand_int_range (0, (gint32)n);
}

static const GTimeSpan spans[] = { 0, 1, 99999, 100000, 500000, 999999, 1000000, 1000001, 3000000 };

static const ModelRate rates[] = { { 1, 1 }, { 1, 2 }, { 1, 4 }, { 3, 4 }, { 1, 10 } };

static void
draw_config (ModelConfig *config)
{
  config->failure_threshold = draw (6);
  config->window_size = 1 + draw (12);
  config->minimum_calls =
      config->window == DERATE_BREAKER_WINDOW_COUNT ? 1 + draw (config->window_size) : 1 + draw (8);
  config->failure_rate = rates[draw (G_N_ELEMENTS (rates))];
  config->slow_after =
      config->window != DERATE_BREAKER_WINDOW_NONE && draw (3) == 0 ? 100000 * (1 + draw (5)) : 0;
  config->slow_rate =
      config->slow_after > 0 ? rates[draw (G_N_ELEMENTS (rates))] : (ModelRate){ 1, 1 };
  config->open_duration = spans[draw (G_N_ELEMENTS (spans))];
  config->multiplier = 1 + draw (3);
  config->open_max = config->open_duration * (1 + draw (5)) + 1;
  config->by_rate = draw (2) == 0;
  config->max_calls = 1 + draw (4);
  config->success_threshold = 1 + draw (4);
  config->lease = 1 + spans[draw (G_N_ELEMENTS (spans))];
}

static DerateBreakerConfig *
make_config (const ModelConfig *from)
{
  DerateBreakerConfig *config = derate_breaker_config_new ();

  derate_breaker_config_set_failure_threshold (config, from->failure_threshold);
  derate_breaker_config_set_window (config, from->window);
  if (from->window == DERATE_BREAKER_WINDOW_COUNT)
    derate_breaker_config_set_window_size (config, from->window_size);
  else if (from->window == DERATE_BREAKER_WINDOW_TIME)
    derate_breaker_config_set_window_duration (config, from->window_span);
  derate_breaker_config_set_minimum_calls (config, from->minimum_calls);
  derate_breaker_config_set_failure_rate_threshold (config, (double)from->failure_rate.failures /
                                                                from->failure_rate.calls);
  derate_breaker_config_set_slow_call_duration (config, from->slow_after);
  derate_breaker_config_set_slow_call_rate_threshold (config, (double)from->slow_rate.failures /
                                                                  from->slow_rate.calls);
  derate_breaker_config_set_open_duration (config, from->open_duration);
  derate_breaker_config_set_open_duration_multiplier (config, from->multiplier);
  derate_breaker_config_set_open_duration_max (config, from->open_max);
  derate_breaker_config_set_open_duration_jitter (config, 0);
  derate_breaker_config_set_half_open_decision (config, from->by_rate
                                                            ? DERATE_BREAKER_DECISION_RATE
                                                            : DERATE_BREAKER_DECISION_STRICT);
  derate_breaker_config_set_half_open_max_calls (config, from->max_calls);
  derate_breaker_config_set_success_threshold (config, from->success_threshold);
  derate_breaker_config_set_half_open_lease (config, from->lease);
  return config;
}

static void
note_config (Pair *pair, const ModelConfig *config)
{
  note (pair,
        "[window=%d size=%u span=%" G_GINT64_FORMAT
        " minimum=%u row=%u rate=%u/%u slow=%" G_GINT64_FORMAT
        " slow-rate=%u/%u open=%" G_GINT64_FORMAT " by %u up to %" G_GINT64_FORMAT
        " %s calls=%u successes=%u lease=%" G_GINT64_FORMAT "] ",
        config->window, config->window_size, config->window_span, config->minimum_calls,
        config->failure_threshold, config->failure_rate.failures, config->failure_rate.calls,
        config->slow_after, config->slow_rate.failures, config->slow_rate.calls,
        config->open_duration, config->multiplier, config->open_max,
        config->by_rate ? "by-rate" : "strict", config->max_calls, config->success_threshold,
        config->lease);
}

static void
pair_init (Pair *pair)
{
  static const DerateBreakerWindow windows[] = {
    DERATE_BREAKER_WINDOW_COUNT,
    DERATE_BREAKER_WINDOW_TIME,
    DERATE_BREAKER_WINDOW_NONE,
  };
  ModelConfig config = { .window = windows[draw (3)] };
  g_autoptr (DerateBreakerConfig) made = NULL;

  config.window_span = 10000 * (1 + draw (200)) + draw (3);
  draw_config (&config);
  made = make_config (&config);
  *pair = (Pair){ .clock = derate_manual_clock_new (), .log = g_string_new (NULL) };
  pair->breaker = derate_breaker_new_with_clock ("random", made, pair->clock);
  pair->model = model_new (&config, get_now (pair));
  pair->listener = derate_breaker_add_listener (pair->breaker, hear, pair, NULL);
  note_config (pair, &config);
}

static void
pair_clear (Pair *pair)
{
  derate_breaker_remove_listener (pair->breaker, pair->listener);
  for (guint i = 0; i < MAX_PERMITS; i++)
    derate_permit_clear (&pair->permits[i]);
  g_assert_cmpuint (derate_breaker_get_in_flight (pair->breaker), ==, 0);
  g_clear_object (&pair->breaker);
  g_clear_object (&pair->clock);
  g_clear_pointer (&pair->model, model_free);
  g_string_free (pair->log, TRUE);
}

static int
acquire (Pair *pair)
{
  DeratePermit permit = DERATE_PERMIT_INIT;
  g_autoptr (GError) error = NULL;
  DerateError reason = DERATE_ERROR_FAILED;
  int place = model_acquire (pair->model, get_now (pair), &reason);
  gboolean given = derate_breaker_acquire (pair->breaker, &permit, &error);

  note (pair, "acquire:%d ", place);
  if (given != (place >= 0))
    say_wrong (pair, "a permit was %s", given ? "given" : "refused");
  else if (!given && !g_error_matches (error, DERATE_ERROR, (int)reason))
    say_wrong (pair, "refused with “%s”", error->message);
  if (place < 0 || !given)
    {
      derate_permit_clear (&permit);
      return -1;
    }
  g_assert_cmpint (place, <, MAX_PERMITS);
  expect_few_out (pair);
  pair->permits[place] = permit;
  pair->held[place] = TRUE;
  pair->n_held++;
  return place;
}

static void
end (Pair *pair, guint place)
{
  DeratePermit *permit = &pair->permits[place];
  guint how = draw (8);
  ModelOutcome outcome = how < 3 ? MODEL_SUCCESS : how < 6 ? MODEL_FAILURE : MODEL_NEUTRAL;

  note (pair, "%c%u ",
        outcome == MODEL_SUCCESS   ? 's'
        : outcome == MODEL_FAILURE ? 'f'
                                   : 'n',
        place);
  model_end (pair->model, place, outcome, get_now (pair));
  if (outcome == MODEL_SUCCESS)
    derate_permit_succeed (permit);
  else if (outcome == MODEL_FAILURE)
    derate_permit_fail (permit, NULL);
  else if (how == 6)
    derate_permit_cancel (permit);
  else
    derate_permit_clear (permit);
  if (draw (4) == 0) /* what is said after it is not heard */
    derate_permit_fail (permit, NULL);
  pair->held[place] = FALSE;
  pair->n_held--;
}

static void
end_any (Pair *pair)
{
  guint nth = pair->n_held > 0 ? draw (pair->n_held) : 0;

  for (guint i = 0; i < MAX_PERMITS; i++)
    if (pair->held[i] && nth-- == 0)
      {
        end (pair, i);
        return;
      }
}

/* A little, or to just where something happens, or next to it. */
static void
advance (Pair *pair)
{
  const Model *model = pair->model;
  GTimeSpan span = spans[draw (G_N_ELEMENTS (spans))] / (1 + draw (10));
  gint64 until = 0;

  if (draw (2) == 0 && model->state == DERATE_BREAKER_STATE_OPEN &&
      model->mode == DERATE_BREAKER_MODE_NORMAL)
    until = model->open_until;
  else if (draw (3) == 0 && model->state == DERATE_BREAKER_STATE_HALF_OPEN)
    until = get_now (pair) + model_get_retry_after (model, get_now (pair));
  else if (draw (6) == 0 && model->window->len > 0)
    until = g_array_index (model->window, ModelSample, 0).slice + model->config.window_span;
  until += (gint64)draw (3) - 1;
  if (until > get_now (pair))
    span = until - get_now (pair);
  note (pair, "+%" G_GINT64_FORMAT " ", span);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (pair->clock), span);
}

static void
change_mode (Pair *pair)
{
  DerateBreakerMode mode =
      draw (2) == 0 ? DERATE_BREAKER_MODE_NORMAL : DERATE_BREAKER_MODE_NORMAL + draw (4);

  note (pair, "mode=%s ", derate_breaker_mode_to_nick (mode));
  model_set_mode (pair->model, mode, get_now (pair));
  derate_breaker_set_mode (pair->breaker, mode);
}

static void
reconfigure (Pair *pair)
{
  ModelConfig config = pair->model->config;
  g_autoptr (DerateBreakerConfig) made = NULL;
  g_autoptr (GError) error = NULL;

  draw_config (&config);
  made = make_config (&config);
  note (pair, "set ");
  note_config (pair, &config);
  model_reconfigure (pair->model, &config, get_now (pair));
  derate_breaker_reconfigure (pair->breaker, made, &error);
  g_assert_no_error (error);
}

static void
open_by_hand (Pair *pair)
{
  gint64 now = get_now (pair);
  GTimeSpan span = spans[draw (G_N_ELEMENTS (spans))];
  gboolean wanted;
  gboolean found;

  if (draw (2) == 0)
    {
      note (pair, "trip ");
      wanted = model_trip (pair->model, now);
      found = derate_breaker_trip (pair->breaker, NULL);
    }
  else
    {
      note (pair, "for=%" G_GINT64_FORMAT " ", span);
      wanted = model_open_until (pair->model, now + span, now);
      found = derate_breaker_open_for (pair->breaker, span, NULL);
    }
  expect_equal (pair, "opened by hand", (guint64)wanted, (guint64)found);
}

static void
look_after (Pair *pair)
{
  guint good = draw (4); /* 0: a bad one */

  if (draw (2) == 0)
    {
      note (pair, "poll ");
      model_poll (pair->model, get_now (pair));
      derate_breaker_poll (pair->breaker);
      return;
    }
  note (pair, "check=%u/2 ", good);
  model_check (pair->model, good, 2, get_now (pair));
  derate_breaker_note_good_check (pair->breaker, good, 2);
}

static void
end_by_hand (Pair *pair)
{
  if (draw (3) == 0)
    {
      note (pair, "reset ");
      model_reset (pair->model, get_now (pair));
      derate_breaker_reset (pair->breaker);
      return;
    }
  note (pair, "close ");
  model_close (pair->model, get_now (pair));
  derate_breaker_close (pair->breaker);
}

static void
take_step (Pair *pair)
{
  guint what = draw (100);
  int place;

  if (what < 30 && pair->n_held < MAX_PERMITS)
    {
      place = acquire (pair);
      if (place >= 0 && draw (2) == 0)
        end (pair, (guint)place);
    }
  else if (what < 60)
    end_any (pair);
  else if (what < 85)
    advance (pair);
  else if (what < 91)
    look_after (pair);
  else if (what < 94)
    open_by_hand (pair);
  else if (what < 96)
    end_by_hand (pair);
  else if (what < 98)
    change_mode (pair);
  else
    reconfigure (pair);
}

static void
test_random (void)
{
  guint64 transitions = 0;

  for (guint done = 0; done < N_STEPS; done += STEPS_PER_BREAKER)
    {
      Pair pair;
      gboolean wrong;

      pair_init (&pair);
      for (guint i = 0; i < STEPS_PER_BREAKER && !pair.wrong; i++)
        {
          take_step (&pair);
          compare (&pair);
        }
      transitions += pair.heard;
      wrong = pair.wrong;
      pair_clear (&pair);
      if (wrong)
        {
          g_test_message ("in breaker %u", done / STEPS_PER_BREAKER);
          g_test_fail ();
          return;
        }
    }
  g_test_message ("%u steps, %" G_GUINT64_FORMAT " transitions", N_STEPS, transitions);
  g_assert_cmpuint (transitions, >, N_STEPS / 20);
}

int
main (int argc, char **argv)
{
  breaker_test_init (&argc, &argv);

  g_test_add_func ("/breaker/trap/06-random", test_random);
  return g_test_run ();
}
