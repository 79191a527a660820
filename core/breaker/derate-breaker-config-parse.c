/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-breaker-config-private.h"

#include <math.h>
#include <stddef.h>

#include "derate-env.h"
#include "derate-error.h"
#include "derate-names-private.h"
#include "derate-time-span.h"

/* A config from text, and what is wrong with one. Each property stands once in the table. */

typedef enum
{
  KIND_COUNT,
  KIND_NUMBER,
  KIND_RATE, /* above 0 */
  KIND_SPAN, /* 0 is 0 */
  KIND_LIMIT, /* a span above 0, or left to its default */
  KIND_WINDOW,
  KIND_SIZE, /* calls or a duration, as the window has it */
  KIND_DECISION,
  KIND_SWITCH,
} Kind;

typedef struct
{
  const char *key;
  Kind kind;
  gsize offset;
  double minimum;
  double maximum;
  gboolean follows; /* an integer 0 in the settings: follows another property */
} Property;

#define MAX_SPAN (100.0 * 366 * G_TIME_SPAN_DAY)
#define MAX_WINDOW_SIZE 100000
#define MIN_WINDOW_DURATION (10 * G_TIME_SPAN_MILLISECOND)
#define MAX_WINDOW_DURATION G_TIME_SPAN_DAY
#define FIELD(name) offsetof (DerateBreakerSettings, name)

static const Property properties[] = {
  { "failure-threshold", KIND_COUNT, FIELD (failure_threshold), 0, G_MAXINT32 },
  { "window", KIND_WINDOW, FIELD (window) },
  { "window-size", KIND_SIZE },
  { "minimum-calls", KIND_COUNT, FIELD (minimum_calls), 1, 100000, TRUE },
  { "failure-rate-threshold", KIND_RATE, FIELD (failure_rate_threshold), 0, 1 },
  { "slow-call-duration", KIND_SPAN, FIELD (slow_call_duration), 0, MAX_SPAN },
  { "slow-call-rate-threshold", KIND_RATE, FIELD (slow_call_rate_threshold), 0, 1 },
  { "measure", KIND_SWITCH },
  { "open-duration", KIND_SPAN, FIELD (open_duration), 0, MAX_SPAN },
  { "open-duration-multiplier", KIND_NUMBER, FIELD (open_duration_multiplier), 1, 100 },
  { "open-duration-max", KIND_LIMIT, FIELD (open_duration_max), 0, MAX_SPAN, TRUE },
  { "open-duration-jitter", KIND_NUMBER, FIELD (open_duration_jitter), 0, 1 },
  { "half-open-max-calls", KIND_COUNT, FIELD (half_open_max_calls), 1, 1000 },
  { "success-threshold", KIND_COUNT, FIELD (success_threshold), 1, G_MAXINT32 },
  { "half-open-lease", KIND_LIMIT, FIELD (half_open_lease), 0, MAX_SPAN, TRUE },
  { "half-open-decision", KIND_DECISION },
  { "ramp-duration", KIND_SPAN, FIELD (ramp_duration), 0, MAX_SPAN },
};

static const Property *
find_property (const char *key)
{
  for (guint i = 0; i < G_N_ELEMENTS (properties); i++)
    if (g_str_equal (properties[i].key, key))
      return &properties[i];
  return NULL;
}

/* Whether @number is one that @property may have. NaN never is. */
static gboolean
in_range (const Property *property, double number)
{
  gboolean above = property->kind == KIND_RATE || property->kind == KIND_LIMIT
                       ? number > property->minimum
                       : number >= property->minimum;

  return above && number <= property->maximum;
}

static double
get_number (const Property *property, const DerateBreakerSettings *settings)
{
  const char *field = (const char *)settings + property->offset;

  switch (property->kind)
    {
    case KIND_COUNT:
      return *(const guint *)(gconstpointer)field;
    case KIND_NUMBER:
    case KIND_RATE:
      return *(const double *)(gconstpointer)field;
    case KIND_SPAN:
    case KIND_LIMIT:
      return (double)*(const GTimeSpan *)(gconstpointer)field;
    default:
      return 0;
    }
}

