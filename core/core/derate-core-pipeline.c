/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-core-pipeline-private.h"

#include <string.h>

#include "derate-breaker-policy.h"
#include "derate-bulkhead.h"
#include "derate-env.h"
#include "derate-error.h"
#include "derate-fallback-policy.h"
#include "derate-gate-policy-private.h"
#include "derate-names-private.h"
#include "derate-policy-private.h"
#include "derate-retry.h"
#include "derate-service-private.h"
#include "derate-timeout.h"

/* What the pipelines of one service have in common: a budget, a cache that one fills and another
 * reads, places. */
typedef struct
{
  DeratePolicy *fallback; /* (nullable) where it has none */
  DeratePolicy *retry; /* (nullable) where nothing is tried again */
  DeratePolicy *bulkhead;
} Shared;

static void
shared_free (gpointer data)
{
  Shared *shared = data;

  g_clear_object (&shared->fallback);
  g_clear_object (&shared->retry);
  g_clear_object (&shared->bulkhead);
  g_free (shared);
}

static guint
get_places (DerateCore *core, const char *service, const char *key, guint fallback)
{
  g_autofree char *group = g_strconcat ("service ", service, NULL);

  return core->config != NULL ? derate_config_get_uint (core->config, group, key, fallback)
                              : fallback;
}

static gboolean
make_fallback (DerateCore *core, const char *service, Shared *shared, GError **error)
{
  g_autoptr (DerateFallback) chain = derate_core_create_fallback (core, service, error);
  DerateFallbackPolicy *policy;

  if (chain == NULL)
    return FALSE;
  if (derate_fallback_chain_get_length (DERATE_FALLBACK_CHAIN (chain)) == 0)
    return TRUE;
  policy = derate_fallback_policy_new (service, chain);
  derate_fallback_policy_set_max_concurrent (policy,
                                             get_places (core, service, "fallback-bulkhead",
                                                         DERATE_FALLBACK_POLICY_MAX_CONCURRENT));
  shared->fallback = DERATE_POLICY (policy);
  return TRUE;
}

static gboolean
make_retry (DerateCore *core, Shared *shared, GError **error)
{
  g_autoptr (DerateRetry) retry = derate_retry_new_from_environment (core->clock, error);

  if (retry == NULL)
    return FALSE;
  if (derate_retry_get_max_retries (retry) > 0)
    shared->retry = DERATE_POLICY (g_steal_pointer (&retry));
  return TRUE;
}

static Shared *
ensure_shared (DerateCore *core, const char *service, GError **error)
{
  Shared *shared = g_hash_table_lookup (core->pipelines, service);

  if (shared != NULL)
    return shared;
  shared = g_new0 (Shared, 1);
  if (!make_fallback (core, service, shared, error) || !make_retry (core, shared, error))
    {
      shared_free (shared);
      return NULL;
    }
  shared->bulkhead =
      DERATE_POLICY (derate_bulkhead_new (core->clock, get_places (core, service, "bulkhead",
                                                                   DERATE_BULKHEAD_DEFAULT)));
  g_hash_table_insert (core->pipelines, g_strdup (service), shared);
  return shared;
}

GHashTable *
derate_core_pipelines_new (void)
{
  return g_hash_table_new_full (g_str_hash, g_str_equal, g_free, shared_free);
}

static gboolean
is_unchanged (DerateConfig *old, DerateConfig *config, const char *service)
{
  g_autofree char *group = g_strconcat ("service ", service, NULL);
  g_auto (GStrv) words = derate_config_list_words (config, group, "fallback");

  for (guint i = 0; words[i] != NULL; i++)
    {
      g_autofree char *fallback = g_strconcat ("fallback ", words[i], NULL);

      if (!derate_config_group_equal (old, config, fallback))
        return FALSE;
    }
  return derate_config_group_equal (old, config, group);
}

void
derate_core_pipelines_forget_changed (DerateCore *core, DerateConfig *old)
{
  GHashTableIter iter;
  gpointer service;

  g_hash_table_iter_init (&iter, core->pipelines);
  while (g_hash_table_iter_next (&iter, &service, NULL))
    if (!is_unchanged (old, core->config, service))
      g_hash_table_iter_remove (&iter);
}

