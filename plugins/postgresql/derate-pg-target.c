/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-pg-target-private.h"

#include "derate-pg-error.h"

#include <string.h>

#define MAX_TIMEOUT_SECONDS 3600

typedef PQconninfoOption ConnInfo;
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ConnInfo, PQconninfoFree)

/* What we say ourselves for each target, or that would lead libpq somewhere else. */
static const char *const ours[] = {
  "host",       "hostaddr", "port", "target_session_attrs", "connect_timeout",
  "gssencmode", "service",  NULL
};

/* By what a server may be: a standby, a primary that is read-only by default, or one that takes
 * writes. As libpq has it. */
static const struct
{
  const char *attrs;
  gboolean wanted[3];
} roles[] = {
  [DERATE_PG_ROLE_ANY] = { "any", { TRUE, TRUE, TRUE } },
  [DERATE_PG_ROLE_READ_WRITE] = { "read-write", { FALSE, FALSE, TRUE } },
  [DERATE_PG_ROLE_READ_ONLY] = { "read-only", { TRUE, TRUE, FALSE } },
  [DERATE_PG_ROLE_PRIMARY] = { "primary", { FALSE, TRUE, TRUE } },
  [DERATE_PG_ROLE_STANDBY] = { "standby", { TRUE, FALSE, FALSE } },
  [DERATE_PG_ROLE_PREFER_STANDBY] = { "prefer-standby", { TRUE, FALSE, FALSE } },
};

DeratePgTarget *
derate_pg_target_copy (const DeratePgTarget *target, const char *address)
{
  DeratePgTarget *copy = g_new0 (DeratePgTarget, 1);

  copy->host = g_strdup (target->host);
  copy->address = g_strdup (address);
  copy->port = g_strdup (target->port);
  copy->attrs = target->attrs;
  return copy;
}

void
derate_pg_target_free (DeratePgTarget *target)
{
  g_free (target->host);
  g_free (target->address);
  g_free (target->port);
  g_free (target);
}

gboolean
derate_pg_target_needs_lookup (const DeratePgTarget *target)
{
  return target->address == NULL && target->host != NULL && target->host[0] != '/' &&
         target->host[0] != '@';
}

char *
derate_pg_target_to_string (const DeratePgTarget *target)
{
  const char *host = target->host != NULL ? target->host : target->address;

  return g_strdup_printf ("%s:%s", host != NULL ? host : "local",
                          target->port != NULL ? target->port : "5432");
}

static const char *
lookup (const ConnInfo *info, const char *keyword, const char *variable)
{
  const char *value = NULL;

  for (; info->keyword != NULL; info++)
    {
      if (g_str_equal (info->keyword, keyword))
        value = info->val;
    }
  if ((value == NULL || *value == '\0') && variable != NULL)
    value = g_getenv (variable);
  return value != NULL && *value != '\0' ? value : NULL;
}

static char *
nth (char **list, guint i)
{
  return list != NULL && i < g_strv_length (list) && *list[i] != '\0' ? list[i] : NULL;
}

static void
add_targets (DeratePgRoute *route, char **hosts, char **addresses, char **ports)
{
  guint n_hosts = hosts != NULL ? g_strv_length (hosts) : 0;
  guint n = MAX (MAX (n_hosts, addresses != NULL ? g_strv_length (addresses) : 0), 1);
  guint n_ports = ports != NULL ? g_strv_length (ports) : 0;

  for (guint i = 0; i < n; i++)
    {
      DeratePgTarget target = {
        .host = nth (hosts, i),
        .port = nth (ports, n_ports == 1 ? 0 : i),
      };

      g_queue_push_tail (&route->targets, derate_pg_target_copy (&target, nth (addresses, i)));
    }
}

static char **
split (const ConnInfo *info, const char *keyword, const char *variable)
{
  const char *text = lookup (info, keyword, variable);

  return text != NULL ? g_strsplit (text, ",", -1) : NULL;
}

