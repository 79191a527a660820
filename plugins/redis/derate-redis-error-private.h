/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-redis-error.h"

G_BEGIN_DECLS

/* From the text of an error reply. */
GError *derate_redis_error_from_reply (const char *text);

G_END_DECLS
