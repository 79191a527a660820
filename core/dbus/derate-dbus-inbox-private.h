/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-waker-private.h"

G_BEGIN_DECLS

/* What other threads leave for the monitor's context to tell the bus. Atomically reference counted,
 * and may be left something after nobody takes it any more. */
typedef struct _DerateDbusInbox DerateDbusInbox;

typedef struct
{
  char *destination; /* NULL: everybody */
  const char *signal;
  GVariant *parameters;
} DerateDbusLetter;

void derate_dbus_letter_free (DerateDbusLetter *letter);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateDbusLetter, derate_dbus_letter_free)

DerateDbusInbox *derate_dbus_inbox_new (DerateClock *clock,
                                        GSource     *source);

/* Wakes the source. @signal is static; @parameters may be floating. */
void derate_dbus_inbox_push (DerateDbusInbox *inbox,
                             const char      *destination,
                             const char      *signal,
                             GVariant        *parameters);

/* Something has changed: the source is woken. */
void derate_dbus_inbox_wake (DerateDbusInbox *inbox);
DerateWaker *derate_dbus_inbox_get_waker (DerateDbusInbox *inbox);

/* The oldest letter, NULL when there is none. From the source's callback, before anything is
 * read. */
void derate_dbus_inbox_begin (DerateDbusInbox *inbox);
DerateDbusLetter *derate_dbus_inbox_pop (DerateDbusInbox *inbox);
void derate_dbus_inbox_end (DerateDbusInbox *inbox);

/* Nothing is told any more. */
void derate_dbus_inbox_close (DerateDbusInbox *inbox);

DerateDbusInbox *derate_dbus_inbox_ref (DerateDbusInbox *inbox);
void derate_dbus_inbox_unref (DerateDbusInbox *inbox);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateDbusInbox, derate_dbus_inbox_unref)

G_END_DECLS