static gboolean
find_targets (DeratePgRoute *route, const ConnInfo *info, GError **error)
{
  g_auto (GStrv) hosts = split (info, "host", "PGHOST");
  g_auto (GStrv) addresses = split (info, "hostaddr", "PGHOSTADDR");
  g_auto (GStrv) ports = split (info, "port", "PGPORT");
  guint n_ports = ports != NULL ? g_strv_length (ports) : 0;

  /* A Unix socket directory of the URI outranks an address of the environment. */
  if (hosts != NULL && hosts[0][0] == '/' && lookup (info, "hostaddr", NULL) == NULL)
    g_clear_pointer (&addresses, g_strfreev);
  add_targets (route, hosts, addresses, ports);
  if ((hosts != NULL && addresses != NULL && g_strv_length (hosts) != g_strv_length (addresses)) ||
      (n_ports > 1 && n_ports != MAX (hosts != NULL ? g_strv_length (hosts) : 0,
                                      addresses != NULL ? g_strv_length (addresses) : 0)))
    {
      g_set_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_CONFIG,
                   "the connection URI has not as many hosts as addresses or ports");
      return FALSE;
    }
  return TRUE;
}

static gboolean
find_role (DeratePgRoute *route, const ConnInfo *info, GError **error)
{
  const char *attrs = lookup (info, "target_session_attrs", "PGTARGETSESSIONATTRS");

  for (guint i = 0; i < G_N_ELEMENTS (roles); i++)
    {
      if (attrs == NULL || g_str_equal (attrs, roles[i].attrs))
        {
          route->role = (DeratePgRole)i;
          return TRUE;
        }
    }
  g_set_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_CONFIG,
               "target_session_attrs=%s: not any, read-write, read-only, primary, standby or "
               "prefer-standby",
               attrs);
  return FALSE;
}

static gboolean
find_timeout (DeratePgRoute *route, const ConnInfo *info, GError **error)
{
  const char *text = lookup (info, "connect_timeout", "PGCONNECT_TIMEOUT");
  gint64 seconds = 0;

  if (text == NULL)
    return TRUE;
  if (!g_ascii_string_to_signed (text, 10, 0, MAX_TIMEOUT_SECONDS, &seconds, NULL))
    {
      g_set_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_CONFIG,
                   "connect_timeout=%s: not a number of seconds up to %d", text,
                   MAX_TIMEOUT_SECONDS);
      return FALSE;
    }
  /* 0 is libpq's word for no limit. */
  route->timeout = seconds == 0 ? G_MAXINT64 : seconds * G_TIME_SPAN_SECOND;
  return TRUE;
}

static void
add (DeratePgRoute *route, const char *keyword, const char *value)
{
  g_ptr_array_add (route->keywords, g_strdup (keyword));
  g_ptr_array_add (route->values, g_strdup (value));
}

static void
add_rest (DeratePgRoute *route, const ConnInfo *info, const char *password)
{
  /* First what the URI may say otherwise: of a keyword that is given twice, the last counts. */
  add (route, "fallback_application_name", "derate");
  add (route, "tcp_user_timeout", "10000");
  if (g_getenv ("PGCLIENTENCODING") == NULL)
    add (route, "client_encoding", "UTF8"); /* what GLib's texts are */
  for (; info->keyword != NULL; info++)
    {
      if (info->val != NULL && *info->val != '\0' && !g_strv_contains (ours, info->keyword))
        add (route, info->keyword, info->val);
    }
  if (password != NULL)
    add (route, "password", password);
  /* GSS may block inside libpq, and means another connection for each attempt. */
  add (route, "gssencmode", "disable");
}

static ConnInfo *
parse_uri (const char *uri, GError **error)
{
  char *problem = NULL;
  ConnInfo *info = PQconninfoParse (uri, &problem);

  if (info != NULL)
    return info;
  /* What libpq quotes may hold the password, so its text ends at the first quotation mark. */
  g_set_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_CONFIG, "not a connection URI: %s",
               problem != NULL ? g_strchomp (g_strdelimit (problem, "\"", '\0')) : "out of memory");
  PQfreemem (problem);
  return NULL;
}

