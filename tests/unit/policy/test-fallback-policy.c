/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "policy-world.h"

#define STAND_IN 99

/* A fallback that answers 99, at once or when it is told to, or has nothing. */
#define TEST_TYPE_FALLBACK (test_fallback_get_type ())
G_DECLARE_FINAL_TYPE (TestFallback, test_fallback, TEST, FALLBACK, GObject)

struct _TestFallback
{
  GObject parent_instance;
  gboolean empty;
  gboolean hangs;
  gboolean stubborn; /* does not end when it is cancelled */
  DerateManualClock *clock; /* (nullable) */
  guint asked;
  guint cancelled;
  GPtrArray *hanging; /* (element-type GTask) */
  GString *requests; /* “REASON[!] KEY BODY ID;” for each, ! is a write */
  GString *noted; /* “KEY=VALUE;” */
};

static const char *
test_fallback_get_strategy (DerateFallback *base)
{
  return "test";
}

static void
write_down (TestFallback *self, DerateFallbackRequest *request)
{
  GVariant *body = derate_fallback_request_get_request (request);
  const char *key = derate_fallback_request_get_key (request);
  const char *id = derate_fallback_request_get_id (request);

  g_assert_cmpstr (derate_fallback_request_get_service (request), ==, "shop");
  g_assert_nonnull (derate_fallback_request_get_cause (request));
  g_string_append_printf (self->requests, "%s%s %s %s %s;",
                          derate_fallback_reason_get_nick (
                              derate_fallback_request_get_reason (request)),
                          derate_fallback_request_is_write (request) ? "!" : "",
                          key != NULL ? key : "-",
                          body != NULL ? g_variant_get_string (body, NULL) : "-",
                          id != NULL ? id : "-");
}

static DerateFallbackResult *
answer (TestFallback *self, GError **error)
{
  if (!self->empty)
    return derate_fallback_result_new (g_variant_new_uint32 (STAND_IN), "test", "rule",
                                       DERATE_FALLBACK_REASON_ERROR, 0);
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_UNAVAILABLE, "nothing here");
  return NULL;
}

static DerateFallbackResult *
test_fallback_answer (DerateFallback *base, DerateFallbackRequest *request, GError **error)
{
  TestFallback *self = TEST_FALLBACK (base);

  self->asked++;
  write_down (self, request);
  if (self->clock != NULL)
    derate_manual_clock_advance (self->clock, G_TIME_SPAN_HOUR);
  return answer (self, error);
}

static void
end_task (TestFallback *self, GTask *task)
{
  g_autoptr (GError) error = NULL;
  DerateFallbackResult *result = answer (self, &error);

  if (result != NULL)
    g_task_return_pointer (task, result, (GDestroyNotify)derate_fallback_result_unref);
  else
    g_task_return_error (task, g_steal_pointer (&error));
}

/* The oldest one. */
static void
end_hanging (TestFallback *self)
{
  g_autoptr (GTask) task = g_ptr_array_steal_index (self->hanging, 0);

  end_task (self, task);
}

static void
on_cancelled (GCancellable *cancellable, gpointer data)
{
  TestFallback *self = data;

  self->cancelled++;
  if (!self->stubborn)
    end_hanging (self);
}

static void
test_fallback_answer_async (DerateFallback *base,
                            DerateFallbackRequest *request,
                            GCancellable *cancellable,
                            GAsyncReadyCallback callback,
                            gpointer user_data)
{
  TestFallback *self = TEST_FALLBACK (base);
  g_autoptr (GTask) task = g_task_new (base, cancellable, callback, user_data);

  self->asked++;
  write_down (self, request);
  g_signal_connect_object (cancellable, "cancelled", G_CALLBACK (on_cancelled), self,
                           (GConnectFlags)0);
  if (self->hangs)
    g_ptr_array_add (self->hanging, g_steal_pointer (&task));
  else
    end_task (self, task);
}

static void
test_fallback_note_answer (DerateFallback *base, const char *key, GVariant *value)
{
  g_string_append_printf (TEST_FALLBACK (base)->noted, "%s=%u;", key != NULL ? key : "-",
                          g_variant_get_uint32 (value));
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
  TestFallback *self = TEST_FALLBACK (object);

  g_ptr_array_unref (self->hanging);
  g_string_free (self->requests, TRUE);
  g_string_free (self->noted, TRUE);
  G_OBJECT_CLASS (test_fallback_parent_class)->finalize (object);
}

static void
test_fallback_class_init (TestFallbackClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = test_fallback_finalize;
}

