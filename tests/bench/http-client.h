/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Asks a server on 127.0.0.1 for @path @n times over @n_connections at once, a new one for each
 * answer if it closes them. Ends the program where the server does. */
void http_client_run (guint16     port,
                      const char *path,
                      guint       n_connections,
                      guint64     n);
