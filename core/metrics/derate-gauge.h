/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-visibility.h>
#include <glib-object.h>

G_BEGIN_DECLS

#define DERATE_TYPE_GAUGE (derate_gauge_get_type ())

typedef struct _DerateGauge DerateGauge;

DERATE_AVAILABLE_IN_1_0
GType derate_gauge_get_type (void);

DERATE_AVAILABLE_IN_1_0
void derate_gauge_set (DerateGauge *gauge,
                       double       value);

DERATE_AVAILABLE_IN_1_0
void derate_gauge_add (DerateGauge *gauge,
                       double       value);

DERATE_AVAILABLE_IN_1_0
double derate_gauge_get_value (DerateGauge *gauge);

DERATE_AVAILABLE_IN_1_0
DerateGauge *derate_gauge_with (DerateGauge       *gauge,
                                const char *const *label_values);

DERATE_AVAILABLE_IN_1_0
DerateGauge *derate_gauge_ref (DerateGauge *gauge);

DERATE_AVAILABLE_IN_1_0
void derate_gauge_unref (DerateGauge *gauge);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateGauge, derate_gauge_unref)

G_END_DECLS
