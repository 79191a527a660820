/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-degradation-state-private.h"
#include "derate-variant-private.h"

/* What the manager says of itself: getters, and the status of the JSON surface. The two that every
 * request may ask do not check their argument, which would cost more than they do. */

/**
 * derate_degradation_manager_get_level:
 * @manager: a manager
 *
 * The level that is in force. One atomic load, from any thread.
 *
 * Returns: the level; %DERATE_LEVEL_UNKNOWN until the first is published
 *
 * Since: 1.0
 */
DerateLevel
derate_degradation_manager_get_level (DerateDegradationManager *manager)
{
  return __atomic_load_n (&manager->level_word, __ATOMIC_ACQUIRE);
}

/**
 * derate_degradation_manager_get_enforced_level:
 * @manager: a manager
 *
 * What a program is to act on: the level, but optimal where levels are not enforced (`enforce=off`)
 * and until the first is published. One atomic load, from any thread.
 *
 * Returns: the level
 *
 * Since: 1.0
 */
DerateLevel
derate_degradation_manager_get_enforced_level (DerateDegradationManager *manager)
{
  DerateLevel level = __atomic_load_n (&manager->enforced_word, __ATOMIC_ACQUIRE);

  return level != DERATE_LEVEL_UNKNOWN ? level : DERATE_LEVEL_OPTIMAL;
}

/**
 * derate_degradation_manager_get_computed_level:
 * @manager: a manager
 *
 * The level that follows from the services alone, without holds and without waiting. One atomic
 * load, from any thread.
 *
 * Returns: the level; %DERATE_LEVEL_UNKNOWN until the first is published
 *
 * Since: 1.0
 */
DerateLevel
derate_degradation_manager_get_computed_level (DerateDegradationManager *manager)
{
  g_return_val_if_fail (DERATE_IS_DEGRADATION_MANAGER (manager), DERATE_LEVEL_UNKNOWN);

  return __atomic_load_n (&manager->computed_word, __ATOMIC_ACQUIRE);
}

/**
 * derate_degradation_manager_dup_rule:
 * @manager: a manager
 *
 * What decided the level that is in force: the id of a rule, `hold`, or `set-level`. While the
 * level waits for a recovery tick it is what made it worse.
 *
 * Returns: (transfer full) (nullable): the rule; %NULL until the first level is published
 *
 * Since: 1.0
 */
char *
derate_degradation_manager_dup_rule (DerateDegradationManager *manager)
{
  g_autoptr (GMutexLocker) locker = NULL;

  g_return_val_if_fail (DERATE_IS_DEGRADATION_MANAGER (manager), NULL);

  locker = g_mutex_locker_new (&manager->mutex);
  return g_strdup (manager->decider.published.rule);
}

static GVariant *
inputs_of (const DerateDecider *decider)
{
  return decider->published.inputs != NULL ? derate_variant_dup_shared (decider->published.inputs)
                                           : g_variant_new_array (G_VARIANT_TYPE ("{ss}"), NULL, 0);
}

/**
 * derate_degradation_manager_dup_inputs:
 * @manager: a manager
 *
 * The services whose states made the rule hold, with the states they had: `a{ss}`. Where all is
 * well or a hold decides, those of the computed level.
 *
 * Returns: (transfer full): the inputs
 *
 * Since: 1.0
 */
GVariant *
derate_degradation_manager_dup_inputs (DerateDegradationManager *manager)
{
  g_autoptr (GMutexLocker) locker = NULL;

  g_return_val_if_fail (DERATE_IS_DEGRADATION_MANAGER (manager), NULL);

  locker = g_mutex_locker_new (&manager->mutex);
  return g_variant_ref_sink (inputs_of (&manager->decider));
}

static void
append_inputs (GString *text, GVariant *inputs)
{
  GVariantIter iter;
  const char *name, *status;

  g_variant_iter_init (&iter, inputs);
  while (g_variant_iter_next (&iter, "{&s&s}", &name, &status))
    g_string_append_printf (text, ", %s %s", name, status);
}

