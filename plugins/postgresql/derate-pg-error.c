/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-pg-error-private.h"

#include <derate-redact.h>
#include <errno.h>
#include <gio/gio.h>
#include <string.h>

#define CANNOT_CONNECT "cannot connect: "

/* clang-format off */
static const struct
{
  const char *prefix; /* of the SQLSTATE, or all of it; the first that fits counts */
  DeratePgError code;
} states[] = {
  { "28",    DERATE_PG_ERROR_AUTH },                 /* invalid authorization */
  { "53300", DERATE_PG_ERROR_TOO_MANY_CONNECTIONS },
  { "53",    DERATE_PG_ERROR_RESOURCES },
  { "57P01", DERATE_PG_ERROR_CLOSED },               /* admin shutdown */
  { "57P02", DERATE_PG_ERROR_CLOSED },               /* crash shutdown */
  { "57P03", DERATE_PG_ERROR_NOT_READY },            /* cannot connect now */
  { "57P04", DERATE_PG_ERROR_CLOSED },               /* database dropped */
  { "57P05", DERATE_PG_ERROR_CLOSED },               /* idle session timeout */
  { "25006", DERATE_PG_ERROR_READ_ONLY },
  { "3D000", DERATE_PG_ERROR_CONFIG },               /* no such database */
  { "08",    DERATE_PG_ERROR_CLOSED },               /* connection exception */
};

static const struct
{
  int number;
  DeratePgError code;
} numbers[] = {
  { ECONNREFUSED, DERATE_PG_ERROR_CONNECT_REFUSED },
  { ENOENT,       DERATE_PG_ERROR_CONNECT_REFUSED }, /* no unix socket */
  { EHOSTUNREACH, DERATE_PG_ERROR_CONNECT_REFUSED },
  { ENETUNREACH,  DERATE_PG_ERROR_CONNECT_REFUSED },
  { ECONNRESET,   DERATE_PG_ERROR_CONNECT_REFUSED },
  { ETIMEDOUT,    DERATE_PG_ERROR_CONNECT_TIMEOUT },
};
/* clang-format on */

/* What derate_pg_error_is_failure () says of each, but for those that it looks at more closely. */
static const guint failures = 1u << DERATE_PG_ERROR_FAILED | 1u << DERATE_PG_ERROR_CONFIG |
                              1u << DERATE_PG_ERROR_CONNECT_REFUSED |
                              1u << DERATE_PG_ERROR_CONNECT_TIMEOUT | 1u << DERATE_PG_ERROR_AUTH |
                              1u << DERATE_PG_ERROR_TOO_MANY_CONNECTIONS |
                              1u << DERATE_PG_ERROR_NOT_READY | 1u << DERATE_PG_ERROR_RESOURCES |
                              1u << DERATE_PG_ERROR_CLOSED | 1u << DERATE_PG_ERROR_TIMED_OUT;

static DeratePgError
code_from_sqlstate (const char *sqlstate)
{
  for (guint i = 0; sqlstate != NULL && i < G_N_ELEMENTS (states); i++)
    {
      if (g_str_has_prefix (sqlstate, states[i].prefix))
        return states[i].code;
    }
  return DERATE_PG_ERROR_QUERY;
}

/* The SQLSTATE that stands at the end of our own texts, as “[28P01]”, or in libpq's, as “FATAL:
 * 28P01: ”. What the server repeats of a statement stands before it, and may look like one. */
static char *
find_sqlstate (const char *text)
{
  static const char *const patterns[] = { "\\[([0-9A-Z]{5})\\]$", ":  ([0-9A-Z]{5})(?:: |$)",
                                          "\\[([0-9A-Z]{5})\\]" };

  for (guint i = 0; i < G_N_ELEMENTS (patterns); i++)
    {
      g_autoptr (GRegex) regex = g_regex_new (patterns[i], G_REGEX_MULTILINE, 0, NULL);
      g_autoptr (GMatchInfo) match = NULL;

      if (g_regex_match (regex, text, 0, &match))
        return g_match_info_fetch (match, 1);
    }
  return NULL;
}

/* One line, without what libpq writes below the first (LOCATION, hints), without secrets. */
static char *
one_line (const char *text)
{
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  char *end = strchr (valid, '\n');

  if (end != NULL)
    *end = '\0';
  return derate_redact (g_strstrip (valid));
}

static DeratePgError
code_from_text (const char *text)
{
  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++)
    {
      if (strstr (text, g_strerror (numbers[i].number)) != NULL)
        return numbers[i].code;
    }
  return DERATE_PG_ERROR_FAILED;
}

