/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-breaker-config.h>
#include <derate-visibility.h>
#include <glib-object.h>

G_BEGIN_DECLS

/**
 * DerateServiceRole:
 * @DERATE_SERVICE_ROLE_NONE: nothing that the default rules speak of
 * @DERATE_SERVICE_ROLE_DATABASE: where the truth is kept
 * @DERATE_SERVICE_ROLE_AI: computes what a rule could compute more poorly
 * @DERATE_SERVICE_ROLE_CACHE: a faster copy of what the database knows
 * @DERATE_SERVICE_ROLE_STORAGE: takes files that can wait
 *
 * What a service is for. The default rules of degradation are written in roles, and a role brings
 * defaults for the breaker and the criticality; it comes from the plugin unless it is set.
 *
 * Since: 1.0
 */
typedef enum
{
  DERATE_SERVICE_ROLE_NONE = 0,
  DERATE_SERVICE_ROLE_DATABASE,
  DERATE_SERVICE_ROLE_AI,
  DERATE_SERVICE_ROLE_CACHE,
  DERATE_SERVICE_ROLE_STORAGE,
} DerateServiceRole;

/**
 * DerateCriticality:
 * @DERATE_CRITICALITY_LOW: hardly anybody notices
 * @DERATE_CRITICALITY_MEDIUM: slower or poorer without it
 * @DERATE_CRITICALITY_HIGH: a feature is gone without it
 * @DERATE_CRITICALITY_CRITICAL: little works without it
 *
 * How much the program needs a service. Greater is more.
 *
 * Since: 1.0
 */
typedef enum
{
  DERATE_CRITICALITY_LOW = 0,
  DERATE_CRITICALITY_MEDIUM,
  DERATE_CRITICALITY_HIGH,
  DERATE_CRITICALITY_CRITICAL,
} DerateCriticality;

DERATE_AVAILABLE_IN_1_0
const char *derate_service_role_get_nick (DerateServiceRole role);

DERATE_AVAILABLE_IN_1_0
gboolean derate_service_role_from_nick (const char        *nick,
                                        DerateServiceRole *role,
                                        GError           **error);

DERATE_AVAILABLE_IN_1_0
DerateCriticality derate_service_role_get_criticality (DerateServiceRole role);

DERATE_AVAILABLE_IN_1_0
guint derate_service_role_get_failure_threshold (DerateServiceRole role);

DERATE_AVAILABLE_IN_1_0
GTimeSpan derate_service_role_get_open_duration (DerateServiceRole role);

DERATE_AVAILABLE_IN_1_0
void derate_service_role_apply_defaults (DerateServiceRole    role,
                                         DerateBreakerConfig *config);

DERATE_AVAILABLE_IN_1_0
const char *derate_criticality_get_nick (DerateCriticality criticality);

DERATE_AVAILABLE_IN_1_0
gboolean derate_criticality_from_nick (const char        *nick,
                                       DerateCriticality *criticality,
                                       GError           **error);

G_END_DECLS
