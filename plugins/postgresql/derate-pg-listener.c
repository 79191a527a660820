/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* LISTEN in a session of its own. Everything is in the context that the listener was made in.
 *
 * What is wanted is a set of channels; what the session listens to is another. Whenever the session
 * is free and the two differ, a batch makes them equal. While nothing is asked, the socket is
 * watched here; and the session is asked for a sign of life now and then, because a server that has
 * gone without a word would never be missed. */
#include "derate-pg-listener.h"

#include "derate-pg-backoff-private.h"
#include "derate-pg-batch-private.h"
#include "derate-pg-connection-private.h"
#include "derate-pg-target-private.h"

#include <string.h>

#define MAX_CHANNEL 63 /* PostgreSQL cuts names after as many bytes */

/* HikariCP's pause after a failed attempt, and its bounds, as a pool has them. */
#define MIN_BACKOFF (10 * G_TIME_SPAN_MILLISECOND)
#define MAX_BACKOFF (5 * G_TIME_SPAN_SECOND)

#define KEEPALIVE (30 * G_TIME_SPAN_SECOND) /* the floor of HikariCP's */
#define PATIENCE (5 * G_TIME_SPAN_SECOND) /* its validation timeout */

typedef struct
{
  char *channel;
  char *payload;
  guint pid;
} Notification;

/**
 * DeratePgListener:
 *
 * Hears what PostgreSQL's `NOTIFY` says, in a session of its own that is opened again when it is
 * lost, and tells it by a signal. It belongs to the thread-default context that it was made in.
 *
 * What is notified while there is no session is lost: [signal@PgListener::restarted] says when that
 * may have been so.
 *
 * Since: 1.0
 */
struct _DeratePgListener
{
  GObject parent_instance;

  char *uri;
  char *password;
  DerateClock *clock;
  GHashTable *wanted; /* set of channels */
  GHashTable *active; /* those of the session */
  gboolean is_started;
  gboolean is_listening; /* all that is wanted is active */
  gboolean was_listening; /* before the session was lost */
  gboolean is_busy; /* the session is asked something */
  GTimeSpan backoff;

  GCancellable *opening;
  DeratePgConnection *connection;
  GSource *watch; /* of an idle session */
  GSource *timer; /* for the next attempt, or sign of life */
  GQueue heard; /* of Notification, to be told */
};

enum
{
  PROP_0,
  PROP_CLOCK,
  PROP_LISTENING,
  N_PROPS
};

enum
{
  NOTIFICATION,
  LOST,
  RESTARTED,
  N_SIGNALS
};

static GParamSpec *properties[N_PROPS];
static guint signals[N_SIGNALS];

G_DEFINE_FINAL_TYPE (DeratePgListener, derate_pg_listener, G_TYPE_OBJECT)

static void connect_now (DeratePgListener *self);
static void make_equal (DeratePgListener *self);

static void
notification_free (gpointer data)
{
  Notification *notification = data;

  g_free (notification->channel);
  g_free (notification->payload);
  g_free (notification);
}

/* In the middle of what the session does: told later. */
static void
hear (const char *channel, const char *payload, int pid, gpointer data)
{
  DeratePgListener *self = data;
  Notification *notification = g_new0 (Notification, 1);

  notification->channel = g_utf8_make_valid (channel, -1);
  notification->payload = g_utf8_make_valid (payload, -1);
  notification->pid = (guint)pid;
  g_queue_push_tail (&self->heard, notification);
}

/* What a handler does may be anything, the end of the listener included. */
static void
tell (DeratePgListener *self)
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

static void
set_listening (DeratePgListener *self, gboolean listening)
{
  if (self->is_listening == listening)
    return;
  self->is_listening = listening;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_LISTENING]);
}

static void
set_timer (DeratePgListener *self, GTimeSpan span, GSourceFunc func)
{
  derate_pg_connection_drop_source (&self->timer);
  self->timer = derate_clock_source_new (self->clock, derate_clock_get_time (self->clock) + span);
  g_source_set_callback (self->timer, func, self, NULL);
  g_source_attach (self->timer, g_main_context_get_thread_default ());
}

static void
drop_session (DeratePgListener *self)
{
  g_autoptr (DeratePgConnection) connection = g_steal_pointer (&self->connection);

  derate_pg_connection_drop_source (&self->watch);
  derate_pg_connection_drop_source (&self->timer);
  g_hash_table_remove_all (self->active);
  self->is_busy = FALSE;
  if (self->opening != NULL)
    g_cancellable_cancel (self->opening);
  g_clear_object (&self->opening);
  if (connection != NULL)
    derate_pg_connection_close (connection);
}

