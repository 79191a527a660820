/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-fallback-policy-private.h"

/* A call that waits for the run. It ends when the run does, or when it is cancelled. */
typedef struct
{
  guint refs; /* the run, and the source */
  DerateFallbackRun *run;
  DerateAsyncCall *call; /* keeps the policy */
  GSource *source; /* (nullable) */
  GError *error; /* of the call so far */
  DerateStageDone done; /* NULL once ended */
  gpointer data;
} Waiter;

struct _DerateFallbackRun
{
  DerateFallbackPolicy *policy; /* kept: who waits may go */
  GMainContext *context;
  char *key; /* NULL: nobody may join */
  GCancellable *cancellable; /* when nobody waits any more */
  GPtrArray *waiters; /* (element-type Waiter) */
  guint n_waiting;
  gboolean joinable; /* in the policy's table */
};

guint
derate_fallback_run_hash (gconstpointer data)
{
  const DerateFallbackRun *run = data;

  return g_str_hash (run->key) ^ g_direct_hash (run->context);
}

gboolean
derate_fallback_run_equal (gconstpointer a, gconstpointer b)
{
  const DerateFallbackRun *run = a;
  const DerateFallbackRun *other = b;

  return run->context == other->context && g_str_equal (run->key, other->key);
}

static void
waiter_unref (gpointer data)
{
  Waiter *waiter = data;

  if (--waiter->refs > 0)
    return;
  g_clear_pointer (&waiter->source, g_source_unref);
  g_clear_error (&waiter->error);
  derate_async_call_unref (waiter->call);
  g_free (waiter);
}

static void
run_free (DerateFallbackRun *run)
{
  g_ptr_array_unref (run->waiters);
  g_object_unref (run->cancellable);
  g_object_unref (run->policy);
  g_main_context_unref (run->context);
  g_free (run->key);
  g_free (run);
}

/* After this nobody joins. */
static void
run_close (DerateFallbackRun *run)
{
  g_autoptr (GMutexLocker) locker = NULL;

  if (!run->joinable)
    return;
  locker = g_mutex_locker_new (&run->policy->mutex);
  g_hash_table_remove (run->policy->runs, run);
  run->joinable = FALSE;
}

/* Takes both. */
static void
waiter_end (Waiter *waiter, GVariant *answer, GError *error)
{
  DerateStageDone done = g_steal_pointer (&waiter->done);

  if (waiter->source != NULL)
    g_source_destroy (waiter->source);
  derate_async_call_end_stage (waiter->call, done, waiter->data, answer, error);
}

static gboolean
on_cancelled (GCancellable *cancellable, gpointer data)
{
  Waiter *waiter = data;
  DerateFallbackRun *run = waiter->run;
  g_autoptr (GCancellable) unwanted = NULL;

  if (waiter->done == NULL)
    return G_SOURCE_REMOVE;
  if (--run->n_waiting == 0)
    {
      run_close (run);
      unwanted = g_object_ref (run->cancellable);
    }
  waiter_end (waiter, NULL,
              g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED, "the call was cancelled"));
  if (unwanted != NULL)
    g_cancellable_cancel (unwanted);
  return G_SOURCE_REMOVE;
}

static void
waiter_answer (Waiter *waiter, DerateFallbackResult *result, const char *why)
{
  DerateFallbackResult *addressed;

  if (waiter->done == NULL)
    return;
  if (result == NULL)
    {
      derate_fallback_policy_add_cause (waiter->run->policy, waiter->error, why);
      waiter_end (waiter, NULL, g_steal_pointer (&waiter->error));
      return;
    }
  addressed = derate_fallback_policy_address (derate_fallback_result_ref (result),
                                              derate_async_call_get_request (waiter->call));
  derate_async_call_set_fallback (waiter->call, addressed);
  waiter_end (waiter, g_variant_ref (derate_fallback_result_get_value (addressed)), NULL);
}

