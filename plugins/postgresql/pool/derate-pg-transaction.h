/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-pg-connection.h>
#include <derate-pg-pool.h>

G_BEGIN_DECLS

/**
 * DeratePgTransactionFlags:
 * @DERATE_PG_TRANSACTION_NONE: none of these
 * @DERATE_PG_TRANSACTION_RETRY: where another transaction was in the way (SQLSTATE 40001, 40P01),
 * it is done again
 * @DERATE_PG_TRANSACTION_READ_ONLY: it changes nothing, so it is served also while the pool is
 *   read-only
 *
 * How a transaction is done.
 *
 * Since: 1.0
 */
typedef enum /*< flags >*/
{
  DERATE_PG_TRANSACTION_NONE = 0,
  DERATE_PG_TRANSACTION_RETRY = 1 << 0,
  DERATE_PG_TRANSACTION_READ_ONLY = 1 << 1,
} DeratePgTransactionFlags;

/**
 * DeratePgTransactionFunc:
 * @connection: the session, inside the transaction
 * @user_data: what was given with the function
 * @error: where to put the error
 *
 * What is done inside a transaction. It does not end it.
 *
 * Returns: %TRUE to commit; %FALSE with an error to roll back
 *
 * Since: 1.0
 */
typedef gboolean (*DeratePgTransactionFunc) (DeratePgConnection *connection,
                                             gpointer            user_data,
                                             GError            **error);

DERATE_AVAILABLE_IN_1_0
void derate_pg_pool_transaction_async (DeratePgPool            *pool,
                                       DeratePgBatch           *batch,
                                       DeratePgTransactionFlags flags,
                                       GCancellable            *cancellable,
                                       GAsyncReadyCallback      callback,
                                       gpointer                 user_data);

DERATE_AVAILABLE_IN_1_0
gboolean derate_pg_pool_transaction_finish (DeratePgPool *pool,
                                            GAsyncResult *result,
                                            GError      **error);

DERATE_AVAILABLE_IN_1_0
gboolean derate_pg_pool_transaction (DeratePgPool            *pool,
                                     DeratePgTransactionFunc  func,
                                     gpointer                 user_data,
                                     DeratePgTransactionFlags flags,
                                     GCancellable            *cancellable,
                                     GError                 **error);

G_END_DECLS
