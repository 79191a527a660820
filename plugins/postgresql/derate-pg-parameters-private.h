/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>
#include <libpq-fe.h>

G_BEGIN_DECLS

/* The numbers (OID) of PostgreSQL's catalogue `pg_type` for the types that we know. */
typedef enum
{
  DERATE_PG_TYPE_UNKNOWN = 0, /* the server finds out */
  DERATE_PG_TYPE_BOOL = 16,
  DERATE_PG_TYPE_BYTEA = 17,
  DERATE_PG_TYPE_INT8 = 20,
  DERATE_PG_TYPE_INT2 = 21,
  DERATE_PG_TYPE_INT4 = 23,
  DERATE_PG_TYPE_FLOAT4 = 700,
  DERATE_PG_TYPE_FLOAT8 = 701,
} DeratePgType;

/* More than this takes too long to copy on a loop. */
#define DERATE_PG_BIG (1024 * 1024)
#define DERATE_PG_FEW 8

/* Parameters as libpq wants them; they point into the tuple, whose children are kept. On the stack,
 * and not to be copied. */
typedef struct
{
  int n;
  gboolean is_big; /* nothing else is filled in */
  Oid *types;
  const char **values;
  int *lengths;
  int *formats;
  guint64 *scratch;
  GVariant **kept;

  gpointer allocated;
  Oid few_types[DERATE_PG_FEW];
  const char *few_values[DERATE_PG_FEW];
  int few_lengths[DERATE_PG_FEW];
  int few_formats[DERATE_PG_FEW];
  guint64 few_scratch[DERATE_PG_FEW];
  GVariant *few_kept[DERATE_PG_FEW];
} DeratePgParameters;

/* A tuple of b y n q i u x t d s ay, each perhaps m or v; NULL for none. Anything else is
 * DERATE_PG_ERROR_PARAMETER, which names the position and the type, never the value. Unless
 * @takes_big, more than DERATE_PG_BIG bytes are left alone. */
gboolean derate_pg_parameters_init (DeratePgParameters *parameters,
                                    GVariant           *tuple,
                                    gboolean            takes_big,
                                    GError            **error);
void derate_pg_parameters_clear (DeratePgParameters *parameters);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (DeratePgParameters, derate_pg_parameters_clear)

G_END_DECLS
