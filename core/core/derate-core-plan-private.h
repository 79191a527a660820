/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-rule-set.h>

#include "derate-core-object-private.h"

G_BEGIN_DECLS

/* What one service of a configuration comes to. */
typedef struct
{
  char *name;
  DerateServiceRole role;
  DerateCriticality criticality;
  const char *plugin;       /* of the configuration */
  DerateHealthCheck *check; /* NULL without a plugin */
  DerateHealthCheckConfig *check_config;
  char *breaker_name;
  DerateBreakerConfig *breaker_config;
} DeratePlannedService;

/* A configuration brought as far as it goes without touching what runs: everything that can be
 * refused has been. */
typedef struct
{
  DerateConfig *config;
  GPtrArray *services; /* (element-type DeratePlannedService) in the order of the file */
  GPtrArray *rules;    /* (element-type DerateRule) */
  DerateRuleSetMode rules_mode;
  GPtrArray *features; /* (element-type DerateFeature) */
} DerateCorePlan;

/* Loads plugins into @loader (a failed one stays in its list) and makes health checks. */
DerateCorePlan *derate_core_plan_new (DerateConfig       *config,
                                      DeratePluginLoader *loader,
                                      GError            **error);
void derate_core_plan_free (DerateCorePlan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateCorePlan, derate_core_plan_free)

/* The inputs of the rules: (element-type DerateRuleInput), (transfer container). */
GPtrArray *derate_core_plan_list_inputs (DerateCorePlan *plan);

G_END_DECLS
