/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-monitor-private.h"

#include "derate-service-room-private.h"

/* One source, for all services, that is told when to look next. Whatever happens elsewhere (an
 * answer, a breaker that opened, a request) only makes it look earlier: it reads everything anew,
 * so nothing is lost and nothing has to be passed on.
 *
 * Threads: the mutex guards `entries`, `source`, `epoch`, `started` and `grace`; `ready` and
 * `local_suspect` are atomic. The rest, and what is in an entry, is touched only by look (), which
 * runs in the check context and so never twice at once. */

#define MAX_CHECKS_AT_ONCE 4
#define DEFAULT_GRACE (5 * G_TIME_SPAN_SECOND)
#define LATE (1 * G_TIME_SPAN_SECOND)
#define BREAKER_RETRY (100 * G_TIME_SPAN_MILLISECOND)

typedef struct
{
  DerateService *service;
  gint removed; /* atomic */
  guint epoch; /* of the monitor, when the rest was set up */
  gint64 due; /* when the next check is to begin */
  gint64 anchor; /* when the last one was to begin */
  gint64 refresh; /* when to read the breaker if nothing else made us */
  guint64 seen; /* answers */
  gboolean swept; /* answered since the start */
  DerateServiceSchedule now;
} Entry;

struct _DerateMonitor
{
  DerateClock *clock;
  GMainContext *check_context;
  GMainContext *owner_context;
  DerateWaker *waker;
  DerateMonitorHook hook;
  gpointer hook_data;
  GRand *rand;

  GMutex mutex;
  GPtrArray *entries; /* (element-type Entry) */
  GSource *source; /* NULL while stopped */
  guint epoch;
  gint64 started;
  GTimeSpan grace;

  gint ready;
  gint local_suspect;

  guint looked; /* the epoch of the last look () */
  gint64 expected; /* when look () was to be called at the latest */
};

static void
entry_clear (gpointer data)
{
  g_object_unref (((Entry *)data)->service);
}

static void
entry_unref (gpointer data)
{
  g_atomic_rc_box_release_full (data, entry_clear);
}

static void
monitor_clear (gpointer data)
{
  DerateMonitor *monitor = data;

  g_ptr_array_unref (monitor->entries);
  derate_waker_unref (monitor->waker);
  g_main_context_unref (monitor->check_context);
  g_main_context_unref (monitor->owner_context);
  g_rand_free (monitor->rand);
  g_object_unref (monitor->clock);
  g_mutex_clear (&monitor->mutex);
}

static GMainContext *
ref_context (GMainContext *context)
{
  return g_main_context_ref (context != NULL ? context : g_main_context_default ());
}

DerateMonitor *
derate_monitor_new (DerateClock *clock, GMainContext *check_context, GMainContext *owner_context)
{
  DerateMonitor *monitor = g_atomic_rc_box_new0 (DerateMonitor);

  monitor->clock = g_object_ref (clock);
  monitor->check_context = ref_context (check_context);
  monitor->owner_context = ref_context (owner_context);
  monitor->waker = derate_waker_new (clock);
  monitor->grace = DEFAULT_GRACE;
  monitor->rand = g_rand_new ();
  monitor->entries = g_ptr_array_new_with_free_func (entry_unref);
  monitor->expected = DERATE_CLOCK_NEVER;
  g_mutex_init (&monitor->mutex);
  return monitor;
}

DerateMonitor *
derate_monitor_ref (DerateMonitor *monitor)
{
  return g_atomic_rc_box_acquire (monitor);
}

void
derate_monitor_unref (DerateMonitor *monitor)
{
  g_atomic_rc_box_release_full (monitor, monitor_clear);
}

void
derate_monitor_set_grace (DerateMonitor *monitor, GTimeSpan grace)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&monitor->mutex);

  monitor->grace = grace;
}

void
derate_monitor_set_seed (DerateMonitor *monitor, guint32 seed)
{
  g_rand_set_seed (monitor->rand, seed);
}

