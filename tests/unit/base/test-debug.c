/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-debug-private.h"

#include <derate.h>
#include <string.h>

#define NAME "DERATE_DEBUG"

static const struct
{
  const char *text;
  const char *refused; /* the word */
} words[] = {
  { NULL },
  { "" },
  { "breaker" },
  { "all" },
  { "help" },
  { "all,level" },
  { "Breaker:config;health level\tplugin" },
  { "brekaer", "brekaer" },
  { "health,1", "1" },
  { "level all-of-it", "all-of-it" },
};

static void
test_words (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (words); i++)
    {
      g_autoptr (GError) error = NULL;
      gboolean good;

      if (words[i].text != NULL)
        g_setenv (NAME, words[i].text, TRUE);
      else
        g_unsetenv (NAME);
      good = derate_debug_check_environment (&error);
      g_assert_cmpint (good, ==, words[i].refused == NULL);
      if (good)
        continue;
      g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
      g_assert_nonnull (strstr (error->message, NAME));
      g_assert_nonnull (strstr (error->message, words[i].refused));
    }
  g_unsetenv (NAME);
}

/* The variable is read once, so a process of its own shows each. */
static void
note_with (const char *text)
{
  if (!g_test_subprocess ())
    {
      g_test_trap_subprocess (NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
      g_test_trap_assert_passed ();
      return;
    }
  if (text != NULL)
    g_setenv (NAME, text, TRUE);
  g_assert_true (derate_debug_check_environment (NULL));
  g_log_set_always_fatal (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL);
  DERATE_NOTE (HEALTH, "service %s: down at redis://u:pw@h/0", "redis");
  DERATE_NOTE (LEVEL, "limited");
}

static void
test_off (void)
{
  note_with (NULL);
  if (!g_test_subprocess ())
    g_test_trap_assert_stderr_unmatched ("*redis*");
}

static void
test_on (void)
{
  note_with ("health,plugin");
  if (g_test_subprocess ())
    return;
  g_test_trap_assert_stderr ("*Derate-Message*health: service redis: down at redis://u:****@h/0*");
  g_test_trap_assert_stderr_unmatched ("*limited*");
}

static void
test_all (void)
{
  note_with ("all,health");
  if (g_test_subprocess ())
    return;
  g_test_trap_assert_stderr ("*level: limited*");
  g_test_trap_assert_stderr_unmatched ("*redis*");
}

static void
fail_call (DerateBreaker *breaker, GQuark domain, int code, const char *text)
{
  g_autoptr (GError) error = g_error_new_literal (domain, code, text);
  g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

  g_assert_true (derate_breaker_acquire (breaker, &permit, NULL));
  derate_permit_fail (&permit, error);
}

static void
test_failed_calls (void)
{
  g_autoptr (DerateBreaker) breaker = NULL;

  note_with ("breaker");
  if (!g_test_subprocess ())
    {
      g_test_trap_assert_stderr ("*breaker: db: a call failed, which counts: refused\n"
                                 "*breaker: db: a call failed, which does not count: given up\n*");
      return;
    }
  breaker = derate_breaker_new ("db", NULL);
  fail_call (breaker, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED, "refused");
  fail_call (breaker, G_IO_ERROR, G_IO_ERROR_CANCELLED, "given up");
}

static void
test_help (void)
{
  note_with ("help");
  if (!g_test_subprocess ())
    g_test_trap_assert_stderr ("*breaker*config*health*level*plugin*");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/debug/words", test_words);
  g_test_add_func ("/debug/off", test_off);
  g_test_add_func ("/debug/on", test_on);
  g_test_add_func ("/debug/all", test_all);
  g_test_add_func ("/debug/failed-calls", test_failed_calls);
  g_test_add_func ("/debug/help", test_help);
  return g_test_run ();
}
