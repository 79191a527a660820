/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "derate-error.h"
#include "derate-fallback-chain.h"
#include "derate-fallback-cycle.h"
#include "derate-fallback-factory.h"
#include "derate-manual-clock.h"
#include "derate-metrics-registry.h"

/* A fallback that answers, fails or hangs, at once or later, as the test says. */
#define TEST_TYPE_FALLBACK (test_fallback_get_type ())
G_DECLARE_FINAL_TYPE (TestFallback, test_fallback, TEST, FALLBACK, GObject)

struct _TestFallback
{
  GObject parent_instance;
  const char *strategy;
  const char *answer; /* NULL fails */
  DerateManualClock *clock;
  GTimeSpan takes;
  gboolean hangs;
  GTask *hanging;
  guint n_asked;
  char *noted;
};

static const char *
test_fallback_get_strategy (DerateFallback *base)
{
  return TEST_FALLBACK (base)->strategy;
}

static DerateFallbackResult *
test_fallback_answer (DerateFallback *base, DerateFallbackRequest *request, GError **error)
{
  TestFallback *fallback = TEST_FALLBACK (base);

  fallback->n_asked++;
  if (fallback->clock != NULL)
    derate_manual_clock_advance (fallback->clock, fallback->takes);
  if (fallback->answer == NULL)
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_UNAVAILABLE, "nothing for “%s”",
                   derate_fallback_request_get_key (request));
      return NULL;
    }
  return derate_fallback_result_new (g_variant_new_string (fallback->answer), fallback->strategy,
                                     "test", derate_fallback_request_get_reason (request),
                                     fallback->takes);
}

static void
test_fallback_answer_async (DerateFallback *base,
                            DerateFallbackRequest *request,
                            GCancellable *cancellable,
                            GAsyncReadyCallback callback,
                            gpointer user_data)
{
  TestFallback *fallback = TEST_FALLBACK (base);
  g_autoptr (GTask) task = g_task_new (base, cancellable, callback, user_data);
  g_autoptr (GError) error = NULL;
  DerateFallbackResult *result;

  if (fallback->hangs)
    {
      fallback->hanging = g_steal_pointer (&task);
      return;
    }
  result = test_fallback_answer (base, request, &error);
  if (result != NULL)
    g_task_return_pointer (task, result, (GDestroyNotify)derate_fallback_result_unref);
  else
    g_task_return_error (task, g_steal_pointer (&error));
}

static void
test_fallback_note_answer (DerateFallback *base, const char *key, GVariant *value)
{
  TestFallback *fallback = TEST_FALLBACK (base);

  g_free (fallback->noted);
  fallback->noted = g_strdup_printf ("%s=%s", key, g_variant_get_string (value, NULL));
}

static void
fallback_iface_init (DerateFallbackInterface *iface)
{
  iface->get_strategy = test_fallback_get_strategy;
  iface->answer = test_fallback_answer;
  iface->answer_async = test_fallback_answer_async;
  iface->note_answer = test_fallback_note_answer;
}

G_DEFINE_FINAL_TYPE_WITH_CODE (TestFallback,
                               test_fallback,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (DERATE_TYPE_FALLBACK, fallback_iface_init))

static void
test_fallback_finalize (GObject *object)
{
  g_free (TEST_FALLBACK (object)->noted);
  G_OBJECT_CLASS (test_fallback_parent_class)->finalize (object);
}

static void
test_fallback_class_init (TestFallbackClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = test_fallback_finalize;
}

static void
test_fallback_init (TestFallback *fallback)
{
}

typedef struct
{
  DerateClock *clock;
  DerateFallbackUsage *usage;
  DerateFallbackChain *chain;
  TestFallback *first;
  TestFallback *second;
} Fixture;

static TestFallback *
add_link (Fixture *fixture, const char *strategy, const char *answer)
{
  TestFallback *fallback = g_object_new (TEST_TYPE_FALLBACK, NULL);

  fallback->strategy = strategy;
  fallback->answer = answer;
  derate_fallback_chain_append (fixture->chain, DERATE_FALLBACK (fallback));
  return fallback;
}

