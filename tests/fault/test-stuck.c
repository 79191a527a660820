/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A program whose services are stuck. Backends are real, frozen with all their descendants; the
 * name server that never answers is our own getaddrinfo (), which stands before libc's, so that
 * GLib's threaded resolver waits in it as it would for the network. The program's loop must go on,
 * and so must work of its own that it gives to GTask's threads. */
#define _GNU_SOURCE /* RTLD_NEXT */
#include "test-check.h"
#include "test-servers.h"
#include "test-tickers.h"

#include <dlfcn.h>
#include <netdb.h>
#include <string.h>

#define STUCK_MS 1500
#define PROBE_MS 20
#define SILENT ".silent.example"
#define NOWHERE ".nowhere.example"
#define FAILING ".failing.example"

static TestServers *servers;
static int look_ups; /* that wait for an answer */

typedef int (*GetAddrInfo) (const char *,
                            const char *,
                            const struct addrinfo *,
                            struct addrinfo **);

/* Shown to the libraries: see meson.build. */
__attribute__ ((visibility ("default"))) int
getaddrinfo (const char *node,
             const char *service,
             const struct addrinfo *hints,
             struct addrinfo **found)
{
  GetAddrInfo real = (GetAddrInfo)dlsym (RTLD_NEXT, "getaddrinfo");
  GMutex mutex;
  GCond never;

  if (node != NULL && g_str_has_suffix (node, NOWHERE))
    return EAI_NONAME;
  if (node != NULL && g_str_has_suffix (node, FAILING))
    return EAI_AGAIN;
  if (node == NULL || !g_str_has_suffix (node, SILENT))
    return real (node, service, hints, found);
  g_atomic_int_inc (&look_ups);
  g_mutex_init (&mutex);
  g_cond_init (&never);
  g_mutex_lock (&mutex);
  while (TRUE)
    g_cond_wait (&never, &mutex);
}

/* How long work given to GTask's threads waits before it runs; like TestLag without the time in
 * which the thread could run but another had the processor. Only one is under way at a time. */
typedef struct
{
  GSource *source;
  gboolean under_way;
  gint64 started;
  gint64 worst;
  guint count;
} Probe;

static void
probe_work (GTask *task, gpointer source, gpointer task_data, GCancellable *cancellable)
{
  static GPrivate last_wait = G_PRIVATE_INIT (g_free);
  gint64 now = g_get_monotonic_time ();
  gint64 *last = g_private_get (&last_wait);
  gint64 waited = test_lag_read_wait ();
  gint64 late = now - *(gint64 *)task_data - (waited - (last != NULL ? *last : 0));

  g_private_replace (&last_wait, g_memdup2 (&waited, sizeof waited));
  g_task_return_int (task, MAX (late, 0));
}

static void
probe_over (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Probe *probe = user_data;
  gint64 late = g_task_propagate_int (G_TASK (result), NULL);

  probe->worst = MAX (probe->worst, late);
  probe->under_way = FALSE;
  probe->count++;
}

static gboolean
probe_start (gpointer user_data)
{
  Probe *probe = user_data;
  g_autoptr (GTask) task = NULL;

  if (probe->under_way)
    return G_SOURCE_CONTINUE;
  probe->under_way = TRUE;
  probe->started = g_get_monotonic_time ();
  task = g_task_new (NULL, NULL, probe_over, probe);
  g_task_set_task_data (task, g_memdup2 (&probe->started, sizeof probe->started), g_free);
  g_task_run_in_thread (task, probe_work);
  return G_SOURCE_CONTINUE;
}

static Probe *
probe_new (void)
{
  Probe *probe = g_new0 (Probe, 1);

  probe->source = g_timeout_source_new (PROBE_MS);
  g_source_set_callback (probe->source, probe_start, probe, NULL);
  g_source_attach (probe->source, NULL);
  return probe;
}

/* Gives the worst, in microseconds. */
static gint64
probe_stop (Probe *probe)
{
  gint64 worst;

  g_source_destroy (probe->source);
  g_source_unref (probe->source);
  while (probe->under_way)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (probe->count, >, 0);
  worst = probe->worst;
  g_free (probe);
  return worst;
}

/* The instruments see what they are there to see. */
static void
test_blocked_loop (void)
{
  TestLag *lag = test_lag_start (NULL);

  test_run_for (NULL, 50);
  g_usleep (2 * TEST_LAG_MAX);
  g_assert_cmpint (test_lag_stop (lag), >, TEST_LAG_MAX);
}

static void
hold_thread (GTask *task, gpointer source, gpointer task_data, GCancellable *cancellable)
{
  g_usleep (4 * TEST_LAG_MAX);
}

static void
test_blocked_threads (void)
{
  Probe *probe;

  for (guint i = 0; i < 40; i++)
    {
      g_autoptr (GTask) task = g_task_new (NULL, NULL, NULL, NULL);

      g_task_run_in_thread (task, hold_thread);
    }
  probe = probe_new ();
  test_run_for (NULL, 100);
  g_assert_cmpint (probe_stop (probe), >, TEST_LAG_MAX);
}

