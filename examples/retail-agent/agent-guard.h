/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate.h>

G_BEGIN_DECLS

/* One thing that can be asked of a dependency. @start must call back exactly once, also when it is
 * cancelled; @finish gives the answer (owned, freed by @free_answer). */
typedef struct
{
  void (*start) (gpointer            client,
                 gpointer            request,
                 GCancellable       *cancellable,
                 GAsyncReadyCallback callback,
                 gpointer            user_data);
  gpointer (*finish) (gpointer      client,
                      GAsyncResult *result,
                      GError      **error);
  GDestroyNotify free_answer;
} AgentOperation;

/* A dependency with its share of the answer budget. */
typedef struct
{
  DerateClock *clock;
  DerateBreaker *breaker;
  gpointer client;
  GTimeSpan share;
} AgentDependency;

/* Calls through the breaker, and answers within the share: an operation that takes longer is
 * recorded as a timeout and cancelled, and its late answer dropped. Takes @request. */
void agent_guard_async (const AgentDependency *dependency,
                        const AgentOperation  *operation,
                        gpointer               request,
                        GDestroyNotify         free_request,
                        GAsyncReadyCallback    callback,
                        gpointer               user_data);

gpointer agent_guard_finish (GAsyncResult *result,
                             GError      **error);

G_END_DECLS