static void
test_fallback_init (TestFallback *self)
{
  self->hanging = g_ptr_array_new_with_free_func (g_object_unref);
  self->requests = g_string_new (NULL);
  self->noted = g_string_new (NULL);
}

typedef struct
{
  PolicyWorld *world;
  TestFallback *fallback;
  DerateBreaker *breaker;
  DerateFallbackPolicy *policy;
  DeratePipeline *pipeline; /* the policy, and the breaker inside */
  DerateRequest *read;
} Fixture;

static void
set_up (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DerateBreakerConfig) config = derate_breaker_config_new ();
  g_autoptr (DerateBreakerPolicy) stage = NULL;
  g_autoptr (DerateFallbackChain) chain = NULL;

  derate_breaker_config_ignore_error (config, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  fixture->world = policy_world_new ("hold");
  fixture->fallback = g_object_new (TEST_TYPE_FALLBACK, NULL);
  fixture->breaker = derate_breaker_new_with_clock ("b", config, fixture->world->clock);
  fixture->policy = derate_fallback_policy_new ("shop", DERATE_FALLBACK (fixture->fallback));
  fixture->pipeline = derate_pipeline_new ();
  stage = derate_breaker_policy_new (fixture->breaker);
  derate_pipeline_append (fixture->pipeline, DERATE_POLICY (fixture->policy));
  derate_pipeline_append (fixture->pipeline, DERATE_POLICY (stage));
  fixture->read = derate_request_new (DERATE_REQUEST_READ, "k");
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  derate_request_unref (fixture->read);
  g_clear_object (&fixture->pipeline);
  g_clear_object (&fixture->policy);
  g_object_unref (fixture->breaker);
  g_object_unref (fixture->fallback);
  policy_world_free (fixture->world);
}

typedef struct
{
  const char *name;
  const char *script;
  gboolean open;
  gboolean alone; /* no breaker inside */
  gboolean empty;
  const char *end;
  const char *request; /* what the fallback was asked */
  const char *noted;
} Case;

static const Case cases[] = {
  { "real", "S", FALSE, FALSE, FALSE, "1", "", "k=1;" },
  { "error", "F", FALSE, FALSE, FALSE, "fallback:99", "error k - -;", "" },
  { "timeout", "T", FALSE, FALSE, FALSE, "fallback:99", "timeout k - -;", "" },
  { "refusal", "S", TRUE, FALSE, FALSE, "fallback:99", "open k - -;", "" },
  { "neutral", "N", FALSE, FALSE, FALSE, "io:1", "", "" },
  { "nobody-judges", "N", FALSE, TRUE, FALSE, "fallback:99", "error k - -;", "" },
  { "cancelled", "cancelled", FALSE, FALSE, FALSE, "cancelled", "", "" },
  { "empty", "F", FALSE, FALSE, TRUE, "io:39", "error k - -;", "" },
  { "empty-refusal", "S", TRUE, FALSE, TRUE, "derate:open", "open k - -;", "" },
};

static void
check (Fixture *fixture, const Case *test)
{
  policy_world_assert_end (fixture->world, test->end);
  g_assert_cmpstr (fixture->fallback->requests->str, ==, test->request);
  g_assert_cmpstr (fixture->fallback->noted->str, ==, test->noted);
  if (test->empty)
    g_assert_nonnull (strstr (fixture->world->error->message, "fallback test: nothing here"));
}

static void
test_case (Fixture *fixture, const Case *test, gboolean async)
{
  gpointer policy = test->alone ? (gpointer)fixture->policy : fixture->pipeline;

  policy_world_set_script (fixture->world, test->script);
  fixture->fallback->empty = test->empty;
  if (test->open)
    derate_breaker_trip (fixture->breaker, NULL);
  if (async)
    {
      policy_world_call_async (fixture->world, policy, fixture->read, NULL);
      policy_world_finish (fixture->world);
    }
  else
    policy_world_call (fixture->world, policy, fixture->read, NULL);
  check (fixture, test);
}

static void
test_sync (Fixture *fixture, gconstpointer data)
{
  test_case (fixture, data, FALSE);
}

static void
test_async (Fixture *fixture, gconstpointer data)
{
  test_case (fixture, data, TRUE);
}

