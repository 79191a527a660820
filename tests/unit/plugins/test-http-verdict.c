/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-http-verdict.h"

#include <string.h>

#define HEALTHY DERATE_HEALTH_STATUS_HEALTHY
#define DEGRADED DERATE_HEALTH_STATUS_DEGRADED
#define DOWN DERATE_HEALTH_STATUS_DOWN

typedef struct
{
  const char *key; /* NULL: none */
  const char *value;
} Option;

/* clang-format off */
static const struct
{
  const char *name;
  guint status;
  const char *body;
  const char *retry_after;
  Option option;
  DerateHealthStatus health;
  DerateHealthCause cause;
  const char *message; /* NULL: none */
} verdicts[] = {
  { "ok", 200, "", NULL, { NULL }, HEALTHY, DERATE_HEALTH_CAUSE_NONE, NULL },
  { "no-content", 204, "", NULL, { NULL }, HEALTHY, DERATE_HEALTH_CAUSE_NONE, NULL },
  { "redirect", 302, "", NULL, { NULL }, HEALTHY, DERATE_HEALTH_CAUSE_NONE, NULL },
  { "redirect-not-asked", 302, "", NULL, { "check-status", "200" }, DOWN,
    DERATE_HEALTH_CAUSE_CONFIG, "status 302, not one of 200" },
  { "bad-request", 400, "", NULL, { NULL }, DOWN, DERATE_HEALTH_CAUSE_CONFIG,
    "status 400, not one of 200-399" },
  { "unauthorized", 401, "", NULL, { NULL }, DOWN, DERATE_HEALTH_CAUSE_AUTH,
    "status 401, not one of 200-399" },
  { "unauthorized-asked", 401, "", NULL, { "check-status", "401" }, HEALTHY,
    DERATE_HEALTH_CAUSE_NONE, NULL },
  { "forbidden", 403, "", NULL, { NULL }, DOWN, DERATE_HEALTH_CAUSE_AUTH,
    "status 403, not one of 200-399" },
  { "not-there", 404, "", NULL, { NULL }, DOWN, DERATE_HEALTH_CAUSE_CONFIG,
    "status 404, not one of 200-399" },
  { "too-late", 408, "", NULL, { NULL }, DOWN, DERATE_HEALTH_CAUSE_TIMEOUT,
    "status 408, not one of 200-399" },
  { "too-many", 429, "", NULL, { NULL }, DEGRADED, DERATE_HEALTH_CAUSE_THROTTLED,
    "status 429, not one of 200-399" },
  { "too-many-until", 429, "", "7", { NULL }, DEGRADED, DERATE_HEALTH_CAUSE_THROTTLED,
    "status 429, asks for 7.0 s" },
  { "error", 500, "", NULL, { NULL }, DOWN, DERATE_HEALTH_CAUSE_PROTOCOL,
    "status 500, not one of 200-399" },
  { "error-until", 500, "", "7", { NULL }, DOWN, DERATE_HEALTH_CAUSE_PROTOCOL,
    "status 500, asks for 7.0 s" },
  { "unavailable", 503, "", NULL, { NULL }, DOWN, DERATE_HEALTH_CAUSE_PROTOCOL,
    "status 503, not one of 200-399" },
  { "unavailable-until", 503, "", "0.5", { NULL }, DEGRADED, DERATE_HEALTH_CAUSE_THROTTLED,
    "status 503, asks for 0.5 s" },
  { "unavailable-until-nothing", 503, "", "soon", { NULL }, DOWN, DERATE_HEALTH_CAUSE_PROTOCOL,
    "status 503, not one of 200-399" },
  { "unavailable-asked", 503, "", "7", { "check-status", "200,503" }, HEALTHY,
    DERATE_HEALTH_CAUSE_NONE, NULL },
  { "gateway", 504, "", NULL, { NULL }, DOWN, DERATE_HEALTH_CAUSE_TIMEOUT,
    "status 504, not one of 200-399" },
  { "no-status", 999, "", NULL, { NULL }, DOWN, DERATE_HEALTH_CAUSE_PROTOCOL,
    "status 999, not one of 200-399" },
  { "body", 200, "it is all well here", NULL, { "check-body", "all well" }, HEALTHY,
    DERATE_HEALTH_CAUSE_NONE, NULL },
  { "body-missing", 200, "it is planted-secret", NULL, { "check-body", "all well" }, DOWN,
    DERATE_HEALTH_CAUSE_PROTOCOL, "status 200, but check-body is not in the body" },
  { "body-is-no-regex", 200, "aab", NULL, { "check-body", "a+b" }, DOWN,
    DERATE_HEALTH_CAUSE_PROTOCOL, "status 200, but check-body is not in the body" },
  { "body-of-another-status", 500, "all well", NULL, { "check-body", "all well" }, DOWN,
    DERATE_HEALTH_CAUSE_PROTOCOL, "status 500, not one of 200-399" },
  { "regex", 200, "{\"status\": \"pass\"}", NULL,
    { "check-body-regex", "\"status\": *\"(pass|warn)\"" }, HEALTHY, DERATE_HEALTH_CAUSE_NONE,
    NULL },
  { "regex-lines", 200, "one\ntwo", NULL, { "check-body-regex", "(?m)^two$" }, HEALTHY,
    DERATE_HEALTH_CAUSE_NONE, NULL },
  { "regex-missing", 200, "{\"status\": \"fail\"}", NULL, { "check-body-regex", "pass|warn" },
    DOWN, DERATE_HEALTH_CAUSE_PROTOCOL, "status 200, but check-body-regex is not in the body" },
};
/* clang-format on */

