/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-http-private.h"

#include <string.h>

/* Threads: everything runs in the context of the SoupServer; the core's getters may be called from
 * any. */

typedef struct _Mount Mount;

/* Answers one path. @name is what stands behind the path and a slash, or NULL. */
typedef void (*Responder) (Mount *mount, SoupServerMessage *message, const char *name);

struct _Mount
{
  DerateCore *core;
  DerateHttpFlags flags;
  gsize path_length;
  Responder respond;
};

static void
mount_free (gpointer data)
{
  Mount *mount = data;

  g_object_unref (mount->core);
  g_free (mount);
}

/* Before 3.3, libsoup's server never notices that a client has closed a connection which it kept
 * open, and keeps its descriptor for ever: a scrape each second ends all of them within an hour. */
static void
close_where_libsoup_leaks (SoupMessageHeaders *headers)
{
  if (!soup_check_version (3, 3, 0))
    soup_message_headers_replace (headers, "Connection", "close");
}

void
derate_http_send (SoupServerMessage *message, guint status, const char *type, GBytes *body)
{
  SoupMessageHeaders *headers = soup_server_message_get_response_headers (message);

  soup_message_headers_replace (headers, "Cache-Control", "no-store");
  soup_message_headers_replace (headers, "Content-Type", type);
  close_where_libsoup_leaks (headers);
  soup_server_message_set_status (message, status, NULL);
  soup_message_body_append_bytes (soup_server_message_get_response_body (message), body);
}

/* Takes @value, floating or not. */
static void
send_variant (SoupServerMessage *message, guint status, const char *type, GVariant *value)
{
  g_autoptr (GVariant) owned = g_variant_take_ref (value);
  char *text = derate_json_from_variant (owned);
  g_autoptr (GBytes) body = g_bytes_new_take (text, strlen (text));

  derate_http_send (message, status, type, body);
}

static void
send_error (SoupServerMessage *message, guint status, const char *text)
{
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "error", "s", text);
  send_variant (message, status, "application/json", g_variant_dict_end (&dict));
}

static void
respond_metrics (Mount *mount, SoupServerMessage *message, const char *name)
{
  if (name != NULL)
    {
      send_error (message, SOUP_STATUS_NOT_FOUND, "no such page");
      return;
    }
  derate_http_respond_metrics (derate_core_get_metrics (mount->core), message);
}

static void
respond_status (Mount *mount, SoupServerMessage *message, const char *name)
{
  if (name != NULL)
    {
      send_error (message, SOUP_STATUS_NOT_FOUND, "no such page");
      return;
    }
  send_variant (message, SOUP_STATUS_OK, "application/json",
                derate_core_dup_status (mount->core, (mount->flags & DERATE_HTTP_DETAILS) != 0));
}

static void
respond_breakers (Mount *mount, SoupServerMessage *message, const char *name)
{
  g_autoptr (GVariant) all = derate_core_dup_breakers (mount->core);
  g_autoptr (GVariant) one = NULL;

  if (name == NULL)
    {
      send_variant (message, SOUP_STATUS_OK, "application/json", g_steal_pointer (&all));
      return;
    }
  one = g_variant_lookup_value (all, name, G_VARIANT_TYPE_VARDICT);
  if (one == NULL)
    send_error (message, SOUP_STATUS_NOT_FOUND, "no such circuit breaker");
  else
    send_variant (message, SOUP_STATUS_OK, "application/json", g_steal_pointer (&one));
}

static void
respond_alive (SoupServerMessage *message, gboolean alive)
{
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "status", "s", alive ? "pass" : "fail");
  send_variant (message, alive ? SOUP_STATUS_OK : SOUP_STATUS_SERVICE_UNAVAILABLE,
                "application/health+json", g_variant_dict_end (&dict));
}

static void
respond_service (Mount *mount, SoupServerMessage *message, const char *name)
{
  g_autoptr (DerateService) service = derate_core_lookup_service (mount->core, name);
  gboolean down;

  if (service == NULL)
    {
      send_error (message, SOUP_STATUS_NOT_FOUND, "no such service");
      return;
    }
  down = derate_service_get_status (service) == DERATE_HEALTH_STATUS_DOWN;
  send_variant (message, down ? SOUP_STATUS_SERVICE_UNAVAILABLE : SOUP_STATUS_OK,
                "application/json",
                derate_core_dup_service (mount->core, service,
                                         (mount->flags & DERATE_HTTP_DETAILS) != 0));
}

