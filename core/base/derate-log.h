/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-visibility.h>
#include <glib-object.h>

G_BEGIN_DECLS

DERATE_AVAILABLE_IN_1_0
void derate_log_event (GLogLevelFlags log_level,
                       const char    *event,
                       const char    *component,
                       const char    *message,
                       ...) G_GNUC_NULL_TERMINATED;

G_END_DECLS
