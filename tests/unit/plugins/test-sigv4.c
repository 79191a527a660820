/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The four examples of "Authenticating Requests: Using the Authorization Header" in Amazon's S3
 * documentation, with their published keys. */
#include "derate-sigv4.h"

#define ACCESS_KEY "AKIAIOSFODNN7EXAMPLE"
#define SECRET_KEY "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
#define HOST "examplebucket.s3.amazonaws.com"
#define TIMESTAMP "20130524T000000Z"
#define SCOPE "20130524/us-east-1/s3/aws4_request"
#define WELCOME "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"

#define CONTENT(digest)            \
  {                                \
    "x-amz-content-sha256", digest \
  }
#define DATE                \
  {                         \
    "x-amz-date", TIMESTAMP \
  }

/* clang-format off */
static const DerateSigv4Header get_headers[] = {
  { "host", HOST }, { "range", "bytes=0-9" }, CONTENT (DERATE_SIGV4_EMPTY), DATE,
};
static const DerateSigv4Header put_headers[] = {
  { "date", "Fri, 24 May 2013 00:00:00 GMT" }, { "host", HOST }, CONTENT (WELCOME), DATE,
  { "x-amz-storage-class", "REDUCED_REDUNDANCY" },
};
static const DerateSigv4Header plain_headers[] = {
  { "host", HOST }, CONTENT (DERATE_SIGV4_EMPTY), DATE,
};

static const struct
{
  const char *name;
  const char *method;
  const char *path;
  const char *query;
  const DerateSigv4Header *headers;
  guint n_headers;
  const char *payload;
  const char *signed_headers;
  const char *signature;
} examples[] = {
  { "get-object", "GET", "/test.txt", NULL, get_headers, G_N_ELEMENTS (get_headers),
    DERATE_SIGV4_EMPTY, "host;range;x-amz-content-sha256;x-amz-date",
    "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41" },
  { "put-object", "PUT", "/test$file.text", NULL, put_headers, G_N_ELEMENTS (put_headers),
    WELCOME, "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
    "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd" },
  { "get-bucket-lifecycle", "GET", "/", "lifecycle", plain_headers, G_N_ELEMENTS (plain_headers),
    DERATE_SIGV4_EMPTY, "host;x-amz-content-sha256;x-amz-date",
    "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543" },
  { "list-objects", "GET", "/", "max-keys=2&prefix=J", plain_headers, G_N_ELEMENTS (plain_headers),
    DERATE_SIGV4_EMPTY, "host;x-amz-content-sha256;x-amz-date",
    "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7" },
};
/* clang-format on */

static void
test_example (gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);
  char access[] = ACCESS_KEY;
  char secret[] = SECRET_KEY;
  DerateSigv4Credentials credentials = { access, secret, NULL };
  DerateSigv4Request request = {
    .method = examples[i].method,
    .path = examples[i].path,
    .query = examples[i].query,
    .headers = examples[i].headers,
    .n_headers = examples[i].n_headers,
    .payload = examples[i].payload,
    .region = "us-east-1",
    .timestamp = TIMESTAMP,
  };
  g_autofree char *authorization = derate_sigv4_authorize (&request, &credentials);
  g_autofree char *wanted = NULL;

  wanted = g_strdup_printf ("AWS4-HMAC-SHA256 Credential=" ACCESS_KEY "/" SCOPE
                            ",SignedHeaders=%s,Signature=%s",
                            examples[i].signed_headers, examples[i].signature);
  g_assert_cmpstr (authorization, ==, wanted);
}

/* clang-format off */
static const struct
{
  const char *name;
  const char *path;
  const char *query;
  const char *canonical_path;
  const char *canonical_query;
} spellings[] = {
  { "dots-stay",         "/a/../b//c/.",   NULL,            "/a/../b//c/.",     "" },
  { "encoded-once",      "/a%20b%25/%c3%a9", NULL,          "/a%20b%25/%C3%A9", "" },
  { "slash-in-a-key",    "/a%2Fb",         NULL,            "/a/b",             "" },
  { "empty-path",        "",               NULL,            "/",                "" },
  { "unreserved",        "/-._~",          "a=-._~",        "/-._~",            "a=-._~" },
  { "sorted-by-name",    "/",              "b=1&a=2",       "/",                "a=2&b=1" },
  { "sorted-by-value",   "/",              "a=2&a=1",       "/",                "a=1&a=2" },
  { "shorter-name-first", "/",             "a-b=1&a=2",     "/",                "a=2&a-b=1" },
  { "without-value",     "/",              "lifecycle",     "/",                "lifecycle=" },
  { "slash-in-a-value",  "/",              "prefix=a/b%2F", "/",                "prefix=a%2Fb%2F" },
  { "equals-in-a-value", "/",              "a=b=c",         "/",                "a=b%3Dc" },
};
/* clang-format on */

static void
test_spelling (gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);
  DerateSigv4Request request = {
    .method = "GET",
    .path = spellings[i].path,
    .query = spellings[i].query,
    .headers = plain_headers,
    .n_headers = G_N_ELEMENTS (plain_headers),
    .payload = DERATE_SIGV4_EMPTY,
    .region = "us-east-1",
    .timestamp = TIMESTAMP,
  };
  g_autofree char *canonical = derate_sigv4_canonical_request (&request);
  g_auto (GStrv) lines = g_strsplit (canonical, "\n", -1);

  g_assert_cmpstr (lines[1], ==, spellings[i].canonical_path);
  g_assert_cmpstr (lines[2], ==, spellings[i].canonical_query);
}

static void
test_header_space (void)
{
  const DerateSigv4Header headers[] = { { "host", "  a   b\t c " } };
  DerateSigv4Request request = {
    .method = "GET",
    .path = "/",
    .headers = headers,
    .n_headers = 1,
    .payload = DERATE_SIGV4_EMPTY,
    .region = "us-east-1",
    .timestamp = TIMESTAMP,
  };
  g_autofree char *canonical = derate_sigv4_canonical_request (&request);

  g_assert_cmpstr (canonical, ==, "GET\n/\n\nhost:a b c\n\nhost\n" DERATE_SIGV4_EMPTY);
}

static void
test_timestamp (void)
{
  g_autofree char *timestamp = derate_sigv4_timestamp (1369353600 * G_TIME_SPAN_SECOND);

  g_assert_cmpstr (timestamp, ==, TIMESTAMP);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (examples); i++)
    {
      g_autofree char *path = g_strconcat ("/sigv4/example/", examples[i].name, NULL);

      g_test_add_data_func (path, GUINT_TO_POINTER (i), test_example);
    }
  for (guint i = 0; i < G_N_ELEMENTS (spellings); i++)
    {
      g_autofree char *path = g_strconcat ("/sigv4/spelling/", spellings[i].name, NULL);

      g_test_add_data_func (path, GUINT_TO_POINTER (i), test_spelling);
    }
  g_test_add_func ("/sigv4/header-space", test_header_space);
  g_test_add_func ("/sigv4/timestamp", test_timestamp);

  return g_test_run ();
}
