/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-http-verdict.h"

#include "derate-check-report.h"

#include <string.h>

/* So much of the body is searched for an expression, whose work may grow with the square of it. */
#define SEARCHED_MAX (8 * 1024)

/* What a status that was not asked for says; the first that fits. The rest is protocol. */
/* clang-format off */
static const struct
{
  guint from;
  guint to;
  DerateHealthStatus status;
  DerateHealthCause cause;
} verdicts[] = {
  { 200, 399, DERATE_HEALTH_STATUS_DOWN,     DERATE_HEALTH_CAUSE_CONFIG },
  { 401, 401, DERATE_HEALTH_STATUS_DOWN,     DERATE_HEALTH_CAUSE_AUTH },
  { 403, 403, DERATE_HEALTH_STATUS_DOWN,     DERATE_HEALTH_CAUSE_AUTH },
  { 407, 407, DERATE_HEALTH_STATUS_DOWN,     DERATE_HEALTH_CAUSE_AUTH },
  { 408, 408, DERATE_HEALTH_STATUS_DOWN,     DERATE_HEALTH_CAUSE_TIMEOUT },
  { 429, 429, DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_THROTTLED },
  { 400, 499, DERATE_HEALTH_STATUS_DOWN,     DERATE_HEALTH_CAUSE_CONFIG },
  { 504, 504, DERATE_HEALTH_STATUS_DOWN,     DERATE_HEALTH_CAUSE_TIMEOUT },
};
/* clang-format on */

static DerateHealthReport *
judge_status (const DerateHttpOptions *options, const DerateSoupAnswer *answer)
{
  GTimeSpan wait = derate_soup_answer_get_retry_after (answer);
  DerateHealthStatus status = DERATE_HEALTH_STATUS_DOWN;
  DerateHealthCause cause = DERATE_HEALTH_CAUSE_PROTOCOL;

  for (guint i = 0; i < G_N_ELEMENTS (verdicts); i++)
    {
      if (answer->status < verdicts[i].from || answer->status > verdicts[i].to)
        continue;
      status = verdicts[i].status;
      cause = verdicts[i].cause;
      break;
    }
  /* It is there, and says when to come again (RFC 9110, 15.6.4). */
  if (answer->status == 503 && wait >= 0)
    {
      status = DERATE_HEALTH_STATUS_DEGRADED;
      cause = DERATE_HEALTH_CAUSE_THROTTLED;
    }
  if (wait >= 0)
    return derate_check_report_new (status, cause, "status %u, asks for %.1f s", answer->status,
                                    (double)wait / G_TIME_SPAN_SECOND);
  return derate_check_report_new (status, cause, "status %u, not one of %s", answer->status,
                                  options->status_text);
}

/* Ends between two characters. */
static gsize
searched_length (const char *body, gsize length)
{
  if (length <= SEARCHED_MAX)
    return length;
  return (gsize)(g_utf8_find_prev_char (body, body + SEARCHED_MAX + 1) - body);
}

static DerateHealthReport *
judge_body (const DerateHttpOptions *options, const DerateSoupAnswer *answer, GError **error)
{
  gsize length = strlen (answer->body);
  gsize searched = options->regex != NULL ? searched_length (answer->body, length) : length;
  gboolean whole = answer->complete && searched == length;
  g_autoptr (GError) local = NULL;
  gboolean found = TRUE;

  if (options->body != NULL)
    found = strstr (answer->body, options->body) != NULL;
  else if (options->regex != NULL)
    found = g_regex_match_full (options->regex, answer->body, (gssize)searched, 0, 0, NULL, &local);
  if (local != NULL)
    {
      g_set_error_literal (error, DERATE_ERROR, DERATE_ERROR_LIMIT_EXCEEDED,
                           "check-body-regex takes too long on this answer");
      return NULL;
    }
  if (found)
    return derate_health_report_new (DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE, NULL);
  return derate_check_report_new (DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_PROTOCOL,
                                  "status %u, but %s is not in %s", answer->status,
                                  options->body != NULL ? "check-body" : "check-body-regex",
                                  whole ? "the body" : "the beginning of the body");
}

DerateHealthReport *
derate_http_judge (const DerateHttpOptions *options, const DerateSoupAnswer *answer, GError **error)
{
  if (!derate_http_status_set_has (&options->status, answer->status))
    return judge_status (options, answer);
  return judge_body (options, answer, error);
}