/* With the mutex. */
static char *
explain (const DerateDecider *decider, double next_tick)
{
  const DerateDecision *published = &decider->published;
  gboolean held = derate_hold_set_contains (&decider->holds, decider->deciding_hold);
  g_autoptr (GString) text = g_string_new (NULL);

  g_string_append_printf (text, "%s: %s", derate_level_get_nick (published->level),
                          derate_level_get_text (published->level));
  if (published->rule == NULL)
    return g_string_free (g_steal_pointer (&text), FALSE);

  if (decider->deciding_hold == NULL)
    {
      g_string_append_printf (text, "; rule %s", published->rule);
      append_inputs (text, published->inputs);
    }
  else
    g_string_append_printf (text, held ? "; held by %s" : "; held by %s, which has ended",
                            decider->deciding_hold);
  if (decider->computed.level != published->level)
    g_string_append_printf (text, "; computed %s by %s",
                            derate_level_get_nick (decider->computed.level),
                            decider->computed.rule);
  if (decider->computed.level < published->level && !held)
    g_string_append_printf (text, ", recovery tick in %.0f s", next_tick);
  if (decider->flapping)
    g_string_append (text, "; flapping");
  return g_string_free (g_steal_pointer (&text), FALSE);
}

/**
 * derate_degradation_manager_dup_explanation:
 * @manager: a manager
 *
 * Why the level is what it is, in a sentence for people.
 *
 * Returns: (transfer full): the text
 *
 * Since: 1.0
 */
char *
derate_degradation_manager_dup_explanation (DerateDegradationManager *manager)
{
  double next_tick;
  g_autoptr (GMutexLocker) locker = NULL;

  g_return_val_if_fail (DERATE_IS_DEGRADATION_MANAGER (manager), NULL);

  next_tick = (double)derate_degradation_manager_get_next_tick (manager) / G_TIME_SPAN_SECOND;
  locker = g_mutex_locker_new (&manager->mutex);
  return explain (&manager->decider, next_tick);
}

/**
 * derate_degradation_manager_get_since:
 * @manager: a manager
 *
 * Since when the level is in force.
 *
 * Returns: microseconds since 1970; 0 until the first level is published
 *
 * Since: 1.0
 */
gint64
derate_degradation_manager_get_since (DerateDegradationManager *manager)
{
  g_autoptr (GMutexLocker) locker = NULL;

  g_return_val_if_fail (DERATE_IS_DEGRADATION_MANAGER (manager), 0);

  locker = g_mutex_locker_new (&manager->mutex);
  return manager->decider.since;
}

/**
 * derate_degradation_manager_get_flapping:
 * @manager: a manager
 *
 * Whether the level has gone up and down so often that recovery waits longer.
 *
 * Returns: %TRUE while the wait is doubled
 *
 * Since: 1.0
 */
gboolean
derate_degradation_manager_get_flapping (DerateDegradationManager *manager)
{
  g_autoptr (GMutexLocker) locker = NULL;

  g_return_val_if_fail (DERATE_IS_DEGRADATION_MANAGER (manager), FALSE);

  locker = g_mutex_locker_new (&manager->mutex);
  return manager->decider.flapping;
}

/**
 * derate_degradation_manager_get_gate:
 * @manager: a manager
 * @feature: the name of a feature
 *
 * The gate of a feature, to be asked once and kept: it stays the same when the configuration
 * changes.
 *
 * Returns: (transfer full) (nullable): the gate; %NULL where there is no such feature
 *
 * Since: 1.0
 */
DerateGate *
derate_degradation_manager_get_gate (DerateDegradationManager *manager, const char *feature)
{
  DerateGate *gate;
  g_autoptr (GMutexLocker) locker = NULL;

  g_return_val_if_fail (DERATE_IS_DEGRADATION_MANAGER (manager), NULL);
  g_return_val_if_fail (feature != NULL, NULL);

  locker = g_mutex_locker_new (&manager->mutex);
  gate = derate_gate_set_lookup (manager->decider.gates, feature);
  return gate != NULL ? derate_gate_ref (gate) : NULL;
}

