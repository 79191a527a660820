/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "http-world.h"

#include <string.h>

/* The page at `/` as a browser gets it. What it then does is tests/page's. */

static const struct
{
  const char *path;
  const char *type;
} files[] = {
  { "/", "text/html; charset=utf-8" },
  { "/page/page.css", "text/css; charset=utf-8" },
  { "/page/main.js", "text/javascript; charset=utf-8" },
  { "/page/source.js", "text/javascript; charset=utf-8" },
  { "/page/icon.svg", "image/svg+xml" },
  { "/page/surfaces.json", "application/json" },
};

static void
test_files (World *world, gconstpointer data)
{
  derate_http_mount (world->core, world->server, NULL, DERATE_HTTP_ALL);
  for (guint i = 0; i < G_N_ELEMENTS (files); i++)
    {
      g_autoptr (Answer) get = world_get (world, files[i].path);
      g_autoptr (Answer) head = world_ask (world, SOUP_METHOD_HEAD, files[i].path);
      g_autoptr (Answer) post = world_ask (world, SOUP_METHOD_POST, files[i].path);

      g_test_message ("%s", files[i].path);
      g_assert_cmpuint (get->status, ==, 200);
      g_assert_cmpstr (get->type, ==, files[i].type);
      g_assert_cmpuint (head->status, ==, 200);
      g_assert_cmpint (head->length, ==, get->length);
      g_assert_cmpuint (post->status, ==, 405);
      g_assert_cmpstr (post->allow, ==, "GET, HEAD");
    }
}

static void
test_policy (World *world, gconstpointer data)
{
  static const char *const wanted[] = { "default-src 'none'", "script-src 'self'",
                                        "frame-ancestors 'none'", "form-action 'none'" };
  g_autofree char *uri = g_strconcat (world->base, "/", NULL);
  g_autoptr (SoupMessage) message = soup_message_new (SOUP_METHOD_GET, uri);
  g_autoptr (Answer) page = NULL;
  const char *policy;

  derate_http_mount (world->core, world->server, NULL, DERATE_HTTP_ALL);
  page = world_send (world, message);
  policy = soup_message_headers_get_one (soup_message_get_response_headers (message),
                                         "Content-Security-Policy");
  g_assert_nonnull (policy);
  for (guint i = 0; i < G_N_ELEMENTS (wanted); i++)
    g_assert_nonnull (strstr (policy, wanted[i]));
  g_assert_null (strstr (policy, "unsafe"));
  g_assert_null (strchr (policy, '*'));
  g_assert_cmpstr (soup_message_headers_get_one (soup_message_get_response_headers (message),
                                                 "X-Content-Type-Options"),
                   ==, "nosniff");
  /* Nothing in the page itself that the policy would have to allow. */
  g_assert_null (strstr (page->body, "style="));
  g_assert_null (strstr (page->body, "onclick"));
  g_assert_null (strstr (page->body, "//cdn"));
}

/* Everything it names is there, so that a browser has nothing to complain of. */
static void
test_whole (World *world, gconstpointer data)
{
  g_autoptr (GRegex) names =
      g_regex_new ("(?:src|href|from)(?:=| )\"(?:\\./)?([^\"#]+)\"", G_REGEX_DEFAULT, 0, NULL);
  g_autoptr (GPtrArray) queue = g_ptr_array_new_with_free_func (g_free);

  derate_http_mount (world->core, world->server, NULL, DERATE_HTTP_ALL);
  g_ptr_array_add (queue, g_strdup ("/"));
  g_ptr_array_add (queue, g_strdup ("/page/main.js"));
  for (guint i = 0; i < queue->len; i++)
    {
      const char *path = g_ptr_array_index (queue, i);
      g_autoptr (Answer) answer = world_get (world, path);
      g_autoptr (GMatchInfo) match = NULL;

      g_test_message ("%s", path);
      g_assert_cmpuint (answer->status, ==, 200);
      if (!g_str_equal (path, "/") && !g_str_has_suffix (path, ".js"))
        continue;
      for (g_regex_match (names, answer->body, 0, &match); g_match_info_matches (match);
           g_match_info_next (match, NULL))
        {
          g_autofree char *name = g_match_info_fetch (match, 1);
          char *found = g_strconcat (i == 0 ? "/" : "/page/", name, NULL);

          if (g_ptr_array_find_with_equal_func (queue, found, g_str_equal, NULL))
            g_free (found);
          else
            g_ptr_array_add (queue, found);
        }
    }
  g_assert_cmpuint (queue->len, >=, 11);
}

