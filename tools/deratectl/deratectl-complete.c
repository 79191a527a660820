/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "deratectl-complete.h"

#include <string.h>
#include <unistd.h>

#include "deratectl-json.h"
#include "deratectl.h"

/* Nobody waits longer for a key. */
#define ANSWER_TIMEOUT_MS 500
#define DEADLINE_SECONDS 2

/* The words before the last one, as understood so far. */
typedef struct
{
  const DeratectlVerb *verb; /* NULL before it */
  DeratectlShape *shape; /* of the verb */
  const GOptionEntry *waiting; /* an option that still needs its value */
  guint n_words; /* of the verb, without options */
  gboolean in_command; /* past -- */
  guint n_command;
  gboolean lost;
} Line;

static void
offer (const char *before, const char *typed, const char *word, const char *description)
{
  g_autofree char *clean = deratectl_clean (description != NULL ? description : "");

  if (g_str_has_prefix (word, typed))
    g_print ("%s%s\t%s\n", before, word, clean);
}

static gboolean
takes_value (const GOptionEntry *option)
{
  return option->arg != G_OPTION_ARG_NONE;
}

/* Those that go here: of the verb, with every verb, and before one. */
static const GOptionEntry *
find_option (const Line *line, const char *name, gsize length)
{
  const GOptionEntry *own = line->shape != NULL ? (gpointer)line->shape->options->data : NULL;
  const GOptionEntry *lists[] = { own, deratectl_global_entries,
                                  line->verb == NULL ? deratectl_main_entries : NULL };

  for (guint i = 0; i < G_N_ELEMENTS (lists); i++)
    for (const GOptionEntry *o = lists[i]; o != NULL && o->long_name != NULL; o++)
      if (name[0] == '-' && name[1] == '-'
              ? strlen (o->long_name) == length - 2 &&
                    strncmp (o->long_name, name + 2, length - 2) == 0
              : length == 2 && o->short_name != 0 && o->short_name == name[1])
        return o;
  return NULL;
}

/* Which bus and which program, since those will be asked; the rest is the verb's. */
static void
take_option (const GOptionEntry *option, const char *value)
{
  if (option->arg_data == NULL)
    return;
  if (takes_value (option))
    *(char **)option->arg_data = g_strdup (value);
  else
    *(gboolean *)option->arg_data = TRUE;
}

static void
line_take_option (Line *line, const char *word)
{
  const char *equals = strchr (word, '=');
  const GOptionEntry *option =
      find_option (line, word, equals != NULL ? (gsize)(equals - word) : strlen (word));

  if (option == NULL)
    return;
  if (takes_value (option) && equals == NULL)
    line->waiting = option;
  else
    take_option (option, equals != NULL ? equals + 1 : NULL);
}

/* In a group a verb is called by both its words: "breaker trip". */
static const char *
get_own_word (const DeratectlVerb *verb)
{
  const char *space = strchr (verb->name, ' ');

  return space != NULL ? space + 1 : verb->name;
}

static const DeratectlVerb *const *
get_verbs (const Line *line)
{
  if (line->verb == NULL)
    return deratectl_verbs;
  return line->shape->verbs != NULL ? (gpointer)line->shape->verbs->pdata : NULL;
}

static guint
count_verbs (const Line *line)
{
  return line->verb == NULL ? g_strv_length ((char **)deratectl_verbs) : line->shape->verbs->len;
}

static void
line_take_verb (Line *line, const char *word)
{
  const DeratectlVerb *const *verbs = get_verbs (line);

  for (guint i = 0; i < count_verbs (line); i++)
    if (strcmp (get_own_word (verbs[i]), word) == 0)
      {
        const DeratectlVerb *verb = verbs[i];

        g_clear_pointer (&line->shape, deratectl_shape_free);
        line->verb = verb;
        line->shape = deratectl_shape_new (verb);
        return;
      }
  line->lost = TRUE;
}

