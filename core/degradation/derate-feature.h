/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-level.h>

G_BEGIN_DECLS

#define DERATE_TYPE_FEATURE (derate_feature_get_type ())

typedef struct _DerateFeature DerateFeature;

DERATE_AVAILABLE_IN_1_0
GType derate_feature_get_type (void);

DERATE_AVAILABLE_IN_1_0
DerateFeature *derate_feature_parse (const char *name,
                                     const char *needs,
                                     const char *until,
                                     GError    **error);

DERATE_AVAILABLE_IN_1_0
DerateFeature *derate_feature_ref (DerateFeature *feature);

DERATE_AVAILABLE_IN_1_0
void derate_feature_unref (DerateFeature *feature);

DERATE_AVAILABLE_IN_1_0
const char *derate_feature_get_name (DerateFeature *feature);

DERATE_AVAILABLE_IN_1_0
const char *derate_feature_get_needs (DerateFeature *feature);

DERATE_AVAILABLE_IN_1_0
DerateLevel derate_feature_get_until (DerateFeature *feature);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateFeature, derate_feature_unref)

G_END_DECLS
