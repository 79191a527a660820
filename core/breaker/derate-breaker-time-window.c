/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-breaker-window-private.h"

/* The window by time. A slice begins with the first outcome after the slice before it, so an idle
 * window costs nothing and a day without calls is cleared by one look. */

static DerateBreakerSlice *
nth_slice (DerateBreakerSlices *slices, guint i)
{
  return &slices->slices[(slices->first + i) % DERATE_BREAKER_SLICES];
}

static const DerateBreakerSlice *
peek_slice (const DerateBreakerSlices *slices, guint i)
{
  return &slices->slices[(slices->first + i) % DERATE_BREAKER_SLICES];
}

static void
add_sums (DerateBreakerSums *sums, const DerateBreakerSums *more)
{
  sums->calls += more->calls;
  sums->failures += more->failures;
  sums->slow += more->slow;
}

static void
set_span (DerateBreakerSlices *slices, GTimeSpan span)
{
  slices->span = span;
  /* Rounded up, or eleven would fit. */
  slices->slice_span = (span + DERATE_BREAKER_SLICES - 1) / DERATE_BREAKER_SLICES;
}

DerateBreakerSlices *
derate_breaker_slices_new (GTimeSpan span, guint64 successes)
{
  DerateBreakerSlices *slices = g_new0 (DerateBreakerSlices, 1);

  set_span (slices, span);
  slices->seen = successes;
  return slices;
}

void
derate_breaker_slices_clear (DerateBreakerSlices *slices, guint64 successes)
{
  slices->n = 0;
  slices->sums = (DerateBreakerSums){ 0 };
  slices->unjudged = FALSE;
  slices->seen = successes;
}

static void
push_slice (DerateBreakerSlices *slices, gint64 start)
{
  g_return_if_fail (slices->n < DERATE_BREAKER_SLICES);

  slices->n++;
  *nth_slice (slices, slices->n - 1) = (DerateBreakerSlice){ .start = start };
}

static void
add_to_newest (DerateBreakerSlices *slices, const DerateBreakerSums *sums)
{
  if (slices->n == 0)
    return;
  add_sums (&nth_slice (slices, slices->n - 1)->sums, sums);
  add_sums (&slices->sums, sums);
}

static void
attribute (DerateBreakerSlices *slices, guint64 successes)
{
  DerateBreakerSums sums = { .calls = successes - slices->seen };

  slices->seen = successes;
  add_to_newest (slices, &sums);
}

static void
expire (DerateBreakerSlices *slices, gint64 now)
{
  while (slices->n > 0 && nth_slice (slices, 0)->start + slices->span <= now)
    {
      const DerateBreakerSums *sums = &nth_slice (slices, 0)->sums;

      slices->unjudged = slices->unjudged || slices->sums.failures > 0 || slices->sums.slow > 0;
      slices->sums.calls -= sums->calls;
      slices->sums.failures -= sums->failures;
      slices->sums.slow -= sums->slow;
      slices->first = (slices->first + 1) % DERATE_BREAKER_SLICES;
      slices->n--;
    }
}

void
derate_breaker_slices_look (DerateBreakerSlices *slices, guint64 successes, gint64 now)
{
  attribute (slices, successes);
  expire (slices, now);
}

gboolean
derate_breaker_slices_are_current (const DerateBreakerSlices *slices, gint64 now)
{
  return slices->n > 0 && now < peek_slice (slices, slices->n - 1)->start + slices->slice_span;
}

void
derate_breaker_slices_turn (DerateBreakerSlices *slices, guint64 successes, gint64 now)
{
  derate_breaker_slices_look (slices, successes, now);
  if (!derate_breaker_slices_are_current (slices, now))
    push_slice (slices, now);
}

void
derate_breaker_slices_add (DerateBreakerSlices *slices, gboolean failed, gboolean slow)
{
  DerateBreakerSums sums = { 1, failed ? 1 : 0, slow ? 1 : 0 };

  add_to_newest (slices, &sums);
}

gint64
derate_breaker_slices_get_quiet_until (const DerateBreakerSlices *slices, guint minimum)
{
  gint64 end;

  if (slices->n == 0 || slices->unjudged)
    return G_MININT64;
  end = peek_slice (slices, slices->n - 1)->start + slices->slice_span;
  if (slices->sums.failures == 0 && slices->sums.slow == 0)
    return end;
  /* A success may make the rates known, or find that they rose because good calls are too old. */
  if (slices->sums.calls < minimum)
    return G_MININT64;
  return MIN (end, peek_slice (slices, 0)->start + slices->span);
}

guint64
derate_breaker_slices_since (const DerateBreakerSlices *slices, gint64 time)
{
  guint64 n = 0;

  for (guint i = 0; i < slices->n; i++)
    if (peek_slice (slices, i)->start >= time)
      n += peek_slice (slices, i)->sums.calls;
  return n;
}

/* Outcomes of @start or soon after, as the newest so far. */
static void
append (DerateBreakerSlices *slices, gint64 start, const DerateBreakerSums *sums, gint64 now)
{
  if (start + slices->span <= now)
    return;
  if (!derate_breaker_slices_are_current (slices, start))
    push_slice (slices, start);
  add_to_newest (slices, sums);
}

DerateBreakerSlices *
derate_breaker_slices_resize (DerateBreakerSlices *slices, GTimeSpan span, gint64 now)
{
  DerateBreakerSlices *resized = derate_breaker_slices_new (span, slices->seen);

  for (guint i = 0; i < slices->n; i++)
    append (resized, nth_slice (slices, i)->start, &nth_slice (slices, i)->sums, now);
  g_free (slices);
  return resized;
}

DerateBreakerSlices *
derate_breaker_slices_from_counts (DerateBreakerCounts *counts,
                                   GTimeSpan span,
                                   guint64 successes,
                                   gint64 now)
{
  DerateBreakerSlices *slices = derate_breaker_slices_new (span, successes);

  for (guint i = 0; i < counts->fill; i++)
    {
      DerateBreakerSums sums = { .calls = 1 };
      gboolean failed;
      gboolean slow;
      gint64 time;

      derate_breaker_counts_get (counts, i, &failed, &slow, &time);
      sums.failures = failed ? 1 : 0;
      sums.slow = slow ? 1 : 0;
      append (slices, time, &sums, now);
    }
  g_free (counts);
  return slices;
}

/* Whether the @i'th of @whole is one of the @part, which are spread evenly. */
static gboolean
is_spread (guint64 i, guint64 part, guint64 whole)
{
  double share = (double)part / (double)whole;

  if (part >= whole)
    return TRUE;
  return (guint64)((double)(i + 1) * share + 1e-6) > (guint64)((double)i * share + 1e-6);
}

static void
append_slice (DerateBreakerCounts *counts, const DerateBreakerSlice *slice)
{
  const DerateBreakerSums *sums = &slice->sums;
  guint64 skipped = sums->calls > counts->size ? sums->calls - counts->size : 0;

  for (guint64 i = skipped; i < sums->calls; i++)
    derate_breaker_counts_add (counts, is_spread (i, sums->failures, sums->calls),
                               is_spread (i, sums->slow, sums->calls), slice->start);
}

DerateBreakerCounts *
derate_breaker_counts_from_slices (DerateBreakerSlices *slices, guint size)
{
  DerateBreakerCounts *counts = derate_breaker_counts_new (size);

  for (guint i = 0; i < slices->n; i++)
    append_slice (counts, nth_slice (slices, i));
  g_free (slices);
  return counts;
}