static gboolean
connect_again (gpointer user_data)
{
  connect_now (user_data);
  return G_SOURCE_REMOVE;
}

/* Takes @error over. */
static void
lose_session (DeratePgListener *self, GError *error)
{
  g_autoptr (DeratePgListener) keep = g_object_ref (self);
  g_autoptr (GError) owned = error;

  self->was_listening |= g_hash_table_size (self->active) > 0;
  drop_session (self);
  set_timer (self, derate_pg_backoff_grow (&self->backoff, MIN_BACKOFF, MAX_BACKOFF),
             connect_again);
  tell (self);
  set_listening (self, FALSE);
  g_signal_emit (self, signals[LOST], 0, owned);
}

/* The session did what it was asked; and then? */
static void
answered (DeratePgConnection *connection, DeratePgResult *result, GError *error, gpointer data)
{
  DeratePgListener *self = data;

  g_clear_pointer (&result, derate_pg_result_unref);
  if (self->connection != connection)
    g_clear_error (&error);
  else if (error != NULL)
    lose_session (self, error);
  else
    {
      self->is_busy = FALSE;
      make_equal (self);
    }
}

static gboolean
ask_for_life (gpointer user_data)
{
  DeratePgListener *self = user_data;

  derate_pg_connection_drop_source (&self->watch);
  derate_pg_connection_drop_source (&self->timer);
  self->is_busy = TRUE;
  derate_pg_connection_start (self->connection, "", NULL, DERATE_PG_OPERATION_OTHER, NULL, answered,
                              self);
  return G_SOURCE_REMOVE;
}

static gboolean
readable (gint fd, GIOCondition condition, gpointer user_data)
{
  DeratePgListener *self = user_data;

  if (derate_pg_connection_is_usable (self->connection))
    tell (self);
  else
    lose_session (self, g_error_new (DERATE_PG_ERROR, DERATE_PG_ERROR_CLOSED,
                                     "the session of the listener has ended"));
  return G_SOURCE_CONTINUE; /* one that is not wanted any more is destroyed */
}

static void
rest (DeratePgListener *self)
{
  self->watch = g_unix_fd_source_new (derate_pg_connection_get_fd (self->connection), G_IO_IN);
  g_source_set_static_name (self->watch, "[derate] postgresql listener");
  g_source_set_callback (self->watch, G_SOURCE_FUNC (readable), self, NULL);
  g_source_attach (self->watch, g_main_context_get_thread_default ());
  set_timer (self, KEEPALIVE, ask_for_life);
}

/* Channels */

static void
add_word (DeratePgBatch *batch, const char *word, const char *channel)
{
  g_auto (GStrv) parts = g_strsplit (channel, "\"", -1);
  g_autofree char *quoted = g_strjoinv ("\"\"", parts);
  g_autofree char *sql = g_strdup_printf ("%s \"%s\"", word, quoted);

  derate_pg_batch_add (batch, sql, NULL);
}

/* Every channel of @these that is not one of @those; and makes it one. */
static void
add_words (DeratePgBatch *batch, const char *word, GHashTable *these, GHashTable *those)
{
  GHashTableIter iter;
  gpointer channel;

  g_hash_table_iter_init (&iter, these);
  while (g_hash_table_iter_next (&iter, &channel, NULL))
    if (!g_hash_table_contains (those, channel))
      add_word (batch, word, channel);
}

static void
copy_set (GHashTable *to, GHashTable *from)
{
  GHashTableIter iter;
  gpointer channel;

  g_hash_table_remove_all (to);
  g_hash_table_iter_init (&iter, from);
  while (g_hash_table_iter_next (&iter, &channel, NULL))
    g_hash_table_add (to, g_strdup (channel));
}

/* All that is wanted is heard from now on. */
static void
settle (DeratePgListener *self)
{
  g_autoptr (DeratePgListener) keep = g_object_ref (self);
  gboolean is_back = self->was_listening;

  self->backoff = 0;
  self->was_listening = FALSE;
  rest (self);
  set_listening (self, TRUE);
  if (is_back)
    g_signal_emit (self, signals[RESTARTED], 0);
  tell (self);
}

