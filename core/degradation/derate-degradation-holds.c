/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-degradation-state-private.h"

#include <unistd.h>

#include "derate-error.h"

/* Taking, renewing and ending holds: lock, change the set, decide, unlock, tell. */

/* Whoever runs in the program's own process may do everything. */
static DerateHoldCaller
this_program (void)
{
  return (DerateHoldCaller){ NULL, getuid (), TRUE };
}

/* The events of ended holds, by whom they were ended; called with the mutex. */
static void
note_ended (DerateDegradationManager *self,
            GPtrArray *ended,
            const DerateHoldCaller *caller,
            const char *cause)
{
  for (guint i = 0; i < ended->len; i++)
    {
      const DerateHold *hold = g_ptr_array_index (ended, i);
      gboolean own = caller == NULL || derate_hold_is_owned_by (hold, caller);

      self->holds_changed = self->holds_changed || !hold->bound;
      g_queue_push_tail (&self->pending,
                         derate_degradation_event_new_hold (DERATE_DEGRADATION_EVENT_HOLD_RELEASED,
                                                            hold,
                                                            own ? cause
                                                                : DERATE_HOLD_CAUSE_OVERRIDDEN));
    }
}

/* Refused is what hides an outage without the right to; called with the mutex. */
static gboolean
check_mask (DerateDegradationManager *self, const DerateHoldRequest *request, GError **error)
{
  DerateLevel computed =
      self->decider.ready ? self->decider.computed.level : DERATE_LEVEL_EMERGENCY;

  if (request->may_mask || request->mode != DERATE_HOLD_MODE_EXACT || request->level >= computed)
    return TRUE;
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED,
               "hold: exactly %s is better than the computed level %s, which needs a stronger "
               "right",
               derate_level_get_nick (request->level), derate_level_get_nick (computed));
  return FALSE;
}

/* An id; called with the mutex. */
static char *
add_hold (DerateDegradationManager *self,
          const DerateHoldRequest *request,
          DerateHold *hold,
          const DerateDegradationTime *time,
          GError **error)
{
  g_autoptr (DerateHold) owned = hold;
  const DerateHold *added;

  derate_degradation_manager_decide (self, time, FALSE);
  if (!check_mask (self, request, error))
    return NULL;
  added = derate_hold_set_add (&self->decider.holds, g_steal_pointer (&owned), error);
  if (added == NULL)
    return NULL;
  self->holds_changed = self->holds_changed || !added->bound;
  g_queue_push_tail (&self->pending,
                     derate_degradation_event_new_hold (DERATE_DEGRADATION_EVENT_HOLD_TAKEN, added,
                                                        NULL));
  derate_degradation_manager_decide (self, time, FALSE);
  return g_strdup (added->id);
}

char *
derate_degradation_manager_take_hold (DerateDegradationManager *self,
                                      const DerateHoldRequest *request,
                                      GError **error)
{
  DerateDegradationTime time = derate_degradation_manager_get_time (self);
  g_autoptr (DerateHold) hold = derate_hold_new (request, time.now, time.real_now, error);
  g_autofree char *id = NULL;

  if (hold == NULL)
    return NULL;
  g_mutex_lock (&self->mutex);
  id = add_hold (self, request, g_steal_pointer (&hold), &time, error);
  g_mutex_unlock (&self->mutex);
  derate_degradation_manager_store_holds (self);
  derate_degradation_manager_tell (self);
  return g_steal_pointer (&id);
}

static gboolean
renew (DerateDegradationManager *self,
       const char *id,
       GTimeSpan ttl,
       const DerateHoldCaller *caller,
       const DerateDegradationTime *time,
       GError **error)
{
  DerateHold *hold = derate_hold_set_find (&self->decider.holds, id, caller, error);

  if (hold == NULL ||
      !derate_hold_compute_deadline (hold->bound, ttl, time->now, &hold->deadline, error))
    return FALSE;
  hold->ttl = ttl;
  self->holds_changed = self->holds_changed || !hold->bound;
  self->deadline_moved = TRUE;
  return TRUE;
}

gboolean
derate_degradation_manager_renew_hold (DerateDegradationManager *self,
                                       const char *id,
                                       GTimeSpan ttl,
                                       const DerateHoldCaller *caller,
                                       GError **error)
{
  DerateDegradationTime time = derate_degradation_manager_get_time (self);
  gboolean renewed;

  g_mutex_lock (&self->mutex);
  derate_degradation_manager_decide (self, &time, FALSE);
  renewed = renew (self, id, ttl, caller, &time, error);
  g_mutex_unlock (&self->mutex);
  derate_degradation_manager_store_holds (self);
  derate_degradation_manager_tell (self);
  return renewed;
}

