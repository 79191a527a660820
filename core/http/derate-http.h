/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate.h>
#include <libsoup/soup.h>

G_BEGIN_DECLS

/**
 * DerateHttpFlags:
 * @DERATE_HTTP_METRICS: `/metrics`
 * @DERATE_HTTP_HEALTH: `/health`, `/health/live`, `/health/ready`, `/health/SERVICE`
 * @DERATE_HTTP_STATUS: `/degradation`, `/circuit-breakers`, `/events`, without who holds and why
 * @DERATE_HTTP_DETAILS: who holds a level and why in `/degradation` and `/events`, and error texts
 *   of services; not for a public port
 * @DERATE_HTTP_PAGE: the page for people at `/`, and with it %DERATE_HTTP_STATUS, from which it
 *   lives; what it says of fallbacks it has from `/metrics`, where that is served
 *
 * What to serve.
 *
 * Since: 1.0
 */
typedef enum /*< flags >*/
{
  DERATE_HTTP_METRICS = 1 << 0,
  DERATE_HTTP_HEALTH = 1 << 1,
  DERATE_HTTP_STATUS = 1 << 2,
  DERATE_HTTP_DETAILS = 1 << 3,
  DERATE_HTTP_PAGE = 1 << 4,
} DerateHttpFlags;

/**
 * DERATE_HTTP_ALL:
 *
 * Everything, for a port that only operators reach.
 *
 * Since: 1.0
 */
#define DERATE_HTTP_ALL                                                                            \
  (DERATE_HTTP_METRICS | DERATE_HTTP_HEALTH | DERATE_HTTP_STATUS | DERATE_HTTP_DETAILS |           \
   DERATE_HTTP_PAGE)

DERATE_AVAILABLE_IN_1_0
void derate_http_mount (DerateCore     *core,
                        SoupServer     *server,
                        const char     *prefix,
                        DerateHttpFlags flags);

DERATE_AVAILABLE_IN_1_0
void derate_http_unmount (SoupServer *server,
                          const char *prefix);

DERATE_AVAILABLE_IN_1_0
void derate_http_guard (SoupServer *server,
                        gsize       body_max,
                        GTimeSpan   header_timeout);

G_END_DECLS
