/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-decider-private.h"
#include "derate-degradation-manager-private.h"
#include "derate-hold-store-private.h"
#include "derate-shard-private.h"

G_BEGIN_DECLS

/* The inside of the manager, shared by its own files alone. */

/* Threads: the words are atomics, published under the mutex. `mutex` guards everything below it.
 * `store_mutex` is taken before it, by who has changed a hold and may wait for the disk.
 * Decide under the mutex, then tell (): one thread at a time takes what is pending, in order, and
 * calls out without the mutex; another that comes meanwhile leaves its events to that one. */
struct _DerateDegradationManager
{
  GObject parent_instance;

  DerateClock *clock;
  DerateEventQueue *events;
  DerateShardSlot answers; /* [level][source] */

  guint level_word;
  guint enforced_word;
  guint computed_word;

  GMutex store_mutex;
  DerateHoldStore *store; /* NULL = nothing is kept */

  GMutex mutex;
  DerateDecider decider;
  GPtrArray *services; /* (element-type GObject) */
  DerateStatusFunc read;
  gint64 last_now;
  gboolean local_suspect;
  guint drill_limits[DERATE_N_LEVELS]; /* how many drills have it, by number − 1 */

  gboolean holds_changed; /* to be stored */

  GQueue pending; /* (element-type DerateDegradationEvent) */
  gboolean telling;
  gboolean deadline_moved; /* the expiry timer is to be set */
  GPtrArray *listeners;
  guint last_listener;

  GMainContext *timer_context; /* whoever moves a deadline holds it, as GLib does not */
  GSource *tick_source;
  GSource *expiry_source;
};

/* Time for a turn, taken before the mutex; a clock may have a lock of its own. */
typedef struct
{
  gint64 now;
  gint64 real_now;
} DerateDegradationTime;

DerateDegradationTime derate_degradation_manager_get_time (DerateDegradationManager *self);

/* With the mutex held: decides anew, publishes, and leaves what happened pending. */
void derate_degradation_manager_decide (DerateDegradationManager    *self,
                                        const DerateDegradationTime *time,
                                        gboolean                     tick);

/* With the mutex held: reads all services, in the order of the inputs. */
void derate_degradation_manager_read_statuses (DerateDegradationManager *self,
                                               gboolean                  with_drills,
                                               DerateHealthStatus       *statuses);

/* Without the mutex: sets the expiry timer, then tells what is pending. */
void derate_degradation_manager_tell (DerateDegradationManager *self);

/* Without the mutex: puts the holds on disk if they have changed; waits for another thread that
 * just does. Not for who merely has news of a service: he would wait for the disk. */
void derate_degradation_manager_store_holds (DerateDegradationManager *self);

/* Decides anew and tells; without the mutex. */
void derate_degradation_manager_turn (DerateDegradationManager *self,
                                      gboolean                  tick);

/* Signals and notify of a DerateDegradationEvent; in the owner's context. */
void derate_degradation_manager_emit (gpointer owner,
                                      gpointer event);

GPtrArray *derate_degradation_manager_make_listeners (void);

G_END_DECLS
