/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-metric-family-private.h"

#include <math.h>
#include <string.h>

#include "derate-metrics-text-private.h"

/* Threads: a series, once published with release, neither moves nor goes before its family does, so
 * looking one up and walking the list take no lock; a table that grew leaves the old one behind
 * until then. The mutex guards the adding of series. */

#define FIRST_TABLE_SIZE 8

typedef struct
{
  gsize mask;
  DerateMetricSeries *entries[];
} Table;

static const double default_bounds[] = {
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, INFINITY,
};

static const GTimeSpan default_spans[] = {
  1000,   2500,   5000,    10000,   25000,   50000,      100000,
  250000, 500000, 1000000, 2500000, 5000000, G_MAXINT64,
};
G_STATIC_ASSERT (G_N_ELEMENTS (default_spans) == G_N_ELEMENTS (default_bounds));

const GTimeSpan *
derate_metric_default_spans (void)
{
  return default_spans;
}

const double *
derate_metric_default_bounds (guint *n_bounds)
{
  *n_bounds = G_N_ELEMENTS (default_bounds) - 1;
  return default_bounds;
}

gboolean
derate_metric_bounds_are_valid (const double *bounds, guint n_bounds)
{
  for (guint i = 0; i < n_bounds; i++)
    if (!isfinite (bounds[i]) || (i > 0 && bounds[i] <= bounds[i - 1]))
      return FALSE;
  return n_bounds + 2 < DERATE_SHARD_PAGE_CELLS;
}

gboolean
derate_metric_name_is_valid (const char *name)
{
  if (name == NULL || *name == '\0' || g_ascii_isdigit (*name))
    return FALSE;
  for (const char *p = name; *p != '\0'; p++)
    if (!g_ascii_isalnum (*p) && *p != '_' && *p != ':')
      return FALSE;
  return TRUE;
}

gboolean
derate_metric_name_suits (const char *name, DerateMetricType type)
{
  return type != DERATE_METRIC_TYPE_COUNTER || g_str_has_suffix (name, "_total");
}

gboolean
derate_metric_label_is_valid (const char *label)
{
  return derate_metric_name_is_valid (label) && strchr (label, ':') == NULL &&
         !g_str_has_prefix (label, "__");
}

/* With infinity behind them, where a search ends. */
static double *
copy_bounds (const double *bounds, guint n_bounds)
{
  double *copy = g_new (double, n_bounds + 1);

  for (guint i = 0; i < n_bounds; i++)
    copy[i] = bounds[i];
  copy[n_bounds] = INFINITY;
  return copy;
}

/* Cells of one series: a counter's one, or a histogram's buckets with +Inf and its sum. */
static guint
count_cells (const DerateMetricFamily *family)
{
  switch (family->type)
    {
    case DERATE_METRIC_TYPE_COUNTER:
      return 1;
    case DERATE_METRIC_TYPE_HISTOGRAM:
      return family->n_bounds + 2;
    default:
      return 0;
    }
}

static void
init_series (DerateMetricSeries *series, DerateMetricFamily *family)
{
  guint n_cells = count_cells (family);

  series->family = family;
  series->is_series = TRUE;
  if (family->type == DERATE_METRIC_TYPE_HISTOGRAM)
    {
      series->bounds = family->bounds;
      series->n_bounds = (guint16)family->n_bounds;
    }
  series->slot = n_cells > 0 ? derate_shard_alloc (n_cells) : 0;
}

DerateMetricFamily *
derate_metric_family_new (const char *name,
                          const char *help,
                          DerateMetricType type,
                          const char *const *label_names,
                          const double *bounds,
                          guint n_bounds)
{
  DerateMetricFamily *family = g_atomic_rc_box_new0 (DerateMetricFamily);

  family->name = g_strdup (name);
  family->help = g_strdup (help != NULL ? help : "");
  family->type = type;
  family->label_names = g_strdupv ((char **)label_names);
  family->n_labels = label_names != NULL ? g_strv_length ((char **)label_names) : 0;
  if (type == DERATE_METRIC_TYPE_HISTOGRAM)
    {
      family->bounds = bounds != NULL ? copy_bounds (bounds, n_bounds)
                                      : derate_metric_default_bounds (&n_bounds);
      family->n_bounds = n_bounds;
    }
  g_mutex_init (&family->mutex);

  family->root.family = family;
  family->root.labels = "";
  family->root.values = "";
  if (family->n_labels == 0)
    {
      init_series (&family->root, family);
      family->first = &family->root;
    }
  return family;
}

