/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-fallback-request.h"

#include <gio/gio.h>

#include "derate-error.h"
#include "derate-variant-private.h"

/**
 * DerateFallbackRequest:
 *
 * What a fallback is asked: by which service it was refused and why, and what the caller wanted.
 * Immutable once it is handed over, so it may be shared by any number of threads.
 *
 * Since: 1.0
 */
struct _DerateFallbackRequest
{
  char *service;
  DerateFallbackReason reason;
  GError *cause;
  char *key;
  GVariant *request;
  gboolean write;
  char *id;
};

G_DEFINE_BOXED_TYPE (DerateFallbackRequest,
                     derate_fallback_request,
                     derate_fallback_request_ref,
                     derate_fallback_request_unref)

/**
 * derate_fallback_reason_from_error:
 * @error: (nullable): how a call ended
 *
 * Finds the reason that an error stands for. May be called from any thread.
 *
 * Returns: the reason; %DERATE_FALLBACK_REASON_ERROR for an error of the call itself, and
 *   %DERATE_FALLBACK_REASON_UNKNOWN for %NULL
 *
 * Since: 1.0
 */
DerateFallbackReason
derate_fallback_reason_from_error (const GError *error)
{
  if (error == NULL)
    return DERATE_FALLBACK_REASON_UNKNOWN;
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT))
    return DERATE_FALLBACK_REASON_TIMEOUT;
  if (error->domain != DERATE_ERROR)
    return DERATE_FALLBACK_REASON_ERROR;

  switch (error->code)
    {
    case DERATE_ERROR_OPEN:
    case DERATE_ERROR_HALF_OPEN_FULL:
    case DERATE_ERROR_FORCED:
    case DERATE_ERROR_RAMPING:
      return DERATE_FALLBACK_REASON_OPEN;
    case DERATE_ERROR_TIMED_OUT:
      return DERATE_FALLBACK_REASON_TIMEOUT;
    case DERATE_ERROR_QUEUE_FULL:
    case DERATE_ERROR_RATE_LIMITED:
      return DERATE_FALLBACK_REASON_OVERLOAD;
    case DERATE_ERROR_LEVEL:
      return DERATE_FALLBACK_REASON_LEVEL;
    case DERATE_ERROR_HOLD:
      return DERATE_FALLBACK_REASON_HOLD;
    case DERATE_ERROR_DRILL:
      return DERATE_FALLBACK_REASON_DRILL;
    default:
      return DERATE_FALLBACK_REASON_ERROR;
    }
}

/**
 * derate_fallback_reason_get_nick:
 * @reason: a reason
 *
 * The word that users see. May be called from any thread.
 *
 * Returns: the nick
 *
 * Since: 1.0
 */
const char *
derate_fallback_reason_get_nick (DerateFallbackReason reason)
{
  static const char *const nicks[] = {
    [DERATE_FALLBACK_REASON_UNKNOWN] = "unknown",   [DERATE_FALLBACK_REASON_OPEN] = "open",
    [DERATE_FALLBACK_REASON_TIMEOUT] = "timeout",   [DERATE_FALLBACK_REASON_ERROR] = "error",
    [DERATE_FALLBACK_REASON_OVERLOAD] = "overload", [DERATE_FALLBACK_REASON_LEVEL] = "level",
    [DERATE_FALLBACK_REASON_HOLD] = "hold",         [DERATE_FALLBACK_REASON_DRILL] = "drill",
  };

  return nicks[(guint)reason < G_N_ELEMENTS (nicks) ? reason : DERATE_FALLBACK_REASON_UNKNOWN];
}

/**
 * derate_fallback_request_new:
 * @service: the service that did not answer
 * @reason: why; see derate_fallback_reason_from_error()
 * @cause: (nullable): the error it ended with
 * @key: (nullable): what is asked for, such as an id; equal keys may have equal answers
 * @request: (nullable): the request itself; a floating reference is taken
 *
 * Makes a request.
 *
 * Returns: (transfer full): the request
 *
 * Since: 1.0
 */