static void
fixture_set_up (Fixture *fixture, gconstpointer data)
{
  fixture->clock = derate_manual_clock_new ();
  fixture->usage = derate_fallback_usage_new (fixture->clock);
  fixture->chain = derate_fallback_chain_new ("database", fixture->clock, fixture->usage);
  fixture->first = add_link (fixture, "cached", NULL);
  fixture->second = add_link (fixture, "default", "plenty");
}

static void
fixture_tear_down (Fixture *fixture, gconstpointer data)
{
  g_assert_finalize_object (fixture->chain);
  g_assert_finalize_object (fixture->first);
  g_assert_finalize_object (fixture->second);
  g_assert_finalize_object (fixture->usage);
  g_object_unref (fixture->clock);
}

static DerateFallbackRequest *
new_request (void)
{
  g_autoptr (GError) cause =
      g_error_new (DERATE_ERROR, DERATE_ERROR_OPEN, "breaker database is open");

  return derate_fallback_request_new ("database", derate_fallback_reason_from_error (cause), cause,
                                      "1", g_variant_new_string ("prices"));
}

static void
assert_line (DerateFallbackUsage *usage, const char *line)
{
  g_autoptr (DerateMetricsRegistry) registry = derate_metrics_registry_new ();
  g_autofree char *text = NULL;
  g_auto (GStrv) lines = NULL;

  derate_metrics_registry_add_collector (registry, DERATE_METRICS_COLLECTOR (usage));
  text = derate_metrics_registry_render (registry);
  lines = g_strsplit (text, "\n", -1);
  if (!g_strv_contains ((const char *const *)lines, line))
    g_error ("no line “%s” in:\n%s", line, text);
}

#define USED "circuit_breaker_fallback_used_total{name=\"database\",strategy=\"default\","

static void
test_created_at_zero (Fixture *fixture, gconstpointer data)
{
  assert_line (fixture->usage, USED "reason=\"open\"} 0");
  assert_line (fixture->usage, USED "reason=\"drill\"} 0");
  assert_line (fixture->usage, "fallback_failures_total{name=\"database\",strategy=\"cached\"} 0");
  assert_line (fixture->usage,
               "fallback_duration_seconds_count{name=\"database\",strategy=\"cached\"} 0");
  assert_line (fixture->usage,
               "fallback_last_used_timestamp_seconds{name=\"database\",strategy=\"cached\"} 0");
}

static void
test_next_answers (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DerateFallbackRequest) request = new_request ();
  g_autoptr (GError) error = NULL;
  g_autoptr (DerateFallbackResult) result = NULL;
  g_autoptr (GVariant) provenance = NULL;
  g_autofree char *text = NULL;

  fixture->second->clock = DERATE_MANUAL_CLOCK (fixture->clock);
  fixture->second->takes = 10 * G_TIME_SPAN_MILLISECOND;
  result = derate_fallback_answer (DERATE_FALLBACK (fixture->chain), request, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (g_variant_get_string (derate_fallback_result_get_value (result), NULL), ==,
                   "plenty");
  g_assert_cmpstr (derate_fallback_result_get_strategy (result), ==, "default");
  provenance = derate_fallback_result_dup_provenance (result);
  text = g_variant_print (provenance, FALSE);
  g_assert_cmpstr (text, ==,
                   "{'degraded': <true>, 'source': <'test'>, 'reason': <'open'>, "
                   "'age_seconds': <0.01>}");

  assert_line (fixture->usage, USED "reason=\"open\"} 1");
  assert_line (fixture->usage, USED "reason=\"error\"} 0");
  assert_line (fixture->usage, "fallback_failures_total{name=\"database\",strategy=\"cached\"} 1");
  assert_line (fixture->usage, "fallback_duration_seconds_bucket{name=\"database\",strategy="
                               "\"default\",le=\"0.005\"} 0");
  assert_line (fixture->usage, "fallback_duration_seconds_bucket{name=\"database\",strategy="
                               "\"default\",le=\"0.01\"} 1");
  assert_line (fixture->usage, "fallback_last_used_timestamp_seconds{name=\"database\",strategy="
                               "\"default\"} 1763720000.01");
  g_assert_cmpuint (derate_fallback_usage_get_count (fixture->usage, "database"), ==, 1);
  g_assert_cmpuint (derate_fallback_usage_get_count (fixture->usage, "redis"), ==, 0);
}

