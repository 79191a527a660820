/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A backend dies and heals; the breaker spares it, and you, the calls in between. */
#include <derate.h>

static gboolean
call_backend (guint second, GError **error)
{
  if (second >= 2 && second < 9)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED, "connection refused");
  return second < 2 || second >= 9;
}

static void
on_transition (DerateBreaker *breaker,
               DerateBreakerState from,
               DerateBreakerState to,
               const DerateBreakerCounters *counters,
               gpointer user_data)
{
  g_print ("     the breaker is %s\n", derate_breaker_state_to_nick (to));
}

static void
serve (DerateBreaker *breaker, guint second)
{
  g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;
  g_autoptr (GError) error = NULL;

  if (!derate_breaker_acquire (breaker, &permit, &error))
    g_print ("%2us  from the cache: %s\n", second, error->message);
  else if (call_backend (second, &error))
    {
      derate_permit_succeed (&permit);
      g_print ("%2us  from the backend\n", second);
    }
  else
    {
      g_print ("%2us  failed: %s\n", second, error->message);
      derate_permit_fail (&permit, error);
    }
}

int
main (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreakerConfig) config = derate_breaker_config_new ();
  g_autoptr (DerateBreaker) breaker = NULL;

  derate_breaker_config_set_open_duration (config, 2 * G_TIME_SPAN_SECOND);
  breaker = derate_breaker_new_with_clock ("backend", config, clock);
  derate_breaker_add_listener (breaker, on_transition, NULL, NULL);
  for (guint second = 0; second < 13; second++)
    {
      serve (breaker, second);
      derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), G_TIME_SPAN_SECOND);
    }
  return 0;
}