static gboolean
refuse (GError **error, const char *key, const char *value, const char *why)
{
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG, "%s: '%s' %s", key, value, why);
  return FALSE;
}

static const char *
describe_range (const Property *property)
{
  switch (property->kind)
    {
    case KIND_RATE:
      return "is not a number above 0 and up to 1";
    case KIND_SPAN:
      return "is not a duration";
    case KIND_LIMIT:
      return "is not a duration above 0";
    case KIND_NUMBER:
      return property->minimum == 0 ? "is not a number from 0 to 1"
                                    : "is not a number from 1 to 100";
    default:
      return property->minimum == 0 ? "is not a whole number" : "is not a whole number in range";
    }
}

static gboolean
parse_count (const Property *property, gpointer field, const char *value)
{
  guint64 number;

  if (!g_ascii_string_to_unsigned (value, 10, (guint64)property->minimum,
                                   (guint64)property->maximum, &number, NULL))
    return FALSE;
  *(guint *)field = (guint)number;
  return TRUE;
}

static gboolean
parse_double (const Property *property, gpointer field, const char *value)
{
  char *end = NULL;
  double number;

  if (!g_ascii_isdigit (*value))
    return FALSE;
  number = g_ascii_strtod (value, &end);
  if (*end != '\0' || !in_range (property, number))
    return FALSE;
  *(double *)field = number;
  return TRUE;
}

static gboolean
parse_span (const Property *property, gpointer field, const char *value)
{
  GTimeSpan span;

  if (property->kind == KIND_SPAN && g_str_equal (property->key, "slow-call-duration") &&
      g_str_equal (value, "off"))
    value = "0";
  if (!derate_time_span_parse (value, &span, NULL) || !in_range (property, (double)span))
    return FALSE;
  *(GTimeSpan *)field = span;
  return TRUE;
}

static gboolean
parse_window (DerateBreakerSettings *settings, const char *value, GError **error)
{
  if (g_str_equal (value, "count"))
    settings->window = DERATE_BREAKER_WINDOW_COUNT;
  else if (g_str_equal (value, "none"))
    settings->window = DERATE_BREAKER_WINDOW_NONE;
  else if (g_str_equal (value, "time"))
    settings->window = DERATE_BREAKER_WINDOW_TIME;
  else
    return refuse (error, "window", value, "is none of count, time, none");
  return TRUE;
}

static gboolean
parse_decision (DerateBreakerSettings *settings, const char *value, GError **error)
{
  if (g_str_equal (value, "strict"))
    settings->half_open_decision = DERATE_BREAKER_DECISION_STRICT;
  else if (g_str_equal (value, "rate"))
    settings->half_open_decision = DERATE_BREAKER_DECISION_RATE;
  else
    return refuse (error, "half-open-decision", value, "is neither strict nor rate");
  return TRUE;
}

static gboolean
parse_switch (gboolean *field, const char *key, const char *value, GError **error)
{
  if (!g_str_equal (value, "true") && !g_str_equal (value, "false"))
    return refuse (error, key, value, "is neither true nor false");
  *field = *value == 't';
  return TRUE;
}

/* Which form the window wants is not known before all is read: derate_breaker_config_validate ()
 * says. */
static gboolean
parse_size (DerateBreakerSettings *settings, const char *value, GError **error)
{
  GTimeSpan span;
  guint64 calls;

  if (g_ascii_string_to_unsigned (value, 10, 1, MAX_WINDOW_SIZE, &calls, NULL))
    {
      settings->window_size = (guint)calls;
      settings->sized = DERATE_BREAKER_WINDOW_COUNT;
      return TRUE;
    }
  if (derate_time_span_parse (value, &span, NULL) && span >= MIN_WINDOW_DURATION &&
      span <= MAX_WINDOW_DURATION)
    {
      settings->window_duration = span;
      settings->sized = DERATE_BREAKER_WINDOW_TIME;
      return TRUE;
    }
  return refuse (error, "window-size", value,
                 "is neither a whole number from 1 to 100000 nor a duration from 10ms to 1d");
}

