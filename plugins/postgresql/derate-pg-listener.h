/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-clock.h>
#include <derate-visibility.h>
#include <gio/gio.h>

G_BEGIN_DECLS

#define DERATE_TYPE_PG_LISTENER (derate_pg_listener_get_type ())

DERATE_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (DeratePgListener, derate_pg_listener, DERATE, PG_LISTENER, GObject)

DERATE_AVAILABLE_IN_1_0
DeratePgListener *derate_pg_listener_new (const char *uri,
                                          const char *password,
                                          GError    **error);

DERATE_AVAILABLE_IN_1_0
gboolean derate_pg_listener_listen (DeratePgListener *listener,
                                    const char       *channel,
                                    GError          **error);

DERATE_AVAILABLE_IN_1_0
void derate_pg_listener_unlisten (DeratePgListener *listener,
                                  const char       *channel);

DERATE_AVAILABLE_IN_1_0
void derate_pg_listener_start (DeratePgListener *listener);

DERATE_AVAILABLE_IN_1_0
void derate_pg_listener_stop (DeratePgListener *listener);

DERATE_AVAILABLE_IN_1_0
gboolean derate_pg_listener_is_listening (DeratePgListener *listener);

G_END_DECLS
