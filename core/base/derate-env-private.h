/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Variables of the environment (semantics §13). A variable that is unset or empty gives @fallback;
 * one that does not parse is DERATE_ERROR_INVALID_CONFIG, names the variable and leaves @value
 * alone. */

/* true, false, 1, 0, yes, no, on, off, in any case. */
gboolean derate_env_get_boolean (const char *name,
                                 gboolean    fallback,
                                 gboolean   *value,
                                 GError    **error);

/* A decimal number, with a dot whatever the locale, from @minimum to @maximum. */
gboolean derate_env_get_number (const char *name,
                                double      fallback,
                                double      minimum,
                                double      maximum,
                                double     *value,
                                GError    **error);

G_END_DECLS
