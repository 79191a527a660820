/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-feature-private.h"
#include "derate-rule-input.h"

/* The table of semantics §5. Of several services with a role one is enough; a feature that needs a
 * role nobody has is left out. */
static const struct
{
  const char *name;
  DerateServiceRole roles[3]; /* ended by NONE */
  gboolean required; /* the first role must be there */
  const char *suffix; /* of each name */
  const char *queue;
  const char *until;
} features[] = {
  { "ai", { DERATE_SERVICE_ROLE_AI }, TRUE, "", NULL, "degraded" },
  { "cache", { DERATE_SERVICE_ROLE_CACHE }, TRUE, "", NULL, "minimal" },
  { "uploads", { DERATE_SERVICE_ROLE_STORAGE }, TRUE, "", "queue:uploads", "minimal" },
  { "writes", { DERATE_SERVICE_ROLE_DATABASE }, TRUE, "=healthy", NULL, "limited" },
  { "reads",
    { DERATE_SERVICE_ROLE_DATABASE, DERATE_SERVICE_ROLE_CACHE },
    TRUE,
    "",
    NULL,
    "minimal" },
  { "status", { DERATE_SERVICE_ROLE_NONE }, FALSE, "", NULL, "emergency" },
};

static void
append_ref (GString *needs, const char *name, const char *suffix)
{
  if (needs->len > 0)
    g_string_append_c (needs, '|');
  g_string_append (needs, name);
  g_string_append (needs, suffix);
}

static gboolean
append_role (GString *needs, GPtrArray *inputs, DerateServiceRole role, const char *suffix)
{
  gboolean found = FALSE;

  for (guint i = 0; i < inputs->len; i++)
    {
      DerateRuleInput *input = g_ptr_array_index (inputs, i);

      if (derate_rule_input_get_role (input) != role)
        continue;
      append_ref (needs, derate_rule_input_get_service (input), suffix);
      found = TRUE;
    }
  return found;
}

static DerateFeature *
make_feature (GPtrArray *inputs, guint place)
{
  g_autoptr (GString) needs = g_string_new (NULL);
  g_autoptr (GError) error = NULL;
  DerateFeature *feature;

  for (guint i = 0; features[place].roles[i] != DERATE_SERVICE_ROLE_NONE; i++)
    if (!append_role (needs, inputs, features[place].roles[i], features[place].suffix) && i == 0 &&
        features[place].required)
      return NULL;
  if (features[place].queue != NULL)
    append_ref (needs, features[place].queue, "");
  feature = derate_feature_parse (features[place].name, needs->str, features[place].until, &error);
  g_assert_no_error (error);
  return feature;
}

GPtrArray *
derate_feature_defaults_new (GPtrArray *inputs)
{
  GPtrArray *made = g_ptr_array_new_with_free_func ((GDestroyNotify)derate_feature_unref);

  for (guint i = 0; i < G_N_ELEMENTS (features); i++)
    {
      DerateFeature *feature = make_feature (inputs, i);

      if (feature != NULL)
        g_ptr_array_add (made, feature);
    }
  return made;
}
