/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-metrics-rendering-private.h"

#include "derate-clock.h"
#include "derate-log-private.h"
#include "derate-names-private.h"

/* Threads: a worker of the pool asks the collectors of a rendering one after the other, each with a
 * writer of its own, and who ends the last one makes the text. The mutex guards the renderer, and
 * the states of a rendering's runs; what a run writes belongs to its worker until the run is done.
 *
 * Whoever waits looks at the clock meanwhile: a run that takes too long is given up with its
 * worker, which finds out when the collector comes back, if ever, and touches nothing then but what
 * the run owns. Another worker takes its place. So a collector that hangs costs one thread and its
 * own families, and the others are not even late: a new worker goes on with them much earlier. */

typedef enum
{
  RUN_WAITING = 0,
  RUN_RUNNING,
  RUN_DONE,
  RUN_LATE, /* given up; still the worker's */
  RUN_SKIPPED, /* not asked, because a thread is still in it */
} RunState;

typedef struct
{
  DerateMetricsEntry *entry;
  DerateMetricsWriter *part;
  RunState state;
  gint64 begun;
} Run;

/* Somebody who waits in a context. */
typedef struct
{
  GTask *task;
  DerateMetricsRenderer *renderer;
  GSource *watch;
  GBytes *bytes;
} Waiter;

typedef struct
{
  DerateMetricsRenderer *renderer;
  DerateMetricsFormat format;
  GPtrArray *waiters;
  DerateMetricsWriter *writer;
  Run *runs;
  guint n_runs;
  guint n_workers; /* that were not given up */
  gboolean is_begun;
  gboolean is_ending;
  gboolean is_delivered;
  GBytes *bytes;
} Rendering;

struct _DerateMetricsRenderer
{
  gpointer owner;
  DerateMetricsBegin begin;
  GTimeSpan deadline;
  GTimeSpan patience;

  GMutex mutex;
  GCond cond;
  Rendering *running; /* (nullable) owned */
  GQueue waiting; /* (element-type Rendering) owned */
};

static void work (gpointer data, gpointer unused);

/* The machine's time, also where a program's core has a clock of its own: what a collector waits
 * for is real. */
static gint64
read_clock (void)
{
  return derate_clock_get_time (derate_clock_get_system ());
}

static void
entry_clear (gpointer data)
{
  DerateMetricsEntry *entry = data;

  g_object_unref (entry->collector);
  derate_counter_unref (entry->errors);
}

DerateMetricsEntry *
derate_metrics_entry_new (DerateMetricsCollector *collector, DerateCounter *errors)
{
  DerateMetricsEntry *entry = g_atomic_rc_box_new0 (DerateMetricsEntry);

  entry->collector = g_object_ref (collector);
  entry->errors = errors;
  return entry;
}

DerateMetricsEntry *
derate_metrics_entry_ref (DerateMetricsEntry *entry)
{
  return g_atomic_rc_box_acquire (entry);
}

void
derate_metrics_entry_unref (DerateMetricsEntry *entry)
{
  g_atomic_rc_box_release_full (entry, entry_clear);
}

static void
waiter_free (gpointer data)
{
  Waiter *waiter = data;

  g_source_destroy (waiter->watch);
  g_source_unref (waiter->watch);
  derate_metrics_renderer_unref (waiter->renderer);
  g_clear_pointer (&waiter->bytes, g_bytes_unref);
  g_object_unref (waiter->task);
  g_free (waiter);
}

DerateMetricsRenderer *
derate_metrics_renderer_new (gpointer owner, DerateMetricsBegin begin)
{
  DerateMetricsRenderer *renderer = g_atomic_rc_box_new0 (DerateMetricsRenderer);

  renderer->owner = owner;
  renderer->begin = begin;
  renderer->deadline = DERATE_METRICS_DEADLINE;
  renderer->patience = DERATE_METRICS_PATIENCE;
  g_mutex_init (&renderer->mutex);
  g_cond_init (&renderer->cond);
  g_queue_init (&renderer->waiting);
  return renderer;
}

static DerateMetricsRenderer *
renderer_ref (DerateMetricsRenderer *renderer)
{
  return g_atomic_rc_box_acquire (renderer);
}