static void
line_take (Line *line, const char *word)
{
  if (line->in_command)
    line->n_command++;
  else if (line->waiting != NULL && strcmp (word, "=") == 0)
    return; /* bash makes three words of --name=shop */
  else if (line->waiting != NULL)
    take_option (g_steal_pointer (&line->waiting), word);
  else if (strcmp (word, "--") == 0)
    line->in_command = TRUE;
  else if (word[0] == '-' && word[1] != '\0')
    line_take_option (line, word);
  else if (get_verbs (line) != NULL)
    line_take_verb (line, word);
  else
    line->n_words++;
}

static JsonObject *
ask (const char *what, JsonParser **parser)
{
  g_autoptr (DeratectlProgram) program = deratectl_find_program (NULL);
  g_autofree char *json = program != NULL ? deratectl_dump (program, what, NULL) : NULL;

  *parser = json != NULL ? deratectl_json_parse (json, NULL) : NULL;
  return *parser != NULL ? json_node_get_object (json_parser_get_root (*parser)) : NULL;
}

static void
offer_members (const char *before, const char *typed, JsonObject *object, const char *member)
{
  g_autoptr (GList) names = object != NULL ? json_object_get_members (object) : NULL;

  for (GList *l = names; l != NULL; l = l->next)
    offer (before, typed, l->data,
           deratectl_json_string (deratectl_json_object (object, l->data), member));
}

static void
offer_services (const char *before, const char *typed)
{
  g_autoptr (JsonParser) parser = NULL;
  JsonObject *status = ask ("status", &parser);

  offer_members (before, typed, deratectl_json_object (status, "services"), "status");
}

static void
offer_breakers (const char *before, const char *typed)
{
  g_autoptr (JsonParser) parser = NULL;
  JsonObject *breakers = ask ("breakers", &parser);

  offer_members (before, typed, breakers, "state");
}

static void
offer_holds (const char *before, const char *typed)
{
  g_autoptr (JsonParser) parser = NULL;
  JsonArray *holds = deratectl_json_array (ask ("status", &parser), "holds");

  for (guint i = 0; holds != NULL && i < json_array_get_length (holds); i++)
    {
      JsonObject *hold = deratectl_json_element (holds, i);
      g_autofree char *text =
          g_strdup_printf ("%s, by %s: %s", deratectl_json_string (hold, "level"),
                           deratectl_json_string (hold, "who"),
                           deratectl_json_string (hold, "reason"));

      offer (before, typed, deratectl_json_string (hold, "id"), text);
    }
}

static void
offer_programs (const char *before, const char *typed)
{
  g_autoptr (GPtrArray) programs = deratectl_find_programs (NULL);

  for (guint i = 0; programs != NULL && i < programs->len; i++)
    offer (before, typed, ((DeratectlProgram *)g_ptr_array_index (programs, i))->name, NULL);
}

static void
offer_levels (const char *before, const char *typed)
{
  g_autoptr (GEnumClass) levels = g_type_class_ref (DERATE_TYPE_LEVEL);

  for (guint i = 0; i < levels->n_values; i++)
    if (levels->values[i].value != DERATE_LEVEL_UNKNOWN)
      offer (before, typed, levels->values[i].value_nick, NULL);
}

static void
offer_files (const char *before, const char *typed)
{
  g_print (":file\n");
}

/* What a word of the usage, or of an option's help, stands for; those with | in it are the words
 * themselves. */
static void
offer_values (const char *kind, const char *before, const char *typed)
{
  static const struct
  {
    const char *kind;
    void (*offer) (const char *before, const char *typed);
  } kinds[] = {
    { "BREAKER", offer_breakers }, { "FILE", offer_files },       { "ID", offer_holds },
    { "LEVEL", offer_levels },     { "PROGRAM", offer_programs }, { "SERVICE", offer_services },
  };
  g_auto (GStrv) words = g_strsplit (kind, "|", -1);

  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    if (strcmp (kinds[i].kind, kind) == 0)
      kinds[i].offer (before, typed);
  for (guint i = 0; words[0] != NULL && words[1] != NULL && words[i] != NULL; i++)
    offer (before, typed, words[i], NULL);
}

