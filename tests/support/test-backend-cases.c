/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test-backend-cases.h"

#include <string.h>

#define HEALTHY DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE
#define REFUSED DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_REFUSED

static TestBackend *backend;
static DerateHealthCheck *(*new_check) (void);
static const char *secret;

static void
test_fault (gconstpointer data)
{
  const TestBackendFault *fault = data;
  g_autoptr (DerateHealthCheck) check = new_check ();
  g_autofree char *message = NULL;

  g_test_message ("%s", fault->fault);
  test_backend_control (backend, fault->fault);
  message = test_check_expect (check, fault->status, fault->cause);
  g_assert_nonnull (strstr (message, fault->part));
  g_assert_null (strstr (message, secret));
  test_backend_control (backend, "{}");
  g_free (test_check_expect (check, HEALTHY));
}

static void
test_hangs (void)
{
  const char *const hanging[] = { "{\"silent\": true}", "{\"drip\": 0.05}", "{\"slow\": 60}" };
  g_autoptr (DerateHealthCheck) check = new_check ();

  for (guint i = 0; i < G_N_ELEMENTS (hanging); i++)
    {
      test_backend_control (backend, hanging[i]);
      test_check_hangs (check);
      test_check_hangs (check);
    }
  test_backend_control (backend, "{}");
  g_free (test_check_expect (check, HEALTHY));
}

static void
test_frozen (void)
{
  g_autoptr (DerateHealthCheck) kept = new_check ();
  g_autoptr (DerateHealthCheck) fresh = new_check ();

  g_free (test_check_expect (kept, HEALTHY));
  test_backend_freeze (backend);
  test_check_hangs (kept);
  test_check_hangs (fresh);
  test_backend_thaw (backend);
  g_free (test_check_expect (kept, HEALTHY));
}

static void
test_stopped (void)
{
  g_autoptr (DerateHealthCheck) check = new_check ();

  g_free (test_check_expect (check, HEALTHY));
  test_backend_stop (backend);
  g_free (test_check_expect (check, REFUSED));
  g_free (test_check_expect (check, REFUSED));
}

void
test_backend_add_cases (const char *prefix,
                        TestBackend *tested,
                        DerateHealthCheck *(*make_check) (void),
                        const char *hidden,
                        const TestBackendFault *faults,
                        guint n_faults)
{
  g_autofree char *hangs = g_strconcat (prefix, "/check/hangs", NULL);

  backend = tested;
  new_check = make_check;
  secret = hidden;
  for (guint i = 0; i < n_faults; i++)
    {
      g_autofree char *path = g_strdup_printf ("%s/check/fault/%u", prefix, i);

      g_test_add_data_func (path, &faults[i], test_fault);
    }
  g_test_add_func (hangs, test_hangs);
}

void
test_backend_add_ends (const char *prefix)
{
  g_autofree char *frozen = g_strconcat (prefix, "/check/frozen", NULL);
  g_autofree char *stopped = g_strconcat (prefix, "/gone/stopped", NULL);

  g_test_add_func (frozen, test_frozen);
  g_test_add_func (stopped, test_stopped);
}
