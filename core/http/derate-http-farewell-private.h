/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <libsoup/soup.h>

G_BEGIN_DECLS

/* Answers @status with {"error": @text} now, whatever of the request is still to come, and closes.
 * Not inside one of libsoup's own functions. */
void derate_http_say_farewell (SoupServerMessage *message,
                               guint              status,
                               const char        *text);

G_END_DECLS
