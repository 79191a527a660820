/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening a session. Everything runs in the thread-default context of whoever called; nothing here
 * is touched by another thread. One attempt at a time: names are looked up first, the targets tried
 * in order, each under a deadline of its own, because libpq's own does not count here. A server
 * that is not in the role that is wanted is kept aside where it would do in the end. */
#include "derate-pg-connection-private.h"
#include "derate-pg-error-private.h"
#include "derate-pg-target-private.h"

#include <derate-clock.h>
#include <derate-resolver.h>
#include <string.h>

#define DEFAULT_TIMEOUT (5 * G_TIME_SPAN_SECOND) /* semantics §10 */

typedef struct
{
  DeratePgRoute *route;
  gboolean or_any_role;
  PGconn *spare; /* the first that was not in the role that is wanted */
  DeratePgTarget *spare_target;
  GString *failures; /* of all targets so far, in words */
  guint n_failures;
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
  g_clear_pointer (&opening->spare, PQfinish);
  g_clear_pointer (&opening->spare_target, derate_pg_target_free);
  derate_pg_route_free (opening->route);
  g_string_free (opening->failures, TRUE);
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
opening_succeed (GTask *task, PGconn *pg, const DeratePgTarget *target)
{
  Opening *opening = g_task_get_task_data (task);
  const char *passed_over = opening->n_failures > 0 ? opening->failures->str : NULL;
  DeratePgConnection *connection =
      derate_pg_connection_new (pg, derate_pg_target_to_string (target), g_strdup (passed_over));

  opening_stop_attempt (opening);
  g_clear_pointer (&opening->spare, PQfinish);
  derate_pg_connection_drop_source (&opening->cancel);
  g_task_return_pointer (task, connection, g_object_unref);
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

/* What is common to all of them is said once: that it was no use to connect. */
static void
note_failure (Opening *opening, const char *text)
{
  static const char *const prefixes[] = { "cannot connect: ", "connection to server " };
  g_autofree char *target = derate_pg_target_to_string (opening->target);
  const char *reason = text;
  const char *failed;

  if (g_str_has_prefix (reason, prefixes[0]))
    reason += strlen (prefixes[0]);
  failed = strstr (reason, " failed: ");
  if (g_str_has_prefix (reason, prefixes[1]) && failed != NULL)
    reason = failed + strlen (" failed: ");
  g_string_append_printf (opening->failures, "%s%s: %s", opening->n_failures > 0 ? "; " : "",
                          target, reason);
  opening->n_failures++;
}

/* This target does not answer, or says no. Wrong credentials are wrong everywhere. */
static void
opening_attempt_failed (GTask *task, GError *error)
{
  Opening *opening = g_task_get_task_data (task);

  note_failure (opening, error->message);
  g_clear_error (&opening->error);
  opening->error = error;
  opening_stop_attempt (opening);
  if (g_error_matches (error, DERATE_PG_ERROR, DERATE_PG_ERROR_AUTH))
    opening_fail (task, g_steal_pointer (&opening->error));
  else
    opening_next (task);
}

/* Better than none. */
static void
opening_spare (Opening *opening)
{
  if (opening->spare != NULL || !opening->or_any_role)
    return;
  opening->spare = g_steal_pointer (&opening->pg);
  opening->spare_target = derate_pg_target_copy (opening->target, opening->target->address);
}

/* A session, but not with the server that is wanted. */
static void
opening_set_aside (GTask *task, const char *reason)
{
  opening_spare (g_task_get_task_data (task));
  opening_attempt_failed (task, g_error_new (DERATE_PG_ERROR, DERATE_PG_ERROR_READ_ONLY,
                                             "cannot connect: %s", reason));
}

static void
opening_connected (GTask *task)
{
  Opening *opening = g_task_get_task_data (task);
  const char *asked = NULL;
  const char *reason = derate_pg_route_judge (opening->route, opening->pg, &asked);

  if (asked != NULL && opening->target->attrs == NULL)
    {
      DeratePgTarget *again = derate_pg_target_copy (opening->target, opening->target->address);

      again->attrs = asked;
      opening_spare (opening);
      g_queue_push_head (&opening->route->targets, again);
      opening_stop_attempt (opening);
      opening_next (task);
    }
  else if (reason != NULL)
    opening_set_aside (task, reason);
  else
    opening_succeed (task, g_steal_pointer (&opening->pg), opening->target);
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
    opening_connected (task);
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

/* All targets were tried. */
static void
opening_end (GTask *task)
{
  Opening *opening = g_task_get_task_data (task);
  GError *error = NULL;

  if (opening->spare != NULL)
    {
      opening_succeed (task, g_steal_pointer (&opening->spare), opening->spare_target);
      return;
    }
  error = g_steal_pointer (&opening->error);
  if (opening->n_failures > 1)
    {
      g_free (error->message);
      error->message = g_strconcat ("cannot connect: ", opening->failures->str, NULL);
    }
  opening_fail (task, error);
}

static void
opening_next (GTask *task)
{
  Opening *opening = g_task_get_task_data (task);

  opening->target = g_queue_pop_head (&opening->route->targets);
  if (opening->target == NULL)
    opening_end (task);
  else if (derate_pg_target_needs_lookup (opening->target))
    derate_resolver_lookup_async (opening->target->host, g_task_get_cancellable (task),
                                  opening_looked_up, g_object_ref (task));
  else
    opening_start (task);
}

void
derate_pg_connection_open_preferring_async (const char *uri,
                                            const char *password,
                                            const DeratePgPreference *preference,
                                            GCancellable *cancellable,
                                            GAsyncReadyCallback callback,
                                            gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (NULL, cancellable, callback, user_data);
  g_autoptr (DeratePgRoute) route = NULL;
  Opening *opening;
  GError *error = NULL;

  g_task_set_source_tag (task, derate_pg_connection_open_async);
  route = derate_pg_route_parse (uri, password, &error);
  if (route == NULL)
    {
      g_task_return_error (task, error);
      return;
    }
  if (route->timeout == 0)
    route->timeout = preference->timeout > 0 ? preference->timeout : DEFAULT_TIMEOUT;
  if (preference->first != NULL)
    derate_pg_route_begin_with (route, preference->first);
  opening = g_new0 (Opening, 1);
  opening->failures = g_string_new (NULL);
  opening->or_any_role = route->role == DERATE_PG_ROLE_PREFER_STANDBY ||
                         (preference->or_read_only && derate_pg_route_wants_writes (route));
  if (preference->any_role)
    route->role = DERATE_PG_ROLE_ANY;
  opening->route = g_steal_pointer (&route);
  g_task_set_task_data (task, opening, opening_free);
  opening->cancel = derate_pg_connection_watch_cancellable (cancellable, opening_cancelled, task);
  opening_next (g_steal_pointer (&task));
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
 * connections have), until one is what `target_session_attrs` wants. Environment variables fill in
 * what is not said, as libpq does; service files are not read. Encryption by GSS is not used. May
 * be called from any thread that runs a context.
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
  const DeratePgPreference none = { 0 };

  g_return_if_fail (uri != NULL);

  derate_pg_connection_open_preferring_async (uri, password, &none, cancellable, callback,
                                              user_data);
}

/**
 * derate_pg_connection_open_finish:
 * @result: what the callback was given
 * @error: where to put the error
 *
 * Ends derate_pg_connection_open_async(). Errors are of %DERATE_PG_ERROR, of %G_RESOLVER_ERROR for
 * a name without address, or %G_IO_ERROR_CANCELLED; of several hosts the text names each and what
 * was wrong with it, and the code is of the last, %DERATE_PG_ERROR_READ_ONLY where that one is not
 * what `target_session_attrs` wants.
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
