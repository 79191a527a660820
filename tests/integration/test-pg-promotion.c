/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The primary dies under 32 clients, and its standby is promoted. Each client reads and writes in
 * turn, without a pause; what became of that is printed as a line of time. */
#include <string.h>

#include "pg-world.h"

#define N_CLIENTS 32

/* Nobody who has a session has to wait for one of them to be over. */
#define TIMEOUT (30 * S)

typedef struct
{
  DeratePgPool *pool;
  gint64 since; /* the zero of the line */
  gboolean is_over;
  guint running;
  guint reads, writes, refused, cut; /* what became of requests */
  guint lost_reads, odd; /* what must not */
  gint64 read_at, read_gap; /* the last good read; the longest time without one */
  gint64 longest; /* request */
  gint64 refused_at, written_at; /* the first since they were zeroed */
} Story;

typedef struct
{
  Story *story;
  gint64 since;
  guint n;
} Client;

static GCancellable *const none;

static void client_go (Client *client);

static void
tell (Story *story, const char *text)
{
  g_test_message ("%7.1f ms: %s", (double)(g_get_monotonic_time () - story->since) / MS, text);
}

static void
note_read (Story *story, gint64 now, const GError *error)
{
  if (error != NULL)
    {
      story->lost_reads++;
      g_test_message ("a read was lost: %s", error->message);
      return;
    }
  story->reads++;
  story->read_gap = MAX (story->read_gap, now - story->read_at);
  story->read_at = now;
}

static void
note_write (Story *story, gint64 now, const GError *error)
{
  if (error == NULL)
    {
      story->writes++;
      if (story->written_at == 0)
        story->written_at = now;
    }
  else if (g_error_matches (error, DERATE_PG_ERROR, DERATE_PG_ERROR_READ_ONLY))
    {
      story->refused++;
      if (story->refused_at == 0)
        story->refused_at = now;
    }
  else if (g_error_matches (error, DERATE_PG_ERROR, DERATE_PG_ERROR_CLOSED))
    story->cut++; /* it was under way */
  else
    {
      story->odd++;
      g_test_message ("a write ended oddly: %s", error->message);
    }
}

static void
answered (GObject *source, GAsyncResult *result, gpointer data)
{
  Client *client = data;
  Story *story = client->story;
  g_autoptr (GError) error = NULL;
  DeratePgResult *rows = derate_pg_pool_query_finish (story->pool, result, &error);
  gint64 now = g_get_monotonic_time ();

  g_clear_pointer (&rows, derate_pg_result_unref);
  story->longest = MAX (story->longest, now - client->since);
  (client->n % 2 == 0 ? note_read : note_write) (story, now, error);
  story->running--;
  client->n++;
  if (!story->is_over)
    client_go (client);
}

static gboolean
go_on (gpointer data)
{
  Client *client = data;

  client->since = g_get_monotonic_time ();
  if (client->n % 2 == 0)
    derate_pg_pool_query_async (client->story->pool, READ, "select count(*) from notes", NULL, none,
                                answered, client);
  else
    derate_pg_pool_query_async (client->story->pool, WRITE, "insert into notes values (1)", NULL,
                                none, answered, client);
  return G_SOURCE_REMOVE;
}

/* A client that was refused takes a breath. */
static void
client_go (Client *client)
{
  client->story->running++;
  g_timeout_add (client->n % 2, go_on, client);
}

static gboolean
wake (gpointer data)
{
  *(gboolean *)data = TRUE;
  return G_SOURCE_REMOVE;
}

static void
turn_for (guint ms)
{
  gboolean over = FALSE;

  g_timeout_add (ms, wake, &over);
  while (!over)
    g_main_context_iteration (NULL, TRUE);
}

/* The clients go on meanwhile; pg_world_until () would let them rest between two turns. */
#define turn_until(condition) \
  while (!(condition))        \
  g_main_context_iteration (NULL, TRUE)

