/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-pg-error-private.h"
#include "derate-pg-target-private.h"

#include <string.h>

/* clang-format off */
static const struct
{
  const char *uri;
  const char *targets; /* HOST/ADDRESS/PORT/ATTRS, one a word; "!" asks for a look-up */
} routes[] = {
  { "postgresql:///shop?host=/run/pg&port=5433", "/run/pg|-|5433|-" },
  { "postgresql://", "-|-|-|-" },
  { "postgresql://a:1,b:2/shop", "a|-|1|-! b|-|2|-!" },
  { "host=a,b port=7", "a|-|7|-! b|-|7|-!" },
  { "host=a hostaddr=10.0.0.1", "a|10.0.0.1|-|-" },
  { "hostaddr=10.0.0.1,::1", "-|10.0.0.1|-|- -|::1|-|-" },
  { "host=a,b target_session_attrs=prefer-standby", "a|-|-|-! b|-|-|-!" },
  { "host=a target_session_attrs=read-write", "a|-|-|-!" },
  { "host=a target_session_attrs=sometimes", NULL },
  { "host=a,b hostaddr=10.0.0.1", NULL },
  { "host=a,b,c port=1,2", NULL },
  { "host=a connect_timeout=soon", NULL },
  { "service=x", NULL },
  { "postgresql://u:planted%zz@h", NULL },
  { "postgresql://h?planted=planted", NULL },
  { "nonsense", NULL },
};

static const struct
{
  const char *text;
  DeratePgError code;
  const char *sqlstate;
} failures[] = {
  { "connection to server at \"127.0.0.1\", port 1 failed: Connection refused\n\tIs the server running?",
    DERATE_PG_ERROR_CONNECT_REFUSED, NULL },
  { "connection to server on socket \"/x\" failed: No such file or directory\n",
    DERATE_PG_ERROR_CONNECT_REFUSED, NULL },
  { "connection to server at \"h\" failed: FATAL:  28P01: password authentication failed for user \"u\"\n"
    "LOCATION:  auth_failed, auth.c:326\n", DERATE_PG_ERROR_AUTH, "28P01" },
  { "connection to server at \"h\" failed: FATAL:  53300: sorry, too many clients already\n",
    DERATE_PG_ERROR_TOO_MANY_CONNECTIONS, "53300" },
  { "connection to server at \"h\" failed: FATAL:  57P03: the database system is starting up\n",
    DERATE_PG_ERROR_NOT_READY, "57P03" },
  { "connection to server at \"h\" failed: FATAL:  3D000: database \"x\" does not exist\n",
    DERATE_PG_ERROR_CONFIG, "3D000" },
  { "expected authentication request from server, but received H\n", DERATE_PG_ERROR_FAILED, NULL },
};
/* clang-format on */

static char *
describe (DeratePgRoute *route)
{
  GString *out = g_string_new (NULL);

  for (GList *l = route->targets.head; l != NULL; l = l->next)
    {
      DeratePgTarget *target = l->data;

      g_string_append_printf (out, "%s%s|%s|%s|%s%s", out->len > 0 ? " " : "",
                              target->host != NULL ? target->host : "-",
                              target->address != NULL ? target->address : "-",
                              target->port != NULL ? target->port : "-",
                              target->attrs != NULL ? target->attrs : "-",
                              derate_pg_target_needs_lookup (target) ? "!" : "");
    }
  return g_string_free (out, FALSE);
}

static void
test_routes (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (routes); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (DeratePgRoute) route = derate_pg_route_parse (routes[i].uri, NULL, &error);
      g_autofree char *targets = route != NULL ? describe (route) : NULL;

      g_test_message ("%s: %s", routes[i].uri, error != NULL ? error->message : "fine");
      g_assert_cmpstr (targets, ==, routes[i].targets);
      if (route != NULL)
        continue;
      g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_CONFIG);
      g_assert_null (strstr (error->message, "planted"));
    }
}

static void
test_parameters (void)
{
  g_autoptr (DeratePgRoute) route =
      derate_pg_route_parse ("host=a gssencmode=require password=old connect_timeout=3", "new",
                             NULL);
  const char *gss = NULL;
  const char *password = NULL;

  for (guint i = 0; i < route->keywords->len; i++)
    {
      const char *keyword = route->keywords->pdata[i];

      g_assert_cmpstr (keyword, !=, "host");
      g_assert_cmpstr (keyword, !=, "connect_timeout");
      if (g_str_equal (keyword, "gssencmode"))
        gss = route->values->pdata[i];
      if (g_str_equal (keyword, "password"))
        password = route->values->pdata[i];
    }
  g_assert_cmpstr (gss, ==, "disable");
  g_assert_cmpstr (password, ==, "new");
  g_assert_cmpint (route->timeout, ==, 3 * G_TIME_SPAN_SECOND);
}

static void
test_failures (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (failures); i++)
    {
      g_autoptr (GError) error = derate_pg_error_from_connect (failures[i].text);
      g_autofree char *sqlstate = derate_pg_error_get_sqlstate (error);

      g_assert_error (error, DERATE_PG_ERROR, (int)failures[i].code);
      g_assert_cmpstr (sqlstate, ==, failures[i].sqlstate);
      g_assert_null (strchr (error->message, '\n'));
    }
}

int
main (int argc, char *argv[])
{
  const char *const variables[] = { "PGHOST", "PGHOSTADDR", "PGPORT", "PGTARGETSESSIONATTRS",
                                    "PGCONNECT_TIMEOUT" };

  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (variables); i++)
    g_unsetenv (variables[i]);

  g_test_add_func ("/pg-target/routes", test_routes);
  g_test_add_func ("/pg-target/parameters", test_parameters);
  g_test_add_func ("/pg-target/failures", test_failures);

  return g_test_run ();
}
