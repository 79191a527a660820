/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-breaker-config.h>
#include <derate-health-check-config.h>
#include <derate-service-role.h>

G_BEGIN_DECLS

#define DERATE_TYPE_CONFIG (derate_config_get_type ())

typedef struct _DerateConfig DerateConfig;

DERATE_AVAILABLE_IN_1_0
GType derate_config_get_type (void);

DERATE_AVAILABLE_IN_1_0
DerateConfig *derate_config_new_from_file (const char *path,
                                           GError    **error);

DERATE_AVAILABLE_IN_1_0
DerateConfig *derate_config_new_from_data (const char *text,
                                           const char *name,
                                           GError    **error);

DERATE_AVAILABLE_IN_1_0
DerateConfig *derate_config_ref (DerateConfig *config);

DERATE_AVAILABLE_IN_1_0
void derate_config_unref (DerateConfig *config);

DERATE_AVAILABLE_IN_1_0
char **derate_config_list_names (DerateConfig *config,
                                 const char   *kind);

DERATE_AVAILABLE_IN_1_0
char **derate_config_list_keys (DerateConfig *config,
                                const char   *group);

DERATE_AVAILABLE_IN_1_0
gboolean derate_config_has_group (DerateConfig *config,
                                  const char   *group);

DERATE_AVAILABLE_IN_1_0
gboolean derate_config_group_equal (DerateConfig *config,
                                    DerateConfig *other,
                                    const char   *group);

DERATE_AVAILABLE_IN_1_0
const char *derate_config_get_text (DerateConfig *config,
                                    const char   *group,
                                    const char   *key,
                                    const char   *fallback);

DERATE_AVAILABLE_IN_1_0
GTimeSpan derate_config_get_duration (DerateConfig *config,
                                      const char   *group,
                                      const char   *key,
                                      GTimeSpan     fallback);

DERATE_AVAILABLE_IN_1_0
guint derate_config_get_uint (DerateConfig *config,
                              const char   *group,
                              const char   *key,
                              guint         fallback);

DERATE_AVAILABLE_IN_1_0
double derate_config_get_double (DerateConfig *config,
                                 const char   *group,
                                 const char   *key,
                                 double        fallback);

DERATE_AVAILABLE_IN_1_0
gboolean derate_config_get_boolean (DerateConfig *config,
                                    const char   *group,
                                    const char   *key,
                                    gboolean      fallback);

DERATE_AVAILABLE_IN_1_0
int derate_config_get_enum (DerateConfig *config,
                            const char   *group,
                            const char   *key,
                            GType         type,
                            int           fallback);

DERATE_AVAILABLE_IN_1_0
char **derate_config_list_words (DerateConfig *config,
                                 const char   *group,
                                 const char   *key);

DERATE_AVAILABLE_IN_1_0
char *derate_config_dup_origin (DerateConfig *config,
                                const char   *group,
                                const char   *key);

DERATE_AVAILABLE_IN_1_0
char **derate_config_list_warnings (DerateConfig *config);

DERATE_AVAILABLE_IN_1_0
DerateBreakerConfig *derate_config_dup_breaker_config (DerateConfig     *config,
                                                       const char       *service,
                                                       DerateServiceRole default_role,
                                                       GError          **error);

DERATE_AVAILABLE_IN_1_0
DerateHealthCheckConfig *
derate_config_dup_check_config (DerateConfig *config, const char *service, GError **error);

DERATE_AVAILABLE_IN_1_0
GVariant *derate_config_dup_check_options (DerateConfig *config,
                                           const char   *service);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateConfig, derate_config_unref)

G_END_DECLS
