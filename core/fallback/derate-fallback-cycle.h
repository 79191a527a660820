/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-visibility.h>
#include <glib-object.h>

G_BEGIN_DECLS

/**
 * DerateFallbackEdge:
 * @from: a service
 * @to: the service that its fallback asks
 * @runs_fallback: whether @to is asked together with its own fallback; %FALSE asks it bare
 *
 * That the fallback of one service asks another.
 *
 * Since: 1.0
 */
typedef struct
{
  const char *from;
  const char *to;
  gboolean runs_fallback;
} DerateFallbackEdge;

DERATE_AVAILABLE_IN_1_0
gboolean derate_fallback_check_cycles (const DerateFallbackEdge *edges,
                                       gsize                     n_edges,
                                       GError                  **error);

G_END_DECLS
