/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-breaker-config-private.h"

/* The properties of a config, one by one: what opens a breaker. */

#define DEFAULT_MINIMUM 10 /* of a time window */

guint
derate_breaker_settings_get_minimum_calls (const DerateBreakerSettings *settings)
{
  if (settings->minimum_calls != 0)
    return settings->minimum_calls;
  return settings->window == DERATE_BREAKER_WINDOW_TIME ? DEFAULT_MINIMUM : settings->window_size;
}

/**
 * derate_breaker_config_get_failure_threshold:
 * @config: a config
 *
 * Gets `failure-threshold`, the value in force.
 *
 * Returns: the value
 *
 * Since: 1.0
 */
guint
derate_breaker_config_get_failure_threshold (const DerateBreakerConfig *config)
{
  g_return_val_if_fail (config != NULL, 0);

  return config->settings->failure_threshold;
}

/**
 * derate_breaker_config_set_failure_threshold:
 * @config: a config
 * @failures: failures in a row that open the breaker, 0 = off; 5 by default
 *
 * Sets `failure-threshold`. The failure that reaches it opens the breaker; in gobreaker it is the
 * one after.
 *
 * Since: 1.0
 */
void
derate_breaker_config_set_failure_threshold (DerateBreakerConfig *config, guint failures)
{
  g_return_if_fail (config != NULL);

  derate_breaker_config_edit (config)->failure_threshold = failures;
}

/**
 * derate_breaker_config_get_window:
 * @config: a config
 *
 * Gets `window`, the value in force.
 *
 * Returns: the value
 *
 * Since: 1.0
 */
DerateBreakerWindow
derate_breaker_config_get_window (const DerateBreakerConfig *config)
{
  g_return_val_if_fail (config != NULL, DERATE_BREAKER_WINDOW_NONE);

  return config->settings->window;
}

/**
 * derate_breaker_config_set_window:
 * @config: a config
 * @window: what the rates are taken over; the last calls by default
 *
 * Sets `window`. For so many failures in a short time, as Failsafe has it, take a time window with
 * as many calls at least.
 *
 * Since: 1.0
 */
void
derate_breaker_config_set_window (DerateBreakerConfig *config, DerateBreakerWindow window)
{
  g_return_if_fail (config != NULL);

  derate_breaker_config_edit (config)->window = window;
}

/**
 * derate_breaker_config_get_window_size:
 * @config: a config
 *
 * Gets `window-size` of a count window.
 *
 * Returns: the value
 *
 * Since: 1.0
 */
guint
derate_breaker_config_get_window_size (const DerateBreakerConfig *config)
{
  g_return_val_if_fail (config != NULL, 0);

  return config->settings->window_size;
}

/**
 * derate_breaker_config_set_window_size:
 * @config: a config
 * @calls: how many calls the window holds, 1 to 100000; 10 by default
 *
 * Sets `window-size` of a count window.
 *
 * Since: 1.0
 */
void
derate_breaker_config_set_window_size (DerateBreakerConfig *config, guint calls)
{
  DerateBreakerSettings *settings;

  g_return_if_fail (config != NULL);

  settings = derate_breaker_config_edit (config);
  settings->window_size = calls;
  settings->sized = DERATE_BREAKER_WINDOW_COUNT;
}

/**
 * derate_breaker_config_get_window_duration:
 * @config: a config
 *
 * Gets `window-size` of a time window.
 *
 * Returns: the value, in microseconds
 *
 * Since: 1.0
 */
GTimeSpan
derate_breaker_config_get_window_duration (const DerateBreakerConfig *config)
{
  g_return_val_if_fail (config != NULL, 0);

  return config->settings->window_duration;
}

/**
 * derate_breaker_config_set_window_duration:
 * @config: a config
 * @duration: how far back the window reaches, in microseconds, 10 ms to one day; 10 s by default
 *
 * Sets `window-size` of a time window. It is kept in ten slices, the number that Failsafe and Polly
 * use: a slice begins with the first outcome after the slice before it, is a tenth of the duration
 * long, and leaves the window as a whole when its beginning is @duration ago. So an outcome counts
 * for nine tenths of the duration at least and never for longer than all of it.
 *
 * Since: 1.0
 */
void
derate_breaker_config_set_window_duration (DerateBreakerConfig *config, GTimeSpan duration)
{
  DerateBreakerSettings *settings;

  g_return_if_fail (config != NULL);

  settings = derate_breaker_config_edit (config);
  settings->window_duration = duration;
  settings->sized = DERATE_BREAKER_WINDOW_TIME;
}

/**
 * derate_breaker_config_get_minimum_calls:
 * @config: a config
 *
 * Gets `minimum-calls`, the value in force.
 *
 * Returns: the value
 *
 * Since: 1.0
 */
guint
derate_breaker_config_get_minimum_calls (const DerateBreakerConfig *config)
{
  g_return_val_if_fail (config != NULL, 0);

  return derate_breaker_settings_get_minimum_calls (config->settings);
}

