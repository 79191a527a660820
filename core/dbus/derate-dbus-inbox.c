/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-dbus-inbox-private.h"

/* Threads: the mutex guards `letters` and `closed`; `waker` looks after itself. */
struct _DerateDbusInbox
{
  DerateWaker *waker;
  GMutex mutex;
  GQueue letters; /* (element-type DerateDbusLetter) */
  gboolean closed;
};

void
derate_dbus_letter_free (DerateDbusLetter *letter)
{
  g_free (letter->destination);
  g_variant_unref (letter->parameters);
  g_free (letter);
}

DerateDbusInbox *
derate_dbus_inbox_new (DerateClock *clock, GSource *source)
{
  DerateDbusInbox *inbox = g_atomic_rc_box_new0 (DerateDbusInbox);

  inbox->waker = derate_waker_new (clock);
  derate_waker_set_source (inbox->waker, source, g_source_get_context (source));
  g_mutex_init (&inbox->mutex);
  g_queue_init (&inbox->letters);
  return inbox;
}

static void
inbox_clear (gpointer data)
{
  DerateDbusInbox *inbox = data;

  g_queue_clear_full (&inbox->letters, (GDestroyNotify)derate_dbus_letter_free);
  g_mutex_clear (&inbox->mutex);
  derate_waker_unref (inbox->waker);
}

DerateDbusInbox *
derate_dbus_inbox_ref (DerateDbusInbox *inbox)
{
  return g_atomic_rc_box_acquire (inbox);
}

void
derate_dbus_inbox_unref (DerateDbusInbox *inbox)
{
  g_atomic_rc_box_release_full (inbox, inbox_clear);
}

void
derate_dbus_inbox_push (DerateDbusInbox *inbox,
                        const char *destination,
                        const char *signal,
                        GVariant *parameters)
{
  g_autoptr (DerateDbusLetter) letter = g_new0 (DerateDbusLetter, 1);

  letter->destination = g_strdup (destination);
  letter->signal = signal;
  letter->parameters = g_variant_ref_sink (parameters);
  g_mutex_lock (&inbox->mutex);
  if (!inbox->closed)
    g_queue_push_tail (&inbox->letters, g_steal_pointer (&letter));
  g_mutex_unlock (&inbox->mutex);
  derate_waker_wake (inbox->waker);
}

void
derate_dbus_inbox_wake (DerateDbusInbox *inbox)
{
  derate_waker_wake (inbox->waker);
}

DerateWaker *
derate_dbus_inbox_get_waker (DerateDbusInbox *inbox)
{
  return inbox->waker;
}

void
derate_dbus_inbox_begin (DerateDbusInbox *inbox)
{
  derate_waker_begin (inbox->waker);
}

DerateDbusLetter *
derate_dbus_inbox_pop (DerateDbusInbox *inbox)
{
  DerateDbusLetter *letter = NULL;

  g_mutex_lock (&inbox->mutex);
  letter = g_queue_pop_head (&inbox->letters);
  g_mutex_unlock (&inbox->mutex);
  return letter;
}

void
derate_dbus_inbox_end (DerateDbusInbox *inbox)
{
  derate_waker_sleep_until (inbox->waker, DERATE_CLOCK_NEVER);
}

void
derate_dbus_inbox_close (DerateDbusInbox *inbox)
{
  g_mutex_lock (&inbox->mutex);
  inbox->closed = TRUE;
  g_mutex_unlock (&inbox->mutex);
  derate_waker_set_source (inbox->waker, NULL, NULL);
}
