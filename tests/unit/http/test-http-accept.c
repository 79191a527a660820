/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-http-accept-private.h"

/* Headers as clients send them, and as none should. */

#define OPEN "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define OPEN_OLD "application/openmetrics-text; version=0.0.1; charset=utf-8"
#define TEXT "text/plain; version=0.0.4; charset=utf-8"

static const struct
{
  const char *description;
  const char *accept;
  const char *type;
} exposition_rows[] = {
  { "no header", NULL, TEXT },
  { "empty", "", TEXT },
  { "a browser",
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8", TEXT },
  { "curl", "*/*", TEXT },
  { "Prometheus 2.42",
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
    OPEN },
  { "Prometheus 2 of old",
    "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
    OPEN_OLD },
  { "Prometheus 3",
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,"
    "*/*;q=0.2",
    OPEN },
  { "Prometheus 3 with protobuf",
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;"
    "escaping=allow-utf-8;q=0.7,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;"
    "q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
    OPEN },
  { "protobuf only", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily",
    TEXT },
  { "OpenMetrics without a version", "application/openmetrics-text", OPEN },
  { "OpenMetrics of the future", "application/openmetrics-text; version=2.0.0", TEXT },
  { "of the future, else of now",
    "application/openmetrics-text;version=2.0.0,application/openmetrics-text;version=1.0.0;q=0.1",
    OPEN },
  { "the other spelling of the scheme",
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf8", OPEN },
  { "a scheme of escaping for text", "text/plain;version=0.0.4;escaping=values", TEXT },
  { "text preferred", "application/openmetrics-text;q=0.4,text/plain;q=0.5", TEXT },
  { "both the same", "text/plain,application/openmetrics-text", OPEN },
  { "anything preferred to OpenMetrics", "application/openmetrics-text;q=0.2,*/*;q=0.3", TEXT },
  { "never OpenMetrics", "application/openmetrics-text;q=0,*/*", TEXT },
  { "never 1.0.0", "application/openmetrics-text;version=1.0.0;q=0.0,application/openmetrics-text",
    OPEN_OLD },
  { "the closer wish counts", "text/plain;q=0.1,*/*;q=1,application/openmetrics-text;q=0.5", OPEN },
  { "nothing at all", "text/plain;q=0,*/*;q=0", TEXT },
  { "capitals", "Application/OpenMetrics-Text; Version=1.0.0; Q=0.9", OPEN },
  { "spaces", "  application/openmetrics-text ; version = 1.0.0 ; q = 1.000 ", OPEN },
  { "quotes", "application/openmetrics-text; version=\"1.0.0\"; x=\"a,b;q=0\"", OPEN },
  { "a quote that does not end", "text/plain; x=\"a, application/openmetrics-text", TEXT },
  { "a quality over 1", "application/openmetrics-text;q=1.001", TEXT },
  { "a quality that is none", "application/openmetrics-text;q=high", TEXT },
  { "a quality below 0", "application/openmetrics-text;q=-1", TEXT },
  { "a comma as its point", "application/openmetrics-text;q=0,5", TEXT },
  { "no name", ";q=1,,;", TEXT },
  { "a parameter without a value", "application/openmetrics-text;version", TEXT },
  { "the rest is read", "nonsense;q=x, application/openmetrics-text", OPEN },
};

static const struct
{
  const char *accept;
  gboolean gzip;
} encoding_rows[] = {
  { NULL, FALSE },
  { "", FALSE },
  { "gzip", TRUE },
  { "GZip", TRUE },
  { "x-gzip", TRUE },
  { "gzip, deflate, br", TRUE },
  { "deflate, br", FALSE },
  { "gzip;q=0", FALSE },
  { "gzip; q=0.000", FALSE },
  { "gzip;q=0.001", TRUE },
  { "gzip;q=0, *", FALSE },
  { "*", TRUE },
  { "*;q=0", FALSE },
  { "identity", FALSE },
  { "identity;q=0.5, gzip;q=1.0", TRUE },
  { "identity, gzip;q=0.5", FALSE },
  { "gzip;q=nonsense", FALSE },
  { "notgzip, gzipped", FALSE },
};

static void
test_exposition (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (exposition_rows); i++)
    {
      g_test_message ("%s", exposition_rows[i].description);
      g_assert_cmpstr (derate_http_negotiate (exposition_rows[i].accept)->type, ==,
                       exposition_rows[i].type);
    }
}

static void
test_encoding (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (encoding_rows); i++)
    {
      g_test_message ("%s", encoding_rows[i].accept);
      g_assert_cmpint (derate_http_accepts_gzip (encoding_rows[i].accept), ==,
                       encoding_rows[i].gzip);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/scrape/behaviour/38-exposition", test_exposition);
  g_test_add_func ("/scrape/behaviour/38-encoding", test_encoding);
  return g_test_run ();
}
