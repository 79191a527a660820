/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A query that the calling thread waits for in the kernel. */
#include "derate-pg-session-private.h"

void
derate_pg_sync_end (DeratePgConnection *self,
                    GCancellable *cancellable,
                    DeratePgResult **result,
                    GError **error)
{
  g_autoptr (DeratePgConnection) keep = g_object_ref (self); /* it may be closed meanwhile */
  gint64 deadline = DERATE_CLOCK_NEVER;
  DeratePgRunState state;

  derate_pg_place_leave (self);
  if (self->query_timeout > 0)
    deadline = derate_pg_run_get_system_time () + self->query_timeout;
  state = derate_pg_run_wait (self, cancellable, deadline);
  derate_pg_run_end (self, state, result, error);
}

/**
 * derate_pg_connection_query:
 * @connection: a session
 * @sql: one statement, with `$1`, `$2` … for the parameters
 * @parameters: (nullable): a tuple of the values of the parameters
 * @cancellable: (nullable): ends it at once, from another thread
 * @error: where to put the error
 *
 * Does what derate_pg_connection_query_async() does, and waits for it. For threads that have no
 * loop to serve. The query timeout counts here too, by the system's clock.
 *
 * Returns: (transfer full): what the statement gave
 *
 * Since: 1.0
 */
DeratePgResult *
derate_pg_connection_query (DeratePgConnection *connection,
                            const char *sql,
                            GVariant *parameters,
                            GCancellable *cancellable,
                            GError **error)
{
  g_autoptr (GVariant) tuple = parameters != NULL ? g_variant_ref_sink (parameters) : NULL;
  DeratePgResult *result;
  GError *why;

  g_return_val_if_fail (DERATE_IS_PG_CONNECTION (connection), NULL);
  g_return_val_if_fail (sql != NULL, NULL);

  if (g_cancellable_set_error_if_cancelled (cancellable, error) ||
      !derate_pg_connection_may_start (connection, error))
    return NULL;
  derate_pg_run_begin (connection, sql, g_steal_pointer (&tuple), connection->operation);
  derate_pg_sync_end (connection, cancellable, &result, &why);
  if (why != NULL)
    g_propagate_error (error, why);
  return result;
}
