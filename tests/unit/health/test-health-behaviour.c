/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "monitor-fixture.h"

/* What users expect of health checks, and where those of others fail, by its number in
 * tests/dev/behaviours-levels.tsv. A story is words:
 *   n=20        so many services (1), before anything else; without jitter. Later words are about
 *               the first one, with “all:” in front about each, with “others:” about all but it
 *   start       the monitor
 *   H D X       from now on the check answers healthy, degraded, down
 *   X:refused   with that cause
 *   after=3s    it takes so long to answer
 *   hang ignore fail   it answers nothing until cancelled, or whatever happens, or fails itself
 *   let-go      what was ignored ends
 *   +10s        time passes
 *   healthy degraded down unknown   the status must be
 *   cause=timeout   the cause must be
 *   counts=degraded   what rules take the status for must be
 *   checks=3 every=2s errors=1 most=4   how many have begun, the time between the last two, those
 *               that failed themselves, and how many ran at once, must be
 *   ready waiting suspect fine   the monitor must be */
typedef struct
{
  const char *name;
  const char *story;
} Story;

static const Story behaviours[] = {
  { "01-not-confirmed", "H start healthy X +12s healthy H +2s healthy every=2s +10s every=10s "
                        "checks=5 X +12s healthy H +2s healthy every=2s" },
  { "01-each-fall-begins-anew", "H start X +12s H +2s X +10s healthy +2s healthy +2s down" },
  { "03-fast-while-undecided",
    "H start +5s checks=1 X +5s checks=2 every=10s +2s every=2s healthy +2s every=2s down "
    "+10s every=10s checks=5" },
  { "03-fast-while-rising", "X start +1s down H +9s every=10s down +2s every=2s healthy +10s "
                            "every=10s" },
  { "04-answered-on-time", "ignore start +1999ms unknown waiting +1ms down cause=timeout ready" },
  { "04-not-started-again", "ignore start +60s checks=1 H let-go +1s checks=2 healthy" },
  { "04-others-go-on", "n=6 ignore others:after=900ms start +3s checks=1 others:healthy +60s "
                       "checks=1 most=5 ready" },
  { "06-four-at-once", "n=20 all:after=900ms start +99s most=4" },
  { "07-own-failure-changes-nothing", "H start fail +25s healthy errors=2 +4s healthy" },
  { "07-stale-after-three-intervals", "H start fail +30s unknown cause=stale errors=3 counts=down "
                                      "H +10s healthy" },
  { "08-no-result-yet", "after=900ms start unknown waiting counts=degraded +900ms healthy ready" },
  { "08-unknown-is-not-good", "fail start unknown ready counts=down +60s unknown counts=down" },
  { "12-without-services", "n=0 waiting start ready fine" },
  { "15-overloaded-is-degraded", "D:overloaded start degraded cause=overloaded" },
  { "15-refused-is-down", "X:refused start down cause=refused" },
  { "15-slow-is-not-silent", "after=1500ms start +2s degraded cause=slow hang +14s +2s down "
                             "cause=timeout" },
  { "15-wrong-key-is-not-refused", "X:auth start down cause=auth X:refused +10s down "
                                   "cause=refused" },
};

static const Story traps[] = {
  { "01-cancelling-is-asked-not-hoped", "H start ignore +12s healthy +100s unknown cause=stale "
                                        "checks=2" },
  { "03-one-that-hangs-stops-nobody", "n=20 H hang start +2s down cause=timeout others:healthy "
                                      "+60s others:healthy" },
  { "04-unknown-is-worse-than-degraded", "fail start unknown counts=down D +10s degraded fail "
                                         "+30s unknown counts=down" },
};

static const Story ahead[] = {
  { "07-stale-is-a-cause", "H start ignore +45s unknown cause=stale" },
  { "13-all-at-once", "n=3 H all:X:timeout start all:down suspect H +12s fine" },
  { "13-one-is-no-suspicion", "n=3 X start fine down" },
};

typedef struct
{
  MonitorFixture f;
  const Story *story;
  const char *word;
  DerateHealthCheckConfig *config;
  guint n_all;
  guint most_all;
} Run;