static gboolean
has_id (const DerateHold *hold, gconstpointer id)
{
  return g_str_equal (hold->id, id);
}

gboolean
derate_degradation_manager_release_hold (DerateDegradationManager *self,
                                         const char *id,
                                         const DerateHoldCaller *caller,
                                         GError **error)
{
  DerateDegradationTime time = derate_degradation_manager_get_time (self);
  gboolean found;

  g_mutex_lock (&self->mutex);
  derate_degradation_manager_decide (self, &time, FALSE);
  found = derate_hold_set_find (&self->decider.holds, id, caller, error) != NULL;
  if (found)
    {
      g_autoptr (GPtrArray) ended = derate_hold_set_take (&self->decider.holds, has_id, id);

      note_ended (self, ended, caller, DERATE_HOLD_CAUSE_RELEASED);
      derate_degradation_manager_decide (self, &time, FALSE);
    }
  g_mutex_unlock (&self->mutex);
  derate_degradation_manager_store_holds (self);
  derate_degradation_manager_tell (self);
  return found;
}

static gboolean
may_release (const DerateHold *hold, gconstpointer data)
{
  const DerateHoldCaller *caller = data;

  return caller->privileged || derate_hold_is_owned_by (hold, caller);
}

guint
derate_degradation_manager_release_holds (DerateDegradationManager *self,
                                          const DerateHoldCaller *caller)
{
  DerateDegradationTime time = derate_degradation_manager_get_time (self);
  g_autoptr (GPtrArray) ended = NULL;

  g_mutex_lock (&self->mutex);
  derate_degradation_manager_decide (self, &time, FALSE);
  ended = derate_hold_set_take (&self->decider.holds, may_release, caller);
  note_ended (self, ended, caller, DERATE_HOLD_CAUSE_RELEASED);
  derate_degradation_manager_decide (self, &time, FALSE);
  g_mutex_unlock (&self->mutex);
  derate_degradation_manager_store_holds (self);
  derate_degradation_manager_tell (self);
  return ended->len;
}

void
derate_degradation_manager_owner_vanished (DerateDegradationManager *self, const char *owner)
{
  DerateDegradationTime time = derate_degradation_manager_get_time (self);
  g_autoptr (GPtrArray) ended = NULL;

  g_mutex_lock (&self->mutex);
  ended = derate_hold_set_take_bound (&self->decider.holds, owner);
  note_ended (self, ended, NULL, DERATE_HOLD_CAUSE_VANISHED);
  derate_degradation_manager_decide (self, &time, FALSE);
  g_mutex_unlock (&self->mutex);
  derate_degradation_manager_store_holds (self);
  derate_degradation_manager_tell (self);
}

/**
 * derate_degradation_manager_hold:
 * @manager: a manager
 * @level: the level to hold
 * @mode: as a floor, or exactly
 * @who: who asks, at most 256 bytes
 * @reason: why, at most 256 bytes
 * @ttl: for how long in microseconds, 1 s to 24 h
 * @error: where to put the error
 *
 * Holds the level, in force at once. The computed level goes on being computed and shown. Of
 * several floors the worst counts, of several exact holds the latest; a floor that is worse than
 * the exact hold wins.
 *
 * Returns: (transfer full): the id of the hold, or %NULL with %DERATE_ERROR_UNKNOWN_LEVEL,
 *   %DERATE_ERROR_UNKNOWN_MODE, %DERATE_ERROR_INVALID_REASON, %DERATE_ERROR_INVALID_TTL or
 *   %DERATE_ERROR_LIMIT_EXCEEDED
 *
 * Since: 1.0
 */
char *
derate_degradation_manager_hold (DerateDegradationManager *manager,
                                 DerateLevel level,
                                 DerateHoldMode mode,
                                 const char *who,
                                 const char *reason,
                                 GTimeSpan ttl,
                                 GError **error)
{
  DerateHoldRequest request = {
    .level = level,
    .mode = mode,
    .who = who,
    .reason = reason,
    .ttl = ttl,
    .uid = getuid (),
    .may_mask = TRUE,
  };

  g_return_val_if_fail (DERATE_IS_DEGRADATION_MANAGER (manager), NULL);

  return derate_degradation_manager_take_hold (manager, &request, error);
}

/**
 * derate_degradation_manager_renew:
 * @manager: a manager
 * @id: the id of a hold
 * @ttl: for how long from now in microseconds
 * @error: where to put the error
 *
 * Gives a hold another time to live.
 *
 * Returns: %FALSE with %DERATE_ERROR_NO_SUCH_HOLD or %DERATE_ERROR_INVALID_TTL
 *
 * Since: 1.0
 */