/**
 * derate_breaker_config_set_from_string:
 * @config: a config
 * @key: the name of a property, as in a configuration file
 * @value: its value: durations as `30s` or `250ms`
 * @error: return location for a %DERATE_ERROR_INVALID_CONFIG that names @key and @value
 *
 * Sets one property from text. On an error @config is as before.
 *
 * Returns: %TRUE when it was set
 *
 * Since: 1.0
 */
gboolean
derate_breaker_config_set_from_string (DerateBreakerConfig *config,
                                       const char *key,
                                       const char *value,
                                       GError **error)
{
  const Property *property;
  gpointer field;
  gboolean good;

  g_return_val_if_fail (config != NULL, FALSE);
  g_return_val_if_fail (key != NULL, FALSE);
  g_return_val_if_fail (value != NULL, FALSE);

  property = find_property (key);
  if (property == NULL)
    return refuse (error, key, value, "is set for a property that no circuit breaker has");

  field = (char *)derate_breaker_config_edit (config) + property->offset;
  switch (property->kind)
    {
    case KIND_WINDOW:
      return parse_window (config->settings, value, error);
    case KIND_DECISION:
      return parse_decision (config->settings, value, error);
    case KIND_SIZE:
      return parse_size (config->settings, value, error);
    case KIND_SWITCH:
      return parse_switch (&config->settings->measure, key, value, error);
    case KIND_COUNT:
      good = parse_count (property, field, value);
      break;
    case KIND_NUMBER:
    case KIND_RATE:
      good = parse_double (property, field, value);
      break;
    default:
      good = parse_span (property, field, value);
      break;
    }
  return good || refuse (error, key, value, describe_range (property));
}

static gboolean
check_ranges (const DerateBreakerSettings *settings, GError **error)
{
  for (guint i = 0; i < G_N_ELEMENTS (properties); i++)
    {
      const Property *property = &properties[i];
      char text[G_ASCII_DTOSTR_BUF_SIZE];
      double number;

      if (property->kind == KIND_DECISION || property->kind == KIND_WINDOW ||
          property->kind == KIND_SIZE || property->kind == KIND_SWITCH)
        continue;
      number = get_number (property, settings);
      if (in_range (property, number) || (property->follows && number == 0))
        continue;
      if (property->kind == KIND_SPAN || property->kind == KIND_LIMIT)
        number /= G_TIME_SPAN_SECOND;
      g_ascii_dtostr (text, sizeof text, number);
      return refuse (error, property->key, text, describe_range (property));
    }
  return TRUE;
}

static gboolean
conflict (GError **error, const char *text)
{
  g_set_error_literal (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG, text);
  return FALSE;
}

/* Whether the size is of the form that the window wants, and in range. */
static gboolean
check_size (const DerateBreakerSettings *settings, GError **error)
{
  g_autofree char *calls = g_strdup_printf ("%u", settings->window_size);
  g_autofree char *span = derate_time_span_to_string (settings->window_duration);

  if (settings->window == DERATE_BREAKER_WINDOW_COUNT)
    {
      if (settings->sized == DERATE_BREAKER_WINDOW_TIME)
        return refuse (error, "window-size", span,
                       "is a duration, but window=count wants a number of calls");
      if (settings->window_size < 1 || settings->window_size > MAX_WINDOW_SIZE)
        return refuse (error, "window-size", calls, "is not a whole number from 1 to 100000");
    }
  if (settings->window == DERATE_BREAKER_WINDOW_TIME)
    {
      if (settings->sized == DERATE_BREAKER_WINDOW_COUNT)
        return refuse (error, "window-size", calls,
                       "is a number of calls, but window=time wants a duration");
      if (settings->window_duration < MIN_WINDOW_DURATION ||
          settings->window_duration > MAX_WINDOW_DURATION)
        return refuse (error, "window-size", span, "is not a duration from 10ms to 1d");
    }
  return TRUE;
}

