/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* HeadBucket. Its answer has no body, so where the status leaves open what is wrong (403, 503), one
 * ListObjectsV2 of one key asks for the code. A bucket that lives in another region says so (301,
 * or 400); then the request is signed once more, for that region, and goes to the same endpoint, or
 * to Amazon's of that region. Runs never overlap and stay in one thread. */
#include "derate-s3-check.h"

#include "derate-check-options.h"
#include "derate-check-report.h"
#include "derate-s3-target.h"

#define LIST_QUERY "list-type=2&max-keys=1"

struct _DerateS3Check
{
  GObject parent_instance;

  DerateS3Target *target;
  DerateSigv4Credentials *credentials;
  DerateSoupClient *client; /* for the host of the target's region */
};

typedef struct
{
  gboolean resigned;
  gboolean listing;
} Run;

static void derate_s3_check_iface_init (DerateHealthCheckInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (DerateS3Check,
                               derate_s3_check,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (DERATE_TYPE_HEALTH_CHECK,
                                                      derate_s3_check_iface_init))

static void send_request (GTask *task);

static DerateHealthReport *
judge (guint status, const char *code)
{
  const char *shown = code != NULL ? code : "no code";

  if (status >= 200 && status <= 299)
    return derate_health_report_new (DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE, NULL);
  if (status == 429 || (status == 503 && code != NULL && g_str_has_prefix (code, "SlowDown")))
    return derate_check_report_new (DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_THROTTLED,
                                    "status %u (%s)", status, shown);
  return derate_check_report_new (DERATE_HEALTH_STATUS_DOWN,
                                  status >= 300 && status <= 499 ? DERATE_HEALTH_CAUSE_CONFIG
                                                                 : DERATE_HEALTH_CAUSE_PROTOCOL,
                                  "status %u (%s)", status, shown);
}

/* Signs for the region that the server names. FALSE when it names none, or again. */
static gboolean
follow_region (GTask *task, const DerateSoupAnswer *answer)
{
  DerateS3Check *self = g_task_get_source_object (task);
  Run *run = g_task_get_task_data (task);
  const char *region = soup_message_headers_get_one (answer->headers, "x-amz-bucket-region");

  if (run->resigned || region == NULL || answer->status < 300 || answer->status > 400)
    return FALSE;
  if (!derate_s3_is_region (region) || g_str_equal (region, self->target->region))
    return FALSE;
  run->resigned = TRUE;
  g_free (self->target->region);
  self->target->region = g_strdup (region);
  if (self->target->endpoint == NULL)
    g_clear_pointer (&self->client, derate_soup_client_unref);
  return TRUE;
}

static void
answered (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  Run *run = g_task_get_task_data (task);
  g_autoptr (DerateSoupAnswer) answer = NULL;
  g_autofree char *code = NULL;
  GError *error = NULL;

  answer = derate_soup_client_send_finish (result, &error);
  if (answer == NULL)
    {
      derate_check_return_error (task, error);
      return;
    }
  if (follow_region (task, answer))
    {
      send_request (g_steal_pointer (&task));
      return;
    }
  if (!run->listing && (answer->status == 403 || answer->status == 503))
    {
      run->listing = TRUE;
      send_request (g_steal_pointer (&task));
      return;
    }
  code = derate_s3_parse_error_code (answer->body);
  derate_check_return_report (task, judge (answer->status, code));
}

/* Takes @task over. */
static void
send_request (GTask *task)
{
  DerateS3Check *self = g_task_get_source_object (task);
  Run *run = g_task_get_task_data (task);
  g_autoptr (SoupMessage) message = NULL;

  message = derate_s3_target_sign (self->target, run->listing ? SOUP_METHOD_GET : SOUP_METHOD_HEAD,
                                   run->listing ? LIST_QUERY : NULL, self->credentials);
  if (self->client == NULL)
    self->client = derate_soup_client_new (soup_message_get_uri (message));
  derate_soup_client_send_async (self->client, message, g_task_get_cancellable (task), answered,
                                 task);
}

static void
derate_s3_check_run_async (DerateHealthCheck *check,
                           GCancellable *cancellable,
                           GAsyncReadyCallback callback,
                           gpointer user_data)
{
  GTask *task = g_task_new (check, cancellable, callback, user_data);

  g_task_set_source_tag (task, derate_s3_check_run_async);
  g_task_set_task_data (task, g_new0 (Run, 1), g_free);
  send_request (task);
}

static void
derate_s3_check_iface_init (DerateHealthCheckInterface *iface)
{
  derate_check_iface_fill (iface);
  iface->run_async = derate_s3_check_run_async;
}

static void
derate_s3_check_finalize (GObject *object)
{
  DerateS3Check *self = DERATE_S3_CHECK (object);

  g_clear_pointer (&self->target, derate_s3_target_free);
  g_clear_pointer (&self->credentials, derate_sigv4_credentials_free);
  g_clear_pointer (&self->client, derate_soup_client_unref);

  G_OBJECT_CLASS (derate_s3_check_parent_class)->finalize (object);
}

static void
derate_s3_check_class_init (DerateS3CheckClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = derate_s3_check_finalize;
}

static void
derate_s3_check_init (DerateS3Check *self)
{
}

static gboolean
read_credentials (DerateS3Check *self, GVariant *options, GError **error)
{
  g_autofree char *path = g_strdup (derate_check_options_get (options, "password-file"));
  char *text = NULL;

  if (!derate_check_options_read_secret (options, &text, error))
    return FALSE;
  self->credentials =
      text != NULL ? derate_s3_parse_credentials (text) : derate_s3_credentials_from_environment ();
  derate_check_secret_free (text);
  if (self->credentials != NULL)
    return TRUE;
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG,
               "there is no AWS_ACCESS_KEY_ID or no AWS_SECRET_ACCESS_KEY in %s",
               path != NULL ? path : "the environment");
  return FALSE;
}

DerateHealthCheck *
derate_s3_check_new (const char *service, GVariant *options, gpointer user_data, GError **error)
{
  static const char *const known[] = { "uri", "password-file", NULL };
  g_autoptr (DerateS3Check) self = g_object_new (DERATE_TYPE_S3_CHECK, NULL);
  const char *uri = derate_check_options_get (options, "uri");
  const char *problem = "there is none, so there is no bucket";

  if (!derate_check_options_validate (options, known, error))
    return NULL;
  self->target = uri != NULL ? derate_s3_target_parse (uri, &problem) : NULL;
  if (self->target == NULL)
    {
      derate_check_options_set_error (error, "uri", uri != NULL ? uri : "", problem);
      return NULL;
    }
  if (!read_credentials (self, options, error))
    return NULL;
  return DERATE_HEALTH_CHECK (g_steal_pointer (&self));
}