/* What comes from services is put in as text. */
static void
test_text_alone (World *world, gconstpointer data)
{
  static const char *const scripts[] = { "main",   "source", "metrics",  "dom",
                                         "format", "level",  "services", "sections" };
  static const char *const forbidden[] = { "innerHTML",      "outerHTML", "insertAdjacentHTML",
                                           "document.write", "eval",      "new Function",
                                           ".style",         "http:",     "https:" };

  derate_http_mount (world->core, world->server, NULL, DERATE_HTTP_ALL);
  for (guint i = 0; i < G_N_ELEMENTS (scripts); i++)
    {
      g_autofree char *path = g_strdup_printf ("/page/%s.js", scripts[i]);
      g_autoptr (Answer) answer = world_get (world, path);

      g_assert_cmpuint (answer->status, ==, 200);
      for (guint j = 0; j < G_N_ELEMENTS (forbidden); j++)
        if (strstr (answer->body, forbidden[j]) != NULL)
          g_error ("%s has %s", path, forbidden[j]);
    }
}

static void
test_prefix (World *world, gconstpointer data)
{
  g_autofree char *uri = g_strconcat (world->base, "/admin/derate", NULL);
  g_autoptr (SoupMessage) message = soup_message_new (SOUP_METHOD_GET, uri);
  g_autoptr (Answer) there = NULL;
  g_autoptr (Answer) page = NULL;
  g_autoptr (Answer) script = NULL;
  g_autoptr (Answer) root = NULL;

  derate_http_mount (world->core, world->server, "/admin/derate", DERATE_HTTP_ALL);
  soup_message_set_flags (message, SOUP_MESSAGE_NO_REDIRECT);
  there = world_send (world, message);
  g_assert_cmpuint (there->status, ==, 307);
  g_assert_cmpstr (soup_message_headers_get_one (soup_message_get_response_headers (message),
                                                 "Location"),
                   ==, "derate/");
  page = world_get (world, "/admin/derate/");
  g_assert_cmpuint (page->status, ==, 200);
  script = world_get (world, "/admin/derate/page/main.js");
  g_assert_cmpuint (script->status, ==, 200);
  root = world_get (world, "/");
  g_assert_cmpuint (root->status, ==, 404);
}

static void
test_unknown (World *world, gconstpointer data)
{
  static const char *const paths[] = { "/page",          "/page/",
                                       "/page/x.js",     "/page/../index.html",
                                       "/index.html",    "/pagex",
                                       "/page/main.js/x" };

  derate_http_mount (world->core, world->server, NULL, DERATE_HTTP_ALL);
  for (guint i = 0; i < G_N_ELEMENTS (paths); i++)
    {
      g_autoptr (Answer) get = world_get (world, paths[i]);
      g_autoptr (Answer) post = world_ask (world, SOUP_METHOD_POST, paths[i]);

      g_test_message ("%s", paths[i]);
      g_assert_cmpuint (get->status, ==, 404);
      g_assert_cmpuint (post->status, ==, 404);
    }
}

/* The page says what it cannot show instead of asking for it in vain. */
static void
test_surfaces (World *world, gconstpointer data)
{
  static const struct
  {
    DerateHttpFlags flags;
    const char *text;
  } cases[] = {
    { DERATE_HTTP_ALL, "{\"metrics\":true,\"details\":true}" },
    { DERATE_HTTP_PAGE, "{\"metrics\":false,\"details\":false}" },
    { DERATE_HTTP_PAGE | DERATE_HTTP_METRICS, "{\"metrics\":true,\"details\":false}" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (Answer) answer = NULL;
      g_autoptr (Answer) status = NULL;

      derate_http_mount (world->core, world->server, NULL, cases[i].flags);
      answer = world_get (world, "/page/surfaces.json");
      g_assert_cmpstr (answer->body, ==, cases[i].text);
      status = world_get (world, "/degradation");
      g_assert_cmpuint (status->status, ==, 200);
    }
}

static void
answer_itself (SoupServer *server,
               SoupServerMessage *message,
               const char *path,
               GHashTable *query,
               gpointer data)
{
  soup_server_message_set_status (message, SOUP_STATUS_ACCEPTED, NULL);
}

/* A program without the page keeps what it answers itself, also when all else is taken away. */
static void
test_program_s_own (World *world, gconstpointer data)
{
  g_autoptr (Answer) beside = NULL;
  g_autoptr (Answer) after = NULL;

  soup_server_add_handler (world->server, NULL, answer_itself, NULL, NULL);
  derate_http_mount (world->core, world->server, NULL, DERATE_HTTP_ALL & ~DERATE_HTTP_PAGE);
  beside = world_get (world, "/");
  g_assert_cmpuint (beside->status, ==, 202);
  derate_http_unmount (world->server, NULL);
  after = world_get (world, "/degradation");
  g_assert_cmpuint (after->status, ==, 202);
}

static void
add (const char *path, void (*func) (World *, gconstpointer))
{
  g_test_add (path, World, NULL, world_set_up, func, world_tear_down);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  add ("/http/page/files", test_files);
  add ("/http/page/policy", test_policy);
  add ("/http/page/whole", test_whole);
  add ("/http/page/text-alone", test_text_alone);
  add ("/http/page/prefix", test_prefix);
  add ("/http/page/unknown", test_unknown);
  add ("/http/page/surfaces", test_surfaces);
  add ("/http/page/program-s-own", test_program_s_own);
  return g_test_run ();
}