static void
respond_health (Mount *mount, SoupServerMessage *message, const char *name)
{
  DerateDegradationManager *manager = derate_core_get_degradation_manager (mount->core);
  gboolean emergency;

  if (g_strcmp0 (name, "live") == 0)
    respond_alive (message, TRUE);
  else if (g_strcmp0 (name, "ready") == 0)
    respond_alive (message, derate_core_is_ready (mount->core));
  else if (name != NULL)
    respond_service (mount, message, name);
  else
    {
      emergency = derate_degradation_manager_get_level (manager) >= DERATE_LEVEL_EMERGENCY;
      send_variant (message, emergency ? SOUP_STATUS_SERVICE_UNAVAILABLE : SOUP_STATUS_OK,
                    "application/health+json", derate_core_dup_health (mount->core));
    }
}

static void
handle (SoupServer *server,
        SoupServerMessage *message,
        const char *path,
        GHashTable *query,
        gpointer user_data)
{
  Mount *mount = user_data;
  const char *method = soup_server_message_get_method (message);
  const char *rest = path + mount->path_length;

  /* The server matches by leading words, so /metricsx comes here too. */
  if (*rest != '\0' && *rest != '/')
    {
      send_error (message, SOUP_STATUS_NOT_FOUND, "no such page");
      return;
    }
  if (method != SOUP_METHOD_GET && method != SOUP_METHOD_HEAD)
    {
      soup_message_headers_replace (soup_server_message_get_response_headers (message), "Allow",
                                    "GET, HEAD");
      send_error (message, SOUP_STATUS_METHOD_NOT_ALLOWED, "read-only: GET and HEAD");
      return;
    }
  mount->respond (mount, message, rest[0] == '/' && rest[1] != '\0' ? rest + 1 : NULL);
}

/* An alias stands before the page it would else be part of: the longest path wins in SoupServer. */
static const struct
{
  const char *path;
  DerateHttpFlags flag;
  Responder respond;
} pages[] = {
  { "/metrics", DERATE_HTTP_METRICS, respond_metrics },
  { "/metrics/circuit-breakers", DERATE_HTTP_STATUS, respond_breakers },
  { "/circuit-breaker/status", DERATE_HTTP_STATUS, respond_breakers },
  { "/circuit-breakers", DERATE_HTTP_STATUS, respond_breakers },
  { "/degradation", DERATE_HTTP_STATUS, respond_status },
  { "/health", DERATE_HTTP_HEALTH, respond_health },
};

/* “/admin” and “/admin/” are one prefix. */
static char *
page_path (const char *prefix, const char *page)
{
  gsize length = prefix != NULL ? strlen (prefix) : 0;

  while (length > 0 && prefix[length - 1] == '/')
    length--;
  return g_strdup_printf ("%.*s%s", (int)length, prefix != NULL ? prefix : "", page);
}

/**
 * derate_http_mount:
 * @core: a core
 * @server: a server of the program's
 * @prefix: (nullable): what to put in front of each path, such as `/admin`; begins with a slash
 * @flags: what to serve
 *
 * Serves the read-only pages of @core on @server: `/metrics` (Prometheus text 0.0.4, or
 * OpenMetrics 1.0 for a client that prefers it; gzip; always 200), `/health` with `/health/live`,
 * `/health/ready` and `/health/SERVICE`, `/degradation`, and
 * `/circuit-breakers` with `/circuit-breakers/NAME`. Nothing here changes anything. Several cores
 * may stand on one server, under a prefix each. The server keeps @core until derate_http_unmount()
 * or its end. Call it in the server's thread.
 *
 * Since: 1.0
 */
void
derate_http_mount (DerateCore *core, SoupServer *server, const char *prefix, DerateHttpFlags flags)
{
  g_return_if_fail (DERATE_IS_CORE (core));
  g_return_if_fail (SOUP_IS_SERVER (server));

  for (guint i = 0; i < G_N_ELEMENTS (pages); i++)
    {
      g_autofree char *path = page_path (prefix, pages[i].path);
      Mount *mount;

      if ((flags & pages[i].flag) == 0)
        continue;
      mount = g_new0 (Mount, 1);
      mount->core = g_object_ref (core);
      mount->flags = flags;
      mount->path_length = strlen (path);
      mount->respond = pages[i].respond;
      soup_server_add_handler (server, path, handle, mount, mount_free);
    }
}

/**
 * derate_http_unmount:
 * @server: a server
 * @prefix: (nullable): the prefix that derate_http_mount() was given
 *
 * Takes the pages away.
 *
 * Since: 1.0
 */
void
derate_http_unmount (SoupServer *server, const char *prefix)
{
  g_return_if_fail (SOUP_IS_SERVER (server));

  for (guint i = 0; i < G_N_ELEMENTS (pages); i++)
    {
      g_autofree char *path = page_path (prefix, pages[i].path);

      soup_server_remove_handler (server, path);
    }
}
