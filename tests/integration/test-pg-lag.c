/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the loop of a program feels of whatever happens to its database: nothing. Callers ask a pool
 * again and again, before, during and after each fault, one opens sessions of its own in the very
 * loop, and the loop may be 20 ms late beyond what one beside it is that has nothing to do. */
#define _GNU_SOURCE /* RTLD_NEXT */
#include "pg-load.h"
#include "test-proxy.h"
#include "test-tickers.h"

#include <dlfcn.h>
#include <libpq-fe.h>
#include <netdb.h>

#define LIMIT (20 * MS)
#define ATTEMPTS \
  10 /* a machine with much to do makes any loop late; what blocks does so each time */
#define N_CALLERS 8
#define FAULT_MS 700
#define SILENT_NAME "database.silent.example"

/* The system's, but for one name, of which the resolver hears nothing for a while. */
int
getaddrinfo (const char *node,
             const char *service,
             const struct addrinfo *hints,
             struct addrinfo **found)
{
  static int (*real) (const char *, const char *, const struct addrinfo *, struct addrinfo **);

  if (g_strcmp0 (node, SILENT_NAME) == 0)
    {
      g_usleep (1500 * MS);
      return EAI_AGAIN;
    }
  if (g_atomic_pointer_get (&real) == NULL)
    g_atomic_pointer_set (&real, dlsym (RTLD_NEXT, "getaddrinfo"));
  return real (node, service, hints, found);
}

static TestProxy *proxy;
static GPtrArray *fillers; /* (element-type PGconn) */

/* Faults, each in a thread of its own: to bring them about may take long. */

static void
command (const char *verb)
{
  test_servers_command (pg_world_get_servers (), verb, "postgresql");
}

static void
stop (void)
{
  command ("stop");
}

static void
start (void)
{
  command ("start");
}

static void
freeze (void)
{
  command ("freeze");
}

static void
thaw (void)
{
  command ("thaw");
}

static void
refuse (void)
{
  test_proxy_set_fault (proxy, TEST_PROXY_REFUSING, 0);
  test_proxy_end (proxy, TEST_PROXY_FIN);
}

static void
half_open (void)
{
  test_proxy_set_fault (proxy, TEST_PROXY_SILENT, 0);
  test_proxy_end (proxy, TEST_PROXY_HALF_OPEN);
}

static void
fail_tls (void)
{
  test_proxy_set_fault (proxy, TEST_PROXY_TLS_FAILING, 0);
  test_proxy_end (proxy, TEST_PROXY_FIN);
}

static void
heal (void)
{
  test_proxy_set_fault (proxy, TEST_PROXY_WHOLE, 0);
}

/* How many there were. */
static int
kill_sessions (PGconn *by)
{
  PGresult *result = PQexec (by, "select pg_terminate_backend(pid) from pg_stat_activity "
                                 "where application_name like 'pool-%'");
  int n = PQntuples (result);

  PQclear (result);
  return n;
}

/* Takes every session that the server has to give, those of the pool as well. One that was killed
 * keeps its room for a moment. */
static void
fill_up (void)
{
  guint n_full = 0;

  fillers = g_ptr_array_new_with_free_func ((GDestroyNotify)PQfinish);
  while (n_full < 5)
    {
      PGconn *filler = PQconnectdb (pg_world_get_uri ());

      if (PQstatus (filler) == CONNECTION_OK)
        g_ptr_array_add (fillers, filler);
      else
        {
          PQfinish (filler);
          n_full = kill_sessions (g_ptr_array_index (fillers, 0)) == 0 ? n_full + 1 : 0;
          g_usleep (20 * MS);
        }
    }
}

static void
empty (void)
{
  g_clear_pointer (&fillers, g_ptr_array_unref);
}

static void
kill_again_and_again (void)
{
  PGconn *killer = PQconnectdb (pg_world_get_uri ());

  for (guint i = 0; i < 10; i++)
    {
      kill_sessions (killer);
      g_usleep (20 * MS);
    }
  PQfinish (killer);
}

