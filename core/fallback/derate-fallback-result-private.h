/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-fallback-result.h"

G_BEGIN_DECLS

/* The same answer, of the same value, to the request of that id: one answer may be given to
 * several. (transfer full) */
DerateFallbackResult *derate_fallback_result_with_request_id (DerateFallbackResult *result,
                                                              const char           *id);

G_END_DECLS
