/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-pg-listener-private.h"

#include "derate-pg-target-private.h"

#include <string.h>

#define MAX_CHANNEL 63 /* PostgreSQL cuts names after as many bytes */

/**
 * DeratePgListener:
 *
 * Hears what PostgreSQL's `NOTIFY` says, in a session of its own that is opened again when it is
 * lost, and tells it by a signal. It is used in one thread-default context, that of
 * derate_pg_listener_start(), which also has its signals.
 *
 * What is notified while there is no session is lost: [signal@PgListener::restarted] says when that
 * may have been so.
 *
 * Since: 1.0
 */

enum
{
  PROP_0,
  PROP_CLOCK,
  PROP_LISTENING,
  N_PROPS
};

static GParamSpec *properties[N_PROPS];

G_DEFINE_FINAL_TYPE (DeratePgListener, derate_pg_listener, G_TYPE_OBJECT)

void
derate_pg_listener_set_listening (DeratePgListener *self, gboolean listening)
{
  if (self->is_listening == listening)
    return;
  self->is_listening = listening;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_LISTENING]);
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
  derate_pg_listener_drop_session (DERATE_PG_LISTENER (object));

  G_OBJECT_CLASS (derate_pg_listener_parent_class)->dispose (object);
}

static void
derate_pg_listener_finalize (GObject *object)
{
  DeratePgListener *self = DERATE_PG_LISTENER (object);

  derate_pg_listener_forget (self);
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
  derate_pg_listener_install_signals ();
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
      derate_pg_listener_set_listening (listener, FALSE);
      derate_pg_listener_make_equal (listener);
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
    derate_pg_listener_make_equal (listener);
}

/**
 * derate_pg_listener_start:
 * @listener: a listener
 *
 * Opens the session, in the thread-default context of the caller. May be called again after
 * derate_pg_listener_stop().
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
  derate_pg_listener_connect (listener);
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
  derate_pg_listener_drop_session (listener);
  derate_pg_listener_forget (listener);
  derate_pg_listener_set_listening (listener, FALSE);
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
