/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "event-client.h"

#include <string.h>

/* /events, to clients that keep their connection. */

#define LEVEL_KEYS                                                                          \
  "level level_value functionality_percent text computed_level rule since inputs flapping " \
  "local_suspect next_tick_seconds features"
#define HOLD_KEYS "id level mode who reason uid since remaining_seconds bound ended"
#define DRILL_KEYS \
  "id service fault rate latency_seconds limit who reason uid since remaining_seconds ended"
#define CLIENTS_MAX 32
#define KEEP_ALIVE (15 * G_TIME_SPAN_SECOND)

static int busy; /* threads */

static void
start (World *world)
{
  derate_http_mount (world->core, world->server, NULL, DERATE_HTTP_ALL);
  world_start (world->core);
}

static char *
take_hold (World *world)
{
  return derate_degradation_manager_hold (derate_core_get_degradation_manager (world->core),
                                          DERATE_LEVEL_MINIMAL, DERATE_HOLD_MODE_AT_LEAST, "ana",
                                          "moving racks", G_TIME_SPAN_MINUTE, NULL);
}

static void
release (World *world, const char *id)
{
  g_autoptr (GError) error = NULL;

  derate_degradation_manager_release (derate_core_get_degradation_manager (world->core), id,
                                      &error);
  g_assert_no_error (error);
}

/* The first thing a client hears is everything, and no more than that. */
static void
test_snapshot (World *world, gconstpointer data)
{
  static const char *const names[] = { "database", "redis", "openai" };
  g_autofree char *id = NULL;
  g_autoptr (EventClient) client = NULL;
  g_autoptr (Answer) level = NULL;
  g_autoptr (Answer) hold = NULL;

  start (world);
  world_fail_calls (world->core, "redis", 5);
  id = take_hold (world);
  client = event_client_new (world, "/events");
  event_client_expect (client, "HTTP/1.1 200 OK\r\n");
  event_client_expect (client, "Content-Type: text/event-stream\r\n");
  event_client_expect (client, "Cache-Control: no-store\r\n");
  event_client_expect (client, "\r\n\r\nretry: 1000\n\n");
  level = event_client_next (client, "level");
  assert_keys (level, "", LEVEL_KEYS);
  assert_json (level, "level", "\"minimal\"");
  assert_json (level, "computed_level", "\"degraded\"");
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autofree char *path = g_strconcat ("/health/", names[i], NULL);
      g_autofree char *name = g_strdup_printf ("{\"name\":\"%s\",", names[i]);
      g_autoptr (Answer) service = event_client_next (client, "service");
      g_autoptr (Answer) same = world_get (world, path);

      g_assert_true (g_str_has_prefix (service->body, name));
      g_assert_cmpstr (service->body + strlen (name), ==, same->body + 1);
    }
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autoptr (Answer) breaker = event_client_next (client, "breaker");
      g_autofree char *name = answer_get (breaker, "name");
      g_autofree char *path =
          g_strdup_printf ("/circuit-breakers/%.*s", (int)strlen (name) - 2, name + 1);
      g_autoptr (Answer) same = world_get (world, path);

      g_assert_cmpstr (breaker->body, ==, same->body);
    }
  hold = event_client_next (client, "hold");
  assert_keys (hold, "", HOLD_KEYS);
  assert_json (hold, "who", "\"ana\"");
  assert_json (hold, "ended", "null");
  g_assert_cmpstr (client->text->str + client->seen, ==, "");
}

