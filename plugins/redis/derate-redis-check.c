/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PING, then ROLE and EXISTS where the options ask for them, all sent together. The connection is
 * kept between runs; one that has died is opened anew in the same run, so that a restart costs no
 * bad result. A run and what it touches belong to the thread that started it; runs never overlap.
 */
#include "derate-redis-check.h"

#include "derate-check-options.h"
#include "derate-check-report.h"
#include "derate-redis-connection.h"

struct _DerateRedisCheck
{
  GObject parent_instance;

  char *uri;
  char *password;
  gboolean role;
  char *maintenance_key;
  DerateRedisConnection *connection; /* NULL when there is none, or while a run has it */
};

/* One run. The first bad news decides; a later answer never makes it better. */
typedef struct
{
  DerateRedisConnection *connection;
  gboolean fresh; /* opened in this run */
  guint awaited;
  DerateHealthReport *report; /* NULL: all well so far */
  GError *error; /* instead of a report */
} Run;

static void derate_redis_check_iface_init (DerateHealthCheckInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (DerateRedisCheck,
                               derate_redis_check,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (DERATE_TYPE_HEALTH_CHECK,
                                                      derate_redis_check_iface_init))

/* clang-format off */
/* MASTERDOWN and MISCONF still answer some; what they refuse is above all writing. */
static const struct
{
  DerateRedisError code;
  DerateHealthStatus status;
  DerateHealthCause cause;
} verdicts[] = {
  { DERATE_REDIS_ERROR_CONFIG,           DERATE_HEALTH_STATUS_DOWN,     DERATE_HEALTH_CAUSE_CONFIG },
  { DERATE_REDIS_ERROR_CLOSED,           DERATE_HEALTH_STATUS_DOWN,     DERATE_HEALTH_CAUSE_REFUSED },
  { DERATE_REDIS_ERROR_AUTH,             DERATE_HEALTH_STATUS_DOWN,     DERATE_HEALTH_CAUSE_AUTH },
  { DERATE_REDIS_ERROR_TOO_MANY_CLIENTS, DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_OVERLOADED },
  { DERATE_REDIS_ERROR_LOADING,          DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_OVERLOADED },
  { DERATE_REDIS_ERROR_MASTER_DOWN,      DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_READ_ONLY },
  { DERATE_REDIS_ERROR_READ_ONLY,        DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_READ_ONLY },
  { DERATE_REDIS_ERROR_MISCONFIGURED,    DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_READ_ONLY },
  { DERATE_REDIS_ERROR_OUT_OF_MEMORY,    DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_OVERLOADED },
  { DERATE_REDIS_ERROR_BUSY,             DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_OVERLOADED },
};
/* clang-format on */

static void start_run (GTask *task);

static void
run_free (gpointer data)
{
  Run *run = data;

  g_clear_object (&run->connection);
  g_clear_pointer (&run->report, derate_health_report_unref);
  g_clear_error (&run->error);
  g_free (run);
}

static DerateHealthReport *
report_from_error (const GError *error)
{
  for (guint i = 0; error->domain == DERATE_REDIS_ERROR && i < G_N_ELEMENTS (verdicts); i++)
    {
      if (error->code == (int)verdicts[i].code)
        return derate_check_report_new (verdicts[i].status, verdicts[i].cause, "%s",
                                        error->message);
    }
  return derate_check_report_from_error (error);
}

static void
note_report (GTask *task, DerateHealthReport *report)
{
  Run *run = g_task_get_task_data (task);

  if (run->report == NULL && run->error == NULL)
    run->report = report;
  else
    g_clear_pointer (&report, derate_health_report_unref);
}

static void
note_bad (GTask *task, DerateHealthStatus status, DerateHealthCause cause, const char *message)
{
  note_report (task, derate_health_report_new (status, cause, message));
}

static void
end_run (GTask *task)
{
  DerateRedisCheck *self = g_task_get_source_object (task);
  Run *run = g_task_get_task_data (task);

  if (run->error != NULL)
    run->report = report_from_error (run->error);
  if (run->error != NULL && run->report == NULL)
    {
      g_task_return_error (task, g_steal_pointer (&run->error));
      return;
    }
  if (run->connection != NULL && derate_redis_connection_is_usable (run->connection))
    self->connection = g_steal_pointer (&run->connection);
  if (run->report == NULL)
    run->report =
        derate_health_report_new (DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE, NULL);
  derate_check_return_report (task, g_steal_pointer (&run->report));
}

/* It may be the kept connection alone that has died. */
static gboolean
must_open_anew (Run *run)
{
  return run->error != NULL && !run->fresh &&
         g_error_matches (run->error, DERATE_REDIS_ERROR, DERATE_REDIS_ERROR_CLOSED);
}

/* One answer less to wait for. Gives the answer; NULL when it was an error, which is noted. */
static DerateRedisReply *
take_answer (GTask *task, GObject *source, GAsyncResult *result)
{
  Run *run = g_task_get_task_data (task);
  DerateRedisConnection *connection = DERATE_REDIS_CONNECTION (source);
  DerateRedisReply *reply;
  g_autoptr (GError) error = NULL;

  run->awaited--;
  reply = derate_redis_connection_command_finish (connection, result, &error);
  if (reply == NULL && run->report == NULL && run->error == NULL)
    run->error = g_steal_pointer (&error);
  return reply;
}

static void
proceed (GTask *task)
{
  Run *run = g_task_get_task_data (task);

  if (run->awaited > 0)
    return;
  if (must_open_anew (run))
    {
      g_clear_error (&run->error);
      g_clear_object (&run->connection);
      start_run (g_object_ref (task));
      return;
    }
  end_run (task);
}

static void
ping_answered (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  g_autoptr (DerateRedisReply) reply = take_answer (task, source, result);

  if (reply != NULL && g_strcmp0 (derate_redis_reply_get_text (reply), "PONG") != 0)
    note_bad (task, DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_PROTOCOL,
              "the answer to PING is not PONG");
  proceed (task);
}

static void
role_answered (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  g_autoptr (DerateRedisReply) reply = take_answer (task, source, result);
  DerateRedisReply *first = reply != NULL ? derate_redis_reply_get_element (reply, 0) : NULL;
  const char *role = first != NULL ? derate_redis_reply_get_text (first) : NULL;

  if (g_strcmp0 (role, "slave") == 0)
    note_bad (task, DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_READ_ONLY,
              "the server is a replica");
  else if (reply != NULL && g_strcmp0 (role, "master") != 0)
    note_bad (task, DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_CONFIG,
              "the server is neither a master nor a replica");
  proceed (task);
}

static void
key_answered (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  g_autoptr (DerateRedisReply) reply = take_answer (task, source, result);

  if (reply != NULL && derate_redis_reply_get_integer (reply) > 0)
    note_bad (task, DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_MAINTENANCE,
              "the maintenance key is set");
  proceed (task);
}

static void
ask (GTask *task, GAsyncReadyCallback callback, const char *const *arguments)
{
  Run *run = g_task_get_task_data (task);

  run->awaited++;
  derate_redis_connection_command_async (run->connection, arguments, g_task_get_cancellable (task),
                                         callback, g_object_ref (task));
}

static void
ask_all (GTask *task)
{
  DerateRedisCheck *self = g_task_get_source_object (task);

  ask (task, ping_answered, (const char *const[]){ "PING", NULL });
  if (self->role)
    ask (task, role_answered, (const char *const[]){ "ROLE", NULL });
  if (self->maintenance_key != NULL)
    ask (task, key_answered, (const char *const[]){ "EXISTS", self->maintenance_key, NULL });
}

static void
opened (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  Run *run = g_task_get_task_data (task);

  run->connection = derate_redis_connection_open_finish (result, &run->error);
  if (run->connection != NULL)
    ask_all (task);
  else
    end_run (task);
}

/* Takes @task over. */
static void
start_run (GTask *task)
{
  DerateRedisCheck *self = g_task_get_source_object (task);
  Run *run = g_task_get_task_data (task);

  run->fresh = TRUE;
  derate_redis_connection_open_async (self->uri, self->password, g_task_get_cancellable (task),
                                      opened, task);
}

static void
derate_redis_check_run_async (DerateHealthCheck *check,
                              GCancellable *cancellable,
                              GAsyncReadyCallback callback,
                              gpointer user_data)
{
  DerateRedisCheck *self = DERATE_REDIS_CHECK (check);
  g_autoptr (GTask) task = g_task_new (self, cancellable, callback, user_data);
  Run *run = g_new0 (Run, 1);

  g_task_set_source_tag (task, derate_redis_check_run_async);
  g_task_set_task_data (task, run, run_free);
  run->connection = g_steal_pointer (&self->connection);
  if (run->connection != NULL && derate_redis_connection_is_usable (run->connection))
    {
      ask_all (task);
      return;
    }
  g_clear_object (&run->connection);
  start_run (g_steal_pointer (&task));
}

static void
derate_redis_check_iface_init (DerateHealthCheckInterface *iface)
{
  derate_check_iface_fill (iface);
  iface->run_async = derate_redis_check_run_async;
}

static void
derate_redis_check_finalize (GObject *object)
{
  DerateRedisCheck *self = DERATE_REDIS_CHECK (object);

  derate_check_secret_free (self->uri);
  derate_check_secret_free (self->password);
  g_free (self->maintenance_key);
  g_clear_object (&self->connection);

  G_OBJECT_CLASS (derate_redis_check_parent_class)->finalize (object);
}

static void
derate_redis_check_class_init (DerateRedisCheckClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = derate_redis_check_finalize;
}

static void
derate_redis_check_init (DerateRedisCheck *self)
{
}

DerateHealthCheck *
derate_redis_check_new (const char *service, GVariant *options, gpointer user_data, GError **error)
{
  static const char *const known[] = { "uri", "password-file", "check-role",
                                       "check-maintenance-key", NULL };
  g_autoptr (DerateRedisCheck) self = g_object_new (DERATE_TYPE_REDIS_CHECK, NULL);
  const char *uri = derate_check_options_get (options, "uri");
  g_autoptr (GError) local = NULL;

  if (!derate_check_options_validate (options, known, error) ||
      !derate_check_options_read_secret (options, &self->password, error) ||
      !derate_check_options_get_boolean (options, "check-role", &self->role, error))
    return NULL;
  self->maintenance_key = g_strdup (derate_check_options_get (options, "check-maintenance-key"));
  self->uri = g_strdup (uri != NULL ? uri : "redis://127.0.0.1");
  if (!derate_redis_connection_check_uri (self->uri, &local))
    {
      derate_check_options_set_error (error, "uri", self->uri, local->message);
      return NULL;
    }
  return DERATE_HEALTH_CHECK (g_steal_pointer (&self));
}
