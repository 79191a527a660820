/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-pg-parameters-private.h"

G_BEGIN_DECLS

/* The statements that a session has seen lately, and which of them it has prepared: one that comes
 * a second time is worth it. A statement is a text and the types of its parameters. The least used
 * goes first. Everything belongs to who has the session. */
typedef struct _DeratePgStatements DeratePgStatements;

typedef enum
{
  DERATE_PG_STATEMENT_SEEN,
  DERATE_PG_STATEMENT_PREPARING, /* sent in the pipeline that is under way */
  DERATE_PG_STATEMENT_PREPARED,
} DeratePgStatementState;

typedef struct
{
  DeratePgStatementState state;
  guint n_seen;
  char name[24];
  const char *sql;

  /*< private >*/
  guint n_refs;
  guint hash;
  int n_types;
  const Oid *types;
  gboolean is_kept; /* FALSE once forgotten */
  GList link;
} DeratePgStatement;

DeratePgStatements *derate_pg_statements_new (guint size);
void derate_pg_statements_free (DeratePgStatements *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DeratePgStatements, derate_pg_statements_free)

/* Counts that it was seen. NULL for what is not worth keeping; else a reference. */
DeratePgStatement *derate_pg_statements_find (DeratePgStatements       *self,
                                              const char               *sql,
                                              const DeratePgParameters *parameters);
void derate_pg_statement_unref (DeratePgStatement *statement);

/* Gives it a name that this session never had. */
void derate_pg_statements_name (DeratePgStatements *self,
                                DeratePgStatement  *statement);

/* The server's copy is gone, or of no use. */
void derate_pg_statements_forget (DeratePgStatements *self,
                                  DeratePgStatement  *statement);
void derate_pg_statements_forget_all (DeratePgStatements *self);

/* The server may have it, or not. */
void derate_pg_statements_evict (DeratePgStatements *self,
                                 DeratePgStatement  *statement);

/* The name of one that the server may let go of; NULL for none. */
char *derate_pg_statements_pop_evicted (DeratePgStatements *self);

G_END_DECLS
