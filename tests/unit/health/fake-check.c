/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fake-check.h"

static void fake_check_iface_init (DerateHealthCheckInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (FakeCheck,
                               fake_check,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (DERATE_TYPE_HEALTH_CHECK,
                                                      fake_check_iface_init))

static void
count (FakeCheck *check, int step)
{
  check->n_inside += step;
  check->most_inside = MAX (check->most_inside, check->n_inside);
  if (check->n_all == NULL)
    return;
  *check->n_all += step;
  *check->most_all = MAX (*check->most_all, *check->n_all);
}

static DerateHealthReport *
make_report (FakeCheck *check)
{
  return derate_health_report_new (check->status, check->cause, check->message);
}

static void
return_report (GTask *task, DerateHealthReport *report)
{
  count (g_task_get_source_object (task), -1);
  g_task_return_pointer (task, report, (GDestroyNotify)derate_health_report_unref);
}

static gboolean
on_delay (gpointer data)
{
  GTask *task = data;

  return_report (task, make_report (g_task_get_source_object (task)));
  return G_SOURCE_REMOVE;
}

static void
on_cancelled (GCancellable *cancellable, gpointer data)
{
  GTask *task = data;
  FakeCheck *check = g_task_get_source_object (task);

  check->n_cancelled++;
  g_signal_handlers_disconnect_by_data (cancellable, task);
  if (check->kept == task)
    return;
  count (check, -1);
  g_task_return_error_if_cancelled (task);
}

static void
fake_check_run_async (DerateHealthCheck *base,
                      GCancellable *cancellable,
                      GAsyncReadyCallback callback,
                      gpointer user_data)
{
  FakeCheck *check = FAKE_CHECK (base);
  g_autoptr (GTask) task = g_task_new (check, cancellable, callback, user_data);
  gint64 now = derate_clock_get_time (check->clock);

  g_task_set_check_cancellable (task, FALSE);
  check->n_started++;
  check->thread = g_thread_self ();
  g_array_append_val (check->starts, now);
  count (check, 1);

  if (check->behaviour == FAKE_FAIL)
    {
      count (check, -1);
      g_task_return_new_error (task, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES,
                               "no descriptor left for redis://u:s3cret@cache");
    }
  else if (check->behaviour == FAKE_ANSWER && check->delay == 0)
    return_report (task, make_report (check));
  else if (check->behaviour == FAKE_ANSWER)
    {
      g_autoptr (GSource) timer = derate_clock_source_new (check->clock, now + check->delay);

      g_source_set_callback (timer, on_delay, g_object_ref (task), g_object_unref);
      g_source_attach (timer, g_task_get_context (task));
    }
  else
    {
      if (check->behaviour == FAKE_IGNORE)
        g_set_object (&check->kept, task);
      g_signal_connect_data (cancellable, "cancelled", G_CALLBACK (on_cancelled),
                             g_object_ref (task), (GClosureNotify)g_object_unref, 0);
    }
}

static DerateHealthReport *
fake_check_run_finish (DerateHealthCheck *base, GAsyncResult *result, GError **error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}

static DerateHealthCheckThreading
fake_check_get_threading (DerateHealthCheck *base)
{
  return FAKE_CHECK (base)->threading;
}

static void
fake_check_iface_init (DerateHealthCheckInterface *iface)
{
  iface->run_async = fake_check_run_async;
  iface->run_finish = fake_check_run_finish;
  iface->get_threading = fake_check_get_threading;
}

static void
fake_check_finalize (GObject *object)
{
  FakeCheck *check = FAKE_CHECK (object);

  g_array_unref (check->starts);
  g_object_unref (check->clock);
  G_OBJECT_CLASS (fake_check_parent_class)->finalize (object);
}

static void
fake_check_class_init (FakeCheckClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = fake_check_finalize;
}

static void
fake_check_init (FakeCheck *check)
{
  check->threading = DERATE_HEALTH_CHECK_ANY_THREAD;
  check->status = DERATE_HEALTH_STATUS_HEALTHY;
  check->starts = g_array_new (FALSE, FALSE, sizeof (gint64));
}

FakeCheck *
fake_check_new (DerateClock *clock)
{
  FakeCheck *check = g_object_new (FAKE_TYPE_CHECK, NULL);

  check->clock = g_object_ref (clock);
  return check;
}

void
fake_check_set (FakeCheck *check,
                DerateHealthStatus status,
                DerateHealthCause cause,
                const char *message)
{
  check->behaviour = FAKE_ANSWER;
  check->status = status;
  check->cause = cause;
  check->message = message;
}

gint64
fake_check_get_start (FakeCheck *check, gint n)
{
  return g_array_index (check->starts, gint64, n >= 0 ? n : (gint)check->starts->len + n);
}

void
fake_check_let_go (FakeCheck *check)
{
  g_autoptr (GTask) task = g_steal_pointer (&check->kept);

  g_signal_handlers_disconnect_by_data (g_task_get_cancellable (task), task);
  return_report (task, make_report (check));
}
