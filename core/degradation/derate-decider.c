/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-decider-private.h"

#include <string.h>

#include "derate-variant-private.h"

static void
decision_clear (DerateDecision *decision)
{
  g_clear_pointer (&decision->rule, g_free);
  g_clear_pointer (&decision->inputs, g_variant_unref);
  decision->level = DERATE_LEVEL_UNKNOWN;
}

static void
decision_set (DerateDecision *decision, DerateLevel level, const char *rule, GVariant *inputs)
{
  g_autofree char *old_rule = decision->rule;
  g_autoptr (GVariant) old_inputs = decision->inputs;

  decision->level = level;
  decision->rule = g_strdup (rule);
  decision->inputs = inputs != NULL ? derate_variant_share (inputs) : NULL;
}

static void
decision_copy (DerateDecision *to, const DerateDecision *from)
{
  if (to != from)
    decision_set (to, from->level, from->rule, from->inputs);
}

static gboolean
decision_equal (const DerateDecision *a, const DerateDecision *b)
{
  if (a->level != b->level || g_strcmp0 (a->rule, b->rule) != 0)
    return FALSE;
  if (a->inputs == NULL || b->inputs == NULL)
    return a->inputs == b->inputs;
  return g_variant_equal (a->inputs, b->inputs);
}

void
derate_decider_init (DerateDecider *decider, gint64 now)
{
  g_autoptr (GPtrArray) nothing = g_ptr_array_new ();
  g_autoptr (DerateRuleSet) rules = NULL;

  *decider = (DerateDecider){ 0 };
  decider->gates = derate_gate_set_new ();
  derate_hold_set_init (&decider->holds);
  derate_recovery_init (&decider->recovery, now);
  derate_degradation_history_init (&decider->history);
  derate_degradation_history_know_rule (&decider->history, DERATE_RULE_HOLD);
  derate_degradation_history_know_rule (&decider->history, DERATE_RULE_SET_LEVEL);
  decider->enforced = TRUE;
  rules = derate_rule_set_new (nothing, NULL, DERATE_RULE_SET_MODE_EXTEND, NULL);
  derate_decider_set_rules (decider, rules, NULL);
}

void
derate_decider_clear (DerateDecider *decider)
{
  g_clear_pointer (&decider->rules, derate_rule_set_unref);
  g_clear_pointer (&decider->gates, derate_gate_set_free);
  derate_hold_set_clear (&decider->holds);
  derate_degradation_history_clear (&decider->history);
  decision_clear (&decider->computed);
  decision_clear (&decider->undrilled);
  decision_clear (&decider->damped);
  decision_clear (&decider->published);
  g_clear_pointer (&decider->deciding_hold, g_free);
  g_clear_pointer (&decider->statuses, g_free);
  g_clear_pointer (&decider->undrilled_statuses, g_free);
}

void
derate_decider_set_rules (DerateDecider *decider, DerateRuleSet *rules, GPtrArray *features)
{
  g_autoptr (DerateRuleSet) old = decider->rules;
  GPtrArray *list = derate_rule_set_get_rules (rules);

  decider->rules = derate_rule_set_ref (rules);
  g_clear_pointer (&decider->statuses, g_free);
  g_clear_pointer (&decider->undrilled_statuses, g_free);
  for (guint i = 0; i < list->len; i++)
    derate_degradation_history_know_rule (&decider->history,
                                          derate_rule_get_id (g_ptr_array_index (list, i)));
  derate_gate_set_define (decider->gates, derate_rule_set_get_inputs (rules), features);
}

static void
end_expired (DerateDecider *decider, const DerateDeciderTurn *turn, GQueue *events)
{
  g_autoptr (GPtrArray) expired = derate_hold_set_take_expired (&decider->holds, turn->now);

  for (guint i = 0; i < expired->len; i++)
    g_queue_push_tail (events,
                       derate_degradation_event_new_hold (DERATE_DEGRADATION_EVENT_HOLD_RELEASED,
                                                          g_ptr_array_index (expired, i),
                                                          DERATE_HOLD_CAUSE_EXPIRED));
}

static guint
get_n_inputs (const DerateDecider *decider)
{
  return derate_rule_set_get_inputs (decider->rules)->len;
}

static gboolean
are_equal (const DerateDecider *decider, const DerateHealthStatus *a, const DerateHealthStatus *b)
{
  guint n = get_n_inputs (decider);

  return n == 0 || memcmp (a, b, n * sizeof *a) == 0;
}

