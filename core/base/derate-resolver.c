/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-resolver.h"

#include "derate-clock.h"
#include "derate-resolver-private.h"

/* Threads: a look-up in GLib holds a thread of GTask's pool until the name server has answered or
 * libc has given up, cancelled or not; so there is one at a time for each host, whoever asks. It is
 * started and finished in the context of a thread of ours, because a caller's context may stop
 * running while others wait. Each waiter is a GTask and is answered in its own context: by that
 * thread, or by its own cancellable; whichever takes it out of its host's list under the mutex. */

#define REUSE_SPAN (60 * G_TIME_SPAN_SECOND)

typedef struct
{
  char *name;
  GPtrArray *waiters; /* (element-type GTask), owned */
  gboolean in_flight;
  GList *addresses; /* (element-type GInetAddress): the last good ones */
  gint64 found_at;
} Host;

typedef struct
{
  char *name;
  GSource *cancelled; /* NULL where nothing cancels */
} Waiter;

static GMutex mutex;
static GHashTable *hosts = NULL;
static DerateClock *age_clock = NULL;

static void
host_free (Host *host)
{
  g_free (host->name);
  g_ptr_array_unref (host->waiters);
  g_resolver_free_addresses (host->addresses);
  g_free (host);
}

static void
waiter_free (Waiter *waiter)
{
  g_free (waiter->name);
  g_clear_pointer (&waiter->cancelled, g_source_unref);
  g_free (waiter);
}

static gpointer
run_context (gpointer data)
{
  GMainContext *context = data;

  g_main_context_push_thread_default (context);
  while (TRUE)
    g_main_context_iteration (context, TRUE);
  return NULL;
}

/* The context in which look-ups end. Its thread lasts as long as the process. */
static GMainContext *
get_context (void)
{
  static gsize once = 0;

  if (g_once_init_enter (&once))
    {
      GMainContext *context = g_main_context_new ();

      g_thread_unref (g_thread_new ("derate-dns", run_context, context));
      g_once_init_leave (&once, (gsize)context);
    }
  return (GMainContext *)once;
}

static gint64
get_now (void)
{
  return derate_clock_get_time (age_clock != NULL ? age_clock : derate_clock_get_system ());
}

static GList *
copy_addresses (GList *addresses)
{
  return g_list_copy_deep (addresses, (GCopyFunc)g_object_ref, NULL);
}

static void
free_addresses (gpointer data)
{
  g_resolver_free_addresses (data);
}

/* Called locked: drops what nobody waits for and nobody may reuse. */
static void
prune_hosts (gint64 now)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, hosts);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      Host *host = value;

      if (!host->in_flight && (host->addresses == NULL || now - host->found_at >= REUSE_SPAN))
        g_hash_table_iter_remove (&iter);
    }
}

/* Called locked. */
static Host *
ensure_host (const char *name)
{
  Host *host;

  if (hosts == NULL)
    hosts = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify)host_free);
  host = g_hash_table_lookup (hosts, name);
  if (host == NULL)
    {
      host = g_new0 (Host, 1);
      host->name = g_strdup (name);
      host->waiters = g_ptr_array_new_with_free_func (g_object_unref);
      g_hash_table_insert (hosts, host->name, host);
    }
  return host;
}

/* The source holds a reference to the task: it must go for the task to go. */
static void
answer (GTask *task, GList *addresses, const GError *error)
{
  Waiter *waiter = g_task_get_task_data (task);

  if (waiter->cancelled != NULL)
    g_source_destroy (waiter->cancelled);
  if (error != NULL)
    g_task_return_error (task, g_error_copy (error));
  else
    g_task_return_pointer (task, copy_addresses (addresses), free_addresses);
}

static void
on_found (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autofree char *name = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) waiters = NULL;
  GList *old = NULL;
  GList *found = g_resolver_lookup_by_name_finish (G_RESOLVER (source), result, &error);
  Host *host;
  gint64 now;

  if (found == NULL && error == NULL)
    error = g_error_new (G_RESOLVER_ERROR, G_RESOLVER_ERROR_NOT_FOUND,
                         "the resolver has no address for “%s”", name);

  g_mutex_lock (&mutex);
  now = get_now ();
  host = g_hash_table_lookup (hosts, name);
  host->in_flight = FALSE;
  waiters = g_steal_pointer (&host->waiters);
  host->waiters = g_ptr_array_new_with_free_func (g_object_unref);
  if (error == NULL)
    {
      old = g_steal_pointer (&host->addresses);
      host->addresses = copy_addresses (found);
      host->found_at = now;
    }
  g_mutex_unlock (&mutex);

  for (guint i = 0; i < waiters->len; i++)
    answer (g_ptr_array_index (waiters, i), found, error);
  g_resolver_free_addresses (old);
  g_resolver_free_addresses (found);
}

/* In the look-up thread. */
static gboolean
start_lookup (gpointer data)
{
  g_autoptr (GResolver) resolver = g_resolver_get_default ();

  g_resolver_lookup_by_name_async (resolver, data, NULL, on_found, g_strdup (data));
  return G_SOURCE_REMOVE;
}

