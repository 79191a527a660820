/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-degradation-state-private.h"

/* What the manager does for drills: it says what one would come to, keeps them within their limits,
 * and shows what happened meanwhile. */

void
derate_degradation_manager_read_statuses (DerateDegradationManager *self,
                                          gboolean with_drills,
                                          DerateHealthStatus *statuses)
{
  const DerateStatusFunc read = self->read;
  const GPtrArray services = *self->services;
  const gboolean in_grace = !self->decider.ready;

  for (guint i = 0; i < services.len; i++)
    statuses[i] = read (services.pdata[i], in_grace, with_drills);
}

DerateLevel
derate_degradation_manager_what_if (DerateDegradationManager *self,
                                    GPtrArray *services,
                                    const DerateHealthStatus *statuses,
                                    char **rule)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->mutex);
  g_autofree DerateHealthStatus *all = g_new0 (DerateHealthStatus, self->services->len);
  DerateRule *deciding = NULL;
  DerateLevel level;
  guint place;

  derate_degradation_manager_read_statuses (self, TRUE, all);
  for (guint i = 0; i < services->len; i++)
    if (g_ptr_array_find (self->services, g_ptr_array_index (services, i), &place))
      all[place] = MAX (all[place], statuses[i]);
  level = derate_decider_what_if (&self->decider, all, &deciding);
  *rule = g_strdup (derate_rule_get_id (deciding));
  return level;
}

/* With the mutex. */
static void
change_limit (DerateDegradationManager *self, DerateLevel limit, int by)
{
  static const DerateLevel levels[DERATE_N_LEVELS] = {
    DERATE_LEVEL_OPTIMAL, DERATE_LEVEL_DEGRADED,  DERATE_LEVEL_LIMITED,
    DERATE_LEVEL_MINIMAL, DERATE_LEVEL_EMERGENCY,
  };
  guint strictest = 0;

  self->drill_limits[derate_level_get_number (limit) - 1] += by;
  while (strictest < DERATE_N_LEVELS && self->drill_limits[strictest] == 0)
    strictest++;
  self->decider.drill_limit =
      strictest < DERATE_N_LEVELS ? levels[strictest] : DERATE_LEVEL_UNKNOWN;
}

void
derate_degradation_manager_add_drill_limit (DerateDegradationManager *self, DerateLevel limit)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->mutex);

  change_limit (self, limit, 1);
}

/* A stricter limit may have kept the others from counting. */
void
derate_degradation_manager_remove_drill_limit (DerateDegradationManager *self, DerateLevel limit)
{
  g_mutex_lock (&self->mutex);
  change_limit (self, limit, -1);
  g_mutex_unlock (&self->mutex);
  derate_degradation_manager_turn (self, FALSE);
}

DerateLevel
derate_degradation_manager_get_drill_level (DerateDegradationManager *self)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->mutex);

  return self->decider.drill_level;
}

DerateLevel
derate_degradation_manager_get_allowed_level (DerateDegradationManager *self)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->mutex);

  return derate_decider_get_allowed (&self->decider);
}

GPtrArray *
derate_degradation_manager_copy_gates (DerateDegradationManager *self)
{
  GPtrArray *gates = g_ptr_array_new_with_free_func ((GDestroyNotify)derate_gate_unref);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->mutex);

  for (guint i = 0; i < derate_gate_set_get_n (self->decider.gates); i++)
    g_ptr_array_add (gates, derate_gate_ref (derate_gate_set_get (self->decider.gates, i)));
  return gates;
}

void
derate_degradation_manager_count_answers (DerateDegradationManager *self, guint64 *answers)
{
  for (guint source = 0; source < DERATE_N_ANSWER_SOURCES; source++)
    {
      answers[source] = 0;
      for (guint level = 0; level < DERATE_N_LEVELS; level++)
        answers[source] +=
            derate_shard_sum (self->answers + level * DERATE_N_ANSWER_SOURCES + source);
    }
}
