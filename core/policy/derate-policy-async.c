/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-policy-private.h"

#include "derate-call-private.h"
#include "derate-error.h"

/* Threads: a call belongs to the context it was started in, and is touched only by the thread that
 * has acquired it. An operation may answer in any thread; from another one the answer comes as a
 * source of that context, and so does the start where another thread runs the context.
 *
 * Once the call has ended nobody may run the context any more. Then an answer that is late goes
 * through the stages where it arrives: all are cancelled, so none begins anything, and those that
 * may end without their operation (a timeout, a hedge, a race below) do so under a lock. */

struct _DerateAsyncCall
{
  DeratePolicy *policy;
  DerateRequest *request;
  DerateCallStartFunc func;
  gpointer func_data;
  GDestroyNotify func_destroy;
  GMainContext *context;
  GThread *thread; /* (nullable) that started it, if the context was its to run */
  GSList *fallbacks; /* (element-type DerateFallbackResult) several, when attempts overlap */
  guint n_attempts;

  GMutex mutex;
  GQueue arrivals; /* (element-type Arrival) for the context; guarded, and so are these */
  GSource *arriving; /* (nullable) */
  gboolean is_over; /* nothing is put into the context any more */
};

/* An answer of the operation, on its way to the call's context. */
typedef struct
{
  DerateAsyncCall *call;
  DerateStageDone done;
  gpointer data;
  GVariant *answer;
  GError *error;
} Arrival;

/* An attempt and its cancellation: whichever comes first answers. */
typedef struct
{
  gatomicrefcount refs;
  DerateAsyncCall *call;
  DerateStageDone done; /* NULL once answered; guarded by the call's mutex */
  gpointer data;
  GSource *source; /* (nullable) so is this */
} Race;

static void
async_call_clear (gpointer data)
{
  DerateAsyncCall *call = data;

  if (call->func_destroy != NULL)
    call->func_destroy (call->func_data);
  g_clear_pointer (&call->request, derate_request_unref);
  g_slist_free_full (call->fallbacks, (GDestroyNotify)derate_fallback_result_unref);
  g_clear_pointer (&call->context, g_main_context_unref);
  g_clear_object (&call->policy);
  g_mutex_clear (&call->mutex);
}

DerateAsyncCall *
derate_async_call_ref (DerateAsyncCall *call)
{
  return g_atomic_rc_box_acquire (call);
}

void
derate_async_call_unref (DerateAsyncCall *call)
{
  g_atomic_rc_box_release_full (call, async_call_clear);
}

DerateRequest *
derate_async_call_get_request (DerateAsyncCall *call)
{
  return call->request;
}

DeratePolicy *
derate_async_call_get_policy (DerateAsyncCall *call)
{
  return call->policy;
}

GMainContext *
derate_async_call_get_context (DerateAsyncCall *call)
{
  return call->context;
}

void
derate_async_call_set_fallback (DerateAsyncCall *call, DerateFallbackResult *result)
{
  call->fallbacks = g_slist_prepend (call->fallbacks, result);
}

guint
derate_async_call_count_attempts (DerateAsyncCall *call)
{
  return call->n_attempts;
}

void
derate_async_call_note_attempt (DerateAsyncCall *call)
{
  call->n_attempts++;
}

DerateFallbackResult *
derate_async_call_find_fallback (DerateAsyncCall *call, GVariant *answer)
{
  for (GSList *link = call->fallbacks; answer != NULL && link != NULL; link = link->next)
    if (derate_fallback_result_get_value (link->data) == answer)
      return link->data;
  return NULL;
}

static Arrival *
arrival_new (DerateAsyncCall *call, DerateStageDone done, gpointer data)
{
  Arrival *arrival = g_new0 (Arrival, 1);

  arrival->call = derate_async_call_ref (call);
  arrival->done = done;
  arrival->data = data;
  return arrival;
}

static void
arrival_free (Arrival *arrival)
{
  g_clear_pointer (&arrival->answer, g_variant_unref);
  g_clear_error (&arrival->error);
  derate_async_call_unref (arrival->call);
  g_free (arrival);
}

