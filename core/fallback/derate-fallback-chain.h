/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-clock.h>
#include <derate-fallback-usage.h>
#include <derate-fallback.h>
#include <derate-visibility.h>
#include <glib-object.h>

G_BEGIN_DECLS

#define DERATE_TYPE_FALLBACK_CHAIN (derate_fallback_chain_get_type ())

DERATE_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (DerateFallbackChain,
                      derate_fallback_chain,
                      DERATE,
                      FALLBACK_CHAIN,
                      GObject)

DERATE_AVAILABLE_IN_1_0
DerateFallbackChain *derate_fallback_chain_new (const char          *service,
                                                DerateClock         *clock,
                                                DerateFallbackUsage *usage);

DERATE_AVAILABLE_IN_1_0
void derate_fallback_chain_append (DerateFallbackChain *chain,
                                   DerateFallback      *fallback);

DERATE_AVAILABLE_IN_1_0
guint derate_fallback_chain_get_length (DerateFallbackChain *chain);

G_END_DECLS