static gboolean
names_equal (char **a, char **b)
{
  static char *none[] = { NULL };

  return g_strv_equal ((const char *const *)(a != NULL ? a : none),
                       (const char *const *)(b != NULL ? b : none));
}

gboolean
derate_metric_family_equal (const DerateMetricFamily *a, const DerateMetricFamily *b)
{
  return a->type == b->type && strcmp (a->help, b->help) == 0 &&
         names_equal (a->label_names, b->label_names) && a->n_bounds == b->n_bounds &&
         (a->n_bounds == 0 || memcmp (a->bounds, b->bounds, a->n_bounds * sizeof *a->bounds) == 0);
}

DerateMetricFamily *
derate_metric_family_ref (DerateMetricFamily *family)
{
  return g_atomic_rc_box_acquire (family);
}

static void
family_clear (gpointer data)
{
  DerateMetricFamily *family = data;
  guint n_cells = count_cells (family);
  DerateMetricSeries *series = family->first;

  while (series != NULL)
    {
      DerateMetricSeries *next = series->next;

      derate_shard_free (series->slot, n_cells);
      derate_exemplars_free (series->exemplars, n_cells);
      if (series != &family->root)
        g_free (series);
      series = next;
    }
  g_free (family->name);
  g_free (family->help);
  g_strfreev (family->label_names);
  if (family->bounds != default_bounds)
    g_free ((double *)family->bounds);
  g_free (family->table);
  g_clear_pointer (&family->old_tables, g_ptr_array_unref);
  g_mutex_clear (&family->mutex);
}

void
derate_metric_family_unref (DerateMetricFamily *family)
{
  g_atomic_rc_box_release_full (family, family_clear);
}

static guint64
mix (guint64 hash, guint64 word)
{
  hash = (hash ^ word) * G_GUINT64_CONSTANT (0x9e3779b97f4a7c15);
  return hash ^ (hash >> 32);
}

/* Eight bytes at a time; the length keeps ("ab", "c") and ("a", "bc") apart. */
static guint64
hash_values (const char *const *values, guint n)
{
  guint64 hash = 0;

  for (guint i = 0; i < n; i++)
    {
      const char *p = values[i];
      gsize left = strlen (p);
      guint64 word = 0;

      hash = mix (hash, left);
      for (; left >= sizeof word; left -= sizeof word, p += sizeof word)
        {
          memcpy (&word, p, sizeof word);
          hash = mix (hash, word);
        }
      word = 0;
      memcpy (&word, p, left);
      hash = mix (hash, word);
    }
  return hash;
}

static gboolean
has_values (const DerateMetricSeries *series, const char *const *values, guint n)
{
  const char *own = series->values;

  for (guint i = 0; i < n; i++)
    {
      if (strcmp (own, values[i]) != 0)
        return FALSE;
      own += strlen (own) + 1;
    }
  return TRUE;
}

static DerateMetricSeries *
find_series (DerateMetricFamily *family, const char *const *values, guint64 hash)
{
  Table *table = __atomic_load_n (&family->table, __ATOMIC_ACQUIRE);

  if (table == NULL)
    return NULL;
  for (gsize i = hash & table->mask;; i = (i + 1) & table->mask)
    {
      DerateMetricSeries *series = __atomic_load_n (&table->entries[i], __ATOMIC_ACQUIRE);

      if (series == NULL)
        return NULL;
      if (series->hash == hash && has_values (series, values, family->n_labels))
        return series;
    }
}

static void
enter_series (Table *table, DerateMetricSeries *series)
{
  gsize i = series->hash & table->mask;

  while (table->entries[i] != NULL)
    i = (i + 1) & table->mask;
  __atomic_store_n (&table->entries[i], series, __ATOMIC_RELEASE);
}

