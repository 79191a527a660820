/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A check for the program's own loop, which it stops for as long as a file exists; it makes a
 * folder beside that, with -now behind its name, once it has. */
#include <derate.h>
#include <glib/gstdio.h>

#define LOOK_USEC 10000

struct _StallCheck
{
  GObject parent_instance;

  char *path;
};

G_DECLARE_FINAL_TYPE (StallCheck, stall_check, STALL, CHECK, GObject)

static void stall_check_iface_init (DerateHealthCheckInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (StallCheck,
                               stall_check,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (DERATE_TYPE_HEALTH_CHECK,
                                                      stall_check_iface_init))

static void
stall_check_run_async (DerateHealthCheck *check,
                       GCancellable *cancellable,
                       GAsyncReadyCallback callback,
                       gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (check, cancellable, callback, user_data);
  g_autofree char *now = g_strconcat (STALL_CHECK (check)->path, "-now", NULL);

  g_task_set_source_tag (task, stall_check_run_async);
  if (g_file_test (STALL_CHECK (check)->path, G_FILE_TEST_EXISTS))
    g_mkdir (now, 0700);
  while (g_file_test (STALL_CHECK (check)->path, G_FILE_TEST_EXISTS))
    g_usleep (LOOK_USEC);
  g_task_return_pointer (task,
                         derate_health_report_new (DERATE_HEALTH_STATUS_HEALTHY,
                                                   DERATE_HEALTH_CAUSE_NONE, NULL),
                         (GDestroyNotify)derate_health_report_unref);
}

static DerateHealthReport *
stall_check_run_finish (DerateHealthCheck *check, GAsyncResult *result, GError **error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}

static void
stall_check_iface_init (DerateHealthCheckInterface *iface)
{
  iface->run_async = stall_check_run_async;
  iface->run_finish = stall_check_run_finish;
}

static void
stall_check_finalize (GObject *object)
{
  g_free (STALL_CHECK (object)->path);
  G_OBJECT_CLASS (stall_check_parent_class)->finalize (object);
}

static void
stall_check_class_init (StallCheckClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = stall_check_finalize;
}

static void
stall_check_init (StallCheck *self)
{
}

static DerateHealthCheck *
make_check (const char *service, GVariant *options, gpointer user_data, GError **error)
{
  StallCheck *self = g_object_new (stall_check_get_type (), NULL);

  g_variant_lookup (options, "uri", "s", &self->path);
  return DERATE_HEALTH_CHECK (self);
}

static gboolean
register_stall (DeratePluginRegistrar *registrar, GError **error)
{
  derate_plugin_registrar_add_health_check (registrar, NULL, make_check, NULL, NULL);
  return TRUE;
}

DERATE_PLUGIN_DEFINE ("stall",
                      "0.1",
                      "LGPL-2.1-or-later",
                      "Stops a loop on purpose",
                      register_stall)
