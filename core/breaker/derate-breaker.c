/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-breaker-machine-private.h"

#include "derate-error.h"

/**
 * DerateBreaker:
 *
 * A circuit breaker: it watches how calls to a service end and, when too many fail, refuses further
 * calls for a while, so that the program fails fast and the service gets room to recover.
 *
 * It is closed, open or half-open. Closed, it lets calls through; it opens after so many failures
 * in a row, or when the share of failed or slow calls in a window is too high. Open, it refuses
 * calls for a time. Then it is half-open: it lets a few calls through and closes or opens again as
 * they end.
 *
 * Ask for a permit before each call: derate_breaker_acquire() in C, derate_breaker_begin()
 * elsewhere; or hand over the call itself: derate_breaker_call(). All functions may be called from
 * any thread. A breaker has no timer and no thread: it becomes half-open when somebody asks at or
 * after the time, or when the monitor of a service it is bound to does.
 *
 * Since: 1.0
 */
G_DEFINE_FINAL_TYPE (DerateBreaker, derate_breaker, G_TYPE_OBJECT)

static void
derate_breaker_finalize (GObject *object)
{
  DerateBreaker *self = DERATE_BREAKER (object);

  derate_breaker_clear_listeners (self);
  derate_shard_free (self->cells, N_CELLS);
  g_clear_pointer (&self->durations, derate_histogram_unref);
  g_clear_pointer (&self->settings, derate_breaker_settings_unref);
  g_clear_pointer (&self->context, g_main_context_unref);
  g_clear_object (&self->clock);
  g_free (self->counts);
  g_free (self->slices);
  g_free (self->probes);
  g_free (self->ramp);
  g_free (self->drill);
  g_free (self->zero);
  g_strfreev (self->refusals);
  g_free (self->name);
  g_mutex_clear (&self->mutex);
  G_OBJECT_CLASS (derate_breaker_parent_class)->finalize (object);
}

static void
derate_breaker_class_init (DerateBreakerClass *klass)
{
  const char *fault = derate_breaker_check_table ();

  if (fault != NULL)
    g_error ("the state machine of circuit breakers has %s", fault);
  G_OBJECT_CLASS (klass)->finalize = derate_breaker_finalize;
  derate_breaker_notify_class_init (G_OBJECT_CLASS (klass));
}

static void
derate_breaker_init (DerateBreaker *self)
{
  g_mutex_init (&self->mutex);
  self->cells = derate_shard_alloc (N_CELLS);
  self->context = g_main_context_ref_thread_default ();
  self->events_tail = &self->events;
}

/**
 * derate_breaker_new:
 * @name: what it is called in metrics, logs and errors; not empty
 * @config: (nullable): how it decides; one that derate_breaker_config_validate() accepts
 *
 * Makes a closed breaker on the system's clock. Its signals are emitted in the context that is now
 * the thread's default. Of the environment it only knows what @config does: see
 * derate_breaker_config_new_from_environment().
 *
 * Returns: (transfer full): the breaker
 *
 * Since: 1.0
 */
DerateBreaker *
derate_breaker_new (const char *name, const DerateBreakerConfig *config)
{
  return derate_breaker_new_with_clock (name, config, derate_clock_get_system ());
}

/**
 * derate_breaker_new_with_clock: (constructor)
 * @name: what it is called in metrics, logs and errors; not empty
 * @config: (nullable): how it decides; one that derate_breaker_config_validate() accepts
 * @clock: its clock
 *
 * Makes a closed breaker on a clock of your own, for instance a [class@ManualClock] in a test.
 *
 * Returns: (transfer full): the breaker
 *
 * Since: 1.0
 */
DerateBreaker *
derate_breaker_new_with_clock (const char *name,
                               const DerateBreakerConfig *config,
                               DerateClock *clock)
{
  g_autoptr (GError) error = NULL;
  DerateBreaker *self;
  gint64 now;

  g_return_val_if_fail (name != NULL && *name != '\0', NULL);
  g_return_val_if_fail (DERATE_IS_CLOCK (clock), NULL);
  if (config != NULL && !derate_breaker_config_validate (config, &error))
    {
      g_critical ("circuit breaker '%s': %s", name, error->message);
      return NULL;
    }

  self = g_object_new (DERATE_TYPE_BREAKER, NULL);
  self->name = g_strdup (name);
  self->clock = g_object_ref (clock);
  now = derate_clock_get_time (clock);

  g_mutex_lock (&self->mutex);
  self->settings = config != NULL ? derate_breaker_settings_ref (config->settings)
                                  : derate_breaker_settings_get_default ();
  derate_breaker_adopt_settings_locked (self, now);
  derate_breaker_init_locked (self, now);
  g_mutex_unlock (&self->mutex);

  derate_breaker_log_init (self);
  return self;
}

/**
 * derate_breaker_get_name:
 * @breaker: a breaker
 *
 * Gets the name.
 *
 * Returns: (transfer none): the name
 *
 * Since: 1.0
 */
const char *
derate_breaker_get_name (DerateBreaker *breaker)
{
  g_return_val_if_fail (DERATE_IS_BREAKER (breaker), NULL);

  return breaker->name;
}

DerateClock *
derate_breaker_get_clock (DerateBreaker *breaker)
{
  g_return_val_if_fail (DERATE_IS_BREAKER (breaker), NULL);

  return breaker->clock;
}

/**
 * derate_breaker_get_state:
 * @breaker: a breaker
 *
 * Gets the newest state. Forced open is open; disabled and metrics-only are closed. Looking moves
 * nothing: a breaker whose time has come is open until somebody asks it for a permit or its
 * service's monitor looks after it.
 *
 * Returns: the state
 *
 * Since: 1.0
 */
DerateBreakerState
derate_breaker_get_state (DerateBreaker *breaker)
{
  g_return_val_if_fail (DERATE_IS_BREAKER (breaker), DERATE_BREAKER_STATE_UNKNOWN);

  return (DerateBreakerState)(derate_breaker_load_word (breaker) & WORD_STATE_MASK);
}

/**
 * derate_breaker_get_mode:
 * @breaker: a breaker
 *
 * Gets the mode.
 *
 * Returns: the mode
 *
 * Since: 1.0
 */
DerateBreakerMode
derate_breaker_get_mode (DerateBreaker *breaker)
{
  g_return_val_if_fail (DERATE_IS_BREAKER (breaker), DERATE_BREAKER_MODE_UNKNOWN);

  return (DerateBreakerMode)((derate_breaker_load_word (breaker) >> WORD_MODE_SHIFT) &
                             WORD_MODE_MASK);
}

/**
 * derate_breaker_dup_config:
 * @breaker: a breaker
 *
 * Gets a copy of the config.
 *
 * Returns: (transfer full): the config
 *
 * Since: 1.0
 */
DerateBreakerConfig *
derate_breaker_dup_config (DerateBreaker *breaker)
{
  g_autoptr (GMutexLocker) locker = NULL;

  g_return_val_if_fail (DERATE_IS_BREAKER (breaker), NULL);

  locker = g_mutex_locker_new (&breaker->mutex);
  return derate_breaker_config_new_from_settings (breaker->settings);
}
