/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-core-systemd-private.h"

#include <unistd.h>

#include "derate-core-object-private.h"
#include "derate-degradation-manager-private.h"
#include "derate-error.h"
#include "derate-names-private.h"
#include "derate-notify-socket-private.h"

/* How soon what found no room is tried again. */
#define RETRY_INTERVAL G_TIME_SPAN_SECOND

/* Threads: the manager's listener calls from any thread, and maybe after it was removed, so what it
 * uses (Teller) is counted. Its mutex guards the texts and orders what is sent. The timer runs in
 * the monitor's context; the rest belongs to the owner. */
typedef struct
{
  DerateNotifySocket *socket;
  GMutex mutex;
  char *level; /* as last told; NULL before the first */
  gboolean ready;
  gboolean refused; /* the last reload */
  gboolean stopping;
} Teller;

struct _DerateCoreSystemd
{
  DerateCore *core; /* which owns this */
  Teller *teller;
  GTimeSpan watchdog; /* 0: nobody watches */
  gint64 next_ping;
  GSource *timer;
  guint listener;
};

static void
teller_clear (gpointer data)
{
  Teller *teller = data;

  derate_notify_socket_free (teller->socket);
  g_free (teller->level);
  g_mutex_clear (&teller->mutex);
}

static void
teller_unref (gpointer data)
{
  g_atomic_rc_box_release_full (data, teller_clear);
}

static char *
describe (const DerateDegradationEvent *event)
{
  g_autoptr (GString) text = g_string_new (NULL);
  GVariantIter iter;
  const char *name;
  const char *status;
  const char *comma = ": ";

  g_string_append_printf (text, "Level %s", derate_level_get_nick (event->new_level));
  if (event->rule == NULL)
    return g_string_free (g_steal_pointer (&text), FALSE);
  g_string_append_printf (text, ", %s", event->rule);
  if (event->inputs == NULL)
    return g_string_free (g_steal_pointer (&text), FALSE);
  g_variant_iter_init (&iter, event->inputs);
  while (g_variant_iter_next (&iter, "{&s&s}", &name, &status))
    {
      if (g_str_equal (status, derate_health_status_get_nick (DERATE_HEALTH_STATUS_HEALTHY)))
        continue;
      g_string_append_printf (text, "%s%s %s", comma, name, status);
      comma = ", ";
    }
  return g_string_free (g_steal_pointer (&text), FALSE);
}

/* With the mutex. @front: lines before it, each with its end. */
static void
tell (Teller *teller, const char *front)
{
  g_autofree char *text = NULL;
  const char *more = teller->refused ? " (the last reload was refused)" : "";

  if (teller->stopping)
    return;
  if (teller->level == NULL)
    text = g_strconcat (front, "STATUS=Looking at the services", NULL);
  else
    text = g_strconcat (front, "STATUS=", teller->level, more, NULL);
  derate_notify_socket_send (teller->socket, text);
}

/* In any thread, in the order of what happened. */
static void
on_event (DerateDegradationManager *manager, const DerateDegradationEvent *event, gpointer data)
{
  Teller *teller = data;
  g_autofree char *text = NULL;
  g_autoptr (GMutexLocker) locker = NULL;

  if (event->type != DERATE_DEGRADATION_EVENT_LEVEL &&
      event->type != DERATE_DEGRADATION_EVENT_DETAILS)
    return;
  text = describe (event);
  locker = g_mutex_locker_new (&teller->mutex);
  if (g_strcmp0 (teller->level, text) == 0)
    return;
  g_free (teller->level);
  teller->level = g_steal_pointer (&text);
  tell (teller, "");
}

/* Half of what the program is given, as sd_watchdog_enabled(3) advises. No ping says that the
 * program's own loop, asked once a second, has not answered for as long. */
static void
ping (DerateCoreSystemd *systemd, gint64 now)
{
  if (systemd->watchdog == 0 || now < systemd->next_ping)
    return;
  systemd->next_ping = now + systemd->watchdog / 2;
  if (derate_loop_lag_get (systemd->core->lag) < systemd->watchdog / 2)
    derate_notify_socket_ping (systemd->teller->socket, "WATCHDOG=1");
}

static gboolean
on_timer (gpointer data)
{
  DerateCoreSystemd *systemd = data;
  DerateClock *clock = systemd->core->clock;
  gint64 now = derate_clock_get_time (clock);
  gint64 next = now + RETRY_INTERVAL;

  ping (systemd, now);
  derate_notify_socket_flush (systemd->teller->socket);
  if (systemd->watchdog != 0)
    next = MIN (next, systemd->next_ping);
  derate_clock_source_set_deadline (clock, systemd->timer, next);
  return G_SOURCE_CONTINUE;
}

void
derate_core_systemd_starting (DerateCoreSystemd *systemd)
{
  DerateCore *core;
  gint64 now;

  if (systemd == NULL)
    return;
  core = systemd->core;
  now = derate_clock_get_time (core->clock);
  systemd->listener =
      derate_degradation_manager_add_listener (core->manager, on_event,
                                               g_atomic_rc_box_acquire (systemd->teller),
                                               teller_unref);
  systemd->next_ping = now;
  systemd->timer = derate_clock_source_new (core->clock, now);
  g_source_set_static_name (systemd->timer, "[derate] systemd");
  g_source_set_callback (systemd->timer, on_timer, systemd, NULL);
  g_source_attach (systemd->timer, core->monitor_context);
  g_mutex_lock (&systemd->teller->mutex);
  tell (systemd->teller, "");
  g_mutex_unlock (&systemd->teller->mutex);
}

void
derate_core_systemd_ready (DerateCoreSystemd *systemd)
{
  g_autoptr (GMutexLocker) locker = NULL;

  if (systemd == NULL)
    return;
  locker = g_mutex_locker_new (&systemd->teller->mutex);
  systemd->teller->ready = TRUE;
  tell (systemd->teller, "READY=1\n");
}

