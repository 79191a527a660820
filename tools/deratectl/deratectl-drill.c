/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "deratectl.h"

#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "deratectl-drill-report.h"
#include "deratectl-json.h"

/* A program that is stuck or gone tells nothing of its drills: it is asked. */
#define POLL_MS 1000

typedef struct
{
  const char *service;
  gboolean down;
  char *rate_text;
  char *latency_text;
  char *for_text;
  char *limit;
  char *reason;
  gboolean as_json;

  double rate;
  GTimeSpan latency;
  GTimeSpan duration;
} Drill;

static void
drill_clear (Drill *drill)
{
  g_free (drill->rate_text);
  g_free (drill->latency_text);
  g_free (drill->for_text);
  g_free (drill->limit);
  g_free (drill->reason);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Drill, drill_clear)

static gboolean
refuse (const char *text)
{
  g_printerr ("deratectl: %s\n", text);
  return FALSE;
}

static gboolean
parse_fault (Drill *drill)
{
  g_autoptr (GError) error = NULL;
  char *end = NULL;

  if (drill->down + (drill->rate_text != NULL) + (drill->latency_text != NULL) > 1)
    return refuse ("a drill takes one of --down, --error-rate R and --latency T");
  if (drill->rate_text != NULL)
    {
      drill->rate = g_ascii_strtod (drill->rate_text, &end);
      if (end == drill->rate_text || *end != '\0' || !(drill->rate > 0 && drill->rate <= 1))
        return refuse ("--error-rate takes more than 0 and at most 1");
    }
  if (drill->latency_text == NULL)
    return TRUE;
  if (!derate_time_span_parse (drill->latency_text, &drill->latency, &error))
    return refuse (error->message);
  return (drill->latency > 0 && drill->latency <= 5 * G_TIME_SPAN_MINUTE) ||
         refuse ("--latency takes more than 0 and at most 5m");
}

static gboolean
parse_rest (Drill *drill)
{
  g_autoptr (GError) error = NULL;
  DerateLevel level;

  if (drill->for_text == NULL)
    return refuse ("a drill needs --for TIME");
  if (!derate_time_span_parse (drill->for_text, &drill->duration, &error))
    return refuse (error->message);
  if (drill->duration < G_TIME_SPAN_SECOND || drill->duration > G_TIME_SPAN_HOUR)
    return refuse ("--for takes from 1s to 1h");
  if (drill->limit != NULL && !derate_level_from_nick (drill->limit, &level, &error))
    return refuse (error->message);
  return TRUE;
}

static gboolean
drill_parse (Drill *drill, int *argc, char ***argv)
{
  const GOptionEntry entries[] = {
    { "for", 0, 0, G_OPTION_ARG_STRING, &drill->for_text, "For how long, 1s to 1h", "60s" },
    { "down", 0, 0, G_OPTION_ARG_NONE, &drill->down, "Every call is refused (the default)", NULL },
    { "error-rate", 0, 0, G_OPTION_ARG_STRING, &drill->rate_text,
      "That share of the calls is refused, such as 0.2", "R" },
    { "latency", 0, 0, G_OPTION_ARG_STRING, &drill->latency_text,
      "Calls and checks begin so much later, such as 2s", "T" },
    { "limit", 0, 0, G_OPTION_ARG_STRING, &drill->limit,
      "Not where it would be worse (default: minimal)", "LEVEL" },
    { "reason", 0, 0, G_OPTION_ARG_STRING, &drill->reason,
      "Why, as others will see it (default: by whom)", "TEXT" },
    { "json", 0, 0, G_OPTION_ARG_NONE, &drill->as_json, "The report as JSON, and nothing else",
      NULL },
    { NULL },
  };

  if (!deratectl_parse (&deratectl_verb_drill, entries, argc, argv, 1, 1))
    return FALSE;
  drill->service = (*argv)[1];
  if (drill->reason == NULL)
    drill->reason = g_strdup_printf ("drill by %s", deratectl_get_who ());
  return parse_fault (drill) && parse_rest (drill);
}

/* The id. */
static char *
drill_begin (const Drill *drill, DeratectlProgram *program, GError **error)
{
  g_autoptr (GVariant) reply = NULL;
  GVariantDict fault;
  GVariantDict options;
  char *id = NULL;

  g_variant_dict_init (&fault, NULL);
  if (drill->rate_text != NULL)
    g_variant_dict_insert (&fault, "error-rate", "d", drill->rate);
  else if (drill->latency_text != NULL)
    g_variant_dict_insert (&fault, "latency", "t", (guint64)drill->latency);
  else
    g_variant_dict_insert (&fault, "down", "b", TRUE);
  g_variant_dict_init (&options, NULL);
  g_variant_dict_insert (&options, "reason", "s", drill->reason);
  if (drill->limit != NULL)
    g_variant_dict_insert (&options, "limit", "s", drill->limit);
  reply = deratectl_change (program, "Drill",
                            g_variant_new ("(s@a{sv}t@a{sv})", drill->service,
                                           g_variant_dict_end (&fault), (guint64)drill->duration,
                                           g_variant_dict_end (&options)),
                            "(s)", error);
  if (reply != NULL)
    g_variant_get (reply, "(s)", &id);
  return id;
}

