/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-network-address.h>
#include <derate-visibility.h>
#include <gio/gio.h>

G_BEGIN_DECLS

DERATE_AVAILABLE_IN_1_0
void derate_resolver_lookup_async (const char         *host,
                                   GCancellable       *cancellable,
                                   GAsyncReadyCallback callback,
                                   gpointer            user_data);

DERATE_AVAILABLE_IN_1_0
GList *derate_resolver_lookup_finish (GAsyncResult *result,
                                      GError      **error);

G_END_DECLS