/* Takes @policy (nullable). */
static void
append (DeratePipeline *pipeline, gpointer policy)
{
  g_autoptr (DeratePolicy) owned = policy;

  if (owned != NULL)
    derate_pipeline_append (pipeline, owned);
}

/* The share of a service in the time for an answer: a cache that is asked after a database, and
 * then an answer made, all fit in it. */
static GTimeSpan
get_share (GTimeSpan budget, DerateServiceRole role)
{
  if (role == DERATE_SERVICE_ROLE_DATABASE)
    return budget / 2;
  return role == DERATE_SERVICE_ROLE_CACHE ? budget / 4 : budget;
}

static gboolean
append_timeout (DerateCore *core, DeratePipeline *pipeline, DerateService *service, GError **error)
{
  g_autofree char *group = g_strconcat ("service ", derate_service_get_name (service), NULL);
  double seconds;
  GTimeSpan span;
  GTimeSpan budget;

  if (!derate_env_get_number (DERATE_ENV_TIMEOUT,
                              (double)DERATE_TIMEOUT_DEFAULT / G_TIME_SPAN_SECOND, 0, 365 * 86400.0,
                              &seconds, error))
    return FALSE;
  span = (GTimeSpan)(seconds * G_TIME_SPAN_SECOND);
  if (core->config != NULL)
    {
      budget = derate_config_get_duration (core->config, "derate", "answer-budget", 0);
      if (budget > 0)
        span = MAX (get_share (budget, derate_service_get_role (service)), 1);
      span = derate_config_get_duration (core->config, group, "call-timeout", span);
    }
  if (span > 0)
    append (pipeline, derate_timeout_new (core->clock, span));
  return TRUE;
}

/* On the manager the pipeline keeps a reference, and on nothing else of the core. */
static void
on_ended (DeratePolicyEnd end, gpointer manager)
{
  static const DerateAnswerSource sources[] = {
    [DERATE_POLICY_END_REAL] = DERATE_ANSWER_SOURCE_REAL,
    [DERATE_POLICY_END_FALLBACK] = DERATE_ANSWER_SOURCE_FALLBACK,
    [DERATE_POLICY_END_FAILED] = DERATE_ANSWER_SOURCE_REFUSED,
  };

  derate_degradation_manager_note_answer (manager, sources[end]);
}

/* @gate may be NULL. */
static gboolean
fill (DerateCore *core,
      DeratePipeline *pipeline,
      DerateService *service,
      DerateGate *gate,
      DerateCorePipelineFlags flags,
      GError **error)
{
  const char *name = derate_service_get_name (service);
  DerateBreaker *breaker = derate_service_get_breaker (service);
  Shared *shared = ensure_shared (core, name, error);

  if (shared == NULL)
    return FALSE;
  if (shared->fallback != NULL && !(flags & DERATE_CORE_PIPELINE_BARE))
    derate_pipeline_append (pipeline, shared->fallback);
  if (gate != NULL)
    append (pipeline, derate_gate_policy_new (core->manager, gate, service));
  if (shared->retry != NULL && !(flags & DERATE_CORE_PIPELINE_NO_RETRY))
    derate_pipeline_append (pipeline, shared->retry);
  if (breaker != NULL)
    append (pipeline, derate_breaker_policy_new (breaker));
  if (!append_timeout (core, pipeline, service, error))
    return FALSE;
  derate_pipeline_append (pipeline, shared->bulkhead);
  derate_pipeline_append (pipeline, derate_service_get_delay (service));
  return TRUE;
}

