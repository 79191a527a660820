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
  DerateRedisConnection *connection;
  char **command;
} Command;

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

  g_clear_object (&command->connection);
  g_strfreev (command->command);
  agent_cache_free (command->cache);
  g_free (command);
}

static void
on_reply (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GTask) task = data;
  Command *command = g_task_get_task_data (task);
  g_autoptr (GError) error = NULL;
  g_autoptr (DerateRedisReply) reply =
      derate_redis_connection_command_finish (command->connection, result, &error);

  if (reply == NULL)
    g_task_return_error (task, g_steal_pointer (&error));
  else if (derate_redis_reply_get_reply_type (reply) == DERATE_REDIS_REPLY_ERROR)
    g_task_return_new_error (task, G_IO_ERROR, G_IO_ERROR_FAILED, "%s",
                             derate_redis_reply_get_text (reply));
  else
    g_task_return_pointer (task, g_steal_pointer (&reply),
                           (GDestroyNotify)derate_redis_reply_unref);
}

static void
send_command (GTask *task)
{
  Command *command = g_task_get_task_data (task);

  derate_redis_connection_command_async (command->connection, (const char *const *)command->command,
                                         g_task_get_cancellable (task), on_reply, task);
}

static void
on_opened (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GTask) task = data;
  Command *command = g_task_get_task_data (task);
  g_autoptr (GError) error = NULL;

  command->connection = derate_redis_connection_open_finish (result, &error);
  if (command->connection == NULL)
    {
      g_task_return_error (task, g_steal_pointer (&error));
      return;
    }
  g_set_object (&command->cache->connection, command->connection);
  send_command (g_steal_pointer (&task));
}

static void
command_start (gpointer client,
               gpointer request,
               GCancellable *cancellable,
               GAsyncReadyCallback callback,
               gpointer user_data)
{
  AgentCache *cache = client;
  GTask *task = g_task_new (NULL, cancellable, callback, user_data);
  Command *command = g_new0 (Command, 1);

  g_task_set_source_tag (task, command_start);
  g_atomic_ref_count_inc (&cache->refs);
  command->cache = cache;
  command->command = g_strdupv (request);
  g_task_set_task_data (task, command, command_free);

  if (cache->connection != NULL && !derate_redis_connection_is_usable (cache->connection))
    g_clear_object (&cache->connection);
  if (cache->connection == NULL)
    {
      derate_redis_connection_open_async (cache->uri, NULL, cancellable, on_opened, task);
      return;
    }
  command->connection = g_object_ref (cache->connection);
  send_command (task);
}

static gpointer
command_finish (gpointer client, GAsyncResult *result, GError **error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}

const AgentOperation agent_cache_command = {
  .start = command_start,
  .finish = command_finish,
  .free_answer = (GDestroyNotify)derate_redis_reply_unref,
};
