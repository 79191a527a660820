/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-backoff-private.h"

#include <math.h>

#include "derate-error.h"

gboolean
derate_backoff_check (const DerateBackoff *backoff, GError **error)
{
  const char *what = NULL;

  if (backoff->initial < 0)
    what = "the first delay is negative";
  else if (backoff->maximum < backoff->initial)
    what = "the longest delay is shorter than the first";
  else if (!(backoff->multiplier >= 1) || !isfinite (backoff->multiplier))
    what = "the multiplier is not a number of 1 or more";
  else if (!(backoff->jitter >= 0 && backoff->jitter <= 1))
    what = "the jitter is not between 0 and 1";
  if (what == NULL)
    return TRUE;
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_ARGUMENT, "backoff: %s", what);
  return FALSE;
}

/* pow () of a late retry is infinite, and 0 times that no number: neither is less than the maximum.
 */
GTimeSpan
derate_backoff_get_delay (const DerateBackoff *backoff, guint n, double chance)
{
  double delay = backoff->initial;

  g_return_val_if_fail (n > 0, 0);

  if (backoff->initial > 0)
    delay *= pow (backoff->multiplier, n - 1);
  if (!(delay < backoff->maximum))
    delay = backoff->maximum;
  delay *= 1 - backoff->jitter * (1 - chance);
  return MIN ((GTimeSpan)MIN (delay, 0x1p62), backoff->maximum);
}
