/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "deratectl-drill-report.h"

#include <string.h>

/* A newer or older program may have none of that type. */
static double
get_number (GVariant *dict, const char *key)
{
  double number = 0;

  g_variant_lookup (dict, key, "d", &number);
  return number;
}

/* (transfer full) */
static GVariant *
get_part (GVariant *dict, const char *key, const char *type)
{
  GVariant *part = g_variant_lookup_value (dict, key, G_VARIANT_TYPE (type));

  return part != NULL
             ? part
             : g_variant_ref_sink (
                   g_variant_new_array (g_variant_type_element (G_VARIANT_TYPE (type)), NULL, 0));
}

/* “400us”, “1.4ms”, “12s” */
static char *
format_seconds (double seconds)
{
  if (seconds < 0.001)
    return g_strdup_printf ("%.0fus", seconds * 1e6);
  if (seconds < 1)
    return g_strdup_printf ("%.3gms", seconds * 1e3);
  return g_strdup_printf ("%.3gs", seconds);
}

char *
deratectl_describe_fault (const char *fault, double rate, double latency_seconds)
{
  g_autofree char *span = format_seconds (latency_seconds);

  if (strcmp (fault, "error-rate") == 0)
    return g_strdup_printf ("%.3g %% of calls fail", rate * 100);
  if (strcmp (fault, "latency") == 0)
    return g_strdup_printf ("calls begin %s later", span);
  return g_strdup (fault);
}

char *
deratectl_describe_drill (JsonObject *drill)
{
  const char *reason = deratectl_json_string (drill, "reason");
  g_autofree char *fault =
      deratectl_describe_fault (deratectl_json_string (drill, "fault"),
                                deratectl_json_number (drill, "rate", 0),
                                deratectl_json_number (drill, "latency_seconds", 0));
  g_autofree char *left =
      deratectl_format_span (deratectl_json_number (drill, "remaining_seconds", 0));

  return g_strdup_printf ("%s  %s %s, %s left, at worst %s, by %s%s%s",
                          deratectl_json_string (drill, "id"),
                          deratectl_json_string (drill, "service"), fault, left,
                          deratectl_json_string (drill, "limit"),
                          deratectl_json_string (drill, "who"), *reason != '\0' ? ": " : "",
                          reason);
}

static void
add_line (DeratectlTable *table, DeratectlColour colour, const char *label, const char *format, ...)
    G_GNUC_PRINTF (4, 5);

static void
add_line (DeratectlTable *table, DeratectlColour colour, const char *label, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  deratectl_table_add (table, DERATECTL_COLOUR_DIM, label);
  deratectl_table_add (table, colour, text);
  deratectl_table_end_row (table);
}

static void
add_level (DeratectlTable *table, GVariant *report)
{
  g_autoptr (GVariant) level = get_part (report, "level", "a{sv}");
  const char *before = deratectl_dict_text (level, "before");
  const char *worst = deratectl_dict_text (level, "worst");
  const char *after = deratectl_dict_text (level, "after");

  if (strcmp (before, worst) == 0)
    add_line (table, DERATECTL_COLOUR_NONE, "level", "%s all the time", worst);
  else
    add_line (table, deratectl_level_colour (worst), "level", "%s at worst, by rule %s; %s before",
              worst, deratectl_dict_text (level, "rule"), before);
  if (strcmp (after, worst) != 0)
    add_line (table, DERATECTL_COLOUR_NONE, "", "%s again at the next recovery tick", after);
}

static void
add_features (DeratectlTable *table, GVariant *report)
{
  g_autoptr (GVariant) features = get_part (report, "features", "a{sv}");
  const char *label = "features";
  GVariantIter iter;
  const char *name;
  GVariant *feature;

  if (g_variant_n_children (features) == 0)
    add_line (table, DERATECTL_COLOUR_NONE, label, "as before, all of them");
  g_variant_iter_init (&iter, features);
  while (g_variant_iter_loop (&iter, "{&sv}", &name, &feature))
    {
      const char *to = deratectl_dict_text (feature, "to");

      add_line (table, deratectl_status_colour (to), label, "%s %s, %s before", name, to,
                deratectl_dict_text (feature, "from"));
      label = "";
    }
}

