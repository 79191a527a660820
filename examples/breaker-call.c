/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The call handed over: the breaker asks, calls, and records how it ended. */
#include <derate.h>

static GVariant *
ask_price (GCancellable *cancellable, gpointer user_data, GError **error)
{
  if (g_str_equal (user_data, "tea"))
    return g_variant_new_double (9.5);
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED, "connection refused");
  return NULL;
}

static void
show_price (DerateBreaker *breaker, const char *item)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) price = NULL;

  price = derate_breaker_call (breaker, ask_price, (gpointer)item, NULL, &error);
  if (price != NULL)
    g_print ("%s costs %.2f\n", item, g_variant_get_double (price));
  else if (g_error_matches (error, DERATE_ERROR, DERATE_ERROR_OPEN))
    g_print ("%s: ask again in %.0f s\n", item, derate_breaker_get_retry_after (breaker) / 1e6);
  else
    g_print ("%s: %s\n", item, error->message);
}

int
main (void)
{
  g_autoptr (DerateBreakerConfig) config = derate_breaker_config_new ();
  g_autoptr (DerateBreaker) breaker = NULL;

  derate_breaker_config_set_failure_threshold (config, 2);
  derate_breaker_config_set_open_duration_jitter (config, 0);
  breaker = derate_breaker_new ("prices", config);
  show_price (breaker, "tea");
  show_price (breaker, "rum");
  show_price (breaker, "rum");
  show_price (breaker, "tea");
  return 0;
}
