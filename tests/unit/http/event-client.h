/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "http-world.h"

G_BEGIN_DECLS

/* A client of /events that keeps its connection, in the context of the world. */
typedef struct
{
  GSocketConnection *connection;
  GString *text; /* what came, head and all */
  gsize seen; /* what of it was looked at */
  gboolean is_over; /* the server has closed */
  gboolean is_reading;
  char buffer[4096];
} EventClient;

EventClient *event_client_new (World *world, const char *path);

/* Goes on until @part has come behind what was looked at before; the test would stand still without
 * it, and be ended by its runner. */
void event_client_expect (EventClient *client, const char *part);

/* The next event of that name, as JSON. */
Answer *event_client_next (EventClient *client, const char *event);

void event_client_expect_end (EventClient *client);

void event_client_free (EventClient *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (EventClient, event_client_free)

G_END_DECLS
