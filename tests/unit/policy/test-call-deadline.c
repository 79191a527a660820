/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy-world.h"

/* What an operation in the calling thread can learn of its call. */
typedef struct
{
  DerateClock *clock;
  DeratePolicy *inner; /* (nullable) one more call is made inside */
  gint64 deadline;
  GCancellable *token; /* (nullable) */
  GCancellable *caller; /* (nullable) cancelled by the operation */
  GTimeSpan wait; /* then it waits until the token is cancelled, or this has passed */
  gboolean cancelled;
} Look;

static GVariant *
look (GCancellable *cancellable, gpointer data, GError **error)
{
  Look *self = data;
  g_autoptr (GCancellable) again = NULL;

  if (self->inner != NULL)
    return derate_policy_call (g_steal_pointer (&self->inner), NULL, look, self, NULL, NULL, error);
  self->deadline = derate_call_get_deadline ();
  g_clear_object (&self->token);
  self->token = derate_call_dup_cancellable ();
  again = derate_call_dup_cancellable ();
  g_assert_true (self->token == again);
  if (self->caller != NULL)
    g_cancellable_cancel (self->caller);
  if (self->wait > 0)
    derate_manual_clock_advance (DERATE_MANUAL_CLOCK (self->clock), self->wait);
  self->cancelled = g_cancellable_is_cancelled (self->token);
  return g_variant_new_uint32 (1);
}

static void
run (Look *self, gpointer policy, GCancellable *cancellable, const char *end)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) answer =
      derate_policy_call (policy, NULL, look, self, cancellable, NULL, &error);

  g_assert_cmpstr (error != NULL ? error->message : NULL, ==, end);
  g_assert_true ((answer == NULL) == (end != NULL));
  g_assert_cmpint (derate_call_get_deadline (), ==, DERATE_CLOCK_NEVER);
  g_assert_null (derate_call_dup_cancellable ());
}

static void
look_clear (Look *self)
{
  g_clear_object (&self->token);
  g_clear_object (&self->clock);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Look, look_clear)

static void
test_none (void)
{
  g_auto (Look) self = { 0 };
  g_autoptr (DeratePipeline) pipeline = derate_pipeline_new ();
  g_autoptr (GCancellable) caller = g_cancellable_new ();

  run (&self, pipeline, NULL, NULL);
  g_assert_cmpint (self.deadline, ==, DERATE_CLOCK_NEVER);
  g_assert_null (self.token);
  run (&self, pipeline, caller, NULL);
  g_assert_true (self.token == caller);
}

static DeratePipeline *
make_pipeline (DerateClock *clock, GTimeSpan outer, GTimeSpan inner)
{
  DeratePipeline *pipeline = derate_pipeline_new ();
  const GTimeSpan spans[] = { outer, inner };

  for (guint i = 0; i < G_N_ELEMENTS (spans); i++)
    {
      g_autoptr (DerateTimeout) timeout = derate_timeout_new (clock, spans[i]);

      derate_pipeline_append (pipeline, DERATE_POLICY (timeout));
    }
  return pipeline;
}

/* Of timeouts inside one another the earliest counts. */
static void
test_earliest (void)
{
  static const GTimeSpan spans[][2] = { { 3, 5 }, { 5, 3 }, { 3, 3 } };

  for (guint i = 0; i < G_N_ELEMENTS (spans); i++)
    {
      g_auto (Look) self = { .clock = derate_manual_clock_new () };
      g_autoptr (DeratePipeline) pipeline = make_pipeline (self.clock, spans[i][0], spans[i][1]);

      run (&self, pipeline, NULL, NULL);
      g_assert_cmpint (self.deadline, ==, derate_clock_get_time (self.clock) + 3);
      g_assert_false (self.cancelled);
    }
}

/* By the timer of another thread, while this one is busy. */
static void
test_token_at_deadline (void)
{
  g_auto (Look) self = { .clock = derate_manual_clock_new (), .wait = 3 };
  g_autoptr (DeratePipeline) pipeline = make_pipeline (self.clock, 5, 3);

  run (&self, pipeline, NULL, "no answer within 3us");
  g_assert_true (self.cancelled);
}

static void
test_token_before_deadline (void)
{
  g_auto (Look) self = { .clock = derate_manual_clock_new (), .wait = 2 };
  g_autoptr (DeratePipeline) pipeline = make_pipeline (self.clock, 5, 3);

  run (&self, pipeline, NULL, NULL);
  g_assert_false (self.cancelled);
  /* When the call is over nothing cancels it any more. */
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (self.clock), G_TIME_SPAN_HOUR);
  g_assert_false (g_cancellable_is_cancelled (self.token));
}

static void
test_token_by_caller (void)
{
  g_auto (Look) self = { .clock = derate_manual_clock_new () };
  g_autoptr (DeratePipeline) pipeline = make_pipeline (self.clock, 5, 3);
  g_autoptr (GCancellable) caller = g_cancellable_new ();
  g_autoptr (GCancellable) kept = NULL;

  run (&self, pipeline, caller, NULL);
  kept = g_steal_pointer (&self.token);
  self.caller = caller;
  run (&self, pipeline, caller, NULL);
  g_assert_true (self.cancelled);
  g_assert_true (self.token != caller);
  g_assert_false (g_cancellable_is_cancelled (kept));
}

/* A call inside a call has its deadline too. */
static void
test_nested (void)
{
  g_auto (Look) self = { .clock = derate_manual_clock_new (), .wait = 7 };
  g_autoptr (DeratePipeline) outer = make_pipeline (self.clock, 7, 9);
  g_autoptr (DeratePipeline) empty = derate_pipeline_new ();

  self.inner = DERATE_POLICY (empty);
  run (&self, outer, NULL, "no answer within 7us");
  g_assert_cmpint (self.deadline, ==, derate_clock_get_time (self.clock));
  g_assert_true (self.cancelled);
}

static GVariant *
look_late (GCancellable *cancellable, gpointer data, GError **error)
{
  Look *self = data;

  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (self->clock), 10);
  self->token = derate_call_dup_cancellable ();
  self->cancelled = g_cancellable_is_cancelled (self->token);
  return g_variant_new_uint32 (1);
}

/* Asked for when it is too late already. */
static void
test_token_after_deadline (void)
{
  g_auto (Look) self = { .clock = derate_manual_clock_new () };
  g_autoptr (DeratePipeline) pipeline = make_pipeline (self.clock, 5, 3);

  g_assert_null (
      derate_policy_call (DERATE_POLICY (pipeline), NULL, look_late, &self, NULL, NULL, NULL));
  g_assert_true (self.cancelled);
}

int
main (int argc, char **argv)
{
  policy_test_init (&argc, &argv);

  g_test_add_func ("/call-deadline/none", test_none);
  g_test_add_func ("/call-deadline/earliest", test_earliest);
  g_test_add_func ("/call-deadline/token/at-deadline", test_token_at_deadline);
  g_test_add_func ("/call-deadline/token/before-deadline", test_token_before_deadline);
  g_test_add_func ("/call-deadline/token/after-deadline", test_token_after_deadline);
  g_test_add_func ("/call-deadline/token/by-caller", test_token_by_caller);
  g_test_add_func ("/call-deadline/nested", test_nested);
  return g_test_run ();
}
