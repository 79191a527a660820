/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-breaker-config-private.h"

#include <gio/gio.h>

#include "derate-error.h"

/**
 * DerateBreakerConfig:
 *
 * How a [class@Breaker] decides.
 *
 * A setter takes any value; derate_breaker_config_validate() says what is out of range or in
 * conflict. A breaker takes a copy of the state the config is in. A config belongs to one thread at
 * a time.
 *
 * Since: 1.0
 */
G_DEFINE_BOXED_TYPE (DerateBreakerConfig,
                     derate_breaker_config,
                     derate_breaker_config_copy,
                     derate_breaker_config_free)

DerateUserData *
derate_user_data_new (gpointer data, GDestroyNotify destroy)
{
  DerateUserData *user_data = g_atomic_rc_box_new0 (DerateUserData);

  user_data->data = data;
  user_data->destroy = destroy;
  return user_data;
}

static void
user_data_clear (gpointer data)
{
  DerateUserData *user_data = data;

  if (user_data->destroy != NULL)
    user_data->destroy (user_data->data);
}

void
derate_user_data_unref (DerateUserData *data)
{
  g_atomic_rc_box_release_full (data, user_data_clear);
}

static DerateBreakerSettings *
settings_new (void)
{
  DerateBreakerSettings *settings = g_atomic_rc_box_new0 (DerateBreakerSettings);

  settings->failure_threshold = 5;
  settings->window = DERATE_BREAKER_WINDOW_COUNT;
  settings->window_size = 10;
  settings->window_duration = 10 * G_TIME_SPAN_SECOND;
  settings->sized = DERATE_BREAKER_WINDOW_NONE;
  settings->failure_rate_threshold = 0.5;
  settings->slow_call_rate_threshold = 1.0;
  settings->open_duration = 60 * G_TIME_SPAN_SECOND;
  settings->open_duration_multiplier = 1.0;
  settings->open_duration_jitter = 0.1;
  settings->half_open_max_calls = 1;
  settings->success_threshold = 2;
  return settings;
}

/* Nobody changes settings in place, so all that are as built in may be the same. */
DerateBreakerSettings *
derate_breaker_settings_get_default (void)
{
  static gsize once = 0;

  if (g_once_init_enter (&once))
    g_once_init_leave (&once, (gsize)settings_new ());
  return derate_breaker_settings_ref ((DerateBreakerSettings *)once);
}

static void
settings_clear (gpointer data)
{
  DerateBreakerSettings *settings = data;

  g_clear_pointer (&settings->record, g_array_unref);
  g_clear_pointer (&settings->ignore, g_array_unref);
  g_clear_pointer (&settings->func_data, derate_user_data_unref);
  g_clear_pointer (&settings->result_data, derate_user_data_unref);
}

DerateBreakerSettings *
derate_breaker_settings_ref (DerateBreakerSettings *settings)
{
  return g_atomic_rc_box_acquire (settings);
}

void
derate_breaker_settings_unref (DerateBreakerSettings *settings)
{
  g_atomic_rc_box_release_full (settings, settings_clear);
}

static DerateBreakerSettings *
settings_clone (DerateBreakerSettings *settings)
{
  DerateBreakerSettings *clone = g_atomic_rc_box_dup (sizeof *settings, settings);

  if (clone->record != NULL)
    clone->record = g_array_copy (clone->record);
  if (clone->ignore != NULL)
    clone->ignore = g_array_copy (clone->ignore);
  if (clone->func_data != NULL)
    g_atomic_rc_box_acquire (clone->func_data);
  if (clone->result_data != NULL)
    g_atomic_rc_box_acquire (clone->result_data);
  return clone;
}

DerateBreakerSettings *
derate_breaker_config_edit (DerateBreakerConfig *config)
{
  DerateBreakerSettings *shared = config->settings;

  config->settings = settings_clone (shared);
  derate_breaker_settings_unref (shared);
  return config->settings;
}

DerateBreakerConfig *
derate_breaker_config_new_from_settings (DerateBreakerSettings *settings)
{
  DerateBreakerConfig *config = g_new (DerateBreakerConfig, 1);

  config->settings = derate_breaker_settings_ref (settings);
  return config;
}

