/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Asks a server for a sign of life with an empty query, and reads from what it reports along
 * whether it takes writes. The session is kept between runs; one that has died is opened anew in
 * the same run, so that a restart costs no bad result. A run and what it touches belong to the
 * thread that started it; runs never overlap, which whoever runs checks sees to. */
#include "derate-pg-check.h"

#include "derate-check-options.h"
#include "derate-check-report.h"
#include "derate-pg-connection.h"

struct _DeratePgCheck
{
  GObject parent_instance;

  char *uri;
  char *password;
  DeratePgConnection *connection; /* NULL when there is none, or while a run has it */
};

static void derate_pg_check_iface_init (DerateHealthCheckInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (DeratePgCheck,
                               derate_pg_check,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (DERATE_TYPE_HEALTH_CHECK,
                                                      derate_pg_check_iface_init))

/* clang-format off */
/* A server that starts up, shuts down or recovers (57P03) answers nobody: down, not degraded. */
static const struct
{
  DeratePgError code;
  DerateHealthStatus status;
  DerateHealthCause cause;
} verdicts[] = {
  { DERATE_PG_ERROR_CONFIG,               DERATE_HEALTH_STATUS_DOWN,     DERATE_HEALTH_CAUSE_CONFIG },
  { DERATE_PG_ERROR_CONNECT_REFUSED,      DERATE_HEALTH_STATUS_DOWN,     DERATE_HEALTH_CAUSE_REFUSED },
  { DERATE_PG_ERROR_CONNECT_TIMEOUT,      DERATE_HEALTH_STATUS_DOWN,     DERATE_HEALTH_CAUSE_TIMEOUT },
  { DERATE_PG_ERROR_AUTH,                 DERATE_HEALTH_STATUS_DOWN,     DERATE_HEALTH_CAUSE_AUTH },
  { DERATE_PG_ERROR_TOO_MANY_CONNECTIONS, DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_OVERLOADED },
  { DERATE_PG_ERROR_NOT_READY,            DERATE_HEALTH_STATUS_DOWN,     DERATE_HEALTH_CAUSE_REFUSED },
  { DERATE_PG_ERROR_READ_ONLY,            DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_READ_ONLY },
  { DERATE_PG_ERROR_RESOURCES,            DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_OVERLOADED },
  { DERATE_PG_ERROR_CLOSED,               DERATE_HEALTH_STATUS_DOWN,     DERATE_HEALTH_CAUSE_REFUSED },
};
/* clang-format on */

/* Takes @error over. */
static void
return_error (GTask *task, GError *error)
{
  for (guint i = 0; error->domain == DERATE_PG_ERROR && i < G_N_ELEMENTS (verdicts); i++)
    {
      if (error->code != (int)verdicts[i].code)
        continue;
      derate_check_return_report (task,
                                  derate_check_report_new (verdicts[i].status, verdicts[i].cause,
                                                           "%s", error->message));
      g_error_free (error);
      return;
    }
  derate_check_return_error (task, error);
}

static void
return_role (GTask *task, DeratePgConnection *connection)
{
  if (derate_pg_connection_is_standby (connection))
    derate_check_return_report (task, derate_check_report_new (DERATE_HEALTH_STATUS_DEGRADED,
                                                               DERATE_HEALTH_CAUSE_READ_ONLY,
                                                               "the server is a standby"));
  else if (derate_pg_connection_is_read_only (connection))
    derate_check_return_report (task,
                                derate_check_report_new (DERATE_HEALTH_STATUS_DEGRADED,
                                                         DERATE_HEALTH_CAUSE_READ_ONLY,
                                                         "default_transaction_read_only is on"));
  else
    derate_check_return_report (task, derate_health_report_new (DERATE_HEALTH_STATUS_HEALTHY,
                                                                DERATE_HEALTH_CAUSE_NONE, NULL));
}

static void open_anew (GTask *task);

static void
answered (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  DeratePgCheck *self = g_task_get_source_object (task);
  DeratePgConnection *connection = DERATE_PG_CONNECTION (source);
  gboolean was_kept = GPOINTER_TO_INT (g_task_get_task_data (task));
  g_autoptr (DeratePgResult) answer = NULL;
  GError *error = NULL;

  answer = derate_pg_connection_query_finish (connection, result, &error);
  if (answer != NULL)
    {
      g_set_object (&self->connection, connection);
      return_role (task, connection);
    }
  else if (was_kept && g_error_matches (error, DERATE_PG_ERROR, DERATE_PG_ERROR_CLOSED))
    {
      /* It may be the session alone that has died. */
      g_clear_error (&error);
      open_anew (g_steal_pointer (&task));
    }
  else
    return_error (task, error);
}

static void
ask (DeratePgConnection *connection, gboolean was_kept, GTask *task)
{
  g_task_set_task_data (task, GINT_TO_POINTER (was_kept), NULL);
  derate_pg_connection_query_async (connection, "", NULL, g_task_get_cancellable (task), answered,
                                    task);
}

static void
opened (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  g_autoptr (DeratePgConnection) connection = NULL;
  GError *error = NULL;

  connection = derate_pg_connection_open_finish (result, &error);
  if (connection == NULL)
    return_error (task, error);
  else
    ask (connection, FALSE, g_steal_pointer (&task));
}

static void
open_anew (GTask *task)
{
  DeratePgCheck *self = g_task_get_source_object (task);

  derate_pg_connection_open_async (self->uri, self->password, g_task_get_cancellable (task), opened,
                                   task);
}

static void
derate_pg_check_run_async (DerateHealthCheck *check,
                           GCancellable *cancellable,
                           GAsyncReadyCallback callback,
                           gpointer user_data)
{
  DeratePgCheck *self = DERATE_PG_CHECK (check);
  GTask *task = g_task_new (self, cancellable, callback, user_data);
  g_autoptr (DeratePgConnection) connection = g_steal_pointer (&self->connection);

  g_task_set_source_tag (task, derate_pg_check_run_async);
  if (connection != NULL && derate_pg_connection_is_usable (connection))
    ask (connection, TRUE, task);
  else
    open_anew (task);
}

static void
derate_pg_check_iface_init (DerateHealthCheckInterface *iface)
{
  derate_check_iface_fill (iface);
  iface->run_async = derate_pg_check_run_async;
}

static void
derate_pg_check_finalize (GObject *object)
{
  DeratePgCheck *self = DERATE_PG_CHECK (object);

  derate_check_secret_free (self->uri);
  derate_check_secret_free (self->password);
  g_clear_object (&self->connection);

  G_OBJECT_CLASS (derate_pg_check_parent_class)->finalize (object);
}

static void
derate_pg_check_class_init (DeratePgCheckClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = derate_pg_check_finalize;
}

static void
derate_pg_check_init (DeratePgCheck *self)
{
}

DerateHealthCheck *
derate_pg_check_new (const char *service, GVariant *options, gpointer user_data, GError **error)
{
  static const char *const known[] = { "uri", "password-file", NULL };
  g_autoptr (DeratePgCheck) self = g_object_new (DERATE_TYPE_PG_CHECK, NULL);
  const char *uri = derate_check_options_get (options, "uri");
  g_autoptr (GError) local = NULL;

  if (!derate_check_options_validate (options, known, error) ||
      !derate_check_options_read_secret (options, &self->password, error))
    return NULL;
  /* Without a URI the environment says where, as for every program that uses libpq. */
  self->uri = g_strdup (uri != NULL ? uri : "postgresql://");
  if (!derate_pg_connection_check_uri (self->uri, &local))
    {
      derate_check_options_set_error (error, "uri", self->uri, local->message);
      return NULL;
    }
  return DERATE_HEALTH_CHECK (g_steal_pointer (&self));
}
