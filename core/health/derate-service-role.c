/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-service-role.h"

#include "derate-error.h"

/* Breaker and criticality by role: seeds/002 and /003. */
typedef struct
{
  const char *nick;
  DerateCriticality criticality;
  guint failure_threshold;
  GTimeSpan open_duration;
} RoleDefaults;

static const RoleDefaults roles[] = {
  [DERATE_SERVICE_ROLE_NONE] = { "none", DERATE_CRITICALITY_MEDIUM, 5, 60 * G_TIME_SPAN_SECOND },
  [DERATE_SERVICE_ROLE_DATABASE] = { "database", DERATE_CRITICALITY_CRITICAL, 3,
                                     30 * G_TIME_SPAN_SECOND },
  [DERATE_SERVICE_ROLE_AI] = { "ai", DERATE_CRITICALITY_HIGH, 5, 60 * G_TIME_SPAN_SECOND },
  [DERATE_SERVICE_ROLE_CACHE] = { "cache", DERATE_CRITICALITY_MEDIUM, 5, 20 * G_TIME_SPAN_SECOND },
  [DERATE_SERVICE_ROLE_STORAGE] = { "storage", DERATE_CRITICALITY_LOW, 5, 30 * G_TIME_SPAN_SECOND },
};

static const char *const criticalities[] = {
  [DERATE_CRITICALITY_LOW] = "low",
  [DERATE_CRITICALITY_MEDIUM] = "medium",
  [DERATE_CRITICALITY_HIGH] = "high",
  [DERATE_CRITICALITY_CRITICAL] = "critical",
};

/**
 * derate_service_role_get_nick:
 * @role: a role
 *
 * The name users see.
 *
 * Returns: the nick, such as `database`; `none` for anything else
 *
 * Since: 1.0
 */
const char *
derate_service_role_get_nick (DerateServiceRole role)
{
  return (guint)role < G_N_ELEMENTS (roles) ? roles[role].nick : "none";
}

/**
 * derate_service_role_from_nick:
 * @nick: a name
 * @role: (out): where to put the role
 * @error: where to put the error
 *
 * Reads the name of a role.
 *
 * Returns: %FALSE with %DERATE_ERROR_INVALID_ARGUMENT where there is none of that name
 *
 * Since: 1.0
 */
gboolean
derate_service_role_from_nick (const char *nick, DerateServiceRole *role, GError **error)
{
  for (guint i = 0; i < G_N_ELEMENTS (roles); i++)
    if (g_strcmp0 (roles[i].nick, nick) == 0)
      {
        *role = i;
        return TRUE;
      }
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_ARGUMENT,
               "no role “%s”: none, database, ai, cache or storage", nick);
  return FALSE;
}

/**
 * derate_service_role_get_criticality:
 * @role: a role
 *
 * How critical a service of that role is unless something else is said.
 *
 * Returns: the criticality
 *
 * Since: 1.0
 */
DerateCriticality
derate_service_role_get_criticality (DerateServiceRole role)
{
  return (guint)role < G_N_ELEMENTS (roles) ? roles[role].criticality : DERATE_CRITICALITY_MEDIUM;
}

/**
 * derate_service_role_get_failure_threshold:
 * @role: a role
 *
 * How many failures in a row open the breaker of a service of that role unless something else is
 * said.
 *
 * Returns: the number
 *
 * Since: 1.0
 */
guint
derate_service_role_get_failure_threshold (DerateServiceRole role)
{
  return roles[(guint)role < G_N_ELEMENTS (roles) ? role : DERATE_SERVICE_ROLE_NONE]
      .failure_threshold;
}

/**
 * derate_service_role_get_open_duration:
 * @role: a role
 *
 * How long the breaker of a service of that role stays open unless something else is said.
 *
 * Returns: the time in microseconds
 *
 * Since: 1.0
 */
GTimeSpan
derate_service_role_get_open_duration (DerateServiceRole role)
{
  return roles[(guint)role < G_N_ELEMENTS (roles) ? role : DERATE_SERVICE_ROLE_NONE].open_duration;
}

/**
 * derate_service_role_apply_defaults:
 * @role: a role
 * @config: the configuration of a breaker
 *
 * Sets the failure-threshold and the open-duration that fit the role: database 3 failures and 30
 * seconds, ai 5 and 60, cache 5 and 20, storage 5 and 30. %DERATE_SERVICE_ROLE_NONE changes
 * nothing: the built-in values, or those of presets and environment, stand.
 *
 * Since: 1.0
 */
void
derate_service_role_apply_defaults (DerateServiceRole role, DerateBreakerConfig *config)
{
  if (role == DERATE_SERVICE_ROLE_NONE || (guint)role >= G_N_ELEMENTS (roles))
    return;
  derate_breaker_config_set_failure_threshold (config, roles[role].failure_threshold);
  derate_breaker_config_set_open_duration (config, roles[role].open_duration);
}

/**
 * derate_criticality_get_nick:
 * @criticality: a criticality
 *
 * The name users see.
 *
 * Returns: the nick, such as `high`; `medium` for anything else
 *
 * Since: 1.0
 */
const char *
derate_criticality_get_nick (DerateCriticality criticality)
{
  return (guint)criticality < G_N_ELEMENTS (criticalities) ? criticalities[criticality] : "medium";
}

/**
 * derate_criticality_from_nick:
 * @nick: a name
 * @criticality: (out): where to put the criticality
 * @error: where to put the error
 *
 * Reads the name of a criticality.
 *
 * Returns: %FALSE with %DERATE_ERROR_INVALID_ARGUMENT where there is none of that name
 *
 * Since: 1.0
 */
gboolean
derate_criticality_from_nick (const char *nick, DerateCriticality *criticality, GError **error)
{
  for (guint i = 0; i < G_N_ELEMENTS (criticalities); i++)
    if (g_strcmp0 (criticalities[i], nick) == 0)
      {
        *criticality = i;
        return TRUE;
      }
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_ARGUMENT,
               "no criticality “%s”: low, medium, high or critical", nick);
  return FALSE;
}