void
derate_core_systemd_reloading (DerateCoreSystemd *systemd)
{
  g_autoptr (GMutexLocker) locker = NULL;
  g_autofree char *front = NULL;

  if (systemd == NULL)
    return;
  locker = g_mutex_locker_new (&systemd->teller->mutex);
  if (!systemd->teller->ready)
    return;
  /* Of CLOCK_MONOTONIC, whatever clock the core has. */
  front = g_strdup_printf ("RELOADING=1\nMONOTONIC_USEC=%" G_GINT64_FORMAT "\n",
                           derate_clock_get_time (derate_clock_get_system ()));
  tell (systemd->teller, front);
}

void
derate_core_systemd_reloaded (DerateCoreSystemd *systemd, gboolean refused)
{
  g_autoptr (GMutexLocker) locker = NULL;

  if (systemd == NULL)
    return;
  locker = g_mutex_locker_new (&systemd->teller->mutex);
  systemd->teller->refused = refused;
  if (systemd->teller->ready)
    tell (systemd->teller, "READY=1\n");
}

void
derate_core_systemd_stopping (DerateCoreSystemd *systemd)
{
  g_autoptr (GMutexLocker) locker = NULL;

  if (systemd == NULL || systemd->timer == NULL)
    return;
  locker = g_mutex_locker_new (&systemd->teller->mutex);
  if (!systemd->teller->stopping)
    derate_notify_socket_send (systemd->teller->socket, "STOPPING=1\nSTATUS=Stopping");
  systemd->teller->stopping = TRUE;
}

void
derate_core_systemd_stopped (DerateCoreSystemd *systemd)
{
  if (systemd == NULL || systemd->timer == NULL)
    return;
  derate_degradation_manager_remove_listener (systemd->core->manager, systemd->listener);
  g_source_destroy (systemd->timer);
  g_clear_pointer (&systemd->timer, g_source_unref);
}

void
derate_core_systemd_free (DerateCoreSystemd *systemd)
{
  teller_unref (systemd->teller);
  g_free (systemd);
}

/* Whether this process is the one that is watched, and how often it must say that it lives. */
static gboolean
read_watchdog (GTimeSpan *watchdog, GError **error)
{
  const char *usec = g_getenv (DERATE_ENV_WATCHDOG_USEC);
  const char *pid = g_getenv (DERATE_ENV_WATCHDOG_PID);
  guint64 number = 0;

  *watchdog = 0;
  if (usec == NULL || *usec == '\0')
    return TRUE;
  if (!g_ascii_string_to_unsigned (usec, 10, 1, G_MAXINT64 / 2, &number, NULL))
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG,
                   "%s=%s is not a number of microseconds", DERATE_ENV_WATCHDOG_USEC, usec);
      return FALSE;
    }
  *watchdog = (GTimeSpan)number;
  if (pid == NULL || *pid == '\0')
    return TRUE;
  if (!g_ascii_string_to_unsigned (pid, 10, 1, G_MAXINT32, &number, NULL))
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG,
                   "%s=%s is not the id of a process", DERATE_ENV_WATCHDOG_PID, pid);
      return FALSE;
    }
  if ((pid_t)number != getpid ())
    *watchdog = 0;
  return TRUE;
}

/**
 * derate_core_notify_systemd:
 * @core: a core that was not started yet
 * @error: where to put the error
 *
 * Tells systemd, or what stands in its place, how the core is from its start on, as sd_notify(3)
 * has it and without libsystemd: `READY=1` when the first level is published, `STATUS=` with the
 * level and why whenever that changes, `RELOADING=1` and `READY=1` around derate_core_reload(), and
 * `STOPPING=1` when the core is stopped. Where systemd asks for a watchdog (`WatchdogSec=`), the
 * core's own thread says twice in that time that the program lives, but only while the loop of the
 * core's owner turns: [method@Core.get_loop_lag] is under half of it. A program that is ready only
 * after more than this starts its core last.
 *
 * Reads `NOTIFY_SOCKET` (a path, or an abstract name after an `@`), `WATCHDOG_USEC` and
 * `WATCHDOG_PID`; without the first there is nothing to do, which is no error. Nothing here ever
 * waits for a reader. Call it in the owner's thread.
 *
 * Returns: %FALSE with %DERATE_ERROR_INVALID_CONFIG for a variable that does not parse, with
 *   %DERATE_ERROR_INVALID_STATE where the core was started or asked before, or with an error of
 *   %G_IO_ERROR where there is no socket to be had
 *
 * Since: 1.0
 */
gboolean
derate_core_notify_systemd (DerateCore *core, GError **error)
{
  const char *address = g_getenv (DERATE_ENV_NOTIFY_SOCKET);
  DerateNotifySocket *socket;
  GTimeSpan watchdog;

  g_return_val_if_fail (DERATE_IS_CORE (core), FALSE);

  if (derate_core_get_state (core) != DERATE_CORE_IDLE || core->systemd != NULL)
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_STATE,
                   "core “%s” was started, or tells systemd already", core->name);
      return FALSE;
    }
  if (address == NULL || *address == '\0')
    return TRUE;
  if (!read_watchdog (&watchdog, error))
    return FALSE;
  socket = derate_notify_socket_new (address, error);
  if (socket == NULL)
    return FALSE;
  core->systemd = g_new0 (DerateCoreSystemd, 1);
  core->systemd->core = core;
  core->systemd->watchdog = watchdog;
  core->systemd->teller = g_atomic_rc_box_new0 (Teller);
  core->systemd->teller->socket = socket;
  g_mutex_init (&core->systemd->teller->mutex);
  return TRUE;
}
