/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-health-check.h"

/**
 * DerateHealthCheck:
 *
 * One way of asking a service whether it works. Plugins supply them.
 *
 * Since: 1.0
 */
G_DEFINE_INTERFACE (DerateHealthCheck, derate_health_check, G_TYPE_OBJECT)

static void
derate_health_check_default_init (DerateHealthCheckInterface *iface)
{
}

/**
 * derate_health_check_run_async:
 * @check: a health check
 * @cancellable: (nullable): ends the check early
 * @callback: (scope async): called once, in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * Starts a check. Never blocks.
 *
 * Since: 1.0
 */
void
derate_health_check_run_async (DerateHealthCheck *check,
                               GCancellable *cancellable,
                               GAsyncReadyCallback callback,
                               gpointer user_data)
{
  g_return_if_fail (DERATE_IS_HEALTH_CHECK (check));

  DERATE_HEALTH_CHECK_GET_IFACE (check)->run_async (check, cancellable, callback, user_data);
}

/**
 * derate_health_check_run_finish:
 * @check: a health check
 * @result: what the callback was given
 * @error: where to put the error
 *
 * Ends a check.
 *
 * Returns: (transfer full): what was found, or %NULL with the check's own failure, which says
 * nothing about the service
 *
 * Since: 1.0
 */
DerateHealthReport *
derate_health_check_run_finish (DerateHealthCheck *check, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (DERATE_IS_HEALTH_CHECK (check), NULL);

  return DERATE_HEALTH_CHECK_GET_IFACE (check)->run_finish (check, result, error);
}

/**
 * derate_health_check_get_threading:
 * @check: a health check
 *
 * Where the check may be started.
 *
 * Returns: the threading
 *
 * Since: 1.0
 */
DerateHealthCheckThreading
derate_health_check_get_threading (DerateHealthCheck *check)
{
  DerateHealthCheckInterface *iface = DERATE_HEALTH_CHECK_GET_IFACE (check);

  g_return_val_if_fail (DERATE_IS_HEALTH_CHECK (check), DERATE_HEALTH_CHECK_OWNER_CONTEXT);

  return iface->get_threading != NULL ? iface->get_threading (check)
                                      : DERATE_HEALTH_CHECK_OWNER_CONTEXT;
}
