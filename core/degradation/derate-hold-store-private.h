/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-clock.h"
#include "derate-hold-private.h"

G_BEGIN_DECLS

/* The unbound holds on disk, in a key file that is replaced as a whole. Deadlines are kept twice:
 * by the clock that counts while the machine sleeps, good for this boot, and by the wall clock, for
 * another. Not for two threads at once. */
typedef struct _DerateHoldStore DerateHoldStore;

/* A file in @folder, which must be there. */
DerateHoldStore *derate_hold_store_new (const char  *folder,
                                        DerateClock *clock);
void derate_hold_store_free (DerateHoldStore *store);

/* For tests: another boot, and how far the sleeping clock is ahead of @clock. */
void derate_hold_store_set_boot (DerateHoldStore *store,
                                 const char      *boot_id,
                                 GTimeSpan        asleep);

/* @holds: (element-type DerateHold); those that are bound are left out. */
gboolean derate_hold_store_save (DerateHoldStore *store,
                                 GPtrArray       *holds,
                                 GError         **error);

/* Those there were, oldest first, with the time they have left; one with none left has a deadline
 * that is past. Nothing where there is no file; NULL where it cannot be read. */
GPtrArray *derate_hold_store_load (DerateHoldStore *store,
                                   GError         **error);

/* What cannot be read is kept beside, as `holds.conf.bad`, for whoever wants to know what it said.
 */
void derate_hold_store_set_aside (DerateHoldStore *store);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateHoldStore, derate_hold_store_free)

G_END_DECLS