static DeratePipeline *
create_pipeline (DerateCore *core,
                 const char *service,
                 DerateGate *gate,
                 DerateCorePipelineFlags flags,
                 GError **error)
{
  g_autoptr (DeratePipeline) pipeline = NULL;
  g_autoptr (DerateService) known = derate_core_lookup_service (core, service);

  if (known == NULL)
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_NO_SUCH_SERVICE, "no service “%s”", service);
      return NULL;
    }
  pipeline = derate_pipeline_new ();
  if (!core->disabled && !fill (core, pipeline, known, gate, flags, error))
    return NULL;
  if (!(flags & DERATE_CORE_PIPELINE_UNCOUNTED))
    derate_policy_set_ended (DERATE_POLICY (pipeline), on_ended, g_object_ref (core->manager),
                             g_object_unref);
  return g_steal_pointer (&pipeline);
}

/**
 * derate_core_create_pipeline:
 * @core: a core
 * @service: the name of a service
 * @flags: what to leave out
 * @error: where to put the error
 *
 * Makes the usual pipeline for calls to a service, as the configuration says: its fallbacks
 * (`fallback=`), where it has some; retries (`DEFAULT_MAX_RETRIES`, 3); its breaker; the timeout
 * of each attempt (`call-timeout=`; else its share of `answer-budget=`: a half for a database, a
 * quarter for a cache, all for others; else `DEFAULT_TIMEOUT`, where 0 is none; else 30 s); and how
 * many calls may be under way at once (`bulkhead=`, else %DERATE_BULKHEAD_DEFAULT), and how many of
 * its fallbacks (`fallback-bulkhead=`, else %DERATE_FALLBACK_POLICY_MAX_CONCURRENT). Innermost
 * stands what delays calls during a drill of the service. How calls through it end is counted in
 * `degradation_answers_total`. With `ENABLE_RESILIENCE=false` it lets everything straight through.
 *
 * All pipelines of one service share its fallbacks, with what they remember, its budget of retries
 * and its places. A pipeline does not follow a configuration that is read again, but for the
 * settings of its breaker: make a new one after derate_core_reload(). Make it in the owner's
 * thread; it may be used in any.
 *
 * Returns: (transfer full): the pipeline, or %NULL with %DERATE_ERROR_NO_SUCH_SERVICE, or
 *   %DERATE_ERROR_INVALID_CONFIG that names the place
 *
 * Since: 1.0
 */
DeratePipeline *
derate_core_create_pipeline (DerateCore *core,
                             const char *service,
                             DerateCorePipelineFlags flags,
                             GError **error)
{
  g_return_val_if_fail (DERATE_IS_CORE (core), NULL);
  g_return_val_if_fail (service != NULL, NULL);

  return create_pipeline (core, service, NULL, flags, error);
}

/**
 * derate_core_create_gated_pipeline:
 * @core: a core
 * @service: the name of a service
 * @feature: the name of a feature, such as `ai`
 * @flags: what to leave out
 * @error: where to put the error
 *
 * Makes the pipeline of derate_core_create_pipeline() for calls that belong to a feature. While the
 * feature's gate is closed the service is not called, and its fallbacks answer as they do when a
 * breaker refuses. Their reason, and the error where none answers, is `level` or `hold`
 * (%DERATE_ERROR_LEVEL, %DERATE_ERROR_HOLD) where the level is worse than the feature allows; else
 * `drill` or `open` (%DERATE_ERROR_DRILL, %DERATE_ERROR_OPEN): a service that it needs is not well.
 * A feature that is queued is open; see [method@Gate.is_open].
 *
 * Returns: (transfer full): the pipeline, or %NULL with %DERATE_ERROR_INVALID_ARGUMENT where there
 *   is no such feature, or an error of derate_core_create_pipeline()
 *
 * Since: 1.0
 */
DeratePipeline *
derate_core_create_gated_pipeline (DerateCore *core,
                                   const char *service,
                                   const char *feature,
                                   DerateCorePipelineFlags flags,
                                   GError **error)
{
  g_autoptr (DerateGate) gate = NULL;

  g_return_val_if_fail (DERATE_IS_CORE (core), NULL);
  g_return_val_if_fail (service != NULL && feature != NULL, NULL);

  gate = derate_degradation_manager_get_gate (core->manager, feature);
  if (gate != NULL)
    return create_pipeline (core, service, gate, flags, error);
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_ARGUMENT, "no feature “%s”", feature);
  return NULL;
}