static void
test_none_answers (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DerateFallbackRequest) request = new_request ();
  g_autoptr (GError) error = NULL;

  fixture->second->answer = NULL;
  g_assert_null (derate_fallback_answer (DERATE_FALLBACK (fixture->chain), request, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_UNAVAILABLE);
  g_assert_cmpstr (error->message, ==,
                   "service database: breaker database is open; fallback cached: nothing for “1”; "
                   "fallback default: nothing for “1”");
}

typedef struct
{
  gboolean done;
  DerateFallbackResult *result;
  GError *error;
} Answer;

static void
on_answer (GObject *source, GAsyncResult *result, gpointer data)
{
  Answer *answer = data;

  answer->result = derate_fallback_answer_finish (DERATE_FALLBACK (source), result, &answer->error);
  answer->done = TRUE;
}

static void
ask (Fixture *fixture, GCancellable *cancellable, Answer *answer)
{
  g_autoptr (DerateFallbackRequest) request = new_request ();

  derate_fallback_answer_async (DERATE_FALLBACK (fixture->chain), request, cancellable, on_answer,
                                answer);
  g_assert_false (answer->done);
}

static void
wait_answer (Answer *answer)
{
  while (!answer->done)
    g_main_context_iteration (NULL, TRUE);
}

static void
test_async (Fixture *fixture, gconstpointer data)
{
  Answer answer = { 0 };

  ask (fixture, NULL, &answer);
  wait_answer (&answer);
  g_assert_no_error (answer.error);
  g_assert_cmpstr (derate_fallback_result_get_strategy (answer.result), ==, "default");
  g_assert_cmpuint (fixture->first->n_asked, ==, 1);
  assert_line (fixture->usage, USED "reason=\"open\"} 1");
  derate_fallback_result_unref (answer.result);

  answer = (Answer){ 0 };
  fixture->second->answer = NULL;
  ask (fixture, NULL, &answer);
  wait_answer (&answer);
  g_assert_null (answer.result);
  g_assert_error (answer.error, DERATE_ERROR, DERATE_ERROR_UNAVAILABLE);
  g_assert_nonnull (strstr (answer.error->message, "fallback default: nothing"));
  g_error_free (answer.error);
}

