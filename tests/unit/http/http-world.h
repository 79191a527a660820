/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-http.h>
#include <derate.h>
#include <json-glib/json-glib.h>
#include <libsoup/soup.h>

G_BEGIN_DECLS

/* A core on a manual clock, a server on 127.0.0.1, and a client, all in one context. */
typedef struct
{
  DerateClock *clock;
  DerateCore *core;
  SoupServer *server;
  SoupSession *session;
  char *base; /* http://127.0.0.1:PORT */
} World;

typedef struct
{
  guint status;
  char *type;
  char *allow;
  char *connection;
  char *encoding;
  char *vary;
  goffset length; /* the header Content-Length */
  char *body;
  gsize body_size;
  JsonNode *json; /* NULL where the body is none */
} Answer;

DerateCore *world_new_core (World *world, const char *name);

/* The core is made and neither started nor mounted. */
void world_set_up (World *world, gconstpointer data);

void world_tear_down (World *world, gconstpointer data);

void world_start (DerateCore *core);

void world_stop (DerateCore *core);

void world_fail_calls (DerateCore *core, const char *breaker, guint calls);

/* Ends at the answer; the test would stand still without one, and be ended by its runner. */
Answer *world_ask (World *world, const char *method, const char *path);

/* The same with headers: names and values in turn, ended by NULL. */
Answer *world_ask_with (World             *world,
                        const char        *method,
                        const char        *path,
                        const char *const *headers);

Answer *world_send (World *world, SoupMessage *message);

Answer *world_get (World *world, const char *path);

void answer_free (Answer *answer);

/* The keys of the object at @path ("services.redis"; "" is the whole), in order. */
char *answer_list_keys (Answer *answer, const char *path);

/* The value at @path as JSON; an element of an array is written by its number. */
char *answer_get (Answer *answer, const char *path);

#define assert_json(answer, path, expected)              \
  G_STMT_START                                           \
  {                                                      \
    g_autofree char *found_ = answer_get (answer, path); \
    g_assert_cmpstr (found_, ==, expected);              \
  }                                                      \
  G_STMT_END

#define assert_keys(answer, path, expected)                   \
  G_STMT_START                                                \
  {                                                           \
    g_autofree char *keys_ = answer_list_keys (answer, path); \
    g_assert_cmpstr (keys_, ==, expected);                    \
  }                                                           \
  G_STMT_END

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Answer, answer_free)

G_END_DECLS
