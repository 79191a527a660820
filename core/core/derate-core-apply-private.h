/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-core-object-private.h"

G_BEGIN_DECLS

/* What the environment says of all that is made later; a variable that does not parse is refused by
 * name. */
gboolean derate_core_apply_environment (DerateCore *core,
                                        GError    **error);

/* Checks all of @config, then makes the core be what it says. What changed is added to @changes
 * (nullable) in words. On FALSE nothing has changed. In the owner's thread. */
gboolean derate_core_apply_config (DerateCore   *core,
                                   DerateConfig *config,
                                   GPtrArray    *changes,
                                   GError      **error);

/* Before @service gets its check: see derate_service_begin_grace (). */
void derate_core_begin_grace (DerateCore    *core,
                              DerateService *service);

/* Whether the service at @uri (nullable) is on another machine, or may be. */
gboolean derate_core_is_remote (const char *uri);

G_END_DECLS
