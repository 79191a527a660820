/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <derate-fallbacks.h>
#include <derate.h>
#include <string.h>

/* What the file says of metrics, and whose call it was that stands beside a number. */

static char *logged_id = NULL; /* of the last fallback_used */

static GLogWriterOutput
keep_id (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer data)
{
  gboolean used = FALSE;
  const char *id = NULL;

  for (gsize i = 0; i < n_fields; i++)
    {
      used |=
          g_str_equal (fields[i].key, "EVENT") && g_str_equal (fields[i].value, "fallback_used");
      if (g_str_equal (fields[i].key, "REQUEST_ID"))
        {
          g_assert_null (id);
          id = fields[i].value;
        }
    }
  if (!used)
    return g_log_writer_default (level, fields, n_fields, data);
  g_free (logged_id);
  logged_id = g_strdup (id);
  return G_LOG_WRITER_HANDLED;
}

static DerateCore *
new_core (const char *keys, DerateClock *clock)
{
  g_autofree char *text =
      g_strdup_printf ("[derate]\nname=shop\n%s"
                       "[service "
                       "redis]\nrole=cache\nbreaker-slow-call-duration=10ms\nfallback=usual\n"
                       "[fallback usual]\nstrategy=default\nvalue=1\n",
                       keys);
  g_autoptr (GError) error = NULL;
  g_autoptr (DerateConfig) config = derate_config_new_from_data (text, "a.conf", &error);
  DerateCore *core;

  g_assert_no_error (error);
  core = derate_core_new_from_config (config, clock, &error);
  g_assert_no_error (error);
  derate_fallbacks_register (derate_core_get_fallbacks (core), &error);
  g_assert_no_error (error);
  return core;
}

static char *
render (DerateCore *core, DerateMetricsFormat format)
{
  g_autoptr (GBytes) bytes =
      derate_metrics_registry_render_as (derate_core_get_metrics (core), format);

  return g_strndup (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
}

#define USED "{name=\"redis\",strategy=\"default\",reason=\"open\"} 1\n"

static void
test_aliases (void)
{
  static const struct
  {
    const char *keys;
    gboolean shown;
  } rows[] = {
    { "", FALSE },
    { "metrics-aliases=off\n", FALSE },
    { "metrics-aliases=on\n", TRUE },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autoptr (DerateClock) clock = derate_manual_clock_new ();
      g_autoptr (DerateCore) core = new_core (rows[i].keys, clock);
      g_autofree char *text = NULL;

      derate_fallback_usage_note (derate_core_get_fallback_usage (core), "redis", "default",
                                  DERATE_FALLBACK_REASON_OPEN, 1000, TRUE);
      text = render (core, DERATE_METRICS_FORMAT_TEXT);
      g_assert_nonnull (strstr (text, "\ncircuit_breaker_fallback_used_total" USED));
      g_assert_true ((strstr (text, "\ncircuit_breaker_fallback_calls_total" USED) != NULL) ==
                     rows[i].shown);
    }
}

static GVariant *
take_time (GCancellable *cancellable, gpointer data, GError **error)
{
  DerateCore *core = data;

  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (derate_core_get_clock (core)),
                               50 * G_TIME_SPAN_MILLISECOND);
  derate_fallback_usage_note (derate_core_get_fallback_usage (core), "redis", "default",
                              DERATE_FALLBACK_REASON_OPEN, 250, TRUE);
  return g_variant_new_int32 (1);
}

/* A slow call is found by its id, and so is one that a fallback answered. */
static void
test_exemplars (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateCore) core = new_core ("", clock);
  g_autoptr (DerateBreaker) breaker = derate_core_lookup_breaker (core, "redis");
  g_autoptr (DerateBreakerPolicy) policy = derate_breaker_policy_new (breaker);
  g_autoptr (DerateRequest) request = derate_request_new (DERATE_REQUEST_READ, NULL);
  g_autoptr (GVariant) answer = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *text = NULL;

  g_assert_true (derate_request_set_id (request, "call-7", &error));
  answer =
      derate_policy_call (DERATE_POLICY (policy), request, take_time, core, NULL, NULL, &error);
  g_assert_no_error (error);
  text = render (core, DERATE_METRICS_FORMAT_OPENMETRICS);
  g_assert_nonnull (strstr (text, "circuit_breaker_call_duration_seconds_bucket{name=\"redis\","
                                  "le=\"0.05\"} 1 # {trace_id=\"call-7\"} 0.05 "));
  g_assert_nonnull (strstr (text,
                            "fallback_duration_seconds_bucket{name=\"redis\",strategy="
                            "\"default\",le=\"0.00025\"} 1 # {trace_id=\"call-7\"} 0.00025 "));
  g_assert_cmpstr (logged_id, ==, "call-7");
}