static const struct
{
  const char *name;
  void (*injure) (void);
  void (*heal) (void);
  const char *sql;
  const char *tls;
} faults[] = {
  { "stopped", stop, start, "select 1", "disable" },
  { "frozen", freeze, thaw, "select 1", "disable" },
  { "refusing", refuse, heal, "select 1", "disable" },
  { "max-connections", fill_up, empty, "select 1", "disable" },
  { "half-open", half_open, heal, "select 1", "disable" },
  { "tls-failing", fail_tls, heal, "select 1", "prefer" },
  { "killed-mid-query", kill_again_and_again, heal, "select pg_sleep(0.05)", "disable" },
};

/* Time passes for the loop, which has nothing of ours to do. */

static gboolean
set_flag (gpointer data)
{
  *(gboolean *)data = TRUE;
  return G_SOURCE_REMOVE;
}

static void
turn_until (gboolean *flag)
{
  while (!*flag)
    g_main_context_iteration (NULL, TRUE);
}

static void
turn_for (guint ms)
{
  gboolean is_over = FALSE;

  g_timeout_add (ms, set_flag, &is_over);
  turn_until (&is_over);
}

typedef struct
{
  void (*func) (void);
  gboolean is_done;
} Errand;

static gpointer
run_errand (gpointer data)
{
  Errand *errand = data;

  errand->func ();
  g_idle_add (set_flag, &errand->is_done);
  return NULL;
}

static void
run_beside (void (*func) (void))
{
  Errand errand = { func, FALSE };
  GThread *thread = g_thread_new ("errand", run_errand, &errand);

  turn_until (&errand.is_done);
  g_thread_join (thread);
}

static void
turn_until_answered (PgLoad *load)
{
  guint wanted = load->n_answers + 2 * N_CALLERS;

  for (gint64 end = g_get_monotonic_time () + 100 * S; load->n_answers < wanted;)
    {
      g_assert_cmpint (g_get_monotonic_time (), <, end);
      g_main_context_iteration (NULL, TRUE);
    }
}

static void
turn_until_told (PgLoad *load, guint n_errors)
{
  for (gint64 end = g_get_monotonic_time () + 100 * S; pg_load_count_errors (load) < n_errors;)
    {
      g_assert_cmpint (g_get_monotonic_time (), <, end);
      g_main_context_iteration (NULL, TRUE);
    }
}

static gboolean
is_in_time (const char *name, gint64 own, gint64 bystander, const char *told)
{
  g_test_message ("%-18s %8.1f ms %10.1f ms  %s", name, (double)own / MS, (double)bystander / MS,
                  told);
  return own < LIMIT + bystander;
}

/* Fails where the loop was late each time. */
static void
try_often (const char *name, gboolean (*try) (gconstpointer), gconstpointer data)
{
  for (guint i = 0; i < ATTEMPTS; i++)
    if (try (data))
      return;
  g_error ("%s: the loop was late by more than %d ms each time", name, (int)(LIMIT / MS));
}

static DeratePgPool *
new_pool (const char *uri)
{
  return pg_world_pool_at (uri, "min-size", 2, "max-size", 6, "acquire-timeout", 300 * MS,
                           "connect-timeout", 500 * MS, "query-timeout", 400 * MS,
                           "validation-timeout", 300 * MS, "validate-after", 100 * MS, NULL);
}

static gboolean
try_fault (gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);
  g_autofree char *uri = g_strdup_printf ("postgresql://derate@127.0.0.1:%u/shop?connect_timeout=1"
                                          "&sslmode=%s",
                                          test_proxy_get_port (proxy), faults[i].tls);
  PgLoad load = { .pool = new_pool (uri), .uri = uri, .sql = faults[i].sql };
  g_autofree char *told = NULL;
  TestTickers *tickers;
  gint64 own, bystander;

  tickers = test_tickers_start ();
  pg_load_start (&load, N_CALLERS);
  turn_until_answered (&load);
  run_beside (faults[i].injure);
  turn_for (FAULT_MS);
  turn_until_told (&load, 1);
  run_beside (faults[i].heal);
  turn_until_answered (&load);
  told = pg_load_stop (&load);
  test_tickers_stop (tickers, &own, &bystander);
  pg_world_end (load.pool);
  return is_in_time (faults[i].name, own, bystander, told);
}

