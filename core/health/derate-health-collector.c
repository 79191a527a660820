/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-health-collector-private.h"

#include "derate-service-private.h"

/* What the services counted themselves, read when somebody asks; nothing is counted here. */
struct _DerateHealthCollector
{
  GObject parent_instance;
  DerateMonitor *monitor;
};

static void derate_health_collector_iface_init (DerateMetricsCollectorInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (DerateHealthCollector,
                               derate_health_collector,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (DERATE_TYPE_METRICS_COLLECTOR,
                                                      derate_health_collector_iface_init))

static const char *const label_names[] = { "service", NULL };

static void
write_status (DerateMetricsWriter *writer, GPtrArray *services)
{
  if (!derate_metrics_writer_begin_family (
          writer, "service_health_status", DERATE_METRIC_TYPE_GAUGE,
          "Status of a service: 0 unknown, 1 healthy, 2 degraded, 3 down.", label_names))
    return;
  for (guint i = 0; i < services->len; i++)
    {
      DerateService *service = g_ptr_array_index (services, i);
      const char *labels[] = { derate_service_get_name (service), NULL };

      derate_metrics_writer_sample (writer, labels, derate_service_get_status (service));
    }
}

static void
write_durations (DerateMetricsWriter *writer, GPtrArray *services)
{
  if (!derate_metrics_writer_begin_family (
          writer, "service_health_check_duration_seconds", DERATE_METRIC_TYPE_HISTOGRAM,
          "How long health checks took that had a result, timeouts included.", label_names))
    return;
  for (guint i = 0; i < services->len; i++)
    {
      DerateService *service = g_ptr_array_index (services, i);
      const char *labels[] = { derate_service_get_name (service), NULL };
      guint64 cumulative[DERATE_CHECK_DURATION_BOUNDS];
      DerateServiceCheckStats stats;
      guint64 sum = 0;

      derate_service_get_check_stats (service, &stats);
      for (guint b = 0; b < DERATE_CHECK_DURATION_BOUNDS; b++)
        cumulative[b] = sum += stats.buckets[b];
      derate_metrics_writer_histogram (writer, labels, derate_check_duration_bounds, cumulative,
                                       DERATE_CHECK_DURATION_BOUNDS, stats.sum, stats.count);
    }
}

static void
write_errors (DerateMetricsWriter *writer, GPtrArray *services)
{
  if (!derate_metrics_writer_begin_family (
          writer, "service_health_check_errors_total", DERATE_METRIC_TYPE_COUNTER,
          "Health checks that failed themselves and say nothing about the service.", label_names))
    return;
  for (guint i = 0; i < services->len; i++)
    {
      DerateService *service = g_ptr_array_index (services, i);
      const char *labels[] = { derate_service_get_name (service), NULL };

      derate_metrics_writer_sample (writer, labels, derate_service_get_check_errors (service));
    }
}

static void
derate_health_collector_collect (DerateMetricsCollector *base, DerateMetricsWriter *writer)
{
  DerateHealthCollector *collector = DERATE_HEALTH_COLLECTOR (base);
  g_autoptr (GPtrArray) services = derate_monitor_dup_services (collector->monitor);

  write_status (writer, services);
  write_durations (writer, services);
  write_errors (writer, services);
}

static void
derate_health_collector_iface_init (DerateMetricsCollectorInterface *iface)
{
  iface->collect = derate_health_collector_collect;
}

static void
derate_health_collector_finalize (GObject *object)
{
  g_clear_pointer (&DERATE_HEALTH_COLLECTOR (object)->monitor, derate_monitor_unref);
  G_OBJECT_CLASS (derate_health_collector_parent_class)->finalize (object);
}

static void
derate_health_collector_class_init (DerateHealthCollectorClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = derate_health_collector_finalize;
}

static void
derate_health_collector_init (DerateHealthCollector *collector)
{
}

DerateHealthCollector *
derate_health_collector_new (DerateMonitor *monitor)
{
  DerateHealthCollector *collector = g_object_new (DERATE_TYPE_HEALTH_COLLECTOR, NULL);

  collector->monitor = derate_monitor_ref (monitor);
  return collector;
}