static void
test_changes_in_order (World *world, gconstpointer data)
{
  g_autoptr (EventClient) client = NULL;
  g_autoptr (Answer) first = NULL;
  g_autoptr (Answer) second = NULL;
  g_autoptr (Answer) breaker = NULL;
  g_autoptr (Answer) service = NULL;

  start (world);
  client = event_client_new (world, "/events");
  event_client_expect (client, "\"name\":\"openai\",\"state\"");
  event_client_expect (client, "\n\n");
  /* All before the loop turns once: each step is told all the same. */
  world_fail_calls (world->core, "redis", 5);
  world_fail_calls (world->core, "openai", 5);
  first = event_client_next (client, "level");
  assert_json (first, "level", "\"degraded\"");
  assert_json (first, "rule", "\"dependency-down\"");
  assert_json (first, "inputs", "{\"redis\":\"down\"}");
  breaker = event_client_next (client, "breaker");
  assert_json (breaker, "name", "\"redis\"");
  assert_json (breaker, "state", "\"open\"");
  second = event_client_next (client, "level");
  assert_json (second, "level", "\"limited\"");
  assert_json (second, "level_value", "3");
  assert_json (second, "rule", "\"ai-and-cache\"");
  event_client_expect (client, "event: breaker\ndata: {\"name\":\"openai\",\"state\":\"open\"");
  service = event_client_next (client, "service");
  assert_json (service, "name", "\"redis\"");
  assert_json (service, "status", "\"down\"");
  assert_json (service, "cause", "\"breaker-open\"");
  event_client_expect (client, "event: service\ndata: {\"name\":\"openai\",\"status\":\"down\"");
}

static void
test_holds (World *world, gconstpointer data)
{
  g_autoptr (EventClient) client = NULL;
  g_autofree char *id = NULL;
  g_autofree char *quoted = NULL;
  g_autoptr (Answer) taken = NULL;
  g_autoptr (Answer) released = NULL;

  start (world);
  client = event_client_new (world, "/events");
  event_client_expect (client, "\"name\":\"openai\",\"state\"");
  id = take_hold (world);
  quoted = g_strdup_printf ("\"%s\"", id);
  taken = event_client_next (client, "hold");
  assert_keys (taken, "", HOLD_KEYS);
  assert_json (taken, "id", quoted);
  assert_json (taken, "level", "\"minimal\"");
  assert_json (taken, "reason", "\"moving racks\"");
  assert_json (taken, "ended", "null");
  release (world, id);
  released = event_client_next (client, "hold");
  assert_json (released, "id", quoted);
  assert_json (released, "ended", "\"released\"");
}

static void
test_drills (World *world, gconstpointer data)
{
  DerateManualClock *clock = DERATE_MANUAL_CLOCK (world->clock);
  g_autoptr (GError) error = NULL;
  g_autoptr (EventClient) client = NULL;
  g_autoptr (EventClient) late = NULL;
  g_autoptr (Answer) begun = NULL;
  g_autoptr (Answer) again = NULL;
  g_autoptr (Answer) ended = NULL;
  g_autofree char *id = NULL;
  g_autofree char *quoted = NULL;

  start (world);
  client = event_client_new (world, "/events");
  event_client_expect (client, "\"name\":\"openai\",\"state\"");
  id = derate_core_start_drill (world->core, "redis", DERATE_FAULT_KIND_DOWN, 0, G_TIME_SPAN_MINUTE,
                                DERATE_LEVEL_UNKNOWN, "friday", &error);
  g_assert_no_error (error);
  quoted = g_strdup_printf ("\"%s\"", id);
  derate_manual_clock_advance (clock, 0);
  begun = event_client_next (client, "drill");
  assert_keys (begun, "", DRILL_KEYS);
  assert_json (begun, "id", quoted);
  assert_json (begun, "service", "\"redis\"");
  assert_json (begun, "ended", "null");
  late = event_client_new (world, "/events");
  again = event_client_next (late, "drill");
  assert_json (again, "id", quoted);
  derate_manual_clock_advance (clock, G_TIME_SPAN_MINUTE);
  derate_manual_clock_advance (clock, 0);
  ended = event_client_next (client, "drill");
  assert_json (ended, "id", quoted);
  assert_json (ended, "ended", "\"expired\"");
}

/* Who holds and why is not for everybody. */
static void
test_details (World *world, gconstpointer data)
{
  g_autoptr (EventClient) client = NULL;
  g_autofree char *id = NULL;
  g_autofree char *other = NULL;

  derate_http_mount (world->core, world->server, "/out", DERATE_HTTP_ALL & ~DERATE_HTTP_DETAILS);
  world_start (world->core);
  id = take_hold (world);
  client = event_client_new (world, "/out/events");
  event_client_expect (client, "event: hold\n");
  event_client_expect (client, "\n\n");
  other = take_hold (world);
  release (world, other);
  event_client_expect (client, "\"ended\":\"released\"");
  g_assert_null (strstr (client->text->str, "ana"));
  g_assert_null (strstr (client->text->str, "racks"));
  g_assert_nonnull (strstr (client->text->str, "\"who\":null,\"reason\":null,\"uid\":null"));
}