/* Called locked: room for one more with the table at most half full. */
static void
reserve_entry (DerateMetricFamily *family)
{
  Table *old = family->table;
  gsize size = old != NULL ? old->mask + 1 : FIRST_TABLE_SIZE;
  Table *table;

  if (old != NULL && (family->n_series + 1) * 2 <= size)
    return;
  if (old != NULL)
    size *= 2;
  table = g_malloc0 (sizeof *table + size * sizeof table->entries[0]);
  table->mask = size - 1;
  for (DerateMetricSeries *series = family->first; series != NULL; series = series->next)
    enter_series (table, series);
  __atomic_store_n (&family->table, table, __ATOMIC_RELEASE);

  if (old == NULL)
    return;
  if (family->old_tables == NULL)
    family->old_tables = g_ptr_array_new_with_free_func (g_free);
  g_ptr_array_add (family->old_tables, old);
}

/* The series, its values and its text in one piece of memory. */
static DerateMetricSeries *
new_series (DerateMetricFamily *family, const char *const *values, guint64 hash)
{
  g_autoptr (GString) labels = g_string_new (NULL);
  DerateMetricSeries *series;
  gsize values_size = 0;
  char *end;

  for (guint i = 0; i < family->n_labels; i++)
    {
      values_size += strlen (values[i]) + 1;
      derate_metrics_append_label (labels, family->label_names[i], values[i]);
    }

  series = g_malloc0 (sizeof *series + values_size + labels->len + 1);
  init_series (series, family);
  series->hash = hash;
  end = (char *)(series + 1);
  series->values = end;
  for (guint i = 0; i < family->n_labels; i++)
    end = g_stpcpy (end, values[i]) + 1;
  series->labels = end;
  memcpy (end, labels->str, labels->len + 1);
  return series;
}

/* Called locked. */
static DerateMetricSeries *
add_series (DerateMetricFamily *family, const char *const *values, guint64 hash)
{
  DerateMetricSeries *series = new_series (family, values, hash);

  reserve_entry (family);
  if (family->last != NULL)
    __atomic_store_n (&family->last->next, series, __ATOMIC_RELEASE);
  else
    __atomic_store_n (&family->first, series, __ATOMIC_RELEASE);
  family->last = series;
  family->n_series++;
  enter_series (family->table, series);
  return series;
}

/* Called locked: the one series for all that came too late. */
static DerateMetricSeries *
ensure_other (DerateMetricFamily *family)
{
  g_autofree const char **others = NULL;
  DerateMetricSeries *series;
  guint64 hash;

  if (family->other != NULL)
    return family->other;
  others = g_new (const char *, family->n_labels);
  for (guint i = 0; i < family->n_labels; i++)
    others[i] = DERATE_METRIC_OTHER;
  hash = hash_values (others, family->n_labels);
  series = find_series (family, others, hash);
  if (series == NULL)
    series = add_series (family, others, hash);
  __atomic_store_n (&family->other, series, __ATOMIC_RELEASE);
  return series;
}

DerateMetricSeries *
derate_metric_family_with (DerateMetricFamily *family, const char *const *values)
{
  guint64 hash = hash_values (values, family->n_labels);
  DerateMetricSeries *series = find_series (family, values, hash);
  g_autoptr (GMutexLocker) locker = NULL;

  if (G_LIKELY (series != NULL))
    return series;

  /* Once full, a family is never locked again. */
  series = __atomic_load_n (&family->other, __ATOMIC_ACQUIRE);
  if (series == NULL)
    {
      locker = g_mutex_locker_new (&family->mutex);
      series = find_series (family, values, hash);
      if (series != NULL)
        return series;
      if (family->n_series < DERATE_METRIC_SERIES_MAX)
        return add_series (family, values, hash);
      series = ensure_other (family);
    }
  __atomic_fetch_add (&family->n_dropped, 1, __ATOMIC_RELAXED);
  return series;
}

DerateMetricSeries *
derate_metric_family_first (DerateMetricFamily *family)
{
  return __atomic_load_n (&family->first, __ATOMIC_ACQUIRE);
}

DerateMetricSeries *
derate_metric_series_next (DerateMetricSeries *series)
{
  return __atomic_load_n (&series->next, __ATOMIC_ACQUIRE);
}

double
derate_metric_series_get_sum (const DerateMetricSeries *series)
{
  DerateShardSlot cell = series->slot + series->n_bounds + 1;

  if (series->counts_spans)
    return (double)(gint64)derate_shard_sum (cell) / G_USEC_PER_SEC;
  return derate_shard_sum_double (cell);
}

guint64
derate_metric_family_get_dropped (DerateMetricFamily *family)
{
  return __atomic_load_n (&family->n_dropped, __ATOMIC_RELAXED);
}
