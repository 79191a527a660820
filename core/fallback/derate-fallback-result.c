/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-fallback-result-private.h"

#include <string.h>

#include "derate-variant-private.h"

/**
 * DerateFallbackResult:
 *
 * The answer of a fallback, which says where it came from, how old it is and why it was given.
 * Immutable, so it may be shared by any number of threads.
 *
 * Since: 1.0
 */
struct _DerateFallbackResult
{
  GVariant *value;
  DerateFallbackReason reason;
  GTimeSpan age;
  const char *source;
  const char *request_id; /* (nullable) */
  char strategy[]; /* and the other texts after it: an answer is one piece of memory */
};

G_DEFINE_BOXED_TYPE (DerateFallbackResult,
                     derate_fallback_result,
                     derate_fallback_result_ref,
                     derate_fallback_result_unref)

/* Takes @value. */
static DerateFallbackResult *
result_new (GVariant *value,
            const char *strategy,
            const char *source,
            const char *request_id,
            DerateFallbackReason reason,
            GTimeSpan age)
{
  gsize strategy_size = strlen (strategy) + 1;
  gsize source_size = strlen (source) + 1;
  gsize id_size = request_id != NULL ? strlen (request_id) + 1 : 0;
  DerateFallbackResult *result =
      g_atomic_rc_box_alloc (sizeof *result + strategy_size + source_size + id_size);
  char *rest = result->strategy + strategy_size;

  result->value = value;
  result->reason = reason;
  result->age = MAX (age, 0);
  memcpy (result->strategy, strategy, strategy_size);
  result->source = memcpy (rest, source, source_size);
  result->request_id = id_size > 0 ? memcpy (rest + source_size, request_id, id_size) : NULL;
  return result;
}

/**
 * derate_fallback_result_new:
 * @value: the answer; a floating reference is taken
 * @strategy: the strategy that gave it, such as `cached`
 * @source: where it came from, such as `cache`, `stale`, `rule` or `default`
 * @reason: why it was asked for
 * @age: how old it is, in microseconds; 0 when it is new
 *
 * Makes an answer.
 *
 * Returns: (transfer full): the answer
 *
 * Since: 1.0
 */
DerateFallbackResult *
derate_fallback_result_new (GVariant *value,
                            const char *strategy,
                            const char *source,
                            DerateFallbackReason reason,
                            GTimeSpan age)
{
  g_return_val_if_fail (value != NULL && strategy != NULL && source != NULL, NULL);

  return result_new (derate_variant_share (value), strategy, source, NULL, reason, age);
}

DerateFallbackResult *
derate_fallback_result_with_request_id (DerateFallbackResult *result, const char *id)
{
  return result_new (g_variant_ref (result->value), result->strategy, result->source, id,
                     result->reason, result->age);
}

/**
 * derate_fallback_result_get_value:
 * @result: an answer
 *
 * What was answered.
 *
 * Returns: (transfer none): the value
 *
 * Since: 1.0
 */
GVariant *
derate_fallback_result_get_value (DerateFallbackResult *result)
{
  return result->value;
}

/**
 * derate_fallback_result_get_strategy:
 * @result: an answer
 *
 * The strategy that gave it.
 *
 * Returns: its name
 *
 * Since: 1.0
 */
const char *
derate_fallback_result_get_strategy (DerateFallbackResult *result)
{
  return result->strategy;
}

/**
 * derate_fallback_result_get_source:
 * @result: an answer
 *
 * Where it came from.
 *
 * Returns: the source
 *
 * Since: 1.0
 */
const char *
derate_fallback_result_get_source (DerateFallbackResult *result)
{
  return result->source;
}

/**
 * derate_fallback_result_get_reason:
 * @result: an answer
 *
 * Why it was asked for.
 *
 * Returns: the reason
 *
 * Since: 1.0
 */
DerateFallbackReason
derate_fallback_result_get_reason (DerateFallbackResult *result)
{
  return result->reason;
}

/**
 * derate_fallback_result_get_age:
 * @result: an answer
 *
 * How old it was when it was given.
 *
 * Returns: microseconds
 *
 * Since: 1.0
 */
GTimeSpan
derate_fallback_result_get_age (DerateFallbackResult *result)
{
  return result->age;
}

/**
 * derate_fallback_result_get_request_id:
 * @result: an answer
 *
 * The id of the request that it answers, where a pipeline was given one.
 *
 * Returns: (nullable): the id
 *
 * Since: 1.0
 */
const char *
derate_fallback_result_get_request_id (DerateFallbackResult *result)
{
  return result->request_id;
}

/**
 * derate_fallback_result_dup_provenance:
 * @result: an answer
 *
 * Tells where it came from as the members that a service adds to its own answer: `degraded` (always
 * true), `source`, `reason`, `age_seconds` and, where the request had an id, `request_id`.
 *
 * Returns: (transfer full): an `a{sv}`
 *
 * Since: 1.0
 */
GVariant *
derate_fallback_result_dup_provenance (DerateFallbackResult *result)
{
  g_auto (GVariantBuilder) builder = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE_VARDICT);

  g_variant_builder_add (&builder, "{sv}", "degraded", g_variant_new_boolean (TRUE));
  g_variant_builder_add (&builder, "{sv}", "source", g_variant_new_string (result->source));
  g_variant_builder_add (&builder, "{sv}", "reason",
                         g_variant_new_string (derate_fallback_reason_get_nick (result->reason)));
  g_variant_builder_add (&builder, "{sv}", "age_seconds",
                         g_variant_new_double ((double)result->age / G_TIME_SPAN_SECOND));
  if (result->request_id != NULL)
    g_variant_builder_add (&builder, "{sv}", "request_id",
                           g_variant_new_string (result->request_id));
  return g_variant_ref_sink (g_variant_builder_end (&builder));
}

/**
 * derate_fallback_result_ref:
 * @result: an answer
 *
 * Takes a reference.
 *
 * Returns: (transfer full): @result
 *
 * Since: 1.0
 */
DerateFallbackResult *
derate_fallback_result_ref (DerateFallbackResult *result)
{
  return g_atomic_rc_box_acquire (result);
}

static void
result_clear (gpointer data)
{
  g_variant_unref (((DerateFallbackResult *)data)->value);
}

/**
 * derate_fallback_result_unref:
 * @result: (transfer full): an answer
 *
 * Drops a reference.
 *
 * Since: 1.0
 */
void
derate_fallback_result_unref (DerateFallbackResult *result)
{
  g_atomic_rc_box_release_full (result, result_clear);
}
