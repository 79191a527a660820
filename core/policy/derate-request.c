/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-request.h"

#include <string.h>

#include "derate-error.h"
#include "derate-variant-private.h"

/* surfaces: a request id has at most so many printable ASCII characters. */
#define ID_MAX 128

/**
 * DerateRequest:
 *
 * What policies need to know of a call: whether it may be made twice, and for a fallback what was
 * asked for.
 *
 * Once it has been given to a call it does not change, and may be given to any number of calls, in
 * any thread.
 *
 * Since: 1.0
 */
struct _DerateRequest
{
  DerateRequestFlags flags;
  char *key;
  GVariant *body;
  char *id;
};

G_DEFINE_BOXED_TYPE (DerateRequest, derate_request, derate_request_ref, derate_request_unref)

/**
 * derate_request_new:
 * @flags: what may be done with the call
 * @key: (nullable): what is asked for, as a cache names it; without it a cached answer does not
 *   stand in
 *
 * Makes a request.
 *
 * Returns: (transfer full): the request
 *
 * Since: 1.0
 */
DerateRequest *
derate_request_new (DerateRequestFlags flags, const char *key)
{
  DerateRequest *request = g_atomic_rc_box_new0 (DerateRequest);

  request->flags = (flags & DERATE_REQUEST_READ) ? flags | DERATE_REQUEST_IDEMPOTENT : flags;
  request->key = g_strdup (key);
  return request;
}

/**
 * derate_request_set_body:
 * @request: a request that no call has yet
 * @body: what is asked; taken if floating
 *
 * Says what a fallback that computes an answer, or a queue, needs to know.
 *
 * Since: 1.0
 */
void
derate_request_set_body (DerateRequest *request, GVariant *body)
{
  g_return_if_fail (request != NULL && body != NULL);

  g_clear_pointer (&request->body, g_variant_unref);
  request->body = derate_variant_share (body);
}

/**
 * derate_request_set_id:
 * @request: a request that no call has yet
 * @id: 1 to 128 printable ASCII characters
 * @error: return location for %DERATE_ERROR_INVALID_ARGUMENT
 *
 * Names the request in logs and in an answer's provenance: a trace id, an `X-Request-Id`.
 *
 * Returns: %FALSE when @id is not such a text; then the request is as before
 *
 * Since: 1.0
 */
gboolean
derate_request_set_id (DerateRequest *request, const char *id, GError **error)
{
  gsize length;

  g_return_val_if_fail (request != NULL && id != NULL, FALSE);

  length = strlen (id);
  for (gsize i = 0; i < length; i++)
    if (!g_ascii_isprint (id[i]))
      length = 0;
  if (length == 0 || length > ID_MAX)
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_ARGUMENT,
                   "a request id has 1 to %d printable ASCII characters", ID_MAX);
      return FALSE;
    }
  g_free (request->id);
  request->id = g_strdup (id);
  return TRUE;
}

/**
 * derate_request_get_flags:
 * @request: (nullable): a request; without one, a write that must not be made twice
 *
 * What may be done with the call.
 *
 * Returns: the flags; a read is idempotent too
 *
 * Since: 1.0
 */
DerateRequestFlags
derate_request_get_flags (DerateRequest *request)
{
  return request != NULL ? request->flags : DERATE_REQUEST_NONE;
}

/**
 * derate_request_get_key:
 * @request: (nullable): a request
 *
 * What is asked for, as a cache names it.
 *
 * Returns: (nullable) (transfer none): the key
 *
 * Since: 1.0
 */
const char *
derate_request_get_key (DerateRequest *request)
{
  return request != NULL ? request->key : NULL;
}

/**
 * derate_request_get_body:
 * @request: (nullable): a request
 *
 * What is asked.
 *
 * Returns: (nullable) (transfer none): the body
 *
 * Since: 1.0
 */
GVariant *
derate_request_get_body (DerateRequest *request)
{
  return request != NULL ? request->body : NULL;
}

/**
 * derate_request_get_id:
 * @request: (nullable): a request
 *
 * The name of the request in logs.
 *
 * Returns: (nullable) (transfer none): the id
 *
 * Since: 1.0
 */
const char *
derate_request_get_id (DerateRequest *request)
{
  return request != NULL ? request->id : NULL;
}

/**
 * derate_request_ref:
 * @request: a request
 *
 * Takes a reference. May be called from any thread.
 *
 * Returns: (transfer full): @request
 *
 * Since: 1.0
 */
DerateRequest *
derate_request_ref (DerateRequest *request)
{
  return g_atomic_rc_box_acquire (request);
}

static void
request_clear (gpointer data)
{
  DerateRequest *request = data;

  g_free (request->key);
  g_clear_pointer (&request->body, g_variant_unref);
  g_free (request->id);
}

/**
 * derate_request_unref:
 * @request: (transfer full): a request
 *
 * Drops a reference. May be called from any thread.
 *
 * Since: 1.0
 */
void
derate_request_unref (DerateRequest *request)
{
  g_atomic_rc_box_release_full (request, request_clear);
}
