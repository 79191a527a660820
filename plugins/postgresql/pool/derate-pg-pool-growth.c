/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a pool grows: in the background, in a race with what is given back. One attempt at first, and
 * twice as many each time one has come and somebody still waits: so a burst of short requests,
 * which returns serve, ends with hardly more sessions than it began with (HikariCP's spike study),
 * and a pool that starts cold is not held up for long. Up to `min` all at once. Threads: the pool
 * thread's, but for what says otherwise. */
#include "derate-pg-waiter-private.h"

#include "derate-pg-backoff-private.h"
#include "derate-pg-connection-private.h"
#include "derate-pg-error.h"

#include <fcntl.h>

/* For how long a check keeps a connect from being started for the same waiter. */
#define CHECK_PATIENCE (250 * G_TIME_SPAN_MILLISECOND)

/* psycopg's, but only ever less, so that no limit of others is crossed. */
#define LIFETIME_JITTER 0.05

gboolean
derate_pg_growth_is_hopeless (DeratePgPool *pool)
{
  const GError *error = pool->growth.error;

  return error != NULL && derate_pg_pool_count_alive (pool) == pool->growth.n_connecting &&
         (g_error_matches (error, DERATE_PG_ERROR, DERATE_PG_ERROR_CONFIG) ||
          g_error_matches (error, DERATE_PG_ERROR, DERATE_PG_ERROR_AUTH));
}

void
derate_pg_growth_ask (DeratePgPool *pool)
{
  if (pool->n_live < pool->sizing.limit || derate_pg_pool_has_stale (pool))
    derate_pg_pool_kick (pool);
}

static void
connect_failed (DeratePgPool *pool, DeratePgSlot *slot, GError *error)
{
  g_auto (GQueue) ended = G_QUEUE_INIT;
  DeratePgGrowth *growth = &pool->growth;

  g_mutex_lock (&pool->lock);
  growth->n_connecting--;
  derate_pg_pool_delist (pool, slot, DERATE_PG_SLOT_CONNECTING);
  if (!g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    {
      pool->counts.failed++;
      growth->window = 1;
      growth->retry_at = derate_pg_pool_now (pool) +
                         derate_pg_backoff_grow (&growth->backoff, DERATE_PG_CONNECT_BACKOFF_MIN,
                                                 DERATE_PG_CONNECT_BACKOFF_MAX);
      g_clear_error (&growth->error);
      growth->error = g_error_copy (error);
      derate_pg_sizing_refused (pool, error);
      if (derate_pg_growth_is_hopeless (pool))
        derate_pg_waiters_fail_all (pool, error, &ended);
    }
  derate_pg_pool_kick (pool);
  g_mutex_unlock (&pool->lock);
  derate_pg_waiter_end_all (&ended);
}

static gint64
choose_end (DeratePgPool *pool, gint64 now)
{
  GTimeSpan span = pool->settings.max_lifetime;

  if (span == 0)
    return DERATE_CLOCK_NEVER;
  return now + span - (GTimeSpan)(g_random_double () * LIFETIME_JITTER * (double)span);
}

static void
prepare (DeratePgPool *pool, DeratePgConnection *connection)
{
  derate_pg_connection_set_clock (connection, pool->clock);
  derate_pg_connection_set_meter (connection, pool->meter);
  derate_pg_connection_set_query_timeout (connection, pool->settings.query_timeout);
  derate_pg_connection_set_pooled (connection, TRUE);
  derate_pg_connection_set_statement_cache (connection, pool->settings.statement_cache_size);
}

void
derate_pg_growth_adopt (DeratePgPool *pool, DeratePgSlot *slot, DeratePgConnection *connection)
{
  DeratePgGrowth *growth = &pool->growth;
  gint64 now = derate_pg_pool_now (pool);

  prepare (pool, connection);
  slot->connection = connection;
  slot->fd = fcntl (derate_pg_connection_get_fd (connection), F_DUPFD_CLOEXEC, 0);
  slot->cancel = derate_pg_connection_new_cancel (connection);
  slot->retire_at = choose_end (pool, now);
  slot->heard_at = now;
  slot->seen = 0;
  slot->care = 0;
  derate_pg_pool_watch_add (pool, slot);
  derate_pg_slot_pass (slot, DERATE_PG_SLOT_CONNECTING, DERATE_PG_SLOT_RESERVED);
  derate_pg_roles_connected (pool, slot);

  g_mutex_lock (&pool->lock);
  growth->window = MIN (growth->window * 2, MAX_SLOTS);
  growth->backoff = 0;
  growth->retry_at = 0;
  g_clear_error (&growth->error);
  pool->counts.opened++;
  derate_pg_pool_kick (pool);
  g_mutex_unlock (&pool->lock);
  derate_pg_pool_look_after (pool, slot);
}

static void
connected (GObject *source, GAsyncResult *result, gpointer user_data)
{
  DeratePgSlot *slot = user_data;
  DeratePgPool *pool = slot->pool; /* it outlives its connects */
  g_autoptr (GError) error = NULL;
  DeratePgConnection *connection = derate_pg_connection_open_finish (result, &error);

  g_clear_object (&slot->cancellable);
  if (connection != NULL)
    {
      g_mutex_lock (&pool->lock);
      pool->growth.n_connecting--;
      g_mutex_unlock (&pool->lock);
      derate_pg_growth_adopt (pool, slot, connection);
    }
  else
    connect_failed (pool, slot, error);
}

/* Under the lock. */
static DeratePgSlot *
take_empty (DeratePgPool *pool)
{
  DeratePgSlot *slot = derate_pg_pool_find_empty (pool);

  pool->growth.n_connecting++;
  derate_pg_pool_enlist (pool, slot);
  return slot;
}

static void
start (DeratePgPool *pool, DeratePgSlot *slot)
{
  DeratePgPreference preference = { 0 };

  derate_pg_roles_prefer (pool, &preference);
  slot->cancellable = g_cancellable_new ();
  derate_pg_connection_open_preferring_async (pool->settings.uri, pool->settings.password,
                                              &preference, slot->cancellable, connected, slot);
}

/* A session that is being checked is as good as one that is being opened, for a while. */
static guint
count_checks (DeratePgPool *pool, gint64 now)
{
  guint n = 0;

  for (guint i = 0; i < pool->n_slots; i++)
    {
      if ((pool->slots[i].care & CARE_CHECKING) != 0 &&
          now < pool->slots[i].began_at + CHECK_PATIENCE)
        n++;
    }
  return n;
}

/* Those that end soon have no part in what the pool must have, once. */
static guint
take_replacements (DeratePgPool *pool, gint64 now, guint most)
{
  guint n = 0;

  for (guint i = 0; i < pool->n_slots && n < most; i++)
    {
      DeratePgSlot *slot = &pool->slots[i];

      if (!derate_pg_pool_is_old (pool, slot, now) || (slot->care & CARE_REPLACED) != 0)
        continue;
      slot->care |= CARE_REPLACED;
      n++;
    }
  return n;
}

static gboolean
may_connect (DeratePgPool *pool)
{
  return (__atomic_load_n (&pool->gate, __ATOMIC_RELAXED) & (GATE_CLOSED | GATE_PAUSED)) == 0;
}

/* How many more connects there should be under way. Under the lock. */
static guint
count_wanted (DeratePgPool *pool, guint n_checks, gint64 now)
{
  DeratePgGrowth *growth = &pool->growth;
  guint waiting = pool->waiters.length > n_checks ? pool->waiters.length - n_checks : 0;
  guint alive = derate_pg_pool_count_alive (pool);
  guint missing = alive < pool->min ? pool->min - alive : 0;
  guint room = pool->n_live < pool->sizing.limit ? pool->sizing.limit - pool->n_live : 0;
  guint wanted;

  if (!may_connect (pool))
    return 0;
  if (pool->waiters.length == 0)
    growth->window = 1;
  wanted = MIN (waiting, growth->window);
  wanted = wanted > growth->n_connecting ? wanted - growth->n_connecting : 0;
  wanted = MIN (MAX (wanted, missing), room);
  if (growth->error == NULL)
    return wanted + take_replacements (pool, now, room - wanted);
  /* While attempts fail there is one at a time. */
  return growth->n_connecting == 0 && now >= growth->retry_at ? MIN (wanted, 1) : 0;
}

/* Sessions that were idle for too long to be trusted are looked at when somebody waits. */
static void
check_stale (DeratePgPool *pool, guint n)
{
  for (guint i = 0; i < pool->n_slots && n > 0; i++)
    {
      guint64 word = derate_pg_slot_read (&pool->slots[i]);

      if ((word & SLOT_STALE) != 0 &&
          derate_pg_pool_check_idle (pool, &pool->slots[i], word, CARE_CHECKING))
        n--;
    }
}

static void
check_for_waiters (DeratePgPool *pool, gint64 now)
{
  guint n_checks = count_checks (pool, now);
  guint waiting;

  g_mutex_lock (&pool->lock);
  waiting = !derate_pg_pool_is_paused (pool) ? pool->waiters.length : 0;
  g_mutex_unlock (&pool->lock);
  if (waiting > n_checks)
    check_stale (pool, waiting - n_checks);
}

void
derate_pg_growth_turn (DeratePgPool *pool, gint64 now)
{
  g_auto (GQueue) started = G_QUEUE_INIT;
  gboolean is_back = derate_pg_attachment_is_back (pool);
  DeratePgSlot *slot;
  guint n_checks;

  check_for_waiters (pool, now);
  n_checks = count_checks (pool, now);
  g_mutex_lock (&pool->lock);
  if (is_back)
    pool->growth.retry_at = now;
  for (guint n = count_wanted (pool, n_checks, now); n > 0; n--)
    g_queue_push_tail (&started, take_empty (pool));
  g_mutex_unlock (&pool->lock);
  while ((slot = g_queue_pop_head (&started)) != NULL)
    start (pool, slot);
}

/* Under the lock. */
gint64
derate_pg_growth_next (DeratePgPool *pool, gint64 now)
{
  DeratePgGrowth *growth = &pool->growth;
  gint64 next = DERATE_CLOCK_NEVER;

  /* One that is due was made in this turn, unless there is no room: who makes room kicks. */
  if (growth->error != NULL && growth->n_connecting == 0 && may_connect (pool) &&
      now < growth->retry_at &&
      (pool->waiters.head != NULL || derate_pg_pool_count_alive (pool) < pool->min))
    next = growth->retry_at;
  for (guint i = 0; i < pool->n_slots; i++)
    {
      DeratePgSlot *slot = &pool->slots[i];

      if ((slot->care & CARE_CHECKING) != 0 && now < slot->began_at + CHECK_PATIENCE)
        next = MIN (next, slot->began_at + CHECK_PATIENCE);
    }
  return next;
}