/* Nothing runs or waits: that would keep it. */
static void
renderer_clear (gpointer data)
{
  DerateMetricsRenderer *renderer = data;

  g_mutex_clear (&renderer->mutex);
  g_cond_clear (&renderer->cond);
}

void
derate_metrics_renderer_unref (DerateMetricsRenderer *renderer)
{
  g_atomic_rc_box_release_full (renderer, renderer_clear);
}

void
derate_metrics_renderer_set_limits (DerateMetricsRenderer *renderer,
                                    GTimeSpan deadline,
                                    GTimeSpan patience)
{
  renderer->deadline = deadline;
  renderer->patience = patience;
}

static Rendering *
rendering_new (DerateMetricsRenderer *renderer, DerateMetricsFormat format)
{
  Rendering *rendering = g_atomic_rc_box_new0 (Rendering);

  rendering->renderer = renderer_ref (renderer);
  rendering->format = format;
  rendering->waiters = g_ptr_array_new_with_free_func (waiter_free);
  return rendering;
}

static void
run_clear (Run *run)
{
  g_clear_pointer (&run->part, derate_metrics_writer_unref);
  g_clear_pointer (&run->entry, derate_metrics_entry_unref);
}

static void
rendering_clear (gpointer data)
{
  Rendering *rendering = data;

  for (guint i = 0; i < rendering->n_runs; i++)
    run_clear (&rendering->runs[i]);
  g_free (rendering->runs);
  g_ptr_array_unref (rendering->waiters);
  g_clear_pointer (&rendering->bytes, g_bytes_unref);
  derate_metrics_renderer_unref (rendering->renderer);
}

static void
rendering_unref (Rendering *rendering)
{
  g_atomic_rc_box_release_full (rendering, rendering_clear);
}

/* One more worker, which takes a reference; NULL for none. */
static void
push_worker (Rendering *rendering)
{
  static GThreadPool *pool;

  if (rendering == NULL)
    return;
  if (g_once_init_enter (&pool))
    g_once_init_leave (&pool, g_thread_pool_new (work, NULL, -1, FALSE, NULL));
  g_thread_pool_push (pool, rendering, NULL);
}

/* Called locked: the next rendering, if it can begin, with a reference for its first worker. */
static Rendering *
start_next_locked (DerateMetricsRenderer *renderer)
{
  if (renderer->running != NULL)
    return NULL;
  renderer->running = g_queue_pop_head (&renderer->waiting);
  if (renderer->running == NULL)
    return NULL;
  renderer->running->n_workers = 1;
  return g_atomic_rc_box_acquire (renderer->running);
}

/* Called locked: one that has not begun, so that it shows all that has happened by now. */
static Rendering *
ask_locked (DerateMetricsRenderer *renderer, DerateMetricsFormat format)
{
  Rendering *rendering;

  for (GList *link = renderer->waiting.head; link != NULL; link = link->next)
    if (((Rendering *)link->data)->format == format)
      return link->data;
  rendering = rendering_new (renderer, format);
  g_queue_push_tail (&renderer->waiting, rendering);
  return rendering;
}

/* Only the first worker is there. */
static void
begin (Rendering *rendering)
{
  DerateMetricsRenderer *renderer = rendering->renderer;
  g_autoptr (GPtrArray) entries = g_ptr_array_new ();
  DerateMetricsWriter *writer = renderer->begin (renderer->owner, rendering->format, entries);
  Run *runs = g_new0 (Run, entries->len);

  for (guint i = 0; i < entries->len; i++)
    {
      runs[i].entry = g_ptr_array_index (entries, i);
      runs[i].part = derate_metrics_writer_new_part (writer);
    }
  g_mutex_lock (&renderer->mutex);
  rendering->writer = writer;
  rendering->runs = runs;
  rendering->n_runs = entries->len;
  rendering->is_begun = TRUE;
  g_mutex_unlock (&renderer->mutex);
}

static Run *
take_run_locked (Rendering *rendering)
{
  for (guint i = 0; i < rendering->n_runs; i++)
    {
      Run *run = &rendering->runs[i];

      if (run->state != RUN_WAITING)
        continue;
      if (!run->entry->is_stuck)
        {
          run->state = RUN_RUNNING;
          run->begun = read_clock ();
          return run;
        }
      run->state = RUN_SKIPPED;
    }
  return NULL;
}

