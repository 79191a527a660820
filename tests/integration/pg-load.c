/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pg-load.h"

#include <string.h>

#define PAUSE_MS 2
#define PATIENCE (100 * S) /* with much data, with a sanitizer, on a machine with much to do */

static void start_one (PgLoad *load);

static gboolean
on_pause_over (gpointer data)
{
  start_one (data);
  return G_SOURCE_REMOVE;
}

static const char *
name_error (const GError *error)
{
  static const char *const names[] = {
    [DERATE_PG_ERROR_FAILED] = "FAILED",
    [DERATE_PG_ERROR_CONFIG] = "CONFIG",
    [DERATE_PG_ERROR_CONNECT_REFUSED] = "CONNECT_REFUSED",
    [DERATE_PG_ERROR_CONNECT_TIMEOUT] = "CONNECT_TIMEOUT",
    [DERATE_PG_ERROR_AUTH] = "AUTH",
    [DERATE_PG_ERROR_TOO_MANY_CONNECTIONS] = "TOO_MANY_CONNECTIONS",
    [DERATE_PG_ERROR_NOT_READY] = "NOT_READY",
    [DERATE_PG_ERROR_READ_ONLY] = "READ_ONLY",
    [DERATE_PG_ERROR_RESOURCES] = "RESOURCES",
    [DERATE_PG_ERROR_QUERY] = "QUERY",
    [DERATE_PG_ERROR_CLOSED] = "CLOSED",
    [DERATE_PG_ERROR_BUSY] = "BUSY",
    [DERATE_PG_ERROR_TIMED_OUT] = "TIMED_OUT",
    [DERATE_PG_ERROR_PARAMETER] = "PARAMETER",
    [DERATE_PG_ERROR_POOL_TIMEOUT] = "POOL_TIMEOUT",
    [DERATE_PG_ERROR_POOL_FULL] = "POOL_FULL",
    [DERATE_PG_ERROR_POOL_CLOSED] = "POOL_CLOSED",
    [DERATE_PG_ERROR_RELEASED] = "RELEASED",
  };

  if (error->domain != DERATE_PG_ERROR)
    return error->domain == G_RESOLVER_ERROR ? "no such name" : error->message;
  return names[error->code];
}

/* One call less under way, and the next. */
static void
end_one (PgLoad *load, GError *error)
{
  load->n_running--;
  if (error == NULL)
    load->n_answers++;
  else
    {
      const char *name = name_error (error);
      guint n = GPOINTER_TO_UINT (g_hash_table_lookup (load->told, name));

      if (n == 0)
        g_test_message ("%s: %s", name, error->message);
      g_hash_table_replace (load->told, g_strdup (name), GUINT_TO_POINTER (n + 1));
      g_error_free (error);
    }
  if (load->is_over)
    return;
  load->n_running++;
  g_timeout_add (PAUSE_MS, on_pause_over, load);
}

static void
on_answer (GObject *source, GAsyncResult *result, gpointer data)
{
  PgLoad *load = data;
  GError *error = NULL;
  DeratePgResult *rows = derate_pg_pool_query_finish (DERATE_PG_POOL (source), result, &error);

  g_clear_pointer (&rows, derate_pg_result_unref);
  end_one (load, error);
}

static void
start_one (PgLoad *load)
{
  if (load->is_over)
    load->n_running--;
  else
    /* A read would be asked once more where its session died. */
    derate_pg_pool_query_async (load->pool, WRITE, load->sql, load->parameters, NULL, on_answer,
                                load);
}

static void open_one (PgLoad *load);

static gboolean
on_open_again (gpointer data)
{
  open_one (data);
  return G_SOURCE_REMOVE;
}

/* Sessions outside the pool are looked at for what they cost the loop, not for what they say. */
static void
open_next (PgLoad *load)
{
  if (load->is_over)
    load->n_running--;
  else
    g_timeout_add (PAUSE_MS, on_open_again, load);
}

static void
on_bare_answer (GObject *source, GAsyncResult *result, gpointer data)
{
  DeratePgConnection *session = DERATE_PG_CONNECTION (source);
  DeratePgResult *rows = derate_pg_connection_query_finish (session, result, NULL);

  g_clear_pointer (&rows, derate_pg_result_unref);
  derate_pg_connection_close (session);
  open_next (data);
}

static void
on_opened (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (DeratePgConnection) session = derate_pg_connection_open_finish (result, NULL);
  PgLoad *load = data;

  if (session == NULL)
    {
      open_next (load);
      return;
    }
  derate_pg_connection_set_query_timeout (session, 400 * MS);
  derate_pg_connection_query_async (session, load->sql, NULL, NULL, on_bare_answer, load);
}

static void
open_one (PgLoad *load)
{
  derate_pg_connection_open_async (load->uri, NULL, NULL, on_opened, load);
}

void
pg_load_start (PgLoad *load, guint n_callers)
{
  load->told = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  load->n_running = n_callers + (load->uri != NULL ? 1 : 0);
  for (guint i = 0; i < n_callers; i++)
    start_one (load);
  if (load->uri != NULL)
    open_one (load);
}

guint
pg_load_count_errors (PgLoad *load)
{
  GHashTableIter iter;
  gpointer value;
  guint n = 0;

  g_hash_table_iter_init (&iter, load->told);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    n += GPOINTER_TO_UINT (value);
  return n;
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

char *
pg_load_stop (PgLoad *load)
{
  gint64 end = g_get_monotonic_time () + PATIENCE;
  GString *told = g_string_new (NULL);
  g_autofree const char **names = NULL;
  guint n_names = 0;

  load->is_over = TRUE;
  while (load->n_running > 0)
    {
      g_assert_cmpint (g_get_monotonic_time (), <, end);
      g_main_context_iteration (NULL, TRUE);
    }
  g_string_append_printf (told, "%u answers", load->n_answers);
  names = (const char **)g_hash_table_get_keys_as_array (load->told, &n_names);
  qsort (names, n_names, sizeof *names, compare_names);
  for (guint i = 0; i < n_names; i++)
    g_string_append_printf (told, ", %u %s",
                            GPOINTER_TO_UINT (g_hash_table_lookup (load->told, names[i])),
                            names[i]);
  g_clear_pointer (&load->told, g_hash_table_unref);
  return g_string_free (told, FALSE);
}