static DerateHttpOptions *
parse (const Option *option)
{
  g_autoptr (GVariant) values = NULL;
  g_autoptr (GError) error = NULL;
  GVariantBuilder builder;
  DerateHttpOptions *options;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a{ss}"));
  g_variant_builder_add (&builder, "{ss}", "uri", "http://app.example/");
  if (option->key != NULL)
    g_variant_builder_add (&builder, "{ss}", option->key, option->value);
  values = g_variant_ref_sink (g_variant_builder_end (&builder));
  options = derate_http_options_parse (values, &error);
  g_assert_no_error (error);
  return options;
}

static void
test_verdict (gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);
  g_autoptr (DerateHttpOptions) options = parse (&verdicts[i].option);
  g_autoptr (SoupMessageHeaders) headers = soup_message_headers_new (SOUP_MESSAGE_HEADERS_RESPONSE);
  DerateSoupAnswer answer = { verdicts[i].status, (char *)verdicts[i].body, TRUE, headers };
  g_autoptr (DerateHealthReport) report = NULL;
  g_autoptr (GError) error = NULL;

  if (verdicts[i].retry_after != NULL)
    soup_message_headers_replace (headers, "Retry-After", verdicts[i].retry_after);
  report = derate_http_judge (options, &answer, &error);
  g_assert_no_error (error);
  g_assert_cmpint (derate_health_report_get_status (report), ==, verdicts[i].health);
  g_assert_cmpint (derate_health_report_get_cause (report), ==, verdicts[i].cause);
  g_assert_cmpstr (derate_health_report_get_message (report), ==, verdicts[i].message);
}

/* A pattern that backtracks without end is given up, and says nothing about the service. */
static void
test_hard_regex (void)
{
  g_autoptr (DerateHttpOptions) options =
      parse (&(const Option){ "check-body-regex", "(a+)+(a+)+[bc]" });
  g_autoptr (SoupMessageHeaders) headers = soup_message_headers_new (SOUP_MESSAGE_HEADERS_RESPONSE);
  g_autofree char *many = g_strnfill (60000, 'a');
  g_autofree char *body = g_strconcat (many, "!", NULL);
  DerateSoupAnswer answer = { 200, body, TRUE, headers };
  g_autoptr (GError) error = NULL;

  g_assert_null (derate_http_judge (options, &answer, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_LIMIT_EXCEEDED);
}

static void
test_cut_body (void)
{
  g_autoptr (DerateHttpOptions) options = parse (&(const Option){ "check-body", "end" });
  g_autoptr (SoupMessageHeaders) headers = soup_message_headers_new (SOUP_MESSAGE_HEADERS_RESPONSE);
  DerateSoupAnswer answer = { 200, (char *)"begin", FALSE, headers };
  g_autoptr (DerateHealthReport) report = derate_http_judge (options, &answer, NULL);

  g_assert_cmpstr (derate_health_report_get_message (report), ==,
                   "status 200, but check-body is not in the beginning of the body");
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (verdicts); i++)
    {
      g_autofree char *path = g_strconcat ("/http-verdict/", verdicts[i].name, NULL);

      g_test_add_data_func (path, GUINT_TO_POINTER (i), test_verdict);
    }
  g_test_add_func ("/http-verdict/hard-regex", test_hard_regex);
  g_test_add_func ("/http-verdict/cut-body", test_cut_body);

  return g_test_run ();
}
