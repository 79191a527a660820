/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-breaker.h>

G_BEGIN_DECLS

#define DERATE_TYPE_BREAKER_REGISTRY (derate_breaker_registry_get_type ())

DERATE_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (DerateBreakerRegistry,
                      derate_breaker_registry,
                      DERATE,
                      BREAKER_REGISTRY,
                      GObject)

DERATE_AVAILABLE_IN_1_0
DerateBreakerRegistry *derate_breaker_registry_new (DerateClock *clock);

DERATE_AVAILABLE_IN_1_0
DerateBreaker *derate_breaker_registry_get_or_create (DerateBreakerRegistry     *registry,
                                                      const char                *name,
                                                      const DerateBreakerConfig *config,
                                                      gboolean                  *created);

DERATE_AVAILABLE_IN_1_0
gboolean derate_breaker_registry_add (DerateBreakerRegistry *registry,
                                      DerateBreaker         *breaker,
                                      GError               **error);

DERATE_AVAILABLE_IN_1_0
DerateBreaker *derate_breaker_registry_lookup (DerateBreakerRegistry *registry,
                                               const char            *name);

DERATE_AVAILABLE_IN_1_0
GPtrArray *derate_breaker_registry_list (DerateBreakerRegistry *registry);

DERATE_AVAILABLE_IN_1_0
gboolean derate_breaker_registry_remove (DerateBreakerRegistry *registry,
                                         const char            *name);

DERATE_AVAILABLE_IN_1_0
guint derate_breaker_registry_reset_all (DerateBreakerRegistry *registry);

DERATE_AVAILABLE_IN_1_0
guint derate_breaker_registry_get_max_breakers (DerateBreakerRegistry *registry);

DERATE_AVAILABLE_IN_1_0
void derate_breaker_registry_set_max_breakers (DerateBreakerRegistry *registry,
                                               guint                  max_breakers);

DERATE_AVAILABLE_IN_1_0
GVariant *derate_breaker_registry_to_variant (DerateBreakerRegistry *registry);

G_END_DECLS