#define CHECKED "check-interval=200ms\ncheck-fast-interval=200ms\ncheck-timeout=150ms\n"

static char *
service_group (const char *plugin, const char *uri, const char *more)
{
  return g_strdup_printf ("[service %s]\nplugin=%s\nuri=%s\n%s" CHECKED, plugin, plugin, uri, more);
}

/* A check and the server that it looks at. */
typedef struct
{
  const char *plugin;
  const char *server;
  const char *scheme; /* instead of the one of the server's URI; NULL: that one */
  const char *more; /* of its group */
} Watched;

static const Watched watched[] = {
  { "postgresql", "postgresql", NULL, "" },
  { "redis", "redis", NULL, "" },
  { "s3", "s3", NULL, "" },
  { "openai", "openai", NULL, "" },
  { "http", "apache", NULL, "" },
  /* Who only knocks is let in by the kernel of a frozen server. */
  { "tcp", "redis", "tcp", "check-send=PING\\r\\n\ncheck-expect=PONG\n" },
};

static char *
watched_group (const Watched *it)
{
  const char *uri = test_servers_get_uri (servers, it->server);
  g_autofree char *changed =
      it->scheme != NULL ? g_strconcat (it->scheme, strstr (uri, "://"), NULL) : g_strdup (uri);

  return service_group (it->plugin, changed, it->more);
}

static void
take_result (GObject *source, GAsyncResult *result, gpointer user_data)
{
  *(GAsyncResult **)user_data = g_object_ref (result);
}

static DerateCore *
start_core (const char *services)
{
  g_autofree char *text = g_strconcat ("[derate]\nname=stuck\n", services, NULL);
  g_autoptr (DerateConfig) config = NULL;
  g_autoptr (DerateCore) core = NULL;
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;

  config = derate_config_new_from_data (text, "stuck.conf", &error);
  g_assert_no_error (error);
  core = derate_core_new_from_config (config, derate_clock_get_system (), &error);
  g_assert_no_error (error);
  derate_core_start_async (core, NULL, take_result, &result);
  while (result == NULL)
    g_main_context_iteration (NULL, TRUE);
  derate_core_start_finish (core, result, &error);
  g_assert_no_error (error);
  return g_steal_pointer (&core);
}

static void
stop_core (DerateCore *core)
{
  g_autoptr (GAsyncResult) result = NULL;

  derate_core_stop_async (core, NULL, take_result, &result);
  while (result == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_true (derate_core_stop_finish (core, result, NULL));
  g_object_unref (core);
}

static void
wait_for_status (DerateCore *core, const char *name, DerateHealthStatus status)
{
  g_autoptr (DerateService) service = derate_core_lookup_service (core, name);

  g_assert_nonnull (service);
  while (derate_service_get_status (service) != status)
    test_run_for (NULL, 10);
}

static void
assert_timed_out (DerateCore *core, const char *name)
{
  g_autoptr (DerateService) service = derate_core_lookup_service (core, name);

  g_assert_cmpint (derate_service_get_status (service), ==, DERATE_HEALTH_STATUS_DOWN);
  g_assert_cmpint (derate_service_get_cause (service), ==, DERATE_HEALTH_CAUSE_TIMEOUT);
}

/* For a while: neither the loop nor work in threads is later than a loop beside them. */
static gboolean
goes_on (DerateCore *core, const char *name)
{
  TestTickers *tickers = test_tickers_start ();
  Probe *probe = probe_new ();
  gint64 work, own, bystander;

  wait_for_status (core, name, DERATE_HEALTH_STATUS_DOWN);
  test_run_for (NULL, STUCK_MS);
  work = probe_stop (probe);
  test_tickers_stop (tickers, &own, &bystander);
  g_test_message ("work waited %" G_GINT64_FORMAT " µs, the loop %" G_GINT64_FORMAT
                  " µs, one beside it %" G_GINT64_FORMAT " µs",
                  work, own, bystander);
  return MAX (work, own) < TEST_LAG_MAX + bystander;
}

/* Lets the program live beside a stuck service, which it finds to be down. */
static void
live_beside (DerateCore *core, const char *name)
{
  gboolean in_time = FALSE;

  for (guint i = 0; i < TEST_LAG_ATTEMPTS && !in_time; i++)
    in_time = goes_on (core, name);
  g_assert_true (in_time);
  assert_timed_out (core, name);
}

static void
test_frozen (gconstpointer data)
{
  const Watched *it = data;
  g_autofree char *group = watched_group (it);
  DerateCore *core = start_core (group);

  wait_for_status (core, it->plugin, DERATE_HEALTH_STATUS_HEALTHY);
  test_servers_command (servers, "freeze", it->server);
  live_beside (core, it->plugin);
  test_servers_command (servers, "thaw", it->server);
  wait_for_status (core, it->plugin, DERATE_HEALTH_STATUS_HEALTHY);
  stop_core (core);
}

/* Frozen before anything is connected. */
static void
test_frozen_first (gconstpointer data)
{
  const Watched *it = data;
  g_autofree char *group = watched_group (it);
  DerateCore *core;

  test_servers_command (servers, "freeze", it->server);
  core = start_core (group);
  live_beside (core, it->plugin);
  stop_core (core);
  test_servers_command (servers, "thaw", it->server);
}

static const struct
{
  const char *plugin;
  const char *uri;
} nameless[] = {
  { "postgresql", "postgresql://u@db" SILENT "/shop" },
  { "redis", "redis://cache" SILENT },
  { "s3", "s3://uploads?endpoint=http://store" SILENT },
  { "openai", "http://ai" SILENT "/v1" },
  { "http", "http://web" SILENT "/health" },
  { "tcp", "tcp://mail" SILENT ":25" },
};

static void
test_name_server (void)
{
  g_autoptr (GString) groups = g_string_new (NULL);
  DerateCore *core;

  for (guint i = 0; i < G_N_ELEMENTS (nameless); i++)
    {
      g_autofree char *group = service_group (nameless[i].plugin, nameless[i].uri, "");

      g_string_append (groups, group);
    }
  core = start_core (groups->str);
  for (guint i = 0; i < G_N_ELEMENTS (nameless); i++)
    live_beside (core, nameless[i].plugin);
  /* Each was asked often by now, and still waits in one thread. */
  g_assert_cmpint (g_atomic_int_get (&look_ups), ==, G_N_ELEMENTS (nameless));
  stop_core (core);
}

/* clang-format off */
static const struct
{
  const char *plugin;
  const char *uri;
  DerateHealthCause cause;
} unnamed[] = {
  { "http", "http://web" NOWHERE "/health", DERATE_HEALTH_CAUSE_CONFIG },
  { "http", "http://web" FAILING "/health", DERATE_HEALTH_CAUSE_TIMEOUT },
  { "tcp", "tcp://mail" NOWHERE ":25", DERATE_HEALTH_CAUSE_CONFIG },
  { "tcp", "tcp://mail" FAILING ":25", DERATE_HEALTH_CAUSE_TIMEOUT },
};
/* clang-format on */

/* A name that does not exist is set up wrongly; a name server that fails is one that is late. */
static void
test_no_name (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (unnamed); i++)
    {
      g_autoptr (DerateHealthCheck) check =
          test_check_new (unnamed[i].plugin, "uri", unnamed[i].uri, NULL);

      g_free (test_check_expect (check, DERATE_HEALTH_STATUS_DOWN, unnamed[i].cause));
    }
}

