/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening a session. Everything runs in the thread-default context of whoever called; nothing here
 * is touched by another thread. One attempt at a time: names are looked up first, the targets tried
 * in order, each under a deadline of its own, because libpq's own does not count here. */
#include "derate-pg-connection-private.h"
#include "derate-pg-error-private.h"
#include "derate-pg-target-private.h"

#include <derate-clock.h>
#include <derate-resolver.h>
#include <string.h>

typedef struct
{
  DeratePgRoute *route;
  DeratePgTarget *target; /* being tried */
  PGconn *pg;
  GSource *io;
  GSource *timer;
  GSource *cancel;
  GError *error; /* of the last attempt */
} Opening;

static void opening_next (GTask *task);

static void
opening_stop_attempt (Opening *opening)
{
  derate_pg_connection_drop_source (&opening->io);
  derate_pg_connection_drop_source (&opening->timer);
  g_clear_pointer (&opening->pg, PQfinish);
  g_clear_pointer (&opening->target, derate_pg_target_free);
}

static void
opening_free (gpointer data)
{
  Opening *opening = data;

  opening_stop_attempt (opening);
  derate_pg_connection_drop_source (&opening->cancel);
  derate_pg_route_free (opening->route);
  g_clear_error (&opening->error);
  g_free (opening);
}

/* The end, whichever it is: no source of ours is left when the task returns. */
static void
opening_fail (GTask *task, GError *error)
{
  Opening *opening = g_task_get_task_data (task);

  opening_stop_attempt (opening);
  derate_pg_connection_drop_source (&opening->cancel);
  g_task_return_error (task, error);
  g_object_unref (task);
}

static void
opening_succeed (GTask *task)
{
  Opening *opening = g_task_get_task_data (task);
  PGconn *pg = g_steal_pointer (&opening->pg);

  opening_stop_attempt (opening);
  derate_pg_connection_drop_source (&opening->cancel);
  g_task_return_pointer (task, derate_pg_connection_new (pg), g_object_unref);
  g_object_unref (task);
}

static gboolean
opening_cancelled (GCancellable *cancellable, gpointer user_data)
{
  GError *error = NULL;

  if (!g_cancellable_set_error_if_cancelled (cancellable, &error))
    return G_SOURCE_CONTINUE;
  opening_fail (user_data, error);
  return G_SOURCE_REMOVE;
}

/* This target does not answer, or says no. Wrong credentials are wrong everywhere. */
static void
opening_attempt_failed (GTask *task, GError *error)
{
  Opening *opening = g_task_get_task_data (task);

  g_clear_error (&opening->error);
  opening->error = error;
  opening_stop_attempt (opening);
  if (g_error_matches (error, DERATE_PG_ERROR, DERATE_PG_ERROR_AUTH))
    opening_fail (task, g_steal_pointer (&opening->error));
  else
    opening_next (task);
}

static gboolean
opening_timed_out (gpointer user_data)
{
  opening_attempt_failed (user_data, g_error_new (DERATE_PG_ERROR, DERATE_PG_ERROR_CONNECT_TIMEOUT,
                                                  "cannot connect: no answer in time"));
  return G_SOURCE_REMOVE;
}

/* A server may repeat what it was told. */
static GError *
mask_password (PGconn *pg, GError *error)
{
  const char *password = PQpass (pg);

  if (password != NULL && *password != '\0' && strstr (error->message, password) != NULL)
    {
      g_auto (GStrv) parts = g_strsplit (error->message, password, -1);

      g_free (error->message);
      error->message = g_strjoinv ("***", parts);
    }
  return error;
}

static GError *
opening_error (PGconn *pg)
{
  if (PQconnectionNeedsPassword (pg))
    return g_error_new (DERATE_PG_ERROR, DERATE_PG_ERROR_AUTH,
                        "cannot connect: the server asks for a password and none is set");
  return mask_password (pg, derate_pg_error_from_connect (PQerrorMessage (pg)));
}

static gboolean
opening_ready (gint fd, GIOCondition condition, gpointer user_data)
{
  GTask *task = user_data;
  Opening *opening = g_task_get_task_data (task);
  PostgresPollingStatusType status;

  derate_pg_connection_drop_source (&opening->io);
  status = PQconnectPoll (opening->pg);
  if (status == PGRES_POLLING_OK)
    opening_succeed (task);
  else if (status == PGRES_POLLING_FAILED)
    opening_attempt_failed (task, opening_error (opening->pg));
  else
    opening->io = derate_pg_connection_watch (opening->pg,
                                              status == PGRES_POLLING_READING ? G_IO_IN : G_IO_OUT,
                                              opening_ready, task);
  return G_SOURCE_REMOVE;
}

static void
opening_start_timer (GTask *task)
{
  Opening *opening = g_task_get_task_data (task);
  DerateClock *clock = derate_clock_get_system ();

  if (opening->route->timeout == G_MAXINT64)
    return;
  opening->timer =
      derate_clock_source_new (clock, derate_clock_get_time (clock) + opening->route->timeout);
  g_source_set_callback (opening->timer, opening_timed_out, task, NULL);
  g_source_attach (opening->timer, g_main_context_get_thread_default ());
}

