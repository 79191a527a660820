/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-breaker-registry.h"

G_BEGIN_DECLS

/* Every breaker that is made by the registry or added to it from now on is disabled. Before any
 * is. */
void derate_breaker_registry_disable (DerateBreakerRegistry *registry);

/* Called in the thread that changed it, without a lock, after a breaker came in or went out; maybe
 * once more while it is removed. */
typedef void (*DerateBreakerRegistryWatch) (gpointer data);
guint derate_breaker_registry_add_watch (DerateBreakerRegistry *registry,
                                         DerateBreakerRegistryWatch func,
                                         gpointer data,
                                         GDestroyNotify destroy);
void derate_breaker_registry_remove_watch (DerateBreakerRegistry *registry, guint id);

G_END_DECLS
