/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-breaker-config.h"
#include "derate-error.h"

/* By how much a service may fail before it is spared. */
static const struct
{
  const char *name;
  guint failure_threshold;
  GTimeSpan open_duration;
  double failure_rate_threshold;
  guint success_threshold; /* 0: says nothing of it */
} presets[] = {
  { "development", 10, 30 * G_TIME_SPAN_SECOND, 0.7, 0 },
  { "staging", 8, 30 * G_TIME_SPAN_SECOND, 0.6, 0 },
  { "production", 5, 60 * G_TIME_SPAN_SECOND, 0.5, 0 },
  { "critical", 3, 120 * G_TIME_SPAN_SECOND, 0.3, 3 },
};

/**
 * derate_breaker_config_apply_preset:
 * @config: a config
 * @name: `development`, `staging`, `production` or `critical`
 * @error: return location for a %DERATE_ERROR_INVALID_CONFIG that names @name
 *
 * Sets what a preset says, and leaves all else as it was: failure-threshold, open-duration and
 * failure-rate-threshold (10, 30 s, 0.7; 8, 30 s, 0.6; 5, 60 s, 0.5; 3, 120 s, 0.3), and `critical`
 * sets success-threshold to 3. It is what `preset=` in a configuration file does.
 *
 * Returns: %FALSE when there is no such preset
 *
 * Since: 1.0
 */
gboolean
derate_breaker_config_apply_preset (DerateBreakerConfig *config, const char *name, GError **error)
{
  g_return_val_if_fail (config != NULL, FALSE);
  g_return_val_if_fail (name != NULL, FALSE);

  for (guint i = 0; i < G_N_ELEMENTS (presets); i++)
    {
      if (!g_str_equal (presets[i].name, name))
        continue;
      derate_breaker_config_set_failure_threshold (config, presets[i].failure_threshold);
      derate_breaker_config_set_open_duration (config, presets[i].open_duration);
      derate_breaker_config_set_failure_rate_threshold (config, presets[i].failure_rate_threshold);
      if (presets[i].success_threshold > 0)
        derate_breaker_config_set_success_threshold (config, presets[i].success_threshold);
      return TRUE;
    }
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG,
               "preset: '%s' is none of development, staging, production, critical", name);
  return FALSE;
}
