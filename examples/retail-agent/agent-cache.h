/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-redis.h>

#include "agent-guard.h"

G_BEGIN_DECLS

/* A client of Redis that keeps one connection, on which commands are pipelined. */
typedef struct _AgentCache AgentCache;

AgentCache *agent_cache_new (const char *uri);
void agent_cache_free (AgentCache *cache);

/* Its request is a command as a GStrv, its answer a DerateRedisReply that is no error. */
extern const AgentOperation agent_cache_command;

G_END_DECLS
