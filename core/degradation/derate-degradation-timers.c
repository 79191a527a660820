/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-degradation-state-private.h"

/* The two timers of the manager: the recovery tick, anchored to its schedule, and the end of the
 * hold that ends first. */

/* The timers hold the manager weakly: one that nobody stopped ends with its last reference. */
static DerateDegradationManager *
manager_from_source (gpointer data)
{
  return g_weak_ref_get (data);
}

static void
weak_free (gpointer data)
{
  g_weak_ref_clear (data);
  g_free (data);
}

static gboolean
on_tick (gpointer data)
{
  g_autoptr (DerateDegradationManager) self = manager_from_source (data);
  g_autoptr (GSource) source = NULL;
  DerateDegradationTime time;
  gint64 next;

  if (self == NULL)
    return G_SOURCE_REMOVE;
  time = derate_degradation_manager_get_time (self);
  g_mutex_lock (&self->mutex);
  if (self->tick_source != NULL)
    source = g_source_ref (self->tick_source);
  next = derate_recovery_next_tick (&self->decider.recovery, time.now);
  g_mutex_unlock (&self->mutex);
  if (source == NULL)
    return G_SOURCE_REMOVE;
  derate_clock_source_set_deadline (self->clock, source, next);
  derate_degradation_manager_turn (self, TRUE);
  derate_degradation_manager_store_holds (self);
  return G_SOURCE_CONTINUE;
}

static gboolean
on_expiry (gpointer data)
{
  g_autoptr (DerateDegradationManager) self = manager_from_source (data);

  if (self == NULL)
    return G_SOURCE_REMOVE;
  derate_degradation_manager_turn (self, FALSE);
  derate_degradation_manager_store_holds (self);
  return G_SOURCE_CONTINUE;
}

static GSource *
make_source (DerateDegradationManager *self, GSourceFunc func, const char *name, gint64 deadline)
{
  GSource *source = derate_clock_source_new (self->clock, deadline);
  GWeakRef *weak = g_new0 (GWeakRef, 1);

  g_weak_ref_init (weak, self);
  g_source_set_static_name (source, name);
  g_source_set_callback (source, func, weak, weak_free);
  return source;
}

void
derate_degradation_manager_start (DerateDegradationManager *self, GMainContext *context)
{
  gint64 now = derate_clock_get_time (self->clock);
  g_autoptr (GSource) tick = NULL;
  g_autoptr (GSource) expiry = make_source (self, on_expiry, "[derate] holds", DERATE_CLOCK_NEVER);
  gint64 next;

  g_mutex_lock (&self->mutex);
  self->decider.recovery.anchor = now;
  next = derate_recovery_next_tick (&self->decider.recovery, now);
  g_mutex_unlock (&self->mutex);
  tick = make_source (self, on_tick, "[derate] recovery", next);
  g_source_attach (tick, context);
  g_source_attach (expiry, context);

  derate_degradation_manager_stop (self);
  g_mutex_lock (&self->mutex);
  self->timer_context = g_main_context_ref (g_source_get_context (tick));
  self->tick_source = g_steal_pointer (&tick);
  self->expiry_source = g_steal_pointer (&expiry);
  self->deadline_moved = TRUE;
  g_mutex_unlock (&self->mutex);
  derate_degradation_manager_tell (self);
}

void
derate_degradation_manager_stop (DerateDegradationManager *self)
{
  g_autoptr (GMainContext) context = NULL;
  g_autoptr (GSource) tick = NULL;
  g_autoptr (GSource) expiry = NULL;

  g_mutex_lock (&self->mutex);
  context = g_steal_pointer (&self->timer_context);
  tick = g_steal_pointer (&self->tick_source);
  expiry = g_steal_pointer (&self->expiry_source);
  g_mutex_unlock (&self->mutex);
  if (tick != NULL)
    g_source_destroy (tick);
  if (expiry != NULL)
    g_source_destroy (expiry);
}

/**
 * derate_degradation_manager_set_recovery:
 * @manager: a manager
 * @mode: straight to the level that the services allow, or one level a tick
 * @interval: from tick to tick in microseconds, more than 0; 30 s unless set (seeds/003)
 * @hold: how long a level lasts since the last worsening before it improves, in microseconds, not
 *   negative; 30 s unless set
 * @damping: whether that doubles while the level flaps, up to 10 min; %TRUE unless set
 *
 * Says how the level gets better. Ticks are counted from now.
 *
 * Since: 1.0
 */
void
derate_degradation_manager_set_recovery (DerateDegradationManager *manager,
                                         DerateRecoveryMode mode,
                                         GTimeSpan interval,
                                         GTimeSpan hold,
                                         gboolean damping)
{
  gint64 now;
  gint64 next;
  g_autoptr (GMainContext) context = NULL;
  g_autoptr (GSource) source = NULL;

  g_return_if_fail (DERATE_IS_DEGRADATION_MANAGER (manager));
  g_return_if_fail (interval > 0 && hold >= 0);

  now = derate_clock_get_time (manager->clock);
  g_mutex_lock (&manager->mutex);
  manager->decider.recovery.mode = mode;
  if (interval != manager->decider.recovery.interval) /* else the next tick stays where it is */
    manager->decider.recovery.anchor = now;
  manager->decider.recovery.interval = interval;
  manager->decider.recovery.hold = hold;
  manager->decider.recovery.damping = damping;
  next = derate_recovery_next_tick (&manager->decider.recovery, now);
  if (manager->tick_source != NULL)
    {
      context = g_main_context_ref (manager->timer_context);
      source = g_source_ref (manager->tick_source);
    }
  g_mutex_unlock (&manager->mutex);
  if (source != NULL)
    derate_clock_source_set_deadline (manager->clock, source, next);
}

/**
 * derate_degradation_manager_get_next_tick:
 * @manager: a manager
 *
 * How long it is until the level may improve.
 *
 * Returns: microseconds until the next recovery tick
 *
 * Since: 1.0
 */
GTimeSpan
derate_degradation_manager_get_next_tick (DerateDegradationManager *manager)
{
  gint64 now;
  g_autoptr (GMutexLocker) locker = NULL;

  g_return_val_if_fail (DERATE_IS_DEGRADATION_MANAGER (manager), 0);

  now = derate_clock_get_time (manager->clock);
  locker = g_mutex_locker_new (&manager->mutex);
  return derate_recovery_next_tick (&manager->decider.recovery, now) - now;
}
