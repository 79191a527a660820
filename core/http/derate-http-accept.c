/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-http-accept-private.h"

#include <string.h>

#define QUALITY_MAX 1000 /* qualities are thousandths */

/* In the order in which they win at the same quality. */
static const DerateHttpExposition expositions[] = {
  { "application/openmetrics-text", "1.0.0", DERATE_METRICS_FORMAT_OPENMETRICS,
    "application/openmetrics-text; version=1.0.0; charset=utf-8" },
  { "application/openmetrics-text", "0.0.1", DERATE_METRICS_FORMAT_OPENMETRICS,
    "application/openmetrics-text; version=0.0.1; charset=utf-8" },
  { "text/plain", "0.0.4", DERATE_METRICS_FORMAT_TEXT, "text/plain; version=0.0.4; charset=utf-8" },
};

/* One of the things that a header lists. */
typedef struct
{
  char *name;
  char *version; /* nullable */
  guint quality;
} Wish;

static void
wish_free (gpointer data)
{
  Wish *wish = data;

  g_free (wish->name);
  g_free (wish->version);
  g_free (wish);
}

/* Up to the next @end that is not in quotes; moves @text behind it. */
static char *
take_part (const char **text, char end)
{
  const char *start = *text;
  const char *p = start;
  gboolean quoted = FALSE;

  for (; *p != '\0' && (quoted || *p != end); p++)
    {
      if (quoted && *p == '\\' && p[1] != '\0')
        p++;
      else if (*p == '"')
        quoted = !quoted;
    }
  *text = *p != '\0' ? p + 1 : p;
  return g_strstrip (g_strndup (start, (gsize)(p - start)));
}

/* `0.5` as 500. */
static gboolean
read_quality (const char *text, guint *quality)
{
  guint place = QUALITY_MAX / 10;

  if ((text[0] != '0' && text[0] != '1') || (text[1] != '\0' && text[1] != '.'))
    return FALSE;
  *quality = text[0] == '1' ? QUALITY_MAX : 0;
  if (text[1] == '\0')
    return TRUE;
  for (text += 2; g_ascii_isdigit (*text); text++, place /= 10)
    *quality += place * (guint)g_ascii_digit_value (*text);
  return *text == '\0' && *quality <= QUALITY_MAX;
}

static char *
unquote (const char *value)
{
  gsize length = strlen (value);

  if (length >= 2 && value[0] == '"' && value[length - 1] == '"')
    return g_strndup (value + 1, length - 2);
  return g_strdup (value);
}

/* A parameter `name=value`. */
static gboolean
take_parameter (Wish *wish, const char *parameter)
{
  const char *equals = strchr (parameter, '=');
  g_autofree char *name = NULL;

  if (equals == NULL)
    return *parameter == '\0';
  name = g_strstrip (g_strndup (parameter, (gsize)(equals - parameter)));
  while (*++equals == ' ')
    ;
  if (g_ascii_strcasecmp (name, "q") == 0)
    return read_quality (equals, &wish->quality);
  if (g_ascii_strcasecmp (name, "version") == 0)
    {
      g_free (wish->version);
      wish->version = unquote (equals);
    }
  return TRUE;
}

/* NULL where it cannot be read. */
static Wish *
read_wish (const char *text)
{
  Wish *wish = g_new0 (Wish, 1);
  gboolean valid;

  wish->name = take_part (&text, ';');
  wish->quality = QUALITY_MAX;
  valid = *wish->name != '\0';
  while (valid && *text != '\0')
    {
      g_autofree char *parameter = take_part (&text, ';');

      valid = take_parameter (wish, parameter);
    }
  if (!valid)
    g_clear_pointer (&wish, wish_free);
  return wish;
}

/* What cannot be read is left out. */
static GPtrArray *
read_wishes (const char *header)
{
  GPtrArray *wishes = g_ptr_array_new_with_free_func (wish_free);

  while (header != NULL && *header != '\0')
    {
      g_autofree char *part = take_part (&header, ',');
      Wish *wish = read_wish (part);

      if (wish != NULL)
        g_ptr_array_add (wishes, wish);
    }
  return wishes;
}

/* How closely a wish speaks of an exposition; 0 for not at all. */
static guint
rate (const Wish *wish, const DerateHttpExposition *exposition)
{
  if (g_ascii_strcasecmp (wish->name, exposition->range) == 0)
    {
      if (wish->version == NULL)
        return 3;
      return strcmp (wish->version, exposition->version) == 0 ? 4 : 0;
    }
  if (exposition->format != DERATE_METRICS_FORMAT_TEXT)
    return 0;
  if (g_ascii_strcasecmp (wish->name, "text/*") == 0)
    return 2;
  return strcmp (wish->name, "*/*") == 0 ? 1 : 0;
}

static guint
find_quality (GPtrArray *wishes, const DerateHttpExposition *exposition)
{
  guint quality = 0;
  guint closest = 0;

  for (guint i = 0; i < wishes->len; i++)
    {
      const Wish *wish = g_ptr_array_index (wishes, i);
      guint rating = rate (wish, exposition);

      if (rating > closest || (rating > 0 && rating == closest && wish->quality > quality))
        {
          closest = rating;
          quality = wish->quality;
        }
    }
  return quality;
}

const DerateHttpExposition *
derate_http_negotiate (const char *accept)
{
  g_autoptr (GPtrArray) wishes = read_wishes (accept);
  const DerateHttpExposition *best = &expositions[G_N_ELEMENTS (expositions) - 1];
  guint best_quality = 0;

  for (guint i = 0; i < G_N_ELEMENTS (expositions); i++)
    {
      guint quality = find_quality (wishes, &expositions[i]);

      if (quality > best_quality)
        {
          best = &expositions[i];
          best_quality = quality;
        }
    }
  return best;
}

gboolean
derate_http_accepts_gzip (const char *accept_encoding)
{
  g_autoptr (GPtrArray) wishes = read_wishes (accept_encoding);
  int gzip = -1;
  int any = -1;
  int identity = -1;

  for (guint i = 0; i < wishes->len; i++)
    {
      const Wish *wish = g_ptr_array_index (wishes, i);
      int quality = (int)wish->quality;

      if (g_ascii_strcasecmp (wish->name, "gzip") == 0 ||
          g_ascii_strcasecmp (wish->name, "x-gzip") == 0)
        gzip = MAX (gzip, quality);
      else if (strcmp (wish->name, "*") == 0)
        any = quality;
      else if (g_ascii_strcasecmp (wish->name, "identity") == 0)
        identity = quality;
    }
  if (gzip < 0)
    gzip = any;
  return gzip > 0 && gzip >= identity;
}