static GTimeSpan
parse_span (const char *text)
{
  GTimeSpan span = 0;

  g_assert_true (derate_time_span_parse (text, &span, NULL));
  return span;
}

static void
expect (Run *run, gboolean holds)
{
  if (!holds)
    g_error ("%s: at “%s” of “%s”", run->story->name, run->word, run->story->story);
}

static void
expect_text (Run *run, const char *wanted, const char *found)
{
  if (g_strcmp0 (wanted, found) != 0)
    g_error ("%s: at “%s” of “%s”: it is %s", run->story->name, run->word, run->story->story,
             found);
}

static void
expect_number (Run *run, gint64 wanted, gint64 found)
{
  if (wanted != found)
    g_error ("%s: at “%s” of “%s”: it is %" G_GINT64_FORMAT, run->story->name, run->word,
             run->story->story, found);
}

static void
add_services (Run *run, guint n)
{
  monitor_fixture_add_services (&run->f, n);
  for (guint i = 0; i < n; i++)
    {
      derate_service_set_check_config (run->f.services[i], run->config);
      run->f.checks[i]->n_all = &run->n_all;
      run->f.checks[i]->most_all = &run->most_all;
    }
}

static DerateHealthCause
parse_cause (const char *nick)
{
  DerateHealthCause cause = DERATE_HEALTH_CAUSE_NONE;

  while (nick != NULL && strcmp (derate_health_cause_get_nick (cause), nick) != 0)
    {
      cause++;
      g_assert_cmpint (cause, <=, DERATE_HEALTH_CAUSE_DRILL);
    }
  return cause;
}

/* What the check is to do. */
static gboolean
do_answer (FakeCheck *check, const char *word)
{
  const char *cause = word[1] == ':' ? word + 2 : NULL;

  if (word[1] != '\0' && word[1] != ':')
    return FALSE;
  if (word[0] == 'H')
    fake_check_set (check, DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE, NULL);
  else if (word[0] == 'D')
    fake_check_set (check, DERATE_HEALTH_STATUS_DEGRADED, parse_cause (cause), NULL);
  else if (word[0] == 'X')
    fake_check_set (check, DERATE_HEALTH_STATUS_DOWN, parse_cause (cause), NULL);
  else
    return FALSE;
  return TRUE;
}

static gboolean
do_check (FakeCheck *check, const char *word)
{
  if (do_answer (check, word))
    return TRUE;
  if (g_str_equal (word, "hang"))
    check->behaviour = FAKE_HANG;
  else if (g_str_equal (word, "ignore"))
    check->behaviour = FAKE_IGNORE;
  else if (g_str_equal (word, "fail"))
    check->behaviour = FAKE_FAIL;
  else if (g_str_equal (word, "let-go"))
    fake_check_let_go (check);
  else if (g_str_has_prefix (word, "after="))
    check->delay = parse_span (word + strlen ("after="));
  else
    return FALSE;
  return TRUE;
}

static gboolean
ask_service (Run *run, guint i, const char *word)
{
  DerateService *service = run->f.services[i];
  FakeCheck *check = run->f.checks[i];
  gboolean in_grace = !derate_monitor_is_ready (run->f.monitor);
  const char *status = derate_health_status_get_nick (derate_service_get_status (service));
  const char *value = strchr (word, '=') != NULL ? strchr (word, '=') + 1 : NULL;

  if (value == NULL)
    expect_text (run, word, status);
  else if (g_str_has_prefix (word, "cause="))
    expect_text (run, value, derate_health_cause_get_nick (derate_service_get_cause (service)));
  else if (g_str_has_prefix (word, "counts="))
    expect_text (run, value,
                 derate_health_status_get_nick (
                     derate_service_get_effective_status (service, in_grace)));
  else if (g_str_has_prefix (word, "checks="))
    expect_number (run, g_ascii_strtoll (value, NULL, 10), check->n_started);
  else if (g_str_has_prefix (word, "every="))
    expect_number (run, parse_span (value),
                   fake_check_get_start (check, -1) - fake_check_get_start (check, -2));
  else if (g_str_has_prefix (word, "errors="))
    expect_number (run, g_ascii_strtoll (value, NULL, 10),
                   (gint64)derate_service_get_check_errors (service));
  else
    return FALSE;
  return TRUE;
}