/**
 * derate_degradation_manager_dup_holds:
 * @manager: a manager
 * @details: whether to tell who holds and why, which is not for everybody
 *
 * The holds there are, oldest first: `aa{sv}` with the keys `id`, `level`, `mode`, `who`, `reason`,
 * `uid`, `since` (seconds since 1970), `remaining_seconds` (nothing = no limit) and `bound`.
 *
 * Returns: (transfer full): the holds
 *
 * Since: 1.0
 */
GVariant *
derate_degradation_manager_dup_holds (DerateDegradationManager *manager, gboolean details)
{
  gint64 now;
  g_autoptr (GMutexLocker) locker = NULL;

  g_return_val_if_fail (DERATE_IS_DEGRADATION_MANAGER (manager), NULL);

  now = derate_clock_get_time (manager->clock);
  locker = g_mutex_locker_new (&manager->mutex);
  return g_variant_ref_sink (derate_hold_set_to_variant (&manager->decider.holds, now, details));
}

/**
 * derate_degradation_manager_dup_features:
 * @manager: a manager
 *
 * The features: `a{sv}`, of each `a{sv}` with `mode` and `because` (nothing while it is on).
 *
 * Returns: (transfer full): the features
 *
 * Since: 1.0
 */
GVariant *
derate_degradation_manager_dup_features (DerateDegradationManager *manager)
{
  g_autoptr (GMutexLocker) locker = NULL;

  g_return_val_if_fail (DERATE_IS_DEGRADATION_MANAGER (manager), NULL);

  locker = g_mutex_locker_new (&manager->mutex);
  return g_variant_ref_sink (derate_gate_set_to_variant (manager->decider.gates));
}

/**
 * derate_degradation_manager_dup_history:
 * @manager: a manager
 * @max: at most so many of the newest; 0 for all
 *
 * The last changes of the level (100 are kept), oldest first: `aa{sv}` with `time` (seconds since
 * 1970), `from`, `to` and `rule`.
 *
 * Returns: (transfer full): the changes
 *
 * Since: 1.0
 */
GVariant *
derate_degradation_manager_dup_history (DerateDegradationManager *manager, guint max)
{
  g_autoptr (GMutexLocker) locker = NULL;

  g_return_val_if_fail (DERATE_IS_DEGRADATION_MANAGER (manager), NULL);

  locker = g_mutex_locker_new (&manager->mutex);
  return g_variant_ref_sink (
      derate_degradation_history_to_variant (&manager->decider.history, max));
}

char *
derate_degradation_manager_dup_deciding_hold (DerateDegradationManager *manager)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&manager->mutex);

  return g_strdup (manager->decider.deciding_hold);
}

void
derate_degradation_manager_set_local_suspect (DerateDegradationManager *manager, gboolean suspect)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&manager->mutex);

  manager->local_suspect = suspect;
}

/**
 * derate_degradation_manager_set_enforced:
 * @manager: a manager
 * @enforced: whether gates act (`enforce=on`)
 *
 * Says whether levels and gates are applied, or only computed and shown.
 *
 * Since: 1.0
 */
void
derate_degradation_manager_set_enforced (DerateDegradationManager *manager, gboolean enforced)
{
  g_return_if_fail (DERATE_IS_DEGRADATION_MANAGER (manager));

  g_mutex_lock (&manager->mutex);
  manager->decider.enforced = enforced;
  g_mutex_unlock (&manager->mutex);
  derate_degradation_manager_turn (manager, FALSE);
}

/**
 * derate_degradation_manager_get_enforced:
 * @manager: a manager
 *
 * Whether levels and gates are applied.
 *
 * Returns: %FALSE where they are only computed and shown
 *
 * Since: 1.0
 */
gboolean
derate_degradation_manager_get_enforced (DerateDegradationManager *manager)
{
  g_autoptr (GMutexLocker) locker = NULL;

  g_return_val_if_fail (DERATE_IS_DEGRADATION_MANAGER (manager), FALSE);

  locker = g_mutex_locker_new (&manager->mutex);
  return manager->decider.enforced;
}

