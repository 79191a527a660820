/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "breaker-script.h"

#include <malloc.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "derate-breaker-private.h"

#define MAX_HELD 32
#define FOR_EVER (100 * 366 * G_TIME_SPAN_DAY)

typedef struct
{
  const BreakerStory *story;
  guint step;
  const char *word;
  DerateManualClock *clock;
  DerateBreaker *breaker;
  DeratePermit held[MAX_HELD];
  guint n_held;
  guint n_events;
  DerateBreakerState heard; /* the state of the last event */
  DerateBreakerCounters was; /* what was counted in the state that ended last */
} Run;

G_GNUC_PRINTF (2, 3)
static void
say_wrong (Run *run, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  g_test_message ("%s: word %u “%s” of “%s”: %s", run->story->name, run->step, run->word,
                  run->story->story, text);
  g_test_fail ();
}

DerateBreakerConfig *
breaker_config_from_words (const char *words)
{
  DerateBreakerConfig *config = derate_breaker_config_new ();
  g_auto (GStrv) list = g_strsplit (words, " ", -1);

  derate_breaker_config_set_open_duration_jitter (config, 0);
  for (guint i = 0; list[i] != NULL; i++)
    {
      g_auto (GStrv) pair = g_strsplit (list[i], "=", 2);
      g_autoptr (GError) error = NULL;

      if (*list[i] == '\0')
        continue;
      derate_breaker_config_set_from_string (config, pair[0], pair[1], &error);
      g_assert_no_error (error);
    }
  return config;
}

static GTimeSpan
parse_span (const char *text)
{
  gboolean is_negative = *text == '-';
  GTimeSpan span = 0;

  g_assert_true (derate_time_span_parse (is_negative ? text + 1 : text, &span, NULL));
  return is_negative ? -span : span;
}

/* Each transition is told once, and takes up where the one before it ended. */
static void
hear (DerateBreaker *breaker,
      DerateBreakerState old_state,
      DerateBreakerState new_state,
      const DerateBreakerCounters *counters,
      gpointer user_data)
{
  Run *run = user_data;

  if (old_state != run->heard || !derate_breaker_has_edge (old_state, new_state))
    say_wrong (run, "heard of %s to %s while %s", derate_breaker_state_to_nick (old_state),
               derate_breaker_state_to_nick (new_state), derate_breaker_state_to_nick (run->heard));
  run->heard = new_state;
  run->was = *counters;
  run->n_events++;
}

static void
call (Run *run, char kind)
{
  DeratePermit permit = DERATE_PERMIT_INIT;
  g_autoptr (GError) error = NULL;

  if (!derate_breaker_acquire (run->breaker, &permit, &error))
    {
      say_wrong (run, "refused: %s", error->message);
      return;
    }
  if (kind == 'L' || kind == 'M')
    derate_manual_clock_advance (run->clock, 5 * G_TIME_SPAN_SECOND);
  if (kind == 'S' || kind == 'L')
    derate_permit_succeed (&permit);
  else if (kind == 'N')
    derate_permit_cancel (&permit);
  else if (kind == 'C')
    {
      g_set_error (&error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "cancelled");
      derate_permit_fail (&permit, error);
    }
  else
    derate_permit_fail (&permit, NULL);
}

static void
expect_refusal (Run *run, DerateError code)
{
  g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;
  g_autoptr (GError) error = NULL;

  if (derate_breaker_acquire (run->breaker, &permit, &error))
    say_wrong (run, "was let through");
  else if (!g_error_matches (error, DERATE_ERROR, (int)code))
    say_wrong (run, "another reason: %s", error->message);
}

static void
hold (Run *run)
{
  g_autoptr (GError) error = NULL;

  g_assert_cmpuint (run->n_held, <, MAX_HELD);
  if (!derate_breaker_acquire (run->breaker, &run->held[run->n_held++], &error))
    say_wrong (run, "refused: %s", error->message);
}

static void
end_held (Run *run, char kind, guint n)
{
  DeratePermit *permit = &run->held[n - 1];

  g_assert_true (n >= 1 && n <= run->n_held);
  if (kind == 's')
    derate_permit_succeed (permit);
  else if (kind == 'f')
    derate_permit_fail (permit, NULL);
  else if (kind == 'n')
    derate_permit_cancel (permit);
  else
    derate_permit_clear (permit);
}

static void
expect_number (Run *run, double wanted, double found)
{
  if (isnan (wanted) != isnan (found) || (!isnan (wanted) && fabs (wanted - found) > 1e-9))
    say_wrong (run, "found %g", found);
}

static guint
count_window (DerateBreaker *breaker)
{
  guint outcomes = 0;

  derate_breaker_get_window (breaker, FOR_EVER, NULL, &outcomes);
  return outcomes;
}

