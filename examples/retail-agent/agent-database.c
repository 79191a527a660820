/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent-database.h"

/* So that the agent leaves room on a small server. */
#define MAX_CONNECTIONS 4

struct _AgentDatabase
{
  gatomicrefcount refs;
  char *uri;
  GQueue idle; /* (element-type DeratePgConnection) */
  guint n_open; /* idle, in use and being opened */
};

typedef struct
{
  AgentDatabase *database;
  DeratePgConnection *connection;
  int id;
} Query;

AgentDatabase *
agent_database_new (const char *uri)
{
  AgentDatabase *database = g_new0 (AgentDatabase, 1);

  g_atomic_ref_count_init (&database->refs);
  database->uri = g_strdup (uri);
  g_queue_init (&database->idle);
  return database;
}

void
agent_database_free (AgentDatabase *database)
{
  if (!g_atomic_ref_count_dec (&database->refs))
    return;
  g_queue_clear_full (&database->idle, g_object_unref);
  g_free (database->uri);
  g_free (database);
}

void
agent_product_free (gpointer data)
{
  AgentProduct *product = data;

  g_free (product->name);
  g_free (product);
}

/* A connection goes back to the idle ones only after an answer: who gave up on a query cannot know
 * what its connection will still say. */
static void
query_free (gpointer data)
{
  Query *query = data;

  if (query->connection != NULL)
    query->database->n_open--;
  g_clear_object (&query->connection);
  agent_database_free (query->database);
  g_free (query);
}

static AgentProduct *
product_from_result (int id, DeratePgResult *result)
{
  AgentProduct *product = g_new0 (AgentProduct, 1);

  product->id = id;
  product->found = derate_pg_result_get_n_rows (result) > 0;
  if (product->found)
    {
      product->name = g_strdup (derate_pg_result_get_value (result, 0, 0));
      product->price = g_ascii_strtod (derate_pg_result_get_value (result, 0, 1), NULL);
    }
  return product;
}

static void
on_result (GObject *source, GAsyncResult *async, gpointer data)
{
  g_autoptr (GTask) task = data;
  Query *query = g_task_get_task_data (task);
  g_autoptr (GError) error = NULL;
  g_autoptr (DeratePgResult) result =
      derate_pg_connection_query_finish (query->connection, async, &error);

  if (result == NULL)
    {
      g_task_return_error (task, g_steal_pointer (&error));
      return;
    }
  g_queue_push_head (&query->database->idle, g_steal_pointer (&query->connection));
  g_task_return_pointer (task, product_from_result (query->id, result), agent_product_free);
}

static void
send_query (GTask *task)
{
  Query *query = g_task_get_task_data (task);
  char id[16];
  const char *parameters[] = { id, NULL };

  g_snprintf (id, sizeof id, "%d", query->id);
  derate_pg_connection_query_async (query->connection,
                                    "SELECT name, price FROM product WHERE id = $1", parameters,
                                    g_task_get_cancellable (task), on_result, task);
}

static void
on_opened (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GTask) task = data;
  Query *query = g_task_get_task_data (task);
  g_autoptr (GError) error = NULL;

  query->connection = derate_pg_connection_open_finish (result, &error);
  if (query->connection == NULL)
    {
      query->database->n_open--;
      g_task_return_error (task, g_steal_pointer (&error));
      return;
    }
  send_query (g_steal_pointer (&task));
}

static DeratePgConnection *
take_idle (AgentDatabase *database)
{
  DeratePgConnection *connection;

  while ((connection = g_queue_pop_head (&database->idle)) != NULL)
    {
      if (derate_pg_connection_is_usable (connection))
        return connection;
      database->n_open--;
      g_object_unref (connection);
    }
  return NULL;
}

static void
get_product_start (gpointer client,
                   gpointer request,
                   GCancellable *cancellable,
                   GAsyncReadyCallback callback,
                   gpointer user_data)
{
  AgentDatabase *database = client;
  GTask *task = g_task_new (NULL, cancellable, callback, user_data);
  Query *query = g_new0 (Query, 1);

  g_task_set_source_tag (task, get_product_start);
  g_atomic_ref_count_inc (&database->refs);
  query->database = database;
  query->id = GPOINTER_TO_INT (request);
  g_task_set_task_data (task, query, query_free);

  query->connection = take_idle (database);
  if (query->connection != NULL)
    {
      send_query (task);
      return;
    }
  if (database->n_open >= MAX_CONNECTIONS)
    {
      g_task_return_new_error (task, DERATE_ERROR, DERATE_ERROR_QUEUE_FULL,
                               "all %d connections to the database are busy", MAX_CONNECTIONS);
      g_object_unref (task);
      return;
    }
  database->n_open++;
  derate_pg_connection_open_async (database->uri, NULL, cancellable, on_opened, task);
}

static gpointer
get_product_finish (gpointer client, GAsyncResult *result, GError **error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}

const AgentOperation agent_database_get_product = {
  .start = get_product_start,
  .finish = get_product_finish,
  .free_answer = agent_product_free,
};
