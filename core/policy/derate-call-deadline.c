/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-policy-private.h"
#include "derate-timer-thread-private.h"

/* Threads: a token belongs to the thread that makes the call; its timer runs in the thread of
 * timers, with a reference to nothing but the cancellable. */
struct _DerateCallToken
{
  GCancellable *cancellable;
  GCancellable *parent; /* (nullable) */
  gulong parent_handler;
  gint64 deadline;
  GSource *timer;
};

/**
 * derate_call_get_deadline:
 *
 * When the call that this thread is making should be over, for an operation that can be told: what
 * ends later is recorded as timed out. Of timeouts inside one another the earliest counts.
 *
 * Returns: a time of the timeout's clock in microseconds, or %DERATE_CLOCK_NEVER
 *
 * Since: 1.0
 */
gint64
derate_call_get_deadline (void)
{
  DerateCallContext *context = derate_call_context_get_current ();

  return context != NULL ? context->deadline : DERATE_CLOCK_NEVER;
}

GTimeSpan
derate_call_context_get_time_left (DerateCallContext *context)
{
  if (context->deadline == DERATE_CLOCK_NEVER)
    return G_MAXINT64;
  return context->deadline - derate_clock_get_time (context->clock);
}

static gboolean
on_deadline (gpointer data)
{
  g_cancellable_cancel (data);
  return G_SOURCE_REMOVE;
}

static DerateCallToken *
token_new (DerateCallContext *context)
{
  DerateCallToken *token = g_new0 (DerateCallToken, 1);

  token->cancellable = g_cancellable_new ();
  token->deadline = context->deadline;
  g_set_object (&token->parent, context->cancellable);
  token->parent_handler = derate_cancellable_chain (token->parent, token->cancellable);
  if (derate_clock_get_time (context->clock) >= token->deadline)
    g_cancellable_cancel (token->cancellable);
  token->timer = derate_clock_source_new (context->clock, token->deadline);
  g_source_set_callback (token->timer, on_deadline, g_object_ref (token->cancellable),
                         g_object_unref);
  g_source_attach (token->timer, derate_timer_thread_get_context ());
  return token;
}

void
derate_call_token_release (DerateCallContext *context)
{
  DerateCallToken *token = g_steal_pointer (&context->token);

  g_source_destroy (token->timer);
  g_source_unref (token->timer);
  derate_cancellable_unchain (token->parent, &token->parent_handler);
  g_clear_object (&token->parent);
  g_object_unref (token->cancellable);
  g_free (token);
}

/**
 * derate_call_dup_cancellable:
 *
 * What ends the call that this thread is making, for an operation that can be ended: it is
 * cancelled with the caller's own and at the deadline. It is made when it is first asked for, and
 * with it a thread of the library that watches deadlines; calls that never ask pay nothing. After
 * the operation has returned nothing cancels it any more.
 *
 * Returns: (transfer full) (nullable): the cancellable; %NULL when nothing would ever cancel it
 *
 * Since: 1.0
 */
GCancellable *
derate_call_dup_cancellable (void)
{
  DerateCallContext *context = derate_call_context_get_current ();
  DerateCallToken *token;

  if (context == NULL)
    return NULL;
  if (context->deadline == DERATE_CLOCK_NEVER)
    return context->cancellable != NULL ? g_object_ref (context->cancellable) : NULL;
  token = context->token;
  if (token != NULL &&
      (token->deadline != context->deadline || token->parent != context->cancellable))
    derate_call_token_release (context);
  if (context->token == NULL)
    context->token = token_new (context);
  return g_object_ref (context->token->cancellable);
}
