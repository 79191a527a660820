/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-redis-address-private.h"
#include "derate-redis-error-private.h"
#include "derate-redis-reply-private.h"

#include <derate.h>
#include <string.h>

/* Feeds a reply one byte at a time; NULL with whatever is no reply. */
static DerateRedisReply *
parse (const char *text)
{
  redisReader *reader = derate_redis_reply_reader_new ();
  gpointer reply = NULL;

  for (const char *p = text; *p != '\0' && reply == NULL; p++)
    {
      redisReaderFeed (reader, p, 1);
      if (redisReaderGetReply (reader, &reply) != REDIS_OK)
        break;
    }
  redisReaderFree (reader);
  return reply;
}

static void
test_kinds (void)
{
  g_autoptr (DerateRedisReply) reply = NULL;
  DerateRedisReply *inner;

  reply = parse ("*5\r\n+OK\r\n:-42\r\n$-1\r\n*2\r\n$3\r\nabc\r\n-ERR no\r\n*0\r\n");
  g_assert_cmpint (derate_redis_reply_get_reply_type (reply), ==, DERATE_REDIS_REPLY_ARRAY);
  g_assert_cmpuint (derate_redis_reply_get_n_elements (reply), ==, 5);
  inner = derate_redis_reply_get_element (reply, 0);
  g_assert_cmpint (derate_redis_reply_get_reply_type (inner), ==, DERATE_REDIS_REPLY_STATUS);
  g_assert_cmpstr (derate_redis_reply_get_text (inner), ==, "OK");
  inner = derate_redis_reply_get_element (reply, 1);
  g_assert_cmpint (derate_redis_reply_get_reply_type (inner), ==, DERATE_REDIS_REPLY_INTEGER);
  g_assert_cmpint (derate_redis_reply_get_integer (inner), ==, -42);
  inner = derate_redis_reply_get_element (reply, 2);
  g_assert_cmpint (derate_redis_reply_get_reply_type (inner), ==, DERATE_REDIS_REPLY_NIL);
  g_assert_null (derate_redis_reply_get_text (inner));
  inner = derate_redis_reply_get_element (reply, 3);
  g_assert_cmpstr (derate_redis_reply_get_text (derate_redis_reply_get_element (inner, 0)), ==,
                   "abc");
  inner = derate_redis_reply_get_element (inner, 1);
  g_assert_cmpint (derate_redis_reply_get_reply_type (inner), ==, DERATE_REDIS_REPLY_ERROR);
  inner = derate_redis_reply_get_element (reply, 4);
  g_assert_cmpuint (derate_redis_reply_get_n_elements (inner), ==, 0);
  g_assert_null (derate_redis_reply_get_element (reply, 5));
}

/* Arrays in arrays share one bound: a million in each of a million would be taken otherwise. */
static void
test_many (void)
{
  g_autoptr (GString) text = g_string_new ("*3\r\n");
  g_autoptr (DerateRedisReply) within = NULL;

  for (guint i = 0; i < 2; i++)
    {
      g_string_append (text, "*400000\r\n");
      for (guint j = 0; j < 400000; j++)
        g_string_append (text, "*0\r\n");
    }
  g_string_append (text, ":1\r\n");
  within = parse (text->str);
  g_assert_cmpuint (derate_redis_reply_get_n_elements (within), ==, 3);
  g_assert_cmpint (derate_redis_reply_get_integer (within), ==, 0);
  g_string_truncate (text, text->len - strlen (":1\r\n"));
  g_string_append (text, "*400000\r\n");
  for (guint j = 0; j < 400000; j++)
    g_string_append (text, "*0\r\n");
  g_assert_null (parse (text->str));
}

static void
test_bytes (void)
{
  redisReader *reader = derate_redis_reply_reader_new ();
  gpointer taken = NULL;
  g_autoptr (GBytes) bytes = NULL;

  redisReaderFeed (reader, "$5\r\na\0b\r\n\r\n", 11);
  g_assert_cmpint (redisReaderGetReply (reader, &taken), ==, REDIS_OK);
  bytes = derate_redis_reply_get_bytes (taken);
  derate_redis_reply_unref (taken);
  redisReaderFree (reader);
  g_assert_cmpmem (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), "a\0b\r\n", 5);
}

