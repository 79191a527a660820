/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-gate-set-private.h"

#include "derate-error.h"
#include "derate-rule-input.h"

/* From here on a feature that has a queue uses it (semantics §5: uploads). */
#define QUEUED_FROM DERATE_LEVEL_LIMITED

#define QUEUE_INPUT G_MAXUINT

typedef struct
{
  guint input; /* place, or QUEUE_INPUT */
  gboolean healthy;
} CompiledRef;

typedef struct
{
  DerateFeature *feature;
  DerateGate *gate;
  GPtrArray *groups; /* (element-type GArray) of CompiledRef */
} Entry;

struct _DerateGateSet
{
  GPtrArray *entries; /* (element-type Entry), in the order of report */
  GHashTable *gates; /* name → DerateGate; keeps those whose feature is gone */
};

static void
entry_free (gpointer data)
{
  Entry *entry = data;

  derate_feature_unref (entry->feature);
  derate_gate_unref (entry->gate);
  g_ptr_array_unref (entry->groups);
  g_free (entry);
}

DerateGateSet *
derate_gate_set_new (void)
{
  DerateGateSet *set = g_new0 (DerateGateSet, 1);

  set->entries = g_ptr_array_new_with_free_func (entry_free);
  set->gates =
      g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify)derate_gate_unref);
  return set;
}

void
derate_gate_set_free (DerateGateSet *set)
{
  g_ptr_array_unref (set->entries);
  g_hash_table_unref (set->gates);
  g_free (set);
}

static gboolean
find_input (GPtrArray *inputs, const char *name, guint *place)
{
  for (guint i = 0; i < inputs->len; i++)
    if (g_str_equal (derate_rule_input_get_service (g_ptr_array_index (inputs, i)), name))
      {
        *place = i;
        return TRUE;
      }
  return FALSE;
}

static DerateFeature *
find_feature (GPtrArray *features, const char *name, guint limit)
{
  for (guint i = 0; i < limit; i++)
    if (g_str_equal (derate_feature_get_name (g_ptr_array_index (features, i)), name))
      return g_ptr_array_index (features, i);
  return NULL;
}

static gboolean
check_group (GPtrArray *inputs, DerateFeature *feature, GArray *group, GError **error)
{
  for (guint i = 0; i < group->len; i++)
    {
      DerateFeatureRef *ref = &g_array_index (group, DerateFeatureRef, i);
      guint place;

      if (ref->queue || find_input (inputs, ref->name, &place))
        continue;
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG,
                   "feature “%s”: needs “%s”: no service “%s”", derate_feature_get_name (feature),
                   derate_feature_get_needs (feature), ref->name);
      return FALSE;
    }
  return TRUE;
}

gboolean
derate_gate_set_check (GPtrArray *inputs, GPtrArray *own, GError **error)
{
  for (guint i = 0; own != NULL && i < own->len; i++)
    {
      DerateFeature *feature = g_ptr_array_index (own, i);

      if (find_feature (own, derate_feature_get_name (feature), i) != NULL)
        {
          g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG,
                       "feature “%s” is there twice", derate_feature_get_name (feature));
          return FALSE;
        }
      for (guint j = 0; j < derate_feature_get_n_groups (feature); j++)
        if (!check_group (inputs, feature, derate_feature_get_group (feature, j), error))
          return FALSE;
    }
  return TRUE;
}

static GArray *
compile_group (GPtrArray *inputs, GArray *group)
{
  GArray *compiled = g_array_new (FALSE, FALSE, sizeof (CompiledRef));

  for (guint i = 0; i < group->len; i++)
    {
      DerateFeatureRef *ref = &g_array_index (group, DerateFeatureRef, i);
      CompiledRef out = { QUEUE_INPUT, ref->healthy };

      if (!ref->queue)
        find_input (inputs, ref->name, &out.input);
      g_array_append_val (compiled, out);
    }
  return compiled;
}

static void
add_entry (DerateGateSet *set, GPtrArray *inputs, DerateFeature *feature)
{
  const char *name = derate_feature_get_name (feature);
  DerateGate *gate = g_hash_table_lookup (set->gates, name);
  Entry *entry = g_new0 (Entry, 1);

  if (gate == NULL)
    {
      gate = derate_gate_new (name);
      g_hash_table_insert (set->gates, (gpointer)derate_gate_get_name (gate), gate);
    }
  entry->feature = derate_feature_ref (feature);
  entry->gate = derate_gate_ref (gate);
  entry->groups = g_ptr_array_new_with_free_func ((GDestroyNotify)g_array_unref);
  for (guint i = 0; i < derate_feature_get_n_groups (feature); i++)
    g_ptr_array_add (entry->groups, compile_group (inputs, derate_feature_get_group (feature, i)));
  g_ptr_array_add (set->entries, entry);
}