/* Ends a stage on behalf of @call. Takes both. */
void
derate_async_call_end_stage (DerateAsyncCall *call,
                             DerateStageDone done,
                             gpointer data,
                             GVariant *answer,
                             GError *error)
{
  DerateCallContext frame = { .request = call->request };

  derate_call_context_push (&frame);
  done (data, answer, error);
  derate_call_context_pop (&frame);
}

static void
arrive (Arrival *arrival)
{
  derate_async_call_end_stage (arrival->call, arrival->done, arrival->data,
                               g_steal_pointer (&arrival->answer),
                               g_steal_pointer (&arrival->error));
  arrival_free (arrival);
}

/* Takes what has arrived. With @over nothing is put into the context from now on. */
static void
arrive_all (DerateAsyncCall *call, gboolean over)
{
  g_autoptr (GSource) source = NULL;
  GQueue arrivals;
  Arrival *arrival;

  g_mutex_lock (&call->mutex);
  arrivals = call->arrivals;
  g_queue_init (&call->arrivals);
  source = g_steal_pointer (&call->arriving);
  call->is_over |= over;
  g_mutex_unlock (&call->mutex);
  if (source != NULL)
    g_source_destroy (source);
  while ((arrival = g_queue_pop_head (&arrivals)) != NULL)
    arrive (arrival);
}

static gboolean
on_arrivals (gpointer call)
{
  arrive_all (call, FALSE);
  return G_SOURCE_REMOVE;
}

static GSource *
add_to_context (GMainContext *context,
                const char *name,
                GSourceFunc func,
                gpointer data,
                GDestroyNotify destroy)
{
  GSource *source = g_idle_source_new ();

  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_name (source, name);
  g_source_set_callback (source, func, data, destroy);
  g_source_attach (source, context);
  return source;
}

/* FALSE when the call has ended. */
static gboolean
try_post (DerateAsyncCall *call, Arrival *arrival)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&call->mutex);

  if (call->is_over)
    return FALSE;
  g_queue_push_tail (&call->arrivals, arrival);
  if (call->arriving == NULL)
    call->arriving =
        add_to_context (call->context, "[derate] answer", on_arrivals, derate_async_call_ref (call),
                        (GDestroyNotify)derate_async_call_unref);
  return TRUE;
}

/* Whether this is the call's thread, and not inside of what it does in another context: what the
 * stages begin is heard of in the thread's default. */
static gboolean
is_in_place (DerateAsyncCall *call)
{
  g_autoptr (GMainContext) here = NULL;

  if (call->thread != g_thread_self ())
    return FALSE;
  here = g_main_context_ref_thread_default ();
  return here == call->context;
}

/* The operation has answered, in any thread. */
static void
on_operation_done (gpointer data, GVariant *answer, GError *error)
{
  Arrival *arrival = data;
  g_autoptr (DerateAsyncCall) call = derate_async_call_ref (arrival->call);

  arrival->answer = answer;
  arrival->error = error;
  if (is_in_place (call) && g_main_context_acquire (call->context))
    {
      arrive (arrival);
      g_main_context_release (call->context);
    }
  else if (!try_post (call, arrival))
    arrive (arrival);
}

void
derate_async_call_end_anywhere (DerateAsyncCall *call,
                                DerateStageDone done,
                                gpointer data,
                                GVariant *answer,
                                GError *error)
{
  on_operation_done (arrival_new (call, done, data), answer, error);
}

static void
start_operation (DerateAsyncCall *call,
                 GCancellable *cancellable,
                 DerateStageDone done,
                 gpointer data)
{
  GError *error = NULL;

  if (g_cancellable_set_error_if_cancelled (cancellable, &error))
    {
      done (data, NULL, error);
      return;
    }
  derate_async_call_note_attempt (call);
  call->func (derate_call_new (on_operation_done, arrival_new (call, done, data)), cancellable,
              call->func_data);
}