static void
test_keep_alive (World *world, gconstpointer data)
{
  g_autoptr (EventClient) client = NULL;

  start (world);
  client = event_client_new (world, "/events");
  event_client_expect (client, "\"name\":\"openai\",\"state\"");
  event_client_expect (client, "\n\n");
  for (guint i = 0; i < 3; i++)
    {
      derate_manual_clock_advance (DERATE_MANUAL_CLOCK (world->clock), KEEP_ALIVE - 1);
      while (g_main_context_iteration (NULL, FALSE))
        ;
      g_assert_null (strstr (client->text->str + client->seen, "\n:"));
      derate_manual_clock_advance (DERATE_MANUAL_CLOCK (world->clock), 1);
      event_client_expect (client, ":\n\n");
    }
}

static void
test_too_many (World *world, gconstpointer data)
{
  g_autoptr (GPtrArray) clients =
      g_ptr_array_new_with_free_func ((GDestroyNotify)event_client_free);
  g_autoptr (Answer) refused = NULL;
  g_autoptr (EventClient) late = NULL;

  start (world);
  for (guint i = 0; i < CLIENTS_MAX; i++)
    {
      g_ptr_array_add (clients, event_client_new (world, "/events"));
      event_client_expect (clients->pdata[i], "event: level\n");
    }
  refused = world_get (world, "/events");
  g_assert_cmpuint (refused->status, ==, 503);
  assert_json (refused, "error", "\"too many clients of /events\"");
  /* The others are not disturbed, and one that leaves makes room. */
  world_fail_calls (world->core, "redis", 5);
  for (guint i = 0; i < CLIENTS_MAX; i++)
    event_client_expect (clients->pdata[i], "\"rule\":\"dependency-down\"");
  g_ptr_array_set_size (clients, CLIENTS_MAX - 1);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  late = event_client_new (world, "/events");
  event_client_expect (late, "HTTP/1.1 200 OK");
}

/* Everything ends at once, although the clients stay. */
static void
test_stop (World *world, gconstpointer data)
{
  g_autoptr (EventClient) client = NULL;
  g_autoptr (Answer) late = NULL;

  start (world);
  client = event_client_new (world, "/events");
  event_client_expect (client, "event: level\n");
  world_stop (world->core);
  event_client_expect_end (client);
  late = world_get (world, "/events");
  g_assert_cmpuint (late->status, ==, 503);
}

static void
test_unmount (World *world, gconstpointer data)
{
  g_autoptr (EventClient) client = NULL;

  start (world);
  client = event_client_new (world, "/events");
  event_client_expect (client, "event: level\n");
  derate_http_unmount (world->server, NULL);
  event_client_expect_end (client);
}

/* A client begins anew where the services or the breakers are others. */
static void
test_others (World *world, gconstpointer data)
{
  g_autoptr (DerateService) service = NULL;
  g_autoptr (EventClient) old = NULL;
  g_autoptr (EventClient) fresh = NULL;
  g_autoptr (GError) error = NULL;

  start (world);
  old = event_client_new (world, "/events");
  event_client_expect (old, "event: level\n");
  service = derate_service_new ("billing", DERATE_SERVICE_ROLE_NONE, world->clock);
  g_assert_true (derate_core_add_service (world->core, service, &error));
  g_assert_no_error (error);
  event_client_expect_end (old);
  fresh = event_client_new (world, "/events");
  event_client_expect (fresh, "event: service\ndata: {\"name\":\"billing\"");
}

/* More than is kept for a loop that does not turn. */
static void
test_stuck_loop (World *world, gconstpointer data)
{
  g_autoptr (EventClient) client = NULL;
  g_autoptr (EventClient) fresh = NULL;

  start (world);
  client = event_client_new (world, "/events");
  event_client_expect (client, "\"name\":\"openai\",\"state\"");
  for (guint i = 0; i < 200; i++)
    {
      g_autofree char *id = take_hold (world);

      release (world, id);
    }
  event_client_expect_end (client);
  g_assert_cmpuint (client->text->len, <, 80 * 1024);
  fresh = event_client_new (world, "/events");
  event_client_expect (fresh, "event: level\ndata: {\"level\":");
}