static void
open_orphans (DerateGateSet *set)
{
  GHashTableIter iter;
  gpointer name, gate;

  g_hash_table_iter_init (&iter, set->gates);
  while (g_hash_table_iter_next (&iter, &name, &gate))
    {
      gboolean found = FALSE;

      for (guint i = 0; i < set->entries->len && !found; i++)
        found = ((Entry *)g_ptr_array_index (set->entries, i))->gate == gate;
      if (!found)
        derate_gate_publish (gate, DERATE_GATE_MODE_ON, DERATE_GATE_REASON_NONE, FALSE);
    }
}

void
derate_gate_set_define (DerateGateSet *set, GPtrArray *inputs, GPtrArray *own)
{
  g_autoptr (GPtrArray) defaults = derate_feature_defaults_new (inputs);
  guint n_own = own != NULL ? own->len : 0;

  g_ptr_array_set_size (set->entries, 0);
  for (guint i = 0; i < defaults->len; i++)
    {
      DerateFeature *feature = g_ptr_array_index (defaults, i);
      DerateFeature *better = find_feature (own, derate_feature_get_name (feature), n_own);

      add_entry (set, inputs, better != NULL ? better : feature);
    }
  for (guint i = 0; i < n_own; i++)
    {
      DerateFeature *feature = g_ptr_array_index (own, i);

      if (find_feature (defaults, derate_feature_get_name (feature), defaults->len) == NULL)
        add_entry (set, inputs, feature);
    }
  open_orphans (set);
}

static DerateGateMode
ask_group (GArray *group, const DerateHealthStatus *statuses)
{
  DerateGateMode best = DERATE_GATE_MODE_OFF;

  for (guint i = 0; i < group->len; i++)
    {
      CompiledRef *ref = &g_array_index (group, CompiledRef, i);

      if (ref->input == QUEUE_INPUT)
        best = MAX (best, DERATE_GATE_MODE_QUEUED);
      else if (ref->healthy ? statuses[ref->input] == DERATE_HEALTH_STATUS_HEALTHY
                            : statuses[ref->input] != DERATE_HEALTH_STATUS_DOWN)
        best = DERATE_GATE_MODE_ON;
    }
  return best;
}

static DerateGateMode
ask_entry (Entry *entry,
           const DerateHealthStatus *statuses,
           DerateLevel level,
           DerateGateReason *reason)
{
  DerateGateMode mode = DERATE_GATE_MODE_ON;

  *reason = DERATE_GATE_REASON_LEVEL;
  if (level > derate_feature_get_until (entry->feature))
    return DERATE_GATE_MODE_OFF;
  for (guint i = 0; i < entry->groups->len; i++)
    mode = MIN (mode, ask_group (g_ptr_array_index (entry->groups, i), statuses));
  if (mode == DERATE_GATE_MODE_ON && level >= QUEUED_FROM &&
      derate_feature_has_queue (entry->feature))
    return DERATE_GATE_MODE_QUEUED;
  *reason = mode == DERATE_GATE_MODE_ON ? DERATE_GATE_REASON_NONE : DERATE_GATE_REASON_DEPENDENCY;
  return mode;
}

gboolean
derate_gate_set_update (DerateGateSet *set,
                        const DerateHealthStatus *statuses,
                        DerateLevel level,
                        gboolean enforced)
{
  gboolean changed = FALSE;

  for (guint i = 0; i < set->entries->len; i++)
    {
      Entry *entry = g_ptr_array_index (set->entries, i);
      DerateGateReason reason, old_reason;
      DerateGateMode mode = ask_entry (entry, statuses, level, &reason);
      DerateGateMode old_mode = derate_gate_get_mode (entry->gate, &old_reason);

      changed = changed || mode != old_mode || reason != old_reason;
      derate_gate_publish (entry->gate, mode, reason, enforced);
    }
  return changed;
}

DerateGate *
derate_gate_set_lookup (DerateGateSet *set, const char *name)
{
  return g_hash_table_lookup (set->gates, name);
}

guint
derate_gate_set_get_n (DerateGateSet *set)
{
  return set->entries->len;
}

DerateGate *
derate_gate_set_get (DerateGateSet *set, guint index)
{
  return ((Entry *)g_ptr_array_index (set->entries, index))->gate;
}

GVariant *
derate_gate_set_to_variant (DerateGateSet *set)
{
  GVariantBuilder features;

  g_variant_builder_init (&features, G_VARIANT_TYPE_VARDICT);
  for (guint i = 0; i < set->entries->len; i++)
    {
      DerateGate *gate = derate_gate_set_get (set, i);
      DerateGateReason reason;
      DerateGateMode mode = derate_gate_get_mode (gate, &reason);
      GVariantBuilder feature;

      g_variant_builder_init (&feature, G_VARIANT_TYPE_VARDICT);
      g_variant_builder_add (&feature, "{sv}", "mode",
                             g_variant_new_string (derate_gate_mode_get_nick (mode)));
      g_variant_builder_add (&feature, "{sv}", "because",
                             g_variant_new ("ms", derate_gate_reason_get_nick (reason)));
      g_variant_builder_add (&features, "{sv}", derate_gate_get_name (gate),
                             g_variant_builder_end (&feature));
    }
  return g_variant_builder_end (&features);
}