/* A write is not noted; its body and id reach the fallback, and the id the answer. */
static void
test_write (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DerateRequest) write = derate_request_new (DERATE_REQUEST_IDEMPOTENT, "w");
  g_autoptr (GVariant) provenance = NULL;
  const char *id = NULL;

  derate_request_set_body (write, g_variant_new_string ("body"));
  g_assert_true (derate_request_set_id (write, "id-7", NULL));
  policy_world_set_script (fixture->world, "S F");
  policy_world_call (fixture->world, fixture->pipeline, write, NULL);
  policy_world_assert_end (fixture->world, "1");
  policy_world_call (fixture->world, fixture->pipeline, write, NULL);
  policy_world_assert_end (fixture->world, "fallback:99");
  g_assert_cmpstr (fixture->fallback->requests->str, ==, "error! w body id-7;");
  g_assert_cmpstr (fixture->fallback->noted->str, ==, "");
  g_assert_cmpstr (derate_fallback_result_get_request_id (fixture->world->fallback), ==, "id-7");
  provenance = derate_fallback_result_dup_provenance (fixture->world->fallback);
  g_assert_true (g_variant_lookup (provenance, "request_id", "&s", &id));
  g_assert_cmpstr (id, ==, "id-7");
}

/* Without a request it is a write of nothing known. */
static void
test_no_request (Fixture *fixture, gconstpointer data)
{
  policy_world_set_script (fixture->world, "F");
  policy_world_call (fixture->world, fixture->pipeline, NULL, NULL);
  policy_world_assert_end (fixture->world, "fallback:99");
  policy_world_call_async (fixture->world, fixture->pipeline, NULL, NULL);
  policy_world_finish (fixture->world);
  policy_world_assert_end (fixture->world, "fallback:99");
  g_assert_cmpstr (fixture->fallback->requests->str, ==, "error! - - -;error! - - -;");
}

/* A chain's text has the call's own in it, once. */
static void
test_chain_cause (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DerateFallbackChain) chain =
      derate_fallback_chain_new ("shop", fixture->world->clock, NULL);
  g_autoptr (DerateFallbackPolicy) policy =
      derate_fallback_policy_new ("shop", DERATE_FALLBACK (chain));

  fixture->fallback->empty = TRUE;
  derate_fallback_chain_append (chain, DERATE_FALLBACK (fixture->fallback));
  policy_world_set_script (fixture->world, "F");
  policy_world_call (fixture->world, policy, NULL, NULL);
  policy_world_assert_end (fixture->world, "io:39");
  g_assert_cmpstr (fixture->world->error->message, ==,
                   "service shop: refused; fallback test: nothing here");
}

/* An answer of the fallback that a timeout outside drops is nobody's. */
static void
test_dropped_answer (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DeratePipeline) pipeline = derate_pipeline_new ();
  g_autoptr (DerateTimeout) timeout =
      derate_timeout_new (fixture->world->clock, G_TIME_SPAN_MINUTE);

  fixture->fallback->clock = DERATE_MANUAL_CLOCK (fixture->world->clock);
  derate_pipeline_append (pipeline, DERATE_POLICY (timeout));
  derate_pipeline_append (pipeline, DERATE_POLICY (fixture->pipeline));
  policy_world_set_script (fixture->world, "F");
  policy_world_call (fixture->world, pipeline, fixture->read, NULL);
  policy_world_assert_end (fixture->world, "derate:timed-out");
}

/* The answer of an inner fallback is no real one for the outer. */
static void
test_two_fallbacks (Fixture *fixture, gconstpointer async)
{
  g_autoptr (TestFallback) outer = g_object_new (TEST_TYPE_FALLBACK, NULL);
  g_autoptr (DerateFallbackPolicy) policy =
      derate_fallback_policy_new ("shop", DERATE_FALLBACK (outer));
  g_autoptr (DeratePipeline) pipeline = derate_pipeline_new ();

  derate_pipeline_append (pipeline, DERATE_POLICY (policy));
  derate_pipeline_append (pipeline, DERATE_POLICY (fixture->pipeline));
  policy_world_set_script (fixture->world, "F");
  if (async != NULL)
    policy_world_call_async (fixture->world, pipeline, fixture->read, NULL);
  else
    policy_world_call (fixture->world, pipeline, fixture->read, NULL);
  policy_world_finish (fixture->world);
  policy_world_assert_end (fixture->world, "fallback:99");
  g_assert_cmpuint (outer->asked, ==, 0);
  g_assert_cmpstr (outer->noted->str, ==, "");
}

/* An operation that fails while its thread runs another context: the fallback belongs to the
 * call's. */
static void
test_answered_elsewhere (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GMainContext) elsewhere = g_main_context_new ();

  policy_world_set_script (fixture->world, "hold");
  policy_world_call_async (fixture->world, fixture->pipeline, fixture->read, NULL);
  g_main_context_push_thread_default (elsewhere);
  policy_world_end (fixture->world, 0, "F");
  g_main_context_pop_thread_default (elsewhere);
  policy_world_run (fixture->world);
  policy_world_assert_end (fixture->world, "fallback:99");
}

