/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A service that says when to come back is believed. */
#include <derate.h>

/* What an HTTP client got: 503 Service Unavailable with Retry-After: 120. */
static guint
post (GTimeSpan *retry_after)
{
  *retry_after = 120 * G_TIME_SPAN_SECOND;
  return 503;
}

static void
submit (DerateBreaker *breaker)
{
  g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;
  g_autoptr (GError) error = NULL;
  GTimeSpan retry_after = 0;

  if (!derate_breaker_acquire (breaker, &permit, &error))
    {
      g_print ("Retry-After: %" G_GINT64_FORMAT "\n",
               (derate_breaker_get_retry_after (breaker) + G_TIME_SPAN_SECOND - 1) /
                   G_TIME_SPAN_SECOND);
      return;
    }
  if (post (&retry_after) < 500)
    {
      derate_permit_succeed (&permit);
      return;
    }
  derate_permit_fail (&permit, NULL);
  g_print ("failed\n");
  if (retry_after > 0)
    derate_breaker_open_for (breaker, retry_after, NULL);
}

int
main (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreaker) breaker = derate_breaker_new_with_clock ("tax-office", NULL, clock);

  submit (breaker);
  submit (breaker);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 90 * G_TIME_SPAN_SECOND);
  submit (breaker);
  return 0;
}
