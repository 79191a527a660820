/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-health-check-config.h"

#include <math.h>
#include <string.h>

#include "derate-error.h"
#include "derate-time-span.h"

/**
 * DerateHealthCheckConfig:
 *
 * How often and how patiently a service is checked.
 *
 * | key | default | meaning |
 * |---|---|---|
 * | `check-interval` | 10s | time between checks while nothing changes |
 * | `check-timeout` | 2s | a check that has not answered by then has failed |
 * | `check-fast-interval` | 2s | time between checks while a change waits to be confirmed |
 * | `check-slow` | half of the timeout | an answer at or after it is a degraded one |
 * | `check-fall` | 3 | results in a row that make a service worse |
 * | `check-rise` | 2 | results in a row that make it better |
 * | `check-jitter` | 0.1 | share of the interval by which checks are spread, either way |
 *
 * Fall, rise and the fast interval are HAProxy's. A value is a copy; change one before it is handed
 * to a service.
 *
 * Since: 1.0
 */
struct _DerateHealthCheckConfig
{
  GTimeSpan interval;
  GTimeSpan timeout;
  GTimeSpan fast_interval;
  GTimeSpan slow; /* 0 is half of the timeout */
  guint fall;
  guint rise;
  double jitter;
};

G_DEFINE_BOXED_TYPE (DerateHealthCheckConfig,
                     derate_health_check_config,
                     derate_health_check_config_copy,
                     derate_health_check_config_free)

#define JITTER_MAX 0.5
#define COUNT_MAX 1000

/**
 * derate_health_check_config_new:
 *
 * Makes a configuration of defaults.
 *
 * Returns: (transfer full): the configuration
 *
 * Since: 1.0
 */
DerateHealthCheckConfig *
derate_health_check_config_new (void)
{
  DerateHealthCheckConfig *config = g_new0 (DerateHealthCheckConfig, 1);

  config->interval = 10 * G_TIME_SPAN_SECOND;
  config->timeout = 2 * G_TIME_SPAN_SECOND;
  config->fast_interval = 2 * G_TIME_SPAN_SECOND;
  config->fall = 3;
  config->rise = 2;
  config->jitter = 0.1;
  return config;
}

/**
 * derate_health_check_config_copy:
 * @config: a configuration
 *
 * Copies it.
 *
 * Returns: (transfer full): the copy
 *
 * Since: 1.0
 */
DerateHealthCheckConfig *
derate_health_check_config_copy (const DerateHealthCheckConfig *config)
{
  return g_memdup2 (config, sizeof *config);
}

/**
 * derate_health_check_config_free:
 * @config: (transfer full): a configuration
 *
 * Frees it.
 *
 * Since: 1.0
 */
void
derate_health_check_config_free (DerateHealthCheckConfig *config)
{
  g_free (config);
}

/**
 * derate_health_check_config_equal:
 * @a: a configuration
 * @b: a configuration
 *
 * Compares two of them.
 *
 * Returns: whether every value is the same
 *
 * Since: 1.0
 */
gboolean
derate_health_check_config_equal (const DerateHealthCheckConfig *a,
                                  const DerateHealthCheckConfig *b)
{
  return a->interval == b->interval && a->timeout == b->timeout &&
         a->fast_interval == b->fast_interval && a->slow == b->slow && a->fall == b->fall &&
         a->rise == b->rise && a->jitter == b->jitter;
}

/* Text */

typedef gboolean (*KeyFunc) (DerateHealthCheckConfig *config,
                             const char *value,
                             gsize offset,
                             GError **error);

static gboolean
parse_span (DerateHealthCheckConfig *config, const char *value, gsize offset, GError **error)
{
  GTimeSpan span;

  if (!derate_time_span_parse (value, &span, error))
    return FALSE;
  if (span <= 0)
    {
      g_set_error_literal (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG,
                           "must be longer than 0");
      return FALSE;
    }
  G_STRUCT_MEMBER (GTimeSpan, config, offset) = span;
  return TRUE;
}

static gboolean
parse_count (DerateHealthCheckConfig *config, const char *value, gsize offset, GError **error)
{
  guint64 count;

  if (!g_ascii_string_to_unsigned (value, 10, 1, COUNT_MAX, &count, error))
    return FALSE;
  G_STRUCT_MEMBER (guint, config, offset) = count;
  return TRUE;
}

