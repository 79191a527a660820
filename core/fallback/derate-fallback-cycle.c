/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-fallback-cycle.h"

#include "derate-error.h"

typedef struct
{
  const DerateFallbackEdge *edges;
  gsize n_edges;
  GHashTable *cleared; /* services from which no cycle can be reached */
  GPtrArray *path; /* services on the way from where the search began */
} Search;

/* The cycle that closes at @service, as text. */
static char *
describe_cycle (const Search *search, guint start, const char *service)
{
  g_autoptr (GString) text = g_string_new (NULL);

  for (guint i = start; i < search->path->len; i++)
    g_string_append_printf (text, "%s → ", (const char *)g_ptr_array_index (search->path, i));
  g_string_append (text, service);
  return g_string_free (g_steal_pointer (&text), FALSE);
}

static gboolean
is_on_path (const Search *search, const char *service, guint *index)
{
  return g_ptr_array_find_with_equal_func (search->path, service, g_str_equal, index);
}

/* Depth first; as deep as there are services in a row. */
static char *
find_cycle (Search *search, const char *service)
{
  guint index;

  if (g_hash_table_contains (search->cleared, service))
    return NULL;
  if (is_on_path (search, service, &index))
    return describe_cycle (search, index, service);

  g_ptr_array_add (search->path, (gpointer)service);
  for (gsize i = 0; i < search->n_edges; i++)
    {
      const DerateFallbackEdge *edge = &search->edges[i];
      char *cycle = NULL;

      if (edge->runs_fallback && g_str_equal (edge->from, service))
        cycle = find_cycle (search, edge->to);
      if (cycle != NULL)
        return cycle;
    }
  g_ptr_array_set_size (search->path, (gint)search->path->len - 1);
  g_hash_table_add (search->cleared, (gpointer)service);
  return NULL;
}

/**
 * derate_fallback_check_cycles: (skip)
 * @edges: (array length=n_edges): which fallback asks which service
 * @n_edges: how many
 * @error: where to put the error
 *
 * Refuses fallbacks that would run in a circle for ever. Only an edge that runs the other service's
 * fallback counts: a database and a cache may each ask the other bare. May be called from any
 * thread.
 *
 * Returns: %FALSE with %DERATE_ERROR_INVALID_CONFIG, which names the services of the circle
 *
 * Since: 1.0
 */
gboolean
derate_fallback_check_cycles (const DerateFallbackEdge *edges, gsize n_edges, GError **error)
{
  g_autoptr (GHashTable) cleared = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GPtrArray) path = g_ptr_array_new ();
  Search search = { edges, n_edges, cleared, path };

  for (gsize i = 0; i < n_edges; i++)
    {
      g_autofree char *cycle = find_cycle (&search, edges[i].from);

      if (cycle == NULL)
        continue;
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG,
                   "the fallbacks of these services run in a circle: %s", cycle);
      return FALSE;
    }
  return TRUE;
}
