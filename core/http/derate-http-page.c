/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-http-private.h"

#include "derate-page.h"

#include <string.h>

/* The files of data/page, which stand in the library. */

#define FOLDER "page/"
#define RESOURCES "/org/derate/page/"

/* What the page asks first: a question that is answered 404 stands in a browser's console. */
#define SURFACES "page/surfaces.json"

static const struct
{
  const char *ending;
  const char *type;
} types[] = {
  { ".html", "text/html; charset=utf-8" },
  { ".css", "text/css; charset=utf-8" },
  { ".js", "text/javascript; charset=utf-8" },
  { ".svg", "image/svg+xml" },
  { ".json", "application/json" },
};

/* Nothing but what is its own: a service's error text that got into the page as something else than
 * text could still neither load nor send anything. */
#define POLICY                                                                \
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " \
  "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

static char *
find_path (const char *name)
{
  if (name == NULL)
    return g_strdup (RESOURCES "index.html");
  if (!g_str_has_prefix (name, FOLDER))
    return NULL;
  return g_strconcat (RESOURCES, name + strlen (FOLDER), NULL);
}

/* Only of these there is an answer. */
gboolean
derate_http_page_has (const char *name)
{
  g_autofree char *path = find_path (name);

  if (g_strcmp0 (name, SURFACES) == 0)
    return TRUE;
  return path != NULL && g_resource_get_info (derate_page_get_resource (), path,
                                              G_RESOURCE_LOOKUP_FLAGS_NONE, NULL, NULL, NULL);
}

static const char *
find_type (const char *path)
{
  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    if (g_str_has_suffix (path, types[i].ending))
      return types[i].type;
  return "application/octet-stream";
}

/* The page names its files relative to itself, which needs the slash at the end. */
static gboolean
redirect (SoupServerMessage *message)
{
  const char *path = g_uri_get_path (soup_server_message_get_uri (message));
  const char *slash = strrchr (path, '/');
  g_autofree char *place = NULL;
  g_autoptr (GBytes) none = g_bytes_new (NULL, 0);

  if (slash == NULL || slash[1] == '\0')
    return FALSE;
  place = g_strconcat (slash + 1, "/", NULL);
  soup_message_headers_replace (soup_server_message_get_response_headers (message), "Location",
                                place);
  derate_http_send (message, SOUP_STATUS_TEMPORARY_REDIRECT, "text/plain", none);
  return TRUE;
}

static GBytes *
describe_surfaces (DerateHttpFlags flags)
{
  g_autoptr (GVariant) dict = NULL;
  char *text;
  GVariantDict builder;

  g_variant_dict_init (&builder, NULL);
  g_variant_dict_insert (&builder, "metrics", "b", (flags & DERATE_HTTP_METRICS) != 0);
  g_variant_dict_insert (&builder, "details", "b", (flags & DERATE_HTTP_DETAILS) != 0);
  dict = g_variant_ref_sink (g_variant_dict_end (&builder));
  text = derate_json_from_variant (dict);
  return g_bytes_new_take (text, strlen (text));
}

void
derate_http_respond_page (SoupServerMessage *message, const char *name, DerateHttpFlags flags)
{
  SoupMessageHeaders *headers = soup_server_message_get_response_headers (message);
  g_autofree char *path = find_path (name);
  g_autoptr (GBytes) body = NULL;

  if (name == NULL && redirect (message))
    return;
  if (g_strcmp0 (name, SURFACES) == 0)
    body = describe_surfaces (flags);
  else
    body = g_resource_lookup_data (derate_page_get_resource (), path, G_RESOURCE_LOOKUP_FLAGS_NONE,
                                   NULL);
  soup_message_headers_replace (headers, "Content-Security-Policy", POLICY);
  soup_message_headers_replace (headers, "X-Content-Type-Options", "nosniff");
  soup_message_headers_replace (headers, "Referrer-Policy", "no-referrer");
  derate_http_send (message, SOUP_STATUS_OK, find_type (path), body);
}
