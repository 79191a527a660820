/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-clock.h>
#include <derate-policy.h>

G_BEGIN_DECLS

#define DERATE_TYPE_RETRY (derate_retry_get_type ())

typedef struct _DerateRetry DerateRetry;
typedef struct _DerateRetryClass DerateRetryClass;

DERATE_AVAILABLE_IN_1_0
GType derate_retry_get_type (void);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateRetry, g_object_unref)

/**
 * DERATE_RETRY: (skip)
 */
#define DERATE_RETRY(object) (G_TYPE_CHECK_INSTANCE_CAST ((object), DERATE_TYPE_RETRY, DerateRetry))

/**
 * DERATE_IS_RETRY: (skip)
 */
#define DERATE_IS_RETRY(object) (G_TYPE_CHECK_INSTANCE_TYPE ((object), DERATE_TYPE_RETRY))

/**
 * DerateRetryVerdict:
 * @DERATE_RETRY_VERDICT_UNKNOWN: decide as if nobody had been asked
 * @DERATE_RETRY_VERDICT_NEVER: it is final
 * @DERATE_RETRY_VERDICT_IDEMPOTENT: try again if the request may be made twice
 * @DERATE_RETRY_VERDICT_ALWAYS: try again: it proves that nothing was done
 *
 * What an error or an answer says about trying again.
 *
 * Since: 1.0
 */
typedef enum
{
  DERATE_RETRY_VERDICT_UNKNOWN = 0,
  DERATE_RETRY_VERDICT_NEVER,
  DERATE_RETRY_VERDICT_IDEMPOTENT,
  DERATE_RETRY_VERDICT_ALWAYS,
} DerateRetryVerdict;

/**
 * DerateRetryErrorFunc:
 * @error: how an attempt ended
 * @user_data: what was given with the function
 *
 * Judges an error. Called in any thread that makes a call.
 *
 * Returns: whether to try again
 *
 * Since: 1.0
 */
typedef DerateRetryVerdict (*DerateRetryErrorFunc) (const GError *error,
                                                    gpointer      user_data);

/**
 * DerateRetryAnswerFunc:
 * @answer: the answer of an attempt
 * @user_data: what was given with the function
 *
 * Judges an answer. Called in any thread that makes a call.
 *
 * Returns: whether to try again; %DERATE_RETRY_VERDICT_UNKNOWN and %DERATE_RETRY_VERDICT_NEVER
 *   take the answer
 *
 * Since: 1.0
 */
typedef DerateRetryVerdict (*DerateRetryAnswerFunc) (GVariant *answer,
                                                     gpointer  user_data);

/**
 * DerateRetryAfterFunc:
 * @error: how an attempt ended
 * @user_data: what was given with the function
 *
 * Reads from an error how long the service asks to be left alone, as by a `Retry-After` header.
 * Called in any thread that makes a call.
 *
 * Returns: microseconds, or -1 when it does not say
 *
 * Since: 1.0
 */
typedef GTimeSpan (*DerateRetryAfterFunc) (const GError *error,
                                           gpointer      user_data);

/**
 * DerateRetryStats:
 * @calls: calls made, whatever number of attempts they took
 * @retries: attempts after the first, with those that were cancelled before they began
 * @recovered: calls that had an answer after all
 * @exhausted: calls that ended because as many retries as are allowed had been made
 * @over_budget: calls that ended because the budget was spent
 *
 * What a retry policy has counted.
 *
 * Since: 1.0
 */
typedef struct
{
  guint64 calls;
  guint64 retries;
  guint64 recovered;
  guint64 exhausted;
  guint64 over_budget;
} DerateRetryStats;

DERATE_AVAILABLE_IN_1_0
DerateRetry *derate_retry_new (DerateClock *clock);

DERATE_AVAILABLE_IN_1_0
DerateRetry *derate_retry_new_from_environment (DerateClock *clock,
                                                GError     **error);

DERATE_AVAILABLE_IN_1_0
void derate_retry_set_max_retries (DerateRetry *retry,
                                   guint        retries);

DERATE_AVAILABLE_IN_1_0
guint derate_retry_get_max_retries (DerateRetry *retry);

DERATE_AVAILABLE_IN_1_0
gboolean derate_retry_set_backoff (DerateRetry *retry,
                                   GTimeSpan    initial,
                                   double       multiplier,
                                   GTimeSpan    maximum,
                                   double       jitter,
                                   GError     **error);

DERATE_AVAILABLE_IN_1_0
GTimeSpan derate_retry_get_longest_delay (DerateRetry *retry,
                                          guint        n);

DERATE_AVAILABLE_IN_1_0
gboolean derate_retry_set_budget (DerateRetry *retry,
                                  double       share,
                                  guint        reserve,
                                  GError     **error);

DERATE_AVAILABLE_IN_1_0
void derate_retry_add_error (DerateRetry       *retry,
                             GQuark             domain,
                             int                code,
                             DerateRetryVerdict verdict);

DERATE_AVAILABLE_IN_1_0
void derate_retry_set_error_func (DerateRetry         *retry,
                                  DerateRetryErrorFunc func,
                                  gpointer             user_data,
                                  GDestroyNotify       destroy);

DERATE_AVAILABLE_IN_1_0
void derate_retry_set_answer_func (DerateRetry          *retry,
                                   DerateRetryAnswerFunc func,
                                   gpointer              user_data,
                                   GDestroyNotify        destroy);

DERATE_AVAILABLE_IN_1_0
void derate_retry_set_after_func (DerateRetry         *retry,
                                  DerateRetryAfterFunc func,
                                  gpointer             user_data,
                                  GDestroyNotify       destroy);

DERATE_AVAILABLE_IN_1_0
void derate_retry_get_stats (DerateRetry      *retry,
                             DerateRetryStats *stats);

G_END_DECLS
