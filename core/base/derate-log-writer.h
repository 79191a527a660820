/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-visibility.h>
#include <glib-object.h>

G_BEGIN_DECLS

DERATE_AVAILABLE_IN_1_0
GLogWriterOutput derate_log_writer_json (GLogLevelFlags   log_level,
                                         const GLogField *fields,
                                         gsize            n_fields,
                                         gpointer         user_data);

G_END_DECLS