GError *
derate_pg_error_from_connect (const char *text)
{
  g_autofree char *state = find_sqlstate (text);
  g_autofree char *line = one_line (text);
  DeratePgError code;

  code = state != NULL ? code_from_sqlstate (state) : code_from_text (text);
  if (code == DERATE_PG_ERROR_CLOSED)
    code = DERATE_PG_ERROR_NOT_READY;
  return g_error_new (DERATE_PG_ERROR, code, CANNOT_CONNECT "%s", line);
}

GError *
derate_pg_error_from_result (const PGresult *result)
{
  const char *state = PQresultErrorField (result, PG_DIAG_SQLSTATE);
  const char *primary = PQresultErrorField (result, PG_DIAG_MESSAGE_PRIMARY);
  const char *severity = PQresultErrorField (result, PG_DIAG_SEVERITY_NONLOCALIZED);
  g_autofree char *line = one_line (primary != NULL ? primary : PQresultErrorMessage (result));
  DeratePgError code = code_from_sqlstate (state);

  if (state == NULL)
    return g_error_new (DERATE_PG_ERROR, DERATE_PG_ERROR_CLOSED, "the session has ended: %s", line);
  /* As for too few parameters (08P01), or where the server has a peer of its own. */
  if (code == DERATE_PG_ERROR_CLOSED && g_strcmp0 (severity, "ERROR") == 0)
    code = DERATE_PG_ERROR_QUERY;
  return g_error_new (DERATE_PG_ERROR, code, "the server refused: %s [%s]", line, state);
}

GError *
derate_pg_error_from_broken (PGconn *pg, const char *notice)
{
  const char *text = notice != NULL ? notice : PQerrorMessage (pg);
  g_autofree char *line = one_line (text);

  return g_error_new (DERATE_PG_ERROR, DERATE_PG_ERROR_CLOSED, "the session has ended: %s",
                      *line != '\0' ? line : "the server closed the connection");
}

/**
 * derate_pg_error_get_sqlstate:
 * @error: an error of %DERATE_PG_ERROR
 *
 * Finds the five characters with which the server said what was wrong, such as `23505`. May be
 * called from any thread.
 *
 * Returns: (transfer full) (nullable): the SQLSTATE, %NULL where the server gave none
 *
 * Since: 1.0
 */
char *
derate_pg_error_get_sqlstate (const GError *error)
{
  g_return_val_if_fail (error != NULL && error->domain == DERATE_PG_ERROR, NULL);

  return find_sqlstate (error->message);
}

/**
 * derate_pg_error_is_failure:
 * @error: an error of this client, of any domain
 *
 * Whether @error says that the database is not well, as a circuit breaker wants to know: nobody
 * answers, no answer in time (by the server's own `statement_timeout` too, SQLSTATE 57014), it
 * refuses sessions, has run out of something (class 53), goes away (57P) or the session broke (08).
 * A statement that is refused for what it says is not, nor is a serialization failure or a deadlock
 * (40001, 40P01): try again; nor a write where nothing can be written (25006): read elsewhere; nor
 * what was cancelled, or refused by a limit of the caller's. A pool in which no session became free
 * in time was busy, unless the error tells of an attempt to connect that failed. May be called from
 * any thread.
 *
 * Returns: %TRUE if so
 *
 * Since: 1.0
 */
gboolean
derate_pg_error_is_failure (const GError *error)
{
  g_autofree char *state = NULL;

  g_return_val_if_fail (error != NULL, FALSE);

  if (error->domain == G_RESOLVER_ERROR)
    return TRUE;
  if (error->domain == G_IO_ERROR)
    return error->code != G_IO_ERROR_CANCELLED;
  if (error->domain != DERATE_PG_ERROR)
    return FALSE;
  if (error->code == DERATE_PG_ERROR_POOL_TIMEOUT)
    return strstr (error->message, CANNOT_CONNECT) != NULL;
  if (error->code != DERATE_PG_ERROR_QUERY)
    return (failures & (1u << error->code)) != 0;
  state = find_sqlstate (error->message);
  return g_strcmp0 (state, "57014") == 0;
}

/**
 * derate_pg_error_quark:
 *
 * The error domain of the PostgreSQL client. May be called from any thread.
 *
 * Returns: the quark
 *
 * Since: 1.0
 */
GQuark
derate_pg_error_quark (void)
{
  static GQuark quark; /* atomic: whoever finds none asks */
  GQuark known = __atomic_load_n (&quark, __ATOMIC_RELAXED);

  if (G_UNLIKELY (known == 0))
    {
      known = g_quark_from_static_string ("derate-pg-error-quark");
      __atomic_store_n (&quark, known, __ATOMIC_RELAXED);
    }
  return known;
}