static void
on_done (GObject *source, GAsyncResult *result, gpointer data)
{
  GString *ends = data;
  g_autoptr (DerateFallbackResult) fallback = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) found =
      derate_policy_call_finish (DERATE_POLICY (source), result, &fallback, &error);
  const char *id = fallback != NULL ? derate_fallback_result_get_request_id (fallback) : NULL;

  if (found != NULL)
    g_string_append_printf (ends, "%u%s ", g_variant_get_uint32 (found), id != NULL ? id : "");
  else
    g_string_append (ends, g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED) ? "cancelled "
                                                                                     : "error ");
}

static void
call (Fixture *fixture, const char *key, const char *id, GCancellable *cancellable, GString *ends)
{
  g_autoptr (DerateRequest) request =
      derate_request_new (key[0] == '!' ? DERATE_REQUEST_NONE : DERATE_REQUEST_READ, key);

  if (id != NULL)
    g_assert_true (derate_request_set_id (request, id, NULL));
  derate_policy_call_async (DERATE_POLICY (fixture->policy), request, policy_world_start,
                            fixture->world, NULL, cancellable, on_done, ends);
}

/* Reads of one key share; each has its own id in the answer. */
static void
test_coalesce (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GString) ends = g_string_new (NULL);

  policy_world_set_script (fixture->world, "F");
  fixture->fallback->hangs = TRUE;
  call (fixture, "a", "-1", NULL, ends);
  call (fixture, "a", "-2", NULL, ends);
  call (fixture, "b", NULL, NULL, ends);
  call (fixture, "a", NULL, NULL, ends);
  call (fixture, "!a", NULL, NULL, ends);
  call (fixture, "!a", NULL, NULL, ends);
  g_assert_cmpuint (fixture->fallback->asked, ==, 4);
  end_hanging (fixture->fallback);
  policy_world_run (fixture->world);
  g_assert_cmpstr (ends->str, ==, "99-1 99-2 99 ");
  call (fixture, "a", NULL, NULL, ends);
  g_assert_cmpuint (fixture->fallback->asked, ==, 5);
  while (fixture->fallback->hanging->len > 0)
    end_hanging (fixture->fallback);
  policy_world_run (fixture->world);
  g_assert_cmpstr (ends->str, ==, "99-1 99-2 99 99 99 99 99 ");
}

static void
test_coalesce_empty (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GString) ends = g_string_new (NULL);

  policy_world_set_script (fixture->world, "F");
  fixture->fallback->hangs = fixture->fallback->empty = TRUE;
  call (fixture, "a", NULL, NULL, ends);
  call (fixture, "a", NULL, NULL, ends);
  end_hanging (fixture->fallback);
  policy_world_run (fixture->world);
  g_assert_cmpstr (ends->str, ==, "error error ");
}

/* One that gives up takes nothing from the other; when the last one has, the run is cancelled, and
 * nobody joins it. */
static void
test_coalesce_cancelled (Fixture *fixture, gconstpointer stubborn)
{
  g_autoptr (GString) ends = g_string_new (NULL);
  g_autoptr (GCancellable) first = g_cancellable_new ();
  g_autoptr (GCancellable) second = g_cancellable_new ();

  policy_world_set_script (fixture->world, "F");
  fixture->fallback->hangs = TRUE;
  fixture->fallback->stubborn = stubborn != NULL;
  call (fixture, "a", NULL, first, ends);
  call (fixture, "a", NULL, second, ends);
  g_cancellable_cancel (first);
  policy_world_run (fixture->world);
  g_assert_cmpstr (ends->str, ==, "cancelled ");
  g_assert_cmpuint (fixture->fallback->cancelled, ==, 0);
  g_cancellable_cancel (second);
  policy_world_run (fixture->world);
  g_assert_cmpstr (ends->str, ==, "cancelled cancelled ");
  g_assert_cmpuint (fixture->fallback->cancelled, ==, 1);
  call (fixture, "a", NULL, NULL, ends);
  g_assert_cmpuint (fixture->fallback->asked, ==, 2);
  while (fixture->fallback->hanging->len > 0)
    end_hanging (fixture->fallback);
  policy_world_run (fixture->world);
  g_assert_cmpstr (ends->str, ==, "cancelled cancelled 99 ");
}

