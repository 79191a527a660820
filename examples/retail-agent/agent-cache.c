/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent-cache.h"

struct _AgentCache
{
  gatomicrefcount refs;
  char *uri;
  DerateRedisConnection *connection;
};

typedef struct
{
  AgentCache *cache;
  char **words;
} Command;

/* A command on its way. */
typedef struct
{
  Command *command; /* the call's, until that is answered */
  DerateCall *call;
  GCancellable *cancellable;
  DerateRedisConnection *connection;
} Errand;

AgentCache *
agent_cache_new (const char *uri)
{
  AgentCache *cache = g_new0 (AgentCache, 1);

  g_atomic_ref_count_init (&cache->refs);
  cache->uri = g_strdup (uri);
  return cache;
}

void
agent_cache_free (AgentCache *cache)
{
  if (!g_atomic_ref_count_dec (&cache->refs))
    return;
  g_clear_object (&cache->connection);
  g_free (cache->uri);
  g_free (cache);
}

static void
command_free (gpointer data)
{
  Command *command = data;

  g_strfreev (command->words);
  agent_cache_free (command->cache);
  g_free (command);
}

static void
errand_free (Errand *errand)
{
  g_clear_object (&errand->connection);
  g_clear_object (&errand->cancellable);
  derate_call_unref (errand->call);
  g_free (errand);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Errand, errand_free)

static void
on_reply (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (Errand) errand = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (DerateRedisReply) reply =
      derate_redis_connection_command_finish (errand->connection, result, &error);
  gboolean is_text;

  if (reply != NULL && derate_redis_reply_get_reply_type (reply) == DERATE_REDIS_REPLY_ERROR)
    g_set_error_literal (&error, G_IO_ERROR, G_IO_ERROR_FAILED,
                         derate_redis_reply_get_text (reply));
  if (error != NULL)
    {
      derate_call_fail (errand->call, error);
      return;
    }
  is_text = derate_redis_reply_get_reply_type (reply) == DERATE_REDIS_REPLY_STRING &&
            g_utf8_validate (derate_redis_reply_get_text (reply), -1, NULL);
  derate_call_succeed (errand->call,
                       g_variant_new ("ms", is_text ? derate_redis_reply_get_text (reply) : NULL));
}

static void
send_command (Errand *errand)
{
  derate_redis_connection_command_async (errand->connection,
                                         (const char *const *)errand->command->words,
                                         errand->cancellable, on_reply, errand);
}

static void
on_opened (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (Errand) errand = data;
  g_autoptr (GError) error = NULL;

  errand->connection = derate_redis_connection_open_finish (result, &error);
  if (errand->connection == NULL)
    {
      derate_call_fail (errand->call, error);
      return;
    }
  g_set_object (&errand->command->cache->connection, errand->connection);
  send_command (g_steal_pointer (&errand));
}

static void
start (DerateCall *call, GCancellable *cancellable, gpointer data)
{
  Command *command = data;
  AgentCache *cache = command->cache;
  Errand *errand = g_new0 (Errand, 1);

  errand->command = command;
  errand->call = call;
  g_set_object (&errand->cancellable, cancellable);
  if (cache->connection != NULL && !derate_redis_connection_is_usable (cache->connection))
    g_clear_object (&cache->connection);
  if (cache->connection == NULL)
    {
      derate_redis_connection_open_async (cache->uri, NULL, cancellable, on_opened, errand);
      return;
    }
  errand->connection = g_object_ref (cache->connection);
  send_command (errand);
}

void
agent_cache_command (AgentCache *cache,
                     DeratePolicy *policy,
                     DerateRequest *request,
                     const char *const *words,
                     GAsyncReadyCallback callback,
                     gpointer data)
{
  Command *command = g_new0 (Command, 1);

  g_atomic_ref_count_inc (&cache->refs);
  command->cache = cache;
  command->words = g_strdupv ((char **)words);
  derate_policy_call_async (policy, request, start, command, command_free, NULL, callback, data);
}
