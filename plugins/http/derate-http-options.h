/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-http-status-set.h"

#include <derate.h>
#include <libsoup/soup.h>

G_BEGIN_DECLS

/* What the options of a check amount to. Never changes, so that several threads may read it. */
typedef struct
{
  GUri *uri; /* without its credentials */
  GSocketConnectable *address; /* a unix socket; NULL: the host of the URI */
  GTlsDatabase *anchors; /* NULL: the system's */
  const char *method;
  char *host; /* for the header Host; NULL: that of the URI */
  char *authorization; /* a secret; NULL: none */
  SoupMessageHeaders *headers; /* more to send, which may be secrets too */
  DerateHttpStatusSet status;
  char *status_text; /* as it was given */
  char *body; /* must be in the body; NULL: anything may */
  GRegex *regex; /* must match in the body; NULL: anything may */
  gboolean follow;
} DerateHttpOptions;

/* Of a{ss}; NULL with DERATE_ERROR_INVALID_CONFIG. Reads files. */
DerateHttpOptions *derate_http_options_parse (GVariant *values,
                                              GError  **error);
DerateHttpOptions *derate_http_options_ref (DerateHttpOptions *options);
void derate_http_options_unref (DerateHttpOptions *options);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateHttpOptions, derate_http_options_unref)

G_END_DECLS
