/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The pool thread. Everything that the pool does of itself happens in a turn: what was left to it,
 * what is due, what is missing. A turn is taken when the alarm rings, which is when the earliest of
 * all deadlines is reached or somebody kicked. It looks at everything, so nothing can be forgotten;
 * the deadlines are compared with the clock, so a late turn does no harm. */
#include "derate-pg-waiter-private.h"

#include <derate-manual-clock.h>

/* Under the lock. */
static void
set_alarm (DeratePgPool *pool, gint64 deadline)
{
  pool->alarm_at = deadline;
  if (pool->alarm != NULL)
    derate_clock_source_set_deadline (pool->clock, pool->alarm, deadline);
}

void
derate_pg_pool_wake_by (DeratePgPool *pool, gint64 deadline)
{
  /* A turn that is being taken looks at the deadlines of all when it ends. */
  if (deadline < pool->alarm_at)
    set_alarm (pool, deadline);
}

void
derate_pg_pool_kick (DeratePgPool *pool)
{
  pool->is_kicked = TRUE;
  derate_pg_pool_wake_by (pool, 0);
}

void
derate_pg_pool_post (DeratePgPool *pool, DeratePgSlot *slot)
{
  slot->next_posted = pool->posted;
  pool->posted = slot;
  derate_pg_pool_kick (pool);
}

static void
look_after_posted (DeratePgPool *pool, DeratePgSlot *posted)
{
  while (posted != NULL)
    {
      DeratePgSlot *slot = posted;

      posted = slot->next_posted;
      if (pool->settings.reset == DERATE_PG_RESET_FULL)
        slot->care |= CARE_DISCARD;
      derate_pg_pool_look_after (pool, slot);
    }
}

/* When the next turn is due if nobody kicks. */
static gint64
plan (DeratePgPool *pool, gint64 next, gint64 now)
{
  next = MIN (next, pool->sweep_at);
  next = MIN (next, pool->sizing.next);
  next = MIN (next, derate_pg_growth_next (pool, now));
  next = MIN (next, derate_pg_roles_next (pool));
  return MIN (next, derate_pg_waiters_next (pool));
}

static gint64
turn_slots (DeratePgPool *pool, gint64 now)
{
  gint64 next = DERATE_CLOCK_NEVER;

  for (guint i = 0; i < pool->n_slots; i++)
    next = MIN (next, derate_pg_pool_turn_slot (pool, &pool->slots[i], now));
  return next;
}

static void
take_turn (DeratePgPool *pool)
{
  g_auto (GQueue) ended = G_QUEUE_INIT;
  gint64 now = derate_pg_pool_now (pool);
  DeratePgSlot *posted;
  gint64 next;

  g_mutex_lock (&pool->lock);
  pool->is_kicked = FALSE;
  pool->alarm_at = 1; /* so that a kick from now on sets it */
  posted = g_steal_pointer (&pool->posted);
  derate_pg_waiters_expire (pool, now, &ended);
  g_mutex_unlock (&pool->lock);
  derate_pg_waiter_end_all (&ended);

  look_after_posted (pool, posted);
  next = turn_slots (pool, now);
  derate_pg_pool_sweep (pool, now);
  derate_pg_sizing_turn (pool, now);
  derate_pg_growth_turn (pool, now);
  derate_pg_resize_turn (pool);
  derate_pg_roles_turn (pool, now);
  next = MIN (next, derate_pg_attachment_turn (pool, now));
  next = MIN (next, derate_pg_control_turn (pool, now));

  g_mutex_lock (&pool->lock);
  set_alarm (pool, pool->is_kicked ? 0 : plan (pool, next, now));
  g_mutex_unlock (&pool->lock);
}

static gboolean
alarm_rang (gpointer user_data)
{
  DeratePgPool *pool = user_data;

  take_turn (pool);
  if (!pool->has_thread && derate_pg_control_is_ended (pool))
    derate_pg_control_end (pool); /* the pool may be gone after it */
  return G_SOURCE_CONTINUE;
}

static gpointer
run (gpointer data)
{
  DeratePgPool *pool = data;
  g_autoptr (GMainContext) context = g_main_context_ref (pool->context);

  g_main_context_push_thread_default (context);
  while (!derate_pg_control_is_ended (pool))
    g_main_context_iteration (context, TRUE);
  /* What was queued last, such as the ends of look-ups. */
  while (g_main_context_iteration (context, FALSE))
    ;
  g_main_context_pop_thread_default (context);
  derate_pg_control_end (pool); /* the pool may be gone after it */
  return NULL;
}

void
derate_pg_pool_start (DeratePgPool *pool)
{
  __atomic_and_fetch (&pool->gate, ~GATE_UNOPENED, __ATOMIC_SEQ_CST);
  pool->has_thread = !DERATE_IS_MANUAL_CLOCK (pool->clock);
  if (pool->has_thread)
    pool->context = g_main_context_new ();
  else
    pool->context = g_main_context_ref (pool->owner_context);
  pool->alarm = derate_clock_source_new (pool->clock, 0);
  pool->alarm_at = 0;
  pool->min = MIN (pool->min, pool->max);
  derate_pg_sizing_start (pool);
  if (pool->settings.reset == DERATE_PG_RESET_FULL)
    __atomic_or_fetch (&pool->gate, GATE_FULL_RESET, __ATOMIC_SEQ_CST);
  g_source_set_callback (pool->alarm, alarm_rang, pool, NULL);
  g_source_attach (pool->alarm, pool->context);
  derate_pg_pool_watch_start (pool);
  if (pool->has_thread)
    pool->thread = g_thread_new ("derate-pg-pool", run, pool);
}