void
derate_monitor_set_hook (DerateMonitor *monitor, DerateMonitorHook hook, gpointer data)
{
  monitor->hook = hook;
  monitor->hook_data = data;
}

gboolean
derate_monitor_is_ready (DerateMonitor *monitor)
{
  return g_atomic_int_get (&monitor->ready);
}

gboolean
derate_monitor_get_local_suspect (DerateMonitor *monitor)
{
  return g_atomic_int_get (&monitor->local_suspect);
}

/* Looking */

static GPtrArray *
copy_entries (DerateMonitor *monitor, guint *epoch, gint64 *grace_end)
{
  GPtrArray *copy = g_ptr_array_new_with_free_func (entry_unref);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&monitor->mutex);

  *epoch = monitor->source != NULL ? monitor->epoch : 0;
  *grace_end = monitor->started + monitor->grace;
  for (guint i = 0; *epoch != 0 && i < monitor->entries->len; i++)
    g_ptr_array_add (copy, g_atomic_rc_box_acquire (g_ptr_array_index (monitor->entries, i)));
  return copy;
}

static void
set_up_entry (DerateMonitor *monitor, Entry *entry, guint epoch, gint64 now)
{
  if (entry->epoch == epoch)
    return;
  if (!derate_service_attach (entry->service, monitor->waker, monitor->check_context,
                              monitor->owner_context))
    g_critical ("service %s is watched by two monitors", derate_service_get_name (entry->service));
  derate_service_get_schedule (entry->service, &entry->now);
  entry->epoch = epoch;
  entry->due = now;
  entry->anchor = now;
  entry->refresh = now + entry->now.interval;
  entry->seen = entry->now.n_answers;
  entry->swept = FALSE;
}

/* When the check after the one that was just answered begins: on the schedule, not on the answer.
 */
static gint64
plan (DerateMonitor *monitor, const Entry *entry)
{
  double spread;

  if (entry->now.undecided)
    return entry->anchor + entry->now.fast_interval;
  spread = entry->now.jitter > 0
               ? g_rand_double_range (monitor->rand, -entry->now.jitter, entry->now.jitter)
               : 0;
  return entry->anchor + entry->now.interval + (gint64)(entry->now.interval * spread);
}

static void
read_entry (DerateMonitor *monitor, Entry *entry, gint64 now)
{
  if (entry->now.open_until <= now)
    derate_service_poll_breaker (entry->service);
  if (entry->now.fresh_until <= now || entry->refresh <= now)
    {
      derate_service_look (entry->service);
      entry->refresh = now + entry->now.interval;
    }
  derate_service_get_schedule (entry->service, &entry->now);
  if (entry->now.n_answers == entry->seen)
    return;
  entry->seen = entry->now.n_answers;
  entry->swept = TRUE;
  entry->due = plan (monitor, entry);
  entry->refresh = MAX (now + entry->now.interval, entry->due + entry->now.fast_interval);
}

static gboolean
may_start (const Entry *entry, gint64 now)
{
  return entry->now.has_check && !entry->now.busy && (entry->now.wanted || entry->due <= now);
}

/* Who has waited longest; a request waits longer than any schedule. */
static Entry *
find_next (GPtrArray *entries, gint64 now)
{
  Entry *next = NULL;

  for (guint i = 0; i < entries->len; i++)
    {
      Entry *entry = g_ptr_array_index (entries, i);

      if (!may_start (entry, now))
        continue;
      if (next == NULL || entry->now.wanted > next->now.wanted ||
          (entry->now.wanted == next->now.wanted && entry->due < next->due))
        next = entry;
    }
  return next;
}

