/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-pipeline.h"

#include "derate-policy-private.h"

/**
 * DeratePipeline:
 *
 * Policies around a call, the outermost first. The usual order is fallback, retry, circuit breaker,
 * timeout, bulkhead: the breaker then sees every attempt, and a timeout is a failure to it.
 *
 * It is a policy itself: derate_policy_call() makes a call through all of them. An empty one lets
 * every call straight through.
 *
 * Since: 1.0
 */
struct _DeratePipeline
{
  DeratePolicy parent_instance;
};

struct _DeratePipelineClass
{
  DeratePolicyClass parent_class;
};

G_DEFINE_FINAL_TYPE (DeratePipeline, derate_pipeline, DERATE_TYPE_POLICY)

static void
derate_pipeline_class_init (DeratePipelineClass *klass)
{
}

static void
derate_pipeline_init (DeratePipeline *pipeline)
{
  pipeline->parent_instance.n_stages = 0;
}

/**
 * derate_pipeline_new:
 *
 * Makes a pipeline with nothing in it.
 *
 * Returns: (transfer full): the pipeline
 *
 * Since: 1.0
 */
DeratePipeline *
derate_pipeline_new (void)
{
  return g_object_new (DERATE_TYPE_PIPELINE, NULL);
}

/**
 * derate_pipeline_append:
 * @pipeline: a pipeline that has not been used
 * @policy: what stands inside those that are there; of another pipeline, all that it has now
 *
 * Adds a policy. One policy may stand in several pipelines: calls through all of them then share
 * what it counts, such as the places of a bulkhead.
 *
 * Since: 1.0
 */
void
derate_pipeline_append (DeratePipeline *pipeline, DeratePolicy *policy)
{
  DeratePolicy *self = (DeratePolicy *)pipeline;

  g_return_if_fail (DERATE_IS_PIPELINE (pipeline));
  g_return_if_fail (DERATE_IS_POLICY (policy) && policy != self);

  if (!derate_policy_may_change (self))
    return;
  self->stages = g_renew (DeratePolicy *, self->stages, self->n_stages + policy->n_stages + 1);
  for (guint i = 0; i < policy->n_stages; i++)
    self->stages[self->n_stages++] = g_object_ref (policy->stages[i]);
}

/**
 * derate_pipeline_get_length:
 * @pipeline: a pipeline
 *
 * How many policies a call passes.
 *
 * Returns: the number
 *
 * Since: 1.0
 */
guint
derate_pipeline_get_length (DeratePipeline *pipeline)
{
  g_return_val_if_fail (DERATE_IS_PIPELINE (pipeline), 0);

  return ((DeratePolicy *)pipeline)->n_stages;
}
