/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-postgresql.h>

/* Who takes part in `./dev bench pool`: our pool, libpq without one, and the pools of other
 * languages, which are processes of their own. All have eight sessions with the same server. */

#define POOL_SIZE 8
#define POOL_BATCH 100 /* statements of a pipeline */

typedef struct
{
  double ns; /* wall time of one operation, over all callers */
  double p50, p99; /* of one caller's; 0 where they were not timed one by one */
} PoolSample;

/* FALSE where it cannot do that at all. */
typedef gboolean (*PoolMeasure) (gpointer    self,
                                 const char *what,
                                 guint       callers,
                                 guint       ms,
                                 PoolSample *sample);

typedef struct
{
  const char *name;
  gpointer (*set_up) (const char *uri);
  PoolMeasure measure;
  void (*tear_down) (gpointer self);
} PoolSide;

/* What one caller does over and over, each with a state of its own. */
typedef struct
{
  gpointer (*begin) (gpointer self);
  void (*run) (gpointer state);
  void (*end) (gpointer state);
  gboolean timed;
} PoolWork;

/* A thread a caller, for so long. */
void pool_measure_threads (gpointer        self,
                           const PoolWork *work,
                           guint           callers,
                           guint           ms,
                           PoolSample     *sample);

/* Makes a sample of what was counted; sorts @ns. */
void pool_sample_set (PoolSample *sample,
                      guint64     n,
                      gint64      wall,
                      GArray     *ns);

/* Of one operation, where so many were done at a time. */
void pool_sample_divide (PoolSample *sample,
                         guint       operations);

extern const PoolSide pool_libpq;
extern const PoolSide pool_derate;

/* Our pool, with all its sessions open. */
DeratePgPool *pool_derate_new (const char  *uri,
                               DerateClock *clock);

/* A peer that is driven through its standard input. */
gpointer pool_child_new (const char *command,
                         const char *uri);
gboolean pool_child_measure (gpointer    self,
                             const char *what,
                             guint       callers,
                             guint       ms,
                             PoolSample *sample);
void pool_child_free (gpointer self);
