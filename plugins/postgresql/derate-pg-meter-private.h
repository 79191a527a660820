/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-histogram.h>

G_BEGIN_DECLS

/* What is counted of the queries of a pool, and the slow-query log. Shared by reference: it
 * outlives its pool, so that no counter ever falls. Everything here may be called from any thread;
 * nothing is counted twice: the number of queries is that of the histograms. */
typedef struct _DeratePgMeter DeratePgMeter;

typedef enum
{
  DERATE_PG_OPERATION_READ,
  DERATE_PG_OPERATION_WRITE,
  DERATE_PG_OPERATION_TRANSACTION,
  DERATE_PG_OPERATION_OTHER,
  DERATE_PG_N_OPERATIONS
} DeratePgOperation;

typedef enum
{
  DERATE_PG_STATUS_OK,
  DERATE_PG_STATUS_ERROR,
  DERATE_PG_STATUS_TIMEOUT,
  DERATE_PG_STATUS_CANCELLED,
  DERATE_PG_N_STATUSES
} DeratePgStatus;

/* The labels `operation` and `status`. */
const char *derate_pg_operation_to_nick (DeratePgOperation operation);
const char *derate_pg_status_to_nick (DeratePgStatus status);

/* Reads SLOW_QUERY_THRESHOLD_MS and ENABLE_QUERY_LOGGING; one that does not parse is
 * DERATE_ERROR_INVALID_CONFIG. @name stands in the log events. */
DeratePgMeter *derate_pg_meter_new (const char *name,
                                    GError    **error);

/* The one for sessions that no pool has, `default`: made at the first use, never freed. _peek ()
 * gives NULL before that. */
DeratePgMeter *derate_pg_meter_get_default (GError **error);
DeratePgMeter *derate_pg_meter_peek_default (void);

DeratePgMeter *derate_pg_meter_ref (DeratePgMeter *meter);
void derate_pg_meter_unref (DeratePgMeter *meter);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DeratePgMeter, derate_pg_meter_unref)

const char *derate_pg_meter_get_name (DeratePgMeter *meter);

/* How long somebody waited for a session. */
void derate_pg_meter_acquired (DeratePgMeter *meter,
                               double         seconds);

/* A statement ended, well where @error is NULL. Logs: never call it under a lock. Parameters have
 * no way to get here. */
void derate_pg_meter_query (DeratePgMeter    *meter,
                            DeratePgOperation operation,
                            double            seconds,
                            const char       *sql,
                            const GError     *error);

/* Both live as long as @meter. */
DerateHistogram *derate_pg_meter_get_acquires (DeratePgMeter *meter);
DerateHistogram *derate_pg_meter_get_queries (DeratePgMeter    *meter,
                                              DeratePgOperation operation,
                                              DeratePgStatus    status);
guint64 derate_pg_meter_get_slow (DeratePgMeter *meter);

G_END_DECLS
