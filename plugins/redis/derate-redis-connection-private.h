/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-redis-connection.h"

G_BEGIN_DECLS

DerateRedisConnection *derate_redis_connection_new (GSocketConnection *stream);

G_END_DECLS
