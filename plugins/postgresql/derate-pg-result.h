/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-visibility.h>
#include <glib-object.h>

G_BEGIN_DECLS

#define DERATE_TYPE_PG_RESULT (derate_pg_result_get_type ())

typedef struct _DeratePgResult DeratePgResult;

DERATE_AVAILABLE_IN_1_0
GType derate_pg_result_get_type (void);

DERATE_AVAILABLE_IN_1_0
DeratePgResult *derate_pg_result_ref (DeratePgResult *result);

DERATE_AVAILABLE_IN_1_0
void derate_pg_result_unref (DeratePgResult *result);

DERATE_AVAILABLE_IN_1_0
guint derate_pg_result_get_n_rows (DeratePgResult *result);

DERATE_AVAILABLE_IN_1_0
guint derate_pg_result_get_n_columns (DeratePgResult *result);

DERATE_AVAILABLE_IN_1_0
const char *derate_pg_result_get_column_name (DeratePgResult *result,
                                              guint           column);

DERATE_AVAILABLE_IN_1_0
guint32 derate_pg_result_get_column_type (DeratePgResult *result,
                                          guint           column);

DERATE_AVAILABLE_IN_1_0
gboolean derate_pg_result_is_null (DeratePgResult *result,
                                   guint           row,
                                   guint           column);

DERATE_AVAILABLE_IN_1_0
const char *derate_pg_result_get_value (DeratePgResult *result,
                                        guint           row,
                                        guint           column);

DERATE_AVAILABLE_IN_1_0
GVariant *derate_pg_result_dup_value (DeratePgResult *result,
                                      guint           row,
                                      guint           column);

DERATE_AVAILABLE_IN_1_0
GVariant *derate_pg_result_dup_row (DeratePgResult *result,
                                    guint           row);

DERATE_AVAILABLE_IN_1_0
GVariant *derate_pg_result_to_variant (DeratePgResult *result);

struct pg_result;

DERATE_AVAILABLE_IN_1_0
struct pg_result *derate_pg_result_get_pg (DeratePgResult *result);

DERATE_AVAILABLE_IN_1_0
guint64 derate_pg_result_get_affected (DeratePgResult *result);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DeratePgResult, derate_pg_result_unref)

G_END_DECLS
