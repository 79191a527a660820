/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-breaker-config-private.h"

/* The properties of a config, one by one: how long a breaker is open, and how it closes again. */

#define DEFAULT_MAX (10 * G_TIME_SPAN_MINUTE)
#define DEFAULT_LEASE (60 * G_TIME_SPAN_SECOND)

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
 * Sets `open-duration`. Whoever asks just then, or later, is let through as a probe.
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
 * Sets `open-duration-multiplier`. Closing alone takes it down no step, so that a service that
 * flaps is left alone for longer and longer; Envoy ejects hosts so, while Polly and Resilience4j
 * begin anew after one good probe. There is no function to draw the durations from.
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
 * Sets `success-threshold`. One lucky answer is no recovery; with 1 it is, as in most libraries.
 * Any failure opens the breaker again; a neutral outcome does neither and gives its permit back.
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
 * Sets `half-open-lease`. It runs for each permit. A hung probe so opens the breaker again, or by
 * rate counts as one failure of those that decide together, and its own answer changes nothing any
 * more. Resilience4j limits the whole stay instead, and not by default.
 *
 * Since: 1.0
 */
void
derate_breaker_config_set_half_open_lease (DerateBreakerConfig *config, GTimeSpan lease)
{
  g_return_if_fail (config != NULL);

  derate_breaker_config_edit (config)->half_open_lease = lease;
}

/**
 * derate_breaker_config_get_half_open_decision:
 * @config: a config
 *
 * Gets `half-open-decision`, the value in force.
 *
 * Returns: the value
 *
 * Since: 1.0
 */
DerateBreakerDecision
derate_breaker_config_get_half_open_decision (const DerateBreakerConfig *config)
{
  g_return_val_if_fail (config != NULL, DERATE_BREAKER_DECISION_STRICT);

  return config->settings->half_open_decision;
}

/**
 * derate_breaker_config_set_half_open_decision:
 * @config: a config
 * @decision: how the probes of a half-open breaker decide; strict by default
 *
 * Sets `half-open-decision`. By rate, half-open-max-calls is how many permits there are in all, not
 * at once: that many outcomes decide together, as they do in Resilience4j, against
 * failure-rate-threshold and slow-call-rate-threshold, and success-threshold is not used. They
 * decide when all are there; Cockatiel opens as soon as the failures suffice.
 *
 * Since: 1.0
 */
void
derate_breaker_config_set_half_open_decision (DerateBreakerConfig *config,
                                              DerateBreakerDecision decision)
{
  g_return_if_fail (config != NULL);

  derate_breaker_config_edit (config)->half_open_decision = decision;
}

/**
 * derate_breaker_config_get_ramp_duration:
 * @config: a config
 *
 * Gets `ramp-duration`, the value in force.
 *
 * Returns: the value, in microseconds
 *
 * Since: 1.0
 */
GTimeSpan
derate_breaker_config_get_ramp_duration (const DerateBreakerConfig *config)
{
  g_return_val_if_fail (config != NULL, 0);

  return config->settings->ramp_duration;
}

/**
 * derate_breaker_config_set_ramp_duration:
 * @config: a config
 * @duration: over how long a breaker that has closed by itself lets more and more calls through, in
 *   microseconds; 0, the default: all at once
 *
 * Sets `ramp-duration`. The share grows in a line from a tenth to all; the calls are spread evenly,
 * and the first is let through. The others are refused with %DERATE_ERROR_RAMPING. A breaker that
 * is closed by hand, reset, or given another mode does not ramp.
 *
 * Since: 1.0
 */
void
derate_breaker_config_set_ramp_duration (DerateBreakerConfig *config, GTimeSpan duration)
{
  g_return_if_fail (config != NULL);

  derate_breaker_config_edit (config)->ramp_duration = duration;
}
