/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-core.h>
#include <derate-pg-pool.h>

G_BEGIN_DECLS

DERATE_AVAILABLE_IN_1_0
gboolean derate_pg_pool_attach (DeratePgPool *pool,
                                DerateCore   *core,
                                const char   *service,
                                GError      **error);

G_END_DECLS
