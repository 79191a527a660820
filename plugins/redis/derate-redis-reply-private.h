/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-redis-reply.h"

#include <hiredis.h>

G_BEGIN_DECLS

/* hiredis's parser, which makes DerateRedisReply objects: redisReaderGetReply () gives one, or NULL
 * when more bytes are needed. An array of absurd length is refused. */
redisReader *derate_redis_reply_reader_new (void);

G_END_DECLS
