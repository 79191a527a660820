/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-pg-connection-private.h"
#include "derate-pg-listener.h"

G_BEGIN_DECLS

/* What of a listener is in more than one of its files: the object, its session and its signals. All
 * of it is in one thread-default context. */
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

void derate_pg_listener_set_listening (DeratePgListener *self,
                                       gboolean          listening);

/* The session */

void derate_pg_listener_connect (DeratePgListener *self);
void derate_pg_listener_drop_session (DeratePgListener *self);

/* Has the session, if there is one, listen to what is wanted. */
void derate_pg_listener_make_equal (DeratePgListener *self);

/* The signals */

void derate_pg_listener_install_signals (void);

/* A DeratePgNotifyFunc, in the middle of what the session does: told later. */
void derate_pg_listener_hear (const char *channel,
                              const char *payload,
                              int         pid,
                              gpointer    self);

/* What a handler does may be anything, the end of the listener included. */
void derate_pg_listener_tell_heard (DeratePgListener *self);
void derate_pg_listener_tell_lost (DeratePgListener *self,
                                   const GError     *error);
void derate_pg_listener_tell_restarted (DeratePgListener *self);

/* Drops what was heard and is not told yet. */
void derate_pg_listener_forget (DeratePgListener *self);

G_END_DECLS
