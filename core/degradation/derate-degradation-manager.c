/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-degradation-state-private.h"

#include "derate-debug-private.h"
#include "derate-enum-types.h"

/**
 * DerateDegradationManager:
 *
 * Keeps the level of a program: it worsens at once when a service does, and improves at the
 * recovery tick. Operators' holds act on top.
 *
 * [method@DegradationManager.get_level], gates and all other functions may be used from any thread.
 * Signals and notify come in the owner's context.
 *
 * Since: 1.0
 */

G_DEFINE_FINAL_TYPE (DerateDegradationManager, derate_degradation_manager, G_TYPE_OBJECT)

enum
{
  PROP_0,
  PROP_LEVEL,
  PROP_COMPUTED_LEVEL,
  PROP_RULE,
  PROP_FLAPPING,
  N_PROPS,
};

static GParamSpec *properties[N_PROPS];

enum
{
  SIGNAL_LEVEL_CHANGED,
  N_SIGNALS,
};

static guint signals[N_SIGNALS];

DerateDegradationTime
derate_degradation_manager_get_time (DerateDegradationManager *self)
{
  return (DerateDegradationTime){
    derate_clock_get_time (self->clock),
    derate_clock_get_real_time (self->clock),
  };
}

void
derate_degradation_manager_decide (DerateDegradationManager *self,
                                   const DerateDegradationTime *time,
                                   gboolean tick)
{
  guint n = derate_rule_set_get_inputs (self->decider.rules)->len;
  g_autofree DerateHealthStatus *statuses = g_new0 (DerateHealthStatus, n);
  g_autofree DerateHealthStatus *undrilled = NULL;
  guint n_holds = self->decider.holds.holds->len;
  DerateDeciderTurn turn = { statuses, NULL, time->now, time->real_now, tick };

  /* Another thread may have taken its time later and the mutex earlier. */
  self->last_now = turn.now = MAX (time->now, self->last_now);
  derate_degradation_manager_read_statuses (self, TRUE, statuses);
  if (self->decider.drill_limit != DERATE_LEVEL_UNKNOWN)
    {
      turn.undrilled = undrilled = g_new0 (DerateHealthStatus, n);
      derate_degradation_manager_read_statuses (self, FALSE, undrilled);
    }
  derate_decider_decide (&self->decider, &turn, &self->pending);
  self->deadline_moved = TRUE;
  self->holds_changed = self->holds_changed || n_holds != self->decider.holds.holds->len;

  __atomic_store_n (&self->computed_word, self->decider.computed.level, __ATOMIC_RELEASE);
  __atomic_store_n (&self->level_word, self->decider.published.level, __ATOMIC_RELEASE);
  __atomic_store_n (&self->enforced_word,
                    self->decider.enforced ? self->decider.published.level : DERATE_LEVEL_OPTIMAL,
                    __ATOMIC_RELEASE);
}

void
derate_degradation_manager_emit (gpointer owner, gpointer data)
{
  const DerateDegradationEvent *event = data;

  if (event->old_level != event->new_level)
    g_object_notify_by_pspec (owner, properties[PROP_LEVEL]);
  if (event->old_computed != event->computed)
    g_object_notify_by_pspec (owner, properties[PROP_COMPUTED_LEVEL]);
  if (event->rule_changed)
    g_object_notify_by_pspec (owner, properties[PROP_RULE]);
  if (event->flapping_changed)
    g_object_notify_by_pspec (owner, properties[PROP_FLAPPING]);
  if (event->old_level != event->new_level)
    g_signal_emit (owner, signals[SIGNAL_LEVEL_CHANGED], 0, event->old_level, event->new_level,
                   event->rule);
}

static void
note_level (DerateDegradationManager *self)
{
  g_autofree char *text = derate_degradation_manager_dup_explanation (self);

  derate_debug_note (DERATE_DEBUG_LEVEL, "%s", text);
}