static gboolean
do_monitor (Run *run, const char *word)
{
  if (word[0] == '+')
    monitor_fixture_advance (&run->f, parse_span (word + 1));
  else if (g_str_equal (word, "start"))
    monitor_fixture_start (&run->f);
  else if (g_str_equal (word, "ready"))
    expect (run, derate_monitor_is_ready (run->f.monitor));
  else if (g_str_equal (word, "waiting"))
    expect (run, !derate_monitor_is_ready (run->f.monitor));
  else if (g_str_equal (word, "suspect"))
    expect (run, derate_monitor_get_local_suspect (run->f.monitor));
  else if (g_str_equal (word, "fine"))
    expect (run, !derate_monitor_get_local_suspect (run->f.monitor));
  else if (g_str_has_prefix (word, "most="))
    expect_number (run, g_ascii_strtoll (word + strlen ("most="), NULL, 10), run->most_all);
  else
    return FALSE;
  return TRUE;
}

static void
do_word (Run *run, const char *word)
{
  gboolean all = g_str_has_prefix (word, "all:");
  gboolean others = g_str_has_prefix (word, "others:");
  const char *rest = all || others ? strchr (word, ':') + 1 : word;

  if (do_monitor (run, rest))
    return;
  for (guint i = others ? 1 : 0; i < (all || others ? run->f.n : 1); i++)
    if (!do_check (run->f.checks[i], rest) && !ask_service (run, i, rest))
      g_error ("%s: no word “%s”", run->story->name, word);
}

static void
test_story (gconstpointer data)
{
  Run run = { .story = data };
  g_auto (GStrv) words = g_strsplit (run.story->story, " ", -1);
  guint first = 0;
  guint n = 1;

  run.config = derate_health_check_config_new ();
  derate_health_check_config_set_jitter (run.config, 0);
  monitor_fixture_set_up (&run.f, NULL);
  if (g_str_has_prefix (words[0], "n="))
    {
      n = (guint)g_ascii_strtoull (words[0] + 2, NULL, 10);
      first = 1;
    }
  add_services (&run, n);
  for (guint i = first; words[i] != NULL; i++)
    {
      run.word = words[i];
      do_word (&run, words[i]);
    }
  monitor_fixture_tear_down (&run.f, NULL);
  derate_health_check_config_free (run.config);
}

/* 06: more to do than there is time for, and yet everybody's turn comes. */
static void
test_none_starves (MonitorFixture *f, gconstpointer data)
{
  monitor_fixture_add_services (f, MANY);
  for (guint i = 0; i < MANY; i++)
    f->checks[i]->behaviour = FAKE_HANG;
  monitor_fixture_start (f);
  monitor_fixture_advance (f, 200 * SECOND); /* four at once, two seconds each: 400 at most */
  for (guint i = 0; i < MANY; i++)
    g_assert_cmpuint (f->checks[i]->n_started, >=, 10);
}

/* Trap 02: others wait without end where nobody says how long. */
static void
test_no_endless_timeout (void)
{
  static const char *const spans[] = { "0", "0s", "-1s", "never", "" };
  g_autoptr (DerateHealthCheckConfig) config = derate_health_check_config_new ();

  g_assert_cmpint (derate_health_check_config_get_timeout (config), ==, 2 * SECOND);
  for (guint i = 0; i < G_N_ELEMENTS (spans); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_false (
          derate_health_check_config_set_from_string (config, "check-timeout", spans[i], &error));
      g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
    }
  g_assert_cmpint (derate_health_check_config_get_timeout (config), ==, 2 * SECOND);
}

/* Trap 05: two checks that ask each other. */

#define RING_TYPE_CHECK (ring_check_get_type ())
G_DECLARE_FINAL_TYPE (RingCheck, ring_check, RING, CHECK, GObject)

