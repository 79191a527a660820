/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "deratectl.h"

#include <string.h>

DeratectlOptions deratectl_options;

const GOptionEntry deratectl_global_entries[] = {
  { "session", 0, 0, G_OPTION_ARG_NONE, &deratectl_options.session, "Look on the session bus only",
    NULL },
  { "system", 0, 0, G_OPTION_ARG_NONE, &deratectl_options.system, "Look on the system bus only",
    NULL },
  { "address", 0, 0, G_OPTION_ARG_STRING, &deratectl_options.address, "Look on the bus at A", "A" },
  { "name", 'n', 0, G_OPTION_ARG_STRING, &deratectl_options.name,
    "The program (default: the only one)", "PROGRAM" },
  { NULL },
};

const GOptionEntry deratectl_main_entries[] = {
  { "watch", 0, 0, G_OPTION_ARG_NONE, &deratectl_options.watch, "Short for status --watch", NULL },
  { "version", 0, 0, G_OPTION_ARG_NONE, &deratectl_options.version, "Show the version", NULL },
  { NULL },
};

/* While a verb is asked what it takes. */
static DeratectlShape *shape;

DeratectlShape *
deratectl_shape_new (const DeratectlVerb *verb)
{
  g_autofree char *name = g_strdup (verb->name);
  char *argv[] = { name, NULL };

  shape = g_new0 (DeratectlShape, 1);
  shape->options = g_array_new (TRUE, TRUE, sizeof (GOptionEntry));
  verb->run (1, argv);
  return g_steal_pointer (&shape);
}

void
deratectl_shape_free (DeratectlShape *old)
{
  g_clear_pointer (&old->verbs, g_ptr_array_unref);
  g_array_unref (old->options);
  g_free (old);
}

static void
shape_take_options (const GOptionEntry *entries)
{
  for (guint i = 0; entries != NULL && entries[i].long_name != NULL; i++)
    {
      GOptionEntry entry = entries[i];

      entry.arg_data = NULL; /* may be gone when the verb returns */
      g_array_append_val (shape->options, entry);
    }
}

static void
shape_take_verbs (const DeratectlVerb *const *verbs)
{
  shape->verbs = g_ptr_array_new ();
  for (guint i = 0; verbs[i] != NULL; i++)
    g_ptr_array_add (shape->verbs, (gpointer)verbs[i]);
}

/* What goes over the bus is UTF-8. */
static gboolean
check_words (const DeratectlVerb *verb, int n, char **words)
{
  for (int i = 0; i < n; i++)
    if (!verb->takes_file && !g_utf8_validate (words[i], -1, NULL))
      {
        g_autofree char *text = g_utf8_make_valid (words[i], -1);

        g_printerr ("deratectl: “%s” is not UTF-8\n", text);
        return FALSE;
      }
  return TRUE;
}

gboolean
deratectl_parse (const DeratectlVerb *verb,
                 const GOptionEntry *entries,
                 int *argc,
                 char ***argv,
                 int min,
                 int max)
{
  g_autoptr (GOptionContext) context = g_option_context_new (verb->arguments);
  g_autofree char *prgname = g_strdup_printf ("deratectl %s", verb->name);
  g_autoptr (GError) error = NULL;

  if (shape != NULL)
    {
      shape_take_options (entries);
      shape->max = (guint)max;
      return FALSE;
    }
  g_set_prgname (prgname);
  g_option_context_set_summary (context, verb->summary);
  if (entries != NULL)
    g_option_context_add_main_entries (context, entries, NULL);
  g_option_context_add_main_entries (context, deratectl_global_entries, NULL);
  if (!g_option_context_parse (context, argc, argv, &error))
    {
      g_printerr ("deratectl: %s\n", error->message);
      return FALSE;
    }
  if (*argc - 1 >= min && *argc - 1 <= max)
    return check_words (verb, *argc - 1, *argv + 1);
  g_printerr ("usage: deratectl %s %s\n", verb->name, verb->arguments);
  return FALSE;
}

int
deratectl_run_one_of (const DeratectlVerb *const *verbs, const char *group, int argc, char **argv)
{
  g_autoptr (GString) known = g_string_new (NULL);

  if (shape != NULL)
    {
      shape_take_verbs (verbs);
      return DERATECTL_USAGE;
    }
  for (guint i = 0; verbs[i] != NULL; i++)
    {
      /* In a group a verb is called by both its words: "breaker trip". */
      const char *word = group == NULL ? verbs[i]->name : verbs[i]->name + strlen (group) + 1;

      if (argc > 0 && strcmp (word, argv[0]) == 0)
        return verbs[i]->run (argc, argv);
      g_string_append_printf (known, "%s%s", i == 0 ? "" : ", ", word);
    }
  if (argc > 0)
    g_printerr ("deratectl: no verb “%s%s%s”; there are %s\n", group != NULL ? group : "",
                group != NULL ? " " : "", argv[0], known->str);
  else
    g_printerr ("usage: deratectl %s VERB: %s\n", group != NULL ? group : "", known->str);
  return DERATECTL_USAGE;
}
