/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-http.h"

G_BEGIN_DECLS

void derate_http_send (SoupServerMessage *message,
                       guint              status,
                       const char        *type,
                       GBytes            *body);

/* The scrapes of one registry at one address; they are answered later, and do not hold the loop. */
typedef struct _DerateHttpScrapes DerateHttpScrapes;

DerateHttpScrapes *derate_http_scrapes_new (DerateMetricsRegistry *registry);
void derate_http_scrapes_free (DerateHttpScrapes *scrapes);
void derate_http_scrapes_respond (DerateHttpScrapes *scrapes,
                                  SoupServerMessage *message);

/* {"error": @text} */
void derate_http_send_error (SoupServerMessage *message,
                             guint              status,
                             const char        *text);

/* The page at `/`: @name is `page/` and a file of it, NULL for the page itself; @flags is what is
 * served beside it. */
gboolean derate_http_page_has (const char *name);
void derate_http_respond_page (SoupServerMessage *message,
                               const char        *name,
                               DerateHttpFlags    flags);

G_END_DECLS