static gboolean
is_settled_locked (Rendering *rendering)
{
  for (guint i = 0; i < rendering->n_runs; i++)
    if (rendering->runs[i].state == RUN_WAITING || rendering->runs[i].state == RUN_RUNNING)
      return FALSE;
  return rendering->is_begun;
}

/* Called locked, unlocks for the collector. FALSE: the worker was given up meanwhile. */
static gboolean
run_locked (Rendering *rendering, Run *run)
{
  g_mutex_unlock (&rendering->renderer->mutex);
  derate_metrics_collector_collect (run->entry->collector, run->part);
  g_mutex_lock (&rendering->renderer->mutex);
  if (run->state == RUN_LATE)
    {
      run->entry->is_stuck = FALSE;
      return FALSE;
    }
  run->state = RUN_DONE;
  return TRUE;
}

static void
log_failure (const DerateMetricsEntry *entry, const char *why)
{
  const char *name = G_OBJECT_TYPE_NAME (entry->collector);
  g_autofree char *message = g_strdup_printf ("metrics of %s are left out: %s", name, why);

  derate_log_event (G_LOG_LEVEL_WARNING, DERATE_EVENT_COLLECTOR_FAILED, name, message, NULL);
}

/* What became of a run: its families, or one error more. */
static void
end_run (Rendering *rendering, Run *run)
{
  DerateMetricsEntry *entry = run->entry;
  const char *why = NULL;

  if (run->state != RUN_DONE)
    why = "it takes too long";
  else if (!derate_metrics_writer_take (rendering->writer, run->part) ||
           derate_metrics_writer_get_failure (run->part) != NULL)
    why = derate_metrics_writer_get_failure (run->part);
  if (why != NULL)
    derate_counter_inc (entry->errors);
  if (why != NULL && !entry->failed)
    log_failure (entry, why);
  entry->failed = why != NULL;
  /* What a late one writes is its worker's still. */
  if (run->state != RUN_LATE)
    run_clear (run);
}

static gboolean
on_delivered (gpointer data)
{
  Waiter *waiter = data;

  g_task_return_pointer (waiter->task, g_bytes_ref (waiter->bytes), (GDestroyNotify)g_bytes_unref);
  return G_SOURCE_REMOVE;
}

/* In the context that waits, where also the last reference of the task and its owner may go. */
static void
deliver (Waiter *waiter, GBytes *bytes)
{
  g_autoptr (GMainContext) context = g_main_context_ref (g_task_get_context (waiter->task));
  g_autoptr (GSource) source = g_idle_source_new ();

  waiter->bytes = g_bytes_ref (bytes);
  g_source_set_priority (source, g_task_get_priority (waiter->task));
  g_source_set_callback (source, on_delivered, waiter, waiter_free);
  g_source_attach (source, context);
}

/* All runs are settled, and this worker alone ends the rendering. */
static void
end (Rendering *rendering)
{
  DerateMetricsRenderer *renderer = rendering->renderer;
  g_autoptr (GPtrArray) waiters = NULL;
  Rendering *next;

  for (guint i = 0; i < rendering->n_runs; i++)
    end_run (rendering, &rendering->runs[i]);
  rendering->bytes = g_string_free_to_bytes (derate_metrics_writer_finish (rendering->writer));
  g_clear_pointer (&rendering->writer, derate_metrics_writer_unref);

  g_mutex_lock (&renderer->mutex);
  rendering->is_delivered = TRUE;
  waiters = g_steal_pointer (&rendering->waiters);
  rendering->waiters = g_ptr_array_new ();
  g_clear_pointer (&renderer->running, rendering_unref);
  next = start_next_locked (renderer);
  g_cond_broadcast (&renderer->cond);
  g_mutex_unlock (&renderer->mutex);

  push_worker (next);
  while (waiters->len > 0)
    deliver (g_ptr_array_steal_index (waiters, waiters->len - 1), rendering->bytes);
}

