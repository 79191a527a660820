/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one way to a new session. The pool thread's alone. */
#include "derate-pg-pool-private.h"

#include "derate-pg-connection-private.h"

void
derate_pg_pool_connect_async (DeratePgPool *pool,
                              GCancellable *cancellable,
                              GAsyncReadyCallback callback,
                              gpointer user_data)
{
  DeratePgPreference preference = { 0 };

  derate_pg_roles_prefer (pool, &preference);
  derate_pg_connection_open_preferring_async (pool->settings.uri, pool->settings.password,
                                              &preference, cancellable, callback, user_data);
}

DeratePgConnection *
derate_pg_pool_connect_finish (DeratePgPool *pool, GAsyncResult *result, GError **error)
{
  return derate_pg_connection_open_finish (result, error);
}
