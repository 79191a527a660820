/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "agent-reply.h"

G_BEGIN_DECLS

/* The database did not do what it was asked: says whose fault that is, and what to do. */
void agent_refuse_read (SoupServerMessage *message,
                        const GError      *error);
void agent_refuse_write (SoupServerMessage *message,
                         const GError      *error);

G_END_DECLS
