/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bench.h"
#include "pool-side.h"

#include <stdlib.h>

#define MAX_SAMPLES (1 << 18)
#define CHUNK 64 /* what is not timed one by one looks at the time only now and then */

typedef struct
{
  const PoolWork *work;
  gpointer self;
  gint *over;
  guint64 n;
  GArray *ns;
} Caller;

static gpointer
call (gpointer data)
{
  Caller *caller = data;
  gpointer state = caller->work->begin (caller->self);

  while (!g_atomic_int_get (caller->over))
    {
      if (caller->work->timed)
        {
          gint64 begin = bench_get_ns (), took;

          caller->work->run (state);
          took = bench_get_ns () - begin;
          if (caller->ns->len < MAX_SAMPLES)
            g_array_append_val (caller->ns, took);
          caller->n++;
          continue;
        }
      for (guint i = 0; i < CHUNK; i++)
        caller->work->run (state);
      caller->n += CHUNK;
    }
  caller->work->end (state);
  return NULL;
}

static int
compare_ns (const void *a, const void *b)
{
  return *(const gint64 *)a < *(const gint64 *)b ? -1 : *(const gint64 *)a > *(const gint64 *)b;
}

void
pool_sample_set (PoolSample *sample, guint64 n, gint64 wall, GArray *ns)
{
  *sample = (PoolSample){ (double)wall / (double)MAX (n, 1), 0, 0 };
  if (ns->len == 0)
    return;
  qsort (ns->data, ns->len, sizeof (gint64), compare_ns);
  sample->p50 = (double)g_array_index (ns, gint64, ns->len / 2);
  sample->p99 = (double)g_array_index (ns, gint64, ns->len * 99 / 100);
}

void
pool_sample_divide (PoolSample *sample, guint operations)
{
  sample->ns /= operations;
  sample->p50 /= operations;
  sample->p99 /= operations;
}

void
pool_measure_threads (gpointer self,
                      const PoolWork *work,
                      guint callers,
                      guint ms,
                      PoolSample *sample)
{
  g_autofree Caller *all = g_new0 (Caller, callers);
  g_autofree GThread **threads = g_new0 (GThread *, callers);
  g_autoptr (GArray) ns = g_array_new (FALSE, FALSE, sizeof (gint64));
  gint64 begin = bench_get_ns ();
  guint64 n = 0;
  gint over = 0;

  for (guint i = 0; i < callers; i++)
    {
      all[i] = (Caller){ work, self, &over, 0, g_array_new (FALSE, FALSE, sizeof (gint64)) };
      threads[i] = g_thread_new ("caller", call, &all[i]);
    }
  g_usleep (ms * 1000);
  g_atomic_int_set (&over, 1);
  for (guint i = 0; i < callers; i++)
    {
      g_thread_join (threads[i]);
      n += all[i].n;
      g_array_append_vals (ns, all[i].ns->data, all[i].ns->len);
      g_array_unref (all[i].ns);
    }
  pool_sample_set (sample, n, bench_get_ns () - begin, ns);
}
