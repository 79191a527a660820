/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-pg-lease.h>
#include <derate-pg-pool-stats.h>

G_BEGIN_DECLS

/**
 * DeratePgAccess:
 * @DERATE_PG_ACCESS_READ: statements that change nothing
 * @DERATE_PG_ACCESS_WRITE: statements that may change something
 *
 * What a session is wanted for.
 *
 * Since: 1.0
 */
typedef enum
{
  DERATE_PG_ACCESS_READ,
  DERATE_PG_ACCESS_WRITE,
} DeratePgAccess;

/**
 * DeratePgReset:
 * @DERATE_PG_RESET_LIGHT: roll back what was left open, which costs nothing where nothing was
 * @DERATE_PG_RESET_FULL: also `DISCARD ALL`: settings, temporary tables, `LISTEN`, prepared
 * statements
 *
 * What is done to a session that is given back.
 *
 * Since: 1.0
 */
typedef enum
{
  DERATE_PG_RESET_LIGHT,
  DERATE_PG_RESET_FULL,
} DeratePgReset;

#define DERATE_TYPE_PG_POOL (derate_pg_pool_get_type ())

DERATE_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (DeratePgPool, derate_pg_pool, DERATE, PG_POOL, GObject)

DERATE_AVAILABLE_IN_1_0
DeratePgPool *derate_pg_pool_new (const char *name,
                                  const char *uri,
                                  GError    **error);

DERATE_AVAILABLE_IN_1_0
const char *derate_pg_pool_get_name (DeratePgPool *pool);

DERATE_AVAILABLE_IN_1_0
gboolean derate_pg_pool_get_write_mode (DeratePgPool *pool);

DERATE_AVAILABLE_IN_1_0
void derate_pg_pool_open_async (DeratePgPool       *pool,
                                GCancellable       *cancellable,
                                GAsyncReadyCallback callback,
                                gpointer            user_data);

DERATE_AVAILABLE_IN_1_0
gboolean derate_pg_pool_open_finish (DeratePgPool *pool,
                                     GAsyncResult *result,
                                     GError      **error);

DERATE_AVAILABLE_IN_1_0
void derate_pg_pool_close_async (DeratePgPool       *pool,
                                 GTimeSpan           patience,
                                 GAsyncReadyCallback callback,
                                 gpointer            user_data);

DERATE_AVAILABLE_IN_1_0
gboolean derate_pg_pool_close_finish (DeratePgPool *pool,
                                      GAsyncResult *result,
                                      GError      **error);

DERATE_AVAILABLE_IN_1_0
void derate_pg_pool_acquire_async (DeratePgPool       *pool,
                                   DeratePgAccess      access,
                                   const char         *tag,
                                   GCancellable       *cancellable,
                                   GAsyncReadyCallback callback,
                                   gpointer            user_data);

DERATE_AVAILABLE_IN_1_0
gboolean derate_pg_pool_acquire_finish (DeratePgPool  *pool,
                                        GAsyncResult  *result,
                                        DeratePgLease *lease,
                                        GError       **error);

DERATE_AVAILABLE_IN_1_0
gboolean derate_pg_pool_acquire (DeratePgPool  *pool,
                                 DeratePgAccess access,
                                 const char    *tag,
                                 DeratePgLease *lease,
                                 GCancellable  *cancellable,
                                 GError       **error);

DERATE_AVAILABLE_IN_1_0
void derate_pg_pool_query_async (DeratePgPool       *pool,
                                 DeratePgAccess      access,
                                 const char         *sql,
                                 GVariant           *parameters,
                                 GCancellable       *cancellable,
                                 GAsyncReadyCallback callback,
                                 gpointer            user_data);

DERATE_AVAILABLE_IN_1_0
DeratePgResult *derate_pg_pool_query_finish (DeratePgPool *pool,
                                             GAsyncResult *result,
                                             GError      **error);

DERATE_AVAILABLE_IN_1_0
DeratePgResult *derate_pg_pool_query (DeratePgPool  *pool,
                                      DeratePgAccess access,
                                      const char    *sql,
                                      GVariant      *parameters,
                                      GCancellable  *cancellable,
                                      GError       **error);

DERATE_AVAILABLE_IN_1_0
void derate_pg_pool_pause (DeratePgPool *pool);

DERATE_AVAILABLE_IN_1_0
void derate_pg_pool_resume (DeratePgPool *pool);

DERATE_AVAILABLE_IN_1_0
gboolean derate_pg_pool_resize (DeratePgPool *pool,
                                guint         min,
                                guint         max,
                                GError      **error);

DERATE_AVAILABLE_IN_1_0
void derate_pg_pool_drain_async (DeratePgPool       *pool,
                                 GCancellable       *cancellable,
                                 GAsyncReadyCallback callback,
                                 gpointer            user_data);

DERATE_AVAILABLE_IN_1_0
gboolean derate_pg_pool_drain_finish (DeratePgPool *pool,
                                      GAsyncResult *result,
                                      GError      **error);

DERATE_AVAILABLE_IN_1_0
DeratePgPoolStats *derate_pg_pool_dup_stats (DeratePgPool *pool);

G_END_DECLS
