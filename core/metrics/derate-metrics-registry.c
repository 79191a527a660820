/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-metrics-registry.h"

#include <string.h>

#include "derate-env.h"
#include "derate-error.h"
#include "derate-metric-family-private.h"
#include "derate-metrics-registry-private.h"
#include "derate-metrics-rendering-private.h"
#include "derate-metrics-text-private.h"
#include "derate-metrics-writer-private.h"
#include "derate-names-private.h"

/* Threads: the mutex guards every field but the renderer. A rendering takes copies of the lists,
 * unlocks and then asks: no collector runs under the lock. Counting never comes here. */

#define DROPPED_NAME "derate_metrics_dropped_total"
#define DROPPED_HELP "Look-ups that found a family full and went to its series _other."
#define ERRORS_NAME "derate_metrics_collector_errors_total"
#define ERRORS_HELP "Renderings that left a collector out, because it failed or took too long."

/**
 * DerateMetricsRegistry:
 *
 * All numbers of a program, for Prometheus.
 *
 * Counters, gauges and histograms are made here by name; a [iface@MetricsCollector] gives families
 * from what it knows. derate_metrics_registry_render() writes them all. All functions may be called
 * from any thread.
 *
 * Since: 1.0
 */
struct _DerateMetricsRegistry
{
  GObject parent_instance;

  GMutex mutex;
  char *prefix;
  char *breaker_label;
  gboolean enabled;
  GHashTable *by_base; /* name in OpenMetrics → DerateMetricFamily, borrowed from families */
  GPtrArray *families;
  GPtrArray *entries; /* (element-type DerateMetricsEntry) */
  DerateCounter *errors;
  DerateMetricsRenderer *renderer;
};

G_DEFINE_FINAL_TYPE (DerateMetricsRegistry, derate_metrics_registry, G_TYPE_OBJECT)

static void
derate_metrics_registry_finalize (GObject *object)
{
  DerateMetricsRegistry *registry = DERATE_METRICS_REGISTRY (object);

  g_free (registry->prefix);
  g_free (registry->breaker_label);
  derate_metrics_renderer_unref (registry->renderer);
  g_hash_table_unref (registry->by_base);
  g_ptr_array_unref (registry->families);
  g_ptr_array_unref (registry->entries);
  derate_counter_unref (registry->errors);
  g_mutex_clear (&registry->mutex);
  G_OBJECT_CLASS (derate_metrics_registry_parent_class)->finalize (object);
}

static void
derate_metrics_registry_class_init (DerateMetricsRegistryClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = derate_metrics_registry_finalize;
}

static void
write_dropped (DerateMetricsWriter *writer, GPtrArray *families)
{
  static const char *const labels[] = { "metric", NULL };

  derate_metrics_writer_begin_family (writer, DROPPED_NAME, DERATE_METRIC_TYPE_COUNTER,
                                      DROPPED_HELP, labels);
  for (guint i = 0; i < families->len; i++)
    {
      DerateMetricFamily *family = g_ptr_array_index (families, i);
      const char *const values[] = { family->name, NULL };

      if (family->n_labels > 0)
        derate_metrics_writer_sample (writer, values,
                                      (double)derate_metric_family_get_dropped (family));
    }
}

/* Called by the renderer, from any thread. Families live as long as the registry. */
static DerateMetricsWriter *
begin_rendering (gpointer owner, DerateMetricsFormat format, GPtrArray *entries)
{
  DerateMetricsRegistry *registry = owner;
  g_autoptr (GPtrArray) families = g_ptr_array_new ();
  DerateMetricsWriter *writer;

  g_mutex_lock (&registry->mutex);
  g_ptr_array_extend (families, registry->families, NULL, NULL);
  g_ptr_array_extend (entries, registry->entries, (GCopyFunc)derate_metrics_entry_ref, NULL);
  writer = derate_metrics_writer_new (&(DerateMetricsSettings){
      registry->prefix, registry->breaker_label, !registry->enabled, format });
  g_mutex_unlock (&registry->mutex);

  derate_metrics_writer_add_family (writer, registry->errors->series.family);
  for (guint i = 0; i < families->len; i++)
    derate_metrics_writer_add_family (writer, g_ptr_array_index (families, i));
  write_dropped (writer, families);
  return writer;
}

