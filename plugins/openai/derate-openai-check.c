/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GET /models, or another path that costs nothing: never a generation, which is billed. Runs never
 * overlap and stay in one thread; the session is made by the first of them, in it. */
#include "derate-openai-check.h"

#include "derate-check-options.h"
#include "derate-check-report.h"
#include "derate-openai-verdict.h"

#include <string.h>

struct _DerateOpenaiCheck
{
  GObject parent_instance;

  GUri *uri;
  char *key; /* NULL: none is sent */
  DerateSoupClient *client;
};

static void derate_openai_check_iface_init (DerateHealthCheckInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (DerateOpenaiCheck,
                               derate_openai_check,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (DERATE_TYPE_HEALTH_CHECK,
                                                      derate_openai_check_iface_init))

static void
answered (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  DerateOpenaiCheck *self = g_task_get_source_object (task);
  g_autoptr (DerateSoupAnswer) answer = NULL;
  GError *error = NULL;

  answer = derate_soup_client_send_finish (result, &error);
  if (answer == NULL)
    derate_check_return_error (task, error);
  else
    derate_check_return_report (task, derate_openai_judge (answer, self->key));
}

static void
derate_openai_check_run_async (DerateHealthCheck *check,
                               GCancellable *cancellable,
                               GAsyncReadyCallback callback,
                               gpointer user_data)
{
  DerateOpenaiCheck *self = DERATE_OPENAI_CHECK (check);
  GTask *task = g_task_new (self, cancellable, callback, user_data);
  g_autoptr (SoupMessage) message = soup_message_new_from_uri (SOUP_METHOD_GET, self->uri);

  g_task_set_source_tag (task, derate_openai_check_run_async);
  if (self->key != NULL)
    {
      g_autofree char *bearer = g_strdup_printf ("Bearer %s", self->key);

      soup_message_headers_replace (soup_message_get_request_headers (message), "Authorization",
                                    bearer);
    }
  if (self->client == NULL)
    self->client = derate_soup_client_new (self->uri);
  derate_soup_client_send_async (self->client, message, cancellable, answered, task);
}

static void
derate_openai_check_iface_init (DerateHealthCheckInterface *iface)
{
  derate_check_iface_fill (iface);
  iface->run_async = derate_openai_check_run_async;
}

static void
derate_openai_check_finalize (GObject *object)
{
  DerateOpenaiCheck *self = DERATE_OPENAI_CHECK (object);

  g_clear_pointer (&self->uri, g_uri_unref);
  derate_check_secret_free (self->key);
  g_clear_pointer (&self->client, derate_soup_client_unref);

  G_OBJECT_CLASS (derate_openai_check_parent_class)->finalize (object);
}

static void
derate_openai_check_class_init (DerateOpenaiCheckClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = derate_openai_check_finalize;
}

static void
derate_openai_check_init (DerateOpenaiCheck *self)
{
}

/* The base URI and a path below it, whatever slashes stand between them. */
static GUri *
join (GUri *base, const char *path)
{
  g_autofree char *front = g_strdup (g_uri_get_path (base));
  gsize length = strlen (front);
  g_autofree char *whole = NULL;

  while (length > 0 && front[length - 1] == '/')
    front[--length] = '\0';
  while (*path == '/')
    path++;
  whole = g_strconcat (front, "/", path, NULL);
  return soup_uri_copy (base, SOUP_URI_PATH, whole, SOUP_URI_NONE);
}

static gboolean
read_uri (DerateOpenaiCheck *self, GVariant *options, GError **error)
{
  const char *text = derate_check_options_get (options, "uri");
  const char *path = derate_check_options_get (options, "check-path");
  g_autoptr (GUri) base = NULL;

  base = derate_soup_parse_uri (text != NULL ? text : "https://api.openai.com/v1");
  if (base == NULL)
    {
      derate_check_options_set_error (error, "uri", text, "not an http or https URI");
      return FALSE;
    }
  if (path != NULL && (*path == '\0' || strpbrk (path, "?# ") != NULL))
    {
      derate_check_options_set_error (error, "check-path", path, "not a path");
      return FALSE;
    }
  self->uri = join (base, path != NULL ? path : "models");
  return TRUE;
}

static gboolean
read_key (DerateOpenaiCheck *self, GVariant *options, GError **error)
{
  if (!derate_check_options_read_secret (options, &self->key, error))
    return FALSE;
  if (self->key == NULL)
    self->key = g_strdup (g_getenv ("OPENAI_API_KEY"));
  if (self->key != NULL && *self->key == '\0')
    g_clear_pointer (&self->key, g_free);
  for (const char *p = self->key; p != NULL && *p != '\0'; p++)
    {
      if (g_ascii_isgraph (*p))
        continue;
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG,
                   "the key has characters that a key cannot have");
      return FALSE;
    }
  return TRUE;
}

DerateHealthCheck *
derate_openai_check_new (const char *service, GVariant *options, gpointer user_data, GError **error)
{
  static const char *const known[] = { "uri", "password-file", "check-path", NULL };
  g_autoptr (DerateOpenaiCheck) self = g_object_new (DERATE_TYPE_OPENAI_CHECK, NULL);

  if (!derate_check_options_validate (options, known, error) || !read_uri (self, options, error) ||
      !read_key (self, options, error))
    return NULL;
  return DERATE_HEALTH_CHECK (g_steal_pointer (&self));
}
