/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>
#include <libpq-fe.h>

G_BEGIN_DECLS

/* One host to try. libpq never sees more than one at a time, and never a name without its address:
 * it would resolve it there and then, on the loop. */
typedef struct
{
  char *host;        /* NULL: the unix socket that libpq was built for */
  char *address;     /* numeric; NULL for a unix socket, or before it was looked up */
  char *port;        /* NULL: libpq's */
  const char *attrs; /* target_session_attrs, NULL: any */
} DeratePgTarget;

DeratePgTarget *derate_pg_target_copy (const DeratePgTarget *target,
                                       const char           *address);
void derate_pg_target_free (DeratePgTarget *target);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DeratePgTarget, derate_pg_target_free)
gboolean derate_pg_target_needs_lookup (const DeratePgTarget *target);

/* Where a URI leads to, in the order to try, and everything else that it says. */
typedef struct
{
  GPtrArray *keywords;
  GPtrArray *values;
  GQueue targets; /* of DeratePgTarget */
  GTimeSpan timeout;
} DeratePgRoute;

DeratePgRoute *derate_pg_route_parse (const char *uri,
                                      const char *password,
                                      GError    **error);
void derate_pg_route_free (DeratePgRoute *route);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DeratePgRoute, derate_pg_route_free)

/* PQconnectStartParams () */
PGconn *derate_pg_route_start (const DeratePgRoute  *route,
                               const DeratePgTarget *target);

G_END_DECLS