void
derate_stage_start (DerateAsyncCall *call,
                    guint index,
                    GCancellable *cancellable,
                    DerateStageDone done,
                    gpointer data)
{
  DerateCallContext frame = { .request = call->request };
  DeratePolicy *policy;

  derate_call_context_push (&frame);
  if (index < call->policy->n_stages)
    {
      policy = call->policy->stages[index];
      DERATE_POLICY_GET_CLASS (policy)->start (policy, call, index + 1, cancellable, done, data);
    }
  else
    start_operation (call, cancellable, done, data);
  derate_call_context_pop (&frame);
}

static void
race_unref (gpointer data)
{
  Race *race = data;

  if (!g_atomic_ref_count_dec (&race->refs))
    return;
  derate_async_call_unref (race->call);
  g_free (race);
}

/* Takes both. */
static void
race_end (Race *race, GVariant *answer, GError *error)
{
  g_autoptr (GSource) source = NULL;
  DerateStageDone done;

  g_mutex_lock (&race->call->mutex);
  done = g_steal_pointer (&race->done);
  source = g_steal_pointer (&race->source);
  g_mutex_unlock (&race->call->mutex);
  if (source != NULL)
    g_source_destroy (source);
  if (done != NULL)
    {
      derate_async_call_end_stage (race->call, done, race->data, answer, error);
      return;
    }
  g_clear_pointer (&answer, g_variant_unref);
  g_clear_error (&error);
}

static gboolean
on_cancelled (GCancellable *cancellable, gpointer data)
{
  race_end (data, NULL,
            g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED, "the call was cancelled"));
  return G_SOURCE_REMOVE;
}

static void
on_attempt_done (gpointer data, GVariant *answer, GError *error)
{
  Race *race = data;

  race_end (race, answer, error);
  race_unref (race);
}

static void
race_watch (Race *race, GCancellable *cancellable)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&race->call->mutex);

  if (race->done == NULL)
    return;
  g_atomic_ref_count_inc (&race->refs);
  race->source = g_cancellable_source_new (cancellable);
  g_source_set_priority (race->source, G_PRIORITY_DEFAULT);
  g_source_set_static_name (race->source, "[derate] cancelled");
  g_source_set_callback (race->source, G_SOURCE_FUNC (on_cancelled), race, race_unref);
  g_source_attach (race->source, race->call->context);
}

/* The source is made after the stages inside have made theirs, and so they end first. */
void
derate_stage_start_cancellable (DerateAsyncCall *call,
                                guint index,
                                GCancellable *cancellable,
                                DerateStageDone done,
                                gpointer data)
{
  Race *race;

  if (cancellable == NULL)
    {
      derate_stage_start (call, index, NULL, done, data);
      return;
    }
  race = g_new0 (Race, 1);
  g_atomic_ref_count_init (&race->refs);
  g_atomic_ref_count_inc (&race->refs);
  race->call = derate_async_call_ref (call);
  race->done = done;
  race->data = data;
  derate_stage_start (call, index, cancellable, on_attempt_done, race);
  race_watch (race, cancellable);
  race_unref (race);
}

static void
on_call_done (gpointer data, GVariant *answer, GError *error)
{
  GTask *task = data;
  DerateAsyncCall *call = g_task_get_task_data (task);

  arrive_all (call, TRUE);
  if (call->policy->ended != NULL)
    derate_policy_tell_end (call->policy, answer,
                            derate_async_call_find_fallback (call, answer) != NULL, error);
  if (answer != NULL)
    g_task_return_pointer (task, answer, (GDestroyNotify)g_variant_unref);
  else
    g_task_return_error (task, error);
  g_object_unref (task);
}

/* In the call's context. */
static gboolean
begin (gpointer data)
{
  GTask *task = g_object_ref (data);
  DerateAsyncCall *call = g_task_get_task_data (task);
  GCancellable *cancellable = g_task_get_cancellable (task);
  GError *error = NULL;

  if (g_cancellable_set_error_if_cancelled (cancellable, &error))
    {
      g_task_return_error (task, error);
      g_object_unref (task);
    }
  else
    derate_stage_start_cancellable (call, 0, cancellable, on_call_done, task);
  return G_SOURCE_REMOVE;
}

