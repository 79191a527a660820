/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-visibility.h>
#include <glib-object.h>

G_BEGIN_DECLS

/**
 * DerateRedisReplyType:
 * @DERATE_REDIS_REPLY_NIL: nothing, such as a key that is not there
 * @DERATE_REDIS_REPLY_STATUS: a word, such as `OK`
 * @DERATE_REDIS_REPLY_ERROR: an error inside an array
 * @DERATE_REDIS_REPLY_INTEGER: a number
 * @DERATE_REDIS_REPLY_STRING: bytes
 * @DERATE_REDIS_REPLY_ARRAY: replies
 *
 * What a reply is.
 *
 * Since: 1.0
 */
typedef enum
{
  DERATE_REDIS_REPLY_NIL,
  DERATE_REDIS_REPLY_STATUS,
  DERATE_REDIS_REPLY_ERROR,
  DERATE_REDIS_REPLY_INTEGER,
  DERATE_REDIS_REPLY_STRING,
  DERATE_REDIS_REPLY_ARRAY,
} DerateRedisReplyType;

#define DERATE_TYPE_REDIS_REPLY (derate_redis_reply_get_type ())

typedef struct _DerateRedisReply DerateRedisReply;

DERATE_AVAILABLE_IN_1_0
GType derate_redis_reply_get_type (void);

DERATE_AVAILABLE_IN_1_0
DerateRedisReply *derate_redis_reply_ref (DerateRedisReply *reply);

DERATE_AVAILABLE_IN_1_0
void derate_redis_reply_unref (DerateRedisReply *reply);

DERATE_AVAILABLE_IN_1_0
DerateRedisReplyType derate_redis_reply_get_reply_type (DerateRedisReply *reply);

DERATE_AVAILABLE_IN_1_0
const char *derate_redis_reply_get_text (DerateRedisReply *reply);

DERATE_AVAILABLE_IN_1_0
GBytes *derate_redis_reply_get_bytes (DerateRedisReply *reply);

DERATE_AVAILABLE_IN_1_0
gint64 derate_redis_reply_get_integer (DerateRedisReply *reply);

DERATE_AVAILABLE_IN_1_0
guint derate_redis_reply_get_n_elements (DerateRedisReply *reply);

DERATE_AVAILABLE_IN_1_0
DerateRedisReply *derate_redis_reply_get_element (DerateRedisReply *reply,
                                                  guint             index);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateRedisReply, derate_redis_reply_unref)

G_END_DECLS