static gpointer
fail_redis (gpointer core)
{
  world_fail_calls (core, "redis", 5);
  return NULL;
}

static void
test_other_thread (World *world, gconstpointer data)
{
  g_autoptr (EventClient) client = NULL;
  GThread *thread;

  start (world);
  client = event_client_new (world, "/events");
  event_client_expect (client, "\"name\":\"openai\",\"state\"");
  thread = g_thread_new ("caller", fail_redis, world->core);
  event_client_expect (client, "\"rule\":\"dependency-down\"");
  event_client_expect (client, "\"name\":\"redis\",\"state\":\"open\"");
  g_thread_join (thread);
}

/* What operators and calls do, all at once. */
static gpointer
do_things (gpointer data)
{
  World *world = data;
  g_autoptr (DerateBreaker) breaker = derate_core_lookup_breaker (world->core, "redis");

  for (guint i = 0; i < 50; i++)
    {
      g_autofree char *id = take_hold (world);

      derate_breaker_trip (breaker, NULL);
      derate_breaker_close (breaker);
      if (id != NULL)
        release (world, id);
    }
  g_atomic_int_add (&busy, -1);
  return NULL;
}

/* Clients come and go meanwhile; the last one hears how it is in the end. */
static void
test_threads (World *world, gconstpointer data)
{
  g_autoptr (EventClient) last = NULL;
  g_autoptr (Answer) level = NULL;
  GThread *threads[4];

  start (world);
  g_atomic_int_set (&busy, G_N_ELEMENTS (threads));
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("operator", do_things, world);
  while (g_atomic_int_get (&busy) > 0)
    {
      g_autoptr (EventClient) client = event_client_new (world, "/events");

      event_client_expect (client, "event: level\n");
      for (guint i = 0; i < 20; i++)
        g_main_context_iteration (NULL, FALSE);
    }
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  last = event_client_new (world, "/events");
  level = event_client_next (last, "level");
  assert_json (level, "computed_level", "\"optimal\"");
  event_client_expect (last, "{\"name\":\"redis\",\"state\":\"closed\"");
}

static void
test_methods (World *world, gconstpointer data)
{
  g_autoptr (Answer) head = NULL;
  g_autoptr (Answer) post = NULL;
  g_autoptr (Answer) deeper = NULL;

  start (world);
  head = world_ask (world, SOUP_METHOD_HEAD, "/events");
  g_assert_cmpuint (head->status, ==, 200);
  g_assert_cmpstr (head->type, ==, "text/event-stream");
  post = world_ask (world, SOUP_METHOD_POST, "/events");
  g_assert_cmpuint (post->status, ==, 405);
  deeper = world_get (world, "/events/x");
  g_assert_cmpuint (deeper->status, ==, 404);
}

static void
add (const char *path, void (*func) (World *, gconstpointer))
{
  g_test_add (path, World, NULL, world_set_up, func, world_tear_down);
}

/* Derate warns of what these tests do to it, in several threads; what must not be ends the test. */
static GLogWriterOutput
write_critical (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer data)
{
  if ((level & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL)) == 0)
    return G_LOG_WRITER_HANDLED;
  return g_log_writer_default (level, fields, n_fields, data);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_log_set_always_fatal (G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL);
  g_log_set_writer_func (write_critical, NULL, NULL);
  add ("/http/events/snapshot", test_snapshot);
  add ("/http/events/changes-in-order", test_changes_in_order);
  add ("/http/events/holds", test_holds);
  add ("/http/events/drills", test_drills);
  add ("/http/events/details", test_details);
  add ("/http/events/keep-alive", test_keep_alive);
  add ("/http/events/too-many", test_too_many);
  add ("/http/events/stop", test_stop);
  add ("/http/events/unmount", test_unmount);
  add ("/http/events/others", test_others);
  add ("/http/events/stuck-loop", test_stuck_loop);
  add ("/http/events/other-thread", test_other_thread);
  add ("/http/events/threads", test_threads);
  add ("/http/events/methods", test_methods);
  return g_test_run ();
}
