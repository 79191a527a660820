/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-breaker-machine-private.h"
#include "derate-debug-private.h"

/* A permit of derate_breaker_begin (): counted, and it keeps its breaker. */
typedef struct
{
  DeratePermit permit;
  DerateBreaker *breaker;
} DerateSharedPermit;

G_DEFINE_BOXED_TYPE (DeratePermit, derate_permit, derate_permit_ref, derate_permit_unref)

static void
shared_permit_clear (gpointer data)
{
  DerateSharedPermit *shared = data;

  derate_permit_cancel (&shared->permit);
  g_object_unref (shared->breaker);
}

/**
 * derate_breaker_begin:
 * @breaker: a breaker
 * @error: return location for the refusal: %DERATE_ERROR_OPEN, %DERATE_ERROR_HALF_OPEN_FULL,
 *   %DERATE_ERROR_FORCED, %DERATE_ERROR_RAMPING or %DERATE_ERROR_DRILL
 *
 * Asks for the right to make one call, as derate_breaker_acquire() does, for language bindings and
 * for permits that several hands hold. May be called from any thread.
 *
 * Returns: (transfer full): the permit
 *
 * Since: 1.0
 */
DeratePermit *
derate_breaker_begin (DerateBreaker *breaker, GError **error)
{
  DeratePermit permit = DERATE_PERMIT_INIT;
  DerateSharedPermit *shared;
  DeratePermitData *data;

  g_return_val_if_fail (DERATE_IS_BREAKER (breaker), NULL);

  if (!derate_breaker_acquire (breaker, &permit, error))
    return NULL;
  shared = g_atomic_rc_box_new0 (DerateSharedPermit);
  shared->permit = permit;
  shared->breaker = g_object_ref (breaker);
  data = (DeratePermitData *)&shared->permit;
  data->word |= WORD_SHARED;
  return &shared->permit;
}

/**
 * derate_permit_ref:
 * @permit: a permit of derate_breaker_begin()
 *
 * Takes a reference. There is still one outcome.
 *
 * Returns: (transfer full): the same permit
 *
 * Since: 1.0
 */
DeratePermit *
derate_permit_ref (DeratePermit *permit)
{
  return (DeratePermit *)g_atomic_rc_box_acquire ((DerateSharedPermit *)permit);
}

/**
 * derate_permit_unref:
 * @permit: (transfer full): a permit of derate_breaker_begin()
 *
 * Drops a reference. With the last one a permit that was not ended is neutral.
 *
 * Since: 1.0
 */
void
derate_permit_unref (DeratePermit *permit)
{
  g_atomic_rc_box_release_full ((DerateSharedPermit *)permit, shared_permit_clear);
}

/* Ends a permit, once: a shared one may be ended by two threads. Gives the breaker that wants to
 * hear the outcome, and what the permit was. */
static DerateBreaker *
take (DeratePermitData *data, DeratePermitData *taken)
{
  *taken = (DeratePermitData){ .word = data->word, .start = data->start, .probe = data->probe };
  if (taken->word & WORD_SHARED)
    {
      taken->word &= ~WORD_SHARED;
      return __atomic_exchange_n (&data->breaker, NULL, __ATOMIC_ACQ_REL);
    }
  taken->breaker = data->breaker;
  *data = (DeratePermitData){ 0 };
  return taken->breaker;
}

G_NO_INLINE static void
end (DeratePermitData *data, DerateOutcome outcome)
{
  DeratePermitData taken;
  DerateBreaker *breaker = take (data, &taken);

  if (breaker != NULL)
    derate_breaker_record (breaker, &taken, outcome);
}

/* All but one more success of a breaker that is closed, quiet and does not measure. */
G_NO_INLINE static void
succeed_slowly (DeratePermitData *data)
{
  if (G_LIKELY ((data->word & (WORD_SHARED | WORD_UNCOUNTED)) == 0) && G_LIKELY (data->start != 0))
    derate_breaker_record_measured (data->breaker, data);
  else
    end (data, OUTCOME_SUCCESS);
}

/**
 * derate_permit_succeed:
 * @permit: a permit
 *
 * The call succeeded. Does nothing if the permit has ended.
 *
 * Since: 1.0
 */
void
derate_permit_succeed (DeratePermit *permit)
{
  DeratePermitData *data = (DeratePermitData *)permit;
  DerateBreaker *breaker = __atomic_load_n (&data->breaker, __ATOMIC_RELAXED);
  guint64 *cells;
  guint64 word;

  if (G_UNLIKELY (breaker == NULL))
    return;
  /* The breaker's word is never that of a shared permit. */
  word = __atomic_load_n (&breaker->word, __ATOMIC_RELAXED);
  if (G_LIKELY (word == data->word) && G_LIKELY ((word & WORD_SMOOTH) != 0))
    {
      cells = derate_shard_peek_cells (breaker->cells);
      if (G_LIKELY (cells != NULL))
        {
          data->breaker = NULL;
          derate_shard_bump (cells + CELL_SUCCESS, 1);
          return;
        }
    }
  succeed_slowly (data);
}

/**
 * derate_permit_fail:
 * @permit: a permit
 * @error: (nullable): what the call failed with
 *
 * The call failed. Whether @error is a failure of the service or neutral is for the breaker's
 * config to say; without one it is a failure. What the failure changes — the breaker opens, its
 * service is down, the level worsens — has happened when this returns. Does nothing if the permit
 * has ended.
 *
 * Since: 1.0
 */
void
derate_permit_fail (DeratePermit *permit, const GError *error)
{
  DeratePermitData taken;
  DerateBreaker *breaker = take ((DeratePermitData *)permit, &taken);

  DerateOutcome outcome;

  if (breaker == NULL)
    return;
  outcome = derate_breaker_judge (breaker, error);
  DERATE_NOTE (BREAKER, "%s: a call failed, which %s: %s", breaker->name,
               outcome == OUTCOME_FAILURE ? "counts" : "does not count",
               error != NULL ? error->message : "without a word why");
  derate_breaker_record (breaker, &taken, outcome);
}

/**
 * derate_permit_cancel:
 * @permit: a permit
 *
 * The call said nothing about the service: it was cancelled, or never made. Counts nothing and
 * frees the permit. Does nothing if the permit has ended.
 *
 * Since: 1.0
 */
void
derate_permit_cancel (DeratePermit *permit)
{
  end ((DeratePermitData *)permit, OUTCOME_NEUTRAL);
}
