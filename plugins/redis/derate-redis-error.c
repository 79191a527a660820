/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-redis-error-private.h"

#include <derate-redact.h>

/* clang-format off */
static const struct
{
  const char *prefix;
  DerateRedisError code;
} replies[] = {
  { "NOAUTH ",                            DERATE_REDIS_ERROR_AUTH },
  { "WRONGPASS ",                         DERATE_REDIS_ERROR_AUTH },
  { "NOPERM ",                            DERATE_REDIS_ERROR_AUTH },
  { "ERR invalid password",               DERATE_REDIS_ERROR_AUTH }, /* before 6.0 */
  { "ERR AUTH ",                          DERATE_REDIS_ERROR_AUTH }, /* none is set there */
  { "ERR Client sent AUTH",               DERATE_REDIS_ERROR_AUTH }, /* the same before 6.0 */
  { "ERR max number of clients",          DERATE_REDIS_ERROR_TOO_MANY_CLIENTS },
  { "ERR max number of cluster",          DERATE_REDIS_ERROR_TOO_MANY_CLIENTS },
  { "ERR DB index is out of range",       DERATE_REDIS_ERROR_CONFIG },
  { "DENIED ",                            DERATE_REDIS_ERROR_CONFIG }, /* protected mode */
  { "LOADING ",                           DERATE_REDIS_ERROR_LOADING },
  { "MASTERDOWN ",                        DERATE_REDIS_ERROR_MASTER_DOWN },
  { "READONLY ",                          DERATE_REDIS_ERROR_READ_ONLY },
  { "MISCONF ",                           DERATE_REDIS_ERROR_MISCONFIGURED },
  { "OOM ",                               DERATE_REDIS_ERROR_OUT_OF_MEMORY },
  { "BUSY ",                              DERATE_REDIS_ERROR_BUSY },
};
/* clang-format on */

GError *
derate_redis_error_from_reply (const char *text)
{
  g_autofree char *shown = derate_redact (text);
  DerateRedisError code = DERATE_REDIS_ERROR_REPLY;

  for (guint i = 0; i < G_N_ELEMENTS (replies); i++)
    {
      if (g_str_has_prefix (text, replies[i].prefix))
        {
          code = replies[i].code;
          break;
        }
    }
  return g_error_new (DERATE_REDIS_ERROR, code, "the server refused: %s", shown);
}

/**
 * derate_redis_error_quark:
 *
 * The error domain of the Redis client. May be called from any thread.
 *
 * Returns: the quark
 *
 * Since: 1.0
 */
GQuark
derate_redis_error_quark (void)
{
  return g_quark_from_static_string ("derate-redis-error-quark");
}
