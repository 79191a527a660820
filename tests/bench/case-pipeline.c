/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "case-pipeline.h"

#include <derate.h>

#include "bench.h"

static GVariant *answer;
static DerateRequest *request;

/* Retry, breaker, timeout, bulkhead, and what a drill would delay. */
gpointer
bench_pipeline_new (void)
{
  g_autoptr (DerateBreaker) breaker = derate_breaker_new ("bench", NULL);
  g_autoptr (DerateService) service = derate_service_new ("bench", DERATE_SERVICE_ROLE_NONE, NULL);
  g_autoptr (DerateCore) core = derate_core_new ("bench", NULL, NULL);
  DeratePipeline *pipeline;

  if (answer == NULL)
    {
      answer = g_variant_ref_sink (g_variant_new_int32 (42));
      request = derate_request_new (DERATE_REQUEST_READ, "key");
    }
  derate_service_set_breaker (service, breaker);
  derate_core_add_service (core, service, NULL);
  pipeline = derate_core_create_pipeline (core, "bench", DERATE_CORE_PIPELINE_UNCOUNTED, NULL);
  bench_pipeline_call (pipeline, 1000);
  return pipeline;
}

static GVariant *
operate (GCancellable *cancellable, gpointer data, GError **error)
{
  return g_variant_ref (answer);
}

void
bench_pipeline_call (gpointer pipeline, guint64 n)
{
  for (guint64 i = 0; i < n; i++)
    {
      GVariant *value = derate_policy_call (pipeline, request, operate, NULL, NULL, NULL, NULL);

      if (value == NULL)
        g_error ("the call failed");
      g_variant_unref (value);
    }
}

double
bench_pipeline_count_allocations (void)
{
  gpointer pipeline = bench_pipeline_new ();
  guint64 before = bench_count_allocations ();
  double n;

  bench_pipeline_call (pipeline, 1000);
  n = (double)(bench_count_allocations () - before);
  g_object_unref (pipeline);
  return n;
}
