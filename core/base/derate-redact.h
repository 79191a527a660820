/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-visibility.h>
#include <glib-object.h>

G_BEGIN_DECLS

DERATE_AVAILABLE_IN_1_0
char *derate_redact (const char *text);

G_END_DECLS
