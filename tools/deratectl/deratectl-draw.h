/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "deratectl-json.h"

G_BEGIN_DECLS

/* What /degradation answers, for a person: appends lines of at most @width cells to @page, which
 * has at most @height lines then, where 0 is any. @note (nullable) stands at the end of the first.
 */
void deratectl_draw_status (GString    *page,
                            JsonObject *status,
                            const char *note,
                            guint       width,
                            guint       height);

G_END_DECLS