static void
mode_changed (GObject *object, GParamSpec *pspec, gpointer data)
{
  tell (data,
        derate_pg_pool_get_write_mode (DERATE_PG_POOL (object)) ? "writes again" : "read-only");
}

static gpointer
order (gpointer data)
{
  const char *const *words = data;

  test_servers_command (pg_world_get_servers (), words[0], words[1]);
  return NULL;
}

/* In a thread of its own: the clients go on. */
static void
command (Story *story, const char *verb, const char *name)
{
  const char *words[] = { verb, name };
  g_autofree char *text = g_strdup_printf ("%s %s", verb, name);
  GThread *thread = g_thread_new ("command", order, words);

  tell (story, text);
  turn_for (300);
  g_thread_join (thread);
}

/* What a URI of the tests' servers has of a port. */
static char *
make_uri (void)
{
  const char *names[] = { "postgresql", "standby" };
  g_autoptr (GString) uri = g_string_new ("postgresql://derate@");

  for (guint i = 0; i < 2; i++)
    {
      const char *one = strstr (test_servers_get_uri (pg_world_get_servers (), names[i]), "port=");

      g_string_append_printf (uri, "%s127.0.0.1:%d", i > 0 ? "," : "", atoi (one + 5));
    }
  g_string_append (uri, "/shop?sslmode=disable&target_session_attrs=read-write");
  return g_strdup (uri->str);
}

static void
test_promotion (void)
{
  g_autofree char *uri = make_uri ();
  g_autofree char *summary = NULL;
  Story story = { .pool = pg_world_pool_at (uri, "min-size", 4, "max-size", 8, "acquire-timeout",
                                            TIMEOUT, "connect-timeout", TIMEOUT, "query-timeout",
                                            TIMEOUT, NULL) };
  Client clients[N_CLIENTS];
  gint64 stopped, promoted;

  g_signal_connect (story.pool, "notify::write-mode", G_CALLBACK (mode_changed), &story);
  story.since = story.read_at = g_get_monotonic_time ();
  for (guint i = 0; i < N_CLIENTS; i++)
    {
      clients[i] = (Client){ &story, 0, i };
      client_go (&clients[i]);
    }
  tell (&story, "32 clients");
  turn_for (500);
  turn_until (story.reads > 0 && story.writes > 0);
  g_assert_cmpuint (story.cut + story.refused, ==, 0);

  stopped = g_get_monotonic_time ();
  command (&story, "stop", "postgresql");
  turn_for (700);
  turn_until (story.refused_at != 0 && !derate_pg_pool_get_write_mode (story.pool));

  story.written_at = 0;
  promoted = g_get_monotonic_time ();
  command (&story, "promote", "standby");
  turn_until (story.written_at != 0);
  turn_for (300);
  story.is_over = TRUE;
  while (story.running > 0)
    g_main_context_iteration (NULL, TRUE);
  tell (&story, "the end");

  summary = g_strdup_printf (
      "writes refused %.1f ms after the primary died, again %.1f ms after the order to promote; "
      "%u reads, at most %.1f ms without one; %u writes, %u refused, %u cut; the longest request "
      "%.1f ms",
      (double)(story.refused_at - stopped) / MS, (double)(story.written_at - promoted) / MS,
      story.reads, (double)story.read_gap / MS, story.writes, story.refused, story.cut,
      (double)story.longest / MS);
  g_test_message ("%s", summary);
  g_assert_cmpuint (story.lost_reads, ==, 0);
  g_assert_cmpuint (story.odd, ==, 0);
  g_assert_cmpint (story.longest, <, TIMEOUT);
  g_assert_cmpint (story.read_gap, <, TIMEOUT);
  pg_world_close (story.pool);
}

int
main (int argc, char **argv)
{
  pg_world_start_pair (&argc, &argv);
  g_log_set_always_fatal (G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL); /* it warns of the mode */
  g_free (pg_world_ask ("create table notes (n int)"));
  g_test_add_func ("/pg-promotion/32-clients", test_promotion);
  return pg_world_run_tests ();
}
