/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-visibility.h>
#include <glib-object.h>

G_BEGIN_DECLS

DERATE_AVAILABLE_IN_1_0
gboolean derate_time_span_parse (const char *text,
                                 GTimeSpan  *span,
                                 GError    **error);

DERATE_AVAILABLE_IN_1_0
char *derate_time_span_to_string (GTimeSpan span);

G_END_DECLS
