/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <derate-redis.h>

#include "agent.h"

/* The fallback strategy `redis-copy`: the last answer of the database, kept in Redis. Redis is
 * asked bare, on one connection on which commands are pipelined. */

#define STRATEGY "redis-copy"

/* How long Redis keeps a copy. */
#define KEEP_SECONDS "3600"

/* A copy: rows, and when the database said so. */
#define COPY_TYPE "(" AGENT_ROWS "x)"

#define AGENT_TYPE_COPY (agent_copy_get_type ())
G_DECLARE_FINAL_TYPE (AgentCopy, agent_copy, AGENT, COPY, GObject)

struct _AgentCopy
{
  GObject parent_instance;

  char *uri;
  DerateClock *clock;
  DeratePolicy *pipeline;
  DerateRedisConnection *connection;
};

typedef struct
{
  AgentCopy *copy;
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

static void
command_free (gpointer data)
{
  Command *command = data;

  g_strfreev (command->words);
  g_object_unref (command->copy);
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
  g_set_object (&errand->command->copy->connection, errand->connection);
  send_command (g_steal_pointer (&errand));
}

static void
start (DerateCall *call, GCancellable *cancellable, gpointer data)
{
  Command *command = data;
  AgentCopy *copy = command->copy;
  Errand *errand = g_new0 (Errand, 1);

  errand->command = command;
  errand->call = call;
  g_set_object (&errand->cancellable, cancellable);
  if (copy->connection != NULL && !derate_redis_connection_is_usable (copy->connection))
    g_clear_object (&copy->connection);
  if (copy->connection == NULL)
    {
      derate_redis_connection_open_async (copy->uri, NULL, cancellable, on_opened, errand);
      return;
    }
  errand->connection = g_object_ref (copy->connection);
  send_command (errand);
}

/* The answer is an `ms`: a text, or nothing. */
static void
ask_redis (AgentCopy *copy,
           DerateRequest *request,
           const char *const *words,
           GAsyncReadyCallback callback,
           gpointer data)
{
  Command *command = g_new0 (Command, 1);

  command->copy = g_object_ref (copy);
  command->words = g_strdupv ((char **)words);
  derate_policy_call_async (copy->pipeline, request, start, command, command_free, NULL, callback,
                            data);
}

static const char *
agent_copy_get_strategy (DerateFallback *fallback)
{
  return STRATEGY;
}

static DerateFallbackResult *
read_copy (AgentCopy *copy, DerateFallbackRequest *request, const char *text, GError **error)
{
  gint64 now = derate_clock_get_real_time (copy->clock);
  g_autoptr (GVariant) kept = NULL;
  g_autoptr (GVariant) rows = NULL;
  gint64 at;

  if (text == NULL)
    g_set_error_literal (error, DERATE_ERROR, DERATE_ERROR_UNAVAILABLE, "Redis has no copy");
  else
    kept = g_variant_parse (G_VARIANT_TYPE (COPY_TYPE), text, NULL, NULL, error);
  if (kept == NULL)
    return NULL;
  g_variant_get (kept, "(@" AGENT_ROWS "x)", &rows, &at);
  return derate_fallback_result_new (rows, STRATEGY, "cache",
                                     derate_fallback_request_get_reason (request), now - at);
}

static void
on_copy (GObject *source, GAsyncResult *async, gpointer data)
{
  g_autoptr (GTask) task = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) reply =
      derate_policy_call_finish (DERATE_POLICY (source), async, NULL, &error);
  DerateFallbackResult *result = NULL;
  const char *text;

  if (reply != NULL)
    {
      g_variant_get (reply, "m&s", &text);
      result =
          read_copy (g_task_get_source_object (task), g_task_get_task_data (task), text, &error);
    }
  if (result != NULL)
    g_task_return_pointer (task, result, (GDestroyNotify)derate_fallback_result_unref);
  else
    g_task_return_error (task, g_steal_pointer (&error));
}

