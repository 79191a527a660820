/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tasks that wait until the pool is open, drained or closed. Threads: added by any, under the lock;
 * returned by the pool thread, which took them out of their list under it. */
#include "derate-pg-pool-private.h"

static void
drop_source (gpointer data)
{
  g_source_destroy (data);
  g_source_unref (data);
}

static gboolean
cancelled (GCancellable *cancellable, gpointer user_data)
{
  GTask *task = user_data;
  DeratePgPool *pool = g_task_get_source_object (task);
  GPtrArray *lists[] = { pool->openings, pool->drains };
  g_autoptr (GTask) taken = NULL;

  g_mutex_lock (&pool->lock);
  for (guint i = 0; i < G_N_ELEMENTS (lists) && taken == NULL; i++)
    {
      guint at;

      if (g_ptr_array_find (lists[i], task, &at))
        taken = g_ptr_array_steal_index (lists[i], at);
    }
  g_mutex_unlock (&pool->lock);
  if (taken != NULL)
    {
      g_task_set_task_data (taken, NULL, NULL);
      g_task_return_error_if_cancelled (taken);
    }
  return G_SOURCE_REMOVE;
}

void
derate_pg_pool_add_task (DeratePgPool *pool, GPtrArray *list, GTask *task)
{
  GCancellable *cancellable = g_task_get_cancellable (task);
  GSource *source;

  g_ptr_array_add (list, task);
  if (cancellable == NULL)
    return;
  source = g_cancellable_source_new (cancellable);
  g_source_set_static_name (source, "[derate] waiting for a pool");
  g_source_set_callback (source, G_SOURCE_FUNC (cancelled), g_object_ref (task), g_object_unref);
  g_task_set_task_data (task, source, drop_source);
  g_source_attach (source, pool->context);
}

GPtrArray *
derate_pg_pool_steal_tasks (GPtrArray *list)
{
  GPtrArray *stolen = g_ptr_array_new_with_free_func (g_object_unref);

  g_ptr_array_extend_and_steal (stolen, g_ptr_array_ref (list));
  return stolen;
}

void
derate_pg_pool_return_tasks (GPtrArray *tasks, const GError *error)
{
  for (guint i = 0; i < tasks->len; i++)
    {
      GTask *task = tasks->pdata[i];

      g_task_set_task_data (task, NULL, NULL);
      if (error != NULL)
        g_task_return_error (task, g_error_copy (error));
      else
        g_task_return_boolean (task, TRUE);
    }
}
