/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/* AWS signature version 4 as S3 wants it: names are encoded once, paths are not normalised, and the
 * digest of the body is signed. Pure: the time is an argument. */

#define DERATE_SIGV4_EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

typedef struct
{
  char *access_key;
  char *secret_key;
  char *token; /* NULL: none */
} DerateSigv4Credentials;

void derate_sigv4_credentials_free (DerateSigv4Credentials *credentials);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateSigv4Credentials, derate_sigv4_credentials_free)

/* One header that is sent and signed. */
typedef struct
{
  const char *name; /* lower-case */
  const char *value;
} DerateSigv4Header;

typedef struct
{
  const char *method;
  const char *path;                 /* as it is sent */
  const char *query;                /* as it is sent, without the question mark; NULL: none */
  const DerateSigv4Header *headers; /* sorted by name; `host` and `x-amz-date` among them */
  guint n_headers;
  const char *payload; /* digest of the body, hexadecimal; as x-amz-content-sha256 has it */
  const char *region;
  const char *timestamp; /* as x-amz-date has it */
} DerateSigv4Request;

char *derate_sigv4_timestamp (gint64 real_time);

char *derate_sigv4_canonical_request (const DerateSigv4Request *request);

/* The value of the header Authorization. */
char *derate_sigv4_authorize (const DerateSigv4Request     *request,
                              const DerateSigv4Credentials *credentials);

G_END_DECLS
