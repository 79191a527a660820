/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-breaker.h>

G_BEGIN_DECLS

/* Modes that operators gave to breakers for a time. When a lease ends its breaker has the mode back
 * which it had before, unless somebody has given it another one since. Used in the monitor's
 * context alone. */
typedef struct _DerateDbusLeases DerateDbusLeases;

typedef void (*DerateDbusLeaseEnded) (gpointer owner);

DerateDbusLeases *derate_dbus_leases_new (DerateClock         *clock,
                                          GMainContext        *context,
                                          DerateDbusLeaseEnded func,
                                          gpointer             owner);

/* Sets the mode. It ends after @ttl; with 0 when @sender vanishes, or never where @sender is
 * NULL. */
void derate_dbus_leases_set (DerateDbusLeases *leases,
                             DerateBreaker    *breaker,
                             DerateBreakerMode mode,
                             GTimeSpan         ttl,
                             const char       *sender);

void derate_dbus_leases_vanished (DerateDbusLeases *leases,
                                  const char       *sender);

/* Every lease ends now. */
void derate_dbus_leases_free (DerateDbusLeases *leases);

G_END_DECLS