static void
on_answered (GObject *source, GAsyncResult *async, gpointer data)
{
  DerateFallbackRun *run = data;
  g_autoptr (GError) why = NULL;
  g_autoptr (DerateFallbackResult) result =
      derate_fallback_answer_finish (DERATE_FALLBACK (source), async, &why);

  derate_fallback_policy_leave (run->policy);
  run_close (run);
  for (guint i = 0; i < run->waiters->len; i++)
    waiter_answer (g_ptr_array_index (run->waiters, i), result,
                   why != NULL ? why->message : "no answer");
  run_free (run);
}

static void
run_add (DerateFallbackRun *run,
         DerateAsyncCall *call,
         GCancellable *cancellable,
         GError *error,
         DerateStageDone done,
         gpointer data)
{
  Waiter *waiter = g_new0 (Waiter, 1);

  waiter->refs = 1;
  waiter->run = run;
  waiter->call = derate_async_call_ref (call);
  waiter->error = error;
  waiter->done = done;
  waiter->data = data;
  g_ptr_array_add (run->waiters, waiter);
  run->n_waiting++;
  if (cancellable == NULL)
    return;
  waiter->refs++;
  waiter->source = g_cancellable_source_new (cancellable);
  g_source_set_priority (waiter->source, G_PRIORITY_DEFAULT);
  g_source_set_static_name (waiter->source, "[derate] cancelled");
  g_source_set_callback (waiter->source, G_SOURCE_FUNC (on_cancelled), waiter, waiter_unref);
  g_source_attach (waiter->source, run->context);
}

static DerateFallbackRun *
run_new (DerateFallbackPolicy *self, GMainContext *context, const char *key)
{
  DerateFallbackRun *run = g_new0 (DerateFallbackRun, 1);

  run->policy = g_object_ref (self);
  run->context = g_main_context_ref (context);
  run->key = g_strdup (key);
  run->cancellable = g_cancellable_new ();
  run->waiters = g_ptr_array_new_with_free_func (waiter_unref);
  return run;
}

/* The key by which calls may share; NULL where they may not. */
static const char *
get_shared_key (DerateRequest *request)
{
  return (derate_request_get_flags (request) & DERATE_REQUEST_READ)
             ? derate_request_get_key (request)
             : NULL;
}

static DerateFallbackRun *
find_run (DerateFallbackPolicy *self, GMainContext *context, const char *key)
{
  const DerateFallbackRun wanted = { .context = context, .key = (char *)key };
  g_autoptr (GMutexLocker) locker = NULL;

  if (key == NULL)
    return NULL;
  locker = g_mutex_locker_new (&self->mutex);
  return g_hash_table_lookup (self->runs, &wanted);
}

/* Others may join from now on. */
static void
run_open (DerateFallbackRun *run)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&run->policy->mutex);

  run->joinable = g_hash_table_add (run->policy->runs, run);
}

void
derate_fallback_run_ask (DerateFallbackPolicy *self,
                         DerateAsyncCall *call,
                         GCancellable *cancellable,
                         GError *error,
                         DerateStageDone done,
                         gpointer data)
{
  DerateRequest *request = derate_async_call_get_request (call);
  GMainContext *context = derate_async_call_get_context (call);
  const char *key = get_shared_key (request);
  g_autoptr (DerateFallbackRequest) made = NULL;
  DerateFallbackRun *run = find_run (self, context, key);

  if (run != NULL)
    {
      run_add (run, call, cancellable, error, done, data);
      return;
    }
  if (!derate_fallback_policy_enter (self))
    {
      derate_fallback_policy_add_cause (self, error, "too many run already");
      done (data, NULL, error);
      return;
    }
  made = derate_fallback_policy_make_request (self, request, error);
  run = run_new (self, context, key);
  run_add (run, call, cancellable, error, done, data);
  if (key != NULL)
    run_open (run);
  derate_fallback_answer_async (self->fallback, made, run->cancellable, on_answered, run);
}
