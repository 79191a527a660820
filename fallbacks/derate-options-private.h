/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate.h>

G_BEGIN_DECLS

/* Options of a fallback: of the type they have in C, or text as a configuration file has it. Each
 * getter leaves @value alone where the option is not there; a wrong one is
 * DERATE_ERROR_INVALID_CONFIG and names service, strategy and option. */
typedef struct
{
  const char *service;
  const char *strategy;
  GVariant *values;
} DerateOptions;

/* Refuses an option that is not in @names. */
gboolean derate_options_check_names (const DerateOptions *options,
                                     const char *const   *names,
                                     GError             **error);

/* `30s`, or a whole number of microseconds. */
gboolean derate_options_get_time_span (const DerateOptions *options,
                                       const char          *name,
                                       GTimeSpan           *value,
                                       GError             **error);

gboolean derate_options_get_size (const DerateOptions *options,
                                  const char          *name,
                                  gsize               *value,
                                  GError             **error);

gboolean derate_options_get_text (const DerateOptions *options,
                                  const char          *name,
                                  char               **value,
                                  GError             **error);

/* Says what is wrong with an option; always FALSE. */
gboolean derate_options_refuse (const DerateOptions *options,
                                const char          *name,
                                const char          *why,
                                GError             **error);

G_END_DECLS
