/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent-refusal.h"

#include <string.h>

/* Statements that a caller's values make impossible, by the beginning of their SQLSTATE. */
static const struct
{
  const char *state;
  guint status;
} callers[] = {
  { "22", SOUP_STATUS_BAD_REQUEST }, /* data exception: no such number, date, text */
  { "23", SOUP_STATUS_CONFLICT }, /* integrity constraint violation */
  { "27", SOUP_STATUS_CONFLICT }, /* triggered data change violation */
  { "44", SOUP_STATUS_CONFLICT }, /* WITH CHECK OPTION violation */
  { "P0001", SOUP_STATUS_CONFLICT }, /* raised by a function of the shop's */
};

/* Two transactions were in each other's way, and this one was undone. */
#define ROLLBACK_CLASS "40"

/* FALSE where the database could not look at it. */
static gboolean
reply_to_refused (SoupServerMessage *message, const GError *error)
{
  g_autofree char *state = NULL;

  if (error->domain != DERATE_PG_ERROR || derate_pg_error_is_failure (error))
    return FALSE;
  state = derate_pg_error_get_sqlstate (error);
  if (state == NULL || g_str_has_prefix (state, ROLLBACK_CLASS) ||
      g_error_matches (error, DERATE_PG_ERROR, DERATE_PG_ERROR_READ_ONLY))
    return FALSE;
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    if (g_str_has_prefix (state, callers[i].state))
      {
        agent_reply_bad (message, callers[i].status, error->message);
        return TRUE;
      }
  /* A table that is not there, a statement that is none: the catalogue's mistake. */
  g_warning ("a statement of the catalogue: %s", error->message);
  agent_reply_bad (message, SOUP_STATUS_INTERNAL_SERVER_ERROR, "the statement cannot be run");
  return TRUE;
}

void
agent_refuse_read (SoupServerMessage *message, const GError *error)
{
  if (!reply_to_refused (message, error))
    agent_refuse (message, "Data unavailable - database down",
                  "Neither the database nor a copy has this answer", "Try again later");
}

/* Whether it was sent, and what became of it nobody said. */
static gboolean
is_open (const GError *error)
{
  return g_error_matches (error, DERATE_ERROR, DERATE_ERROR_TIMED_OUT) ||
         g_error_matches (error, DERATE_PG_ERROR, DERATE_PG_ERROR_TIMED_OUT) ||
         g_error_matches (error, DERATE_PG_ERROR, DERATE_PG_ERROR_CLOSED);
}

void
agent_refuse_write (SoupServerMessage *message, const GError *error)
{
  if (reply_to_refused (message, error))
    return;
  if (is_open (error))
    agent_refuse (message, "Write not confirmed", "It may have been done, or not at all",
                  "Look before you try again");
  else
    agent_refuse (message, "Write operations unavailable", "Database temporarily down",
                  "Try again later");
}
