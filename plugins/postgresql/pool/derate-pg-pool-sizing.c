/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* With `auto-size` a pool finds by itself how many sessions it needs, between its minimum and its
 * maximum: more than it needs would only make the server slower. It starts at the minimum. While
 * somebody waits for at least half of the time it may have half as many again; while the most that
 * are in use are less than half of what it has, it has one less, time and again. A server that has
 * no room for more says so, and is believed.
 * Threads: the pool thread's, but for what says otherwise. */
#include "derate-pg-waiter-private.h"

#include "derate-pg-error.h"

/* How long is looked at before it may have more, and less. */
#define GROW_PERIOD (200 * G_TIME_SPAN_MILLISECOND)
#define CALM_PERIOD (1 * G_TIME_SPAN_SECOND)
#define N_CALM 5

/* For how long it is believed that the server has no room. */
#define BELIEF (5 * G_TIME_SPAN_SECOND)

static guint
get_least (DeratePgPool *pool)
{
  return pool->settings.auto_size ? MAX (pool->min, 1) : pool->max;
}

void
derate_pg_sizing_start (DeratePgPool *pool)
{
  pool->sizing.limit = get_least (pool);
  pool->sizing.next = DERATE_CLOCK_NEVER;
}

void
derate_pg_sizing_clamp (DeratePgPool *pool)
{
  pool->sizing.limit = CLAMP (pool->sizing.limit, get_least (pool), pool->max);
}

static void
begin_period (DeratePgPool *pool, gint64 now, GTimeSpan span)
{
  pool->sizing.waited = 0;
  pool->sizing.began = now;
  pool->sizing.next = now + span;
}

void
derate_pg_sizing_wait_begins (DeratePgPool *pool, gint64 now)
{
  if (!pool->settings.auto_size || pool->sizing.next <= now + GROW_PERIOD)
    return;
  begin_period (pool, now, GROW_PERIOD);
  derate_pg_pool_wake_by (pool, pool->sizing.next);
}

void
derate_pg_sizing_wait_ends (DeratePgPool *pool, gint64 since)
{
  if (pool->settings.auto_size)
    pool->sizing.waited += derate_pg_pool_now (pool) - MAX (since, pool->sizing.began);
}

void
derate_pg_sizing_refused (DeratePgPool *pool, const GError *error)
{
  if (!pool->settings.auto_size ||
      !g_error_matches (error, DERATE_PG_ERROR, DERATE_PG_ERROR_TOO_MANY_CONNECTIONS))
    return;
  pool->sizing.limit = derate_pg_pool_count_alive (pool) - pool->growth.n_connecting;
  pool->sizing.believed_until = derate_pg_pool_now (pool) + BELIEF;
  derate_pg_sizing_clamp (pool);
}

/* How long all together waited in this period, those who still do with them. */
static GTimeSpan
sum_waited (DeratePgPool *pool, gint64 now)
{
  GTimeSpan sum = pool->sizing.waited;

  for (GList *l = pool->waiters.head; l != NULL; l = l->next)
    {
      const DeratePgWaiter *waiter = l->data;

      sum += now - MAX (waiter->since, pool->sizing.began);
    }
  return sum;
}

/* Whether all that it may have is there. Until then the waiting does not say that it is too few. */
static gboolean
is_full (DeratePgPool *pool, gint64 now)
{
  return !derate_pg_pool_is_paused (pool) && now >= pool->sizing.believed_until &&
         derate_pg_pool_count_alive (pool) - pool->growth.n_connecting >= pool->sizing.limit;
}

static void
end_period (DeratePgPool *pool, gint64 now)
{
  DeratePgSizing *sizing = &pool->sizing;
  guint counts[DERATE_PG_SLOT_N_STATES];
  GTimeSpan waited = sum_waited (pool, now);

  derate_pg_pool_count (pool, counts);
  sizing->n_calm++;
  if (waited > 0 || counts[DERATE_PG_SLOT_BUSY] * 2 >= sizing->limit)
    sizing->n_calm = 0;
  if (waited * 2 >= now - sizing->began && is_full (pool, now))
    sizing->limit += (sizing->limit + 1) / 2;
  else if (sizing->n_calm >= N_CALM)
    {
      sizing->n_calm = 0;
      sizing->limit--;
    }
  derate_pg_sizing_clamp (pool);
  begin_period (pool, now, waited > 0 ? GROW_PERIOD : CALM_PERIOD);
  if (waited == 0 && sizing->limit == get_least (pool))
    sizing->next = DERATE_CLOCK_NEVER;
}

void
derate_pg_sizing_turn (DeratePgPool *pool, gint64 now)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&pool->lock);
  guint before = pool->sizing.limit;

  if (now < pool->sizing.next)
    return;
  end_period (pool, now);
  if (pool->sizing.limit < before)
    derate_pg_resize_shrink (pool);
  if (pool->sizing.limit != before)
    derate_pg_pool_kick (pool);
}
