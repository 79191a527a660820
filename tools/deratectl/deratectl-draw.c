/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "deratectl-draw.h"

#include <string.h>

#include "deratectl-drill-report.h"

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
append_title (GString *page, JsonObject *status, const char *note, guint width)
{
  const char *level = deratectl_json_string (status, "level");
  g_autofree char *upper = g_ascii_strup (level, -1);
  g_autofree char *text =
      g_strdup_printf ("%s (%.0f %%)", deratectl_json_string (status, "text"),
                       deratectl_json_number (status, "functionality_percent", 0));
  g_autoptr (DeratectlTable) title = deratectl_table_new ("");

  deratectl_table_add (title, deratectl_level_colour (level), upper);
  deratectl_table_add (title, DERATECTL_COLOUR_NONE, text);
  deratectl_table_add (title, DERATECTL_COLOUR_NONE, deratectl_json_string (status, "name"));
  deratectl_table_add (title, DERATECTL_COLOUR_DIM, note);
  deratectl_table_end_row (title);
  deratectl_table_append (title, page, width, 0);
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

  return g_strdup_printf ("%s  %s %s, %s%s, by %s (uid %.0f): %s",
                          deratectl_json_string (hold, "id"), exact ? "exactly" : "at least",
                          deratectl_json_string (hold, "level"),
                          left != NULL ? left : "while its owner stays",
                          left != NULL ? " left" : "", deratectl_json_string (hold, "who"),
                          deratectl_json_number (hold, "uid", -1),
                          deratectl_json_string (hold, "reason"));
}

/* A line for each of those in @member, @max at most. */
static void
add_list (DeratectlTable *table,
          JsonObject *status,
          const char *member,
          const char *label,
          char *(*describe) (JsonObject *),
          guint max)
{
  JsonArray *list = deratectl_json_array (status, member);
  guint length = list != NULL ? json_array_get_length (list) : 0;
  guint shown = length <= max ? length : max - 1;
  g_autofree char *more = g_strdup_printf ("… and %u more", length - shown);

  for (guint i = 0; i < shown; i++)
    {
      g_autofree char *text = describe (deratectl_json_element (list, i));

      add_line (table, label, text);
    }
  if (shown < length)
    add_line (table, "", more);
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

/* How far down in @words what @service says of @member is; what nobody knows is last. */
static int
get_rank (JsonObject *service, const char *member, const char *const *words)
{
  const char *word = deratectl_json_string (service, member);
  int rank = 0;

  while (words[rank] != NULL && strcmp (words[rank], word) != 0)
    rank++;
  return rank;
}

/* The worst first, and of those what matters most. */
static int
compare_services (gconstpointer a, gconstpointer b, gpointer services)
{
  static const char *const statuses[] = { "down", "degraded", "unknown", "healthy", NULL };
  static const char *const criticalities[] = { "critical", "high", "medium", "low", NULL };
  JsonObject *x = deratectl_json_object (services, a);
  JsonObject *y = deratectl_json_object (services, b);
  int order = get_rank (x, "status", statuses) - get_rank (y, "status", statuses);

  if (order == 0)
    order = get_rank (x, "criticality", criticalities) - get_rank (y, "criticality", criticalities);
  return order != 0 ? order : strcmp (a, b);
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

/* Columns that are in the way of an error on a narrow terminal: the order says the first, and the
 * second matters once the checks are stuck. */
#define COLUMN_CRITICALITY 5
#define COLUMN_CHECKED 6

static DeratectlTable *
make_services (JsonObject *status)
{
  JsonObject *services = deratectl_json_object (status, "services");
  DeratectlTable *table = deratectl_table_new ("");
  GList *names = services != NULL ? json_object_get_members (services) : NULL;

  names = g_list_sort_with_data (names, compare_services, services);
  deratectl_table_add_header (table, "SERVICE", "STATUS", "FOR", "CAUSE", "BREAKER", "CRITICALITY",
                              "CHECKED", "ERROR", NULL);
  deratectl_table_add_optional (table, COLUMN_CRITICALITY);
  deratectl_table_add_optional (table, COLUMN_CHECKED);
  for (GList *l = names; l != NULL; l = l->next)
    add_service (table, l->data, deratectl_json_object (services, l->data));
  g_list_free (names);
  return table;
}

/* Those that do not work first. */
static int
compare_features (gconstpointer a, gconstpointer b, gpointer features)
{
  static const char *const modes[] = { "off", "queued", "on", NULL };
  int order = get_rank (deratectl_json_object (features, a), "mode", modes) -
              get_rank (deratectl_json_object (features, b), "mode", modes);

  return order != 0 ? order : strcmp (a, b);
}

static DeratectlTable *
make_features (JsonObject *status)
{
  JsonObject *features = deratectl_json_object (status, "features");
  GList *names = features != NULL ? json_object_get_members (features) : NULL;
  DeratectlTable *table = deratectl_table_new ("");

  names = g_list_sort_with_data (names, compare_features, features);
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
  g_list_free (names);
  return table;
}

static guint
count_members (JsonObject *status, const char *member)
{
  JsonObject *object = deratectl_json_object (status, member);

  return object != NULL ? json_object_get_size (object) : 0;
}

static guint
count_lines (const GString *page)
{
  guint lines = 0;

  for (gsize i = 0; i < page->len; i++)
    lines += page->str[i] == '\n';
  return lines;
}

/* Below what is on @page already, services and features share what is left of @height, both with an
 * empty line and a header above; where there is little, it is for the services. */
#define ABOVE 2
#define FEW 3

static void
append_tables (GString *page, JsonObject *status, guint width, guint height)
{
  guint n_services = count_members (status, "services");
  guint n_features = count_members (status, "features");
  guint wanted = n_features > 0 ? n_features + ABOVE : 0;
  guint left = height > count_lines (page) ? height - count_lines (page) : 0;
  g_autoptr (DeratectlTable) services = make_services (status);
  g_autoptr (DeratectlTable) features = make_features (status);

  if (height > 0 && n_services + ABOVE + wanted > left)
    wanted = MIN (wanted, MAX (left / 3, FEW + ABOVE));
  if (height > 0 && left < wanted + ABOVE + MIN (n_services, FEW))
    wanted = 0;
  if (n_services > 0 && (height == 0 || left > wanted + ABOVE))
    {
      g_string_append_c (page, '\n');
      deratectl_table_append (services, page, width, height == 0 ? 0 : left - wanted - 1);
    }
  if (wanted > 0)
    {
      g_string_append_c (page, '\n');
      deratectl_table_append (features, page, width, height == 0 ? 0 : wanted - 1);
    }
}

void
deratectl_draw_status (GString *page,
                       JsonObject *status,
                       const char *note,
                       guint width,
                       guint height)
{
  g_autoptr (DeratectlTable) head = deratectl_table_new ("  ");
  guint max = height > 0 ? FEW : G_MAXUINT;

  append_title (page, status, note, width);
  add_list (head, status, "holds", "hold", describe_hold, max);
  add_list (head, status, "drills", "drill", deratectl_describe_drill, max);
  add_why (head, status);
  add_times (head, status);
  deratectl_table_append (head, page, width, 0);
  append_tables (page, status, width, height);
}