void
derate_degradation_manager_turn (DerateDegradationManager *self, gboolean tick)
{
  DerateDegradationTime time = derate_degradation_manager_get_time (self);

  g_mutex_lock (&self->mutex);
  derate_degradation_manager_decide (self, &time, tick);
  g_mutex_unlock (&self->mutex);
  derate_degradation_manager_tell (self);
  if (derate_debug_is_on (DERATE_DEBUG_LEVEL))
    note_level (self);
}

void
derate_degradation_manager_service_changed (DerateDegradationManager *self)
{
  derate_degradation_manager_turn (self, FALSE);
}

void
derate_degradation_manager_first_sweep_done (DerateDegradationManager *self)
{
  g_mutex_lock (&self->mutex);
  self->decider.ready = TRUE;
  g_mutex_unlock (&self->mutex);
  derate_degradation_manager_turn (self, FALSE);
}

gboolean
derate_degradation_manager_is_ready (DerateDegradationManager *self)
{
  return derate_degradation_manager_get_level (self) != DERATE_LEVEL_UNKNOWN;
}

gboolean
derate_degradation_manager_check_features (DerateRuleSet *rules,
                                           GPtrArray *features,
                                           GError **error)
{
  return derate_gate_set_check (derate_rule_set_get_inputs (rules), features, error);
}

gboolean
derate_degradation_manager_set_inputs (DerateDegradationManager *self,
                                       DerateRuleSet *rules,
                                       GPtrArray *services,
                                       DerateStatusFunc read,
                                       GPtrArray *features,
                                       GError **error)
{
  g_autoptr (GPtrArray) old = NULL;

  g_return_val_if_fail (services->len == derate_rule_set_get_inputs (rules)->len, FALSE);

  if (!derate_degradation_manager_check_features (rules, features, error))
    return FALSE;
  g_mutex_lock (&self->mutex);
  old = self->services;
  self->services = g_ptr_array_new_with_free_func (g_object_unref);
  for (guint i = 0; i < services->len; i++)
    g_ptr_array_add (self->services, g_object_ref (g_ptr_array_index (services, i)));
  self->read = read;
  derate_decider_set_rules (&self->decider, rules, features);
  g_mutex_unlock (&self->mutex);
  derate_degradation_manager_turn (self, FALSE);
  return TRUE;
}

void
derate_degradation_manager_set_event_queue (DerateDegradationManager *self,
                                            DerateEventQueue *events)
{
  derate_event_queue_unref (self->events);
  self->events = derate_event_queue_ref (events);
}

