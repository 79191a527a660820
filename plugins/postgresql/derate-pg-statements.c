/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-pg-statements-private.h"

#include <string.h>

/* A longer text has its values in it, and will not come again. */
#define MAX_LENGTH 16384

struct _DeratePgStatements
{
  guint size;
  guint64 n_named;
  GHashTable *table; /* of statements, which are their own keys */
  GQueue recent; /* of statements, the last used first */
  GQueue evicted; /* of names */
};

static guint
hash_statement (gconstpointer key)
{
  return ((const DeratePgStatement *)key)->hash;
}

static gboolean
same_statement (gconstpointer a, gconstpointer b)
{
  const DeratePgStatement *one = a;
  const DeratePgStatement *other = b;

  return one->hash == other->hash && one->n_types == other->n_types &&
         memcmp (one->types, other->types, (gsize)one->n_types * sizeof (Oid)) == 0 &&
         strcmp (one->sql, other->sql) == 0;
}

DeratePgStatements *
derate_pg_statements_new (guint size)
{
  DeratePgStatements *self = g_new0 (DeratePgStatements, 1);

  self->size = size;
  self->table = g_hash_table_new (hash_statement, same_statement);
  g_queue_init (&self->recent);
  g_queue_init (&self->evicted);
  return self;
}

void
derate_pg_statements_free (DeratePgStatements *self)
{
  derate_pg_statements_forget_all (self);
  g_hash_table_unref (self->table);
  g_free (self);
}

void
derate_pg_statement_unref (DeratePgStatement *statement)
{
  if (--statement->n_refs == 0)
    g_free (statement);
}

/* What the planner works on; the others only cost a second name. */
static gboolean
is_worth_it (const char *sql)
{
  static const char *const words[] = { "select", "insert", "update", "delete",
                                       "with",   "values", "merge" };

  while (g_ascii_isspace (*sql) || *sql == '(')
    sql++;
  for (guint i = 0; i < G_N_ELEMENTS (words); i++)
    if (g_ascii_strncasecmp (sql, words[i], strlen (words[i])) == 0)
      return TRUE;
  return FALSE;
}

static DeratePgStatement *
statement_new (const DeratePgStatement *like)
{
  gsize types = (gsize)like->n_types * sizeof (Oid);
  gsize length = strlen (like->sql) + 1;
  DeratePgStatement *statement = g_malloc0 (sizeof *statement + types + length);
  char *tail = (char *)(statement + 1);

  statement->n_refs = 1;
  statement->hash = like->hash;
  statement->n_types = like->n_types;
  statement->is_kept = TRUE;
  statement->link.data = statement;
  statement->types = memcpy (tail, like->types, types);
  statement->sql = memcpy (tail + types, like->sql, length);
  return statement;
}

void
derate_pg_statements_evict (DeratePgStatements *self, DeratePgStatement *statement)
{
  if (statement->state != DERATE_PG_STATEMENT_SEEN)
    g_queue_push_tail (&self->evicted, g_strdup (statement->name));
  derate_pg_statements_forget (self, statement);
}

/* What is asked many times in a row is found without a look into the table. */
static gboolean
is_last_used (DeratePgStatements *self, const DeratePgStatement *key)
{
  const DeratePgStatement *last = self->recent.head != NULL ? self->recent.head->data : NULL;

  return last != NULL && last->n_types == key->n_types &&
         memcmp (last->types, key->types, (gsize)key->n_types * sizeof (Oid)) == 0 &&
         strcmp (last->sql, key->sql) == 0;
}

static DeratePgStatement *
look_up (DeratePgStatements *self, DeratePgStatement *key)
{
  DeratePgStatement *found;

  key->hash = g_str_hash (key->sql);
  for (int i = 0; i < key->n_types; i++)
    key->hash = key->hash * 33 + key->types[i];
  found = g_hash_table_lookup (self->table, key);
  if (found != NULL)
    {
      g_queue_unlink (&self->recent, &found->link);
      g_queue_push_head_link (&self->recent, &found->link);
    }
  return found;
}

static DeratePgStatement *
add (DeratePgStatements *self, const DeratePgStatement *key)
{
  DeratePgStatement *statement;

  if (!is_worth_it (key->sql) || strlen (key->sql) > MAX_LENGTH)
    return NULL;
  if (self->recent.length >= self->size)
    derate_pg_statements_evict (self, self->recent.tail->data);
  statement = statement_new (key);
  g_hash_table_add (self->table, statement);
  g_queue_push_head_link (&self->recent, &statement->link);
  return statement;
}

DeratePgStatement *
derate_pg_statements_find (DeratePgStatements *self,
                           const char *sql,
                           const DeratePgParameters *parameters)
{
  static const Oid none;
  DeratePgStatement key = { .sql = sql, .types = &none, .n_types = parameters->n };
  DeratePgStatement *found;

  if (parameters->n > 0)
    key.types = parameters->types;
  found = is_last_used (self, &key) ? self->recent.head->data : look_up (self, &key);
  if (found == NULL)
    found = add (self, &key);
  if (found == NULL)
    return NULL;
  found->n_seen++;
  found->n_refs++;
  return found;
}

void
derate_pg_statements_name (DeratePgStatements *self, DeratePgStatement *statement)
{
  g_snprintf (statement->name, sizeof statement->name, "derate%" G_GUINT64_FORMAT, ++self->n_named);
}

void
derate_pg_statements_forget (DeratePgStatements *self, DeratePgStatement *statement)
{
  if (!statement->is_kept)
    return;
  statement->is_kept = FALSE;
  statement->state = DERATE_PG_STATEMENT_SEEN;
  g_hash_table_remove (self->table, statement);
  g_queue_unlink (&self->recent, &statement->link);
  derate_pg_statement_unref (statement);
}

void
derate_pg_statements_forget_all (DeratePgStatements *self)
{
  while (self->recent.head != NULL)
    derate_pg_statements_forget (self, self->recent.head->data);
  g_queue_clear_full (&self->evicted, g_free);
}

char *
derate_pg_statements_pop_evicted (DeratePgStatements *self)
{
  return g_queue_pop_head (&self->evicted);
}
