/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "derate-config-private.h"
#include "derate-enum-types.h"
#include "derate-error.h"
#include "derate-feature.h"
#include "derate-rule.h"

/* What shows only when everything is read: missing keys, keys that do not go together, and settings
 * of a breaker that add up from several places. */

static gboolean
refuse (DerateConfigGroup *group, const char *key, GError **error, const char *text)
{
  DerateConfigEntry *entry = key != NULL ? derate_config_group_find (group, key) : NULL;

  derate_config_set_error (error, entry != NULL ? entry->file : group->file,
                           entry != NULL ? entry->line : group->line, group->name, key, "%s", text);
  return FALSE;
}

static const char *
get (DerateConfig *config, DerateConfigGroup *group, const char *key)
{
  return derate_config_get_text (config, group->name, key, NULL);
}

static gboolean
require (DerateConfig *config, DerateConfigGroup *group, const char *key, GError **error)
{
  return get (config, group, key) != NULL || refuse (group, key, error, "the key is missing");
}

/* The first key that is set and begins with @prefix, or NULL. */
static char *
first_key (DerateConfig *config, DerateConfigGroup *group, const char *prefix)
{
  g_auto (GStrv) keys = derate_config_list_keys (config, group->name);

  for (guint i = 0; keys[i] != NULL; i++)
    if (g_str_has_prefix (keys[i], prefix))
      return g_strdup (keys[i]);
  return NULL;
}

/* Whether there is a password in the authority of @uri. */
static gboolean
has_password (const char *uri)
{
  const char *authority = strstr (uri, "://");
  const char *end;
  const char *at;
  const char *colon;

  if (authority == NULL)
    return FALSE;
  authority += 3;
  end = authority + strcspn (authority, "/?#");
  at = g_strrstr_len (authority, end - authority, "@");
  colon = at != NULL ? memchr (authority, ':', (gsize)(at - authority)) : NULL;
  return colon != NULL && colon + 1 < at;
}

/* A breaker is set up in one place. */
static gboolean
check_breaker_source (DerateConfig *config, DerateConfigGroup *group, GError **error)
{
  const char *name = get (config, group, "breaker");
  g_autofree char *shared = g_strconcat ("breaker ", name != NULL ? name : group->object, NULL);
  g_autofree char *own = first_key (config, group, "breaker-");
  g_autofree char *text = NULL;

  if (name == NULL && !derate_config_has_group (config, shared))
    return TRUE;
  if (own == NULL && name != NULL && get (config, group, "preset") != NULL)
    own = g_strdup ("preset");
  if (own == NULL)
    return TRUE;
  text = g_strdup_printf ("the breaker is set up in [%s]: both cannot be", shared);
  return refuse (group, own, error, text);
}

static gboolean
check_alternate (DerateConfig *config, DerateConfigGroup *group, GError **error)
{
  g_autoptr (GString) way = g_string_new (group->object);
  const char *next = get (config, group, "alternate");

  for (guint i = 0; next != NULL && i <= config->groups->len; i++)
    {
      g_autofree char *name = g_strconcat ("service ", next, NULL);

      g_string_append_printf (way, " → %s", next);
      if (strcmp (next, group->object) == 0)
        {
          g_string_prepend (way, "it leads back to the service: ");
          return refuse (group, "alternate", error, way->str);
        }
      next = derate_config_get_text (config, name, "alternate", NULL);
    }
  return TRUE;
}

static gboolean
check_service (DerateConfig *config, DerateConfigGroup *group, GError **error)
{
  const char *uri = get (config, group, "uri");
  g_autofree char *check = first_key (config, group, "check-");
  g_autoptr (DerateHealthCheckConfig) checks = NULL;
  g_autoptr (DerateBreakerConfig) breaker = NULL;

  if (check != NULL && get (config, group, "plugin") == NULL)
    return refuse (group, check, error, "there is no check without plugin=");
  if (uri != NULL && get (config, group, "password-file") != NULL && has_password (uri))
    return refuse (group, "password-file", error, "there is a password in uri= too");
  if (!check_breaker_source (config, group, error) || !check_alternate (config, group, error))
    return FALSE;
  checks = derate_config_dup_check_config (config, group->object, error);
  if (checks == NULL)
    return FALSE;
  breaker =
      derate_config_dup_breaker_config (config, group->object, DERATE_SERVICE_ROLE_NONE, error);
  return breaker != NULL;
}

static gboolean
check_breaker (DerateConfig *config, DerateConfigGroup *group, GError **error)
{
  g_autoptr (DerateBreakerConfig) breaker =
      derate_config_resolve_breaker (config, "", group->name, DERATE_SERVICE_ROLE_NONE, error);

  return breaker != NULL;
}

/* Others' words without the `rule “x”: ` in front: the group says it. */
static const char *
skip_name (const char *message)
{
  const char *rest = strstr (message, "”: ");

  return rest != NULL ? rest + strlen ("”: ") : message;
}

static gboolean
check_rule (DerateConfig *config, DerateConfigGroup *group, GError **error)
{
  g_autoptr (DerateRule) rule = NULL;
  g_autoptr (GError) local_error = NULL;

  if (!require (config, group, "when", error) || !require (config, group, "level", error))
    return FALSE;
  rule = derate_rule_parse (group->object, get (config, group, "when"),
                            get (config, group, "level"), &local_error);
  return rule != NULL || refuse (group, "when", error, skip_name (local_error->message));
}

