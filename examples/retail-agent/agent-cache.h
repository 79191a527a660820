/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-redis.h>
#include <derate.h>

G_BEGIN_DECLS

/* A client of Redis that keeps one connection, on which commands are pipelined. */
typedef struct _AgentCache AgentCache;

AgentCache *agent_cache_new (const char *uri);
void agent_cache_free (AgentCache *cache);

/* Sends a command through @policy. The answer is an `ms`: a text, or nothing. */
void agent_cache_command (AgentCache         *cache,
                          DeratePolicy       *policy,
                          DerateRequest      *request,
                          const char *const  *command,
                          GAsyncReadyCallback callback,
                          gpointer            data);

G_END_DECLS
