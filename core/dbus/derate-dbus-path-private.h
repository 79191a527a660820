/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* @prefix and @name as a path; bytes of the name outside [A-Za-z0-9] as _xx, an empty name as _. */
char *derate_dbus_path_new (const char *prefix,
                            const char *name);

G_END_DECLS
