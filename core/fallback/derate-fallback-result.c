/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-fallback-result.h"

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
  char strategy[]; /* and the source after it: an answer is one piece of memory */
};

G_DEFINE_BOXED_TYPE (DerateFallbackResult,
                     derate_fallback_result,
                     derate_fallback_result_ref,
                     derate_fallback_result_unref)

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
  DerateFallbackResult *result;
  gsize strategy_size;
  gsize source_size;

  g_return_val_if_fail (value != NULL && strategy != NULL && source != NULL, NULL);

  strategy_size = strlen (strategy) + 1;
  source_size = strlen (source) + 1;
  result = g_atomic_rc_box_alloc (sizeof *result + strategy_size + source_size);
  result->value = derate_variant_share (value);
  result->reason = reason;
  result->age = MAX (age, 0);
  memcpy (result->strategy, strategy, strategy_size);
  result->source = memcpy (result->strategy + strategy_size, source, source_size);
  return result;
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
 * derate_fallback_result_dup_provenance:
 * @result: an answer
 *
 * Tells where it came from as the members that a service adds to its own answer: `degraded` (always
 * true), `source`, `reason` and `age_seconds`.
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
