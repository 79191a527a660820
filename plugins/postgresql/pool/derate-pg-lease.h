/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-pg-connection.h>

G_BEGIN_DECLS

typedef struct _DeratePgLease DeratePgLease;

/**
 * DeratePgLease: (skip)
 *
 * The right to use one session of a [class@PgPool] until it is given back.
 *
 * It lives on the stack, belongs to one thread at a time, and may be given back in another thread
 * than it was acquired in. What is in it is of no use twice: a copy of a lease that was given back
 * is refused. Until then it keeps its pool, also where nobody else has a reference to that.
 *
 * Since: 1.0
 */
struct _DeratePgLease
{
  /*< private >*/
  guint64 priv[4];
};

/**
 * DERATE_PG_LEASE_INIT: (skip)
 *
 * What a lease on the stack must be set to first.
 *
 * Since: 1.0
 */
#define DERATE_PG_LEASE_INIT { { 0 } }

DERATE_AVAILABLE_IN_1_0
DeratePgConnection *derate_pg_lease_get_connection (const DeratePgLease *lease);

DERATE_AVAILABLE_IN_1_0
gboolean derate_pg_lease_release (DeratePgLease *lease,
                                  GError       **error);

/**
 * derate_pg_lease_clear: (skip)
 * @lease: a lease on the stack
 *
 * What the end of its scope does to a lease that was not given back: derate_pg_lease_release().
 *
 * Since: 1.0
 */
static inline void
derate_pg_lease_clear (DeratePgLease *lease)
{
  if (G_UNLIKELY (lease->priv[0] != 0))
    derate_pg_lease_release (lease, NULL);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (DeratePgLease, derate_pg_lease_clear)

G_END_DECLS
