/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* The one writer of numbers, independent of the locale, with the shortest digits that read back. */

/* As JSON has it: 1, 0.1, 1e+300; `null` for what is not finite. */
void derate_number_append_json (GString *out,
                                double   value);

/* As Prometheus samples have it: 1, 0.1, NaN, +Inf, -Inf. */
void derate_number_append_sample (GString *out,
                                  double   value);

/* All digits of a count. */
void derate_number_append_uint64 (GString *out,
                                  guint64  value);

/* As a `le` or `quantile` label has it, canonical: 1.0, 1e-05, 1e+06, 100000.0, +Inf. */
void derate_number_append_le (GString *out,
                              double   value);

G_END_DECLS