static gboolean
do_number (Run *run, const char *key, const char *value)
{
  g_autoptr (DerateBreakerStats) stats = derate_breaker_dup_stats (run->breaker);
  double wanted = *value == '?' ? NAN : g_ascii_strtod (value, NULL);
  const struct
  {
    const char *key;
    double found;
  } numbers[] = {
    { "rate", stats->failure_rate },
    { "slow", stats->slow_call_rate },
    { "streak", (double)stats->failure_count },
    { "row", (double)stats->consecutive_failures },
    { "good", (double)stats->consecutive_successes },
    { "ok", (double)stats->successful_requests },
    { "calls", (double)stats->calls },
    { "total", (double)stats->total_requests },
    { "failed", (double)stats->failed_requests },
    { "blocked", (double)stats->calls_blocked },
    { "opens", (double)stats->circuit_open_count },
    { "probes", (double)stats->circuit_half_open_count },
    { "flight", (double)derate_breaker_get_in_flight (run->breaker) },
    { "window", count_window (run->breaker) },
    { "drilled", (double)derate_breaker_count_drilled (run->breaker) },
    { "events", run->n_events },
    { "was-calls", (double)run->was.calls },
    { "was-blocked", (double)run->was.blocked },
    { "was-ok", (double)run->was.successes },
    { "was-failed", (double)run->was.failures },
    { "was-slow", (double)run->was.slow_calls },
    { "was-streak", (double)run->was.failure_count },
    { "was-rate", run->was.failure_rate },
  };

  if (g_str_equal (key, "retry"))
    {
      expect_number (run, (double)parse_span (value), (double)stats->retry_after);
      expect_number (run, (double)parse_span (value),
                     (double)derate_breaker_get_retry_after (run->breaker));
      return TRUE;
    }
  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++)
    if (g_str_equal (key, numbers[i].key))
      {
        expect_number (run, wanted, numbers[i].found);
        return TRUE;
      }
  return FALSE;
}

/* A breaker that takes up where another was. */
static void
restart (Run *run, GTimeSpan away)
{
  g_autoptr (DerateBreakerConfig) config = derate_breaker_dup_config (run->breaker);
  g_autoptr (GVariant) saved = g_variant_ref_sink (derate_breaker_save (run->breaker));
  g_autoptr (DerateBreaker) ended = run->breaker;
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < run->n_held; i++)
    derate_permit_clear (&run->held[i]);
  derate_manual_clock_advance (run->clock, away);
  run->breaker =
      derate_breaker_new_with_clock (run->story->name, config, DERATE_CLOCK (run->clock));
  run->heard = DERATE_BREAKER_STATE_CLOSED;
  run->n_events = 0;
  derate_breaker_add_listener (run->breaker, hear, run, NULL);
  derate_breaker_restore (run->breaker, saved, &error);
  g_assert_no_error (error);
}

/* Settings given as KEY:VALUE,KEY:VALUE in place of what was. */
static void
reconfigure (Run *run, const char *settings)
{
  g_auto (GStrv) list = g_strsplit_set (settings, ":,", -1);
  g_autoptr (DerateBreakerConfig) config = derate_breaker_dup_config (run->breaker);
  g_autoptr (GError) error = NULL;

  for (guint i = 0; list[i] != NULL && list[i + 1] != NULL; i += 2)
    {
      derate_breaker_config_set_from_string (config, list[i], list[i + 1], &error);
      g_assert_no_error (error);
    }
  derate_breaker_reconfigure (run->breaker, config, &error);
  g_assert_no_error (error);
}

/* What a breaker does not do by hand. */
static void
expect_no_way (Run *run, const char *nick)
{
  DerateBreakerState before = derate_breaker_get_state (run->breaker);
  g_autoptr (GError) error = NULL;

  if (derate_breaker_move (run->breaker, derate_breaker_state_from_nick (nick), &error))
    say_wrong (run, "it does");
  else if (!g_error_matches (error, DERATE_ERROR, DERATE_ERROR_INVALID_STATE))
    say_wrong (run, "another error: %s", error->message);
  if (derate_breaker_get_state (run->breaker) != before)
    say_wrong (run, "is another state");
}

static gboolean
do_time (Run *run, const char *key, const char *value)
{
  if (g_str_equal (key, "restart"))
    restart (run, parse_span (value));
  else if (g_str_equal (key, "wall"))
    derate_manual_clock_step_real_time (run->clock, parse_span (value));
  else
    return FALSE;
  return TRUE;
}

static gboolean
do_pair (Run *run, const char *key, const char *value)
{
  g_autoptr (GError) error = NULL;
  DerateBreakerMode mode;

  if (g_str_equal (key, "set"))
    reconfigure (run, value);
  else if (g_str_equal (key, "for"))
    derate_breaker_open_for (run->breaker, parse_span (value), &error);
  else if (g_str_equal (key, "until"))
    derate_breaker_open_until (run->breaker,
                               derate_clock_get_time (DERATE_CLOCK (run->clock)) +
                                   parse_span (value),
                               &error);
  else if (g_str_equal (key, "check"))
    derate_breaker_note_good_check (run->breaker, (guint)atoi (value),
                                    (guint)atoi (strchr (value, '/') + 1));
  else if (g_str_equal (key, "mode"))
    {
      derate_breaker_mode_from_nick (value, &mode, &error);
      g_assert_no_error (error);
      derate_breaker_set_mode (run->breaker, mode);
    }
  else if (g_str_equal (key, "drill"))
    derate_breaker_set_drill (run->breaker, g_ascii_strtod (value, NULL));
  else if (g_str_equal (key, "cannot"))
    expect_no_way (run, value);
  else
    return do_time (run, key, value) || do_number (run, key, value);
  g_assert_no_error (error);
  return TRUE;
}

