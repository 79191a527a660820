/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-visibility.h>
#include <gio/gio.h>

G_BEGIN_DECLS

#define DERATE_TYPE_NETWORK_ADDRESS (derate_network_address_get_type ())

DERATE_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (DerateNetworkAddress,
                      derate_network_address,
                      DERATE,
                      NETWORK_ADDRESS,
                      GNetworkAddress)

DERATE_AVAILABLE_IN_1_0
GSocketConnectable *derate_network_address_new (const char *host,
                                                guint16     port);

G_END_DECLS