static void
test_async_cancelled (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Answer answer = { 0 };

  fixture->first->hangs = TRUE;
  ask (fixture, cancellable, &answer);
  g_cancellable_cancel (cancellable);
  g_assert_true (g_task_return_error_if_cancelled (fixture->first->hanging));
  g_clear_object (&fixture->first->hanging);
  wait_answer (&answer);
  g_assert_error (answer.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpuint (fixture->second->n_asked, ==, 0);
  assert_line (fixture->usage, "fallback_failures_total{name=\"database\",strategy=\"cached\"} 0");
  g_error_free (answer.error);
}

static void
test_note_answer (Fixture *fixture, gconstpointer data)
{
  derate_fallback_note_answer (DERATE_FALLBACK (fixture->chain), "7",
                               g_variant_new_string ("seven"));
  g_assert_cmpstr (fixture->first->noted, ==, "7=seven");
  g_assert_cmpstr (fixture->second->noted, ==, "7=seven");
}

/* The log: one line at first, then none for a minute, then one that tells of the rest. */
static GPtrArray *logged = NULL;

static GLogWriterOutput
keep_log (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer data)
{
  const char *event = NULL;
  const char *count = NULL;

  for (gsize i = 0; i < n_fields; i++)
    {
      if (strcmp (fields[i].key, "EVENT") == 0)
        event = fields[i].value;
      if (strcmp (fields[i].key, "COUNT") == 0)
        count = fields[i].value;
    }
  if (g_strcmp0 (event, "fallback_used") != 0)
    return g_log_writer_default (level, fields, n_fields, data);
  if (logged != NULL)
    g_ptr_array_add (logged, g_strdup (count));
  return G_LOG_WRITER_HANDLED;
}

static void
test_log_is_limited (Fixture *fixture, gconstpointer data)
{
  logged = g_ptr_array_new_with_free_func (g_free);
  for (guint i = 0; i < 61; i++)
    {
      g_autoptr (DerateFallbackRequest) request = new_request ();
      g_autoptr (DerateFallbackResult) result =
          derate_fallback_answer (DERATE_FALLBACK (fixture->chain), request, NULL);

      g_assert_nonnull (result);
      derate_manual_clock_advance (DERATE_MANUAL_CLOCK (fixture->clock), G_TIME_SPAN_SECOND);
    }
  g_assert_cmpuint (logged->len, ==, 2);
  g_assert_cmpstr (g_ptr_array_index (logged, 0), ==, "1");
  g_assert_cmpstr (g_ptr_array_index (logged, 1), ==, "60");
  g_clear_pointer (&logged, g_ptr_array_unref);
}

static void
test_empty (void)
{
  g_autoptr (DerateFallbackChain) chain = derate_fallback_chain_new ("s3", NULL, NULL);
  g_autoptr (DerateFallbackRequest) request =
      derate_fallback_request_new ("s3", DERATE_FALLBACK_REASON_LEVEL, NULL, NULL, NULL);
  g_autoptr (GError) error = NULL;

  g_assert_null (derate_fallback_answer (DERATE_FALLBACK (chain), request, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_UNAVAILABLE);
  g_assert_cmpstr (error->message, ==, "service s3: level; no fallback");
}

/* A string borrowed from an answer lasts as long as it, whatever another reader asks of it. */
static void
test_borrowed_string (void)
{
  GVariant *tree = g_variant_new ("(@ss)", g_variant_new_take_string (g_strdup ("9.50")), "EUR");
  g_autoptr (DerateFallbackResult) result =
      derate_fallback_result_new (tree, "default", "test", DERATE_FALLBACK_REASON_OPEN, 0);
  const char *borrowed = NULL;

  g_variant_get_child (derate_fallback_result_get_value (result), 0, "&s", &borrowed);
  g_assert_nonnull (g_variant_get_data (derate_fallback_result_get_value (result)));
  g_assert_cmpstr (borrowed, ==, "9.50");
}

static void
test_reasons (void)
{
  static const struct
  {
    gint code;
    const char *nick;
  } rows[] = {
    { DERATE_ERROR_OPEN, "open" },
    { DERATE_ERROR_HALF_OPEN_FULL, "open" },
    { DERATE_ERROR_FORCED, "open" },
    { DERATE_ERROR_DRILL, "drill" },
    { DERATE_ERROR_LEVEL, "level" },
    { DERATE_ERROR_HOLD, "hold" },
    { DERATE_ERROR_TIMED_OUT, "timeout" },
    { DERATE_ERROR_QUEUE_FULL, "overload" },
    { DERATE_ERROR_RATE_LIMITED, "overload" },
    { DERATE_ERROR_FAILED, "error" },
  };
  g_autoptr (GError) refused = g_error_new (G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED, "x");
  g_autoptr (GError) timed_out = g_error_new (G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "x");

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autoptr (GError) error = g_error_new (DERATE_ERROR, rows[i].code, "x");

      g_assert_cmpstr (derate_fallback_reason_get_nick (derate_fallback_reason_from_error (error)),
                       ==, rows[i].nick);
    }
  g_assert_cmpint (derate_fallback_reason_from_error (refused), ==, DERATE_FALLBACK_REASON_ERROR);
  g_assert_cmpint (derate_fallback_reason_from_error (timed_out), ==,
                   DERATE_FALLBACK_REASON_TIMEOUT);
  g_assert_cmpint (derate_fallback_reason_from_error (NULL), ==, DERATE_FALLBACK_REASON_UNKNOWN);
}

typedef struct
{
  const char *description;
  DerateFallbackEdge edges[5];
  const char *cycle;
} CycleRow;

static void
test_cycles (void)
{
  static const CycleRow rows[] = {
    { "nothing", { { NULL } }, NULL },
    { "both bare", { { "database", "cache", FALSE }, { "cache", "database", FALSE } }, NULL },
    { "one bare", { { "database", "cache", TRUE }, { "cache", "database", FALSE } }, NULL },
    { "both run",
      { { "database", "cache", TRUE }, { "cache", "database", TRUE } },
      "database → cache → database" },
    { "itself", { { "a", "a", TRUE } }, "a → a" },
    { "a diamond",
      { { "a", "b", TRUE }, { "a", "c", TRUE }, { "b", "d", TRUE }, { "c", "d", TRUE } },
      NULL },
    { "past the start",
      { { "a", "b", TRUE }, { "b", "c", TRUE }, { "c", "d", TRUE }, { "d", "b", TRUE } },
      "b → c → d → b" },
    { "behind a cleared one",
      { { "z", "y", TRUE }, { "a", "y", TRUE }, { "a", "b", TRUE }, { "b", "a", TRUE } },
      "a → b → a" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autoptr (GError) error = NULL;
      gsize n = 0;

      g_test_message ("%s", rows[i].description);
      while (n < G_N_ELEMENTS (rows[i].edges) && rows[i].edges[n].from != NULL)
        n++;
      if (rows[i].cycle == NULL)
        {
          g_assert_true (derate_fallback_check_cycles (rows[i].edges, n, &error));
          g_assert_no_error (error);
          continue;
        }
      g_assert_false (derate_fallback_check_cycles (rows[i].edges, n, &error));
      g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
      g_assert_true (g_str_has_suffix (error->message, rows[i].cycle));
    }
}

static DerateFallback *
make_test_fallback (DerateFallbackFactory *factory,
                    const char *service,
                    GVariant *options,
                    gpointer user_data,
                    GError **error)
{
  TestFallback *fallback = g_object_new (TEST_TYPE_FALLBACK, NULL);

  g_assert_cmpstr (service, ==, "database");
  g_assert_true (g_variant_is_of_type (options, G_VARIANT_TYPE_VARDICT));
  fallback->strategy = user_data;
  return DERATE_FALLBACK (fallback);
}

static void
count_destroyed (gpointer data)
{
  (*(guint *)data)++;
}

static void
test_factory (void)
{
  g_autoptr (DerateFallbackFactory) factory = derate_fallback_factory_new (NULL);
  g_autoptr (DerateFallback) fallback = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) names = NULL;
  guint destroyed = 0;

  g_assert_true (derate_fallback_factory_register (factory, "b", make_test_fallback,
                                                   (gpointer) "made", NULL, &error));
  g_assert_true (derate_fallback_factory_register (factory, "a", make_test_fallback,
                                                   (gpointer) "other", NULL, &error));
  g_assert_false (derate_fallback_factory_register (factory, "b", make_test_fallback, &destroyed,
                                                    count_destroyed, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_EXISTS);
  g_assert_cmpuint (destroyed, ==, 1);
  g_clear_error (&error);

  names = derate_fallback_factory_dup_strategies (factory);
  g_assert_cmpstrv (names, ((const char *[]){ "a", "b", NULL }));
  fallback = derate_fallback_factory_create (factory, "b", "database", NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (derate_fallback_get_strategy (fallback), ==, "made");

  g_assert_null (derate_fallback_factory_create (factory, "queue", "database", NULL, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_UNKNOWN_STRATEGY);
  g_assert_nonnull (strstr (error->message, "database"));
  g_assert_nonnull (strstr (error->message, "queue"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_log_set_writer_func (keep_log, NULL, NULL);
#define ADD(path, func) \
  g_test_add ("/fallback/chain/" path, Fixture, NULL, fixture_set_up, func, fixture_tear_down)
  ADD ("created-at-zero", test_created_at_zero);
  ADD ("next-answers", test_next_answers);
  ADD ("none-answers", test_none_answers);
  ADD ("async", test_async);
  ADD ("async-cancelled", test_async_cancelled);
  ADD ("note-answer", test_note_answer);
  ADD ("log-is-limited", test_log_is_limited);
#undef ADD
  g_test_add_func ("/fallback/chain/empty", test_empty);
  g_test_add_func ("/fallback/chain/borrowed-string", test_borrowed_string);
  g_test_add_func ("/fallback/reasons", test_reasons);
  g_test_add_func ("/fallback/cycles", test_cycles);
  g_test_add_func ("/fallback/factory", test_factory);
  return g_test_run ();
}