static gboolean
do_by_hand (Run *run, const char *word)
{
  g_autoptr (GError) error = NULL;

  if (g_str_equal (word, "trip"))
    derate_breaker_trip (run->breaker, &error);
  else if (g_str_equal (word, "close"))
    derate_breaker_close (run->breaker);
  else if (g_str_equal (word, "reset"))
    derate_breaker_reset (run->breaker);
  else if (g_str_equal (word, "poll"))
    derate_breaker_poll (run->breaker);
  else if (g_str_equal (word, "hold"))
    hold (run);
  else
    return FALSE;
  g_assert_no_error (error);
  return TRUE;
}

static gboolean
do_call (Run *run, const char *word)
{
  if (g_str_equal (word, "X"))
    expect_refusal (run, DERATE_ERROR_OPEN);
  else if (g_str_equal (word, "Xfull"))
    expect_refusal (run, DERATE_ERROR_HALF_OPEN_FULL);
  else if (g_str_equal (word, "Xramp"))
    expect_refusal (run, DERATE_ERROR_RAMPING);
  else if (g_str_equal (word, "Xforced"))
    expect_refusal (run, DERATE_ERROR_FORCED);
  else if (g_str_equal (word, "Xdrill"))
    expect_refusal (run, DERATE_ERROR_DRILL);
  else if (strlen (word) == 1 && strchr ("SFNCLM", *word) != NULL)
    call (run, *word);
  else if (strchr ("sfnd", word[0]) != NULL && g_ascii_isdigit (word[1]))
    end_held (run, word[0], (guint)atoi (word + 1));
  else
    return FALSE;
  return TRUE;
}

static void
do_word (Run *run, const char *word)
{
  DerateBreakerState state = derate_breaker_state_from_nick (word);
  g_auto (GStrv) pair = g_strsplit (word, "=", 2);

  run->word = word;
  if (state != DERATE_BREAKER_STATE_UNKNOWN)
    {
      if (derate_breaker_get_state (run->breaker) != state)
        say_wrong (run, "is %s",
                   derate_breaker_state_to_nick (derate_breaker_get_state (run->breaker)));
    }
  else if (*word == '+')
    derate_manual_clock_advance (run->clock, parse_span (word + 1));
  else if (pair[1] != NULL)
    g_assert_true (do_pair (run, pair[0], pair[1]));
  else
    g_assert_true (do_by_hand (run, word) || do_call (run, word));
}

static void
do_words (Run *run, const char *words)
{
  g_auto (GStrv) list = g_strsplit (words, " ", -1);

  for (run->step = 0; list[run->step] != NULL; run->step++)
    {
      g_auto (GStrv) parts = g_strsplit (list[run->step], "*", 2);
      guint times = parts[0] != NULL && parts[1] != NULL ? (guint)atoi (parts[1]) : 1;

      for (guint i = 0; i < times && *list[run->step] != '\0'; i++)
        do_word (run, parts[0]);
    }
}

void
breaker_story_run (gconstpointer data)
{
  const BreakerStory *story = data;
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreakerConfig) config = breaker_config_from_words (story->config);
  Run run = { .story = story, .clock = DERATE_MANUAL_CLOCK (clock) };

  if (story->differs != NULL)
    g_test_message ("differs: %s", story->differs);
  run.breaker = derate_breaker_new_with_clock (story->name, config, clock);
  run.heard = DERATE_BREAKER_STATE_CLOSED;
  derate_breaker_add_listener (run.breaker, hear, &run, NULL);
  do_words (&run, story->story);
  if (run.heard != derate_breaker_get_state (run.breaker))
    say_wrong (&run, "the last event was another");
  for (guint i = 0; i < run.n_held; i++)
    derate_permit_clear (&run.held[i]);
  g_object_unref (run.breaker);
}

void
breaker_stories_add (const char *path, const BreakerStory *stories, gsize n_stories)
{
  for (gsize i = 0; i < n_stories; i++)
    {
      g_autofree char *full = g_strdup_printf ("%s/%s", path, stories[i].name);

      g_test_add_data_func (full, &stories[i], breaker_story_run);
    }
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER TRUE
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_SANITIZER TRUE
#endif
#endif
#ifndef HAS_SANITIZER
#define HAS_SANITIZER FALSE
#endif

gboolean
breaker_test_is_slow (void)
{
  static int known = -1;

  if (known < 0) /* to valgrind's malloc nothing was ever allocated */
    known = HAS_SANITIZER || mallinfo2 ().uordblks == 0;
  return known;
}

void
breaker_test_init (int *argc, char ***argv)
{
  g_setenv ("ENABLE_RESILIENCE_LOGGING", "false", TRUE);
  g_test_init (argc, argv, NULL);
}
