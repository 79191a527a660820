/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Immutable but for what it counts in, which any thread may do. */
#include "derate-pg-meter-private.h"

#include "derate-pg-error.h"

#include <derate-counter.h>
#include <derate-env.h>
#include <derate-log.h>
#include <gio/gio.h>

#define DEFAULT_SLOW_MS 100.0 /* semantics §13 */
#define MAX_SLOW_MS 86400000.0
#define MAX_LOGGED_CHARACTERS 200 /* semantics §10 */

struct _DeratePgMeter
{
  char *name;
  double slow_seconds;
  gboolean logs_all;
  DerateHistogram *acquires;
  DerateHistogram *queries[DERATE_PG_N_OPERATIONS][DERATE_PG_N_STATUSES];
  DerateCounter *slow;
};

const char *
derate_pg_operation_to_nick (DeratePgOperation operation)
{
  static const char *const nicks[] = { "read", "write", "transaction", "other" };

  return nicks[operation];
}

const char *
derate_pg_status_to_nick (DeratePgStatus status)
{
  static const char *const nicks[] = { "ok", "error", "timeout", "cancelled" };

  return nicks[status];
}

DeratePgMeter *
derate_pg_meter_new (const char *name, GError **error)
{
  DeratePgMeter *meter;
  double slow_ms;
  gboolean logs_all;

  if (!derate_env_get_number ("SLOW_QUERY_THRESHOLD_MS", DEFAULT_SLOW_MS, 0, MAX_SLOW_MS, &slow_ms,
                              error) ||
      !derate_env_get_boolean ("ENABLE_QUERY_LOGGING", FALSE, &logs_all, error))
    return NULL;
  meter = g_atomic_rc_box_new0 (DeratePgMeter);
  meter->name = g_strdup (name);
  meter->slow_seconds = slow_ms / 1000;
  meter->logs_all = logs_all;
  meter->acquires = derate_histogram_new (NULL, 0);
  for (guint i = 0; i < DERATE_PG_N_OPERATIONS; i++)
    for (guint j = 0; j < DERATE_PG_N_STATUSES; j++)
      meter->queries[i][j] = derate_histogram_new (NULL, 0);
  meter->slow = derate_counter_new ();
  return meter;
}

static DeratePgMeter *default_meter; /* atomic: set once */

DeratePgMeter *
derate_pg_meter_peek_default (void)
{
  return __atomic_load_n (&default_meter, __ATOMIC_ACQUIRE);
}

DeratePgMeter *
derate_pg_meter_get_default (GError **error)
{
  DeratePgMeter *meter = derate_pg_meter_peek_default ();
  DeratePgMeter *first = NULL;

  if (G_LIKELY (meter != NULL))
    return meter;
  meter = derate_pg_meter_new ("default", error);
  if (meter == NULL || __atomic_compare_exchange_n (&default_meter, &first, meter, FALSE,
                                                    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
    return meter;
  derate_pg_meter_unref (meter);
  return first;
}

DeratePgMeter *
derate_pg_meter_ref (DeratePgMeter *meter)
{
  return g_atomic_rc_box_acquire (meter);
}

static void
meter_clear (gpointer data)
{
  DeratePgMeter *meter = data;

  g_free (meter->name);
  derate_histogram_unref (meter->acquires);
  for (guint i = 0; i < DERATE_PG_N_OPERATIONS; i++)
    for (guint j = 0; j < DERATE_PG_N_STATUSES; j++)
      derate_histogram_unref (meter->queries[i][j]);
  derate_counter_unref (meter->slow);
}

void
derate_pg_meter_unref (DeratePgMeter *meter)
{
  g_atomic_rc_box_release_full (meter, meter_clear);
}

const char *
derate_pg_meter_get_name (DeratePgMeter *meter)
{
  return meter->name;
}

void
derate_pg_meter_acquired (DeratePgMeter *meter, double seconds)
{
  derate_histogram_observe (meter->acquires, seconds);
}

/* As it stands in the log: white space made one, cut after so many characters. */
static char *
shorten (const char *sql)
{
  GString *out = g_string_new (NULL);
  gboolean space = FALSE;
  guint n = 0;

  for (; *sql != '\0'; sql++)
    {
      if (g_ascii_isspace (*sql))
        {
          space = n > 0;
          continue;
        }
      /* The first byte of a character; those that follow belong to it. */
      if (((guchar)*sql & 0xc0) != 0x80 || n == 0)
        {
          if (n + space >= MAX_LOGGED_CHARACTERS)
            {
              g_string_append (out, "...");
              break;
            }
          n += 1 + space;
          if (space)
            g_string_append_c (out, ' ');
          space = FALSE;
        }
      g_string_append_c (out, *sql);
    }
  return g_string_free (out, FALSE);
}

static void
log_query (DeratePgMeter *meter, gboolean is_slow, double seconds, const char *sql)
{
  g_autofree char *text = shorten (sql);
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  g_autofree char *message = NULL;
  char ms[G_ASCII_DTOSTR_BUF_SIZE];

  g_ascii_formatd (ms, sizeof ms, "%.1f", seconds * 1000);
  message = g_strdup_printf ("%s (%sms): %s", is_slow ? "Slow query" : "Query", ms, valid);
  derate_log_event (is_slow ? G_LOG_LEVEL_WARNING : G_LOG_LEVEL_INFO,
                    is_slow ? "slow_query" : "query", meter->name, message, "DURATION_MS", ms,
                    NULL);
}

static DeratePgStatus
status_of (const GError *error)
{
  if (error == NULL)
    return DERATE_PG_STATUS_OK;
  if (g_error_matches (error, DERATE_PG_ERROR, DERATE_PG_ERROR_TIMED_OUT))
    return DERATE_PG_STATUS_TIMEOUT;
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return DERATE_PG_STATUS_CANCELLED;
  return DERATE_PG_STATUS_ERROR;
}

void
derate_pg_meter_query (DeratePgMeter *meter,
                       DeratePgOperation operation,
                       double seconds,
                       const char *sql,
                       const GError *error)
{
  gboolean is_slow = seconds >= meter->slow_seconds;

  derate_histogram_observe (meter->queries[operation][status_of (error)], seconds);
  if (is_slow)
    derate_counter_inc (meter->slow);
  if (G_UNLIKELY (is_slow || meter->logs_all))
    log_query (meter, is_slow, seconds, sql);
}

DerateHistogram *
derate_pg_meter_get_acquires (DeratePgMeter *meter)
{
  return meter->acquires;
}

DerateHistogram *
derate_pg_meter_get_queries (DeratePgMeter *meter,
                             DeratePgOperation operation,
                             DeratePgStatus status)
{
  return meter->queries[operation][status];
}

guint64
derate_pg_meter_get_slow (DeratePgMeter *meter)
{
  return derate_counter_get_value (meter->slow);
}