static void
start_checks (GPtrArray *entries, gint64 now)
{
  guint n_running = 0;
  Entry *entry;

  /* A check that was given up and does not end holds no place: four of them would stop all others.
   */
  for (guint i = 0; i < entries->len; i++)
    n_running += ((Entry *)g_ptr_array_index (entries, i))->now.running;

  while (n_running < MAX_CHECKS_AT_ONCE && (entry = find_next (entries, now)) != NULL)
    {
      gint64 late = now - entry->due;

      if (late < 0)
        entry->anchor = now;
      else /* what was missed is not made up for */
        entry->anchor = now - late % entry->now.interval;
      entry->due = DERATE_CLOCK_NEVER;
      entry->now.busy = TRUE;
      entry->now.running = TRUE;
      n_running++;
      derate_service_start_check (entry->service);
    }
}

static gboolean
set_flag (gint *flag, gboolean value)
{
  return g_atomic_int_get (flag) != value && (g_atomic_int_set (flag, value), TRUE);
}

static gboolean
judge (DerateMonitor *monitor, GPtrArray *entries, gint64 now, gint64 grace_end)
{
  gboolean swept = TRUE;
  guint n_remote = 0;
  guint n_down = 0;
  gboolean changed = FALSE;

  for (guint i = 0; i < entries->len; i++)
    {
      Entry *entry = g_ptr_array_index (entries, i);

      if (!entry->now.has_check)
        continue;
      swept &= entry->swept;
      n_remote += entry->now.remote;
      n_down += entry->now.remote && entry->now.last == DERATE_HEALTH_STATUS_DOWN;
    }
  if (swept || now >= grace_end)
    changed |= set_flag (&monitor->ready, TRUE);
  changed |= set_flag (&monitor->local_suspect, n_remote > 1 && n_down == n_remote);
  return changed;
}

static gint64
find_deadline (DerateMonitor *monitor, GPtrArray *entries, gint64 now, gint64 grace_end)
{
  gint64 deadline = DERATE_CLOCK_NEVER;

  if (!derate_monitor_is_ready (monitor))
    deadline = grace_end;
  for (guint i = 0; i < entries->len; i++)
    {
      Entry *entry = g_ptr_array_index (entries, i);

      deadline = MIN (deadline, entry->refresh);
      if (entry->now.fresh_until > now)
        deadline = MIN (deadline, entry->now.fresh_until);
      if (entry->now.open_until != DERATE_CLOCK_NEVER)
        deadline = MIN (deadline, MAX (entry->now.open_until, now + BREAKER_RETRY));
      /* One that is busy or waits for a place is looked at when an answer wakes us. */
      if (entry->now.has_check && !entry->now.busy && entry->due > now)
        deadline = MIN (deadline, entry->due);
    }
  return deadline;
}

/* After the program stood still nothing is too old yet, or one pause would look like an outage. */
static void
forgive_lateness (DerateMonitor *monitor, GPtrArray *entries, gint64 now)
{
  gint64 late = monitor->expected != DERATE_CLOCK_NEVER ? now - monitor->expected : 0;

  for (guint i = 0; late > LATE && i < entries->len; i++)
    derate_service_forgive (((Entry *)g_ptr_array_index (entries, i))->service, late);
}

/* Lets go of what was removed or stopped while we looked. */
static void
let_go (DerateMonitor *monitor, GPtrArray *entries, guint epoch)
{
  gboolean stopped;

  g_mutex_lock (&monitor->mutex);
  stopped = monitor->source == NULL || monitor->epoch != epoch;
  g_mutex_unlock (&monitor->mutex);

  for (guint i = 0; i < entries->len; i++)
    {
      Entry *entry = g_ptr_array_index (entries, i);

      if (stopped || g_atomic_int_get (&entry->removed))
        derate_service_detach (entry->service);
    }
}

