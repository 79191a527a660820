/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate.h>

G_BEGIN_DECLS

/* What a client wants of /metrics, by RFC 9110. */

typedef struct
{
  const char *range; /* what a client asks for */
  const char *version;
  DerateMetricsFormat format;
  const char *type; /* the answer's Content-Type */
} DerateHttpExposition;

/* The exposition for the header Accept (nullable): the one with the highest quality, and text 0.0.4
 * where none is wanted, for a scrape is always answered. OpenMetrics must be asked for by name: a
 * browser that takes anything gets text. Other parameters, such as `escaping`, change nothing: all
 * names here are those of the first Prometheus. */
const DerateHttpExposition *derate_http_negotiate (const char *accept);

/* Whether the header Accept-Encoding (nullable) wants gzip, and not rather none. */
gboolean derate_http_accepts_gzip (const char *accept_encoding);

G_END_DECLS
