/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-debug-private.h"

#include "derate-error.h"
#include "derate-names-private.h"
#include "derate-redact.h"

static const GDebugKey keys[] = {
  { "breaker", DERATE_DEBUG_BREAKER }, { "config", DERATE_DEBUG_CONFIG },
  { "health", DERATE_DEBUG_HEALTH },   { "level", DERATE_DEBUG_LEVEL },
  { "plugin", DERATE_DEBUG_PLUGIN },
};

/* What g_parse_debug_string () knows besides, and what it takes for the end of a word. */
static const char *const more_words[] = { "all", "help", "" };
#define DELIMITERS ":;, \t"

guint derate_debug_subjects = G_MAXUINT;

gboolean
derate_debug_is_asked_for (DerateDebugSubject subject)
{
  static gsize once = 0;

  if (g_once_init_enter (&once))
    {
      guint subjects =
          g_parse_debug_string (g_getenv (DERATE_ENV_DEBUG), keys, G_N_ELEMENTS (keys));

      __atomic_store_n (&derate_debug_subjects, subjects, __ATOMIC_RELAXED);
      g_once_init_leave (&once, 1);
    }
  return (__atomic_load_n (&derate_debug_subjects, __ATOMIC_RELAXED) & subject) != 0;
}

static const char *
name_of (DerateDebugSubject subject)
{
  for (guint i = 0; i < G_N_ELEMENTS (keys); i++)
    if (keys[i].value == subject)
      return keys[i].key;
  return NULL;
}

void
derate_debug_note (DerateDebugSubject subject, const char *format, ...)
{
  g_autofree char *text = NULL;
  g_autofree char *redacted = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  redacted = derate_redact (text);
  /* A level that the default writer shows: who set the variable wants to see it. */
  g_message ("%s: %s", name_of (subject), redacted);
}

static gboolean
is_word (const char *word)
{
  for (guint i = 0; i < G_N_ELEMENTS (keys); i++)
    if (g_ascii_strcasecmp (keys[i].key, word) == 0)
      return TRUE;
  for (guint i = 0; i < G_N_ELEMENTS (more_words); i++)
    if (g_ascii_strcasecmp (more_words[i], word) == 0)
      return TRUE;
  return FALSE;
}

gboolean
derate_debug_check_environment (GError **error)
{
  const char *text = g_getenv (DERATE_ENV_DEBUG);
  g_auto (GStrv) words = g_strsplit_set (text != NULL ? text : "", DELIMITERS, -1);

  for (guint i = 0; words[i] != NULL; i++)
    if (!is_word (words[i]))
      {
        g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG,
                     "environment variable %s: “%s” is none of all, breaker, config, health, "
                     "help, level, plugin",
                     DERATE_ENV_DEBUG, words[i]);
        return FALSE;
      }
  derate_debug_is_asked_for (0); /* “help” is answered here, if nothing else asks */
  return TRUE;
}
