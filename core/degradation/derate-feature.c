/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-feature-private.h"

#include <string.h>

#include "derate-error.h"
#include "derate-rule-private.h"

/**
 * DerateFeature:
 *
 * A part of the program that is on while what it needs is there and the level allows it. Immutable;
 * whether it is on now says its [struct@Gate].
 *
 * Since: 1.0
 */
struct _DerateFeature
{
  char *name;
  char *needs;
  DerateLevel until;
  gboolean has_queue;
  GPtrArray *groups; /* (element-type GArray) of DerateFeatureRef */
};

G_DEFINE_BOXED_TYPE (DerateFeature, derate_feature, derate_feature_ref, derate_feature_unref)

#define QUEUE_PREFIX "queue:"
#define HEALTHY_SUFFIX "=healthy"

static void
ref_clear (gpointer data)
{
  g_free (((DerateFeatureRef *)data)->name);
}

static void
feature_clear (gpointer data)
{
  DerateFeature *feature = data;

  g_free (feature->name);
  g_free (feature->needs);
  g_ptr_array_unref (feature->groups);
}

static gboolean
parse_ref (const char *text, DerateFeatureRef *ref)
{
  const char *equals = strchr (text, '=');

  ref->queue = g_str_has_prefix (text, QUEUE_PREFIX);
  ref->healthy = !ref->queue && equals != NULL;
  if (ref->queue)
    ref->name = g_strdup (text + strlen (QUEUE_PREFIX));
  else
    ref->name = equals != NULL ? g_strndup (text, equals - text) : g_strdup (text);
  return derate_rule_name_is_valid (ref->name) &&
         (!ref->healthy || g_str_equal (equals, HEALTHY_SUFFIX));
}

static gboolean
parse_group (DerateFeature *feature, const char *text, GError **error)
{
  g_auto (GStrv) words = g_strsplit (text, "|", -1);
  GArray *group = g_array_new (FALSE, TRUE, sizeof (DerateFeatureRef));
  guint n = MAX (g_strv_length (words), 1);

  g_array_set_clear_func (group, ref_clear);
  g_ptr_array_add (feature->groups, group);
  for (guint i = 0; i < n; i++)
    {
      const char *word = words[i] != NULL ? words[i] : "";
      DerateFeatureRef ref = { 0 };
      gboolean good = parse_ref (word, &ref);

      g_array_append_val (group, ref);
      feature->has_queue = feature->has_queue || ref.queue;
      if (good)
        continue;
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG,
                   "feature “%s”: needs “%s”: “%s” is no “NAME”, “NAME=healthy” or “queue:NAME”",
                   feature->name, feature->needs, word);
      return FALSE;
    }
  return TRUE;
}

static gboolean
parse_groups (DerateFeature *feature, GError **error)
{
  g_auto (GStrv) words = g_strsplit (feature->needs, " ", -1);

  for (guint i = 0; words[i] != NULL; i++)
    if (!parse_group (feature, words[i], error))
      return FALSE;
  return TRUE;
}

/**
 * derate_feature_parse:
 * @name: its name, `[a-z][a-z0-9_-]{0,62}`
 * @needs: (nullable): what must be there: groups separated by one space, each of them references
 *   separated by `|` of which one is enough: `NAME` (not down), `NAME=healthy`, or `queue:NAME`,
 * which makes the feature queued instead of off
 * @until: the nick of the worst level at which it may be on
 * @error: where to put the error
 *
 * Reads a feature as a configuration file has it. A feature with a queue is queued from `limited`
 * on.
 *
 * Returns: (transfer full): the feature, or %NULL with %DERATE_ERROR_INVALID_CONFIG that names
 *   feature, key and value
 *
 * Since: 1.0
 */
DerateFeature *
derate_feature_parse (const char *name, const char *needs, const char *until, GError **error)
{
  g_autoptr (DerateFeature) feature = NULL;
  DerateLevel level;

  if (!derate_rule_name_is_valid (name))
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG,
                   "feature “%s”: the name must be lower-case letters, digits, “_” and “-”",
                   name != NULL ? name : "");
      return NULL;
    }
  if (until == NULL || !derate_level_from_nick (until, &level, NULL))
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG,
                   "feature “%s”: until “%s” must be optimal, degraded, limited, minimal or "
                   "emergency",
                   name, until != NULL ? until : "");
      return NULL;
    }
  feature = g_atomic_rc_box_new0 (DerateFeature);
  feature->name = g_strdup (name);
  feature->needs = g_strdup (needs != NULL ? needs : "");
  feature->until = level;
  feature->groups = g_ptr_array_new_with_free_func ((GDestroyNotify)g_array_unref);
  if (!parse_groups (feature, error))
    return NULL;
  return g_steal_pointer (&feature);
}

/**
 * derate_feature_ref:
 * @feature: a feature
 *
 * Takes a reference.
 *
 * Returns: (transfer full): @feature
 *
 * Since: 1.0
 */
DerateFeature *
derate_feature_ref (DerateFeature *feature)
{
  return g_atomic_rc_box_acquire (feature);
}

/**
 * derate_feature_unref:
 * @feature: (transfer full): a feature
 *
 * Drops a reference.
 *
 * Since: 1.0
 */
void
derate_feature_unref (DerateFeature *feature)
{
  g_atomic_rc_box_release_full (feature, feature_clear);
}

/**
 * derate_feature_get_name:
 * @feature: a feature
 *
 * Its name.
 *
 * Returns: the name
 *
 * Since: 1.0
 */
const char *
derate_feature_get_name (DerateFeature *feature)
{
  return feature->name;
}

/**
 * derate_feature_get_needs:
 * @feature: a feature
 *
 * What it needs, as it was given.
 *
 * Returns: the text; empty for nothing
 *
 * Since: 1.0
 */
const char *
derate_feature_get_needs (DerateFeature *feature)
{
  return feature->needs;
}

/**
 * derate_feature_get_until:
 * @feature: a feature
 *
 * The worst level at which it may be on.
 *
 * Returns: the level
 *
 * Since: 1.0
 */
DerateLevel
derate_feature_get_until (DerateFeature *feature)
{
  return feature->until;
}

guint
derate_feature_get_n_groups (DerateFeature *feature)
{
  return feature->groups->len;
}

GArray *
derate_feature_get_group (DerateFeature *feature, guint index)
{
  return g_ptr_array_index (feature->groups, index);
}

gboolean
derate_feature_has_queue (DerateFeature *feature)
{
  return feature->has_queue;
}
