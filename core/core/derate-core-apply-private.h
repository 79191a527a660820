/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-core-object-private.h"

G_BEGIN_DECLS

/* ENABLE_RESILIENCE and ENABLE_RESILIENCE_METRICS. */
gboolean derate_core_apply_environment (DerateCore *core,
                                        GError    **error);

/* Checks all of @config, then makes the core be what it says. What changed is added to @changes
 * (nullable) in words. On FALSE nothing has changed. In the owner's thread. */
gboolean derate_core_apply_config (DerateCore   *core,
                                   DerateConfig *config,
                                   GPtrArray    *changes,
                                   GError      **error);

G_END_DECLS
