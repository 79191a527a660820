/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-visibility.h>
#include <glib-object.h>

G_BEGIN_DECLS

DERATE_AVAILABLE_IN_1_0
char *derate_json_from_variant (GVariant *value);

DERATE_AVAILABLE_IN_1_0
gboolean derate_json_is_shallow (const char *text);

G_END_DECLS