static void
make_equal (DeratePgListener *self)
{
  g_autoptr (DeratePgBatch) batch = derate_pg_batch_new ();

  if (self->connection == NULL || self->is_busy)
    return;
  derate_pg_connection_drop_source (&self->watch);
  derate_pg_connection_drop_source (&self->timer);
  add_words (batch, "UNLISTEN", self->active, self->wanted);
  add_words (batch, "LISTEN", self->wanted, self->active);
  if (derate_pg_batch_get_size (batch) == 0)
    {
      settle (self);
      return;
    }
  copy_set (self->active, self->wanted);
  self->is_busy = TRUE;
  derate_pg_connection_start_batch (self->connection, batch, DERATE_PG_BATCH_ATOMIC,
                                    DERATE_PG_OPERATION_OTHER, NULL, answered, self);
}

/* The session */

static void
opened (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autofree GWeakRef *weak = user_data;
  g_autoptr (DeratePgListener) self = g_weak_ref_get (weak);
  g_autoptr (DeratePgConnection) connection = NULL;
  GError *error = NULL;

  g_weak_ref_clear (weak);
  connection = derate_pg_connection_open_finish (result, &error);
  if (self == NULL || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED) ||
      self->opening == NULL)
    {
      g_clear_error (&error);
      return;
    }
  if (connection == NULL)
    {
      lose_session (self, error);
      return;
    }
  g_clear_object (&self->opening);
  self->connection = g_steal_pointer (&connection);
  derate_pg_connection_set_clock (self->connection, self->clock);
  derate_pg_connection_set_query_timeout (self->connection, PATIENCE);
  derate_pg_connection_set_notify_func (self->connection, hear, self);
  make_equal (self);
}

static void
connect_now (DeratePgListener *self)
{
  GWeakRef *weak = g_new0 (GWeakRef, 1);

  g_weak_ref_init (weak, self);
  self->opening = g_cancellable_new ();
  derate_pg_connection_open_async (self->uri, self->password, self->opening, opened, weak);
}