/* At once, lest anybody wonders; where JSON is asked for, beside it. */
static void
announce (const Drill *drill, const char *id)
{
  g_autofree char *fault =
      deratectl_describe_fault (drill->rate_text != NULL      ? "error-rate"
                                : drill->latency_text != NULL ? "latency"
                                                              : "down",
                                drill->rate, (double)drill->latency / G_TIME_SPAN_SECOND);
  double seconds = (double)drill->duration / G_TIME_SPAN_SECOND;
  g_autofree char *until = deratectl_format_instant (deratectl_get_now () + seconds);
  g_autofree char *text =
      g_strdup_printf ("%s  %s for %s, until %s, at worst %s  [%s]\nCtrl-C ends it early.\n",
                       drill->service, fault, drill->for_text, until,
                       drill->limit != NULL ? drill->limit : "minimal", id);

  if (drill->as_json)
    g_printerr ("%s", text);
  else
    g_print ("%s", text);
  fflush (stdout);
}

typedef struct
{
  GMainLoop *loop;
  DeratectlProgram *program;
  const char *id;
  GError *error;
} Wait;

static gboolean
is_running (const char *json, const char *id, GError **error)
{
  g_autoptr (JsonParser) parser = deratectl_json_parse (json, error);
  JsonArray *drills;

  if (parser == NULL)
    return FALSE;
  drills = deratectl_json_array (json_node_get_object (json_parser_get_root (parser)), "drills");
  for (guint i = 0; drills != NULL && i < json_array_get_length (drills); i++)
    if (strcmp (deratectl_json_string (deratectl_json_element (drills, i), "id"), id) == 0)
      return TRUE;
  return FALSE;
}

static gboolean
on_poll (gpointer data)
{
  Wait *wait = data;
  g_autofree char *json = deratectl_dump (wait->program, "status", &wait->error);

  if (json == NULL || !is_running (json, wait->id, &wait->error))
    g_main_loop_quit (wait->loop);
  return G_SOURCE_CONTINUE;
}

static gboolean
on_signal (gpointer data)
{
  Wait *wait = data;

  g_main_loop_quit (wait->loop);
  return G_SOURCE_CONTINUE;
}

/* Until the drill is over, or somebody wants it to be. Says what is going on once a signal can do
 * no harm. */
static gboolean
wait_for_end (const Drill *drill, DeratectlProgram *program, const char *id, GError **error)
{
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  Wait wait = { loop, program, id, NULL };
  guint sources[] = {
    g_unix_signal_add (SIGINT, on_signal, &wait),
    g_unix_signal_add (SIGTERM, on_signal, &wait),
    g_unix_signal_add (SIGHUP, on_signal, &wait),
    g_timeout_add (POLL_MS, on_poll, &wait),
  };

  announce (drill, id);
  g_main_loop_run (loop);
  for (guint i = 0; i < G_N_ELEMENTS (sources); i++)
    g_source_remove (sources[i]);
  if (wait.error == NULL)
    return TRUE;
  g_propagate_error (error, wait.error);
  return FALSE;
}

/* The program has gone, and the drill with it. */
static int
fail_without_report (const char *id, GError *error)
{
  g_autofree char *text = NULL;

  g_dbus_error_strip_remote_error (error);
  text = deratectl_clean (error->message);
  g_printerr ("deratectl: drill %s ended without a report: %s\n", id, text);
  return DERATECTL_FAILED;
}

static int
finish (const Drill *drill, DeratectlProgram *program, const char *id)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) reply =
      deratectl_change (program, "StopDrill", g_variant_new ("(s)", id), "(a{sv})", &error);
  g_autoptr (GVariant) report = NULL;
  g_autofree char *json = NULL;

  if (reply == NULL)
    return fail_without_report (id, error);
  report = g_variant_get_child_value (reply, 0);
  if (!drill->as_json)
    return deratectl_print_report (report);
  json = derate_json_from_variant (report);
  puts (json); /* UTF-8 whatever the locale, which g_print () would convert to */
  return deratectl_get_exit_of_report (report);
}

static int
run (int argc, char **argv)
{
  g_auto (Drill) drill = { 0 };
  g_autoptr (GError) error = NULL;
  g_autoptr (DeratectlProgram) program = NULL;
  g_autofree char *id = NULL;

  if (!drill_parse (&drill, &argc, &argv))
    return DERATECTL_USAGE;
  program = deratectl_find_program (&error);
  id = program != NULL ? drill_begin (&drill, program, &error) : NULL;
  if (id == NULL)
    return deratectl_fail (error);
  if (!wait_for_end (&drill, program, id, &error))
    return fail_without_report (id, error);
  return finish (&drill, program, id);
}

const DeratectlVerb deratectl_verb_drill = {
  .name = "drill",
  .arguments = "SERVICE --for 60s [--down|--error-rate R|--latency T] [--limit LEVEL]",
  .summary = "Let a service play dead inside the program, and report what happened",
  .run = run,
};
