/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-visibility.h>
#include <glib-object.h>

G_BEGIN_DECLS

/**
 * DerateRequestFlags:
 * @DERATE_REQUEST_NONE: a write that must not be made twice
 * @DERATE_REQUEST_IDEMPOTENT: making it twice does no more than making it once
 * @DERATE_REQUEST_READ: changes nothing, and so is idempotent too
 *
 * What policies may do with a call: only an idempotent one is retried after any failure or hedged.
 *
 * Since: 1.0
 */
typedef enum /*< flags >*/
{
  DERATE_REQUEST_NONE = 0,
  DERATE_REQUEST_IDEMPOTENT = 1 << 0,
  DERATE_REQUEST_READ = 1 << 1,
} DerateRequestFlags;

#define DERATE_TYPE_REQUEST (derate_request_get_type ())

typedef struct _DerateRequest DerateRequest;

DERATE_AVAILABLE_IN_1_0
GType derate_request_get_type (void);

DERATE_AVAILABLE_IN_1_0
DerateRequest *derate_request_new (DerateRequestFlags flags,
                                   const char        *key);

DERATE_AVAILABLE_IN_1_0
void derate_request_set_body (DerateRequest *request,
                              GVariant      *body);

DERATE_AVAILABLE_IN_1_0
gboolean derate_request_set_id (DerateRequest *request,
                                const char    *id,
                                GError       **error);

DERATE_AVAILABLE_IN_1_0
DerateRequestFlags derate_request_get_flags (DerateRequest *request);

DERATE_AVAILABLE_IN_1_0
const char *derate_request_get_key (DerateRequest *request);

DERATE_AVAILABLE_IN_1_0
GVariant *derate_request_get_body (DerateRequest *request);

DERATE_AVAILABLE_IN_1_0
const char *derate_request_get_id (DerateRequest *request);

DERATE_AVAILABLE_IN_1_0
DerateRequest *derate_request_ref (DerateRequest *request);

DERATE_AVAILABLE_IN_1_0
void derate_request_unref (DerateRequest *request);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateRequest, derate_request_unref)

G_END_DECLS