struct _RingCheck
{
  GObject parent_instance;
  DerateService *other; /* outlives it */
  guint n_started;
};

static void ring_check_iface_init (DerateHealthCheckInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (RingCheck,
                               ring_check,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (DERATE_TYPE_HEALTH_CHECK,
                                                      ring_check_iface_init))

static void
on_other_checked (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GTask) task = data;
  g_autoptr (GError) error = NULL;
  DerateHealthReport *report =
      derate_service_check_finish (DERATE_SERVICE (source), result, &error);

  if (report != NULL)
    g_task_return_pointer (task, report, (GDestroyNotify)derate_health_report_unref);
  else
    g_task_return_error (task, g_steal_pointer (&error));
}

static void
ring_check_run_async (DerateHealthCheck *base,
                      GCancellable *cancellable,
                      GAsyncReadyCallback callback,
                      gpointer user_data)
{
  RingCheck *check = RING_CHECK (base);
  GTask *task = g_task_new (check, cancellable, callback, user_data);

  check->n_started++;
  derate_service_check_async (check->other, cancellable, on_other_checked, task);
}

static DerateHealthReport *
ring_check_run_finish (DerateHealthCheck *base, GAsyncResult *result, GError **error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}

static void
ring_check_iface_init (DerateHealthCheckInterface *iface)
{
  iface->run_async = ring_check_run_async;
  iface->run_finish = ring_check_run_finish;
}

static void
ring_check_class_init (RingCheckClass *klass)
{
}

static void
ring_check_init (RingCheck *check)
{
}

static void
test_ring (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateMonitor) monitor = derate_monitor_new (clock, NULL, NULL);
  g_autoptr (DerateService) one = derate_service_new ("one", DERATE_SERVICE_ROLE_NONE, clock);
  g_autoptr (DerateService) two = derate_service_new ("two", DERATE_SERVICE_ROLE_NONE, clock);
  g_autoptr (RingCheck) ask_two = g_object_new (RING_TYPE_CHECK, NULL);
  g_autoptr (RingCheck) ask_one = g_object_new (RING_TYPE_CHECK, NULL);

  ask_two->other = two;
  ask_one->other = one;
  derate_service_set_health_check (one, DERATE_HEALTH_CHECK (ask_two));
  derate_service_set_health_check (two, DERATE_HEALTH_CHECK (ask_one));
  derate_monitor_add_service (monitor, one);
  derate_monitor_add_service (monitor, two);
  derate_monitor_start (monitor);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 2 * SECOND);

  /* Each waits for the other and shares its run; both end by their time. */
  g_assert_true (derate_monitor_is_ready (monitor));
  monitor_fixture_assert_status (one, DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_TIMEOUT);
  g_assert_cmpuint (ask_two->n_started, ==, 1);
  g_assert_cmpuint (ask_one->n_started, ==, 1);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 98 * SECOND);
  g_assert_cmpuint (ask_two->n_started, <=, 12);
  derate_monitor_stop (monitor);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), SECOND);
}

static void
add_stories (const char *kind, const Story *stories, guint n)
{
  for (guint i = 0; i < n; i++)
    {
      g_autofree char *path = g_strdup_printf ("/health/%s/%s", kind, stories[i].name);

      g_test_add_data_func (path, &stories[i], test_story);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_log_set_writer_func (monitor_fixture_drop_log, NULL, NULL);
  add_stories ("behaviour", behaviours, G_N_ELEMENTS (behaviours));
  add_stories ("trap", traps, G_N_ELEMENTS (traps));
  add_stories ("ahead", ahead, G_N_ELEMENTS (ahead));
  g_test_add ("/health/behaviour/06-none-starves", MonitorFixture, NULL, monitor_fixture_set_up,
              test_none_starves, monitor_fixture_tear_down);
  g_test_add_func ("/health/trap/02-no-endless-timeout", test_no_endless_timeout);
  g_test_add_func ("/health/trap/05-checks-that-ask-each-other", test_ring);
  return g_test_run ();
}