static void
derate_metrics_registry_init (DerateMetricsRegistry *registry)
{
  static const char *const labels[] = { "collector", NULL };
  DerateMetricFamily *errors =
      derate_metric_family_new (ERRORS_NAME, ERRORS_HELP, DERATE_METRIC_TYPE_COUNTER, labels, NULL,
                                0);

  g_mutex_init (&registry->mutex);
  registry->by_base = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  registry->families = g_ptr_array_new_with_free_func ((GDestroyNotify)derate_metric_family_unref);
  registry->entries = g_ptr_array_new_with_free_func ((GDestroyNotify)derate_metrics_entry_unref);
  registry->errors = (DerateCounter *)&errors->root;
  registry->renderer = derate_metrics_renderer_new (registry, begin_rendering);
  /* A value that does not parse is refused by name where a core is made. */
  if (!derate_env_get_boolean (DERATE_ENV_METRICS, TRUE, &registry->enabled, NULL))
    registry->enabled = TRUE;
}

/**
 * derate_metrics_registry_new:
 *
 * Makes an empty registry.
 *
 * Returns: (transfer full): the registry
 *
 * Since: 1.0
 */
DerateMetricsRegistry *
derate_metrics_registry_new (void)
{
  return g_object_new (DERATE_TYPE_METRICS_REGISTRY, NULL);
}

/* Gives @value to @field under the lock; what stood there is freed after it. */
static void
exchange_text (DerateMetricsRegistry *registry, char **field, const char *value)
{
  g_autofree char *text = g_strdup (value);
  char *old;

  g_mutex_lock (&registry->mutex);
  old = *field;
  *field = g_steal_pointer (&text);
  g_mutex_unlock (&registry->mutex);
  g_free (old);
}

/**
 * derate_metrics_registry_set_prefix:
 * @registry: a registry
 * @prefix: (nullable): such as `shop_`, or %NULL for none
 * @error: where to put the error
 *
 * Puts a prefix, as it stands, before the names of all families but `process_*`.
 *
 * Returns: %FALSE with %DERATE_ERROR_INVALID_METRIC where no name may begin with it
 *
 * Since: 1.0
 */
gboolean
derate_metrics_registry_set_prefix (DerateMetricsRegistry *registry,
                                    const char *prefix,
                                    GError **error)
{
  g_return_val_if_fail (DERATE_IS_METRICS_REGISTRY (registry), FALSE);

  if (prefix != NULL && *prefix != '\0' && !derate_metric_name_is_valid (prefix))
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_METRIC,
                   "metrics prefix “%s”: no name may begin so", prefix);
      return FALSE;
    }
  exchange_text (registry, &registry->prefix, prefix);
  return TRUE;
}

/**
 * derate_metrics_registry_set_breaker_label:
 * @registry: a registry
 * @label: (nullable): such as `service`, or %NULL for `name`
 * @error: where to put the error
 *
 * Shows the label `name` of the families `circuit_breaker_*` under another name.
 *
 * Returns: %FALSE with %DERATE_ERROR_INVALID_METRIC where it is not a label's name
 *
 * Since: 1.0
 */
gboolean
derate_metrics_registry_set_breaker_label (DerateMetricsRegistry *registry,
                                           const char *label,
                                           GError **error)
{
  g_return_val_if_fail (DERATE_IS_METRICS_REGISTRY (registry), FALSE);

  if (label != NULL && !derate_metric_label_is_valid (label))
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_METRIC,
                   "metrics label “%s” is not a name", label);
      return FALSE;
    }
  exchange_text (registry, &registry->breaker_label, label);
  return TRUE;
}

/**
 * derate_metrics_registry_set_enabled:
 * @registry: a registry
 * @enabled: whether more than `process_*` is written
 *
 * Says whether a rendering has more than the families `process_*`. A new registry is enabled,
 * unless the environment has `ENABLE_RESILIENCE_METRICS=false`.
 *
 * Since: 1.0
 */
