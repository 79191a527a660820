/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-visibility.h>
#include <glib-object.h>

G_BEGIN_DECLS

DERATE_AVAILABLE_IN_1_0
gboolean derate_env_get_boolean (const char *name,
                                 gboolean    fallback,
                                 gboolean   *value,
                                 GError    **error);

DERATE_AVAILABLE_IN_1_0
gboolean derate_env_get_number (const char *name,
                                double      fallback,
                                double      minimum,
                                double      maximum,
                                double     *value,
                                GError    **error);

G_END_DECLS