static void
test_fault (gconstpointer data)
{
  proxy = test_proxy_new_postgresql (pg_world_get_uri ());
  try_often (faults[GPOINTER_TO_UINT (data)].name, try_fault, data);
  g_clear_pointer (&proxy, test_proxy_free);
}

static gboolean
try_silent_dns (gconstpointer data)
{
  const char *uri = "postgresql://derate@" SILENT_NAME "/shop?sslmode=disable";
  PgLoad load = { .pool = new_pool (uri), .uri = uri, .sql = "select 1" };
  g_autofree char *told = NULL;
  TestTickers *tickers = test_tickers_start ();
  gint64 own, bystander;

  pg_load_start (&load, N_CALLERS);
  turn_until_told (&load, 2 * N_CALLERS); /* each in 300 ms */
  told = pg_load_stop (&load);
  test_tickers_stop (tickers, &own, &bystander);
  pg_world_end (load.pool);
  return is_in_time ("silent-dns", own, bystander, told);
}

static void
test_silent_dns (void)
{
  try_often ("silent-dns", try_silent_dns, NULL);
}

/* One call with much to send or to receive, whose values are the test's to make and to free. */
typedef struct
{
  const char *name;
  const char *sql;
  GVariant *parameters;
} Big;

static gboolean
try_big (gconstpointer data)
{
  const Big *big = data;
  PgLoad load = { .sql = big->sql, .parameters = big->parameters };
  g_autofree char *told = NULL;
  TestTickers *tickers;
  gint64 own, bystander;

  load.pool = pg_world_pool ("query-timeout", (gint64)0, NULL);
  pg_world_open (load.pool);
  tickers = test_tickers_start ();
  pg_load_start (&load, 1);
  load.is_over = TRUE;
  told = pg_load_stop (&load);
  turn_for (100); /* what is freed */
  test_tickers_stop (tickers, &own, &bystander);
  g_assert_cmpuint (load.n_answers, ==, 1);
  pg_world_end (load.pool);
  return is_in_time (big->name, own, bystander, told);
}

static void
test_big_parameter (void)
{
  gsize size = 64 << 20;
  char *text = g_strnfill (size, 'x');
  g_autoptr (GVariant) tuple = g_variant_ref_sink (
      g_variant_new_from_data (G_VARIANT_TYPE ("(s)"), text, size + 1, TRUE, g_free, text));
  Big big = { "64-mib-parameter", "select length($1)", tuple };

  try_often (big.name, try_big, &big);
}

static void
test_big_result (void)
{
  Big big = { "1000000-rows", "select n, 'row ' || n from generate_series(1, 1000000) n", NULL };

  try_often (big.name, try_big, &big);
}

int
main (int argc, char **argv)
{
  pg_world_start (&argc, &argv);
  for (guint i = 0; i < G_N_ELEMENTS (faults); i++)
    {
      g_autofree char *path = g_strconcat ("/pg-lag/", faults[i].name, NULL);

      g_test_add_data_func (path, GUINT_TO_POINTER (i), test_fault);
    }
  g_test_add_func ("/pool/trap/04-silent-dns", test_silent_dns);
  g_test_add_func ("/pg-lag/64-mib-parameter", test_big_parameter);
  g_test_add_func ("/pg-lag/1000000-rows", test_big_result);
  g_test_message ("%-18s %11s %13s  %s", "fault", "largest gap", "a bystander's",
                  "what callers were told");
  return pg_world_run_tests ();
}
