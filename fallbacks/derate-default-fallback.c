/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-default-fallback.h"

/**
 * DerateDefaultFallback:
 *
 * A fallback that always answers the same value. It never answers a write. It may be used from any
 * thread.
 *
 * Since: 1.0
 */
struct _DerateDefaultFallback
{
  GObject parent_instance;

  GVariant *value;
};

static void fallback_iface_init (DerateFallbackInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (DerateDefaultFallback,
                               derate_default_fallback,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (DERATE_TYPE_FALLBACK, fallback_iface_init))

static const char *
derate_default_fallback_get_strategy (DerateFallback *base)
{
  return "default";
}

static DerateFallbackResult *
derate_default_fallback_answer (DerateFallback *base,
                                DerateFallbackRequest *request,
                                GError **error)
{
  if (derate_fallback_request_is_write (request))
    {
      g_set_error_literal (error, DERATE_ERROR, DERATE_ERROR_UNAVAILABLE,
                           "a default does not answer a write");
      return NULL;
    }
  return derate_fallback_result_new (((DerateDefaultFallback *)base)->value, "default", "default",
                                     derate_fallback_request_get_reason (request), 0);
}

static void
fallback_iface_init (DerateFallbackInterface *iface)
{
  iface->get_strategy = derate_default_fallback_get_strategy;
  iface->answer = derate_default_fallback_answer;
}

static void
derate_default_fallback_finalize (GObject *object)
{
  g_clear_pointer (&DERATE_DEFAULT_FALLBACK (object)->value, g_variant_unref);
  G_OBJECT_CLASS (derate_default_fallback_parent_class)->finalize (object);
}

static void
derate_default_fallback_class_init (DerateDefaultFallbackClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = derate_default_fallback_finalize;
}

static void
derate_default_fallback_init (DerateDefaultFallback *fallback)
{
}

/**
 * derate_default_fallback_new:
 * @value: the answer; a floating reference is taken
 *
 * Makes a fallback that answers @value.
 *
 * Returns: (transfer full): the fallback
 *
 * Since: 1.0
 */
DerateFallback *
derate_default_fallback_new (GVariant *value)
{
  DerateDefaultFallback *fallback;

  g_return_val_if_fail (value != NULL, NULL);

  fallback = g_object_new (DERATE_TYPE_DEFAULT_FALLBACK, NULL);
  fallback->value = g_variant_ref_sink (value);
  return DERATE_FALLBACK (fallback);
}