static gboolean
look (gpointer data)
{
  DerateMonitor *monitor = data;
  gint64 now = derate_clock_get_time (monitor->clock);
  g_autoptr (GPtrArray) entries = NULL;
  guint epoch;
  gint64 grace_end;
  gboolean changed;

  derate_waker_begin (monitor->waker);
  entries = copy_entries (monitor, &epoch, &grace_end);
  if (epoch == 0)
    return G_SOURCE_REMOVE;

  if (monitor->looked != epoch)
    monitor->expected = DERATE_CLOCK_NEVER;
  monitor->looked = epoch;
  for (guint i = 0; i < entries->len; i++)
    set_up_entry (monitor, g_ptr_array_index (entries, i), epoch, now);
  forgive_lateness (monitor, entries, now);
  for (guint i = 0; i < entries->len; i++)
    read_entry (monitor, g_ptr_array_index (entries, i), now);
  start_checks (entries, now);
  changed = judge (monitor, entries, now, grace_end);
  monitor->expected = find_deadline (monitor, entries, now, grace_end);

  let_go (monitor, entries, epoch);
  if (changed && monitor->hook != NULL)
    monitor->hook (monitor, monitor->hook_data);
  derate_waker_sleep_until (monitor->waker, monitor->expected);
  return G_SOURCE_CONTINUE;
}

/* Control */

void
derate_monitor_add_service (DerateMonitor *monitor, DerateService *service)
{
  Entry *entry = g_atomic_rc_box_new0 (Entry);

  entry->service = g_object_ref (service);
  g_mutex_lock (&monitor->mutex);
  g_ptr_array_add (monitor->entries, entry);
  g_mutex_unlock (&monitor->mutex);
  derate_waker_wake (monitor->waker);
}

void
derate_monitor_remove_service (DerateMonitor *monitor, DerateService *service)
{
  Entry *entry = NULL;

  g_mutex_lock (&monitor->mutex);
  for (guint i = 0; entry == NULL && i < monitor->entries->len; i++)
    if (((Entry *)g_ptr_array_index (monitor->entries, i))->service == service)
      entry = g_ptr_array_steal_index (monitor->entries, i);
  g_mutex_unlock (&monitor->mutex);

  if (entry == NULL)
    return;
  g_atomic_int_set (&entry->removed, TRUE);
  derate_service_detach (service);
  entry_unref (entry);
  derate_waker_wake (monitor->waker);
}

GPtrArray *
derate_monitor_dup_services (DerateMonitor *monitor)
{
  GPtrArray *services = g_ptr_array_new_with_free_func (g_object_unref);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&monitor->mutex);

  for (guint i = 0; i < monitor->entries->len; i++)
    g_ptr_array_add (services,
                     g_object_ref (((Entry *)g_ptr_array_index (monitor->entries, i))->service));
  return services;
}

void
derate_monitor_start (DerateMonitor *monitor)
{
  gint64 now = derate_clock_get_time (monitor->clock);
  g_autoptr (GSource) source = derate_clock_source_new (monitor->clock, now);
  gboolean fresh;

  g_source_set_callback (source, look, derate_monitor_ref (monitor),
                         (GDestroyNotify)derate_monitor_unref);
  g_mutex_lock (&monitor->mutex);
  fresh = monitor->source == NULL;
  if (fresh)
    {
      monitor->source = g_source_ref (source);
      monitor->started = now;
      monitor->epoch = MAX (monitor->epoch + 1, 1);
    }
  g_mutex_unlock (&monitor->mutex);

  if (!fresh)
    return;
  g_atomic_int_set (&monitor->ready, FALSE);
  derate_waker_set_source (monitor->waker, source, monitor->check_context);
  g_source_attach (source, monitor->check_context);
}

void
derate_monitor_stop (DerateMonitor *monitor)
{
  g_autoptr (GSource) source = NULL;
  g_autoptr (GPtrArray) services = NULL;

  g_mutex_lock (&monitor->mutex);
  source = g_steal_pointer (&monitor->source);
  g_mutex_unlock (&monitor->mutex);

  if (source == NULL)
    return;
  services = derate_monitor_dup_services (monitor);
  derate_waker_set_source (monitor->waker, NULL, NULL);
  g_source_destroy (source);
  for (guint i = 0; i < services->len; i++)
    derate_service_detach (g_ptr_array_index (services, i));
}
