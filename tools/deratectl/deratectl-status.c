/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "deratectl.h"

#include <stdio.h>
#include <string.h>

#include "deratectl-json.h"

/* For the operator at three in the morning: the level, why, since when, what holds it, then the
 * services with the worst first. */

static void
add_line (DeratectlTable *table, const char *label, const char *text)
{
  deratectl_table_add (table, DERATECTL_COLOUR_DIM, label);
  deratectl_table_add (table, DERATECTL_COLOUR_NONE, text);
  deratectl_table_end_row (table);
}

static void
print_title (JsonObject *status)
{
  const char *level = deratectl_json_string (status, "level");
  g_autofree char *upper = g_ascii_strup (level, -1);
  g_autofree char *painted = deratectl_paint (deratectl_level_colour (level), upper);
  g_autofree char *text = deratectl_clean (deratectl_json_string (status, "text"));
  g_autofree char *name = deratectl_clean (deratectl_json_string (status, "name"));

  g_print ("%s  %s (%.0f %%)  %s\n", painted, text,
           deratectl_json_number (status, "functionality_percent", 0), name);
}

/* "openai down, redis down": those inputs of the rule that are not healthy. */
static char *
describe_inputs (JsonObject *status)
{
  JsonObject *inputs = deratectl_json_object (status, "inputs");
  g_autoptr (GList) names = inputs != NULL ? json_object_get_members (inputs) : NULL;
  GString *text = g_string_new (NULL);

  for (GList *l = names; l != NULL; l = l->next)
    {
      const char *value = deratectl_json_string (inputs, l->data);

      if (strcmp (value, "healthy") != 0)
        g_string_append_printf (text, "%s%s %s", text->len > 0 ? ", " : "", (char *)l->data, value);
    }
  return g_string_free (text, FALSE);
}

/* While a hold decides, what it hides; while the level waits for the recovery tick, where it goes.
 */
static void
add_why (DeratectlTable *table, JsonObject *status)
{
  const char *computed = deratectl_json_string (status, "computed_level");
  const char *rule = deratectl_json_string (status, "rule");
  gboolean held = strcmp (rule, "hold") == 0;
  JsonArray *holds = deratectl_json_array (status, "holds");
  gboolean same = strcmp (computed, deratectl_json_string (status, "level")) == 0;
  g_autofree char *inputs = describe_inputs (status);
  g_autofree char *because =
      g_strdup_printf ("%s%s%s%s%s", inputs, *inputs != '\0' ? "  (" : "",
                       *inputs != '\0' ? "rule " : "", rule, *inputs != '\0' ? ")" : "");
  gboolean well = strcmp (computed, "optimal") == 0;
  g_autofree char *behind =
      g_strdup_printf ("%s%s%s", computed, well || *inputs == '\0' ? "" : ": ", well ? "" : inputs);

  if (!held && same)
    add_line (table, "why", because);
  else if (held && holds != NULL && json_array_get_length (holds) > 0)
    add_line (table, "without", behind);
  else
    add_line (table, "recovers", computed);
}

static char *
describe_hold (JsonObject *hold)
{
  double remaining = deratectl_json_number (hold, "remaining_seconds", -1);
  gboolean exact = strcmp (deratectl_json_string (hold, "mode"), "exact") == 0;
  g_autofree char *left = remaining < 0 ? NULL : deratectl_format_span (remaining);

  return g_strdup_printf ("%s %s, %s%s, by %s (uid %.0f): %s  [%s]", exact ? "exactly" : "at least",
                          deratectl_json_string (hold, "level"),
                          left != NULL ? left : "while its owner stays",
                          left != NULL ? " left" : "", deratectl_json_string (hold, "who"),
                          deratectl_json_number (hold, "uid", -1),
                          deratectl_json_string (hold, "reason"),
                          deratectl_json_string (hold, "id"));
}

static void
add_holds (DeratectlTable *table, JsonObject *status)
{
  JsonArray *holds = deratectl_json_array (status, "holds");

  for (guint i = 0; holds != NULL && i < json_array_get_length (holds); i++)
    {
      g_autofree char *text = describe_hold (deratectl_json_element (holds, i));

      add_line (table, "hold", text);
    }
}

/* The loop has nothing to do where the services are no better than the level, or it is held. */
static gboolean
waits_for_tick (JsonObject *status)
{
  JsonArray *holds = deratectl_json_array (status, "holds");

  return strcmp (deratectl_json_string (status, "level"),
                 deratectl_json_string (status, "computed_level")) != 0 &&
         (holds == NULL || json_array_get_length (holds) == 0);
}

static void
add_times (DeratectlTable *table, JsonObject *status)
{
  double since = deratectl_json_number (status, "since", 0);
  double next = deratectl_json_number (status, "next_tick_seconds", -1);
  g_autofree char *instant = deratectl_format_instant (since);
  g_autofree char *age = deratectl_format_since (since);
  g_autofree char *text = g_strdup_printf ("%s, %s ago", instant, age);
  g_autofree char *wait = next < 0 ? NULL : deratectl_format_span (next);
  g_autofree char *tick = g_strdup_printf ("may improve in %s", wait);

  if (since > 0)
    add_line (table, "since", text);
  if (wait != NULL && waits_for_tick (status))
    add_line (table, "next", tick);
  if (deratectl_json_boolean (status, "flapping"))
    add_line (table, "flapping", "yes: it improves later than usual");
  if (deratectl_json_boolean (status, "local_suspect"))
    add_line (table, "suspect", "this machine: every remote service failed at once");
}

