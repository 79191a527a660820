/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-visibility.h>
#include <glib-object.h>

G_BEGIN_DECLS

#define DERATE_TYPE_HEALTH_CHECK_CONFIG (derate_health_check_config_get_type ())

typedef struct _DerateHealthCheckConfig DerateHealthCheckConfig;

DERATE_AVAILABLE_IN_1_0
GType derate_health_check_config_get_type (void);

DERATE_AVAILABLE_IN_1_0
DerateHealthCheckConfig *derate_health_check_config_new (void);

DERATE_AVAILABLE_IN_1_0
DerateHealthCheckConfig *derate_health_check_config_copy (const DerateHealthCheckConfig *config);

DERATE_AVAILABLE_IN_1_0
void derate_health_check_config_free (DerateHealthCheckConfig *config);

DERATE_AVAILABLE_IN_1_0
gboolean derate_health_check_config_equal (const DerateHealthCheckConfig *a,
                                           const DerateHealthCheckConfig *b);

DERATE_AVAILABLE_IN_1_0
gboolean derate_health_check_config_has_key (const char *key);

DERATE_AVAILABLE_IN_1_0
gboolean derate_health_check_config_validate (const DerateHealthCheckConfig *config,
                                              GError                       **error);

DERATE_AVAILABLE_IN_1_0
gboolean derate_health_check_config_set_from_string (DerateHealthCheckConfig *config,
                                                     const char              *key,
                                                     const char              *value,
                                                     GError                 **error);

DERATE_AVAILABLE_IN_1_0
void derate_health_check_config_set_interval (DerateHealthCheckConfig *config,
                                              GTimeSpan                interval);

DERATE_AVAILABLE_IN_1_0
GTimeSpan derate_health_check_config_get_interval (const DerateHealthCheckConfig *config);

DERATE_AVAILABLE_IN_1_0
void derate_health_check_config_set_timeout (DerateHealthCheckConfig *config,
                                             GTimeSpan                timeout);

DERATE_AVAILABLE_IN_1_0
GTimeSpan derate_health_check_config_get_timeout (const DerateHealthCheckConfig *config);

DERATE_AVAILABLE_IN_1_0
void derate_health_check_config_set_fast_interval (DerateHealthCheckConfig *config,
                                                   GTimeSpan                interval);

DERATE_AVAILABLE_IN_1_0
GTimeSpan derate_health_check_config_get_fast_interval (const DerateHealthCheckConfig *config);

DERATE_AVAILABLE_IN_1_0
void derate_health_check_config_set_slow (DerateHealthCheckConfig *config,
                                          GTimeSpan                slow);

DERATE_AVAILABLE_IN_1_0
GTimeSpan derate_health_check_config_get_slow (const DerateHealthCheckConfig *config);

DERATE_AVAILABLE_IN_1_0
void derate_health_check_config_set_fall (DerateHealthCheckConfig *config,
                                          guint                    fall);

DERATE_AVAILABLE_IN_1_0
guint derate_health_check_config_get_fall (const DerateHealthCheckConfig *config);

DERATE_AVAILABLE_IN_1_0
void derate_health_check_config_set_rise (DerateHealthCheckConfig *config,
                                          guint                    rise);

DERATE_AVAILABLE_IN_1_0
guint derate_health_check_config_get_rise (const DerateHealthCheckConfig *config);

DERATE_AVAILABLE_IN_1_0
void derate_health_check_config_set_jitter (DerateHealthCheckConfig *config,
                                            double                   jitter);

DERATE_AVAILABLE_IN_1_0
double derate_health_check_config_get_jitter (const DerateHealthCheckConfig *config);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateHealthCheckConfig, derate_health_check_config_free)

G_END_DECLS
