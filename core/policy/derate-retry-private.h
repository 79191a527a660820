/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-backoff-private.h"
#include "derate-budget-private.h"
#include "derate-policy-private.h"
#include "derate-retry.h"

G_BEGIN_DECLS

enum
{
  RETRY_CELL_CALLS,
  RETRY_CELL_RECOVERED,
  RETRY_CELL_EXHAUSTED,
  RETRY_N_CELLS
};

/* A function that was given, and what it is called with. */
typedef struct
{
  gpointer data;
  GDestroyNotify destroy;
} DerateRetryClosure;

/* A line of the list of errors: code < 0 is every code of the domain. */
typedef struct
{
  GQuark domain;
  int code;
  DerateRetryVerdict verdict;
} DerateRetryMatch;

struct _DerateRetry
{
  DeratePolicy parent_instance;

  DerateClock *clock;
  DerateShardSlot cells;
  DerateBudget budget;
  guint max_retries;
  DerateBackoff backoff;
  GArray *matches; /* (element-type DerateRetryMatch); a later one wins */
  DerateRetryErrorFunc error_func;
  DerateRetryClosure error_closure;
  DerateRetryAnswerFunc answer_func;
  DerateRetryClosure answer_closure;
  DerateRetryAfterFunc after_func;
  DerateRetryClosure after_closure;
};

void derate_retry_closure_clear (DerateRetryClosure *closure);

/* When to make the @n-th retry of a call that has just ended so; exactly one of @answer and @error
 * is set. -1 when it is over. */
gint64 derate_retry_decide (DerateRetry   *retry,
                            DerateRequest *request,
                            GCancellable  *cancellable,
                            GVariant      *answer,
                            const GError  *error,
                            guint          n,
                            GTimeSpan      left);

G_END_DECLS
