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
  int id;
} Question;

/* A question on its way. */
typedef struct
{
  AgentDatabase *database;
  int id;
  DerateCall *call;
  GCancellable *cancellable;
  DeratePgConnection *connection;
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

static void
question_free (gpointer data)
{
  Question *question = data;

  agent_database_free (question->database);
  g_free (question);
}

/* A connection goes back to the idle ones only after an answer: who gave up on a query cannot know
 * what its connection will still say. */
static void
query_free (Query *query)
{
  if (query->connection != NULL)
    query->database->n_open--;
  g_clear_object (&query->connection);
  g_clear_object (&query->cancellable);
  derate_call_unref (query->call);
  agent_database_free (query->database);
  g_free (query);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Query, query_free)

static GVariant *
product_from_result (DeratePgResult *result)
{
  if (derate_pg_result_get_n_rows (result) == 0)
    return g_variant_new ("m(sd)", FALSE, NULL, 0.0);
  return g_variant_new ("m(sd)", TRUE, derate_pg_result_get_value (result, 0, 0),
                        g_ascii_strtod (derate_pg_result_get_value (result, 0, 1), NULL));
}

static void
on_result (GObject *source, GAsyncResult *async, gpointer data)
{
  g_autoptr (Query) query = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (DeratePgResult) result =
      derate_pg_connection_query_finish (query->connection, async, &error);

  if (result == NULL)
    {
      derate_call_fail (query->call, error);
      return;
    }
  g_queue_push_head (&query->database->idle, g_steal_pointer (&query->connection));
  derate_call_succeed (query->call, product_from_result (result));
}

static void
send_query (Query *query)
{
  derate_pg_connection_query_async (query->connection,
                                    "SELECT name, price FROM product WHERE id = $1",
                                    g_variant_new ("(i)", query->id), query->cancellable, on_result,
                                    query);
}

static void
on_opened (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (Query) query = data;
  g_autoptr (GError) error = NULL;

  query->connection = derate_pg_connection_open_finish (result, &error);
  if (query->connection == NULL)
    {
      query->database->n_open--;
      derate_call_fail (query->call, error);
      return;
    }
  send_query (g_steal_pointer (&query));
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
start (DerateCall *call, GCancellable *cancellable, gpointer data)
{
  Question *question = data;
  AgentDatabase *database = question->database;
  g_autoptr (Query) query = g_new0 (Query, 1);
  g_autoptr (GError) error = NULL;

  g_atomic_ref_count_inc (&database->refs);
  query->database = database;
  query->id = question->id;
  query->call = call;
  g_set_object (&query->cancellable, cancellable);
  query->connection = take_idle (database);
  if (query->connection != NULL)
    {
      send_query (g_steal_pointer (&query));
      return;
    }
  if (database->n_open >= MAX_CONNECTIONS)
    {
      /* Our own limit, which says nothing about the database. */
      error = g_error_new (DERATE_ERROR, DERATE_ERROR_QUEUE_FULL,
                           "all %d connections to the database are busy", MAX_CONNECTIONS);
      derate_call_fail (call, error);
      return;
    }
  database->n_open++;
  derate_pg_connection_open_async (database->uri, NULL, cancellable, on_opened,
                                   g_steal_pointer (&query));
}

void
agent_database_get_product (AgentDatabase *database,
                            DeratePolicy *policy,
                            DerateRequest *request,
                            int id,
                            GAsyncReadyCallback callback,
                            gpointer data)
{
  Question *question = g_new0 (Question, 1);

  g_atomic_ref_count_inc (&database->refs);
  question->database = database;
  question->id = id;
  derate_policy_call_async (policy, request, start, question, question_free, NULL, callback, data);
}
