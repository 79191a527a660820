/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "deratectl.h"

#include <stdio.h>
#include <string.h>

#include "deratectl-json.h"

static const DeratectlVerb verb_list, verb_trip, verb_close, verb_reset, verb_mode;

static void
add_breaker (DeratectlTable *table, JsonObject *breaker)
{
  const char *state = deratectl_json_string (breaker, "state");
  const char *mode = deratectl_json_string (breaker, "mode");
  double retry = deratectl_json_number (breaker, "retry_after_seconds", 0);
  double rate = deratectl_json_number (breaker, "failure_rate", -1);
  g_autofree char *age =
      deratectl_format_span (deratectl_json_number (breaker, "time_in_current_state", 0));
  g_autofree char *streak =
      g_strdup_printf ("%.0f of %.0f", deratectl_json_number (breaker, "failure_count", 0),
                       deratectl_json_number (breaker, "failure_threshold", 0));
  g_autofree char *share = rate < 0 ? NULL : g_strdup_printf ("%.0f %%", rate * 100);
  g_autofree char *refused =
      g_strdup_printf ("%.0f", deratectl_json_number (breaker, "calls_blocked", 0));
  g_autofree char *wait = retry > 0 ? deratectl_format_span (retry) : NULL;

  deratectl_table_add (table, DERATECTL_COLOUR_NONE, deratectl_json_string (breaker, "name"));
  deratectl_table_add (table, deratectl_status_colour (state), state);
  deratectl_table_add (table, DERATECTL_COLOUR_NONE, age);
  deratectl_table_add (table, deratectl_status_colour (mode), mode);
  deratectl_table_add (table, DERATECTL_COLOUR_NONE, streak);
  deratectl_table_add (table, DERATECTL_COLOUR_NONE, share);
  deratectl_table_add (table, DERATECTL_COLOUR_NONE, refused);
  deratectl_table_add (table, DERATECTL_COLOUR_NONE, wait);
  deratectl_table_end_row (table);
}

/* Those that let no calls through come first. */
static int
print_breakers (const char *json)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonParser) parser = deratectl_json_parse (json, &error);
  g_autoptr (DeratectlTable) table = deratectl_table_new ("");
  g_autoptr (GList) names = NULL;
  JsonObject *breakers = NULL;

  if (parser == NULL)
    return deratectl_fail (error);
  breakers = json_node_get_object (json_parser_get_root (parser));
  names = g_list_sort (json_object_get_members (breakers), (GCompareFunc)strcmp);
  deratectl_table_add_header (table, "BREAKER", "STATE", "FOR", "MODE", "FAILED", "RATE", "REFUSED",
                              "RETRY IN", NULL);
  for (guint pass = 0; pass < 2; pass++)
    for (GList *l = names; l != NULL; l = l->next)
      {
        JsonObject *breaker = deratectl_json_object (breakers, l->data);
        gboolean closed = strcmp (deratectl_json_string (breaker, "state"), "closed") == 0;

        if (closed == (pass == 1))
          add_breaker (table, breaker);
      }
  deratectl_table_print_fitted (table);
  return DERATECTL_DONE;
}

static int
run_list (int argc, char **argv)
{
  gboolean as_json = FALSE;
  const GOptionEntry entries[] = {
    { "json", 0, 0, G_OPTION_ARG_NONE, &as_json, "As /circuit-breakers answers", NULL },
    { NULL },
  };
  g_autoptr (GError) error = NULL;
  g_autoptr (DeratectlProgram) program = NULL;
  g_autofree char *json = NULL;

  if (!deratectl_parse (&verb_list, entries, &argc, &argv, 0, 0))
    return DERATECTL_USAGE;
  program = deratectl_find_program (&error);
  json = program != NULL ? deratectl_dump (program, "breakers", &error) : NULL;
  if (json == NULL)
    return deratectl_fail (error);
  if (!as_json)
    return print_breakers (json);
  puts (json); /* UTF-8 whatever the locale, which g_print () would convert to */
  return DERATECTL_DONE;
}

/* What the verbs that change a breaker have in common: which one, why, for how long. */
typedef struct
{
  gboolean all;
  char *reason;
  char *ttl_text;
  GTimeSpan ttl;
} Change;

static void
change_clear (Change *change)
{
  g_free (change->reason);
  g_free (change->ttl_text);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Change, change_clear)

static GOptionEntry
option_for (Change *change)
{
  return (GOptionEntry){
    .long_name = "for",
    .arg = G_OPTION_ARG_STRING,
    .arg_data = &change->ttl_text,
    .description = "For how long, 1s to 24h",
    .arg_description = "30m",
  };
}

static GOptionEntry
option_all (Change *change)
{
  return (GOptionEntry){
    .long_name = "all",
    .arg = G_OPTION_ARG_NONE,
    .arg_data = &change->all,
    .description = "All of them",
  };
}

/* @more: an option that not all of them have, or a zeroed one. */
static gboolean
change_parse (Change *change,
              const DeratectlVerb *verb,
              GOptionEntry more,
              int *argc,
              char ***argv,
              int min,
              int max)
{
  const GOptionEntry entries[] = {
    { "reason", 0, 0, G_OPTION_ARG_STRING, &change->reason, "Why", "TEXT" },
    more,
    { NULL },
  };
  g_autoptr (GError) error = NULL;

  if (!deratectl_parse (verb, entries, argc, argv, min, max))
    return FALSE;
  if (change->reason == NULL)
    change->reason = g_strdup_printf ("%s by %s", verb->name, deratectl_get_who ());
  if (change->ttl_text != NULL && !derate_time_span_parse (change->ttl_text, &change->ttl, &error))
    {
      deratectl_fail (error);
      return FALSE;
    }
  return TRUE;
}