static void
offer_options (const char *typed, const GOptionEntry *options)
{
  for (guint i = 0; options != NULL && options[i].long_name != NULL; i++)
    {
      g_autofree char *word = g_strconcat ("--", options[i].long_name, NULL);

      if ((options[i].flags & G_OPTION_FLAG_HIDDEN) == 0)
        offer ("", typed, word, options[i].description);
    }
}

static const GOptionEntry *
get_own_options (const Line *line)
{
  return line->shape != NULL ? (gpointer)line->shape->options->data : deratectl_main_entries;
}

static void
offer_all_options (const Line *line, const char *typed)
{
  offer_options (typed, get_own_options (line));
  offer_options (typed, deratectl_global_entries);
  offer ("", typed, "--help", "Show what there is");
}

/* The usage tells what a word is: "LEVEL --reason TEXT (--for 30m | -- COMMAND)" takes one. */
static char *
dup_kind (const Line *line, guint n)
{
  g_auto (GStrv) tokens = g_strsplit_set (line->verb->arguments, " []()", -1);
  gboolean is_value = FALSE;

  for (guint i = 0; tokens[i] != NULL; i++)
    {
      const char *option = g_strrstr (tokens[i], "--");
      const GOptionEntry *entry =
          option != NULL ? find_option (line, option, strlen (option)) : NULL;
      gboolean is_word = option == NULL && !is_value && strcmp (tokens[i], "|") != 0;

      if (option != NULL && option[2] == '\0') /* the command follows */
        return NULL;
      if (tokens[i][0] == '\0')
        continue;
      if (is_word && n-- == 0)
        return g_strdup (tokens[i]);
      is_value = entry != NULL && takes_value (entry);
    }
  return NULL;
}

static void
offer_words (const Line *line, const char *typed)
{
  const DeratectlVerb *const *verbs = get_verbs (line);
  g_autofree char *kind = NULL;

  for (guint i = 0; verbs != NULL && i < count_verbs (line); i++)
    offer ("", typed, get_own_word (verbs[i]), verbs[i]->summary);
  if (verbs != NULL)
    return;
  kind = line->n_words < line->shape->max ? dup_kind (line, line->n_words) : NULL;
  if (kind != NULL)
    offer_values (kind, "", typed);
  else
    offer_options (typed, get_own_options (line));
}

static void
offer_last (Line *line, const char *last)
{
  const char *equals = g_str_has_prefix (last, "--") ? strchr (last, '=') : NULL;
  const GOptionEntry *option =
      equals != NULL ? find_option (line, last, (gsize)(equals - last)) : NULL;
  g_autofree char *before = equals != NULL ? g_strndup (last, (gsize)(equals - last) + 1) : NULL;

  if (line->in_command)
    g_print (line->n_command == 0 ? ":command\n" : ":file\n");
  else if (line->waiting != NULL && line->waiting->arg_description != NULL)
    offer_values (line->waiting->arg_description, "", strcmp (last, "=") == 0 ? "" : last);
  else if (option != NULL && option->arg_description != NULL)
    offer_values (option->arg_description, before, equals + 1);
  else if (*last == '-')
    offer_all_options (line, last);
  else if (!line->lost)
    offer_words (line, last);
}

static void
on_deadline (int number)
{
  _exit (DERATECTL_FAILED);
}

int
deratectl_complete (guint n_words, char **words)
{
  Line line = { NULL };

  signal (SIGALRM, on_deadline);
  alarm (DEADLINE_SECONDS);
  deratectl_read_timeout = ANSWER_TIMEOUT_MS;
  for (guint i = 0; i + 1 < n_words; i++)
    line_take (&line, words[i]);
  offer_last (&line, n_words > 0 ? words[n_words - 1] : "");
  g_clear_pointer (&line.shape, deratectl_shape_free);
  return DERATECTL_DONE;
}
