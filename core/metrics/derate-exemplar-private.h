/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* One value a bucket that was counted lately, and whose request it was: the way from a number to a
 * trace. A counter has one bucket. */
typedef struct _DerateExemplars DerateExemplars;

/* OpenMetrics allows the label of an exemplar so many characters, name and value together. */
#define DERATE_EXEMPLAR_MAX 128

/* Keeps a value that has been counted; @place holds NULL before the first. Nobody waits: where
 * another thread keeps one just now, this one is left out, and so is one whose label is too long.
 */
void derate_exemplars_keep (DerateExemplars **place,
                            guint             n_buckets,
                            guint             bucket,
                            double            value,
                            const char       *label,
                            const char       *text);

/* Appends ` # {label="text"} value time` for each bucket that has one, each ended by NUL, and says
 * where in @out each begins; -1 for none. Ask before the counts are read, so that no exemplar is
 * newer than its count. */
void derate_exemplars_append (DerateExemplars *const *place,
                              guint                   n_buckets,
                              GString                *out,
                              gssize                 *starts);

void derate_exemplars_free (DerateExemplars *exemplars,
                            guint            n_buckets);

G_END_DECLS