gboolean
derate_degradation_manager_renew (DerateDegradationManager *manager,
                                  const char *id,
                                  GTimeSpan ttl,
                                  GError **error)
{
  DerateHoldCaller caller = this_program ();

  g_return_val_if_fail (DERATE_IS_DEGRADATION_MANAGER (manager), FALSE);

  return derate_degradation_manager_renew_hold (manager, id, ttl, &caller, error);
}

/**
 * derate_degradation_manager_release:
 * @manager: a manager
 * @id: the id of a hold
 * @error: where to put the error
 *
 * Ends a hold. A worse level applies at once, a better one at the recovery tick; an exact hold that
 * was taken before applies at once.
 *
 * Returns: %FALSE with %DERATE_ERROR_NO_SUCH_HOLD
 *
 * Since: 1.0
 */
gboolean
derate_degradation_manager_release (DerateDegradationManager *manager,
                                    const char *id,
                                    GError **error)
{
  DerateHoldCaller caller = this_program ();

  g_return_val_if_fail (DERATE_IS_DEGRADATION_MANAGER (manager), FALSE);

  return derate_degradation_manager_release_hold (manager, id, &caller, error);
}

/**
 * derate_degradation_manager_release_all:
 * @manager: a manager
 *
 * Ends all holds, whoever took them.
 *
 * Returns: how many there were
 *
 * Since: 1.0
 */
guint
derate_degradation_manager_release_all (DerateDegradationManager *manager)
{
  DerateHoldCaller caller = this_program ();

  g_return_val_if_fail (DERATE_IS_DEGRADATION_MANAGER (manager), 0);

  return derate_degradation_manager_release_holds (manager, &caller);
}

/**
 * derate_degradation_manager_set_level:
 * @manager: a manager
 * @level: a level
 * @error: where to put the error
 *
 * Sets the level until the next recovery tick (seeds/003), as an exact hold of the program's own
 * that is not listed. It cannot outrank a floor. What shall last longer takes a hold.
 *
 * Returns: %FALSE with %DERATE_ERROR_UNKNOWN_LEVEL
 *
 * Since: 1.0
 */
gboolean
derate_degradation_manager_set_level (DerateDegradationManager *manager,
                                      DerateLevel level,
                                      GError **error)
{
  DerateDegradationTime time;

  g_return_val_if_fail (DERATE_IS_DEGRADATION_MANAGER (manager), FALSE);

  if (derate_level_get_number (level) == 0)
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_UNKNOWN_LEVEL, "set level: no level %d",
                   (int)level);
      return FALSE;
    }
  time = derate_degradation_manager_get_time (manager);
  g_mutex_lock (&manager->mutex);
  derate_hold_set_set_local (&manager->decider.holds, level);
  derate_degradation_manager_decide (manager, &time, FALSE);
  g_mutex_unlock (&manager->mutex);
  derate_degradation_manager_tell (manager);
  return TRUE;
}

/* Puts those that were stored among the holds there are. Nothing is written before there is
 * something new: who only looks whether a configuration is good leaves the folder as it is. */
static void
restore (DerateDegradationManager *self, GPtrArray *holds)
{
  DerateDegradationTime time = derate_degradation_manager_get_time (self);

  g_mutex_lock (&self->mutex);
  while (holds->len > 0)
    derate_hold_set_restore (&self->decider.holds, g_ptr_array_steal_index (holds, 0));
  derate_degradation_manager_decide (self, &time, FALSE);
  g_mutex_unlock (&self->mutex);
  derate_degradation_manager_tell (self);
}

/**
 * derate_degradation_manager_set_state_dir:
 * @manager: a manager
 * @folder: (type filename): an existing folder that is this program's alone (`state-dir`)
 * @error: where to put the error
 *
 * Takes up the unbound holds that were stored in @folder with the time they have left (the time the
 * program was down counts), and keeps those taken from now on there. To be called once, before the
 * manager is started. A hold is on disk before the call that takes, renews or releases it returns,
 * so that call waits for the disk, and only that one.
 *
 * Returns: %FALSE where what was stored cannot be read; it is kept as `holds.conf.bad`, and holds
 * are stored nevertheless
 *
 * Since: 1.0
 */
gboolean
derate_degradation_manager_set_state_dir (DerateDegradationManager *manager,
                                          const char *folder,
                                          GError **error)
{
  g_autoptr (GPtrArray) holds = NULL;

  g_return_val_if_fail (DERATE_IS_DEGRADATION_MANAGER (manager), FALSE);
  g_return_val_if_fail (folder != NULL && manager->store == NULL, FALSE);

  manager->store = derate_hold_store_new (folder, manager->clock);
  holds = derate_hold_store_load (manager->store, error);
  if (holds == NULL)
    {
      derate_hold_store_set_aside (manager->store);
      return FALSE;
    }
  restore (manager, holds);
  return TRUE;
}
