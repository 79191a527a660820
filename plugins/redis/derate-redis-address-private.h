/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/* What a URI says: redis://[USER:PASSWORD@]HOST[:PORT][/DB], rediss:// for TLS, or
 * unix:///PATH[?db=DB]. */
typedef struct
{
  GSocketConnectable *connectable;
  gboolean tls;
  char *user;     /* NULL: the default user */
  char *password; /* NULL: none */
  char *database; /* NULL: the first */
} DerateRedisAddress;

DerateRedisAddress *derate_redis_address_parse (const char *uri,
                                                const char *password,
                                                GError    **error);
void derate_redis_address_free (DerateRedisAddress *address);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateRedisAddress, derate_redis_address_free)

G_END_DECLS