void
derate_metrics_registry_set_enabled (DerateMetricsRegistry *registry, gboolean enabled)
{
  g_autoptr (GMutexLocker) locker = NULL;

  g_return_if_fail (DERATE_IS_METRICS_REGISTRY (registry));

  locker = g_mutex_locker_new (&registry->mutex);
  registry->enabled = enabled;
}

static gboolean
check_labels (const DerateMetricFamily *family, GError **error)
{
  for (guint i = 0; i < family->n_labels; i++)
    {
      const char *label = family->label_names[i];
      gboolean reserved = family->type == DERATE_METRIC_TYPE_HISTOGRAM && g_str_equal (label, "le");

      if (!reserved && derate_metric_label_is_valid (label) &&
          !g_strv_contains ((const char *const *)family->label_names + i + 1, label))
        continue;
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_METRIC,
                   "metric %s: “%s” is not the name of a label, or stands twice", family->name,
                   label);
      return FALSE;
    }
  return TRUE;
}

static DerateMetricType
look_up_type (gpointer data, const char *base)
{
  DerateMetricFamily *family = g_hash_table_lookup (((DerateMetricsRegistry *)data)->by_base, base);

  return family != NULL ? family->type : DERATE_METRIC_TYPE_UNKNOWN;
}

/* Called locked: the family that is there already, or @family itself once it is. */
static DerateMetricFamily *
enter_family (DerateMetricsRegistry *registry, DerateMetricFamily *family, GError **error)
{
  g_autoptr (GString) scratch = g_string_new (NULL);
  g_autofree char *base =
      g_strndup (family->name, derate_metrics_base_length (family->name, family->type));
  DerateMetricFamily *known = g_hash_table_lookup (registry->by_base, base);

  if (known != NULL && derate_metric_family_equal (known, family))
    return known;
  if (known != NULL ||
      derate_metrics_clashes (family->name, family->type, look_up_type, registry, scratch))
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_METRIC,
                   "metric %s: %s is there already, with another type, help, labels or bounds",
                   family->name, known != NULL ? known->name : scratch->str);
      return NULL;
    }
  g_ptr_array_add (registry->families, derate_metric_family_ref (family));
  g_hash_table_insert (registry->by_base, g_steal_pointer (&base), family);
  return family;
}

/* The handle of a new family, or of the same one that was added before. */
static DerateMetricSeries *
add_family (DerateMetricsRegistry *registry,
            const char *name,
            const char *help,
            DerateMetricType type,
            const char *const *label_names,
            const double *bounds,
            guint n_bounds,
            GError **error)
{
  g_autoptr (DerateMetricFamily) family = NULL;
  DerateMetricFamily *entered;

  g_return_val_if_fail (DERATE_IS_METRICS_REGISTRY (registry), NULL);

  if (!derate_metric_name_is_valid (name))
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_METRIC,
                   "“%s” is not the name of a metric", name);
      return NULL;
    }
  if (!derate_metric_name_suits (name, type))
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_METRIC,
                   "metric %s: the name of a counter ends in _total", name);
      return NULL;
    }
  if (bounds != NULL && !derate_metric_bounds_are_valid (bounds, n_bounds))
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_METRIC,
                   "metric %s: bounds must be finite and rise", name);
      return NULL;
    }
  family = derate_metric_family_new (name, help, type, label_names, bounds, n_bounds);
  if (!check_labels (family, error))
    return NULL;

  g_mutex_lock (&registry->mutex);
  entered = enter_family (registry, family, error);
  if (entered != NULL)
    derate_metric_family_ref (entered);
  g_mutex_unlock (&registry->mutex);
  return entered != NULL ? &entered->root : NULL;
}

/**
 * derate_metrics_registry_add_counter:
 * @registry: a registry
 * @name: the name, ending in `_total`, without prefix
 * @help: what it counts, one line
 * @label_names: (array zero-terminated=1) (nullable): the names of its labels
 * @error: where to put the error
 *
 * Makes a counter, at 0. The same once more is the counter that is there.
 *
 * Returns: (transfer full): the counter; with labels, ask derate_counter_with() for its series.
 * %NULL with %DERATE_ERROR_INVALID_METRIC where a name breaks the rules of Prometheus or is taken
 * by another metric
 *
 * Since: 1.0
 */
