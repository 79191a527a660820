/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "pg-world.h"

G_BEGIN_DECLS

/* Callers that ask again and again, all in the default context, and note what they are told. */
typedef struct
{
  DeratePgPool *pool;
  const char *uri;      /* a caller without a pool opens sessions there; NULL: there is none */
  const char *sql;
  GVariant *parameters; /* NULL: none */
  guint n_running;
  gboolean is_over;
  guint n_answers;
  GHashTable *told;     /* what else they were told → how often */
} PgLoad;

void pg_load_start (PgLoad *load,
                    guint   n_callers);

/* How many were told an error. */
guint pg_load_count_errors (PgLoad *load);

/* Waits for the last answers, which must come in time. What was told: “12 answers, 3 CLOSED”. */
char *pg_load_stop (PgLoad *load);

G_END_DECLS