static gboolean
check_feature (DerateConfig *config, DerateConfigGroup *group, GError **error)
{
  g_autoptr (DerateFeature) feature = NULL;
  g_autoptr (GError) local_error = NULL;

  feature =
      derate_feature_parse (group->object, get (config, group, "needs"),
                            derate_config_get_text (config, group->name, "until", "emergency"),
                            &local_error);
  return feature != NULL || refuse (group, "needs", error, skip_name (local_error->message));
}

static gboolean
check_fallback (DerateConfig *config, DerateConfigGroup *group, GError **error)
{
  return require (config, group, "strategy", error);
}

static const struct
{
  const char *kind;
  gboolean (*check) (DerateConfig *config, DerateConfigGroup *group, GError **error);
} checks[] = {
  { "service", check_service }, { "breaker", check_breaker },   { "rule", check_rule },
  { "feature", check_feature }, { "fallback", check_fallback },
};

/* A variable that is missing, in a value that no later file overrode. */
static gboolean
check_expanded (DerateConfigGroup *group, GError **error)
{
  for (guint i = 0; i < group->entries->len; i++)
    {
      DerateConfigEntry *entry = g_ptr_array_index (group->entries, i);

      if (entry->error != NULL)
        return refuse (group, entry->key, error, entry->error->message);
    }
  return TRUE;
}

static gboolean
check_group (DerateConfig *config, DerateConfigGroup *group, GError **error)
{
  for (guint i = 0; i < G_N_ELEMENTS (checks); i++)
    if (derate_config_kind_find (checks[i].kind) == group->kind)
      return checks[i].check (config, group, error);
  return TRUE;
}

gboolean
derate_config_check (DerateConfig *config, GError **error)
{
  for (guint i = 0; i < config->groups->len; i++)
    if (!check_expanded (g_ptr_array_index (config->groups, i), error))
      return FALSE;
  for (guint i = 0; i < config->groups->len; i++)
    if (!check_group (config, g_ptr_array_index (config->groups, i), error))
      return FALSE;
  return TRUE;
}

/* Where a breaker's property was set, or else the service as a whole. */
static char *
dup_origin_of_property (DerateConfig *config, DerateConfigGroup *group, const char *property)
{
  g_autofree char *key = g_strconcat ("breaker-", property, NULL);
  g_autofree char *shared =
      g_strconcat ("breaker ",
                   derate_config_get_text (config, group->name, "breaker", group->object), NULL);

  if (get (config, group, key) != NULL)
    return derate_config_dup_origin (config, group->name, key);
  if (derate_config_get_text (config, shared, property, NULL) != NULL)
    return derate_config_dup_origin (config, shared, property);
  return derate_config_dup_origin (config, group->name, NULL);
}

static void
warn_of_breaker (DerateConfig *config, DerateConfigGroup *group, GStrvBuilder *warnings)
{
  g_autoptr (DerateBreakerConfig) breaker =
      derate_config_dup_breaker_config (config, group->object, DERATE_SERVICE_ROLE_NONE, NULL);

  if (breaker != NULL && derate_breaker_config_get_failure_threshold (breaker) == 1)
    {
      g_autofree char *origin = dup_origin_of_property (config, group, "failure-threshold");
      g_autofree char *text =
          g_strdup_printf ("%s: failure-threshold 1 opens the breaker at any single error", origin);

      g_strv_builder_add (warnings, text);
    }
  if (breaker != NULL &&
      derate_breaker_config_get_open_duration (breaker) < 10 * G_TIME_SPAN_SECOND)
    {
      g_autofree char *origin = dup_origin_of_property (config, group, "open-duration");
      g_autofree char *text =
          g_strdup_printf ("%s: open-duration under 10s gives the service little time to recover",
                           origin);

      g_strv_builder_add (warnings, text);
    }
}

static void
warn_of_fallback (DerateConfig *config, DerateConfigGroup *group, GStrvBuilder *warnings)
{
  int role = derate_config_get_enum (config, group->name, "role", DERATE_TYPE_SERVICE_ROLE,
                                     DERATE_SERVICE_ROLE_NONE);
  DerateCriticality standard = derate_service_role_get_criticality ((DerateServiceRole)role);
  int criticality = derate_config_get_enum (config, group->name, "criticality",
                                            DERATE_TYPE_CRITICALITY, (int)standard);

  if (criticality == DERATE_CRITICALITY_CRITICAL && get (config, group, "fallback") == NULL)
    {
      g_autofree char *origin = derate_config_dup_origin (config, group->name, NULL);
      g_autofree char *text = g_strdup_printf ("%s: a critical service without a fallback", origin);

      g_strv_builder_add (warnings, text);
    }
}

/**
 * derate_config_list_warnings:
 * @config: a configuration
 *
 * What is allowed and seldom meant: a failure-threshold of 1, an open-duration under 10 s, and a
 * critical service without a fallback. The role that a plugin would bring is not known here.
 *
 * Returns: (transfer full): a sentence for each, with file, group and key
 *
 * Since: 1.0
 */
char **
derate_config_list_warnings (DerateConfig *config)
{
  g_autoptr (GStrvBuilder) warnings = g_strv_builder_new ();

  for (guint i = 0; i < config->groups->len; i++)
    {
      DerateConfigGroup *group = g_ptr_array_index (config->groups, i);

      if (group->kind != derate_config_kind_find ("service"))
        continue;
      warn_of_breaker (config, group, warnings);
      warn_of_fallback (config, group, warnings);
    }
  return g_strv_builder_end (warnings);
}
