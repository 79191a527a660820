/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-visibility.h>
#include <glib-object.h>

G_BEGIN_DECLS

/**
 * DERATE_REDIS_ERROR:
 *
 * The error domain of the Redis client. Codes are only ever added. Failures of the transport are of
 * %G_IO_ERROR, of names %G_RESOLVER_ERROR, of encryption %G_TLS_ERROR.
 *
 * Since: 1.0
 */
#define DERATE_REDIS_ERROR (derate_redis_error_quark ())

/**
 * DerateRedisError:
 * @DERATE_REDIS_ERROR_FAILED: something else
 * @DERATE_REDIS_ERROR_CONFIG: the URI cannot be used, or the server is set up to refuse us
 * @DERATE_REDIS_ERROR_CLOSED: the connection has ended
 * @DERATE_REDIS_ERROR_PROTOCOL: an answer that is not Redis's protocol
 * @DERATE_REDIS_ERROR_AUTH: the credentials were refused, or are missing (NOAUTH, WRONGPASS,
 *   NOPERM)
 * @DERATE_REDIS_ERROR_TOO_MANY_CLIENTS: the server has no room for another connection
 * @DERATE_REDIS_ERROR_LOADING: the server reads its data set (LOADING)
 * @DERATE_REDIS_ERROR_MASTER_DOWN: a replica without its master (MASTERDOWN)
 * @DERATE_REDIS_ERROR_READ_ONLY: a write to a replica (READONLY)
 * @DERATE_REDIS_ERROR_MISCONFIGURED: writes are refused because saving to disk fails (MISCONF)
 * @DERATE_REDIS_ERROR_OUT_OF_MEMORY: writes are refused because memory is used up (OOM)
 * @DERATE_REDIS_ERROR_BUSY: the server runs a script that does not end (BUSY)
 * @DERATE_REDIS_ERROR_REPLY: the server refused the command for another reason
 *
 * What can go wrong with Redis.
 *
 * Since: 1.0
 */
typedef enum
{
  DERATE_REDIS_ERROR_FAILED,
  DERATE_REDIS_ERROR_CONFIG,
  DERATE_REDIS_ERROR_CLOSED,
  DERATE_REDIS_ERROR_PROTOCOL,
  DERATE_REDIS_ERROR_AUTH,
  DERATE_REDIS_ERROR_TOO_MANY_CLIENTS,
  DERATE_REDIS_ERROR_LOADING,
  DERATE_REDIS_ERROR_MASTER_DOWN,
  DERATE_REDIS_ERROR_READ_ONLY,
  DERATE_REDIS_ERROR_MISCONFIGURED,
  DERATE_REDIS_ERROR_OUT_OF_MEMORY,
  DERATE_REDIS_ERROR_BUSY,
  DERATE_REDIS_ERROR_REPLY,
} DerateRedisError;

DERATE_AVAILABLE_IN_1_0
GQuark derate_redis_error_quark (void);

G_END_DECLS
