/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate.h>

G_BEGIN_DECLS

/* What every check reads of its a{ss} of options. Values in error texts are redacted. */

/* Refuses an option that is not in @known, where an * stands for any end of a name. */
gboolean derate_check_options_validate (GVariant           *options,
                                        const char *const  *known,
                                        GError            **error);

/* NULL where the option is not there; the text lives as long as @options. */
const char *derate_check_options_get (GVariant   *options,
                                      const char *key);

gboolean derate_check_options_get_boolean (GVariant    *options,
                                           const char  *key,
                                           gboolean    *value,
                                           GError     **error);

/* The content of `password-file` without the line end, or NULL where the option is not there. */
gboolean derate_check_options_read_secret (GVariant    *options,
                                           char       **secret,
                                           GError     **error);

void derate_check_options_set_error (GError     **error,
                                     const char  *key,
                                     const char  *value,
                                     const char  *problem);

/* Overwrites the text before freeing it. */
void derate_check_secret_free (char *secret);

G_END_DECLS
