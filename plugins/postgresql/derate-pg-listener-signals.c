/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a listener tells. */
#include "derate-pg-listener-private.h"

typedef struct
{
  char *channel;
  char *payload;
  guint pid;
} Notification;

enum
{
  NOTIFICATION,
  LOST,
  RESTARTED,
  N_SIGNALS
};

static guint signals[N_SIGNALS];

void
derate_pg_listener_install_signals (void)
{
  /**
   * DeratePgListener::notification:
   * @listener: the listener
   * @channel: on which channel
   * @payload: what was said; empty for nothing
   * @pid: the server's process for the session that said it
   *
   * Somebody said something. The signal has details: `notification::news` is of that channel alone.
   *
   * Since: 1.0
   */
  signals[NOTIFICATION] =
      g_signal_new ("notification", DERATE_TYPE_PG_LISTENER, G_SIGNAL_RUN_LAST | G_SIGNAL_DETAILED,
                    0, NULL, NULL, NULL, G_TYPE_NONE, 3, G_TYPE_STRING, G_TYPE_STRING, G_TYPE_UINT);

  /**
   * DeratePgListener::lost:
   * @listener: the listener
   * @error: why
   *
   * There is no session, or none could be opened. It is tried again, after at most 10 ms at first
   * and ever more seldom up to each 5 seconds (HikariCP's bounds), half of that at random.
   *
   * Since: 1.0
   */
  signals[LOST] = g_signal_new ("lost", DERATE_TYPE_PG_LISTENER, G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                                NULL, G_TYPE_NONE, 1, G_TYPE_ERROR);

  /**
   * DeratePgListener::restarted:
   * @listener: the listener
   *
   * All channels are heard again, in another session: what was said meanwhile is lost. Read again
   * what the notifications are about.
   *
   * Since: 1.0
   */
  signals[RESTARTED] = g_signal_new ("restarted", DERATE_TYPE_PG_LISTENER, G_SIGNAL_RUN_LAST, 0,
                                     NULL, NULL, NULL, G_TYPE_NONE, 0);
}

static void
notification_free (gpointer data)
{
  Notification *notification = data;

  g_free (notification->channel);
  g_free (notification->payload);
  g_free (notification);
}

void
derate_pg_listener_hear (const char *channel, const char *payload, int pid, gpointer data)
{
  DeratePgListener *self = data;
  Notification *notification = g_new0 (Notification, 1);

  notification->channel = g_utf8_make_valid (channel, -1);
  notification->payload = g_utf8_make_valid (payload, -1);
  notification->pid = (guint)pid;
  g_queue_push_tail (&self->heard, notification);
}

void
derate_pg_listener_tell_heard (DeratePgListener *self)
{
  g_autoptr (DeratePgListener) keep = g_object_ref (self);
  Notification *notification;

  while ((notification = g_queue_pop_head (&self->heard)) != NULL)
    {
      if (g_hash_table_contains (self->wanted, notification->channel))
        g_signal_emit (self, signals[NOTIFICATION], g_quark_try_string (notification->channel),
                       notification->channel, notification->payload, notification->pid);
      notification_free (notification);
    }
}

void
derate_pg_listener_forget (DeratePgListener *self)
{
  g_queue_clear_full (&self->heard, notification_free);
}

void
derate_pg_listener_tell_lost (DeratePgListener *self, const GError *error)
{
  g_signal_emit (self, signals[LOST], 0, error);
}

void
derate_pg_listener_tell_restarted (DeratePgListener *self)
{
  g_signal_emit (self, signals[RESTARTED], 0);
}
