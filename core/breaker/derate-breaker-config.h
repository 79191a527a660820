/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-visibility.h>
#include <glib-object.h>

G_BEGIN_DECLS

#define DERATE_TYPE_BREAKER_CONFIG (derate_breaker_config_get_type ())

typedef struct _DerateBreakerConfig DerateBreakerConfig;

/**
 * DerateBreakerWindow:
 * @DERATE_BREAKER_WINDOW_COUNT: the last so many calls
 * @DERATE_BREAKER_WINDOW_TIME: the calls of the last so much time, kept in ten slices
 * @DERATE_BREAKER_WINDOW_NONE: none: only consecutive failures open the breaker
 *
 * What the failure rate and the slow-call rate are taken over.
 *
 * Since: 1.0
 */
typedef enum
{
  DERATE_BREAKER_WINDOW_COUNT,
  DERATE_BREAKER_WINDOW_TIME,
  DERATE_BREAKER_WINDOW_NONE,
} DerateBreakerWindow;

/**
 * DerateBreakerDecision:
 * @DERATE_BREAKER_DECISION_STRICT: a failure opens the breaker again, success-threshold successes
 *   close it
 * @DERATE_BREAKER_DECISION_RATE: the first half-open-max-calls outcomes decide together, by the
 *   rates
 *
 * How the probes of a half-open breaker decide.
 *
 * Since: 1.0
 */
typedef enum
{
  DERATE_BREAKER_DECISION_STRICT,
  DERATE_BREAKER_DECISION_RATE,
} DerateBreakerDecision;

/**
 * DerateBreakerErrorFunc:
 * @error: what a call failed with
 * @user_data: what was given with the function
 *
 * Judges an error. Called in the thread that ends the call, with no lock held.
 *
 * Returns: %TRUE when @error is a failure of the service, %FALSE when it says nothing about it
 *
 * Since: 1.0
 */
typedef gboolean (*DerateBreakerErrorFunc) (const GError *error,
                                            gpointer      user_data);

/**
 * DerateBreakerOutcome:
 * @DERATE_BREAKER_OUTCOME_UNKNOWN: a function that could not say; taken as neutral
 * @DERATE_BREAKER_OUTCOME_SUCCESS: the service did what it is for
 * @DERATE_BREAKER_OUTCOME_FAILURE: the service failed
 * @DERATE_BREAKER_OUTCOME_NEUTRAL: the call says nothing about the service
 *
 * What a call says about the service.
 *
 * Since: 1.0
 */
typedef enum
{
  DERATE_BREAKER_OUTCOME_UNKNOWN = 0,
  DERATE_BREAKER_OUTCOME_SUCCESS,
  DERATE_BREAKER_OUTCOME_FAILURE,
  DERATE_BREAKER_OUTCOME_NEUTRAL,
} DerateBreakerOutcome;

/**
 * DerateBreakerResultFunc:
 * @answer: what a call answered
 * @user_data: what was given with the function
 *
 * Judges an answer. Called in the thread that ends the call, with no lock held; it may call
 * anything, also derate_breaker_open_for() when the answer says when to come back.
 *
 * Returns: what @answer says about the service
 *
 * Since: 1.0
 */
typedef DerateBreakerOutcome (*DerateBreakerResultFunc) (GVariant *answer,
                                                         gpointer  user_data);

DERATE_AVAILABLE_IN_1_0
GType derate_breaker_config_get_type (void);

DERATE_AVAILABLE_IN_1_0
DerateBreakerConfig *derate_breaker_config_new (void);

DERATE_AVAILABLE_IN_1_0
DerateBreakerConfig *derate_breaker_config_new_from_environment (GError **error);

DERATE_AVAILABLE_IN_1_0
DerateBreakerConfig *derate_breaker_config_copy (const DerateBreakerConfig *config);

DERATE_AVAILABLE_IN_1_0
void derate_breaker_config_free (DerateBreakerConfig *config);

DERATE_AVAILABLE_IN_1_0
gboolean derate_breaker_config_equal (const DerateBreakerConfig *config,
                                      const DerateBreakerConfig *other);

DERATE_AVAILABLE_IN_1_0
gboolean derate_breaker_config_validate (const DerateBreakerConfig *config,
                                         GError                   **error);

DERATE_AVAILABLE_IN_1_0
gboolean derate_breaker_config_has_key (const char *key);

DERATE_AVAILABLE_IN_1_0
gboolean derate_breaker_config_set_from_string (DerateBreakerConfig *config,
                                                const char          *key,
                                                const char          *value,
                                                GError             **error);

DERATE_AVAILABLE_IN_1_0
gboolean derate_breaker_config_apply_preset (DerateBreakerConfig *config,
                                             const char          *name,
                                             GError             **error);

DERATE_AVAILABLE_IN_1_0
guint derate_breaker_config_get_failure_threshold (const DerateBreakerConfig *config);

DERATE_AVAILABLE_IN_1_0
void derate_breaker_config_set_failure_threshold (DerateBreakerConfig *config,
                                                  guint                failures);

DERATE_AVAILABLE_IN_1_0
DerateBreakerWindow derate_breaker_config_get_window (const DerateBreakerConfig *config);

DERATE_AVAILABLE_IN_1_0
void derate_breaker_config_set_window (DerateBreakerConfig *config,
                                       DerateBreakerWindow  window);

DERATE_AVAILABLE_IN_1_0
guint derate_breaker_config_get_window_size (const DerateBreakerConfig *config);

DERATE_AVAILABLE_IN_1_0
void derate_breaker_config_set_window_size (DerateBreakerConfig *config,
                                            guint                calls);

DERATE_AVAILABLE_IN_1_0
GTimeSpan derate_breaker_config_get_window_duration (const DerateBreakerConfig *config);

