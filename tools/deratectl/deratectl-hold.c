/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "deratectl.h"

#include <string.h>

#include "deratectl-launch.h"

typedef struct
{
  const char *level;
  gboolean exact;
  char *reason;
  char *who;
  char *ttl_text;
  GTimeSpan ttl;
  char **command; /* the words after --, or NULL */
} Hold;

static void
hold_clear (Hold *hold)
{
  g_free (hold->reason);
  g_free (hold->who);
  g_free (hold->ttl_text);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Hold, hold_clear)

/* Takes the command off @argv: GOption would look for options of ours in it. */
static char **
split_command (int *argc, char **argv)
{
  for (int i = 1; i < *argc; i++)
    if (strcmp (argv[i], "--") == 0)
      {
        *argc = i;
        argv[i] = NULL;
        return argv + i + 1;
      }
  return NULL;
}

static gboolean
refuse (const char *text)
{
  g_printerr ("deratectl: %s\n", text);
  return FALSE;
}

static gboolean
hold_check (Hold *hold)
{
  g_autoptr (GError) error = NULL;
  DerateLevel level;

  if (!derate_level_from_nick (hold->level, &level, &error))
    return refuse (error->message);
  if (hold->reason == NULL || *hold->reason == '\0')
    return refuse ("a hold needs --reason TEXT");
  if ((hold->ttl_text != NULL) == (hold->command != NULL))
    return refuse ("a hold needs either --for TIME or -- COMMAND");
  if (hold->command != NULL && hold->command[0] == NULL)
    return refuse ("no command after --");
  if (hold->ttl_text != NULL && !derate_time_span_parse (hold->ttl_text, &hold->ttl, &error))
    return refuse (error->message);
  if (hold->ttl_text != NULL &&
      (hold->ttl < G_TIME_SPAN_SECOND || hold->ttl > 24 * G_TIME_SPAN_HOUR))
    return refuse ("--for takes from 1s to 24h");
  return TRUE;
}

static gboolean
hold_parse (Hold *hold, const DeratectlVerb *verb, int *argc, char ***argv)
{
  GOptionEntry entries[] = {
    { "reason", 0, 0, G_OPTION_ARG_STRING, &hold->reason, "Why, as others will see it", "TEXT" },
    { "for", 0, 0, G_OPTION_ARG_STRING, &hold->ttl_text, "For how long, 1s to 24h", "30m" },
    { "who", 0, 0, G_OPTION_ARG_STRING, &hold->who, "Who asks (default: the user)", "NAME" },
    { "exact", 0, 0, G_OPTION_ARG_NONE, &hold->exact, "That level, even while things are worse",
      NULL },
    { NULL },
  };

  if (hold->exact) /* said by the verb */
    entries[G_N_ELEMENTS (entries) - 2].long_name = NULL;

  hold->command = split_command (argc, *argv);
  if (!deratectl_parse (verb, entries, argc, argv, 1, 1))
    return FALSE;
  hold->level = (*argv)[1];
  if (hold->who == NULL)
    hold->who = g_strdup (deratectl_get_who ());
  return hold_check (hold);
}

static char *
hold_take (Hold *hold, DeratectlProgram *program, GError **error)
{
  g_autoptr (GVariant) reply = NULL;
  GVariantDict options;
  char *id = NULL;

  g_variant_dict_init (&options, NULL);
  g_variant_dict_insert (&options, "bind", "s", hold->command != NULL ? "caller" : "none");
  reply =
      deratectl_change (program, "Hold",
                        g_variant_new ("(sssst@a{sv})", hold->level,
                                       hold->exact ? "exact" : "at-least", hold->who, hold->reason,
                                       (guint64)hold->ttl, g_variant_dict_end (&options)),
                        "(s)", error);
  if (reply != NULL)
    g_variant_get (reply, "(s)", &id);
  return id;
}

static int
run_verb (const DeratectlVerb *verb, int argc, char **argv)
{
  g_auto (Hold) hold = { .exact = verb == &deratectl_verb_force };
  g_autoptr (GError) error = NULL;
  g_autoptr (DeratectlProgram) program = NULL;
  g_autofree char *id = NULL;

  if (!hold_parse (&hold, verb, &argc, &argv))
    return DERATECTL_USAGE;
  program = deratectl_find_program (&error);
  id = program != NULL ? hold_take (&hold, program, &error) : NULL;
  if (id == NULL)
    return deratectl_fail (error);
  if (hold.command != NULL)
    return deratectl_launch (program, id, hold.command);
  g_print ("%s  %s %s for %s\n", id, hold.exact ? "exactly" : "at least", hold.level,
           hold.ttl_text);
  return DERATECTL_DONE;
}

static int
run_hold (int argc, char **argv)
{
  return run_verb (&deratectl_verb_hold, argc, argv);
}

static int
run_force (int argc, char **argv)
{
  return run_verb (&deratectl_verb_force, argc, argv);
}

const DeratectlVerb deratectl_verb_hold = {
  .name = "hold",
  .arguments = "LEVEL --reason TEXT (--for 30m | -- COMMAND) [--exact]",
  .summary = "Hold the program at a level or worse, for a time or while a command runs",
  .run = run_hold,
};

const DeratectlVerb deratectl_verb_force = {
  .name = "force",
  .arguments = "LEVEL --reason TEXT (--for 30m | -- COMMAND)",
  .summary = "hold --exact: hold the program at that level even while things are worse",
  .run = run_force,
};