/**
 * derate_breaker_config_validate:
 * @config: a config
 * @error: return location for a %DERATE_ERROR_INVALID_CONFIG that names the properties
 *
 * Whether a breaker can be made of it: each property in its range, and no two in conflict. Nothing
 * is ever changed silently to make it fit.
 *
 * Returns: %TRUE when it is good
 *
 * Since: 1.0
 */
gboolean
derate_breaker_config_validate (const DerateBreakerConfig *config, GError **error)
{
  const DerateBreakerSettings *settings;

  g_return_val_if_fail (config != NULL, FALSE);

  settings = config->settings;
  if (!check_ranges (settings, error))
    return FALSE;
  if ((guint)settings->window > DERATE_BREAKER_WINDOW_NONE)
    return conflict (error, "window: there is no such window");
  if ((guint)settings->half_open_decision > DERATE_BREAKER_DECISION_RATE)
    return conflict (error, "half-open-decision: there is no such decision");
  if (!check_size (settings, error))
    return FALSE;
  if (settings->window == DERATE_BREAKER_WINDOW_COUNT &&
      settings->minimum_calls > settings->window_size)
    return conflict (error,
                     "minimum-calls is more than window-size: the rates would never be known");
  if (settings->open_duration_max != 0 && settings->open_duration_max < settings->open_duration)
    return conflict (error, "open-duration-max is less than open-duration");
  if (settings->slow_call_duration == 0 && settings->slow_call_rate_threshold < 1)
    return conflict (error, "slow-call-rate-threshold is set, but slow-call-duration is off");
  if (settings->slow_call_duration != 0 && settings->window == DERATE_BREAKER_WINDOW_NONE)
    return conflict (error, "slow-call-duration is set, but window is none");
  return TRUE;
}

/**
 * derate_breaker_config_new_from_environment:
 * @error: return location for a %DERATE_ERROR_INVALID_CONFIG that names the variable
 *
 * Makes a config with the defaults that the environment gives: `DEFAULT_FAILURE_THRESHOLD`, and
 * `DEFAULT_RECOVERY_TIMEOUT` in seconds for the open duration. Where they are not set, the
 * built-in. With `ENABLE_RESILIENCE=false` a breaker that is made of it, or of a copy, begins in
 * mode disabled.
 *
 * Returns: (transfer full): the config
 *
 * Since: 1.0
 */
DerateBreakerConfig *
derate_breaker_config_new_from_environment (GError **error)
{
  g_autoptr (DerateBreakerConfig) config = derate_breaker_config_new ();
  DerateBreakerSettings *settings = derate_breaker_config_edit (config);
  gboolean enabled;
  double threshold;
  double seconds;

  if (!derate_env_get_boolean (DERATE_ENV_ENABLE, TRUE, &enabled, error) ||
      !derate_env_get_number (DERATE_ENV_FAILURE_THRESHOLD, settings->failure_threshold, 0,
                              G_MAXINT32, &threshold, error) ||
      !derate_env_get_number (DERATE_ENV_RECOVERY_TIMEOUT, 60.0, 0, 365 * 86400.0, &seconds, error))
    return NULL;
  if (threshold != floor (threshold))
    {
      refuse (error, DERATE_ENV_FAILURE_THRESHOLD, g_getenv (DERATE_ENV_FAILURE_THRESHOLD),
              "is not a whole number");
      return NULL;
    }
  settings->disabled = !enabled;
  settings->failure_threshold = (guint)threshold;
  settings->open_duration = (GTimeSpan)(seconds * G_TIME_SPAN_SECOND);
  return g_steal_pointer (&config);
}

/**
 * derate_breaker_config_has_key:
 * @key: the name of a property, as in a configuration file
 *
 * Says whether derate_breaker_config_set_from_string() knows a key.
 *
 * Returns: whether a breaker has such a property
 *
 * Since: 1.0
 */
gboolean
derate_breaker_config_has_key (const char *key)
{
  g_return_val_if_fail (key != NULL, FALSE);

  return find_property (key) != NULL;
}
