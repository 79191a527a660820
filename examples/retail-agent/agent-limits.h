/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <libsoup/soup.h>

G_BEGIN_DECLS

/* No endpoint asks for more than a line or two. */
#define AGENT_BODY_MAX (64 * 1024)

/* Answers 413 to every request with a longer body, and keeps none of it. */
void agent_limits_add (SoupServer *server);

G_END_DECLS