static void
derate_degradation_manager_get_property (GObject *object,
                                         guint id,
                                         GValue *value,
                                         GParamSpec *pspec)
{
  DerateDegradationManager *self = DERATE_DEGRADATION_MANAGER (object);

  switch (id)
    {
    case PROP_LEVEL:
      g_value_set_enum (value, derate_degradation_manager_get_level (self));
      break;
    case PROP_COMPUTED_LEVEL:
      g_value_set_enum (value, derate_degradation_manager_get_computed_level (self));
      break;
    case PROP_RULE:
      g_value_take_string (value, derate_degradation_manager_dup_rule (self));
      break;
    case PROP_FLAPPING:
      g_value_set_boolean (value, derate_degradation_manager_get_flapping (self));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

static void
derate_degradation_manager_dispose (GObject *object)
{
  derate_degradation_manager_stop (DERATE_DEGRADATION_MANAGER (object));
  G_OBJECT_CLASS (derate_degradation_manager_parent_class)->dispose (object);
}

static void
derate_degradation_manager_finalize (GObject *object)
{
  DerateDegradationManager *self = DERATE_DEGRADATION_MANAGER (object);

  g_queue_clear_full (&self->pending, (GDestroyNotify)derate_degradation_event_free);
  g_ptr_array_unref (self->listeners);
  g_ptr_array_unref (self->services);
  derate_decider_clear (&self->decider);
  g_clear_pointer (&self->store, derate_hold_store_free);
  derate_shard_free (self->answers, DERATE_N_LEVELS * DERATE_N_ANSWER_SOURCES);
  derate_event_queue_unref (self->events);
  g_object_unref (self->clock);
  g_mutex_clear (&self->mutex);
  g_mutex_clear (&self->store_mutex);
  G_OBJECT_CLASS (derate_degradation_manager_parent_class)->finalize (object);
}

static void
install_properties (GObjectClass *object_class)
{
  const GParamFlags flags = G_PARAM_READABLE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS;

  /**
   * DerateDegradationManager:level:
   *
   * The level that is in force.
   *
   * Since: 1.0
   */
  properties[PROP_LEVEL] =
      g_param_spec_enum ("level", NULL, NULL, DERATE_TYPE_LEVEL, DERATE_LEVEL_UNKNOWN, flags);
  /**
   * DerateDegradationManager:computed-level:
   *
   * The level that follows from the services alone, without holds and without waiting.
   *
   * Since: 1.0
   */
  properties[PROP_COMPUTED_LEVEL] =
      g_param_spec_enum ("computed-level", NULL, NULL, DERATE_TYPE_LEVEL, DERATE_LEVEL_UNKNOWN,
                         flags);
  /**
   * DerateDegradationManager:rule:
   *
   * What decided the level; see [method@DegradationManager.dup_rule].
   *
   * Since: 1.0
   */
  properties[PROP_RULE] = g_param_spec_string ("rule", NULL, NULL, NULL, flags);
  /**
   * DerateDegradationManager:flapping:
   *
   * Whether the level has gone up and down so often that recovery waits longer.
   *
   * Since: 1.0
   */
  properties[PROP_FLAPPING] = g_param_spec_boolean ("flapping", NULL, NULL, FALSE, flags);
  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
derate_degradation_manager_class_init (DerateDegradationManagerClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->get_property = derate_degradation_manager_get_property;
  object_class->dispose = derate_degradation_manager_dispose;
  object_class->finalize = derate_degradation_manager_finalize;
  install_properties (object_class);

  /**
   * DerateDegradationManager::level-changed:
   * @manager: the manager
   * @old_level: the level before
   * @new_level: the level after this step; [method@DegradationManager.get_level] gives the newest
   * @rule: what decided it
   *
   * The level changed. In the owner's context, once for each change and in their order; the first
   * level comes from %DERATE_LEVEL_UNKNOWN.
   *
   * Since: 1.0
   */
  signals[SIGNAL_LEVEL_CHANGED] =
      g_signal_new ("level-changed", G_TYPE_FROM_CLASS (klass), G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                    NULL, G_TYPE_NONE, 3, DERATE_TYPE_LEVEL, DERATE_TYPE_LEVEL, G_TYPE_STRING);
}

static void
derate_degradation_manager_init (DerateDegradationManager *self)
{
  g_mutex_init (&self->mutex);
  g_mutex_init (&self->store_mutex);
  g_queue_init (&self->pending);
  self->listeners = derate_degradation_manager_make_listeners ();
  self->services = g_ptr_array_new_with_free_func (g_object_unref);
  self->answers = derate_shard_alloc (DERATE_N_LEVELS * DERATE_N_ANSWER_SOURCES);
  self->enforced_word = DERATE_LEVEL_OPTIMAL;
}

/**
 * derate_degradation_manager_new:
 * @clock: where the time comes from
 * @owner: (nullable): the context for signals and notify; the thread-default one of the caller if
 *   %NULL
 *
 * Makes a manager without services. A program has the one of its core.
 *
 * Returns: (transfer full): the manager
 *
 * Since: 1.0
 */
DerateDegradationManager *
derate_degradation_manager_new (DerateClock *clock, GMainContext *owner)
{
  DerateDegradationManager *self = g_object_new (DERATE_TYPE_DEGRADATION_MANAGER, NULL);
  g_autoptr (GMainContext) context =
      owner != NULL ? g_main_context_ref (owner) : g_main_context_ref_thread_default ();

  self->clock = g_object_ref (clock);
  self->events = derate_event_queue_new (context);
  derate_decider_init (&self->decider, derate_clock_get_time (clock));
  return self;
}
