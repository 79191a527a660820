/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-redact.h"

#include <string.h>

/* One pass over the bytes. At each place the rules are asked in turn; the first that finds a secret
 * there writes what may be seen of it and says how many bytes it has dealt with. A rule looks at
 * bytes only, never at characters, so that text in no known encoding does no harm. It looks far
 * ahead only where few places let it: the whole is linear, whoever wrote the text. */

#define MASK "***"

#define SPACES " \t\r\n\v\f"
#define QUOTES "\"'`<>"
#define WORD "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
#define UPPER_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
#define BASE64 WORD "+/=-"

/* Names whose value is a secret wherever they stand: the whole name or the end of it. */
static const char *const secret_names[] = {
  "password",      "passwd",      "passphrase",  "secret",        "token",     "api_key",
  "apikey",        "access_key",  "secret_key",  "pwd",           "signature", "credential",
  "access_key_id", "private_key", "requirepass", "authorization",
};

/* Names that are so only as a parameter of a URI; elsewhere they are ordinary words. */
static const char *const secret_parameters[] = { "key", "sig", "auth", "pass", "code" };

/* Names that also name a secret as `name: value`, as a header or a line of YAML has it. */
static const char *const secret_headers[] = {
  "password", "passwd", "api_key", "apikey", "secret_key", "access_key", "authorization",
};

typedef struct
{
  const char *text;
  const char *token_end; /* of the word last looked into, and its last @ */
  const char *last_at;
} Scan;

static gboolean
is_one_of (char c, const char *set)
{
  return c != '\0' && strchr (set, c) != NULL;
}

/* Whether a word may begin at @p. */
static gboolean
at_boundary (const char *text, const char *p)
{
  return p == text || !is_one_of (p[-1], WORD);
}

/* Whether @name, compared without case and with - for _, ends in one of @names as a whole word. */
static gboolean
name_matches (const char *name, gsize length, const char *const *names, gsize n_names)
{
  g_autofree char *lower = g_ascii_strdown (name, (gssize)length);

  g_strdelimit (lower, "-.", '_');
  for (gsize i = 0; i < n_names; i++)
    {
      gsize tail = strlen (names[i]);

      if (length >= tail && strcmp (lower + length - tail, names[i]) == 0)
        return TRUE;
    }
  return FALSE;
}

/* The value at @p: quoted up to its closing quote, else up to one of @stops. */
static gsize
value_length (const char *p, const char *stops)
{
  gsize n = 0;

  if (*p != '"' && *p != '\'')
    {
      while (p[n] != '\0' && !is_one_of (p[n], stops))
        n += p[n] == '\\' && p[n + 1] != '\0' ? 2 : 1;
      return n;
    }
  for (n = 1; p[n] != '\0' && p[n] != *p; n++)
    if (p[n] == '\\' && p[n + 1] != '\0')
      n++;
  return p[n] != '\0' ? n + 1 : n;
}

/* Writes all of @p up to @value, and a mask for what follows. */
static gsize
mask_value (GString *out, const char *p, gsize value, gsize length)
{
  if (length == 0)
    return 0;
  g_string_append_len (out, p, (gssize)value);
  g_string_append (out, MASK);
  return value + length;
}

/* The last @ of the word that @p stands in; looked for once a word. */
static const char *
find_last_at (Scan *scan, const char *p)
{
  if (p >= scan->token_end)
    {
      gsize length = strcspn (p, SPACES "\"<>");

      scan->token_end = p + length;
      scan->last_at = g_strrstr_len (p, (gssize)length, "@");
    }
  return scan->last_at;
}

/* scheme://user:password@host */
static gsize
redact_userinfo (Scan *scan, const char *p, GString *out)
{
  gsize authority;
  const char *colon;
  const char *at;

  if (strncmp (p, "://", 3) != 0)
    return 0;
  at = find_last_at (scan, p);
  colon = at != NULL && at > p + 3 ? memchr (p + 3, ':', (gsize)(at - p - 3)) : NULL;
  if (colon == NULL)
    return 0;

  /* A password with a raw slash in it hides its @ behind the path; a port has digits only. */
  authority = 3 + strcspn (p + 3, "/?#" SPACES "\"<>");
  if (colon >= p + authority)
    return 0;
  if (at >= p + authority)
    {
      const char *near = g_strrstr_len (p, (gssize)authority, "@");

      if (near != NULL && near > colon)
        at = near;
      else if (colon + 1 + strspn (colon + 1, "0123456789") == p + authority)
        return 0;
    }
  return mask_value (out, p, (gsize)(colon + 1 - p), (gsize)(at - colon - 1));
}

