/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-visibility.h>
#include <glib-object.h>

G_BEGIN_DECLS

#define DERATE_TYPE_COUNTER (derate_counter_get_type ())

typedef struct _DerateCounter DerateCounter;

DERATE_AVAILABLE_IN_1_0
GType derate_counter_get_type (void);

DERATE_AVAILABLE_IN_1_0
DerateCounter *derate_counter_new (void);

DERATE_AVAILABLE_IN_1_0
void derate_counter_inc (DerateCounter *counter);

DERATE_AVAILABLE_IN_1_0
void derate_counter_add (DerateCounter *counter,
                         guint64        n);

DERATE_AVAILABLE_IN_1_0
void derate_counter_add_with_exemplar (DerateCounter *counter,
                                       guint64        n,
                                       const char    *label,
                                       const char    *value);

DERATE_AVAILABLE_IN_1_0
guint64 derate_counter_get_value (DerateCounter *counter);

DERATE_AVAILABLE_IN_1_0
DerateCounter *derate_counter_with (DerateCounter     *counter,
                                    const char *const *label_values);

DERATE_AVAILABLE_IN_1_0
DerateCounter *derate_counter_ref (DerateCounter *counter);

DERATE_AVAILABLE_IN_1_0
void derate_counter_unref (DerateCounter *counter);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateCounter, derate_counter_unref)

G_END_DECLS
