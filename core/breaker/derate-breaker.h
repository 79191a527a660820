/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-breaker-config.h>
#include <derate-breaker-state.h>
#include <derate-breaker-stats.h>
#include <derate-clock.h>
#include <derate-permit.h>
#include <gio/gio.h>

G_BEGIN_DECLS

#define DERATE_TYPE_BREAKER (derate_breaker_get_type ())

DERATE_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (DerateBreaker, derate_breaker, DERATE, BREAKER, GObject)

/**
 * DerateBreakerCounters:
 * @duration: how long the state lasted, in microseconds
 * @calls: calls let through in it
 * @blocked: calls refused in it
 * @successes: calls that succeeded in it
 * @failures: calls that failed in it
 * @slow_calls: how many of both were slow
 * @failure_count: failures in a row when it ended
 * @failure_rate: the window's failure rate when it ended, NaN when unknown; of a half-open state
 *   that ended by rate, the probes' rate
 *
 * What was counted in a state that has ended.
 *
 * Since: 1.0
 */
typedef struct
{
  GTimeSpan duration;
  guint64 calls;
  guint64 blocked;
  guint64 successes;
  guint64 failures;
  guint64 slow_calls;
  guint64 failure_count;
  double failure_rate;
} DerateBreakerCounters;

/**
 * DerateBreakerListener: (skip)
 * @breaker: the breaker
 * @old_state: the state that ended
 * @new_state: the state that began
 * @counters: what was counted in @old_state
 * @user_data: what was given with the function
 *
 * Hears of a transition; see derate_breaker_add_listener().
 *
 * Since: 1.0
 */
typedef void (*DerateBreakerListener) (DerateBreaker               *breaker,
                                       DerateBreakerState           old_state,
                                       DerateBreakerState           new_state,
                                       const DerateBreakerCounters *counters,
                                       gpointer                     user_data);

/**
 * DerateCallFunc:
 * @cancellable: (nullable): ends the call early
 * @user_data: what was given with the function
 * @error: return location for what went wrong
 *
 * A call to a service.
 *
 * Returns: (transfer full) (nullable): the answer, or %NULL with @error set
 *
 * Since: 1.0
 */
typedef GVariant *(*DerateCallFunc) (GCancellable *cancellable,
                                     gpointer      user_data,
                                     GError      **error);

DERATE_AVAILABLE_IN_1_0
DerateBreaker *derate_breaker_new (const char                *name,
                                   const DerateBreakerConfig *config);

DERATE_AVAILABLE_IN_1_0
DerateBreaker *derate_breaker_new_with_clock (const char                *name,
                                              const DerateBreakerConfig *config,
                                              DerateClock               *clock);

DERATE_AVAILABLE_IN_1_0
const char *derate_breaker_get_name (DerateBreaker *breaker);

DERATE_AVAILABLE_IN_1_0
DerateBreakerState derate_breaker_get_state (DerateBreaker *breaker);

DERATE_AVAILABLE_IN_1_0
DerateBreakerMode derate_breaker_get_mode (DerateBreaker *breaker);

DERATE_AVAILABLE_IN_1_0
GTimeSpan derate_breaker_get_retry_after (DerateBreaker *breaker);

DERATE_AVAILABLE_IN_1_0
DerateBreakerConfig *derate_breaker_dup_config (DerateBreaker *breaker);

DERATE_AVAILABLE_IN_1_0
DerateBreakerStats *derate_breaker_dup_stats (DerateBreaker *breaker);

DERATE_AVAILABLE_IN_1_0
gboolean derate_breaker_reconfigure (DerateBreaker             *breaker,
                                     const DerateBreakerConfig *config,
                                     GError                   **error);

DERATE_AVAILABLE_IN_1_0
gboolean derate_breaker_acquire (DerateBreaker *breaker,
                                 DeratePermit  *permit,
                                 GError       **error);

DERATE_AVAILABLE_IN_1_0
DeratePermit *derate_breaker_begin (DerateBreaker *breaker,
                                    GError       **error);

DERATE_AVAILABLE_IN_1_0
GVariant *derate_breaker_call (DerateBreaker *breaker,
                               DerateCallFunc func,
                               gpointer       user_data,
                               GCancellable  *cancellable,
                               GError       **error);

DERATE_AVAILABLE_IN_1_0
void derate_breaker_reset (DerateBreaker *breaker);

DERATE_AVAILABLE_IN_1_0
gboolean derate_breaker_trip (DerateBreaker *breaker,
                              GError       **error);

DERATE_AVAILABLE_IN_1_0
void derate_breaker_close (DerateBreaker *breaker);

DERATE_AVAILABLE_IN_1_0
void derate_breaker_set_mode (DerateBreaker    *breaker,
                              DerateBreakerMode mode);

DERATE_AVAILABLE_IN_1_0
gboolean derate_breaker_open_for (DerateBreaker *breaker,
                                  GTimeSpan      span,
                                  GError       **error);

DERATE_AVAILABLE_IN_1_0
gboolean derate_breaker_open_until (DerateBreaker *breaker,
                                    gint64         time,
                                    GError       **error);

DERATE_AVAILABLE_IN_1_0
GVariant *derate_breaker_save (DerateBreaker *breaker);

DERATE_AVAILABLE_IN_1_0
gboolean derate_breaker_restore (DerateBreaker *breaker,
                                 GVariant      *saved,
                                 GError       **error);

DERATE_AVAILABLE_IN_1_0
guint derate_breaker_add_listener (DerateBreaker        *breaker,
                                   DerateBreakerListener func,
                                   gpointer              user_data,
                                   GDestroyNotify        destroy);

DERATE_AVAILABLE_IN_1_0
void derate_breaker_remove_listener (DerateBreaker *breaker,
                                     guint          id);

G_END_DECLS
