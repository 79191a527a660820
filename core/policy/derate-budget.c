/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-budget-private.h"

#include <math.h>

#include "derate-error.h"

#define SLICE G_USEC_PER_SEC

void
derate_budget_init (DerateBudget *budget, DerateShardSlot calls, gint64 now)
{
  *budget = (DerateBudget){
    .calls = calls,
    .share = DERATE_BUDGET_SHARE,
    .reserve = DERATE_BUDGET_RESERVE,
    .slice = now / SLICE,
  };
  g_mutex_init (&budget->mutex);
}

void
derate_budget_clear (DerateBudget *budget)
{
  g_mutex_clear (&budget->mutex);
}

gboolean
derate_budget_set (DerateBudget *budget, double share, guint reserve, GError **error)
{
  if (!(share >= 0))
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_ARGUMENT,
                   "a budget is a share of the calls, not %g", share);
      return FALSE;
    }
  budget->share = share;
  budget->reserve = reserve;
  return TRUE;
}

/* Moves the window to @now, with the calls since it was last looked at. */
static void
move_window (DerateBudget *budget, gint64 now)
{
  gint64 slice = MAX (now / SLICE, budget->slice);
  guint64 n_slices = slice - budget->slice;
  guint64 sum = derate_shard_sum (budget->calls);
  guint64 calls = sum - budget->seen;
  guint64 n_new = MIN (n_slices, DERATE_BUDGET_SLICES);

  if (n_slices > n_new) /* the rest came before the window; rounded up, so that one is not none */
    calls = calls / n_slices * n_new + (calls % n_slices * n_new + n_slices - 1) / n_slices;
  for (guint64 i = n_new; i > 0; i--)
    {
      guint at = (slice - i + 1) % DERATE_BUDGET_SLICES;

      budget->calls_in[at] = calls / i;
      budget->extras_in[at] = 0;
      calls -= calls / i;
    }
  budget->calls_in[slice % DERATE_BUDGET_SLICES] += calls;
  budget->slice = slice;
  budget->seen = sum;
}

gboolean
derate_budget_take (DerateBudget *budget, gint64 now)
{
  guint64 calls = 0;
  guint64 extras = 1;
  gboolean granted;

  g_mutex_lock (&budget->mutex);
  move_window (budget, now);
  for (guint i = 0; i < DERATE_BUDGET_SLICES; i++)
    {
      calls += budget->calls_in[i];
      extras += budget->extras_in[i];
    }
  granted = isinf (budget->share) || extras <= budget->reserve || extras <= budget->share * calls;
  if (granted)
    {
      budget->extras_in[budget->slice % DERATE_BUDGET_SLICES]++;
      budget->taken++;
    }
  else
    budget->refused++;
  g_mutex_unlock (&budget->mutex);
  return granted;
}

void
derate_budget_read (DerateBudget *budget, guint64 *taken, guint64 *refused)
{
  g_mutex_lock (&budget->mutex);
  *taken = budget->taken;
  *refused = budget->refused;
  g_mutex_unlock (&budget->mutex);
}