static void
derate_pg_listener_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  DeratePgListener *self = DERATE_PG_LISTENER (object);

  switch (id)
    {
    case PROP_CLOCK:
      g_value_set_object (value, self->clock);
      break;
    case PROP_LISTENING:
      g_value_set_boolean (value, self->is_listening);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

static void
derate_pg_listener_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  DeratePgListener *self = DERATE_PG_LISTENER (object);

  switch (id)
    {
    case PROP_CLOCK:
      if (!self->is_started && g_value_get_object (value) != NULL &&
          g_set_object (&self->clock, g_value_get_object (value)))
        g_object_notify_by_pspec (object, pspec);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

static void
derate_pg_listener_dispose (GObject *object)
{
  drop_session (DERATE_PG_LISTENER (object));

  G_OBJECT_CLASS (derate_pg_listener_parent_class)->dispose (object);
}

static void
derate_pg_listener_finalize (GObject *object)
{
  DeratePgListener *self = DERATE_PG_LISTENER (object);

  g_queue_clear_full (&self->heard, notification_free);
  g_hash_table_unref (self->wanted);
  g_hash_table_unref (self->active);
  g_clear_object (&self->clock);
  derate_pg_secret_free (self->uri);
  derate_pg_secret_free (self->password);

  G_OBJECT_CLASS (derate_pg_listener_parent_class)->finalize (object);
}

static void
derate_pg_listener_class_init (DeratePgListenerClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->get_property = derate_pg_listener_get_property;
  object_class->set_property = derate_pg_listener_set_property;
  object_class->dispose = derate_pg_listener_dispose;
  object_class->finalize = derate_pg_listener_finalize;

  /**
   * DeratePgListener:clock:
   *
   * What it waits by, between attempts and for signs of life. Only before it is started.
   *
   * Since: 1.0
   */
  properties[PROP_CLOCK] =
      g_param_spec_object ("clock", NULL, NULL, DERATE_TYPE_CLOCK,
                           G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS);

  /**
   * DeratePgListener:listening:
   *
   * Whether all that is notified on the channels now is heard.
   *
   * Since: 1.0
   */
  properties[PROP_LISTENING] =
      g_param_spec_boolean ("listening", NULL, NULL, FALSE,
                            G_PARAM_READABLE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS);

  g_object_class_install_properties (object_class, N_PROPS, properties);

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
   * There is no session, or none could be opened. It is tried again, after 10 ms at first and at
   * most 5 seconds, with jitter (HikariCP's bounds).
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
derate_pg_listener_init (DeratePgListener *self)
{
  self->clock = g_object_ref (derate_clock_get_system ());
  self->wanted = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  self->active = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_queue_init (&self->heard);
}

/**
 * derate_pg_listener_new:
 * @uri: a connection URI or keyword string, as derate_pg_connection_open_async() takes it
 * @password: (nullable): the password, where it does not stand in @uri
 * @error: where to put the error
 *
 * Makes a listener that listens to nothing yet.
 *
 * Returns: (transfer full): the listener; %NULL with %DERATE_PG_ERROR_CONFIG where @uri is not one
 *
 * Since: 1.0
 */
DeratePgListener *
derate_pg_listener_new (const char *uri, const char *password, GError **error)
{
  DeratePgListener *self;

  g_return_val_if_fail (uri != NULL, NULL);

  if (!derate_pg_connection_check_uri (uri, error))
    return NULL;
  self = g_object_new (DERATE_TYPE_PG_LISTENER, NULL);
  self->uri = g_strdup (uri);
  self->password = g_strdup (password);
  return self;
}

/**
 * derate_pg_listener_listen:
 * @listener: a listener
 * @channel: a channel, exactly as `NOTIFY` has it: in SQL, names without quotation marks are those
 *   in small letters
 * @error: where to put the error
 *
 * Adds a channel: at once where there is a session, otherwise with the next one. One that is there
 * already changes nothing.
 *
 * Returns: %FALSE with %DERATE_PG_ERROR_PARAMETER where no channel can have that name: it is empty,
 *   or longer than 63 bytes
 *
 * Since: 1.0
 */
gboolean
derate_pg_listener_listen (DeratePgListener *listener, const char *channel, GError **error)
{
  g_return_val_if_fail (DERATE_IS_PG_LISTENER (listener), FALSE);
  g_return_val_if_fail (channel != NULL, FALSE);

  if (*channel == '\0' || strlen (channel) > MAX_CHANNEL)
    {
      g_set_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_PARAMETER,
                   "“%s” is no channel: a name has 1 to %d bytes", channel, MAX_CHANNEL);
      return FALSE;
    }
  if (g_hash_table_add (listener->wanted, g_strdup (channel)))
    {
      set_listening (listener, FALSE);
      make_equal (listener);
    }
  return TRUE;
}

/**
 * derate_pg_listener_unlisten:
 * @listener: a listener
 * @channel: a channel
 *
 * Drops a channel: nothing of it is told from now on. One that is not there changes nothing.
 *
 * Since: 1.0
 */
void
derate_pg_listener_unlisten (DeratePgListener *listener, const char *channel)
{
  g_return_if_fail (DERATE_IS_PG_LISTENER (listener));
  g_return_if_fail (channel != NULL);

  if (g_hash_table_remove (listener->wanted, channel))
    make_equal (listener);
}

/**
 * derate_pg_listener_start:
 * @listener: a listener
 *
 * Opens the session, in the thread-default context of the caller, which must be the one that
 * everything else is called in. May be called again after derate_pg_listener_stop().
 *
 * Since: 1.0
 */
void
derate_pg_listener_start (DeratePgListener *listener)
{
  g_return_if_fail (DERATE_IS_PG_LISTENER (listener));

  if (listener->is_started)
    return;
  listener->is_started = TRUE;
  connect_now (listener);
}

/**
 * derate_pg_listener_stop:
 * @listener: a listener
 *
 * Ends the session. The channels are kept for another start.
 *
 * Since: 1.0
 */
void
derate_pg_listener_stop (DeratePgListener *listener)
{
  g_return_if_fail (DERATE_IS_PG_LISTENER (listener));

  listener->is_started = FALSE;
  listener->backoff = 0;
  listener->was_listening |= g_hash_table_size (listener->active) > 0;
  drop_session (listener);
  g_queue_clear_full (&listener->heard, notification_free);
  set_listening (listener, FALSE);
}

/**
 * derate_pg_listener_is_listening:
 * @listener: a listener
 *
 * Whether all that is notified on the channels now is heard.
 *
 * Returns: %TRUE if so
 *
 * Since: 1.0
 */
gboolean
derate_pg_listener_is_listening (DeratePgListener *listener)
{
  g_return_val_if_fail (DERATE_IS_PG_LISTENER (listener), FALSE);

  return listener->is_listening;
}
