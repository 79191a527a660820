/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* LISTEN in a session of its own.
 *
 * What is wanted is a set of channels; what the session listens to is another. Whenever the session
 * is free and the two differ, a batch makes them equal. While nothing is asked, the socket is
 * watched here; and the session is asked for a sign of life now and then, because a server that has
 * gone without a word would never be missed. */
#include "derate-pg-listener-private.h"

#include "derate-pg-backoff-private.h"
#include "derate-pg-batch-private.h"

#define KEEPALIVE (30 * G_TIME_SPAN_SECOND) /* the floor of HikariCP's */
#define PATIENCE (5 * G_TIME_SPAN_SECOND) /* its validation timeout */

static void
set_timer (DeratePgListener *self, GTimeSpan span, GSourceFunc func)
{
  derate_pg_connection_drop_source (&self->timer);
  self->timer = derate_clock_source_new (self->clock, derate_clock_get_time (self->clock) + span);
  g_source_set_callback (self->timer, func, self, NULL);
  g_source_attach (self->timer, g_main_context_get_thread_default ());
}

void
derate_pg_listener_drop_session (DeratePgListener *self)
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
  derate_pg_listener_connect (user_data);
  return G_SOURCE_REMOVE;
}

/* Takes @error over. */
static void
lose_session (DeratePgListener *self, GError *error)
{
  g_autoptr (DeratePgListener) keep = g_object_ref (self);
  g_autoptr (GError) owned = error;

  self->was_listening |= g_hash_table_size (self->active) > 0;
  derate_pg_listener_drop_session (self);
  set_timer (self,
             derate_pg_backoff_grow (&self->backoff, DERATE_PG_CONNECT_BACKOFF_MIN,
                                     DERATE_PG_CONNECT_BACKOFF_MAX),
             connect_again);
  derate_pg_listener_tell_heard (self);
  derate_pg_listener_set_listening (self, FALSE);
  derate_pg_listener_tell_lost (self, owned);
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
      derate_pg_listener_make_equal (self);
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
    derate_pg_listener_tell_heard (self);
  else
    lose_session (self, g_error_new_literal (DERATE_PG_ERROR, DERATE_PG_ERROR_CLOSED,
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

/* Every channel of @these that is not one of @those. */
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
  derate_pg_listener_set_listening (self, TRUE);
  if (is_back)
    derate_pg_listener_tell_restarted (self);
  derate_pg_listener_tell_heard (self);
}

void
derate_pg_listener_make_equal (DeratePgListener *self)
{
  g_autoptr (DeratePgBatch) batch = NULL;

  if (self->connection == NULL || self->is_busy)
    return;
  batch = derate_pg_batch_new ();
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
  derate_pg_connection_set_notify_func (self->connection, derate_pg_listener_hear, self);
  derate_pg_listener_make_equal (self);
}

void
derate_pg_listener_connect (DeratePgListener *self)
{
  GWeakRef *weak = g_new0 (GWeakRef, 1);

  g_weak_ref_init (weak, self);
  self->opening = g_cancellable_new ();
  derate_pg_connection_open_async (self->uri, self->password, self->opening, opened, weak);
}