/* Cancelled while the operation runs: no fallback is asked. */
static void
test_cancelled_before_fallback (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();

  policy_world_call_async (fixture->world, fixture->pipeline, fixture->read, cancellable);
  g_cancellable_cancel (cancellable);
  policy_world_end (fixture->world, 0, "F");
  policy_world_finish (fixture->world);
  g_assert_cmpuint (fixture->fallback->asked, ==, 0);
}

static void
test_budget (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GString) ends = g_string_new (NULL);

  g_assert_cmpuint (derate_fallback_policy_get_max_concurrent (fixture->policy), ==, 10);
  derate_fallback_policy_set_max_concurrent (fixture->policy, 2);
  policy_world_set_script (fixture->world, "F");
  fixture->fallback->hangs = TRUE;
  call (fixture, "a", NULL, NULL, ends);
  call (fixture, "b", NULL, NULL, ends);
  call (fixture, "c", NULL, NULL, ends); /* no place */
  call (fixture, "a", NULL, NULL, ends); /* needs none */
  policy_world_run (fixture->world);
  g_assert_cmpstr (ends->str, ==, "error ");
  g_assert_cmpuint (fixture->fallback->asked, ==, 2);
  policy_world_call (fixture->world, fixture->policy, fixture->read, NULL);
  policy_world_assert_end (fixture->world, "io:39");
  g_assert_nonnull (strstr (fixture->world->error->message, "too many run"));

  end_hanging (fixture->fallback);
  policy_world_run (fixture->world);
  policy_world_call (fixture->world, fixture->policy, fixture->read, NULL);
  policy_world_assert_end (fixture->world, "fallback:99");
  end_hanging (fixture->fallback);
  policy_world_run (fixture->world);
  g_assert_cmpstr (ends->str, ==, "error 99 99 99 ");
}

static void
test_no_budget (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GString) ends = g_string_new (NULL);

  derate_fallback_policy_set_max_concurrent (fixture->policy, 0);
  policy_world_set_script (fixture->world, "F");
  fixture->fallback->hangs = TRUE;
  for (guint i = 0; i < 100; i++)
    call (fixture, "!w", NULL, NULL, ends);
  g_assert_cmpuint (fixture->fallback->asked, ==, 100);
  while (fixture->fallback->hanging->len > 0)
    end_hanging (fixture->fallback);
  policy_world_run (fixture->world);
  g_assert_cmpuint (ends->len, ==, 300);
}

/* The program lets go of all while a fallback runs. */
static void
test_outlives_its_maker (Fixture *fixture, gconstpointer data)
{
  policy_world_set_script (fixture->world, "F");
  fixture->fallback->hangs = TRUE;
  policy_world_call_async (fixture->world, fixture->pipeline, fixture->read, NULL);
  g_clear_object (&fixture->pipeline);
  g_clear_object (&fixture->policy);
  end_hanging (fixture->fallback);
  policy_world_finish (fixture->world);
  policy_world_assert_end (fixture->world, "fallback:99");
}

int
main (int argc, char **argv)
{
#define ADD(path, func, data) \
  g_test_add ("/fallback-policy/" path, Fixture, data, set_up, func, tear_down)

  policy_test_init (&argc, &argv);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *sync = g_strconcat ("/fallback-policy/sync/", cases[i].name, NULL);
      g_autofree char *async = g_strconcat ("/fallback-policy/async/", cases[i].name, NULL);

      g_test_add (sync, Fixture, &cases[i], set_up, test_sync, tear_down);
      g_test_add (async, Fixture, &cases[i], set_up, test_async, tear_down);
    }
  ADD ("write", test_write, NULL);
  ADD ("no-request", test_no_request, NULL);
  ADD ("chain-cause", test_chain_cause, NULL);
  ADD ("dropped-answer", test_dropped_answer, NULL);
  ADD ("two-fallbacks", test_two_fallbacks, NULL);
  ADD ("two-fallbacks-async", test_two_fallbacks, "async");
  ADD ("answered-elsewhere", test_answered_elsewhere, NULL);
  ADD ("coalesce/reads", test_coalesce, NULL);
  ADD ("coalesce/empty", test_coalesce_empty, NULL);
  ADD ("coalesce/cancelled", test_coalesce_cancelled, NULL);
  ADD ("coalesce/cancelled-and-goes-on", test_coalesce_cancelled, "stubborn");
  ADD ("cancelled-before", test_cancelled_before_fallback, NULL);
  ADD ("budget", test_budget, NULL);
  ADD ("no-budget", test_no_budget, NULL);
  ADD ("outlives-its-maker", test_outlives_its_maker, NULL);
  return g_test_run ();
}
