/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-policy.h>

G_BEGIN_DECLS

#define DERATE_TYPE_PIPELINE (derate_pipeline_get_type ())

typedef struct _DeratePipeline DeratePipeline;
typedef struct _DeratePipelineClass DeratePipelineClass;

DERATE_AVAILABLE_IN_1_0
GType derate_pipeline_get_type (void);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DeratePipeline, g_object_unref)

/**
 * DERATE_PIPELINE: (skip)
 */
#define DERATE_PIPELINE(object) \
  (G_TYPE_CHECK_INSTANCE_CAST ((object), DERATE_TYPE_PIPELINE, DeratePipeline))

/**
 * DERATE_IS_PIPELINE: (skip)
 */
#define DERATE_IS_PIPELINE(object) (G_TYPE_CHECK_INSTANCE_TYPE ((object), DERATE_TYPE_PIPELINE))

DERATE_AVAILABLE_IN_1_0
DeratePipeline *derate_pipeline_new (void);

DERATE_AVAILABLE_IN_1_0
void derate_pipeline_append (DeratePipeline *pipeline,
                             DeratePolicy   *policy);

DERATE_AVAILABLE_IN_1_0
guint derate_pipeline_get_length (DeratePipeline *pipeline);

G_END_DECLS
