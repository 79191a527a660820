/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-breaker-config-private.h"

/* The properties of a config, one by one. */

#define DEFAULT_MAX (10 * G_TIME_SPAN_MINUTE)
#define DEFAULT_LEASE (60 * G_TIME_SPAN_SECOND)
#define DEFAULT_MINIMUM 10 /* of a time window */

guint
derate_breaker_settings_get_minimum_calls (const DerateBreakerSettings *settings)
{
  if (settings->minimum_calls != 0)
    return settings->minimum_calls;
  return settings->window == DERATE_BREAKER_WINDOW_TIME ? DEFAULT_MINIMUM : settings->window_size;
}

GTimeSpan
derate_breaker_settings_get_max (const DerateBreakerSettings *settings)
{
  if (settings->open_duration_max != 0)
    return settings->open_duration_max;
  return MAX (DEFAULT_MAX, settings->open_duration);
}

GTimeSpan
derate_breaker_settings_get_lease (const DerateBreakerSettings *settings)
{
  if (settings->half_open_lease != 0)
    return settings->half_open_lease;
  return settings->open_duration != 0 ? settings->open_duration : DEFAULT_LEASE;
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
 * Sets `failure-threshold`.
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
 * Sets `window`.
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
 * Sets `minimum-calls`.
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
 * Sets `failure-rate-threshold`.
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
 * Sets `slow-call-duration`.
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
 * derate_breaker_config_get_open_duration:
 * @config: a config
 *
 * Gets `open-duration`, the value in force.
 *
 * Returns: the value
 *
 * Since: 1.0
 */
GTimeSpan
derate_breaker_config_get_open_duration (const DerateBreakerConfig *config)
{
  g_return_val_if_fail (config != NULL, 0);

  return config->settings->open_duration;
}

/**
 * derate_breaker_config_set_open_duration:
 * @config: a config
 * @duration: how long the breaker stays open, in microseconds; 60 s by default
 *
 * Sets `open-duration`.
 *
 * Since: 1.0
 */
void
derate_breaker_config_set_open_duration (DerateBreakerConfig *config, GTimeSpan duration)
{
  g_return_if_fail (config != NULL);

  derate_breaker_config_edit (config)->open_duration = duration;
}

/**
 * derate_breaker_config_get_open_duration_multiplier:
 * @config: a config
 *
 * Gets `open-duration-multiplier`, the value in force.
 *
 * Returns: the value
 *
 * Since: 1.0
 */
double
derate_breaker_config_get_open_duration_multiplier (const DerateBreakerConfig *config)
{
  g_return_val_if_fail (config != NULL, 0);

  return config->settings->open_duration_multiplier;
}

/**
 * derate_breaker_config_set_open_duration_multiplier:
 * @config: a config
 * @multiplier: by how much the open duration grows at each reopening without a healthy spell, 1 to
 *   100; 1 by default. It falls one step for each open duration spent closed
 *
 * Sets `open-duration-multiplier`.
 *
 * Since: 1.0
 */
void
derate_breaker_config_set_open_duration_multiplier (DerateBreakerConfig *config, double multiplier)
{
  g_return_if_fail (config != NULL);

  derate_breaker_config_edit (config)->open_duration_multiplier = multiplier;
}

/**
 * derate_breaker_config_get_open_duration_max:
 * @config: a config
 *
 * Gets `open-duration-max`, the value in force.
 *
 * Returns: the value
 *
 * Since: 1.0
 */
GTimeSpan
derate_breaker_config_get_open_duration_max (const DerateBreakerConfig *config)
{
  g_return_val_if_fail (config != NULL, 0);

  return derate_breaker_settings_get_max (config->settings);
}

/**
 * derate_breaker_config_set_open_duration_max:
 * @config: a config
 * @duration: what the open duration grows to, in microseconds, jitter not counted; 0 = 10 minutes
 *   or open-duration, whichever is longer, the default
 *
 * Sets `open-duration-max`.
 *
 * Since: 1.0
 */
void
derate_breaker_config_set_open_duration_max (DerateBreakerConfig *config, GTimeSpan duration)
{
  g_return_if_fail (config != NULL);

  derate_breaker_config_edit (config)->open_duration_max = duration;
}

/**
 * derate_breaker_config_get_open_duration_jitter:
 * @config: a config
 *
 * Gets `open-duration-jitter`, the value in force.
 *
 * Returns: the value
 *
 * Since: 1.0
 */
double
derate_breaker_config_get_open_duration_jitter (const DerateBreakerConfig *config)
{
  g_return_val_if_fail (config != NULL, 0);

  return config->settings->open_duration_jitter;
}

/**
 * derate_breaker_config_set_open_duration_jitter:
 * @config: a config
 * @jitter: the largest random share by which the open duration is lengthened, 0 to 1; 0.1 by
 *   default
 *
 * Sets `open-duration-jitter`.
 *
 * Since: 1.0
 */
void
derate_breaker_config_set_open_duration_jitter (DerateBreakerConfig *config, double jitter)
{
  g_return_if_fail (config != NULL);

  derate_breaker_config_edit (config)->open_duration_jitter = jitter;
}

/**
 * derate_breaker_config_get_half_open_max_calls:
 * @config: a config
 *
 * Gets `half-open-max-calls`, the value in force.
 *
 * Returns: the value
 *
 * Since: 1.0
 */
guint
derate_breaker_config_get_half_open_max_calls (const DerateBreakerConfig *config)
{
  g_return_val_if_fail (config != NULL, 0);

  return config->settings->half_open_max_calls;
}

/**
 * derate_breaker_config_set_half_open_max_calls:
 * @config: a config
 * @calls: how many calls may be out at once while half-open, 1 to 1000; 1 by default
 *
 * Sets `half-open-max-calls`.
 *
 * Since: 1.0
 */
void
derate_breaker_config_set_half_open_max_calls (DerateBreakerConfig *config, guint calls)
{
  g_return_if_fail (config != NULL);

  derate_breaker_config_edit (config)->half_open_max_calls = calls;
}

/**
 * derate_breaker_config_get_success_threshold:
 * @config: a config
 *
 * Gets `success-threshold`, the value in force.
 *
 * Returns: the value
 *
 * Since: 1.0
 */
guint
derate_breaker_config_get_success_threshold (const DerateBreakerConfig *config)
{
  g_return_val_if_fail (config != NULL, 0);

  return config->settings->success_threshold;
}

/**
 * derate_breaker_config_set_success_threshold:
 * @config: a config
 * @successes: how many successes while half-open close the breaker, at least 1; 2 by default
 *
 * Sets `success-threshold`.
 *
 * Since: 1.0
 */
void
derate_breaker_config_set_success_threshold (DerateBreakerConfig *config, guint successes)
{
  g_return_if_fail (config != NULL);

  derate_breaker_config_edit (config)->success_threshold = successes;
}

/**
 * derate_breaker_config_get_half_open_lease:
 * @config: a config
 *
 * Gets `half-open-lease`, the value in force.
 *
 * Returns: the value
 *
 * Since: 1.0
 */
GTimeSpan
derate_breaker_config_get_half_open_lease (const DerateBreakerConfig *config)
{
  g_return_val_if_fail (config != NULL, 0);

  return derate_breaker_settings_get_lease (config->settings);
}

/**
 * derate_breaker_config_set_half_open_lease:
 * @config: a config
 * @lease: after how many microseconds a call let through while half-open is taken as failed; 0 =
 *   open-duration (60 s if that is 0), the default
 *
 * Sets `half-open-lease`.
 *
 * Since: 1.0
 */
void
derate_breaker_config_set_half_open_lease (DerateBreakerConfig *config, GTimeSpan lease)
{
  g_return_if_fail (config != NULL);

  derate_breaker_config_edit (config)->half_open_lease = lease;
}