DerateFallbackRequest *
derate_fallback_request_new (const char *service,
                             DerateFallbackReason reason,
                             const GError *cause,
                             const char *key,
                             GVariant *request)
{
  DerateFallbackRequest *self;

  g_return_val_if_fail (service != NULL, NULL);

  self = g_atomic_rc_box_new0 (DerateFallbackRequest);
  self->service = g_strdup (service);
  self->reason = reason;
  self->cause = cause != NULL ? g_error_copy (cause) : NULL;
  self->key = g_strdup (key);
  self->request = request != NULL ? derate_variant_share (request) : NULL;
  return self;
}

/**
 * derate_fallback_request_set_write:
 * @request: a request that nobody else has yet
 * @write: whether it changes something
 *
 * Says that the caller wanted to change something: an answer that is made up, of the strategies
 * `default` and `degraded`, is then never given.
 *
 * Since: 1.0
 */
void
derate_fallback_request_set_write (DerateFallbackRequest *request, gboolean write)
{
  g_return_if_fail (request != NULL);

  request->write = write;
}

/**
 * derate_fallback_request_set_id:
 * @request: a request that nobody else has yet
 * @id: (nullable): what logs call it; see derate_request_set_id()
 *
 * Names the caller's request, for a strategy that stores it.
 *
 * Since: 1.0
 */
void
derate_fallback_request_set_id (DerateFallbackRequest *request, const char *id)
{
  g_return_if_fail (request != NULL);

  g_free (request->id);
  request->id = g_strdup (id);
}

/**
 * derate_fallback_request_get_service:
 * @request: a request
 *
 * The service that did not answer.
 *
 * Returns: its name
 *
 * Since: 1.0
 */
const char *
derate_fallback_request_get_service (DerateFallbackRequest *request)
{
  return request->service;
}

/**
 * derate_fallback_request_get_reason:
 * @request: a request
 *
 * Why.
 *
 * Returns: the reason
 *
 * Since: 1.0
 */
DerateFallbackReason
derate_fallback_request_get_reason (DerateFallbackRequest *request)
{
  return request->reason;
}

/**
 * derate_fallback_request_get_cause:
 * @request: a request
 *
 * The error it ended with.
 *
 * Returns: (nullable) (transfer none): the error
 *
 * Since: 1.0
 */
const GError *
derate_fallback_request_get_cause (DerateFallbackRequest *request)
{
  return request->cause;
}

/**
 * derate_fallback_request_get_key:
 * @request: a request
 *
 * What is asked for.
 *
 * Returns: (nullable): the key
 *
 * Since: 1.0
 */
const char *
derate_fallback_request_get_key (DerateFallbackRequest *request)
{
  return request->key;
}

/**
 * derate_fallback_request_get_request:
 * @request: a request
 *
 * The request itself.
 *
 * Returns: (nullable) (transfer none): the request
 *
 * Since: 1.0
 */
GVariant *
derate_fallback_request_get_request (DerateFallbackRequest *request)
{
  return request->request;
}

/**
 * derate_fallback_request_is_write:
 * @request: a request
 *
 * Whether the caller wanted to change something.
 *
 * Returns: %TRUE for a write
 *
 * Since: 1.0
 */
gboolean
derate_fallback_request_is_write (DerateFallbackRequest *request)
{
  return request->write;
}

/**
 * derate_fallback_request_get_id:
 * @request: a request
 *
 * What logs call the caller's request.
 *
 * Returns: (nullable): the id
 *
 * Since: 1.0
 */
const char *
derate_fallback_request_get_id (DerateFallbackRequest *request)
{
  return request->id;
}

/**
 * derate_fallback_request_ref:
 * @request: a request
 *
 * Takes a reference.
 *
 * Returns: (transfer full): @request
 *
 * Since: 1.0
 */
DerateFallbackRequest *
derate_fallback_request_ref (DerateFallbackRequest *request)
{
  return g_atomic_rc_box_acquire (request);
}

static void
request_clear (gpointer data)
{
  DerateFallbackRequest *request = data;

  g_free (request->service);
  g_clear_error (&request->cause);
  g_free (request->key);
  g_free (request->id);
  g_clear_pointer (&request->request, g_variant_unref);
}

/**
 * derate_fallback_request_unref:
 * @request: (transfer full): a request
 *
 * Drops a reference.
 *
 * Since: 1.0
 */
void
derate_fallback_request_unref (DerateFallbackRequest *request)
{
  g_atomic_rc_box_release_full (request, request_clear);
}
