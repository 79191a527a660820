/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The proxy that injures what passes: each fault, as libpq meets it. */
#include <libpq-fe.h>
#include <string.h>
#include <sys/poll.h>
#include <unistd.h>

#include "test-proxy.h"
#include "test-servers.h"

#define PATIENCE_MS 60000 /* with what comes */

static TestServers *servers;

typedef PGconn Session;
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Session, PQfinish)

static TestProxy *
new_proxy (void)
{
  return test_proxy_new_postgresql (test_servers_get_uri (servers, "postgresql"));
}

static gboolean
answers (Session *session)
{
  PGresult *result = PQexec (session, "SELECT 1");
  gboolean good = PQresultStatus (result) == PGRES_TUPLES_OK;

  PQclear (result);
  return good;
}

static void
must_say (Session *session, const char *text)
{
  if (strstr (PQerrorMessage (session), text) == NULL)
    g_error ("“%s” is not in “%s”", text, PQerrorMessage (session));
}

static void
test_whole (void)
{
  g_autoptr (TestProxy) proxy = new_proxy ();
  g_autoptr (Session) session = PQconnectdb (test_proxy_get_uri (proxy));
  g_autofree char *big = g_strnfill (8 << 20, 'x');
  const char *parameters[] = { big };
  PGcancel *cancel = PQgetCancel (session);
  char text[256];
  PGresult *result;

  g_assert_true (answers (session));
  result = PQexecParams (session, "SELECT $1::text", 1, NULL, parameters, NULL, NULL, 0);
  g_assert_cmpstr (PQgetvalue (result, 0, 0), ==, big);
  PQclear (result);
  g_assert_cmpuint (test_proxy_count_open (proxy), ==, 1);
  g_assert_cmpint (PQcancel (cancel, text, sizeof text), ==, 1);
  PQfreeCancel (cancel);
  g_assert_cmpuint (test_proxy_count_accepted (proxy), ==, 2);
  g_assert_cmpuint (test_proxy_count_cancels (proxy), ==, 1);
}

/* Gives up where nothing was heard for so long. */
static Session *
connect_to (const char *uri, int ms)
{
  Session *session = PQconnectStart (uri);
  PostgresPollingStatusType status = PGRES_POLLING_WRITING;

  while (status == PGRES_POLLING_WRITING || status == PGRES_POLLING_READING)
    {
      struct pollfd fd = { PQsocket (session), POLLIN, 0 };

      if (status == PGRES_POLLING_WRITING)
        fd.events = POLLOUT;
      if (poll (&fd, 1, ms) == 0)
        break;
      status = PQconnectPoll (session);
    }
  return session;
}

static void
test_faults (void)
{
  static const struct
  {
    TestProxyFault fault;
    gsize n;
    const char *options;
    const char *says; /* NULL: nothing, for ever */
  } cases[] = {
    { TEST_PROXY_REFUSING, 0, "", "Connection refused" },
    { TEST_PROXY_SILENT, 0, "", NULL },
    { TEST_PROXY_SILENT_AFTER, 20, "", NULL },
    { TEST_PROXY_RESET_AFTER, 20, "", "closed the connection unexpectedly" },
    { TEST_PROXY_TLS_FAILING, 0, "&sslmode=require", "SSL error" },
  };
  g_autoptr (TestProxy) proxy = new_proxy ();

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *uri = g_strconcat (test_proxy_get_uri (proxy), cases[i].options, NULL);
      g_autoptr (Session) bad = NULL;
      g_autoptr (Session) good = NULL;

      test_proxy_set_fault (proxy, cases[i].fault, cases[i].n);
      bad = connect_to (uri, cases[i].says != NULL ? PATIENCE_MS : 100);
      g_assert_cmpint (PQstatus (bad), !=, CONNECTION_OK);
      g_assert_cmpint (PQstatus (bad) == CONNECTION_BAD, ==, cases[i].says != NULL);
      must_say (bad, cases[i].says != NULL ? cases[i].says : "");
      test_proxy_set_fault (proxy, TEST_PROXY_WHOLE, 0);
      good = PQconnectdb (test_proxy_get_uri (proxy));
      g_assert_true (answers (good));
    }
}

static void
test_delay (void)
{
  g_autoptr (TestProxy) proxy = new_proxy ();
  g_autoptr (Session) session = NULL;
  gint64 since = g_get_monotonic_time ();

  test_proxy_set_fault (proxy, TEST_PROXY_DELAY, 120);
  session = PQconnectdb (test_proxy_get_uri (proxy));
  g_assert_true (answers (session));
  g_assert_cmpint (g_get_monotonic_time () - since, >=, 120000);
}

static void
test_deny (void)
{
  g_autoptr (TestProxy) proxy = new_proxy ();
  g_autoptr (Session) session = NULL;

  test_proxy_deny (proxy, "53300", "sorry, too many clients already");
  session = PQconnectdb (test_proxy_get_uri (proxy));
  must_say (session, "FATAL:  sorry, too many clients already");
}

static gboolean
has_news (Session *session, int ms)
{
  struct pollfd fd = { PQsocket (session), POLLIN, 0 };

  return poll (&fd, 1, ms) == 1;
}

static void
test_end (void)
{
  g_autoptr (TestProxy) proxy = new_proxy ();

  for (int how = TEST_PROXY_FIN; how <= TEST_PROXY_HALF_OPEN; how++)
    {
      g_autoptr (Session) session = PQconnectdb (test_proxy_get_uri (proxy));

      g_assert_true (answers (session));
      test_proxy_end (proxy, (TestProxyEnd)how);
      g_assert_cmpint (has_news (session, how == TEST_PROXY_HALF_OPEN ? 100 : PATIENCE_MS), ==,
                       how != TEST_PROXY_HALF_OPEN);
      if (how == TEST_PROXY_HALF_OPEN)
        {
          g_assert_cmpint (PQsendQuery (session, "SELECT 1"), ==, 1);
          g_assert_false (has_news (session, 100));
        }
      else
        g_assert_false (answers (session));
    }
}

static void
test_freeze (void)
{
  g_autoptr (TestProxy) proxy = new_proxy ();
  g_autoptr (Session) session = PQconnectdb (test_proxy_get_uri (proxy));

  test_proxy_freeze (proxy);
  g_assert_cmpint (PQsendQuery (session, "SELECT 1"), ==, 1);
  g_assert_false (has_news (session, 100));
  test_proxy_thaw (proxy);
  g_assert_true (has_news (session, PATIENCE_MS));
}

int
main (int argc, char **argv)
{
  const char *const names[] = { "postgresql", NULL };
  int status;

  g_test_init (&argc, &argv, NULL);
  servers = test_servers_new (names);
  g_test_add_func ("/proxy/whole", test_whole);
  g_test_add_func ("/proxy/faults", test_faults);
  g_test_add_func ("/proxy/delay", test_delay);
  g_test_add_func ("/proxy/deny", test_deny);
  g_test_add_func ("/proxy/end", test_end);
  g_test_add_func ("/proxy/freeze", test_freeze);
  status = g_test_run ();
  test_servers_free (servers);
  return status;
}