static void
opening_start (GTask *task)
{
  Opening *opening = g_task_get_task_data (task);

  opening->pg = derate_pg_route_start (opening->route, opening->target);
  if (opening->pg == NULL || PQstatus (opening->pg) == CONNECTION_BAD)
    {
      opening_attempt_failed (task, opening->pg != NULL
                                        ? opening_error (opening->pg)
                                        : derate_pg_error_from_connect ("out of memory"));
      return;
    }
  PQsetErrorVerbosity (opening->pg, PQERRORS_VERBOSE);
  derate_pg_connection_mute (opening->pg);
  opening_start_timer (task);
  opening->io = derate_pg_connection_watch (opening->pg, G_IO_OUT, opening_ready, task);
}

static void
opening_looked_up (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  Opening *opening = g_task_get_task_data (task);
  g_autoptr (DeratePgTarget) target = NULL;
  g_autoptr (GError) error = NULL;
  g_autolist (GInetAddress) addresses = derate_resolver_lookup_finish (result, &error);

  if (g_task_get_completed (task) || opening->target == NULL)
    return;
  if (addresses == NULL)
    {
      g_prefix_error (&error, "cannot connect: ");
      opening_attempt_failed (task, g_steal_pointer (&error));
      return;
    }
  for (GList *l = g_list_last (addresses); l != NULL; l = l->prev)
    {
      g_autofree char *text = g_inet_address_to_string (l->data);

      g_queue_push_head (&opening->route->targets, derate_pg_target_copy (opening->target, text));
    }
  opening_stop_attempt (opening);
  opening_next (task);
}

static void
opening_next (GTask *task)
{
  Opening *opening = g_task_get_task_data (task);

  opening->target = g_queue_pop_head (&opening->route->targets);
  if (opening->target == NULL)
    opening_fail (task, g_steal_pointer (&opening->error));
  else if (derate_pg_target_needs_lookup (opening->target))
    derate_resolver_lookup_async (opening->target->host, g_task_get_cancellable (task),
                                  opening_looked_up, g_object_ref (task));
  else
    opening_start (task);
}

/**
 * derate_pg_connection_open_async:
 * @uri: a connection URI or keyword string, as libpq has them
 * @password: (nullable): the password, where it does not stand in @uri
 * @cancellable: (nullable): ends it at once
 * @callback: (scope async): called once, in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * Opens a session without ever blocking: names are looked up beside the loop, and of several hosts
 * each is tried under the URI's `connect_timeout` (5 seconds unless it says so, as HikariCP's
 * connections have). Environment variables fill in what is not said, as libpq does; service files
 * are not read. Encryption by GSS is not used. May be called from any thread that runs a context.
 *
 * Since: 1.0
 */
void
derate_pg_connection_open_async (const char *uri,
                                 const char *password,
                                 GCancellable *cancellable,
                                 GAsyncReadyCallback callback,
                                 gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (NULL, cancellable, callback, user_data);
  g_autoptr (DeratePgRoute) route = NULL;
  Opening *opening;
  GError *error = NULL;

  g_return_if_fail (uri != NULL);

  g_task_set_source_tag (task, derate_pg_connection_open_async);
  route = derate_pg_route_parse (uri, password, &error);
  if (route == NULL)
    {
      g_task_return_error (task, error);
      return;
    }
  opening = g_new0 (Opening, 1);
  opening->route = g_steal_pointer (&route);
  g_task_set_task_data (task, opening, opening_free);
  opening->cancel = derate_pg_connection_watch_cancellable (cancellable, opening_cancelled, task);
  opening_next (g_steal_pointer (&task));
}

/**
 * derate_pg_connection_open_finish:
 * @result: what the callback was given
 * @error: where to put the error
 *
 * Ends derate_pg_connection_open_async(). Errors are of %DERATE_PG_ERROR, of %G_RESOLVER_ERROR for
 * a name without address, or %G_IO_ERROR_CANCELLED.
 *
 * Returns: (transfer full): the session
 *
 * Since: 1.0
 */
DeratePgConnection *
derate_pg_connection_open_finish (GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, NULL), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}

/**
 * derate_pg_connection_check_uri:
 * @uri: a connection URI or keyword string
 * @error: where to put the error
 *
 * Whether derate_pg_connection_open_async() could use @uri. Nothing is connected. The error never
 * holds the password. May be called from any thread.
 *
 * Returns: %TRUE if so, %FALSE with %DERATE_PG_ERROR_CONFIG otherwise
 *
 * Since: 1.0
 */
gboolean
derate_pg_connection_check_uri (const char *uri, GError **error)
{
  g_autoptr (DeratePgRoute) route = derate_pg_route_parse (uri, NULL, error);

  return route != NULL;
}
