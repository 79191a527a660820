/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-log-writer.h"

#include <stdio.h>
#include <string.h>

#include "derate-clock.h"
#include "derate-json.h"
#include "derate-log-private.h"
#include "derate-names-private.h"
#include "derate-redact.h"

/* Any thread may write: nothing in here is kept from one record to the next. */

/* What these hold is a number, and written as one. */
static const char *const numbers[] = { DERATE_FIELD_FAILURE_COUNT, DERATE_FIELD_FAILURE_THRESHOLD,
                                       DERATE_FIELD_COUNT, DERATE_FIELD_DURATION_MS, "PRIORITY" };

/* The field as text that is UTF-8 and has no secret; NULL where it is not there. */
static char *
dup_text (const GLogField *field)
{
  g_autofree char *valid = NULL;

  if (field == NULL || field->value == NULL)
    return NULL;
  valid = g_utf8_make_valid (field->value, field->length);
  return derate_redact (valid);
}

static const GLogField *
find_field (const GLogField *fields, gsize n_fields, const char *key)
{
  for (gsize i = 0; i < n_fields; i++)
    if (g_str_equal (fields[i].key, key))
      return &fields[i];
  return NULL;
}

static gboolean
is_number (const char *key)
{
  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++)
    if (g_str_equal (numbers[i], key))
      return TRUE;
  return FALSE;
}

/* Null where it is no number: a reader's column keeps its type. */
static GVariant *
read_number (const char *text)
{
  guint64 whole = 0;
  char *end = NULL;
  double value;

  if (g_ascii_string_to_unsigned (text, 10, 0, G_MAXUINT64, &whole, NULL))
    return g_variant_new_uint64 (whole);
  value = g_ascii_strtod (text, &end);
  if (end == text || *end != '\0')
    return g_variant_new_maybe (G_VARIANT_TYPE_DOUBLE, NULL);
  return g_variant_new_double (value);
}

static void
add_member (GVariantBuilder *builder, const char *name, GVariant *value)
{
  g_autofree char *lower = g_ascii_strdown (name, -1);
  g_autofree char *valid = g_utf8_make_valid (lower, -1);

  g_variant_builder_add (builder, "{sv}", valid, value);
}

static void
add_text (GVariantBuilder *builder, const char *name, const GLogField *field)
{
  g_autofree char *text = dup_text (field);

  add_member (builder, name, g_variant_new ("ms", text));
}

static gboolean
comes_first (const char *key)
{
  return g_str_equal (key, DERATE_FIELD_EVENT) || g_str_equal (key, DERATE_FIELD_COMPONENT);
}

char *
derate_log_format_json (const GLogField *fields, gsize n_fields, gint64 unix_seconds)
{
  g_autoptr (GDateTime) now = g_date_time_new_from_unix_utc (unix_seconds);
  g_autofree char *timestamp = g_date_time_format (now, "%Y-%m-%dT%H:%M:%SZ");
  g_auto (GVariantBuilder) builder = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE_VARDICT);

  add_text (&builder, DERATE_FIELD_EVENT, find_field (fields, n_fields, DERATE_FIELD_EVENT));
  add_text (&builder, DERATE_FIELD_COMPONENT,
            find_field (fields, n_fields, DERATE_FIELD_COMPONENT));
  for (gsize i = 0; i < n_fields; i++)
    {
      g_autofree char *text = NULL;

      if (comes_first (fields[i].key) || find_field (fields, i, fields[i].key) != NULL)
        continue;
      text = dup_text (&fields[i]);
      if (text != NULL && is_number (fields[i].key))
        add_member (&builder, fields[i].key, read_number (text));
      else
        add_member (&builder, fields[i].key, g_variant_new ("ms", text));
    }
  add_member (&builder, "timestamp", g_variant_new_string (timestamp));
  return derate_json_from_variant (g_variant_builder_end (&builder));
}

/* A domain of this library's, or of one that came with it. */
static gboolean
is_ours (const GLogField *field)
{
  g_autofree char *domain = dup_text (field);

  return domain != NULL &&
         (g_str_equal (domain, G_LOG_DOMAIN) || g_str_has_prefix (domain, G_LOG_DOMAIN "-"));
}

/**
 * derate_log_writer_json:
 * @log_level: the level of the record
 * @fields: (array length=n_fields): its fields
 * @n_fields: how many those are
 * @user_data: not looked at
 *
 * A #GLogWriterFunc that writes each record of Derate's as JSON, one line each, to standard error;
 * those of other domains it hands to g_log_writer_default (). The library never installs it: a
 * program does, with `g_log_set_writer_func (derate_log_writer_json, NULL, NULL)`, before it
 * starts a thread.
 *
 * A line has the fields of the record, their names in small letters: `event` and `component` first,
 * null where there is none, `timestamp`, in UTC, last. `failure_count`, `failure_threshold`,
 * `count`, `duration_ms` and `priority` are numbers. Secrets are masked, and what is not UTF-8 is
 * replaced. Records of level %G_LOG_LEVEL_INFO and graver are always written, those of
 * %G_LOG_LEVEL_DEBUG when `G_MESSAGES_DEBUG` asks for their domain. May be called from any thread.
 *
 * Returns: %G_LOG_WRITER_HANDLED, or what g_log_writer_default () said
 *
 * Since: 1.0
 */
GLogWriterOutput
derate_log_writer_json (GLogLevelFlags log_level,
                        const GLogField *fields,
                        gsize n_fields,
                        gpointer user_data)
{
  g_autofree char *record = NULL;
  g_autofree char *line = NULL;

  g_return_val_if_fail (fields != NULL && n_fields > 0, G_LOG_WRITER_UNHANDLED);

  if (!is_ours (find_field (fields, n_fields, "GLIB_DOMAIN")))
    return g_log_writer_default (log_level, fields, n_fields, user_data);
  if ((log_level & G_LOG_LEVEL_DEBUG) && g_log_writer_default_would_drop (log_level, G_LOG_DOMAIN))
    return G_LOG_WRITER_HANDLED;

  record = derate_log_format_json (fields, n_fields,
                                   derate_clock_get_real_time (derate_clock_get_system ()) /
                                       G_TIME_SPAN_SECOND);
  line = g_strconcat (record, "\n", NULL);
  /* At once: two threads' lines must not mix. */
  if (fwrite (line, 1, strlen (line), stderr) == 0)
    return G_LOG_WRITER_UNHANDLED;
  fflush (stderr);
  return G_LOG_WRITER_HANDLED;
}