/**
 * derate_breaker_config_new:
 *
 * Makes a config with the built-in defaults: opens after 5 failures in a row, or when half of the
 * last 10 calls failed; half-open after 60 s, and closed after 2 successes.
 *
 * Returns: (transfer full): the config
 *
 * Since: 1.0
 */
DerateBreakerConfig *
derate_breaker_config_new (void)
{
  g_autoptr (DerateBreakerSettings) settings = derate_breaker_settings_get_default ();

  return derate_breaker_config_new_from_settings (settings);
}

/**
 * derate_breaker_config_copy:
 * @config: a config
 *
 * Copies a config.
 *
 * Returns: (transfer full): the copy
 *
 * Since: 1.0
 */
DerateBreakerConfig *
derate_breaker_config_copy (const DerateBreakerConfig *config)
{
  g_return_val_if_fail (config != NULL, NULL);

  return derate_breaker_config_new_from_settings (config->settings);
}

/**
 * derate_breaker_config_free:
 * @config: (transfer full): a config
 *
 * Frees a config.
 *
 * Since: 1.0
 */
void
derate_breaker_config_free (DerateBreakerConfig *config)
{
  derate_breaker_settings_unref (config->settings);
  g_free (config);
}

static gboolean
matches_equal (const GArray *a, const GArray *b)
{
  guint n_a = a != NULL ? a->len : 0;
  guint n_b = b != NULL ? b->len : 0;

  if (n_a != n_b)
    return FALSE;
  return n_a == 0 || memcmp (a->data, b->data, n_a * sizeof (DerateErrorMatch)) == 0;
}

static gboolean
windows_equal (const DerateBreakerSettings *a, const DerateBreakerSettings *b)
{
  if (a->window != b->window)
    return FALSE;
  if (a->window == DERATE_BREAKER_WINDOW_NONE)
    return TRUE;
  if (a->window == DERATE_BREAKER_WINDOW_COUNT && a->window_size != b->window_size)
    return FALSE;
  if (a->window == DERATE_BREAKER_WINDOW_TIME && a->window_duration != b->window_duration)
    return FALSE;
  return derate_breaker_settings_get_minimum_calls (a) ==
         derate_breaker_settings_get_minimum_calls (b);
}

/**
 * derate_breaker_config_equal:
 * @config: a config
 * @other: another
 *
 * Whether both make a breaker decide alike: an unchanged breaker need not be reconfigured.
 *
 * Returns: %TRUE when they do
 *
 * Since: 1.0
 */
gboolean
derate_breaker_config_equal (const DerateBreakerConfig *config, const DerateBreakerConfig *other)
{
  const DerateBreakerSettings *a = config->settings;
  const DerateBreakerSettings *b = other->settings;

  return a == b ||
         (a->failure_threshold == b->failure_threshold && windows_equal (a, b) &&
          a->failure_rate_threshold == b->failure_rate_threshold &&
          a->slow_call_duration == b->slow_call_duration &&
          a->slow_call_rate_threshold == b->slow_call_rate_threshold && a->measure == b->measure &&
          a->open_duration == b->open_duration &&
          a->open_duration_multiplier == b->open_duration_multiplier &&
          derate_breaker_settings_get_max (a) == derate_breaker_settings_get_max (b) &&
          a->open_duration_jitter == b->open_duration_jitter &&
          a->half_open_max_calls == b->half_open_max_calls &&
          a->success_threshold == b->success_threshold &&
          derate_breaker_settings_get_lease (a) == derate_breaker_settings_get_lease (b) &&
          a->half_open_decision == b->half_open_decision && a->ramp_duration == b->ramp_duration &&
          matches_equal (a->record, b->record) && matches_equal (a->ignore, b->ignore) &&
          a->func == b->func && a->func_data == b->func_data && a->result_func == b->result_func &&
          a->result_data == b->result_data);
}

static void
add_match (GArray **list, GQuark domain, int code)
{
  DerateErrorMatch match = { domain, code < 0 ? -1 : code };

  if (*list == NULL)
    *list = g_array_new (FALSE, FALSE, sizeof (DerateErrorMatch));
  g_array_append_val (*list, match);
}

/**
 * derate_breaker_config_record_error:
 * @config: a config
 * @domain: an error domain
 * @code: a code, or -1 for every code of @domain
 *
 * Makes an error count as a failure. Once one is named, errors not named are neutral.
 *
 * Since: 1.0
 */