DerateCounter *
derate_metrics_registry_add_counter (DerateMetricsRegistry *registry,
                                     const char *name,
                                     const char *help,
                                     const char *const *label_names,
                                     GError **error)
{
  return (DerateCounter *)add_family (registry, name, help, DERATE_METRIC_TYPE_COUNTER, label_names,
                                      NULL, 0, error);
}

/**
 * derate_metrics_registry_add_gauge:
 * @registry: a registry
 * @name: the name, without prefix
 * @help: what it shows, one line
 * @label_names: (array zero-terminated=1) (nullable): the names of its labels
 * @error: where to put the error
 *
 * Makes a gauge, at 0. The same once more is the gauge that is there.
 *
 * Returns: (transfer full): the gauge; with labels, ask derate_gauge_with() for its series. %NULL
 * with %DERATE_ERROR_INVALID_METRIC as for derate_metrics_registry_add_counter()
 *
 * Since: 1.0
 */
DerateGauge *
derate_metrics_registry_add_gauge (DerateMetricsRegistry *registry,
                                   const char *name,
                                   const char *help,
                                   const char *const *label_names,
                                   GError **error)
{
  return (DerateGauge *)add_family (registry, name, help, DERATE_METRIC_TYPE_GAUGE, label_names,
                                    NULL, 0, error);
}

/**
 * derate_metrics_registry_add_histogram:
 * @registry: a registry
 * @name: the name, ending in `_seconds`, without prefix
 * @help: what it measures, one line
 * @label_names: (array zero-terminated=1) (nullable): the names of its labels
 * @bounds: (array length=n_bounds) (nullable): rising finite bounds, or %NULL for 0.001 to 5
 * seconds
 * @n_bounds: how many bounds
 * @error: where to put the error
 *
 * Makes a histogram, at 0. The same once more is the histogram that is there.
 *
 * Returns: (transfer full): the histogram; with labels, ask derate_histogram_with() for its series.
 *   %NULL with %DERATE_ERROR_INVALID_METRIC as for derate_metrics_registry_add_counter(), or where
 * the bounds do not rise
 *
 * Since: 1.0
 */
DerateHistogram *
derate_metrics_registry_add_histogram (DerateMetricsRegistry *registry,
                                       const char *name,
                                       const char *help,
                                       const char *const *label_names,
                                       const double *bounds,
                                       guint n_bounds,
                                       GError **error)
{
  return (DerateHistogram *)add_family (registry, name, help, DERATE_METRIC_TYPE_HISTOGRAM,
                                        label_names, bounds, n_bounds, error);
}

/**
 * derate_metrics_registry_add_collector:
 * @registry: a registry
 * @collector: a collector
 *
 * Has a collector asked at each rendering from now on.
 *
 * Since: 1.0
 */
void
derate_metrics_registry_add_collector (DerateMetricsRegistry *registry,
                                       DerateMetricsCollector *collector)
{
  g_autoptr (GMutexLocker) locker = NULL;
  const char *values[] = { G_OBJECT_TYPE_NAME (collector), NULL };
  DerateCounter *errors;

  g_return_if_fail (DERATE_IS_METRICS_REGISTRY (registry));
  g_return_if_fail (DERATE_IS_METRICS_COLLECTOR (collector));

  errors = derate_counter_ref (derate_counter_with (registry->errors, values));
  locker = g_mutex_locker_new (&registry->mutex);
  g_ptr_array_add (registry->entries, derate_metrics_entry_new (collector, errors));
}

/* Called locked. */
static DerateMetricsEntry *
steal_entry (DerateMetricsRegistry *registry, DerateMetricsCollector *collector)
{
  for (guint i = 0; i < registry->entries->len; i++)
    if (((DerateMetricsEntry *)g_ptr_array_index (registry->entries, i))->collector == collector)
      return g_ptr_array_steal_index (registry->entries, i);
  return NULL;
}

/**
 * derate_metrics_registry_remove_collector:
 * @registry: a registry
 * @collector: a collector
 *
 * Has a collector asked no more. A rendering that is under way may still ask it, and keeps it
 * until then; a collector may remove itself.
 *
 * Since: 1.0
 */
