/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-breaker-machine-private.h"

/* A drill: a share of the calls is refused before anything else of the breaker is asked, in every
 * mode and state. What it refuses tells the breaker nothing, so after it the breaker is what the
 * calls that were let through made of it. Which calls are refused is no matter of luck: the n'th is
 * if the fractional part of n times the golden ratio is below the share. That keeps to the share
 * over any stretch of calls, and in no rhythm that a program's own calls could be in step with. */

#define WHOLE (G_GUINT64_CONSTANT (1) << 63) /* all calls, as a share */
#define GOLDEN_RATIO G_GUINT64_CONSTANT (0x9e3779b97f4a7c15) /* its fraction, of 2^64 */

/* All of it atomic; only `share` is set under the mutex. */
struct _DerateBreakerDrill
{
  guint64 share; /* 0 to WHOLE */
  guint64 turn;
  guint64 refusals;
};

void
derate_breaker_set_drill (DerateBreaker *breaker, double share)
{
  g_return_if_fail (DERATE_IS_BREAKER (breaker));
  g_return_if_fail (share >= 0 && share <= 1);

  g_mutex_lock (&breaker->mutex);
  if (breaker->drill == NULL && share > 0)
    __atomic_store_n (&breaker->drill, g_new0 (DerateBreakerDrill, 1), __ATOMIC_RELEASE);
  if (breaker->drill != NULL)
    __atomic_store_n (&breaker->drill->share, (guint64)(share * (double)WHOLE), __ATOMIC_RELAXED);
  breaker->drilled = share > 0;
  derate_breaker_publish_locked (breaker);
  derate_breaker_unlock (breaker);
}

guint64
derate_breaker_count_drilled (DerateBreaker *breaker)
{
  DerateBreakerDrill *drill = __atomic_load_n (&breaker->drill, __ATOMIC_ACQUIRE);

  return drill != NULL ? __atomic_load_n (&drill->refusals, __ATOMIC_RELAXED) : 0;
}

/* Whether the drill that the word told of refuses this call; from any thread. */
gboolean
derate_breaker_take_drill (DerateBreaker *self)
{
  DerateBreakerDrill *drill = __atomic_load_n (&self->drill, __ATOMIC_ACQUIRE);
  guint64 share = __atomic_load_n (&drill->share, __ATOMIC_RELAXED);
  guint64 turn = __atomic_add_fetch (&drill->turn, GOLDEN_RATIO, __ATOMIC_RELAXED);

  if (turn / 2 >= share)
    return FALSE;
  __atomic_add_fetch (&drill->refusals, 1, __ATOMIC_RELAXED);
  return TRUE;
}
