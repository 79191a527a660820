/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-postgresql.h>
#include <derate.h>

G_BEGIN_DECLS

/* The shop's pool, as a part of @core. */
DeratePgPool *agent_database_new (DerateCore *core,
                                  GError    **error);

/* Both send what they are given through @policy; derate_policy_call_finish () has the answer. */

/* Rows, or nothing where there is none. */
#define AGENT_ROWS "maa{sv}"

/* One statement. AGENT_ROWS if it reads; else a `t`: how many rows it changed. */
void agent_database_ask (DeratePgPool       *pool,
                         DeratePgAccess      access,
                         DeratePolicy       *policy,
                         DerateRequest      *request,
                         const char         *sql,
                         GVariant           *parameters,
                         GAsyncReadyCallback callback,
                         gpointer            data);

/* All of @batch or nothing. An `at`: how many rows each changed. */
void agent_database_transact (DeratePgPool       *pool,
                              DeratePolicy       *policy,
                              DerateRequest      *request,
                              DeratePgBatch      *batch,
                              GAsyncReadyCallback callback,
                              gpointer            data);

G_END_DECLS
