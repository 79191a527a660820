/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pg-client.h"

#include <derate-manual-clock.h>
#include <string.h>

#define ODD "We\"ird Näme; drop"
#define S G_TIME_SPAN_SECOND

static TestServers *servers;

/* What a listener told, one word each: CHANNEL=PAYLOAD, lost, restarted. */
typedef struct
{
  DeratePgListener *listener;
  DerateClock *clock;
  GString *told;
  guint n_lost;
  guint n_restarted;
  guint pid;
} World;

static void
on_notification (DeratePgListener *listener,
                 const char *channel,
                 const char *payload,
                 guint pid,
                 World *world)
{
  g_string_append_printf (world->told, "%s=%s ", channel, payload);
  world->pid = pid;
}

static void
on_lost (DeratePgListener *listener, const GError *error, World *world)
{
  g_assert_nonnull (error);
  g_assert_false (derate_pg_listener_is_listening (listener));
  world->n_lost++;
}

static void
on_restarted (DeratePgListener *listener, World *world)
{
  g_assert_true (derate_pg_listener_is_listening (listener));
  world->n_restarted++;
}

static void
world_init (World *world, const char *uri)
{
  g_autoptr (GError) error = NULL;

  world->clock = derate_manual_clock_new ();
  world->told = g_string_new (NULL);
  world->listener = derate_pg_listener_new (uri, NULL, &error);
  g_assert_no_error (error);
  g_object_set (world->listener, "clock", world->clock, NULL);
  g_signal_connect (world->listener, "notification", G_CALLBACK (on_notification), world);
  g_signal_connect (world->listener, "lost", G_CALLBACK (on_lost), world);
  g_signal_connect (world->listener, "restarted", G_CALLBACK (on_restarted), world);
}

static void
world_clear (World *world)
{
  g_clear_object (&world->listener);
  g_clear_object (&world->clock);
  g_string_free (world->told, TRUE);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (World, world_clear)

static void
listen (World *world, const char *channel)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (derate_pg_listener_listen (world->listener, channel, &error));
  g_assert_no_error (error);
}

static void
wait_for_listening (World *world)
{
  while (!derate_pg_listener_is_listening (world->listener))
    g_main_context_iteration (NULL, TRUE);
}

/* Lets the clock run on until it is so: attempts are some time apart. */
static void
advance_until (World *world, const guint *count, guint n)
{
  while (*count < n)
    {
      derate_manual_clock_advance (DERATE_MANUAL_CLOCK (world->clock), 5 * S);
      while (g_main_context_iteration (NULL, FALSE))
        ;
    }
}

static void
notify (const char *channel, const char *payload)
{
  g_autoptr (DeratePgConnection) connection = pg_open (servers);
  g_autoptr (GError) error = NULL;

  derate_pg_result_unref (pg_query (connection, "select pg_notify($1, $2)",
                                    g_variant_new ("(ss)", channel, payload), &error));
  g_assert_no_error (error);
}