void
derate_metrics_registry_remove_collector (DerateMetricsRegistry *registry,
                                          DerateMetricsCollector *collector)
{
  DerateMetricsEntry *entry;

  g_return_if_fail (DERATE_IS_METRICS_REGISTRY (registry));

  /* The last reference may be this one, and is dropped outside the lock. */
  g_mutex_lock (&registry->mutex);
  entry = steal_entry (registry, collector);
  g_mutex_unlock (&registry->mutex);
  g_clear_pointer (&entry, derate_metrics_entry_unref);
}

void
derate_metrics_registry_set_limits (DerateMetricsRegistry *registry,
                                    GTimeSpan deadline,
                                    GTimeSpan patience)
{
  derate_metrics_renderer_set_limits (registry->renderer, deadline, patience);
}

/**
 * derate_metrics_registry_render_as:
 * @registry: a registry
 * @format: how to write it
 *
 * Writes all families, in the order of their names.
 *
 * Collectors are asked in a thread of the library's, and this one waits. One that fails or takes
 * longer than a second is left out, with its families alone, and is not asked again while it still
 * has not come back: what it said last time is not shown as if it were new.
 * `derate_metrics_collector_errors_total` says how often. In a thread with a loop, use
 * derate_metrics_registry_render_async(). May be called from any thread.
 *
 * Returns: (transfer full): the text, UTF-8
 *
 * Since: 1.0
 */
GBytes *
derate_metrics_registry_render_as (DerateMetricsRegistry *registry, DerateMetricsFormat format)
{
  g_autoptr (DerateMetricsRegistry) kept = NULL;

  g_return_val_if_fail (DERATE_IS_METRICS_REGISTRY (registry), NULL);

  /* A collector that was given up may ask for a rendering, too, and outlive the registry. */
  kept = g_object_ref (registry);
  return derate_metrics_renderer_render (registry->renderer, format);
}

/**
 * derate_metrics_registry_render:
 * @registry: a registry
 *
 * Writes all families in the text format of Prometheus, version 0.0.4; see
 * derate_metrics_registry_render_as(). May be called from any thread.
 *
 * Returns: (transfer full): the text
 *
 * Since: 1.0
 */
char *
derate_metrics_registry_render (DerateMetricsRegistry *registry)
{
  g_autoptr (GBytes) bytes = NULL;
  gconstpointer data;
  gsize size;

  g_return_val_if_fail (DERATE_IS_METRICS_REGISTRY (registry), NULL);

  bytes = derate_metrics_registry_render_as (registry, DERATE_METRICS_FORMAT_TEXT);
  data = g_bytes_get_data (bytes, &size);
  return g_strndup (data != NULL ? data : "", size);
}

/**
 * derate_metrics_registry_render_async:
 * @registry: a registry
 * @format: how to write it
 * @cancellable: (nullable): to cancel; the answer says so, but is not sooner there for it
 * @callback: (scope async): what to call
 * @user_data: data for @callback
 *
 * Writes all families as derate_metrics_registry_render_as() does, without waiting. Several who ask
 * for the same format while another rendering goes on get the next one together. May be called from
 * any thread; @callback is called in the thread-default context of the caller.
 *
 * Since: 1.0
 */
void
derate_metrics_registry_render_async (DerateMetricsRegistry *registry,
                                      DerateMetricsFormat format,
                                      GCancellable *cancellable,
                                      GAsyncReadyCallback callback,
                                      gpointer user_data)
{
  GTask *task;

  g_return_if_fail (DERATE_IS_METRICS_REGISTRY (registry));

  task = g_task_new (registry, cancellable, callback, user_data);
  g_task_set_source_tag (task, derate_metrics_registry_render_async);
  derate_metrics_renderer_start (registry->renderer, format, task);
}

/**
 * derate_metrics_registry_render_finish:
 * @registry: a registry
 * @result: what the callback was given
 * @error: where to put the error
 *
 * Ends derate_metrics_registry_render_async().
 *
 * Returns: (transfer full): the text, UTF-8; %NULL only with %G_IO_ERROR_CANCELLED
 *
 * Since: 1.0
 */
GBytes *
derate_metrics_registry_render_finish (DerateMetricsRegistry *registry,
                                       GAsyncResult *result,
                                       GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, registry), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}
