/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-sigv4.h"
#include "derate-soup-client.h"

G_BEGIN_DECLS

/* Where a bucket is: s3://BUCKET?endpoint=URI&region=NAME&style=path|virtual. Without an endpoint
 * it is Amazon's, whose host depends on the region, and the style is virtual; with one it is
 * path. */
typedef struct
{
  char *bucket;
  char *region;
  GUri *endpoint; /* NULL: Amazon's */
  gboolean virtual_host;
} DerateS3Target;

/* NULL with a problem to show where the URI cannot be used. */
DerateS3Target *derate_s3_target_parse (const char  *text,
                                        const char **problem);
void derate_s3_target_free (DerateS3Target *target);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateS3Target, derate_s3_target_free)

/* Whether a region is a name and nothing that would lead to another host. */
gboolean derate_s3_is_region (const char *text);

/* The URI of the bucket itself. */
GUri *derate_s3_target_build_uri (const DerateS3Target *target,
                                  const char           *query);

/* A request for the bucket, signed for now. */
SoupMessage *derate_s3_target_sign (const DerateS3Target         *target,
                                    const char                   *method,
                                    const char                   *query,
                                    const DerateSigv4Credentials *credentials);

/* From lines KEY=VALUE with the names of the environment (`#` begins a comment); NULL when the
 * access key or the secret is not there. */
DerateSigv4Credentials *derate_s3_parse_credentials (const char *text);
DerateSigv4Credentials *derate_s3_credentials_from_environment (void);

/* The text between <NAME> and </NAME> of an error's XML; NULL where there is none, or where it is
 * anything but letters and digits. */
char *derate_s3_parse_error_code (const char *xml);

G_END_DECLS
