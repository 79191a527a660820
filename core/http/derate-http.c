/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-http-events-private.h"
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
  DerateHttpEvents *events; /* of that page alone */
  DerateHttpScrapes *scrapes; /* of /metrics; NULL before the first */
};

static void
mount_free (gpointer data)
{
  Mount *mount = data;

  g_clear_pointer (&mount->events, derate_http_events_close);
  g_clear_pointer (&mount->scrapes, derate_http_scrapes_free);
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
  if (g_bytes_get_size (body) > 0)
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

void
derate_http_send_error (SoupServerMessage *message, guint status, const char *text)
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
      derate_http_send_error (message, SOUP_STATUS_NOT_FOUND, "no such page");
      return;
    }
  if (mount->scrapes == NULL)
    mount->scrapes = derate_http_scrapes_new (derate_core_get_metrics (mount->core));
  derate_http_scrapes_respond (mount->scrapes, message);
}

static void
respond_status (Mount *mount, SoupServerMessage *message, const char *name)
{
  if (name != NULL)
    {
      derate_http_send_error (message, SOUP_STATUS_NOT_FOUND, "no such page");
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
    derate_http_send_error (message, SOUP_STATUS_NOT_FOUND, "no such circuit breaker");
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
      derate_http_send_error (message, SOUP_STATUS_NOT_FOUND, "no such service");
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
respond_events (Mount *mount, SoupServerMessage *message, const char *name)
{
  if (name == NULL)
    derate_http_events_respond (mount->events, message);
  else
    derate_http_send_error (message, SOUP_STATUS_NOT_FOUND, "no such page");
}

static void
respond_page (Mount *mount, SoupServerMessage *message, const char *name)
{
  derate_http_respond_page (message, name, mount->flags);
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
  const char *name = rest[0] == '/' && rest[1] != '\0' ? rest + 1 : NULL;

  /* The server matches by leading words, so /metricsx comes here too; and to the page comes what
   * nobody else wants. */
  if ((*rest != '\0' && *rest != '/') ||
      (mount->respond == respond_page && !derate_http_page_has (name)))
    {
      derate_http_send_error (message, SOUP_STATUS_NOT_FOUND, "no such page");
      return;
    }
  if (method != SOUP_METHOD_GET && method != SOUP_METHOD_HEAD)
    {
      soup_message_headers_replace (soup_server_message_get_response_headers (message), "Allow",
                                    "GET, HEAD");
      derate_http_send_error (message, SOUP_STATUS_METHOD_NOT_ALLOWED, "read-only: GET and HEAD");
      return;
    }
  mount->respond (mount, message, name);
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
  { "/events", DERATE_HTTP_STATUS, respond_events },
  { "/health", DERATE_HTTP_HEALTH, respond_health },
  { "", DERATE_HTTP_PAGE, respond_page },
};

/* “/admin” and “/admin/” are one prefix. */
static char *
strip_prefix (const char *prefix)
{
  gsize length = prefix != NULL ? strlen (prefix) : 0;

  while (length > 0 && prefix[length - 1] == '/')
    length--;
  return g_strndup (prefix != NULL ? prefix : "", length);
}

/* Under which @server keeps the paths that are served below @prefix. */
static char *
make_key (const char *prefix)
{
  g_autofree char *stripped = strip_prefix (prefix);

  return g_strconcat ("derate-http:", stripped, NULL);
}

static void
add_handler (SoupServer *server,
             const char *path,
             DerateCore *core,
             DerateHttpFlags flags,
             Responder respond)
{
  Mount *mount = g_new0 (Mount, 1);

  mount->core = g_object_ref (core);
  mount->flags = flags;
  mount->path_length = strlen (path);
  mount->respond = respond;
  if (respond == respond_events)
    mount->events = derate_http_events_new (core, (flags & DERATE_HTTP_DETAILS) != 0);
  soup_server_add_handler (server, *path != '\0' ? path : "/", handle, mount, mount_free);
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
 * `/health/ready` and `/health/SERVICE`, `/degradation`,
 * `/circuit-breakers` with `/circuit-breakers/NAME`, `/events` (server-sent events), and the page
 * for people at `/`. Nothing here changes anything. Several cores may stand on one server, under a
 * prefix each; a second call with the same prefix replaces the first. The page with no prefix is
 * the server's default handler: a program that has one of its own gives a prefix, or leaves
 * %DERATE_HTTP_PAGE out. The server keeps @core until derate_http_unmount() or its end. Call it in
 * the server's thread, where the thread-default context is the server's.
 *
 * Since: 1.0
 */
void
derate_http_mount (DerateCore *core, SoupServer *server, const char *prefix, DerateHttpFlags flags)
{
  g_autofree char *stripped = NULL;
  g_autofree char *key = NULL;
  GPtrArray *paths;

  g_return_if_fail (DERATE_IS_CORE (core));
  g_return_if_fail (SOUP_IS_SERVER (server));

  derate_http_unmount (server, prefix);
  if ((flags & DERATE_HTTP_PAGE) != 0)
    flags |= DERATE_HTTP_STATUS;
  stripped = strip_prefix (prefix);
  key = make_key (prefix);
  paths = g_ptr_array_new_with_free_func (g_free);
  for (guint i = 0; i < G_N_ELEMENTS (pages); i++)
    {
      g_autofree char *path = g_strconcat (stripped, pages[i].path, NULL);

      if ((flags & pages[i].flag) == 0)
        continue;
      add_handler (server, path, core, flags, pages[i].respond);
      g_ptr_array_add (paths, g_steal_pointer (&path));
    }
  g_object_set_data_full (G_OBJECT (server), key, paths, (GDestroyNotify)g_ptr_array_unref);
}

/**
 * derate_http_unmount:
 * @server: a server
 * @prefix: (nullable): the prefix that derate_http_mount() was given
 *
 * Takes the pages away, and ends what is under way on `/events`.
 *
 * Since: 1.0
 */
void
derate_http_unmount (SoupServer *server, const char *prefix)
{
  g_autofree char *key = NULL;
  g_autoptr (GPtrArray) paths = NULL;

  g_return_if_fail (SOUP_IS_SERVER (server));

  key = make_key (prefix);
  paths = g_object_steal_data (G_OBJECT (server), key);
  for (guint i = 0; paths != NULL && i < paths->len; i++)
    {
      const char *path = g_ptr_array_index (paths, i);

      soup_server_remove_handler (server, *path != '\0' ? path : "/");
    }
}