/* They come in their order, so this comes after all that was said before. */
static void
expect (World *world, const char *told)
{
  g_autofree char *all = g_strconcat (told, "end=. ", NULL);

  notify ("end", ".");
  while (strstr (world->told->str, "end=. ") == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpstr (world->told->str, ==, all);
  g_string_truncate (world->told, 0);
}

static void
start (World *world)
{
  listen (world, "end");
  derate_pg_listener_start (world->listener);
  wait_for_listening (world);
}

static void
kill_listener (void)
{
  pg_execute (servers, "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
                       " where query in ('COMMIT', '') and pid <> pg_backend_pid()");
}

static void
count (DeratePgListener *listener, const char *channel, const char *payload, guint pid, guint *n)
{
  (*n)++;
}

static void
test_channels (void)
{
  g_auto (World) world = { 0 };
  guint n_news = 0;

  world_init (&world, test_servers_get_uri (servers, "postgresql"));
  listen (&world, "news");
  listen (&world, ODD);
  g_signal_connect (world.listener, "notification::news", G_CALLBACK (count), &n_news);
  start (&world);
  notify ("news", "one");
  notify (ODD, "");
  notify ("nobody's", "lost");
  notify ("news", "it's \"two\" ñ");
  expect (&world, "news=one " ODD "= news=it's \"two\" ñ ");
  g_assert_cmpuint (n_news, ==, 2);
  g_assert_cmpuint (world.pid, >, 0);

  /* While it listens already. */
  derate_pg_listener_unlisten (world.listener, "news");
  derate_pg_listener_unlisten (world.listener, "none");
  listen (&world, "weather");
  listen (&world, "weather");
  wait_for_listening (&world);
  notify ("news", "three");
  notify ("weather", "fine");
  expect (&world, "weather=fine ");
  g_assert_cmpuint (world.n_lost, ==, 0);
  g_assert_cmpuint (world.n_restarted, ==, 0);

  derate_pg_listener_stop (world.listener);
  g_assert_false (derate_pg_listener_is_listening (world.listener));
  notify ("weather", "bad");
  derate_pg_listener_start (world.listener);
  wait_for_listening (&world);
  g_assert_cmpuint (world.n_restarted, ==, 1);
  notify ("weather", "good");
  expect (&world, "weather=good ");
}

static void
test_refused (void)
{
  g_auto (World) world = { 0 };
  g_autofree char *longest = g_strnfill (63, 'x');
  g_autofree char *longer = g_strnfill (64, 'x');
  g_autoptr (GError) error = NULL;

  world_init (&world, test_servers_get_uri (servers, "postgresql"));
  g_assert_false (derate_pg_listener_listen (world.listener, "", &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_PARAMETER);
  g_clear_error (&error);
  g_assert_false (derate_pg_listener_listen (world.listener, longer, &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_PARAMETER);
  g_assert_nonnull (strstr (error->message, longer));
  g_clear_error (&error);
  listen (&world, longest);
  start (&world);
  notify (longest, "heard");
  g_assert_null (derate_pg_listener_new ("nonsense", NULL, &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_CONFIG);
  while (strstr (world.told->str, "x=heard ") == NULL)
    g_main_context_iteration (NULL, TRUE);
}

/* Killed, and the server stopped and started again. */
static void
test_lost (void)
{
  g_auto (World) world = { 0 };

  world_init (&world, test_servers_get_uri (servers, "postgresql"));
  listen (&world, "news");
  start (&world);
  kill_listener ();
  while (world.n_lost == 0)
    g_main_context_iteration (NULL, TRUE);
  notify ("news", "nobody hears");
  advance_until (&world, &world.n_restarted, 1);
  notify ("news", "heard");
  expect (&world, "news=heard ");

  test_servers_command (servers, "stop", "postgresql");
  advance_until (&world, &world.n_lost, 4);
  g_assert_cmpuint (world.n_restarted, ==, 1);
  test_servers_command (servers, "start", "postgresql");
  advance_until (&world, &world.n_restarted, 2);
  notify ("news", "heard");
  expect (&world, "news=heard ");
}

/* A server that says nothing any more is missed by the second sign of life that does not come. */
static void
test_silent (void)
{
  g_auto (World) world = { 0 };

  world_init (&world, test_servers_get_uri (servers, "postgresql"));
  start (&world);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (world.clock), 30 * S);
  expect (&world, "");
  test_servers_command (servers, "freeze", "postgresql");
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (world.clock), 30 * S);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (world.clock), 5 * S - 1);
  g_assert_cmpuint (world.n_lost, ==, 0);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (world.clock), 1);
  g_assert_cmpuint (world.n_lost, ==, 1);
  test_servers_command (servers, "thaw", "postgresql");
  advance_until (&world, &world.n_restarted, 1);
  expect (&world, "");
}

static void
end_it (DeratePgListener *listener,
        const char *channel,
        const char *payload,
        guint pid,
        World *world)
{
  g_clear_object (&world->listener);
}

static void
stop_it (DeratePgListener *listener,
         const char *channel,
         const char *payload,
         guint pid,
         World *world)
{
  derate_pg_listener_stop (listener);
}

/* A handler may do anything. */
static void
test_handlers (void)
{
  static const GCallback handlers[] = { G_CALLBACK (end_it), G_CALLBACK (stop_it) };

  for (guint i = 0; i < G_N_ELEMENTS (handlers); i++)
    {
      g_auto (World) world = { 0 };

      world_init (&world, test_servers_get_uri (servers, "postgresql"));
      start (&world);
      g_signal_connect (world.listener, "notification", handlers[i], &world);
      pg_execute (servers, "select pg_notify('end', i::text) from generate_series(1, 3) i");
      while (world.told->len == 0)
        g_main_context_iteration (NULL, TRUE);
      g_assert_true (g_str_has_prefix (world.told->str, "end=1 "));
      while (g_main_context_iteration (NULL, FALSE))
        ;
    }
}

/* Its end in the middle of whatever it does. */
static void
test_ends (void)
{
  for (guint i = 0; i < 12; i++)
    {
      g_auto (World) world = { 0 };

      world_init (&world, test_servers_get_uri (servers, "postgresql"));
      listen (&world, "news");
      derate_pg_listener_start (world.listener);
      for (guint j = 0; j < i && !derate_pg_listener_is_listening (world.listener); j++)
        g_main_context_iteration (NULL, TRUE);
      if (i % 2 == 0)
        derate_pg_listener_stop (world.listener);
    }
  while (g_main_context_iteration (NULL, FALSE))
    ;
  pg_expect (servers, "select count(*) from pg_stat_activity where backend_type = 'client backend'",
             "1");
}

int
main (int argc, char *argv[])
{
  int status;

  g_test_init (&argc, &argv, NULL);
  servers = test_servers_new ((const char *const[]){ "postgresql", NULL });

  g_test_add_func ("/pg-listener/channels", test_channels);
  g_test_add_func ("/pg-listener/refused", test_refused);
  g_test_add_func ("/pg-listener/lost", test_lost);
  g_test_add_func ("/pg-listener/silent", test_silent);
  g_test_add_func ("/pg-listener/handlers", test_handlers);
  g_test_add_func ("/pg-listener/ends", test_ends);

  status = g_test_run ();
  test_servers_free (servers);
  return status;
}
