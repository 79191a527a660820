/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-openai-verdict.h"

#include <string.h>

#define KEY "sk-planted-key"
#define HEALTHY DERATE_HEALTH_STATUS_HEALTHY
#define DEGRADED DERATE_HEALTH_STATUS_DEGRADED
#define DOWN DERATE_HEALTH_STATUS_DOWN

/* clang-format off */
static const struct
{
  const char *name;
  guint status;
  const char *body;
  const char *header; /* of retry-after */
  DerateHealthStatus health;
  DerateHealthCause cause;
  const char *message; /* NULL: none */
} verdicts[] = {
  { "models", 200, "{\"data\":[]}", NULL, HEALTHY, DERATE_HEALTH_CAUSE_NONE, NULL },
  { "empty", 200, "", NULL, HEALTHY, DERATE_HEALTH_CAUSE_NONE, NULL },
  { "redirect", 302, "", NULL, DOWN, DERATE_HEALTH_CAUSE_CONFIG, "status 302: no message" },
  { "17-wrong-key", 401, "{\"error\":{\"message\":\"Incorrect API key provided: " KEY "\","
    "\"type\":\"invalid_request_error\",\"param\":null,\"code\":\"invalid_api_key\"}}", NULL,
    DOWN, DERATE_HEALTH_CAUSE_CONFIG,
    "status 401: Incorrect API key provided: *** (invalid_api_key)" },
  { "region", 403, "<html>no</html>", NULL, DOWN, DERATE_HEALTH_CAUSE_CONFIG,
    "status 403: no message" },
  { "not-there", 404, "{\"error\":\"not found\"}", NULL, DOWN, DERATE_HEALTH_CAUSE_CONFIG,
    "status 404: not found" },
  { "17-too-many-requests", 429, "{\"error\":{\"message\":\"slow\",\"code\":null}}", "7", DEGRADED,
    DERATE_HEALTH_CAUSE_THROTTLED, "status 429, asks for 7.0 s: slow" },
  { "loading", 503, "{\"error\":{\"code\":503,\"message\":\"Loading model\","
    "\"type\":\"unavailable_error\"}}", NULL, DEGRADED, DERATE_HEALTH_CAUSE_OVERLOADED,
    "the model is loading: Loading model (503)" },
  { "unavailable", 503, "{\"error\":{\"message\":\"over\",\"type\":\"unavailable_error\"}}", NULL,
    DOWN, DERATE_HEALTH_CAUSE_PROTOCOL, "status 503: over" },
  { "error", 500, "[1]", NULL, DOWN, DERATE_HEALTH_CAUSE_PROTOCOL, "status 500: no message" },
  { "odd-error", 500, "{\"error\":{\"message\":{},\"code\":[]}}", NULL, DOWN,
    DERATE_HEALTH_CAUSE_PROTOCOL, "status 500: no message" },
};

static const struct
{
  const char *milliseconds;
  const char *text;
  GTimeSpan span;
} waits[] = {
  { NULL, "7", 7 * G_TIME_SPAN_SECOND },
  { NULL, "1.5", 1500 * G_TIME_SPAN_MILLISECOND },
  { NULL, "0", 0 },
  { "1500", "7", 1500 * G_TIME_SPAN_MILLISECOND },
  { "soon", "7", 7 * G_TIME_SPAN_SECOND },
  { NULL, "Thu, 01 Jan 1970 00:01:40 GMT", 90 * G_TIME_SPAN_SECOND }, /* it is ten past */
  { NULL, "Thu, 01 Jan 1970 00:00:01 GMT", 0 },
  { NULL, "1e300", G_GINT64_CONSTANT (31536000) * G_TIME_SPAN_SECOND },
  { NULL, "-7", -1 },
  { NULL, "7s", -1 },
  { NULL, "", -1 },
  { NULL, "nan", -1 },
  { NULL, NULL, -1 },
};
/* clang-format on */

static void
test_verdict (gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);
  g_autoptr (SoupMessageHeaders) headers = soup_message_headers_new (SOUP_MESSAGE_HEADERS_RESPONSE);
  DerateSoupAnswer answer = {
    .status = verdicts[i].status,
    .body = (char *)verdicts[i].body,
    .complete = TRUE,
    .headers = headers,
  };
  g_autoptr (DerateHealthReport) report = NULL;

  if (verdicts[i].header != NULL)
    soup_message_headers_replace (headers, "Retry-After", verdicts[i].header);
  report = derate_openai_judge (&answer, KEY);
  g_assert_cmpint (derate_health_report_get_status (report), ==, verdicts[i].health);
  g_assert_cmpint (derate_health_report_get_cause (report), ==, verdicts[i].cause);
  g_assert_cmpstr (derate_health_report_get_message (report), ==, verdicts[i].message);
}

static void
test_long_message (void)
{
  g_autoptr (SoupMessageHeaders) headers = soup_message_headers_new (SOUP_MESSAGE_HEADERS_RESPONSE);
  g_autofree char *many = g_strnfill (60000, 'x');
  g_autofree char *body = g_strdup_printf ("{\"error\":{\"message\":\"%s\"}}", many);
  DerateSoupAnswer answer = { 500, body, TRUE, headers };
  g_autoptr (DerateHealthReport) report = derate_openai_judge (&answer, NULL);

  g_assert_cmpuint (strlen (derate_health_report_get_message (report)), <, 300);
}

static void
test_retry_after (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (waits); i++)
    {
      GTimeSpan span = derate_soup_parse_retry_after (waits[i].milliseconds, waits[i].text,
                                                      10 * G_TIME_SPAN_SECOND);

      g_test_message ("%s %s", waits[i].milliseconds, waits[i].text);
      g_assert_cmpint (span, ==, waits[i].span);
    }
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (verdicts); i++)
    {
      /* Those with a number are of tests/dev/behaviours-levels.tsv. */
      gboolean numbered = g_ascii_isdigit (verdicts[i].name[0]);
      g_autofree char *path = g_strconcat (numbered ? "/openai/behaviour/" : "/openai-verdict/",
                                           verdicts[i].name, NULL);

      g_test_add_data_func (path, GUINT_TO_POINTER (i), test_verdict);
    }
  g_test_add_func ("/openai-verdict/long-message", test_long_message);
  g_test_add_func ("/openai-verdict/retry-after", test_retry_after);

  return g_test_run ();
}
