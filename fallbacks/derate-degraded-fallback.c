/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-degraded-fallback.h"

/**
 * DerateDegradedFallback:
 *
 * A fallback that computes a poorer answer by a function of the program, such as a price by a rule
 * where no model answers. It never answers a write. It may be used from any thread.
 *
 * Since: 1.0
 */
struct _DerateDegradedFallback
{
  GObject parent_instance;

  char *source;
  DerateDegradedFunc func;
  gpointer user_data;
  GDestroyNotify destroy;
};

static void fallback_iface_init (DerateFallbackInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (DerateDegradedFallback,
                               derate_degraded_fallback,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (DERATE_TYPE_FALLBACK, fallback_iface_init))

static const char *
derate_degraded_fallback_get_strategy (DerateFallback *base)
{
  return "degraded";
}

static DerateFallbackResult *
derate_degraded_fallback_answer (DerateFallback *base,
                                 DerateFallbackRequest *request,
                                 GError **error)
{
  DerateDegradedFallback *fallback = DERATE_DEGRADED_FALLBACK (base);
  g_autoptr (GVariant) value = NULL;

  if (derate_fallback_request_is_write (request))
    {
      g_set_error_literal (error, DERATE_ERROR, DERATE_ERROR_UNAVAILABLE,
                           "a computed answer does not stand for a write");
      return NULL;
    }
  value = fallback->func (request, fallback->user_data, error);
  if (value == NULL)
    return NULL;
  g_variant_take_ref (value);
  return derate_fallback_result_new (value, "degraded", fallback->source,
                                     derate_fallback_request_get_reason (request), 0);
}

static void
fallback_iface_init (DerateFallbackInterface *iface)
{
  iface->get_strategy = derate_degraded_fallback_get_strategy;
  iface->answer = derate_degraded_fallback_answer;
}

static void
derate_degraded_fallback_finalize (GObject *object)
{
  DerateDegradedFallback *fallback = DERATE_DEGRADED_FALLBACK (object);

  if (fallback->destroy != NULL)
    fallback->destroy (fallback->user_data);
  g_free (fallback->source);
  G_OBJECT_CLASS (derate_degraded_fallback_parent_class)->finalize (object);
}

static void
derate_degraded_fallback_class_init (DerateDegradedFallbackClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = derate_degraded_fallback_finalize;
}

static void
derate_degraded_fallback_init (DerateDegradedFallback *fallback)
{
}

/**
 * derate_degraded_fallback_new:
 * @source: (nullable): what the answer is from; %NULL for `rule`
 * @func: (scope notified) (closure user_data) (destroy destroy): what computes it
 * @user_data: for @func
 * @destroy: (nullable): frees @user_data
 *
 * Makes a fallback that computes its answers.
 *
 * Returns: (transfer full): the fallback
 *
 * Since: 1.0
 */
DerateFallback *
derate_degraded_fallback_new (const char *source,
                              DerateDegradedFunc func,
                              gpointer user_data,
                              GDestroyNotify destroy)
{
  DerateDegradedFallback *fallback;

  g_return_val_if_fail (func != NULL, NULL);

  fallback = g_object_new (DERATE_TYPE_DEGRADED_FALLBACK, NULL);
  fallback->source = g_strdup (source != NULL ? source : "rule");
  fallback->func = func;
  fallback->user_data = user_data;
  fallback->destroy = destroy;
  return DERATE_FALLBACK (fallback);
}
