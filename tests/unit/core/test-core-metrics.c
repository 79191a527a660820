/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <derate.h>
#include <string.h>

/* What the file says of metrics, and whose call it was that stands beside a number. */

static DerateCore *
new_core (const char *keys, DerateClock *clock)
{
  g_autofree char *text =
      g_strdup_printf ("[derate]\nname=shop\n%s"
                       "[service redis]\nrole=cache\nbreaker-slow-call-duration=10ms\n",
                       keys);
  g_autoptr (GError) error = NULL;
  g_autoptr (DerateConfig) config = derate_config_new_from_data (text, "a.conf", &error);
  DerateCore *core;

  g_assert_no_error (error);
  core = derate_core_new_from_config (config, clock, &error);
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
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/core/metrics/aliases", test_aliases);
  g_test_add_func ("/core/metrics/exemplars", test_exemplars);
  return g_test_run ();
}