/* name=value, "name": "value", name: value */
static gsize
redact_named (Scan *scan, const char *p, GString *out)
{
  const char *text = scan->text;
  gboolean parameter = p > text && (p[-1] == '?' || p[-1] == '&');
  gboolean quoted;
  gboolean secret;
  gsize name;
  gsize sign;

  if (!at_boundary (text, p) || (p > text && is_one_of (p[-1], "-.")))
    return 0;
  name = strspn (p, WORD "-.");
  if (name == 0)
    return 0;
  sign = name;
  quoted = p > text && is_one_of (p[-1], "\"'") && p[name] == p[-1];
  sign += quoted ? 1 : 0;
  sign += strspn (p + sign, SPACES);

  secret = name_matches (p, name, secret_names, G_N_ELEMENTS (secret_names));
  if (parameter && !secret)
    secret = name_matches (p, name, secret_parameters, G_N_ELEMENTS (secret_parameters));
  if (p[sign] == ':' && !quoted)
    secret = name_matches (p, name, secret_headers, G_N_ELEMENTS (secret_headers)) &&
             is_one_of (p[sign + 1], SPACES);
  if (!secret || (p[sign] != '=' && p[sign] != ':'))
    return 0;

  sign++;
  sign += strspn (p + sign, " \t");
  /* "Authorization: Bearer abc": the scheme may be seen. */
  if (g_ascii_strncasecmp (p + sign, "bearer ", 7) == 0)
    sign += 7;
  else if (g_ascii_strncasecmp (p + sign, "basic ", 6) == 0)
    sign += 6;
  return mask_value (out, p, sign,
                     value_length (p + sign, parameter ? "&#;," SPACES QUOTES
                                             : quoted  ? ",}]" SPACES
                                                       : SPACES));
}

/* Bearer abc, Basic abc */
static gsize
redact_scheme (Scan *scan, const char *p, GString *out)
{
  gsize scheme = g_ascii_strncasecmp (p, "bearer ", 7) == 0  ? 7
                 : g_ascii_strncasecmp (p, "basic ", 6) == 0 ? 6
                                                             : 0;
  gsize length;

  if (scheme == 0 || !at_boundary (scan->text, p))
    return 0;
  length = strspn (p + scheme, BASE64 ".~");
  /* "bearer of news" is no secret; a header is written with a capital. */
  if (length < 8 && strncmp (p, "Bearer ", 7) != 0)
    return 0;
  return mask_value (out, p, scheme, length);
}

/* sk-abc, as OpenAI and its like have them, also cut short by stars */
static gsize
redact_api_key (Scan *scan, const char *p, GString *out)
{
  gsize length;

  if (strncmp (p, "sk-", 3) != 0 || !at_boundary (scan->text, p) ||
      (p > scan->text && p[-1] == '-'))
    return 0;
  length = strspn (p + 3, WORD "-*");
  return length >= 6 ? mask_value (out, p, 3, length) : 0;
}

static gboolean
has_one_of (const char *p, gsize length, const char *set)
{
  for (gsize i = 0; i < length; i++)
    if (is_one_of (p[i], set))
      return TRUE;
  return FALSE;
}

/* AKIA and ASIA ids, and the 40 characters of base64 of a secret access key */
static gsize
redact_aws (Scan *scan, const char *p, GString *out)
{
  gsize length;

  if (!at_boundary (scan->text, p))
    return 0;
  if (strncmp (p, "AKIA", 4) == 0 || strncmp (p, "ASIA", 4) == 0)
    {
      length = strspn (p, UPPER_DIGITS);
      if (length == 20)
        return mask_value (out, p, 4, 16);
    }

  if (p > scan->text && is_one_of (p[-1], BASE64 ".:"))
    return 0;
  length = strspn (p, BASE64);
  if (length != 40 || *p == '/' || memchr (p, '-', length) != NULL || p[length] == '.')
    return 0;
  if (!has_one_of (p, length, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") ||
      !has_one_of (p, length, "abcdefghijklmnopqrstuvwxyz") ||
      !has_one_of (p, length, "0123456789"))
    return 0;
  return mask_value (out, p, 0, length);
}

typedef gsize (*Rule) (Scan *scan, const char *p, GString *out);

static const Rule rules[] = {
  redact_userinfo, redact_named, redact_scheme, redact_api_key, redact_aws,
};

static gsize
apply_rules (Scan *scan, const char *p, GString *out)
{
  for (gsize i = 0; i < G_N_ELEMENTS (rules); i++)
    {
      gsize consumed = rules[i](scan, p, out);

      if (consumed > 0)
        return consumed;
    }
  return 0;
}

/**
 * derate_redact:
 * @text: (nullable): any text, such as an error message or a URI
 *
 * Takes secrets out of a text before it is shown, logged or sent: the password in a URI or a
 * keyword connection string, parameters such as `token` or `signature`, what follows `Bearer`, and
 * the known shapes of API keys. `***` stands in their place. It removes rather too much than too
 * little, but it cannot know a secret by itself: do not put one into a text to begin with. Bytes
 * that are not UTF-8 are replaced. May be called from any thread.
 *
 * Returns: (transfer full) (nullable): the text without secrets, %NULL for %NULL
 *
 * Since: 1.0
 */
char *
derate_redact (const char *text)
{
  g_autoptr (GString) out = NULL;
  Scan scan = { .text = text, .token_end = text };

  if (text == NULL)
    return NULL;

  out = g_string_sized_new (strlen (text));
  for (const char *p = text; *p != '\0';)
    {
      gsize consumed = apply_rules (&scan, p, out);

      if (consumed == 0)
        g_string_append_c (out, *p);
      p += MAX (consumed, 1);
    }
  return g_utf8_make_valid (out->str, (gssize)out->len);
}
