/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-error-fallback.h"

/**
 * DerateErrorFallback:
 *
 * A fallback that refuses, in words for the user and with the time after which to try again: the
 * last of a chain, where a made-up answer would do harm. It may be used from any thread.
 *
 * Since: 1.0
 */
struct _DerateErrorFallback
{
  GObject parent_instance;

  char *message;
  GTimeSpan retry_after;
};

static void fallback_iface_init (DerateFallbackInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (DerateErrorFallback,
                               derate_error_fallback,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (DERATE_TYPE_FALLBACK, fallback_iface_init))

static const char *
derate_error_fallback_get_strategy (DerateFallback *base)
{
  return "error";
}

static DerateFallbackResult *
derate_error_fallback_answer (DerateFallback *base, DerateFallbackRequest *request, GError **error)
{
  g_set_error_literal (error, DERATE_ERROR, DERATE_ERROR_UNAVAILABLE,
                       DERATE_ERROR_FALLBACK (base)->message);
  return NULL;
}

static void
fallback_iface_init (DerateFallbackInterface *iface)
{
  iface->get_strategy = derate_error_fallback_get_strategy;
  iface->answer = derate_error_fallback_answer;
}

static void
derate_error_fallback_finalize (GObject *object)
{
  g_free (DERATE_ERROR_FALLBACK (object)->message);
  G_OBJECT_CLASS (derate_error_fallback_parent_class)->finalize (object);
}

static void
derate_error_fallback_class_init (DerateErrorFallbackClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = derate_error_fallback_finalize;
}

static void
derate_error_fallback_init (DerateErrorFallback *fallback)
{
}

/**
 * derate_error_fallback_new:
 * @message: (nullable): what to tell; %NULL for `try again later`
 * @retry_after: after how long, in microseconds
 *
 * Makes a fallback that refuses with %DERATE_ERROR_UNAVAILABLE.
 *
 * Returns: (transfer full): the fallback
 *
 * Since: 1.0
 */
DerateFallback *
derate_error_fallback_new (const char *message, GTimeSpan retry_after)
{
  DerateErrorFallback *fallback = g_object_new (DERATE_TYPE_ERROR_FALLBACK, NULL);

  fallback->message = g_strdup (message != NULL ? message : "try again later");
  fallback->retry_after = MAX (retry_after, 0);
  return DERATE_FALLBACK (fallback);
}

/**
 * derate_error_fallback_get_message:
 * @fallback: a fallback
 *
 * What it tells.
 *
 * Returns: the message
 *
 * Since: 1.0
 */
const char *
derate_error_fallback_get_message (DerateErrorFallback *fallback)
{
  g_return_val_if_fail (DERATE_IS_ERROR_FALLBACK (fallback), NULL);

  return fallback->message;
}

/**
 * derate_error_fallback_get_retry_after:
 * @fallback: a fallback
 *
 * After how long to try again, for a `Retry-After`.
 *
 * Returns: microseconds
 *
 * Since: 1.0
 */
GTimeSpan
derate_error_fallback_get_retry_after (DerateErrorFallback *fallback)
{
  g_return_val_if_fail (DERATE_IS_ERROR_FALLBACK (fallback), 0);

  return fallback->retry_after;
}