/**
 * derate_policy_call_async:
 * @policy: a policy
 * @request: (nullable): what is asked for; without it, a write that must not be made twice
 * @func: (scope notified) (closure func_data) (destroy func_destroy): starts the call; it may be
 *   called never, or several times
 * @func_data: given to @func
 * @func_destroy: (nullable): frees @func_data when the last attempt has ended
 * @cancellable: (nullable): ends the call early; when it is cancelled already nothing is called or
 *   counted
 * @callback: (scope async) (closure user_data): called in this thread's default context
 * @user_data: given to @callback
 *
 * Makes a call under @policy. An attempt may be answered in any thread; the policies act in this
 * thread's default context: @func is called at once where this thread may run that context, and
 * from it in all other cases, as the second time.
 *
 * A call that is cancelled ends with %G_IO_ERROR_CANCELLED as soon as that context runs, though its
 * operation may go on for ever: what it answers then is dropped, and only what counts operations
 * under way, such as a bulkhead, still waits for it. That needs no context: it is dropped, and
 * @func_data freed, in the thread that answers. But run a context of one's own until what waited in
 * a bulkhead's queue, and a fallback that was asked, have ended too: their places are lost with it.
 *
 * Since: 1.0
 */
void
derate_policy_call_async (DeratePolicy *policy,
                          DerateRequest *request,
                          DerateCallStartFunc func,
                          gpointer func_data,
                          GDestroyNotify func_destroy,
                          GCancellable *cancellable,
                          GAsyncReadyCallback callback,
                          gpointer user_data)
{
  g_autoptr (DerateAsyncCall) call = NULL;
  g_autoptr (GTask) task = NULL;
  GSource *source;

  g_return_if_fail (DERATE_IS_POLICY (policy) && func != NULL);

  if (!__atomic_load_n (&policy->used, __ATOMIC_RELAXED))
    derate_policy_set_used (policy);
  task = g_task_new (policy, cancellable, callback, user_data);
  g_task_set_source_tag (task, derate_policy_call_async);
  g_task_set_check_cancellable (task, FALSE);

  call = g_atomic_rc_box_new0 (DerateAsyncCall);
  call->policy = g_object_ref (policy);
  call->request = request != NULL ? derate_request_ref (request) : NULL;
  call->func = func;
  call->func_data = func_data;
  call->func_destroy = func_destroy;
  call->context = g_main_context_ref_thread_default ();
  g_mutex_init (&call->mutex);
  g_task_set_task_data (task, derate_async_call_ref (call),
                        (GDestroyNotify)derate_async_call_unref);

  if (!g_main_context_acquire (call->context))
    {
      source = add_to_context (call->context, "[derate] call", begin, g_steal_pointer (&task),
                               g_object_unref);
      g_source_unref (source);
      return;
    }
  call->thread = g_thread_self ();
  begin (task);
  g_main_context_release (call->context);
}

/**
 * derate_policy_call_finish:
 * @policy: a policy
 * @result: what the callback was given
 * @fallback: (out) (optional) (nullable) (transfer full): where the answer came from, when it is a
 *   fallback's; %NULL when it is the real one
 * @error: return location for what went wrong: a refusal of one of the policies, or the error of
 *   the last attempt
 *
 * Ends derate_policy_call_async().
 *
 * Returns: (transfer full): the answer
 *
 * Since: 1.0
 */
GVariant *
derate_policy_call_finish (DeratePolicy *policy,
                           GAsyncResult *result,
                           DerateFallbackResult **fallback,
                           GError **error)
{
  DerateFallbackResult *result_of_fallback;
  DerateAsyncCall *call;
  GVariant *answer;

  g_return_val_if_fail (g_task_is_valid (result, policy), NULL);

  call = g_task_get_task_data (G_TASK (result));
  answer = g_task_propagate_pointer (G_TASK (result), error);
  if (fallback != NULL)
    {
      result_of_fallback = derate_async_call_find_fallback (call, answer);
      *fallback =
          result_of_fallback != NULL ? derate_fallback_result_ref (result_of_fallback) : NULL;
    }
  return answer;
}
