/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent-guard.h"

/* Held by the task's timer and by the operation under way; whichever comes first answers. */
typedef struct
{
  gatomicrefcount refs;
  const AgentOperation *operation;
  gpointer client;
  gpointer request;
  GDestroyNotify free_request;
  GTask *task; /* NULL once answered */
  DeratePermit *permit;
  GCancellable *cancellable;
  GSource *timer;
} Guard;

static void
guard_unref (gpointer data)
{
  Guard *guard = data;

  if (!g_atomic_ref_count_dec (&guard->refs))
    return;
  g_clear_object (&guard->task);
  g_clear_pointer (&guard->permit, derate_permit_unref);
  g_clear_object (&guard->cancellable);
  g_clear_pointer (&guard->timer, g_source_unref);
  if (guard->free_request != NULL)
    guard->free_request (guard->request);
  g_free (guard);
}

static gboolean
on_share_spent (gpointer data)
{
  Guard *guard = data;
  g_autoptr (GTask) task = g_steal_pointer (&guard->task);
  g_autoptr (GError) error = NULL;

  if (task != NULL)
    {
      error = g_error_new_literal (DERATE_ERROR, DERATE_ERROR_TIMED_OUT, "no answer in time");
      derate_permit_fail (guard->permit, error);
      g_cancellable_cancel (guard->cancellable);
      g_task_return_error (task, g_steal_pointer (&error));
    }
  return G_SOURCE_REMOVE;
}

static void
on_answered (GObject *source, GAsyncResult *result, gpointer data)
{
  Guard *guard = data;
  g_autoptr (GTask) task = g_steal_pointer (&guard->task);
  g_autoptr (GError) error = NULL;
  gpointer answer = guard->operation->finish (guard->client, result, &error);

  if (task == NULL)
    {
      if (answer != NULL)
        guard->operation->free_answer (answer);
    }
  else if (answer == NULL)
    {
      /* Our own limit says nothing about the dependency. */
      if (g_error_matches (error, DERATE_ERROR, DERATE_ERROR_QUEUE_FULL))
        derate_permit_cancel (guard->permit);
      else
        derate_permit_fail (guard->permit, error);
      g_task_return_error (task, g_steal_pointer (&error));
    }
  else
    {
      derate_permit_succeed (guard->permit);
      g_task_return_pointer (task, answer, guard->operation->free_answer);
    }
  g_source_destroy (guard->timer);
  guard_unref (guard);
}

void
agent_guard_async (const AgentDependency *dependency,
                   const AgentOperation *operation,
                   gpointer request,
                   GDestroyNotify free_request,
                   GAsyncReadyCallback callback,
                   gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (NULL, NULL, callback, user_data);
  g_autoptr (GError) error = NULL;
  Guard *guard = g_new0 (Guard, 1);

  g_task_set_source_tag (task, agent_guard_async);
  g_atomic_ref_count_init (&guard->refs);
  guard->operation = operation;
  guard->client = dependency->client;
  guard->request = request;
  guard->free_request = free_request;

  guard->permit = derate_breaker_begin (dependency->breaker, &error);
  if (guard->permit == NULL)
    {
      g_task_return_error (task, g_steal_pointer (&error));
      guard_unref (guard);
      return;
    }

  guard->task = g_steal_pointer (&task);
  guard->cancellable = g_cancellable_new ();
  guard->timer =
      derate_clock_source_new (dependency->clock,
                               derate_clock_get_time (dependency->clock) + dependency->share);
  g_atomic_ref_count_inc (&guard->refs);
  g_source_set_callback (guard->timer, on_share_spent, guard, guard_unref);
  g_source_attach (guard->timer, g_main_context_get_thread_default ());
  operation->start (guard->client, guard->request, guard->cancellable, on_answered, guard);
}

gpointer
agent_guard_finish (GAsyncResult *result, GError **error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}