/**
 * derate_breaker_config_set_minimum_calls:
 * @config: a config
 * @calls: how many calls the window must hold before its rates are known, in a count window at most
 *   window-size; 0 = the default: window-size, in a time window 10
 *
 * Sets `minimum-calls`. Below it a rate is unknown and opens nothing, each time the window begins
 * empty; opossum's warm-up is for the first time only. It does not guard a half-open breaker.
 *
 * Since: 1.0
 */
void
derate_breaker_config_set_minimum_calls (DerateBreakerConfig *config, guint calls)
{
  g_return_if_fail (config != NULL);

  derate_breaker_config_edit (config)->minimum_calls = calls;
}

/**
 * derate_breaker_config_get_failure_rate_threshold:
 * @config: a config
 *
 * Gets `failure-rate-threshold`, the value in force.
 *
 * Returns: the value
 *
 * Since: 1.0
 */
double
derate_breaker_config_get_failure_rate_threshold (const DerateBreakerConfig *config)
{
  g_return_val_if_fail (config != NULL, 0);

  return config->settings->failure_rate_threshold;
}

/**
 * derate_breaker_config_set_failure_rate_threshold:
 * @config: a config
 * @rate: share of failures in the window at which the breaker opens, above 0 and up to 1; 0.5 by
 *   default
 *
 * Sets `failure-rate-threshold`. A rate that is equal to it opens the breaker, as in Resilience4j;
 * in opossum, Cockatiel and Sentinel it must be above. It is looked at with each outcome that is
 * counted, so that a success may open it too, by making minimum-calls full; Polly looks with
 * failures only. It is compared without rounding.
 *
 * Since: 1.0
 */
void
derate_breaker_config_set_failure_rate_threshold (DerateBreakerConfig *config, double rate)
{
  g_return_if_fail (config != NULL);

  derate_breaker_config_edit (config)->failure_rate_threshold = rate;
}

/**
 * derate_breaker_config_get_slow_call_duration:
 * @config: a config
 *
 * Gets `slow-call-duration`, the value in force.
 *
 * Returns: the value
 *
 * Since: 1.0
 */
GTimeSpan
derate_breaker_config_get_slow_call_duration (const DerateBreakerConfig *config)
{
  g_return_val_if_fail (config != NULL, 0);

  return config->settings->slow_call_duration;
}

/**
 * derate_breaker_config_set_slow_call_duration:
 * @config: a config
 * @duration: from how many microseconds on a call is slow, 0 = off, the default
 *
 * Sets `slow-call-duration`. A call of just this duration is slow; in Resilience4j and Sentinel it
 * must take longer. A slow success is a success, and slow.
 *
 * Since: 1.0
 */
void
derate_breaker_config_set_slow_call_duration (DerateBreakerConfig *config, GTimeSpan duration)
{
  g_return_if_fail (config != NULL);

  derate_breaker_config_edit (config)->slow_call_duration = duration;
}

/**
 * derate_breaker_config_get_slow_call_rate_threshold:
 * @config: a config
 *
 * Gets `slow-call-rate-threshold`, the value in force.
 *
 * Returns: the value
 *
 * Since: 1.0
 */
double
derate_breaker_config_get_slow_call_rate_threshold (const DerateBreakerConfig *config)
{
  g_return_val_if_fail (config != NULL, 0);

  return config->settings->slow_call_rate_threshold;
}

/**
 * derate_breaker_config_set_slow_call_rate_threshold:
 * @config: a config
 * @rate: share of slow calls in the window at which the breaker opens, above 0 and up to 1; 1 by
 *   default
 *
 * Sets `slow-call-rate-threshold`.
 *
 * Since: 1.0
 */
void
derate_breaker_config_set_slow_call_rate_threshold (DerateBreakerConfig *config, double rate)
{
  g_return_if_fail (config != NULL);

  derate_breaker_config_edit (config)->slow_call_rate_threshold = rate;
}

/**
 * derate_breaker_config_get_measure:
 * @config: a config
 *
 * Gets `measure`, the value in force.
 *
 * Returns: the value
 *
 * Since: 1.0
 */
gboolean
derate_breaker_config_get_measure (const DerateBreakerConfig *config)
{
  g_return_val_if_fail (config != NULL, FALSE);

  return config->settings->measure;
}

/**
 * derate_breaker_config_set_measure:
 * @config: a config
 * @measure: whether to read the clock at the begin and the end of each call; %FALSE by default, as
 *   that is most of what a call through a closed breaker costs
 *
 * Sets `measure`: `circuit_breaker_call_duration_seconds` then also has the calls of a breaker for
 * which none is slow.
 *
 * Since: 1.0
 */
void
derate_breaker_config_set_measure (DerateBreakerConfig *config, gboolean measure)
{
  g_return_if_fail (config != NULL);

  derate_breaker_config_edit (config)->measure = measure != FALSE;
}