static int
get_rank (JsonObject *service)
{
  static const char *const ranks[] = { "down", "degraded", "unknown", "healthy" };
  const char *status = deratectl_json_string (service, "status");
  int rank = 0;

  while (rank < (int)G_N_ELEMENTS (ranks) && strcmp (ranks[rank], status) != 0)
    rank++;
  return rank;
}

static int
compare_services (gconstpointer a, gconstpointer b, gpointer services)
{
  int x = get_rank (deratectl_json_object (services, a));
  int y = get_rank (deratectl_json_object (services, b));

  return x != y ? x - y : strcmp (a, b);
}

static void
add_service (DeratectlTable *table, const char *name, JsonObject *service)
{
  const char *state = deratectl_json_string (service, "status");
  const char *breaker = deratectl_json_string (service, "breaker");
  double since = deratectl_json_number (service, "since", 0);
  double age = deratectl_json_number (service, "age_seconds", -1);
  g_autofree char *lasted = since > 0 ? deratectl_format_since (since) : NULL;
  g_autofree char *checked = age < 0 ? NULL : deratectl_format_span (age);

  deratectl_table_add (table, DERATECTL_COLOUR_NONE, name);
  deratectl_table_add (table, deratectl_status_colour (state), state);
  deratectl_table_add (table, DERATECTL_COLOUR_NONE, lasted);
  deratectl_table_add (table, DERATECTL_COLOUR_NONE, deratectl_json_string (service, "cause"));
  deratectl_table_add (table, deratectl_status_colour (breaker), breaker);
  deratectl_table_add (table, DERATECTL_COLOUR_NONE,
                       deratectl_json_string (service, "criticality"));
  deratectl_table_add (table, DERATECTL_COLOUR_NONE, checked);
  deratectl_table_add (table, DERATECTL_COLOUR_NONE, deratectl_json_string (service, "error"));
  deratectl_table_end_row (table);
}

static void
print_services (JsonObject *status)
{
  JsonObject *services = deratectl_json_object (status, "services");
  g_autoptr (DeratectlTable) table = deratectl_table_new ("");
  GList *names = services != NULL ? json_object_get_members (services) : NULL;

  if (names == NULL)
    return;
  names = g_list_sort_with_data (names, compare_services, services);
  deratectl_table_add_header (table, "SERVICE", "STATUS", "FOR", "CAUSE", "BREAKER", "CRITICALITY",
                              "CHECKED", "ERROR", NULL);
  for (GList *l = names; l != NULL; l = l->next)
    add_service (table, l->data, deratectl_json_object (services, l->data));
  g_list_free (names);
  g_print ("\n");
  deratectl_table_print (table);
}

static void
print_features (JsonObject *status)
{
  JsonObject *features = deratectl_json_object (status, "features");
  g_autoptr (GList) names = features != NULL ? json_object_get_members (features) : NULL;
  g_autoptr (DeratectlTable) table = deratectl_table_new ("");

  if (names == NULL)
    return;
  deratectl_table_add_header (table, "FEATURE", "MODE", "BECAUSE", NULL);
  for (GList *l = names; l != NULL; l = l->next)
    {
      JsonObject *feature = deratectl_json_object (features, l->data);
      const char *mode = deratectl_json_string (feature, "mode");

      deratectl_table_add (table, DERATECTL_COLOUR_NONE, l->data);
      deratectl_table_add (table, deratectl_status_colour (mode), mode);
      deratectl_table_add (table, DERATECTL_COLOUR_NONE,
                           deratectl_json_string (feature, "because"));
      deratectl_table_end_row (table);
    }
  g_print ("\n");
  deratectl_table_print (table);
}

static int
print_status (const char *json)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonParser) parser = deratectl_json_parse (json, &error);
  g_autoptr (DeratectlTable) head = deratectl_table_new ("  ");
  JsonObject *status = NULL;

  if (parser == NULL)
    return deratectl_fail (error);
  status = json_node_get_object (json_parser_get_root (parser));
  print_title (status);
  add_holds (head, status);
  add_why (head, status);
  add_times (head, status);
  deratectl_table_print (head);
  print_services (status);
  print_features (status);
  return DERATECTL_DONE;
}

static int
run (int argc, char **argv)
{
  gboolean as_json = FALSE;
  const GOptionEntry entries[] = {
    { "json", 0, 0, G_OPTION_ARG_NONE, &as_json, "As /degradation answers", NULL },
    { NULL },
  };
  g_autoptr (GError) error = NULL;
  g_autoptr (DeratectlProgram) program = NULL;
  g_autofree char *json = NULL;

  if (!deratectl_parse (&deratectl_verb_status, entries, &argc, &argv, 0, 0))
    return DERATECTL_USAGE;
  program = deratectl_find_program (&error);
  json = program != NULL ? deratectl_dump (program, "status", &error) : NULL;
  if (json == NULL)
    return deratectl_fail (error);
  if (!as_json)
    return print_status (json);
  puts (json); /* UTF-8 whatever the locale, which g_print () would convert to */
  return DERATECTL_DONE;
}

const DeratectlVerb deratectl_verb_status = {
  .name = "status",
  .arguments = "[--json]",
  .summary = "Show the level and why, holds, services and features",
  .run = run,
};
