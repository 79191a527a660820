/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Several hosts: nobody, a standby and its primary. */
#include "pg-client.h"

#include <string.h>

#include "test-proxy.h"

static TestServers *servers;
static TestProxy *closed, *standby, *primary;

static DeratePgConnection *
open_hosts (const char *order, const char *options, GError **error)
{
  g_autoptr (GString) uri = g_string_new ("postgresql://derate@");

  for (; *order != '\0'; order++)
    {
      TestProxy *proxy = *order == 'c' ? closed : *order == 's' ? standby : primary;

      g_string_append_printf (uri, "127.0.0.1:%u%s", test_proxy_get_port (proxy),
                              order[1] != '\0' ? "," : "");
    }
  g_string_append_printf (uri, "/shop?sslmode=disable%s", options);
  return pg_try_open (uri->str, NULL, error);
}

/* “refused” and what else stands there, by who it is. */
static void
assert_told (const char *text, TestProxy *proxy, const char *reason)
{
  g_autofree char *wanted =
      g_strdup_printf ("127.0.0.1:%u: %s", test_proxy_get_port (proxy), reason);

  if (text == NULL || strstr (text, wanted) == NULL)
    g_error ("“%s” is not in “%s”", wanted, text);
}

typedef struct
{
  const char *order;
  const char *attrs;
  char chosen; /* 0: nobody */
} Choice;

static const Choice choices[] = {
  { "csp", "any", 's' },       { "csp", "read-write", 'p' },     { "csp", "primary", 'p' },
  { "cps", "read-only", 's' }, { "cps", "standby", 's' },        { "cps", "prefer-standby", 's' },
  { "cp", "standby", 0 },      { "cp", "prefer-standby", 'p' },  { "cs", "read-write", 0 },
  { "cs", "primary", 0 },      { "spc", "prefer-standby", 's' }, { "c", "any", 0 },
};

static void
test_choice (gconstpointer data)
{
  const Choice *choice = data;
  g_autofree char *options = g_strconcat ("&target_session_attrs=", choice->attrs, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (DeratePgConnection) session = open_hosts (choice->order, options, &error);

  if (choice->chosen == 0)
    {
      g_assert_null (session);
      g_assert_nonnull (error);
      if (choice->order[1] != '\0')
        assert_told (error->message, closed, "Connection refused");
      return;
    }
  g_assert_no_error (error);
  g_assert_cmpint (derate_pg_connection_is_standby (session), ==, choice->chosen == 's');
}

/* Behaviour 19. */
static void
test_reported (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DeratePgConnection) session =
      open_hosts ("csp", "&target_session_attrs=read-write", &error);
  g_autoptr (DeratePgConnection) first = NULL;
  g_autoptr (DeratePgConnection) none = NULL;

  g_assert_no_error (error);
  g_assert_false (derate_pg_connection_is_read_only (session));
  assert_told (derate_pg_connection_get_passed_over (session), closed, "Connection refused");
  assert_told (derate_pg_connection_get_passed_over (session), standby, "it is a standby");
  first = open_hosts ("p", "", &error);
  g_assert_no_error (error);
  g_assert_null (derate_pg_connection_get_passed_over (first));
  none = open_hosts ("cs", "&target_session_attrs=read-write", &error);
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_READ_ONLY);
  assert_told (error->message, closed, "Connection refused");
  assert_told (error->message, standby, "it is a standby");
}

/* A host that says nothing takes its own limit, not that of the next, which is there after it. */
static void
test_silent (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DeratePgConnection) session = NULL;

  test_proxy_set_fault (closed, TEST_PROXY_SILENT, 0);
  session = open_hosts ("cp", "&connect_timeout=1", &error);
  test_proxy_set_fault (closed, TEST_PROXY_REFUSING, 0);
  g_assert_no_error (error);
  assert_told (derate_pg_connection_get_passed_over (session), closed, "no answer in time");
}

int
main (int argc, char **argv)
{
  const char *const names[] = { "postgresql", "standby", NULL };
  int status;

  g_test_init (&argc, &argv, NULL);
  servers = test_servers_new (names);
  primary = test_proxy_new_postgresql (test_servers_get_uri (servers, "postgresql"));
  standby = test_proxy_new_postgresql (test_servers_get_uri (servers, "standby"));
  closed = test_proxy_new_postgresql (test_servers_get_uri (servers, "postgresql"));
  test_proxy_set_fault (closed, TEST_PROXY_REFUSING, 0);
  for (gsize i = 0; i < G_N_ELEMENTS (choices); i++)
    {
      g_autofree char *path =
          g_strdup_printf ("/pg-hosts/choice/%s/%s", choices[i].attrs, choices[i].order);

      g_test_add_data_func (path, &choices[i], test_choice);
    }
  g_test_add_func ("/pool/behaviour/19-hosts", test_reported);
  g_test_add_func ("/pg-hosts/silent", test_silent);
  status = g_test_run ();
  test_proxy_free (closed);
  test_proxy_free (standby);
  test_proxy_free (primary);
  test_servers_free (servers);
  return status;
}
