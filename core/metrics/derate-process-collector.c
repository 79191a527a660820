/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-process-collector.h"

#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "derate-version.h"

/* What the Prometheus clients tell of a process on Linux, by the same names. The files are those of
 * the kernel's memory: reading them waits for no disk. */

/* Fields of /proc/self/stat after the name of the program, which ends in the last parenthesis. */
enum
{
  STAT_UTIME = 11,
  STAT_STIME = 12,
  STAT_START_TIME = 19,
  STAT_VSIZE = 20,
  STAT_RSS = 21,
  N_STAT = 22,
};

/**
 * DerateProcessCollector:
 *
 * The standard `process_*` metrics of a Linux process, and `derate_build_info`.
 *
 * Since: 1.0
 */
struct _DerateProcessCollector
{
  GObject parent_instance;
};

/* The beginning of a file of the kernel's, as far as there is room for it. */
static gboolean
read_start (const char *path, char *text, gsize size)
{
  int fd = open (path, O_RDONLY | O_CLOEXEC);
  gssize n;

  if (fd < 0)
    return FALSE;
  n = read (fd, text, size - 1);
  close (fd);
  text[MAX (n, 0)] = '\0';
  return n > 0;
}

static gboolean
read_stat (double stat[N_STAT])
{
  char text[1024];
  const char *rest;

  if (!read_start ("/proc/self/stat", text, sizeof text))
    return FALSE;
  rest = strrchr (text, ')');
  for (guint i = 0; rest != NULL && i < N_STAT; i++)
    {
      rest = strchr (rest + 1, ' ');
      if (rest != NULL)
        stat[i] = g_ascii_strtod (rest + 1, NULL);
    }
  return rest != NULL;
}

/* When the machine was started, in seconds since 1970. Read once: the file is long. */
static gint64
read_boot_time (void)
{
  static gint64 boot_time; /* -1: unknown */
  gint64 known = __atomic_load_n (&boot_time, __ATOMIC_RELAXED);
  g_autofree char *text = NULL;
  const char *line;

  if (known != 0)
    return known;
  if (g_file_get_contents ("/proc/stat", &text, NULL, NULL) &&
      (line = strstr (text, "\nbtime ")) != NULL)
    known = g_ascii_strtoll (line + strlen ("\nbtime "), NULL, 10);
  else
    known = -1;
  __atomic_store_n (&boot_time, known, __ATOMIC_RELAXED);
  return known;
}

static guint
count_descriptors (void)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc/self/fd", 0, NULL);
  guint n = 0;

  if (dir == NULL)
    return 0;
  while (g_dir_read_name (dir) != NULL)
    n++;
  /* The one that reads the folder is gone by the time this is seen. */
  return n > 0 ? n - 1 : 0;
}

static double
get_limit (int resource)
{
  struct rlimit limit;

  return getrlimit (resource, &limit) == 0 ? (double)limit.rlim_cur : 0;
}

static void
write_one (DerateMetricsWriter *writer,
           const char *name,
           DerateMetricType type,
           const char *help,
           double value)
{
  derate_metrics_writer_begin_family (writer, name, type, help, NULL);
  derate_metrics_writer_sample (writer, NULL, value);
}

static void
write_stat (DerateMetricsWriter *writer)
{
  double ticks = (double)sysconf (_SC_CLK_TCK);
  gint64 boot_time = read_boot_time ();
  double stat[N_STAT];

  if (!read_stat (stat))
    return;
  write_one (writer, "process_cpu_seconds_total", DERATE_METRIC_TYPE_COUNTER,
             "Total user and system CPU time spent in seconds.",
             (stat[STAT_UTIME] + stat[STAT_STIME]) / ticks);
  write_one (writer, "process_virtual_memory_bytes", DERATE_METRIC_TYPE_GAUGE,
             "Virtual memory size in bytes.", stat[STAT_VSIZE]);
  write_one (writer, "process_resident_memory_bytes", DERATE_METRIC_TYPE_GAUGE,
             "Resident memory size in bytes.", stat[STAT_RSS] * (double)sysconf (_SC_PAGESIZE));
  if (boot_time > 0)
    write_one (writer, "process_start_time_seconds", DERATE_METRIC_TYPE_GAUGE,
               "Start time of the process since the Unix epoch in seconds.",
               (double)boot_time + stat[STAT_START_TIME] / ticks);
}

static void
derate_process_collector_collect (DerateMetricsCollector *collector, DerateMetricsWriter *writer)
{
  static const char *const labels[] = { "version", NULL };
  static const char *const values[] = { DERATE_VERSION, NULL };

  write_stat (writer);
  write_one (writer, "process_open_fds", DERATE_METRIC_TYPE_GAUGE,
             "Number of open file descriptors.", count_descriptors ());
  write_one (writer, "process_max_fds", DERATE_METRIC_TYPE_GAUGE,
             "Maximum number of open file descriptors.", get_limit (RLIMIT_NOFILE));
  write_one (writer, "process_virtual_memory_max_bytes", DERATE_METRIC_TYPE_GAUGE,
             "Maximum amount of virtual memory available in bytes.", get_limit (RLIMIT_AS));

  derate_metrics_writer_begin_family (writer, "derate_build_info", DERATE_METRIC_TYPE_GAUGE,
                                      "Always 1; the label says which Derate runs.", labels);
  derate_metrics_writer_sample (writer, values, 1);
}

static void
collector_iface_init (DerateMetricsCollectorInterface *iface)
{
  iface->collect = derate_process_collector_collect;
}

G_DEFINE_FINAL_TYPE_WITH_CODE (DerateProcessCollector,
                               derate_process_collector,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (DERATE_TYPE_METRICS_COLLECTOR,
                                                      collector_iface_init))

static void
derate_process_collector_class_init (DerateProcessCollectorClass *klass)
{
}

static void
derate_process_collector_init (DerateProcessCollector *collector)
{
}

/**
 * derate_process_collector_new:
 *
 * Makes a collector of what the kernel knows of this process.
 *
 * Returns: (transfer full): the collector
 *
 * Since: 1.0
 */
DerateMetricsCollector *
derate_process_collector_new (void)
{
  return g_object_new (DERATE_TYPE_PROCESS_COLLECTOR, NULL);
}