void
derate_breaker_config_record_error (DerateBreakerConfig *config, GQuark domain, int code)
{
  g_return_if_fail (config != NULL);

  add_match (&derate_breaker_config_edit (config)->record, domain, code);
}

/**
 * derate_breaker_config_ignore_error:
 * @config: a config
 * @domain: an error domain
 * @code: a code, or -1 for every code of @domain
 *
 * Makes an error neutral: it counts nothing. Outranks derate_breaker_config_record_error().
 * %G_IO_ERROR_CANCELLED and the library's own refusals are always neutral.
 *
 * Since: 1.0
 */
void
derate_breaker_config_ignore_error (DerateBreakerConfig *config, GQuark domain, int code)
{
  g_return_if_fail (config != NULL);

  add_match (&derate_breaker_config_edit (config)->ignore, domain, code);
}

/**
 * derate_breaker_config_set_error_func:
 * @config: a config
 * @func: (nullable) (scope notified) (closure user_data) (destroy destroy): judges an error
 * @user_data: given to @func
 * @destroy: (nullable): frees @user_data when no breaker and no copy of @config has it any more
 *
 * Lets a function judge errors, in place of the lists of errors. %G_IO_ERROR_CANCELLED and the
 * library's own refusals are always neutral.
 *
 * Since: 1.0
 */
void
derate_breaker_config_set_error_func (DerateBreakerConfig *config,
                                      DerateBreakerErrorFunc func,
                                      gpointer user_data,
                                      GDestroyNotify destroy)
{
  DerateBreakerSettings *settings;

  g_return_if_fail (config != NULL);

  settings = derate_breaker_config_edit (config);
  g_clear_pointer (&settings->func_data, derate_user_data_unref);
  settings->func = func;
  settings->func_data = derate_user_data_new (user_data, destroy);
}

void
derate_breaker_config_judge_as (DerateBreakerConfig *config, const DerateBreakerConfig *from)
{
  DerateBreakerSettings *settings = derate_breaker_config_edit (config);
  g_autoptr (DerateBreakerSettings) judge = settings_clone (from->settings);
  DerateBreakerSettings before = *settings;

  settings->record = judge->record;
  settings->ignore = judge->ignore;
  settings->func = judge->func;
  settings->func_data = judge->func_data;
  settings->result_func = judge->result_func;
  settings->result_data = judge->result_data;
  /* What was there before goes with the clone. */
  judge->record = before.record;
  judge->ignore = before.ignore;
  judge->func_data = before.func_data;
  judge->result_data = before.result_data;
}

static gboolean
is_listed (const GArray *list, const GError *error)
{
  for (guint i = 0; list != NULL && i < list->len; i++)
    {
      const DerateErrorMatch *match = &g_array_index (list, DerateErrorMatch, i);

      if (match->domain == error->domain && (match->code < 0 || match->code == error->code))
        return TRUE;
    }
  return FALSE;
}

/* What the library itself refused, or nobody answered, says nothing about the service. */
static gboolean
says_nothing (const GError *error)
{
  if (error->domain != DERATE_ERROR)
    return FALSE;
  return (error->code >= DERATE_ERROR_OPEN && error->code <= DERATE_ERROR_RATE_LIMITED) ||
         error->code == DERATE_ERROR_ABANDONED || error->code == DERATE_ERROR_RAMPING ||
         error->code == DERATE_ERROR_LEVEL || error->code == DERATE_ERROR_HOLD;
}

gboolean
derate_breaker_settings_is_failure (const DerateBreakerSettings *settings, const GError *error)
{
  if (error == NULL)
    return TRUE;
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED) || says_nothing (error))
    return FALSE;
  if (settings->func != NULL)
    return settings->func (error, settings->func_data->data);
  if (is_listed (settings->ignore, error))
    return FALSE;
  return settings->record == NULL || is_listed (settings->record, error);
}

/**
 * derate_breaker_config_is_failure:
 * @config: a config
 * @error: (nullable): what a call failed with
 *
 * Whether a call that ended with @error counts as a failure; otherwise it is neutral.
 *
 * Returns: %TRUE when it does
 *
 * Since: 1.0
 */
gboolean
derate_breaker_config_is_failure (const DerateBreakerConfig *config, const GError *error)
{
  g_return_val_if_fail (config != NULL, FALSE);

  return derate_breaker_settings_is_failure (config->settings, error);
}
