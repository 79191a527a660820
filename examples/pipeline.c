/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A read that is tried again, through a breaker, with a limit on its time. */
#include <derate.h>

/* The first two attempts fail. */
static GVariant *
read_price (GCancellable *cancellable, gpointer user_data, GError **error)
{
  guint *attempts = user_data;

  if (++*attempts <= 2)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED, "connection closed");
      return NULL;
    }
  return g_variant_new_double (9.5);
}

static DeratePolicy *
make_pipeline (DerateBreaker *breaker)
{
  DeratePipeline *pipeline = derate_pipeline_new ();
  g_autoptr (DerateRetry) retry = derate_retry_new (NULL);
  g_autoptr (DerateBreakerPolicy) stage = derate_breaker_policy_new (breaker);
  g_autoptr (DerateTimeout) timeout =
      derate_timeout_new (derate_clock_get_system (), 2 * G_TIME_SPAN_SECOND);

  derate_retry_set_backoff (retry, 20 * G_TIME_SPAN_MILLISECOND, 2, G_TIME_SPAN_SECOND, 1, NULL);
  derate_pipeline_append (pipeline, DERATE_POLICY (retry));
  derate_pipeline_append (pipeline, DERATE_POLICY (stage));
  derate_pipeline_append (pipeline, DERATE_POLICY (timeout));
  return DERATE_POLICY (pipeline);
}

int
main (void)
{
  g_autoptr (DerateBreaker) breaker = derate_breaker_new ("prices", NULL);
  g_autoptr (DeratePolicy) pipeline = make_pipeline (breaker);
  g_autoptr (DerateRequest) request = derate_request_new (DERATE_REQUEST_READ, "tea");
  g_autoptr (DerateBreakerStats) stats = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) price = NULL;
  guint attempts = 0;

  price = derate_policy_call (pipeline, request, read_price, &attempts, NULL, NULL, &error);
  if (price == NULL)
    g_error ("%s", error->message);
  stats = derate_breaker_dup_stats (breaker);
  g_print ("%.2f after %u attempts\n", g_variant_get_double (price), attempts);
  g_print ("the breaker saw %" G_GUINT64_FORMAT " failures\n", stats->failed_requests);
  return 0;
}