DerateLevel
derate_decider_what_if (const DerateDecider *decider,
                        const DerateHealthStatus *statuses,
                        DerateRule **rule)
{
  return derate_rule_set_evaluate (decider->rules, statuses, get_n_inputs (decider), rule);
}

/* Drills that would make it worse than they may, because something real has failed as well, count
 * no more from this moment on, so that no level past their limit is ever published. */
static const DerateHealthStatus *
choose_statuses (DerateDecider *decider, const DerateDeciderTurn *turn)
{
  decider->drilled = FALSE;
  decider->drill_level = DERATE_LEVEL_UNKNOWN;
  if (turn->undrilled == NULL)
    return turn->statuses;
  decider->drilled = !are_equal (decider, turn->statuses, turn->undrilled);
  decider->drill_level = derate_decider_what_if (decider, turn->statuses, NULL);
  if (!decider->drilled || !derate_decider_is_past_limit (decider))
    return turn->statuses;
  decider->drilled = FALSE;
  return turn->undrilled;
}

/* What follows from the same states, those that were @found, is there already: to tell of many
 * services takes far longer than to find the level. */
static void
compute_one (DerateDecider *decider,
             DerateDecision *decision,
             DerateHealthStatus **found,
             const DerateHealthStatus *statuses)
{
  DerateRule *rule = NULL;
  DerateLevel level;

  if (*found != NULL && are_equal (decider, *found, statuses))
    return;
  level = derate_decider_what_if (decider, statuses, &rule);
  decision_set (decision, level, derate_rule_get_id (rule),
                derate_rule_set_build_decision (decider->rules, rule, statuses));
  g_free (*found);
  *found = g_memdup2 (statuses, get_n_inputs (decider) * sizeof *statuses);
}

static void
compute (DerateDecider *decider, const DerateDeciderTurn *turn)
{
  const DerateHealthStatus *statuses = choose_statuses (decider, turn);

  compute_one (decider, &decider->computed, &decider->statuses, statuses);
  if (decider->drilled)
    compute_one (decider, &decider->undrilled, &decider->undrilled_statuses, turn->undrilled);
  decider->evaluated_at = turn->real_now;
}

/* What follows from the services alone. */
static const DerateDecision *
get_undrilled (const DerateDecider *decider)
{
  return decider->drilled ? &decider->undrilled : &decider->computed;
}

static void
damp (DerateDecider *decider, const DerateDeciderTurn *turn)
{
  DerateLevel old = decider->damped.level;
  DerateLevel computed = get_undrilled (decider)->level;

  if (computed > old)
    {
      if (old != DERATE_LEVEL_UNKNOWN || computed > DERATE_LEVEL_OPTIMAL)
        derate_recovery_worsened (&decider->recovery, turn->now);
    }
  else if (turn->tick)
    {
      decider->damped.level = derate_recovery_climb (&decider->recovery, old, computed, turn->now);
      if (decider->damped.level < old)
        derate_recovery_improved (&decider->recovery, turn->now);
    }
  if (computed >= decider->damped.level)
    decision_copy (&decider->damped, get_undrilled (decider));
}

/* What the services ask for, with what drills pretend on top. */
static const DerateDecision *
get_asked (const DerateDecider *decider)
{
  return decider->drilled && decider->computed.level >= decider->damped.level ? &decider->computed
                                                                              : &decider->damped;
}

/* Who may not hide an outage does not hide one that comes later either. */
static gboolean
exact_decides (const DerateDecider *decider, const DerateHoldEffect *effect)
{
  if (effect->exact == DERATE_LEVEL_UNKNOWN)
    return FALSE;
  return effect->exact_hold == NULL || effect->exact_hold->may_mask ||
         effect->exact >= get_asked (decider)->level;
}

/* What holds and states together ask for, and the hold that does. */
static void
find_target (const DerateDecider *decider, DerateDecision *target, const DerateHold **hold)
{
  DerateHoldEffect effect = derate_hold_set_get_effect (&decider->holds);

  *hold = NULL;
  decision_copy (target, get_asked (decider));
  if (exact_decides (decider, &effect))
    {
      *hold = effect.exact_hold;
      decision_set (target, effect.exact,
                    effect.exact_hold != NULL ? DERATE_RULE_HOLD : DERATE_RULE_SET_LEVEL,
                    decider->computed.inputs);
    }
  if (effect.floor > target->level)
    {
      *hold = effect.floor_hold;
      decision_set (target, effect.floor, DERATE_RULE_HOLD, decider->computed.inputs);
    }
}

