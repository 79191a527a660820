/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A plugin outside the tree: a service is healthy while a file exists. */
#include <derate.h>

struct _TideCheck
{
  GObject parent_instance;

  char *path;
};

G_DECLARE_FINAL_TYPE (TideCheck, tide_check, TIDE, CHECK, GObject)

static void tide_check_iface_init (DerateHealthCheckInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (TideCheck,
                               tide_check,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (DERATE_TYPE_HEALTH_CHECK,
                                                      tide_check_iface_init))

static void
tide_check_run_async (DerateHealthCheck *check,
                      GCancellable *cancellable,
                      GAsyncReadyCallback callback,
                      gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (check, cancellable, callback, user_data);
  gboolean found = g_file_test (TIDE_CHECK (check)->path, G_FILE_TEST_EXISTS);

  g_task_set_source_tag (task, tide_check_run_async);
  g_task_return_pointer (task,
                         derate_health_report_new (found ? DERATE_HEALTH_STATUS_HEALTHY
                                                         : DERATE_HEALTH_STATUS_DOWN,
                                                   found ? DERATE_HEALTH_CAUSE_NONE
                                                         : DERATE_HEALTH_CAUSE_REFUSED,
                                                   found ? NULL : "the tide is out"),
                         (GDestroyNotify)derate_health_report_unref);
}

static DerateHealthReport *
tide_check_run_finish (DerateHealthCheck *check, GAsyncResult *result, GError **error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}

static void
tide_check_iface_init (DerateHealthCheckInterface *iface)
{
  iface->run_async = tide_check_run_async;
  iface->run_finish = tide_check_run_finish;
}

static void
tide_check_finalize (GObject *object)
{
  g_free (TIDE_CHECK (object)->path);
  G_OBJECT_CLASS (tide_check_parent_class)->finalize (object);
}

static void
tide_check_class_init (TideCheckClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = tide_check_finalize;
}

static void
tide_check_init (TideCheck *self)
{
}

static DerateHealthCheck *
make_check (const char *service, GVariant *options, gpointer user_data, GError **error)
{
  TideCheck *self = g_object_new (tide_check_get_type (), NULL);

  g_variant_lookup (options, "uri", "s", &self->path);
  return DERATE_HEALTH_CHECK (self);
}

static gboolean
register_tide (DeratePluginRegistrar *registrar, GError **error)
{
  derate_plugin_registrar_add_health_check (registrar, NULL, make_check, NULL, NULL);
  return TRUE;
}

DERATE_PLUGIN_DEFINE ("tide", "0.1", "MIT", "Looks for a file", register_tide)