static gboolean
parse_share (DerateHealthCheckConfig *config, const char *value, gsize offset, GError **error)
{
  char *end = NULL;
  double share = g_ascii_strtod (value, &end);

  if (end == value || *end != '\0' || !g_ascii_isdigit (*value) || !isfinite (share) ||
      share > JITTER_MAX)
    {
      g_set_error_literal (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG,
                           "must be a number from 0 to 0.5");
      return FALSE;
    }
  G_STRUCT_MEMBER (double, config, offset) = share;
  return TRUE;
}

static const struct
{
  const char *key;
  KeyFunc parse;
  gsize offset;
} keys[] = {
  { "check-interval", parse_span, G_STRUCT_OFFSET (DerateHealthCheckConfig, interval) },
  { "check-timeout", parse_span, G_STRUCT_OFFSET (DerateHealthCheckConfig, timeout) },
  { "check-fast-interval", parse_span, G_STRUCT_OFFSET (DerateHealthCheckConfig, fast_interval) },
  { "check-slow", parse_span, G_STRUCT_OFFSET (DerateHealthCheckConfig, slow) },
  { "check-fall", parse_count, G_STRUCT_OFFSET (DerateHealthCheckConfig, fall) },
  { "check-rise", parse_count, G_STRUCT_OFFSET (DerateHealthCheckConfig, rise) },
  { "check-jitter", parse_share, G_STRUCT_OFFSET (DerateHealthCheckConfig, jitter) },
};

/**
 * derate_health_check_config_has_key:
 * @key: a key of a `[service]` group
 *
 * Says whether derate_health_check_config_set_from_string() knows a key; the other `check-` keys
 * are the plugin's.
 *
 * Returns: whether it is one of this configuration's
 *
 * Since: 1.0
 */
gboolean
derate_health_check_config_has_key (const char *key)
{
  for (guint i = 0; i < G_N_ELEMENTS (keys); i++)
    if (g_strcmp0 (keys[i].key, key) == 0)
      return TRUE;
  return FALSE;
}

/**
 * derate_health_check_config_set_from_string:
 * @config: a configuration
 * @key: a key, such as `check-interval`
 * @value: its value as a configuration file has it, such as `10s`
 * @error: where to put the error
 *
 * Sets one value from text.
 *
 * Returns: %FALSE with %DERATE_ERROR_INVALID_CONFIG, naming key and value, where the key is not
 * known or the value cannot be; @config is then as before
 *
 * Since: 1.0
 */
gboolean
derate_health_check_config_set_from_string (DerateHealthCheckConfig *config,
                                            const char *key,
                                            const char *value,
                                            GError **error)
{
  for (guint i = 0; i < G_N_ELEMENTS (keys); i++)
    {
      g_autoptr (GError) local = NULL;

      if (g_strcmp0 (keys[i].key, key) != 0)
        continue;
      if (keys[i].parse (config, value, keys[i].offset, &local))
        return TRUE;
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG, "%s=%s: %s", key, value,
                   local->message);
      return FALSE;
    }
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG, "unknown key “%s”", key);
  return FALSE;
}

/**
 * derate_health_check_config_validate:
 * @config: a configuration
 * @error: where to put the error
 *
 * Looks for values that contradict each other.
 *
 * Returns: %FALSE with %DERATE_ERROR_INVALID_CONFIG, naming the pair
 *
 * Since: 1.0
 */
gboolean
derate_health_check_config_validate (const DerateHealthCheckConfig *config, GError **error)
{
  g_autofree char *slow = NULL;
  g_autofree char *timeout = NULL;

  if (config->slow < config->timeout)
    return TRUE;
  slow = derate_time_span_to_string (config->slow);
  timeout = derate_time_span_to_string (config->timeout);
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG,
               "check-slow=%s must be shorter than check-timeout=%s", slow, timeout);
  return FALSE;
}

/* Values */

/**
 * derate_health_check_config_set_interval:
 * @config: a configuration
 * @interval: the time between checks: microseconds, more than 0
 *
 * The time between checks while nothing changes.
 *
 * Since: 1.0
 */
void
derate_health_check_config_set_interval (DerateHealthCheckConfig *config, GTimeSpan interval)
{
  g_return_if_fail (interval > 0);

  config->interval = interval;
}

/**
 * derate_health_check_config_get_interval:
 * @config: a configuration
 *
 * The time between checks while nothing changes.
 *
 * Returns: the time between checks: microseconds
 *
 * Since: 1.0
 */
GTimeSpan
derate_health_check_config_get_interval (const DerateHealthCheckConfig *config)
{
  return config->interval;
}

/**
 * derate_health_check_config_set_timeout:
 * @config: a configuration
 * @timeout: the time a check has: microseconds, more than 0
 *
 * The time after which a check that has not answered has failed.
 *
 * Since: 1.0
 */
