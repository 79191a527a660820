/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "policy-world.h"

/* What a call causes carries the id of its request. */

static GString *events; /* “EVENT ID;” */

static const char *
find_field (const GLogField *fields, gsize n_fields, const char *key)
{
  for (gsize i = 0; i < n_fields; i++)
    if (strcmp (fields[i].key, key) == 0)
      return fields[i].value;
  return "-";
}

static GLogWriterOutput
write_down (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer data)
{
  g_string_append_printf (events, "%s %s;", find_field (fields, n_fields, "EVENT"),
                          find_field (fields, n_fields, "REQUEST_ID"));
  return G_LOG_WRITER_HANDLED;
}

static DeratePipeline *
make_pipeline (PolicyWorld *world)
{
  g_autoptr (DerateBreakerConfig) config = derate_breaker_config_new ();
  g_autoptr (DerateBreaker) breaker = NULL;
  g_autoptr (DerateBreakerPolicy) stage = NULL;
  g_autoptr (DerateTimeout) timeout = derate_timeout_new (world->clock, G_TIME_SPAN_SECOND);
  DeratePipeline *pipeline = derate_pipeline_new ();

  derate_breaker_config_set_failure_threshold (config, 1);
  breaker = derate_breaker_new_with_clock ("b", config, world->clock);
  stage = derate_breaker_policy_new (breaker);
  derate_pipeline_append (pipeline, DERATE_POLICY (stage));
  derate_pipeline_append (pipeline, DERATE_POLICY (timeout));
  g_string_truncate (events, 0);
  return pipeline;
}

static DerateRequest *
make_request (const char *id)
{
  DerateRequest *request = derate_request_new (DERATE_REQUEST_READ, NULL);

  g_assert_true (derate_request_set_id (request, id, NULL));
  return request;
}

static void
test_sync (void)
{
  g_autoptr (PolicyWorld) world = policy_world_new ("F");
  g_autoptr (DeratePipeline) pipeline = make_pipeline (world);
  g_autoptr (DerateRequest) request = make_request ("req-1");

  policy_world_call (world, pipeline, request, NULL);
  g_assert_nonnull (strstr (events->str, "circuit_breaker_open req-1;"));
}

static void
test_without (void)
{
  g_autoptr (PolicyWorld) world = policy_world_new ("F");
  g_autoptr (DeratePipeline) pipeline = make_pipeline (world);

  policy_world_call (world, pipeline, NULL, NULL);
  g_assert_nonnull (strstr (events->str, "circuit_breaker_open -;"));
}

static DeratePipeline *inner;

static GVariant *
call_inner (GCancellable *cancellable, gpointer world, GError **error)
{
  return derate_policy_call (DERATE_POLICY (inner), NULL, policy_world_operate, world, NULL, NULL,
                             error);
}

/* A call without an id belongs to the one it is made in. */
static void
test_nested (void)
{
  g_autoptr (PolicyWorld) world = policy_world_new ("F");
  g_autoptr (DeratePipeline) pipeline = derate_pipeline_new ();
  g_autoptr (DerateRequest) request = make_request ("req-2");

  inner = make_pipeline (world);
  g_assert_null (
      derate_policy_call (DERATE_POLICY (pipeline), request, call_inner, world, NULL, NULL, NULL));
  g_assert_nonnull (strstr (events->str, "circuit_breaker_open req-2;"));
  g_clear_object (&inner);
}

/* Failed by the operation, in this thread or another, or by the timer. */
static void
test_async (gconstpointer ending)
{
  g_autoptr (PolicyWorld) world = policy_world_new ("hold");
  g_autoptr (DeratePipeline) pipeline = make_pipeline (world);
  g_autoptr (DerateRequest) request = make_request ("req-3");

  policy_world_call_async (world, pipeline, request, NULL);
  if (ending != NULL)
    policy_world_end (world, 0, ending);
  else
    policy_world_advance (world, G_TIME_SPAN_SECOND);
  policy_world_finish (world);
  g_assert_nonnull (strstr (events->str, "circuit_breaker_open req-3;"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  events = g_string_new (NULL);
  g_log_set_writer_func (write_down, NULL, NULL);

  g_test_add_func ("/call-log/sync", test_sync);
  g_test_add_func ("/call-log/without", test_without);
  g_test_add_func ("/call-log/nested", test_nested);
  g_test_add_data_func ("/call-log/async-failure", "F", test_async);
  g_test_add_data_func ("/call-log/async-timeout", NULL, test_async);
  return g_test_run ();
}
