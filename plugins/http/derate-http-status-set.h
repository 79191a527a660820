/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define DERATE_HTTP_STATUS_MIN 100
#define DERATE_HTTP_STATUS_MAX 599

/* Which statuses are good. */
typedef struct
{
  gboolean good[DERATE_HTTP_STATUS_MAX + 1];
} DerateHttpStatusSet;

/* Statuses and ranges of them with commas between: 200,204,300-308. FALSE where it is none. */
gboolean derate_http_status_set_parse (DerateHttpStatusSet *set,
                                       const char          *text);

gboolean derate_http_status_set_has (const DerateHttpStatusSet *set,
                                     guint                      status);

G_END_DECLS
