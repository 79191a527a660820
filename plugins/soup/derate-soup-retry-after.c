/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-soup-client.h"

#include <math.h>

#define MAX_SECONDS (365.0 * 24 * 3600)

/* A number not below 0 that fills the whole text, in units of @unit microseconds; -1 otherwise. */
static GTimeSpan
parse_number (const char *text, double unit)
{
  char *end = NULL;
  double value;

  if (!g_ascii_isdigit (*text))
    return -1;
  value = g_ascii_strtod (text, &end);
  if (*end != '\0' || !isfinite (value))
    return -1;
  return (GTimeSpan)(MIN (value * unit, MAX_SECONDS * G_TIME_SPAN_SECOND));
}

static GTimeSpan
parse_date (const char *text, gint64 now)
{
  g_autoptr (GDateTime) date = soup_date_time_new_from_http_string (text);

  return date != NULL ? MAX (g_date_time_to_unix (date) * G_TIME_SPAN_SECOND - now, 0) : -1;
}

GTimeSpan
derate_soup_parse_retry_after (const char *milliseconds, const char *text, gint64 now)
{
  GTimeSpan span = milliseconds != NULL ? parse_number (milliseconds, G_TIME_SPAN_MILLISECOND) : -1;

  if (span < 0 && text != NULL)
    span = parse_number (text, G_TIME_SPAN_SECOND);
  if (span < 0 && text != NULL)
    span = parse_date (text, now);
  return span;
}

GTimeSpan
derate_soup_answer_get_retry_after (const DerateSoupAnswer *answer)
{
  return derate_soup_parse_retry_after (soup_message_headers_get_one (answer->headers,
                                                                      "retry-after-ms"),
                                        soup_message_headers_get_one (answer->headers,
                                                                      "Retry-After"),
                                        derate_clock_get_real_time (derate_clock_get_system ()));
}