static void
work (gpointer data, gpointer unused)
{
  Rendering *rendering = data;
  DerateMetricsRenderer *renderer = rendering->renderer;
  gboolean is_mine = TRUE;
  gboolean is_last = FALSE;
  Run *run;

  g_mutex_lock (&renderer->mutex);
  if (!rendering->is_begun)
    {
      g_mutex_unlock (&renderer->mutex);
      begin (rendering);
      g_mutex_lock (&renderer->mutex);
    }
  while (is_mine && (run = take_run_locked (rendering)) != NULL)
    is_mine = run_locked (rendering, run);
  if (is_mine)
    {
      rendering->n_workers--;
      is_last = is_settled_locked (rendering) && !rendering->is_ending;
      rendering->is_ending = rendering->is_ending || is_last;
    }
  g_mutex_unlock (&renderer->mutex);

  if (is_last)
    end (rendering);
  rendering_unref (rendering);
}

/* Called locked: gives up what is too late. Whether one more worker is needed: because there is
 * none to end the rendering, or all of them are busy for too long. */
static gboolean
look_locked (DerateMetricsRenderer *renderer, Rendering *rendering)
{
  gint64 now = read_clock ();
  gboolean has_waiting = FALSE;
  guint n_busy = 0;
  guint n_fresh = 0;

  for (guint i = 0; i < rendering->n_runs; i++)
    {
      Run *run = &rendering->runs[i];

      has_waiting = has_waiting || run->state == RUN_WAITING;
      if (run->state != RUN_RUNNING)
        continue;
      if (now - run->begun >= renderer->deadline)
        {
          run->state = RUN_LATE;
          run->entry->is_stuck = TRUE;
          rendering->n_workers--;
          continue;
        }
      n_busy++;
      n_fresh += now - run->begun < renderer->patience;
    }
  if (rendering->n_workers > n_busy)
    return FALSE;
  return (has_waiting && n_fresh == 0) || (!rendering->is_ending && is_settled_locked (rendering));
}

/* Looks after the rendering that goes on. From any thread. */
static void
look (DerateMetricsRenderer *renderer)
{
  Rendering *rendering = NULL;

  g_mutex_lock (&renderer->mutex);
  if (renderer->running != NULL && renderer->running->is_begun &&
      look_locked (renderer, renderer->running))
    {
      rendering = g_atomic_rc_box_acquire (renderer->running);
      rendering->n_workers++;
    }
  g_mutex_unlock (&renderer->mutex);
  push_worker (rendering);
}

static gboolean
on_watch (gpointer data)
{
  Waiter *waiter = data;

  look (waiter->renderer);
  derate_clock_source_set_deadline (derate_clock_get_system (), waiter->watch,
                                    read_clock () + waiter->renderer->patience);
  return G_SOURCE_CONTINUE;
}

GBytes *
derate_metrics_renderer_render (DerateMetricsRenderer *renderer, DerateMetricsFormat format)
{
  Rendering *rendering;
  Rendering *next;
  GBytes *bytes;

  g_mutex_lock (&renderer->mutex);
  rendering = g_atomic_rc_box_acquire (ask_locked (renderer, format));
  next = start_next_locked (renderer);
  g_mutex_unlock (&renderer->mutex);
  push_worker (next);

  g_mutex_lock (&renderer->mutex);
  while (!rendering->is_delivered)
    if (!g_cond_wait_until (&renderer->cond, &renderer->mutex, read_clock () + renderer->patience))
      {
        g_mutex_unlock (&renderer->mutex);
        look (renderer);
        g_mutex_lock (&renderer->mutex);
      }
  g_mutex_unlock (&renderer->mutex);
  bytes = g_bytes_ref (rendering->bytes);
  rendering_unref (rendering);
  return bytes;
}

void
derate_metrics_renderer_start (DerateMetricsRenderer *renderer,
                               DerateMetricsFormat format,
                               GTask *task)
{
  Waiter *waiter = g_new0 (Waiter, 1);
  Rendering *next;

  waiter->task = task;
  waiter->renderer = renderer_ref (renderer);
  waiter->watch =
      derate_clock_source_new (derate_clock_get_system (), read_clock () + renderer->patience);
  g_source_set_callback (waiter->watch, on_watch, waiter, NULL);
  g_source_attach (waiter->watch, g_task_get_context (task));

  g_mutex_lock (&renderer->mutex);
  g_ptr_array_add (ask_locked (renderer, format)->waiters, waiter);
  next = start_next_locked (renderer);
  g_mutex_unlock (&renderer->mutex);
  push_worker (next);
}