void
derate_health_check_config_set_timeout (DerateHealthCheckConfig *config, GTimeSpan timeout)
{
  g_return_if_fail (timeout > 0);

  config->timeout = timeout;
}

/**
 * derate_health_check_config_get_timeout:
 * @config: a configuration
 *
 * The time after which a check that has not answered has failed.
 *
 * Returns: the time a check has: microseconds
 *
 * Since: 1.0
 */
GTimeSpan
derate_health_check_config_get_timeout (const DerateHealthCheckConfig *config)
{
  return config->timeout;
}

/**
 * derate_health_check_config_set_fast_interval:
 * @config: a configuration
 * @interval: the time between checks: microseconds, more than 0
 *
 * The time between checks while a change waits to be confirmed. Never longer than the interval.
 *
 * Since: 1.0
 */
void
derate_health_check_config_set_fast_interval (DerateHealthCheckConfig *config, GTimeSpan interval)
{
  g_return_if_fail (interval > 0);

  config->fast_interval = interval;
}

/**
 * derate_health_check_config_get_fast_interval:
 * @config: a configuration
 *
 * The time between checks while a change waits to be confirmed. Never longer than the interval.
 *
 * Returns: the time between checks: microseconds
 *
 * Since: 1.0
 */
GTimeSpan
derate_health_check_config_get_fast_interval (const DerateHealthCheckConfig *config)
{
  return MIN (config->fast_interval, config->interval);
}

/**
 * derate_health_check_config_set_slow:
 * @config: a configuration
 * @slow: how late an answer is slow: microseconds; 0 for half of the timeout
 *
 * The time at or after which an answer counts as degraded.
 *
 * Since: 1.0
 */
void
derate_health_check_config_set_slow (DerateHealthCheckConfig *config, GTimeSpan slow)
{
  g_return_if_fail (slow >= 0);

  config->slow = slow;
}

/**
 * derate_health_check_config_get_slow:
 * @config: a configuration
 *
 * The time at or after which an answer counts as degraded.
 *
 * Returns: how late an answer is slow: microseconds
 *
 * Since: 1.0
 */
GTimeSpan
derate_health_check_config_get_slow (const DerateHealthCheckConfig *config)
{
  return config->slow > 0 ? config->slow : config->timeout / 2;
}

/**
 * derate_health_check_config_set_fall:
 * @config: a configuration
 * @fall: how many results: at least 1
 *
 * How many results in a row make a service worse.
 *
 * Since: 1.0
 */
void
derate_health_check_config_set_fall (DerateHealthCheckConfig *config, guint fall)
{
  g_return_if_fail (fall > 0);

  config->fall = fall;
}

/**
 * derate_health_check_config_get_fall:
 * @config: a configuration
 *
 * How many results in a row make a service worse.
 *
 * Returns: how many results: at least 1
 *
 * Since: 1.0
 */
guint
derate_health_check_config_get_fall (const DerateHealthCheckConfig *config)
{
  return config->fall;
}

/**
 * derate_health_check_config_set_rise:
 * @config: a configuration
 * @rise: how many results: at least 1
 *
 * How many results in a row make a service better.
 *
 * Since: 1.0
 */
void
derate_health_check_config_set_rise (DerateHealthCheckConfig *config, guint rise)
{
  g_return_if_fail (rise > 0);

  config->rise = rise;
}

/**
 * derate_health_check_config_get_rise:
 * @config: a configuration
 *
 * How many results in a row make a service better.
 *
 * Returns: how many results: at least 1
 *
 * Since: 1.0
 */
guint
derate_health_check_config_get_rise (const DerateHealthCheckConfig *config)
{
  return config->rise;
}

/**
 * derate_health_check_config_set_jitter:
 * @config: a configuration
 * @jitter: a share of the interval: 0 to 0.5
 *
 * The share of the interval by which checks are spread, either way.
 *
 * Since: 1.0
 */
void
derate_health_check_config_set_jitter (DerateHealthCheckConfig *config, double jitter)
{
  g_return_if_fail (jitter >= 0 && jitter <= JITTER_MAX);

  config->jitter = jitter;
}

/**
 * derate_health_check_config_get_jitter:
 * @config: a configuration
 *
 * The share of the interval by which checks are spread, either way.
 *
 * Returns: a share of the interval: 0 to 0.5
 *
 * Since: 1.0
 */
double
derate_health_check_config_get_jitter (const DerateHealthCheckConfig *config)
{
  return config->jitter;
}
