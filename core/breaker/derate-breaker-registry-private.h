/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-breaker-registry.h"

G_BEGIN_DECLS

/* Every breaker that is made by the registry or added to it from now on is disabled. Before any
 * is. */
void derate_breaker_registry_disable (DerateBreakerRegistry *registry);

G_END_DECLS