static void
keep_call (DerateCall *call, GCancellable *cancellable, gpointer place)
{
  *(DerateCall **)place = call;
}

static void
on_ended (GObject *source, GAsyncResult *result, gpointer n_ended)
{
  g_autoptr (GVariant) answer = NULL;
  g_autoptr (GError) error = NULL;

  answer = derate_policy_call_finish (DERATE_POLICY (source), result, NULL, &error);
  g_assert_no_error (error);
  ++*(guint *)n_ended;
}

static gpointer
succeed (gpointer call)
{
  derate_call_succeed (call, g_variant_new_int32 (1));
  derate_call_unref (call);
  return NULL;
}

static gpointer
fail (gpointer call)
{
  g_autoptr (GError) error = g_error_new (G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED, "refused");

  derate_call_fail (call, error);
  derate_call_unref (call);
  return NULL;
}

#define SLOW "\ncircuit_breaker_call_duration_seconds_bucket{name=\"redis\",le="
#define FALLBACK "\nfallback_duration_seconds_bucket{name=\"redis\",strategy=\"default\",le="

typedef struct
{
  const char *name;
  GThreadFunc end;
  gboolean elsewhere;
  const char *lines[2]; /* after each of the two calls */
} AsyncCase;

static const AsyncCase async_cases[] = {
  { "slow",
    succeed,
    FALSE,
    { SLOW "\"0.05\"} 1 # {trace_id=\"first\"} 0.04 ",
      SLOW "\"0.1\"} 2 # {trace_id=\"second\"} 0.08 " } },
  { "slow-elsewhere",
    succeed,
    TRUE,
    { SLOW "\"0.05\"} 1 # {trace_id=\"first\"} 0.04 ",
      SLOW "\"0.1\"} 2 # {trace_id=\"second\"} 0.08 " } },
  { "fallback",
    fail,
    FALSE,
    { FALLBACK "\"1e-05\"} 1 # {trace_id=\"first\"} 0 ",
      FALLBACK "\"1e-05\"} 2 # {trace_id=\"second\"} 0 " } },
  { "fallback-elsewhere",
    fail,
    TRUE,
    { FALLBACK "\"1e-05\"} 1 # {trace_id=\"first\"} 0 ",
      FALLBACK "\"1e-05\"} 2 # {trace_id=\"second\"} 0 " } },
};

static void
start_call (DeratePipeline *pipeline, const char *id, DerateCall **place, guint *n_ended)
{
  g_autoptr (DerateRequest) request = derate_request_new (DERATE_REQUEST_READ, NULL);

  g_assert_true (derate_request_set_id (request, id, NULL));
  derate_policy_call_async (DERATE_POLICY (pipeline), request, keep_call, place, NULL, NULL,
                            on_ended, n_ended);
}

/* Two calls are under way at once: each is found by its own id, whoever ends it, and where. */
static void
test_async_exemplars (gconstpointer data)
{
  const AsyncCase *row = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateCore) core = new_core ("", clock);
  g_autoptr (DeratePipeline) pipeline =
      derate_core_create_pipeline (core, "redis", DERATE_CORE_PIPELINE_NO_RETRY, &error);
  DerateCall *calls[2] = { NULL };
  guint n_ended = 0;

  g_assert_no_error (error);
  g_clear_pointer (&logged_id, g_free);
  start_call (pipeline, "first", &calls[0], &n_ended);
  start_call (pipeline, "second", &calls[1], &n_ended);
  for (guint i = 0; i < 2; i++)
    {
      g_autofree char *text = NULL;

      derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 40 * G_TIME_SPAN_MILLISECOND);
      if (row->elsewhere)
        g_thread_join (g_thread_new ("answer", row->end, calls[i]));
      else
        row->end (calls[i]);
      while (n_ended <= i)
        g_main_context_iteration (NULL, TRUE);
      text = render (core, DERATE_METRICS_FORMAT_OPENMETRICS);
      g_assert_nonnull (strstr (text, row->lines[i]));
    }
  /* Of two so near each other only the first is logged. */
  g_assert_cmpstr (logged_id, ==, row->end == fail ? "first" : NULL);
}

int
main (int argc, char **argv)
{
  gint result;

  g_test_init (&argc, &argv, NULL);
  g_log_set_writer_func (keep_id, NULL, NULL);
  g_test_add_func ("/core/metrics/aliases", test_aliases);
  g_test_add_func ("/core/metrics/exemplars", test_exemplars);
  for (guint i = 0; i < G_N_ELEMENTS (async_cases); i++)
    {
      g_autofree char *path =
          g_strconcat ("/core/metrics/async-exemplars/", async_cases[i].name, NULL);

      g_test_add_data_func (path, &async_cases[i], test_async_exemplars);
    }
  result = g_test_run ();
  g_clear_pointer (&logged_id, g_free);
  return result;
}
