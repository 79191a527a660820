/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-feature.h"

G_BEGIN_DECLS

/* One `NAME`, `NAME=healthy` or `queue:NAME` of a `needs`. */
typedef struct
{
  char *name;
  gboolean healthy;
  gboolean queue;
} DerateFeatureRef;

/* Every group is needed, and of each group one reference. */
guint derate_feature_get_n_groups (DerateFeature *feature);
GArray *derate_feature_get_group (DerateFeature *feature,
                                  guint          index);

/* Whether a queue can take what the feature would do. */
gboolean derate_feature_has_queue (DerateFeature *feature);

/* The features of semantics §5 for services with the roles, in its order. */
GPtrArray *derate_feature_defaults_new (GPtrArray *inputs);

G_END_DECLS