static gboolean
on_cancelled (GCancellable *cancellable, gpointer data)
{
  GTask *task = data;
  Waiter *waiter = g_task_get_task_data (task);
  g_autoptr (GTask) taken = NULL;
  Host *host;
  guint index;

  g_mutex_lock (&mutex);
  host = g_hash_table_lookup (hosts, waiter->name);
  if (host != NULL && g_ptr_array_find (host->waiters, task, &index))
    taken = g_ptr_array_steal_index_fast (host->waiters, index);
  g_mutex_unlock (&mutex);

  if (taken != NULL)
    g_task_return_new_error (taken, G_IO_ERROR, G_IO_ERROR_CANCELLED,
                             "the look-up of “%s” was cancelled", waiter->name);
  return G_SOURCE_REMOVE;
}

/* Called locked, so that nobody answers @task before its source is attached. */
static void
add_waiter (Host *host, GTask *task)
{
  Waiter *waiter = g_task_get_task_data (task);
  GCancellable *cancellable = g_task_get_cancellable (task);

  g_ptr_array_add (host->waiters, g_object_ref (task));
  if (cancellable == NULL)
    return;
  waiter->cancelled = g_cancellable_source_new (cancellable);
  g_source_set_static_name (waiter->cancelled, "[derate] look-up cancelled");
  g_source_set_callback (waiter->cancelled, G_SOURCE_FUNC (on_cancelled), g_object_ref (task),
                         g_object_unref);
  g_source_attach (waiter->cancelled, g_task_get_context (task));
}

/* Waits for the look-up of its host, which is started where none is under way. */
static void
wait_for_lookup (GTask *owned_task)
{
  g_autoptr (GTask) task = owned_task;
  Waiter *waiter = g_task_get_task_data (task);
  GList *known = NULL;
  gboolean start = FALSE;
  Host *host;
  gint64 now;

  g_mutex_lock (&mutex);
  now = get_now ();
  host = ensure_host (waiter->name);
  if (host->addresses != NULL && now - host->found_at < REUSE_SPAN)
    known = copy_addresses (host->addresses);
  else
    {
      start = !host->in_flight;
      host->in_flight = TRUE;
      add_waiter (host, task);
    }
  prune_hosts (now);
  g_mutex_unlock (&mutex);

  if (known != NULL)
    g_task_return_pointer (task, known, free_addresses);
  if (start)
    g_main_context_invoke_full (get_context (), G_PRIORITY_DEFAULT, start_lookup,
                                g_strdup (waiter->name), g_free);
}

/**
 * derate_resolver_lookup_async:
 * @host: a host name or a numeric address
 * @cancellable: (nullable): what ends the waiting; the look-up goes on for the next who asks
 * @callback: (scope async): called in the thread-default context of the caller
 * @user_data: for @callback
 *
 * Finds the addresses of a host with the default #GResolver, at most one look-up at a time for each
 * host in the process. Who asks while one is under way shares its answer, and a good answer is
 * given again for 60 seconds. A numeric address is answered without any look-up. A socket in the
 * file system is no host: do not ask for one. May be called from any thread.
 *
 * Since: 1.0
 */
void
derate_resolver_lookup_async (const char *host,
                              GCancellable *cancellable,
                              GAsyncReadyCallback callback,
                              gpointer user_data)
{
  g_autoptr (GTask) task = NULL;
  g_autoptr (GInetAddress) numeric = NULL;
  Waiter *waiter;

  g_return_if_fail (host != NULL);

  waiter = g_new0 (Waiter, 1);
  waiter->name = g_ascii_strdown (host, -1);
  task = g_task_new (NULL, cancellable, callback, user_data);
  g_task_set_source_tag (task, derate_resolver_lookup_async);
  g_task_set_task_data (task, waiter, (GDestroyNotify)waiter_free);

  if (g_task_return_error_if_cancelled (task))
    return;
  numeric = g_inet_address_new_from_string (host);
  if (numeric != NULL)
    g_task_return_pointer (task, g_list_append (NULL, g_steal_pointer (&numeric)), free_addresses);
  else if (*host == '\0' || *host == '/' || *host == '@')
    g_task_return_new_error (task, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                             "“%s” is not the name of a host", host);
  else
    wait_for_lookup (g_steal_pointer (&task));
}

/**
 * derate_resolver_lookup_finish:
 * @result: what the callback was given
 * @error: where to put the error
 *
 * Ends derate_resolver_lookup_async().
 *
 * Returns: (transfer full) (element-type GInetAddress): the addresses, at least one, to be freed
 * with g_resolver_free_addresses(); %NULL with an error of the resolver or %G_IO_ERROR_CANCELLED
 *
 * Since: 1.0
 */
GList *
derate_resolver_lookup_finish (GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, NULL), NULL);
  g_return_val_if_fail (g_async_result_is_tagged (result, derate_resolver_lookup_async), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}

void
derate_resolver_reset (DerateClock *clock)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&mutex);
  GHashTableIter iter;
  gpointer value;

  g_set_object (&age_clock, clock);
  if (hosts == NULL)
    return;
  g_hash_table_iter_init (&iter, hosts);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    if (!((Host *)value)->in_flight)
      g_hash_table_iter_remove (&iter);
}