DeratePgRoute *
derate_pg_route_parse (const char *uri, const char *password, GError **error)
{
  g_autoptr (DeratePgRoute) route = g_new0 (DeratePgRoute, 1);
  g_autoptr (ConnInfo) info = NULL;

  g_queue_init (&route->targets);
  route->keywords = g_ptr_array_new_with_free_func (g_free);
  route->values = g_ptr_array_new_with_free_func (g_free);
  info = parse_uri (uri, error);
  if (info == NULL)
    return NULL;
  if (lookup (info, "service", NULL) != NULL)
    {
      g_set_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_CONFIG,
                   "service=%s: connection service files are not read",
                   lookup (info, "service", NULL));
      return NULL;
    }
  if (!find_targets (route, info, error) || !find_role (route, info, error) ||
      !find_timeout (route, info, error))
    return NULL;
  add_rest (route, info, password);
  return g_steal_pointer (&route);
}

void
derate_pg_secret_free (char *secret)
{
  if (secret != NULL)
    explicit_bzero (secret, strlen (secret));
  g_free (secret);
}

void
derate_pg_route_free (DeratePgRoute *route)
{
  for (guint i = 0; i < route->values->len; i++)
    explicit_bzero (route->values->pdata[i], strlen (route->values->pdata[i]));
  g_ptr_array_unref (route->keywords);
  g_ptr_array_unref (route->values);
  g_queue_clear_full (&route->targets, (GDestroyNotify)derate_pg_target_free);
  g_free (route);
}

gboolean
derate_pg_route_wants_writes (const DeratePgRoute *route)
{
  return roles[route->role].wanted[2];
}

void
derate_pg_route_begin_with (DeratePgRoute *route, const char *name)
{
  GQueue first = G_QUEUE_INIT;
  GList *next;

  for (GList *l = route->targets.head; l != NULL; l = next)
    {
      g_autofree char *text = derate_pg_target_to_string (l->data);

      next = l->next;
      if (g_str_equal (text, name))
        {
          g_queue_unlink (&route->targets, l);
          g_queue_push_tail_link (&first, l);
        }
    }
  while (first.tail != NULL)
    g_queue_push_head_link (&route->targets, g_queue_pop_tail_link (&first));
}

const char *
derate_pg_route_judge (const DeratePgRoute *route, PGconn *pg, const char **asked)
{
  const char *standby = PQparameterStatus (pg, "in_hot_standby");
  const char *read_only = PQparameterStatus (pg, "default_transaction_read_only");
  gboolean is_standby = g_strcmp0 (standby, "on") == 0;
  gboolean is_read_only = is_standby || g_strcmp0 (read_only, "on") == 0;

  *asked = NULL;
  if (route->role == DERATE_PG_ROLE_ANY)
    return NULL;
  if (standby == NULL || read_only == NULL)
    {
      *asked = route->role == DERATE_PG_ROLE_PREFER_STANDBY ? "standby" : roles[route->role].attrs;
      return NULL;
    }
  if (roles[route->role].wanted[is_standby ? 0 : is_read_only ? 1 : 2])
    return NULL;
  return is_standby ? "it is a standby" : is_read_only ? "it is read-only" : "it takes writes";
}

PGconn *
derate_pg_route_start (const DeratePgRoute *route, const DeratePgTarget *target)
{
  g_autoptr (GPtrArray) keywords = g_ptr_array_new ();
  g_autoptr (GPtrArray) values = g_ptr_array_new ();
  const char *const named[][2] = {
    { "host", target->host },
    { "hostaddr", target->address },
    { "port", target->port },
    { "target_session_attrs", target->attrs != NULL ? target->attrs : "any" },
  };

  g_ptr_array_extend (keywords, route->keywords, NULL, NULL);
  g_ptr_array_extend (values, route->values, NULL, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (named); i++)
    {
      g_ptr_array_add (keywords, (gpointer)named[i][0]);
      g_ptr_array_add (values, (gpointer)named[i][1]);
    }
  g_ptr_array_add (keywords, NULL);
  g_ptr_array_add (values, NULL);
  return PQconnectStartParams ((const char *const *)keywords->pdata,
                               (const char *const *)values->pdata, 0);
}
