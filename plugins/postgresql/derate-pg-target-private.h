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
  const char *attrs; /* target_session_attrs where libpq is to look at the role, NULL: we do */
} DeratePgTarget;

/* Which of its servers a URI wants, by target_session_attrs. */
typedef enum
{
  DERATE_PG_ROLE_ANY,
  DERATE_PG_ROLE_READ_WRITE,
  DERATE_PG_ROLE_READ_ONLY,
  DERATE_PG_ROLE_PRIMARY,
  DERATE_PG_ROLE_STANDBY,
  DERATE_PG_ROLE_PREFER_STANDBY,
} DeratePgRole;

DeratePgTarget *derate_pg_target_copy (const DeratePgTarget *target,
                                       const char           *address);
void derate_pg_target_free (DeratePgTarget *target);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DeratePgTarget, derate_pg_target_free)
gboolean derate_pg_target_needs_lookup (const DeratePgTarget *target);

/* HOST:PORT, as errors and logs name it. */
char *derate_pg_target_to_string (const DeratePgTarget *target);

/* Where a URI leads to, in the order to try, and everything else that it says. */
typedef struct
{
  GPtrArray *keywords;
  GPtrArray *values;
  GQueue targets; /* of DeratePgTarget */
  DeratePgRole role;
  GTimeSpan timeout; /* of each target; 0: it does not say */
} DeratePgRoute;

DeratePgRoute *derate_pg_route_parse (const char *uri,
                                      const char *password,
                                      GError    **error);
void derate_pg_route_free (DeratePgRoute *route);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DeratePgRoute, derate_pg_route_free)

/* Whether it is meant to take writes: it does not ask for a standby. */
gboolean derate_pg_route_wants_writes (const DeratePgRoute *route);

/* Has the targets that are called so tried first. */
void derate_pg_route_begin_with (DeratePgRoute *route,
                                 const char    *name);

/* Why a session is not what the URI wants, NULL if it is. @asked is set where the server does not
 * say of itself (before 14, and behind some poolers), so that libpq must ask it: then to the word
 * for that. */
const char *derate_pg_route_judge (const DeratePgRoute *route,
                                   PGconn              *pg,
                                   const char         **asked);

/* Overwrites the text before freeing it. */
void derate_pg_secret_free (char *secret);

/* PQconnectStartParams () */
PGconn *derate_pg_route_start (const DeratePgRoute  *route,
                               const DeratePgTarget *target);

G_END_DECLS
