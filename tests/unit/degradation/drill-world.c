/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "drill-world.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#define SERVICES                                                                                \
  "[service database]\nrole=database\n[service redis]\nrole=cache\n[service openai]\nrole=ai\n" \
  "[service s3]\nrole=storage\n[service search]\ncriticality=low\nbreaker=s3\n"

/* Where keep_log () writes; the tests drill from several threads. */
static GMutex log_mutex;
static DrillWorld *current;

static const char *
get_field (const GLogField *fields, gsize n, const char *key)
{
  for (gsize i = 0; i < n; i++)
    if (strcmp (fields[i].key, key) == 0)
      return fields[i].value;
  return "";
}

static GLogWriterOutput
keep_log (GLogLevelFlags level, const GLogField *fields, gsize n, gpointer unused)
{
  const char *event = get_field (fields, n, "EVENT");
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&log_mutex);

  if (current != NULL && g_str_has_prefix (event, "drill_"))
    g_string_append_printf (current->log, "%s %s %s\n", event, get_field (fields, n, "COMPONENT"),
                            get_field (fields, n, "CAUSE"));
  if (level & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL))
    return g_log_writer_default (level, fields, n, NULL);
  return G_LOG_WRITER_HANDLED;
}

static void
write_config (DrillWorld *w, const char *services)
{
  g_autofree char *text = g_strconcat ("[derate]\nname=shop\n", services, NULL);
  g_autoptr (GError) error = NULL;

  g_assert_true (g_file_set_contents (w->path, text, -1, &error));
  g_assert_no_error (error);
}

static void
on_started (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;

  derate_core_start_finish (DERATE_CORE (source), result, &error);
  g_assert_no_error (error);
}

void
drill_world_set_up (DrillWorld *w, gconstpointer unused)
{
  static gsize once = 0;
  g_autoptr (GError) error = NULL;
  int fd = g_file_open_tmp ("drill-XXXXXX.conf", &w->path, &error);

  if (g_once_init_enter (&once))
    {
      g_log_set_writer_func (keep_log, NULL, NULL);
      g_once_init_leave (&once, 1);
    }
  g_assert_no_error (error);
  close (fd);
  w->log = g_string_new (NULL);
  current = w;
  w->clock = DERATE_MANUAL_CLOCK (derate_manual_clock_new ());
  write_config (w, SERVICES);
  w->core = derate_core_new_from_file (w->path, DERATE_CLOCK (w->clock), &error);
  g_assert_no_error (error);
  derate_core_start_async (w->core, NULL, on_started, NULL);
  drill_world_advance (w, 0);
  g_assert_cmpstr (drill_world_get_level (w), ==, "optimal");
}

void
drill_world_tear_down (DrillWorld *w, gconstpointer unused)
{
  derate_core_stop_async (w->core, NULL, NULL, NULL);
  drill_world_advance (w, 5);
  g_assert_finalize_object (w->core);
  g_assert_finalize_object (w->clock);
  g_unlink (w->path);
  g_free (w->path);
  current = NULL;
  g_string_free (w->log, TRUE);
}

void
drill_world_advance (DrillWorld *w, double seconds)
{
  derate_manual_clock_advance (w->clock, (GTimeSpan)(seconds * G_TIME_SPAN_SECOND));
}

void
drill_world_reload (DrillWorld *w, const char *services)
{
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) changes = NULL;

  write_config (w, services);
  changes = derate_core_reload (w->core, &error);
  g_assert_no_error (error);
}

char *
drill_world_begin (DrillWorld *w, const char *service, double seconds)
{
  g_autoptr (GError) error = NULL;
  char *id = derate_core_start_drill (w->core, service, DERATE_FAULT_KIND_DOWN, 0,
                                      (GTimeSpan)(seconds * G_TIME_SPAN_SECOND),
                                      DERATE_LEVEL_UNKNOWN, "test", &error);

  g_assert_no_error (error);
  return id;
}

GVariant *
drill_world_stop (DrillWorld *w, const char *id)
{
  g_autoptr (GError) error = NULL;
  GVariant *report = derate_core_stop_drill (w->core, id, &error);

  g_assert_no_error (error);
  g_assert_true (g_variant_is_of_type (report, G_VARIANT_TYPE_VARDICT));
  return report;
}

guint
drill_world_call (DrillWorld *w, const char *name, guint calls, gboolean well)
{
  g_autoptr (DerateBreaker) breaker = derate_core_lookup_breaker (w->core, name);
  g_autoptr (GError) failure = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, "boom");
  guint n = 0;

  for (guint i = 0; i < calls; i++)
    {
      g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

      if (!derate_breaker_acquire (breaker, &permit, NULL))
        continue;
      n++;
      if (well)
        derate_permit_succeed (&permit);
      else
        derate_permit_fail (&permit, failure);
    }
  return n;
}

const char *
drill_world_get_level (DrillWorld *w)
{
  return derate_level_get_nick (
      derate_degradation_manager_get_level (derate_core_get_degradation_manager (w->core)));
}

char *
drill_world_look (GVariant *report, const char *path)
{
  g_auto (GStrv) words = g_strsplit (path, ".", -1);
  g_autoptr (GVariant) value = g_variant_ref (report);

  for (guint i = 0; words[i] != NULL; i++)
    {
      GVariant *child = g_variant_lookup_value (value, words[i], NULL);

      g_variant_unref (value);
      value = child;
      if (value == NULL)
        return g_strdup_printf ("no %s", words[i]);
    }
  return derate_json_from_variant (value);
}
