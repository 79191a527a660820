/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One request, and those it is redirected to where the options ask for that. The session of the
 * configured server is kept between runs; a redirection to another server has one of its own, and
 * gets neither credentials nor headers of ours. Runs never overlap and stay in one thread; only an
 * expression, which may take its time, is looked for in another. */
#include "derate-http-check.h"

#include "derate-check-report.h"
#include "derate-http-verdict.h"

#define REDIRECTS_MAX 5

struct _DerateHttpCheck
{
  GObject parent_instance;

  DerateHttpOptions *options;
  DerateSoupClient *client; /* NULL before the first run */
};

typedef struct
{
  GUri *uri; /* asked now */
  SoupMessage *message;
  DerateSoupClient *elsewhere; /* for a server that is not the configured one, or NULL */
  guint n_redirects;
} Run;

static void derate_http_check_iface_init (DerateHealthCheckInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (DerateHttpCheck,
                               derate_http_check,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (DERATE_TYPE_HEALTH_CHECK,
                                                      derate_http_check_iface_init))

/* clang-format off */
static const struct
{
  GTlsCertificateFlags flag;
  const char *text;
} certificate_flaws[] = {
  { G_TLS_CERTIFICATE_UNKNOWN_CA,    "its issuer is not known" },
  { G_TLS_CERTIFICATE_BAD_IDENTITY,  "it is another host's" },
  { G_TLS_CERTIFICATE_NOT_ACTIVATED, "it is not valid yet" },
  { G_TLS_CERTIFICATE_EXPIRED,       "it has expired" },
  { G_TLS_CERTIFICATE_REVOKED,       "it was revoked" },
  { G_TLS_CERTIFICATE_INSECURE,      "its algorithm is insecure" },
};
/* clang-format on */

static void send_request (GTask *task);

static void
run_free (gpointer data)
{
  Run *run = data;

  g_uri_unref (run->uri);
  g_clear_object (&run->message);
  g_clear_pointer (&run->elsewhere, derate_soup_client_unref);
  g_free (run);
}

static gboolean
is_same_server (GUri *a, GUri *b)
{
  g_autofree char *host_a = derate_soup_uri_dup_host (a);
  g_autofree char *host_b = derate_soup_uri_dup_host (b);

  return g_str_equal (g_uri_get_scheme (a), g_uri_get_scheme (b)) &&
         g_ascii_strcasecmp (host_a, host_b) == 0;
}

/* Where the answer leads; NULL where it leads nowhere, or is not to be followed. */
static GUri *
find_next (DerateHttpCheck *self, Run *run, const DerateSoupAnswer *answer)
{
  const char *location = soup_message_headers_get_one (answer->headers, "Location");
  g_autoptr (GUri) next = NULL;
  g_autofree char *text = NULL;

  if (!self->options->follow || location == NULL || run->n_redirects >= REDIRECTS_MAX ||
      !SOUP_STATUS_IS_REDIRECTION (answer->status))
    return NULL;
  next = g_uri_parse_relative (run->uri, location, SOUP_HTTP_URI_FLAGS, NULL);
  if (next == NULL)
    return NULL;
  text = g_uri_to_string (next);
  return derate_soup_parse_uri (text);
}

/* What is wrong with a certificate is not in the error. */
static void
return_error (GTask *task, GError *error)
{
  Run *run = g_task_get_task_data (task);
  GTlsCertificateFlags flags = soup_message_get_tls_peer_certificate_errors (run->message);

  for (guint i = 0; error->domain == G_TLS_ERROR && i < G_N_ELEMENTS (certificate_flaws); i++)
    {
      g_autofree char *text = NULL;

      if ((flags & certificate_flaws[i].flag) == 0)
        continue;
      text = g_strdup_printf ("%s: %s", error->message, certificate_flaws[i].text);
      g_free (error->message);
      error->message = g_steal_pointer (&text);
      break;
    }
  derate_check_return_error (task, error);
}

/* An answer to be judged beside the loop. It holds nothing that belongs to the thread of the run.
 */
typedef struct
{
  DerateHttpOptions *options;
  DerateSoupAnswer *answer;
} Judgement;

static void
judgement_free (gpointer data)
{
  Judgement *judgement = data;

  derate_http_options_unref (judgement->options);
  derate_soup_answer_free (judgement->answer);
  g_free (judgement);
}

static void
judge_in_thread (GTask *task, gpointer source, gpointer task_data, GCancellable *cancellable)
{
  Judgement *judgement = task_data;
  GError *error = NULL;
  DerateHealthReport *report = derate_http_judge (judgement->options, judgement->answer, &error);

  if (report != NULL)
    derate_check_return_report (task, report);
  else
    g_task_return_error (task, error);
}

static void
judged (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  GError *error = NULL;
  DerateHealthReport *report = g_task_propagate_pointer (G_TASK (result), &error);

  if (report != NULL)
    derate_check_return_report (task, report);
  else
    g_task_return_error (task, error);
}

/* Takes @task and @answer over. */
static void
judge (GTask *task, DerateSoupAnswer *answer)
{
  DerateHttpCheck *self = g_task_get_source_object (task);
  g_autoptr (GTask) judging = g_task_new (NULL, g_task_get_cancellable (task), judged, task);
  Judgement *judgement = g_new0 (Judgement, 1);

  judgement->options = derate_http_options_ref (self->options);
  judgement->answer = answer;
  g_task_set_source_tag (judging, judge);
  g_task_set_task_data (judging, judgement, judgement_free);
  if (self->options->regex != NULL)
    g_task_run_in_thread (judging, judge_in_thread);
  else
    judge_in_thread (judging, NULL, judgement, NULL);
}

static void
answered (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  DerateHttpCheck *self = g_task_get_source_object (task);
  Run *run = g_task_get_task_data (task);
  g_autoptr (DerateSoupAnswer) answer = NULL;
  g_autoptr (GUri) next = NULL;
  GError *error = NULL;

  answer = derate_soup_client_send_finish (result, &error);
  if (answer == NULL)
    {
      return_error (task, error);
      return;
    }
  next = find_next (self, run, answer);
  if (next != NULL)
    {
      run->n_redirects++;
      g_uri_unref (run->uri);
      run->uri = g_steal_pointer (&next);
      send_request (g_steal_pointer (&task));
      return;
    }
  if (self->options->follow && SOUP_STATUS_IS_REDIRECTION (answer->status))
    derate_check_return_report (
        task, derate_check_report_new (DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_CONFIG,
                                       "status %u leads nowhere, or over %d times "
                                       "elsewhere",
                                       answer->status, REDIRECTS_MAX));
  else
    judge (g_steal_pointer (&task), g_steal_pointer (&answer));
}

static void
add_header (const char *name, const char *value, gpointer headers)
{
  soup_message_headers_replace (headers, name, value);
}

/* What only the configured server is told. */
static void
add_headers (DerateHttpCheck *self, SoupMessage *message)
{
  SoupMessageHeaders *headers = soup_message_get_request_headers (message);

  if (self->options->authorization != NULL)
    soup_message_headers_replace (headers, "Authorization", self->options->authorization);
  if (self->options->host != NULL)
    soup_message_headers_replace (headers, "Host", self->options->host);
  soup_message_headers_foreach (self->options->headers, add_header, headers);
}

/* Takes @task over. */
static void
send_request (GTask *task)
{
  DerateHttpCheck *self = g_task_get_source_object (task);
  DerateHttpOptions *options = self->options;
  Run *run = g_task_get_task_data (task);
  gboolean at_home = is_same_server (options->uri, run->uri);

  g_set_object (&run->message, NULL);
  run->message = soup_message_new_from_uri (options->method, run->uri);
  g_clear_pointer (&run->elsewhere, derate_soup_client_unref);
  if (at_home)
    {
      add_headers (self, run->message);
      if (self->client == NULL)
        self->client = derate_soup_client_new_at (options->uri, options->address, options->anchors);
    }
  else
    run->elsewhere = derate_soup_client_new_at (run->uri, NULL, options->anchors);
  derate_soup_client_send_async (at_home ? self->client : run->elsewhere, run->message,
                                 g_task_get_cancellable (task), answered, task);
}

static void
derate_http_check_run_async (DerateHealthCheck *check,
                             GCancellable *cancellable,
                             GAsyncReadyCallback callback,
                             gpointer user_data)
{
  DerateHttpCheck *self = DERATE_HTTP_CHECK (check);
  GTask *task = g_task_new (self, cancellable, callback, user_data);
  Run *run = g_new0 (Run, 1);

  g_task_set_source_tag (task, derate_http_check_run_async);
  run->uri = g_uri_ref (self->options->uri);
  g_task_set_task_data (task, run, run_free);
  send_request (task);
}

static void
derate_http_check_iface_init (DerateHealthCheckInterface *iface)
{
  derate_check_iface_fill (iface);
  iface->run_async = derate_http_check_run_async;
}

static void
derate_http_check_finalize (GObject *object)
{
  DerateHttpCheck *self = DERATE_HTTP_CHECK (object);

  g_clear_pointer (&self->options, derate_http_options_unref);
  g_clear_pointer (&self->client, derate_soup_client_unref);

  G_OBJECT_CLASS (derate_http_check_parent_class)->finalize (object);
}

static void
derate_http_check_class_init (DerateHttpCheckClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = derate_http_check_finalize;
}

static void
derate_http_check_init (DerateHttpCheck *self)
{
}

DerateHealthCheck *
derate_http_check_new (const char *service, GVariant *options, gpointer user_data, GError **error)
{
  g_autoptr (DerateHttpCheck) self = g_object_new (DERATE_TYPE_HTTP_CHECK, NULL);

  self->options = derate_http_options_parse (options, error);
  return self->options != NULL ? DERATE_HEALTH_CHECK (g_steal_pointer (&self)) : NULL;
}
