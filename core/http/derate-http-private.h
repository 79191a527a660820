/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-http.h"

G_BEGIN_DECLS

void derate_http_send (SoupServerMessage *message,
                       guint              status,
                       const char        *type,
                       GBytes            *body);

/* Answers a scrape of @registry, later and without holding the loop. */
void derate_http_respond_metrics (DerateMetricsRegistry *registry,
                                  SoupServerMessage     *message);

G_END_DECLS