static void
agent_copy_answer_async (DerateFallback *fallback,
                         DerateFallbackRequest *request,
                         GCancellable *cancellable,
                         GAsyncReadyCallback callback,
                         gpointer user_data)
{
  AgentCopy *copy = AGENT_COPY (fallback);
  GTask *task = g_task_new (copy, cancellable, callback, user_data);
  const char *const get[] = { "GET", derate_fallback_request_get_key (request), NULL };
  const char *id = derate_fallback_request_get_id (request);
  g_autoptr (DerateRequest) read = derate_request_new (DERATE_REQUEST_READ, NULL);

  if (id != NULL)
    derate_request_set_id (read, id, NULL);
  g_task_set_source_tag (task, agent_copy_answer_async);
  g_task_set_task_data (task, derate_fallback_request_ref (request),
                        (GDestroyNotify)derate_fallback_request_unref);
  ask_redis (copy, read, get, on_copy, task);
}

/* A copy that could not be kept is the breaker's concern, not the caller's. */
static void
on_kept (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GVariant) reply =
      derate_policy_call_finish (DERATE_POLICY (source), result, NULL, NULL);
}

/* What is gone leaves no copy. */
static void
agent_copy_note_answer (DerateFallback *fallback, const char *key, GVariant *value)
{
  AgentCopy *copy = AGENT_COPY (fallback);
  gint64 now = derate_clock_get_real_time (copy->clock);
  g_autoptr (GVariant) kept = g_variant_ref_sink (g_variant_new ("(@" AGENT_ROWS "x)", value, now));
  g_autofree char *text = g_variant_print (kept, FALSE);
  const char *const set[] = { "SET", key, text, "EX", KEEP_SECONDS, NULL };
  const char *const forget[] = { "DEL", key, NULL };

  ask_redis (copy, NULL, g_variant_n_children (value) > 0 ? set : forget, on_kept, NULL);
}

static void
fallback_iface_init (DerateFallbackInterface *iface)
{
  iface->get_strategy = agent_copy_get_strategy;
  iface->answer_async = agent_copy_answer_async;
  iface->note_answer = agent_copy_note_answer;
}

G_DEFINE_FINAL_TYPE_WITH_CODE (AgentCopy,
                               agent_copy,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (DERATE_TYPE_FALLBACK, fallback_iface_init))

static void
agent_copy_finalize (GObject *object)
{
  AgentCopy *copy = AGENT_COPY (object);

  g_free (copy->uri);
  g_clear_object (&copy->clock);
  g_clear_object (&copy->pipeline);
  g_clear_object (&copy->connection);
  G_OBJECT_CLASS (agent_copy_parent_class)->finalize (object);
}

static void
agent_copy_class_init (AgentCopyClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = agent_copy_finalize;
}

static void
agent_copy_init (AgentCopy *copy)
{
}

static DerateFallback *
make_copy (DerateFallbackFactory *factory,
           const char *service,
           GVariant *options,
           gpointer data,
           GError **error)
{
  DerateCore *core = data;
  g_autoptr (DeratePipeline) pipeline = NULL;
  AgentCopy *copy;

  if (g_variant_n_children (options) > 0)
    {
      g_set_error_literal (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG,
                           STRATEGY " has no options");
      return NULL;
    }
  pipeline =
      derate_core_create_gated_pipeline (core, "redis", "cache",
                                         DERATE_CORE_PIPELINE_BARE | DERATE_CORE_PIPELINE_NO_RETRY |
                                             DERATE_CORE_PIPELINE_UNCOUNTED,
                                         error);
  if (pipeline == NULL)
    return NULL;
  copy = g_object_new (AGENT_TYPE_COPY, NULL);
  copy->uri =
      g_strdup (derate_config_get_text (derate_core_get_config (core), "service redis", "uri", ""));
  copy->clock = g_object_ref (derate_core_get_clock (core));
  copy->pipeline = DERATE_POLICY (g_steal_pointer (&pipeline));
  return DERATE_FALLBACK (copy);
}

gboolean
agent_copy_register (DerateCore *core, GError **error)
{
  return derate_fallback_factory_register (derate_core_get_fallbacks (core), STRATEGY, make_copy,
                                           core, NULL, error);
}