DERATE_AVAILABLE_IN_1_0
void derate_breaker_config_set_window_duration (DerateBreakerConfig *config,
                                                GTimeSpan            duration);

DERATE_AVAILABLE_IN_1_0
guint derate_breaker_config_get_minimum_calls (const DerateBreakerConfig *config);

DERATE_AVAILABLE_IN_1_0
void derate_breaker_config_set_minimum_calls (DerateBreakerConfig *config,
                                              guint                calls);

DERATE_AVAILABLE_IN_1_0
double derate_breaker_config_get_failure_rate_threshold (const DerateBreakerConfig *config);

DERATE_AVAILABLE_IN_1_0
void derate_breaker_config_set_failure_rate_threshold (DerateBreakerConfig *config,
                                                       double               rate);

DERATE_AVAILABLE_IN_1_0
GTimeSpan derate_breaker_config_get_slow_call_duration (const DerateBreakerConfig *config);

DERATE_AVAILABLE_IN_1_0
void derate_breaker_config_set_slow_call_duration (DerateBreakerConfig *config,
                                                   GTimeSpan            duration);

DERATE_AVAILABLE_IN_1_0
gboolean derate_breaker_config_get_measure (const DerateBreakerConfig *config);

DERATE_AVAILABLE_IN_1_0
void derate_breaker_config_set_measure (DerateBreakerConfig *config,
                                        gboolean             measure);

DERATE_AVAILABLE_IN_1_0
double derate_breaker_config_get_slow_call_rate_threshold (const DerateBreakerConfig *config);

DERATE_AVAILABLE_IN_1_0
void derate_breaker_config_set_slow_call_rate_threshold (DerateBreakerConfig *config,
                                                         double               rate);

DERATE_AVAILABLE_IN_1_0
GTimeSpan derate_breaker_config_get_open_duration (const DerateBreakerConfig *config);

DERATE_AVAILABLE_IN_1_0
void derate_breaker_config_set_open_duration (DerateBreakerConfig *config,
                                              GTimeSpan            duration);

DERATE_AVAILABLE_IN_1_0
double derate_breaker_config_get_open_duration_multiplier (const DerateBreakerConfig *config);

DERATE_AVAILABLE_IN_1_0
void derate_breaker_config_set_open_duration_multiplier (DerateBreakerConfig *config,
                                                         double               multiplier);

DERATE_AVAILABLE_IN_1_0
GTimeSpan derate_breaker_config_get_open_duration_max (const DerateBreakerConfig *config);

DERATE_AVAILABLE_IN_1_0
void derate_breaker_config_set_open_duration_max (DerateBreakerConfig *config,
                                                  GTimeSpan            duration);

DERATE_AVAILABLE_IN_1_0
double derate_breaker_config_get_open_duration_jitter (const DerateBreakerConfig *config);

DERATE_AVAILABLE_IN_1_0
void derate_breaker_config_set_open_duration_jitter (DerateBreakerConfig *config,
                                                     double               jitter);

DERATE_AVAILABLE_IN_1_0
guint derate_breaker_config_get_half_open_max_calls (const DerateBreakerConfig *config);

DERATE_AVAILABLE_IN_1_0
void derate_breaker_config_set_half_open_max_calls (DerateBreakerConfig *config,
                                                    guint                calls);

DERATE_AVAILABLE_IN_1_0
guint derate_breaker_config_get_success_threshold (const DerateBreakerConfig *config);

DERATE_AVAILABLE_IN_1_0
void derate_breaker_config_set_success_threshold (DerateBreakerConfig *config,
                                                  guint                successes);

DERATE_AVAILABLE_IN_1_0
GTimeSpan derate_breaker_config_get_half_open_lease (const DerateBreakerConfig *config);

DERATE_AVAILABLE_IN_1_0
void derate_breaker_config_set_half_open_lease (DerateBreakerConfig *config,
                                                GTimeSpan            lease);

DERATE_AVAILABLE_IN_1_0
DerateBreakerDecision
derate_breaker_config_get_half_open_decision (const DerateBreakerConfig *config);

DERATE_AVAILABLE_IN_1_0
void derate_breaker_config_set_half_open_decision (DerateBreakerConfig  *config,
                                                   DerateBreakerDecision decision);

DERATE_AVAILABLE_IN_1_0
GTimeSpan derate_breaker_config_get_ramp_duration (const DerateBreakerConfig *config);

DERATE_AVAILABLE_IN_1_0
void derate_breaker_config_set_ramp_duration (DerateBreakerConfig *config,
                                              GTimeSpan            duration);

DERATE_AVAILABLE_IN_1_0
void derate_breaker_config_record_error (DerateBreakerConfig *config,
                                         GQuark               domain,
                                         int                  code);

DERATE_AVAILABLE_IN_1_0
void derate_breaker_config_ignore_error (DerateBreakerConfig *config,
                                         GQuark               domain,
                                         int                  code);

DERATE_AVAILABLE_IN_1_0
void derate_breaker_config_set_error_func (DerateBreakerConfig   *config,
                                           DerateBreakerErrorFunc func,
                                           gpointer               user_data,
                                           GDestroyNotify         destroy);

DERATE_AVAILABLE_IN_1_0
void derate_breaker_config_set_result_func (DerateBreakerConfig    *config,
                                            DerateBreakerResultFunc func,
                                            gpointer                user_data,
                                            GDestroyNotify          destroy);

DERATE_AVAILABLE_IN_1_0
gboolean derate_breaker_config_is_failure (const DerateBreakerConfig *config,
                                           const GError              *error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateBreakerConfig, derate_breaker_config_free)

G_END_DECLS