static int
change_apply (const char *method, GVariant *parameters, const char *done)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) sunk = g_variant_ref_sink (parameters);
  g_autoptr (DeratectlProgram) program = deratectl_find_program (&error);
  g_autoptr (GVariant) reply = NULL;
  g_autoptr (GVariant) count = NULL;

  if (program != NULL)
    reply = deratectl_change (program, method, sunk, "*", &error);
  if (reply == NULL)
    return deratectl_fail (error);
  if (!g_variant_is_of_type (reply, G_VARIANT_TYPE ("(u)")))
    g_print ("%s\n", done);
  else
    {
      count = g_variant_get_child_value (reply, 0);
      g_print ("%s: %u\n", done, g_variant_get_uint32 (count));
    }
  return DERATECTL_DONE;
}

static int
run_trip (int argc, char **argv)
{
  g_auto (Change) change = { 0 };
  g_autofree char *done = NULL;

  if (!change_parse (&change, &verb_trip, option_for (&change), &argc, &argv, 1, 1))
    return DERATECTL_USAGE;
  done = g_strdup_printf ("tripped %s", argv[1]);
  return change_apply ("TripBreaker",
                       g_variant_new ("(sst)", argv[1], change.reason, (guint64)change.ttl), done);
}

static int
run_close (int argc, char **argv)
{
  g_auto (Change) change = { 0 };
  g_autofree char *done = NULL;

  if (!change_parse (&change, &verb_close, (GOptionEntry){ NULL }, &argc, &argv, 1, 1))
    return DERATECTL_USAGE;
  done = g_strdup_printf ("closed %s", argv[1]);
  return change_apply ("CloseBreaker", g_variant_new ("(ss)", argv[1], change.reason), done);
}

static int
run_reset (int argc, char **argv)
{
  g_auto (Change) change = { 0 };
  g_autofree char *done = NULL;

  if (!change_parse (&change, &verb_reset, option_all (&change), &argc, &argv, 0, 1))
    return DERATECTL_USAGE;
  if (change.all == (argc > 1))
    {
      g_printerr ("deratectl: breaker reset takes either a name or --all\n");
      return DERATECTL_USAGE;
    }
  if (change.all)
    return change_apply ("ResetAllBreakers", g_variant_new ("(s)", change.reason), "reset");
  done = g_strdup_printf ("reset %s", argv[1]);
  return change_apply ("ResetBreaker", g_variant_new ("(ss)", argv[1], change.reason), done);
}

static int
run_mode (int argc, char **argv)
{
  g_auto (Change) change = { 0 };
  g_autofree char *done = NULL;

  if (!change_parse (&change, &verb_mode, option_for (&change), &argc, &argv, 2, 2))
    return DERATECTL_USAGE;
  /* Without a limit it would end with this process, which is at once. */
  if (change.ttl_text == NULL && strcmp (argv[2], "normal") != 0)
    {
      g_printerr ("deratectl: breaker mode takes --for unless the mode is normal\n");
      return DERATECTL_USAGE;
    }
  done = g_strdup_printf ("%s is now %s", argv[1], argv[2]);
  return change_apply ("SetBreakerMode",
                       g_variant_new ("(ssst)", argv[1], argv[2], change.reason,
                                      (guint64)change.ttl),
                       done);
}

static const DeratectlVerb verb_list = {
  .name = "breaker list",
  .arguments = "[--json]",
  .summary = "Show the breakers, those that are not closed first",
  .run = run_list,
};
static const DeratectlVerb verb_trip = {
  .name = "breaker trip",
  .arguments = "BREAKER [--for 30m] [--reason TEXT]",
  .summary = "Open a breaker as failures would; it probes again after its own time or --for",
  .run = run_trip,
};
static const DeratectlVerb verb_close = {
  .name = "breaker close",
  .arguments = "BREAKER [--reason TEXT]",
  .summary = "Close a breaker with an empty window; its statistics stay",
  .run = run_close,
};
static const DeratectlVerb verb_reset = {
  .name = "breaker reset",
  .arguments = "BREAKER | --all [--reason TEXT]",
  .summary = "Close a breaker; its mode is normal and its statistics begin anew",
  .run = run_reset,
};
static const DeratectlVerb verb_mode = {
  .name = "breaker mode",
  .arguments = "BREAKER normal|disabled|metrics-only|forced-open [--for 30m] [--reason TEXT]",
  .summary = "Take a breaker out of normal working for a while, or back",
  .run = run_mode,
};

static int
run (int argc, char **argv)
{
  const DeratectlVerb *const verbs[] = { &verb_list,  &verb_trip, &verb_close,
                                         &verb_reset, &verb_mode, NULL };

  return deratectl_run_one_of (verbs, "breaker", argc - 1, argv + 1);
}

const DeratectlVerb deratectl_verb_breaker = {
  .name = "breaker",
  .arguments = "list | trip BREAKER | close BREAKER | reset BREAKER|--all | mode BREAKER MODE",
  .summary = "Show circuit breakers and work them by hand",
  .run = run,
};