static void
add_fallbacks (DeratectlTable *table, GVariant *report)
{
  g_autoptr (GVariant) fallbacks = get_part (report, "fallbacks", "aa{sv}");
  guint64 failures = deratectl_dict_count (report, "fallback_failures");
  const char *label = "fallbacks";
  GVariantIter iter;
  GVariant *fallback;

  if (g_variant_n_children (fallbacks) == 0)
    add_line (table, DERATECTL_COLOUR_WARN, label, "none answered");
  g_variant_iter_init (&iter, fallbacks);
  while (g_variant_iter_loop (&iter, "@a{sv}", &fallback))
    {
      g_autofree char *mean = format_seconds (get_number (fallback, "mean_seconds"));
      g_autofree char *most = format_seconds (get_number (fallback, "p95_seconds"));

      add_line (table, DERATECTL_COLOUR_NONE, label,
                "%s %s (%s): %" G_GUINT64_FORMAT ", mean %s, 95 %% within %s",
                deratectl_dict_text (fallback, "service"),
                deratectl_dict_text (fallback, "strategy"),
                deratectl_dict_text (fallback, "reason"), deratectl_dict_count (fallback, "count"),
                mean, most);
      label = "";
    }
  if (failures > 0)
    add_line (table, DERATECTL_COLOUR_BAD, "", "asked in vain: %" G_GUINT64_FORMAT, failures);
}

static void
add_answers (DeratectlTable *table, GVariant *report)
{
  g_autoptr (GVariant) answers = get_part (report, "answers", "a{sv}");
  guint64 none = deratectl_dict_count (answers, "refused");

  add_line (table, none > 0 ? DERATECTL_COLOUR_BAD : DERATECTL_COLOUR_NONE, "answers",
            "%" G_GUINT64_FORMAT " real, %" G_GUINT64_FORMAT
            " by a fallback, and %" G_GUINT64_FORMAT " calls that got none",
            deratectl_dict_count (answers, "real"), deratectl_dict_count (answers, "fallback"),
            none);
}

static const char *
describe_cause (const char *cause)
{
  static const struct
  {
    const char *cause;
    const char *text;
  } texts[] = {
    { "expired", "its time is over" },
    { "stopped", "it was stopped" },
    { "limit", "something real failed as well" },
    { "removed", "the service was taken away or changed" },
    { "shutdown", "the program stops" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    if (strcmp (texts[i].cause, cause) == 0)
      return texts[i].text;
  return cause;
}

int
deratectl_get_exit_of_report (GVariant *report)
{
  static const char *const good[] = { "expired", "stopped", NULL };

  return g_strv_contains (good, deratectl_dict_text (report, "cause")) ? DERATECTL_DONE
                                                                       : DERATECTL_FAILED;
}

int
deratectl_print_report (GVariant *report)
{
  g_autoptr (DeratectlTable) table = deratectl_table_new ("  ");
  g_autofree char *span = deratectl_format_span (get_number (report, "duration_seconds"));
  g_autofree char *service = deratectl_clean (deratectl_dict_text (report, "service"));

  g_print ("\nDrill of %s over after %s: %s\n", service, span,
           describe_cause (deratectl_dict_text (report, "cause")));
  add_level (table, report);
  add_features (table, report);
  add_line (table, DERATECTL_COLOUR_NONE, "refused", "%" G_GUINT64_FORMAT " calls",
            deratectl_dict_count (report, "refused"));
  add_fallbacks (table, report);
  add_answers (table, report);
  deratectl_table_print (table);
  return deratectl_get_exit_of_report (report);
}