static void
test_nonsense (void)
{
  const char *const texts[] = {
    "HTTP/1.1 400 Bad Request\r\n",
    "*2000000000\r\n:1\r\n", /* would be 16 GB */
    "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
  };

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    g_assert_null (parse (texts[i]));
}

/* clang-format off */
static const struct
{
  const char *text;
  DerateRedisError code;
} errors[] = {
  { "NOAUTH Authentication required.", DERATE_REDIS_ERROR_AUTH },
  { "WRONGPASS invalid username-password pair or user is disabled.", DERATE_REDIS_ERROR_AUTH },
  { "ERR max number of clients reached", DERATE_REDIS_ERROR_TOO_MANY_CLIENTS },
  { "LOADING Redis is loading the dataset in memory", DERATE_REDIS_ERROR_LOADING },
  { "OOM command not allowed when used memory > 'maxmemory'.", DERATE_REDIS_ERROR_OUT_OF_MEMORY },
  { "READONLY You can't write against a read only replica.", DERATE_REDIS_ERROR_READ_ONLY },
  { "ERR unknown command 'FOO'", DERATE_REDIS_ERROR_REPLY },
  { "OOMPH", DERATE_REDIS_ERROR_REPLY },
};

static const struct
{
  const char *uri;
  gboolean good;
  const char *user;
  const char *password;
  const char *database;
} addresses[] = {
  { "redis://127.0.0.1", TRUE, NULL, NULL, NULL },
  { "redis://127.0.0.1:6380/3", TRUE, NULL, NULL, "3" },
  { "redis://:p%40ss@host/", TRUE, NULL, "p@ss", NULL },
  { "rediss://user:pass@host", TRUE, "user", "pass", NULL },
  { "unix:///run/redis.sock?db=2", TRUE, NULL, NULL, "2" },
  { "redis+unix:///run/redis.sock", TRUE, NULL, NULL, NULL },
  { "redis://host/x", FALSE, NULL, NULL, NULL },
  { "redis://host/1/2", FALSE, NULL, NULL, NULL },
  { "redis://user@host", FALSE, NULL, NULL, NULL },
  { "redis://host?timeout=1", FALSE, NULL, NULL, NULL },
  { "redis://", FALSE, NULL, NULL, NULL },
  { "unix:relative", FALSE, NULL, NULL, NULL },
  { "http://host", FALSE, NULL, NULL, NULL },
  { "host", FALSE, NULL, NULL, NULL },
};
/* clang-format on */

static void
test_errors (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (errors); i++)
    {
      g_autoptr (GError) error = derate_redis_error_from_reply (errors[i].text);

      g_assert_error (error, DERATE_REDIS_ERROR, (int)errors[i].code);
    }
}

static void
test_addresses (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (addresses); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (DerateRedisAddress) address =
          derate_redis_address_parse (addresses[i].uri, NULL, &error);

      g_test_message ("%s", addresses[i].uri);
      if (!addresses[i].good)
        {
          g_assert_error (error, DERATE_REDIS_ERROR, DERATE_REDIS_ERROR_CONFIG);
          continue;
        }
      g_assert_no_error (error);
      g_assert_cmpstr (address->user, ==, addresses[i].user);
      g_assert_cmpstr (address->password, ==, addresses[i].password);
      g_assert_cmpstr (address->database, ==, addresses[i].database);
    }
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/redis-reply/kinds", test_kinds);
  g_test_add_func ("/redis-reply/many", test_many);
  g_test_add_func ("/redis-reply/bytes", test_bytes);
  g_test_add_func ("/redis-reply/nonsense", test_nonsense);
  g_test_add_func ("/redis-reply/errors", test_errors);
  g_test_add_func ("/redis-reply/addresses", test_addresses);

  return g_test_run ();
}