/* The same with the checks in the program's own loop. */
static void
test_name_server_in_loop (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (nameless); i++)
    {
      g_autoptr (DerateHealthCheck) check =
          test_check_new (nameless[i].plugin, "uri", nameless[i].uri, NULL);
      gint64 work = TEST_LAG_MAX;

      for (guint n = 0; n < 2 || (n < TEST_LAG_ATTEMPTS && work >= TEST_LAG_MAX); n++)
        {
          Probe *probe = probe_new ();

          test_check_hangs (check);
          work = probe_stop (probe);
        }
      g_assert_cmpint (work, <, TEST_LAG_MAX);
    }
  g_assert_cmpint (g_atomic_int_get (&look_ups), ==, G_N_ELEMENTS (nameless));
}

int
main (int argc, char *argv[])
{
  const char *const names[] = { "postgresql", "redis", "s3", "openai", "apache", NULL };
  int status;

  g_test_init (&argc, &argv, NULL);
  /* A service that goes down is a warning, and here it is what must happen. */
  g_log_set_always_fatal (G_LOG_LEVEL_CRITICAL | G_LOG_FATAL_MASK);
  g_setenv ("AWS_ACCESS_KEY_ID", "derate", TRUE);
  g_setenv ("AWS_SECRET_ACCESS_KEY", "derate-example-secret", TRUE);
  g_setenv ("OPENAI_API_KEY", "derate-example-key", TRUE);
  servers = test_servers_new (names);

  g_test_add_func ("/stuck/instruments/blocked-loop", test_blocked_loop);
  g_test_add_func ("/stuck/instruments/blocked-threads", test_blocked_threads);
  for (guint i = 0; i < G_N_ELEMENTS (watched); i++)
    {
      g_autofree char *path = g_strconcat ("/stuck/frozen/", watched[i].plugin, NULL);
      g_autofree char *first = g_strconcat ("/stuck/frozen-first/", watched[i].plugin, NULL);

      g_test_add_data_func (path, &watched[i], test_frozen);
      g_test_add_data_func (first, &watched[i], test_frozen_first);
    }
  g_test_add_func ("/stuck/name-server/no-name", test_no_name);
  g_test_add_func ("/stuck/name-server/core", test_name_server);
  g_test_add_func ("/stuck/name-server/in-loop", test_name_server_in_loop);

  status = g_test_run ();
  test_servers_free (servers);
  return status;
}
