/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-adaptive-limit-private.h"

#define SMOOTHING 0.2
#define QUEUE 4
#define LONG_WINDOW 600
#define WARM_UP 10
#define LONGER 1.1
#define LONGER_SLOWNESS 10
#define TOLERANCE 1.5
#define DROP_BACKOFF 0.9
#define WINDOW G_USEC_PER_SEC
#define WINDOW_SAMPLES 10
#define RTT_MINIMUM 100

struct _DerateAdaptiveLimit
{
  guint min;
  guint max;
  GMutex mutex; /* guards what follows */
  double estimate;
  double long_rtt;
  guint n_windows; /* in long_rtt, up to WARM_UP */

  /* The window that is being filled. */
  gint64 window_end;
  guint n_samples;
  double rtt_sum;
  guint max_in_flight;
  gboolean dropped;
};

DerateAdaptiveLimit *
derate_adaptive_limit_new (guint initial, guint min, guint max)
{
  DerateAdaptiveLimit *limit = g_new0 (DerateAdaptiveLimit, 1);

  limit->min = min;
  limit->max = max;
  limit->estimate = CLAMP (initial, min, max);
  g_mutex_init (&limit->mutex);
  return limit;
}

void
derate_adaptive_limit_free (DerateAdaptiveLimit *limit)
{
  g_mutex_clear (&limit->mutex);
  g_free (limit);
}

/* The plain mean while there is little, then an exponential one. */
static void
add_to_long_rtt (DerateAdaptiveLimit *limit, double rtt)
{
  double part = 2.0 / (LONG_WINDOW + 1);

  if (limit->n_windows < WARM_UP)
    part = 1.0 / ++limit->n_windows;
  else if (rtt > LONGER * limit->long_rtt)
    part /= LONGER_SLOWNESS;
  limit->long_rtt += (rtt - limit->long_rtt) * part;
}

static double
estimate_from (DerateAdaptiveLimit *limit, double rtt)
{
  double gradient;

  add_to_long_rtt (limit, rtt);
  /* After a long spell of load the average comes down at once, not in ten minutes. */
  if (limit->long_rtt > 2 * rtt)
    limit->long_rtt *= 0.95;
  /* A program that does not use what it has learns nothing of more. */
  if (limit->max_in_flight < limit->estimate / 2)
    return limit->estimate;
  gradient = CLAMP (TOLERANCE * limit->long_rtt / rtt, 0.5, 1.0);
  return limit->estimate * (1 - SMOOTHING) + (limit->estimate * gradient + QUEUE) * SMOOTHING;
}

static void
end_window (DerateAdaptiveLimit *limit)
{
  double estimate = limit->estimate;

  if (limit->dropped)
    estimate *= DROP_BACKOFF;
  else
    estimate = estimate_from (limit, limit->rtt_sum / limit->n_samples);
  limit->estimate = CLAMP (estimate, limit->min, limit->max);
}

static void
begin_window (DerateAdaptiveLimit *limit, gint64 now)
{
  limit->window_end = now + WINDOW;
  limit->n_samples = 0;
  limit->rtt_sum = 0;
  limit->max_in_flight = 0;
  limit->dropped = FALSE;
}

static gboolean
tell_locked (DerateAdaptiveLimit *limit,
             DerateSample sample,
             gint64 now,
             GTimeSpan rtt,
             guint in_flight)
{
  guint before = (guint)limit->estimate;

  if (limit->window_end == 0)
    begin_window (limit, now);
  limit->n_samples++;
  limit->rtt_sum += rtt;
  limit->max_in_flight = MAX (limit->max_in_flight, in_flight);
  limit->dropped = limit->dropped || sample == DERATE_SAMPLE_DROPPED;
  if (now < limit->window_end)
    return FALSE;
  if (limit->n_samples >= WINDOW_SAMPLES)
    end_window (limit);
  begin_window (limit, now);
  return (guint)limit->estimate != before;
}

gboolean
derate_adaptive_limit_tell (DerateAdaptiveLimit *limit,
                            DerateSample sample,
                            gint64 now,
                            GTimeSpan rtt,
                            guint in_flight)
{
  gboolean changed;

  if (sample == DERATE_SAMPLE_IGNORED || (sample == DERATE_SAMPLE_SUCCESS && rtt < RTT_MINIMUM))
    return FALSE;
  g_mutex_lock (&limit->mutex);
  changed = tell_locked (limit, sample, now, rtt, in_flight);
  g_mutex_unlock (&limit->mutex);
  return changed;
}

guint
derate_adaptive_limit_get (DerateAdaptiveLimit *limit)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&limit->mutex);

  return (guint)limit->estimate;
}

GTimeSpan
derate_adaptive_limit_get_long_rtt (DerateAdaptiveLimit *limit)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&limit->mutex);

  return (GTimeSpan)limit->long_rtt;
}
