/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-visibility.h>
#include <glib-object.h>

G_BEGIN_DECLS

#define DERATE_TYPE_HISTOGRAM (derate_histogram_get_type ())

typedef struct _DerateHistogram DerateHistogram;

DERATE_AVAILABLE_IN_1_0
GType derate_histogram_get_type (void);

DERATE_AVAILABLE_IN_1_0
DerateHistogram *derate_histogram_new (const double *bounds,
                                       guint         n_bounds);

DERATE_AVAILABLE_IN_1_0
void derate_histogram_observe (DerateHistogram *histogram,
                               double           seconds);

DERATE_AVAILABLE_IN_1_0
void derate_histogram_observe_with_exemplar (DerateHistogram *histogram,
                                             double           seconds,
                                             const char      *label,
                                             const char      *value);

DERATE_AVAILABLE_IN_1_0
guint64 derate_histogram_get_count (DerateHistogram *histogram);

DERATE_AVAILABLE_IN_1_0
double derate_histogram_get_sum (DerateHistogram *histogram);

DERATE_AVAILABLE_IN_1_0
DerateHistogram *derate_histogram_with (DerateHistogram   *histogram,
                                        const char *const *label_values);

DERATE_AVAILABLE_IN_1_0
DerateHistogram *derate_histogram_ref (DerateHistogram *histogram);

DERATE_AVAILABLE_IN_1_0
void derate_histogram_unref (DerateHistogram *histogram);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateHistogram, derate_histogram_unref)

G_END_DECLS