static void
add (GVariantBuilder *builder, const char *key, GVariant *value)
{
  g_variant_builder_add (builder, "{sv}", key, value);
}

/* With the mutex. */
static void
add_level (GVariantBuilder *builder, const DerateDecider *decider)
{
  DerateLevel level = decider->published.level;
  double since = (double)decider->since / G_TIME_SPAN_SECOND;

  add (builder, "level", g_variant_new_string (derate_level_get_nick (level)));
  add (builder, "level_value", g_variant_new_uint32 (derate_level_get_number (level)));
  add (builder, "functionality_percent",
       g_variant_new_uint32 (derate_level_get_functionality_percent (level)));
  add (builder, "text", g_variant_new_string (derate_level_get_text (level)));
  add (builder, "computed_level",
       g_variant_new_string (derate_level_get_nick (decider->computed.level)));
  add (builder, "rule", g_variant_new ("ms", decider->published.rule));
  add (builder, "since", g_variant_new ("md", decider->since != 0, since));
  add (builder, "inputs", inputs_of (decider));
  add (builder, "flapping", g_variant_new_boolean (decider->flapping));
}

void
derate_degradation_manager_add_status (DerateDegradationManager *manager,
                                       GVariantBuilder *builder,
                                       GVariant *drills,
                                       GVariant *services,
                                       gboolean details)
{
  GTimeSpan next_tick = derate_degradation_manager_get_next_tick (manager);
  gint64 now = derate_clock_get_time (manager->clock);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&manager->mutex);

  add_level (builder, &manager->decider);
  add (builder, "local_suspect", g_variant_new_boolean (manager->local_suspect));
  add (builder, "next_tick_seconds", g_variant_new_double ((double)next_tick / G_TIME_SPAN_SECOND));
  add (builder, "features", derate_gate_set_to_variant (manager->decider.gates));
  add (builder, "drills",
       drills != NULL ? drills : g_variant_new_array (G_VARIANT_TYPE_VARDICT, NULL, 0));
  add (builder, "services",
       services != NULL ? services : g_variant_new_array (G_VARIANT_TYPE ("{sv}"), NULL, 0));
  add (builder, "holds", derate_hold_set_to_variant (&manager->decider.holds, now, details));
  add (builder, "history", derate_degradation_history_to_variant (&manager->decider.history, 0));
}

/**
 * derate_degradation_manager_to_variant:
 * @manager: a manager
 * @details: whether to tell who holds and why, which is not for everybody
 *
 * All of it, as an `a{sv}` with the keys of `/degradation` from `level` to `history`; the services
 * and drills are the core's to tell.
 *
 * Returns: (transfer full): the status
 *
 * Since: 1.0
 */
GVariant *
derate_degradation_manager_to_variant (DerateDegradationManager *manager, gboolean details)
{
  GVariantBuilder builder;

  g_return_val_if_fail (DERATE_IS_DEGRADATION_MANAGER (manager), NULL);

  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  derate_degradation_manager_add_status (manager, &builder, NULL, NULL, details);
  return g_variant_ref_sink (g_variant_builder_end (&builder));
}

/**
 * derate_degradation_manager_note_answer:
 * @manager: a manager
 * @source: where the answer came from
 *
 * Counts an answer of the program in `degradation_answers_total`, under the level in force. From
 * any thread, without a lock.
 *
 * Since: 1.0
 */
void
derate_degradation_manager_note_answer (DerateDegradationManager *manager,
                                        DerateAnswerSource source)
{
  guint number = derate_level_get_number (__atomic_load_n (&manager->level_word, __ATOMIC_RELAXED));

  g_return_if_fail ((guint)source < DERATE_N_ANSWER_SOURCES);

  derate_shard_add (manager->answers + (MAX (number, 1) - 1) * DERATE_N_ANSWER_SOURCES + source, 1);
}