/* Worse applies at once, and so does what an exact asks for; better waits for a tick. */
static void
publish (DerateDecider *decider, const DerateDeciderTurn *turn)
{
  DerateHoldEffect effect = derate_hold_set_get_effect (&decider->holds);
  DerateDecision target = { 0 };
  const DerateHold *hold = NULL;
  DerateLevel old = decider->published.level;
  DerateLevel level;

  find_target (decider, &target, &hold);
  level = target.level;
  if (level < old && !exact_decides (decider, &effect))
    level = turn->tick ? derate_recovery_step (&decider->recovery, old, level) : old;
  if (level == target.level)
    {
      if (g_strcmp0 (target.rule, decider->published.rule) != 0 || level != old)
        derate_degradation_history_count_rule (&decider->history, target.rule);
      decision_copy (&decider->published, &target);
      g_free (decider->deciding_hold);
      decider->deciding_hold = g_strdup (hold != NULL ? hold->id : NULL);
    }
  decider->published.level = level;
  decision_clear (&target);
  if (level == old)
    return;
  decider->since = turn->real_now;
  derate_degradation_history_enter (&decider->history, level, decider->published.rule, turn->now,
                                    turn->real_now);
}

static void
tell (DerateDecider *decider,
      const DerateDecision *old_published,
      DerateLevel old_computed,
      gboolean flapping,
      GQueue *events)
{
  DerateDegradationEvent *event = g_new0 (DerateDegradationEvent, 1);

  event->type = old_published->level != decider->published.level ? DERATE_DEGRADATION_EVENT_LEVEL
                                                                 : DERATE_DEGRADATION_EVENT_DETAILS;
  event->old_level = old_published->level;
  event->new_level = decider->published.level;
  event->old_computed = old_computed;
  event->computed = decider->computed.level;
  event->rule = g_strdup (decider->published.rule);
  event->rule_changed = g_strcmp0 (old_published->rule, event->rule) != 0;
  event->flapping_changed = flapping != decider->flapping;
  event->inputs = g_variant_ref_sink (derate_variant_dup_shared (decider->published.inputs));
  event->deciding_hold = g_strdup (decider->deciding_hold);
  g_queue_push_tail (events, event);
}

void
derate_decider_decide (DerateDecider *decider, const DerateDeciderTurn *turn, GQueue *events)
{
  DerateDecision old_computed = { 0 };
  DerateDecision old_published = { 0 };
  gboolean flapping = decider->flapping;
  gboolean changed;

  end_expired (decider, turn, events);
  if (turn->tick)
    derate_hold_set_set_local (&decider->holds, DERATE_LEVEL_UNKNOWN);
  if (!decider->ready)
    return;

  decision_copy (&old_computed, &decider->computed);
  decision_copy (&old_published, &decider->published);
  compute (decider, turn);
  damp (decider, turn);
  publish (decider, turn);
  decider->flapping = derate_recovery_is_flapping (&decider->recovery, turn->now);
  changed = derate_gate_set_update (decider->gates, decider->statuses, decider->published.level,
                                    decider->enforced);
  /* Whoever drills is to hear that it is too much, though nothing changed. */
  if (changed || derate_decider_is_past_limit (decider) || flapping != decider->flapping ||
      !decision_equal (&old_computed, &decider->computed) ||
      !decision_equal (&old_published, &decider->published))
    tell (decider, &old_published, old_computed.level, flapping, events);
  decision_clear (&old_computed);
  decision_clear (&old_published);
}

DerateLevel
derate_decider_get_allowed (const DerateDecider *decider)
{
  DerateHoldSet lasting = decider->holds;
  DerateLevel level = decider->computed.level;
  DerateHoldEffect effect;

  lasting.local = DERATE_LEVEL_UNKNOWN;
  effect = derate_hold_set_get_effect (&lasting);
  if (effect.exact_hold != NULL && (effect.exact_hold->may_mask || effect.exact >= level))
    level = effect.exact;
  return MAX (level, effect.floor);
}

gboolean
derate_decider_is_past_limit (const DerateDecider *decider)
{
  return decider->drill_limit != DERATE_LEVEL_UNKNOWN &&
         decider->drill_level > decider->drill_limit;
}

gboolean
derate_decider_masks_outage (const DerateDecider *decider)
{
  return derate_hold_set_get_effect (&decider->holds).exact != DERATE_LEVEL_UNKNOWN &&
         decider->published.level < get_undrilled (decider)->level;
}
