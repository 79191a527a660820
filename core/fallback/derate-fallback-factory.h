/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-clock.h>
#include <derate-fallback.h>
#include <derate-visibility.h>
#include <glib-object.h>

G_BEGIN_DECLS

#define DERATE_TYPE_FALLBACK_FACTORY (derate_fallback_factory_get_type ())

DERATE_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (DerateFallbackFactory,
                      derate_fallback_factory,
                      DERATE,
                      FALLBACK_FACTORY,
                      GObject)

/**
 * DerateFallbackConstructor:
 * @factory: the factory
 * @service: the service it is for
 * @options: the options, an `a{sv}`
 * @user_data: what was registered with it
 * @error: where to put the error
 *
 * Makes a fallback of one strategy. A value of @options may be text, as it stands in a
 * configuration file. An option that is unknown or wrong is refused with
 * %DERATE_ERROR_INVALID_CONFIG.
 *
 * Returns: (transfer full): the fallback, or %NULL with an error
 *
 * Since: 1.0
 */
typedef DerateFallback *(*DerateFallbackConstructor) (DerateFallbackFactory *factory,
                                                      const char            *service,
                                                      GVariant              *options,
                                                      gpointer               user_data,
                                                      GError               **error);

DERATE_AVAILABLE_IN_1_0
DerateFallbackFactory *derate_fallback_factory_new (DerateClock *clock);

DERATE_AVAILABLE_IN_1_0
DerateClock *derate_fallback_factory_get_clock (DerateFallbackFactory *factory);

DERATE_AVAILABLE_IN_1_0
gboolean derate_fallback_factory_register (DerateFallbackFactory    *factory,
                                           const char               *strategy,
                                           DerateFallbackConstructor constructor,
                                           gpointer                  user_data,
                                           GDestroyNotify            destroy,
                                           GError                  **error);

DERATE_AVAILABLE_IN_1_0
char **derate_fallback_factory_dup_strategies (DerateFallbackFactory *factory);

DERATE_AVAILABLE_IN_1_0
DerateFallback *derate_fallback_factory_create (DerateFallbackFactory *factory,
                                                const char            *strategy,
                                                const char            *service,
                                                GVariant              *options,
                                                GError               **error);

G_END_DECLS
