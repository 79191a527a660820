/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <derate-fallbacks.h>
#include <string.h>

#define MINUTE G_TIME_SPAN_MINUTE

static DerateFallbackRequest *
new_request (const char *key)
{
  return derate_fallback_request_new ("database", DERATE_FALLBACK_REASON_TIMEOUT, NULL, key,
                                      g_variant_new ("d", 100.0));
}

static void
assert_answers (DerateFallback *fallback,
                const char *key,
                const char *value,
                const char *source,
                GTimeSpan age)
{
  g_autoptr (DerateFallbackRequest) request = new_request (key);
  g_autoptr (GError) error = NULL;
  g_autoptr (DerateFallbackResult) result = derate_fallback_answer (fallback, request, &error);
  g_autofree char *text = NULL;

  g_assert_no_error (error);
  g_assert_nonnull (result);
  text = g_variant_print (derate_fallback_result_get_value (result), FALSE);
  g_assert_cmpstr (text, ==, value);
  g_assert_cmpstr (derate_fallback_result_get_strategy (result), ==,
                   derate_fallback_get_strategy (fallback));
  g_assert_cmpstr (derate_fallback_result_get_source (result), ==, source);
  g_assert_cmpint (derate_fallback_result_get_reason (result), ==, DERATE_FALLBACK_REASON_TIMEOUT);
  g_assert_cmpint (derate_fallback_result_get_age (result), ==, age);
}

static void
assert_refuses (DerateFallback *fallback, const char *key, gboolean write, const char *message)
{
  g_autoptr (DerateFallbackRequest) request = new_request (key);
  g_autoptr (GError) error = NULL;

  derate_fallback_request_set_write (request, write);
  g_assert_null (derate_fallback_answer (fallback, request, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_UNAVAILABLE);
  g_assert_cmpstr (error->message, ==, message);
}

static void
test_default (void)
{
  g_autoptr (DerateFallback) fallback = derate_default_fallback_new (g_variant_new_int32 (7));

  assert_answers (fallback, NULL, "7", "default", 0);
  assert_refuses (fallback, NULL, TRUE, "a default does not answer a write");
}

static void
test_error (void)
{
  g_autoptr (DerateFallback) fallback =
      derate_error_fallback_new ("writes wait", 5 * G_TIME_SPAN_SECOND);

  assert_refuses (fallback, NULL, TRUE, "writes wait");
  g_assert_cmpint (derate_error_fallback_get_retry_after (DERATE_ERROR_FALLBACK (fallback)), ==,
                   5 * G_TIME_SPAN_SECOND);
}

static GVariant *
raise_price (DerateFallbackRequest *request, gpointer data, GError **error)
{
  GVariant *price = derate_fallback_request_get_request (request);

  if (g_strcmp0 (derate_fallback_request_get_key (request), "unknown") == 0)
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_UNAVAILABLE, "no rule");
      return NULL;
    }
  return g_variant_new_double (g_variant_get_double (price) * *(double *)data);
}

static void
count_freed (gpointer data)
{
  *(double *)data = 0;
}

static void
test_degraded (void)
{
  double factor = 1.5;
  DerateFallback *fallback = derate_degraded_fallback_new (NULL, raise_price, &factor, count_freed);

  assert_answers (fallback, "1", "150.0", "rule", 0);
  assert_refuses (fallback, "unknown", FALSE, "no rule");
  assert_refuses (fallback, "1", TRUE, "a computed answer does not stand for a write");
  g_assert_finalize_object (fallback);
  g_assert_cmpfloat (factor, ==, 0);
}

typedef struct
{
  DerateClock *clock;
  DerateFallback *fallback;
  DerateCachedFallback *cache;
} Fixture;

static void
fixture_set_up (Fixture *fixture, gconstpointer data)
{
  fixture->clock = derate_manual_clock_new ();
  fixture->fallback = derate_cached_fallback_new (fixture->clock, MINUTE, 10 * MINUTE, 3, 4096);
  fixture->cache = DERATE_CACHED_FALLBACK (fixture->fallback);
}

static void
fixture_tear_down (Fixture *fixture, gconstpointer data)
{
  g_assert_finalize_object (fixture->fallback);
  g_object_unref (fixture->clock);
}

static void
advance (Fixture *fixture, GTimeSpan span)
{
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (fixture->clock), span);
}

static void
put (Fixture *fixture, const char *key, int value)
{
  derate_cached_fallback_put (fixture->cache, key, g_variant_new_int32 (value));
}

static void
test_cached_ages (Fixture *fixture, gconstpointer data)
{
  GTimeSpan age = -1;
  g_autoptr (GVariant) fresh = NULL;

  assert_refuses (fixture->fallback, "1", FALSE, "no answer young enough is kept for “1”");
  put (fixture, "1", 5);
  assert_answers (fixture->fallback, "1", "5", "cache", 0);
  advance (fixture, MINUTE);
  assert_answers (fixture->fallback, "1", "5", "cache", MINUTE);
  fresh = derate_cached_fallback_lookup (fixture->cache, "1", &age);
  g_assert_nonnull (fresh);
  g_assert_cmpint (age, ==, MINUTE);

  advance (fixture, 1);
  assert_answers (fixture->fallback, "1", "5", "stale", MINUTE + 1);
  g_assert_null (derate_cached_fallback_lookup (fixture->cache, "1", NULL));
  advance (fixture, 10 * MINUTE - 1);
  assert_answers (fixture->fallback, "1", "5", "stale", 11 * MINUTE);
  advance (fixture, 1);
  assert_refuses (fixture->fallback, "1", FALSE, "no answer young enough is kept for “1”");
  g_assert_cmpuint (derate_cached_fallback_get_n_entries (fixture->cache), ==, 0);
  g_assert_cmpuint (derate_cached_fallback_get_n_bytes (fixture->cache), ==, 0);
}

static void
test_cached_replaces (Fixture *fixture, gconstpointer data)
{
  put (fixture, "1", 5);
  advance (fixture, MINUTE);
  put (fixture, "1", 6);
  assert_answers (fixture->fallback, "1", "6", "cache", 0);
  g_assert_cmpuint (derate_cached_fallback_get_n_entries (fixture->cache), ==, 1);
  assert_refuses (fixture->fallback, "1", TRUE, "a cache does not answer a write");

  /* The one answer of a service has no key. */
  derate_fallback_note_answer (fixture->fallback, NULL, g_variant_new_int32 (9));
  assert_answers (fixture->fallback, NULL, "9", "cache", 0);
  derate_cached_fallback_clear (fixture->cache);
  assert_refuses (fixture->fallback, NULL, FALSE, "no answer young enough is kept for “”");
  g_assert_cmpuint (derate_cached_fallback_get_n_bytes (fixture->cache), ==, 0);
}

static void
test_cached_entries (Fixture *fixture, gconstpointer data)
{
  put (fixture, "1", 1);
  put (fixture, "2", 2);
  put (fixture, "3", 3);
  assert_answers (fixture->fallback, "1", "1", "cache", 0);
  put (fixture, "4", 4);
  assert_refuses (fixture->fallback, "2", FALSE, "no answer young enough is kept for “2”");
  assert_answers (fixture->fallback, "1", "1", "cache", 0);
  assert_answers (fixture->fallback, "3", "3", "cache", 0);
  assert_answers (fixture->fallback, "4", "4", "cache", 0);
  g_assert_cmpuint (derate_cached_fallback_get_n_entries (fixture->cache), ==, 3);
}

static GVariant *
new_bytes (gsize size)
{
  g_autofree char *text = g_strnfill (size, 'x');

  return g_variant_new_string (text);
}

static void
test_cached_bytes (Fixture *fixture, gconstpointer data)
{
  derate_cached_fallback_put (fixture->cache, "1", new_bytes (1500));
  derate_cached_fallback_put (fixture->cache, "2", new_bytes (1500));
  g_assert_cmpuint (derate_cached_fallback_get_n_bytes (fixture->cache), >=, 3000);
  derate_cached_fallback_put (fixture->cache, "3", new_bytes (1500));
  g_assert_cmpuint (derate_cached_fallback_get_n_bytes (fixture->cache), <=, 4096);
  g_assert_cmpuint (derate_cached_fallback_get_n_entries (fixture->cache), ==, 2);
  assert_refuses (fixture->fallback, "1", FALSE, "no answer young enough is kept for “1”");

  /* Too great to be kept; what it replaces goes, the others stay. */
  derate_cached_fallback_put (fixture->cache, "3", new_bytes (5000));
  assert_refuses (fixture->fallback, "3", FALSE, "no answer young enough is kept for “3”");
  g_assert_cmpuint (derate_cached_fallback_get_n_entries (fixture->cache), ==, 1);
}

/* Of what is not there no answer is kept, and none of when it was. */
static void
test_cached_nothing (Fixture *fixture, gconstpointer data)
{
  derate_cached_fallback_put (fixture->cache, "1", g_variant_new ("mi", TRUE, 5));
  assert_answers (fixture->fallback, "1", "5", "cache", 0);
  derate_cached_fallback_put (fixture->cache, "1", g_variant_new ("mi", FALSE, 0));
  assert_refuses (fixture->fallback, "1", FALSE, "no answer young enough is kept for “1”");
  derate_cached_fallback_put (fixture->cache, "2", g_variant_new ("mi", FALSE, 0));
  g_assert_cmpuint (derate_cached_fallback_get_n_entries (fixture->cache), ==, 0);
}

static void
test_cached_for_ever (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateFallback) fallback =
      derate_cached_fallback_new (clock, G_MAXINT64, G_MAXINT64, 3, 4096);

  derate_fallback_note_answer (fallback, "1", g_variant_new_int32 (1));
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 1000 * G_TIME_SPAN_DAY);
  assert_answers (fallback, "1", "1", "cache", 1000 * G_TIME_SPAN_DAY);
}

typedef struct
{
  const char *strategy;
  const char *options;
  const char *message; /* NULL where it is made */
} FactoryRow;

static void
test_factory (void)
{
  static const FactoryRow rows[] = {
    { "default", "{'value': <'x'>}", NULL },
    { "default", "{'variant': <'{\"a\": <1>}'>}", NULL },
    { "default", "{'variant': <'{'>}", "option variant" },
    { "default", "@a{sv} {}", "option value" },
    { "default", "{'value': <'x'>, 'ttl': <'1s'>}", "option ttl: there is no such option" },
    { "cached", "@a{sv} {}", NULL },
    { "cached", "{'max-age': <'30s'>, 'stale-if-error': <int64 5>, 'max-entries': <'10'>}", NULL },
    { "cached", "{'max-age': <'30'>}", "option max-age" },
    { "cached", "{'max-age': <-1>}", "option max-age: not a duration" },
    { "cached", "{'max-bytes': <'0'>}", "option max-bytes: not a whole number" },
    { "cached", "{'max-entries': <'ten'>}", "option max-entries: not a whole number" },
    { "error", "{'message': <'later'>, 'retry-after': <'5s'>}", NULL },
    { "error", "{'message': <1>}", "option message: not a text" },
    { "degraded", "{'function': <'raise'>}", NULL },
    { "degraded", "{'function': <'lower'>}", "the program has no function “lower”" },
    { "degraded", "@a{sv} {}", "option function" },
  };
  g_autoptr (DerateFallbackFactory) factory = derate_fallback_factory_new (NULL);
  g_autoptr (GError) error = NULL;
  double factor = 2;

  g_assert_true (derate_fallbacks_register (factory, &error));
  g_assert_no_error (error);
  derate_fallbacks_add_function (factory, "raise", raise_price, &factor, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      GVariant *options = g_variant_new_parsed (rows[i].options);
      g_autoptr (DerateFallback) fallback =
          derate_fallback_factory_create (factory, rows[i].strategy, "database", options, &error);

      g_test_message ("%s %s", rows[i].strategy, rows[i].options);
      if (rows[i].message == NULL)
        {
          g_assert_no_error (error);
          g_assert_cmpstr (derate_fallback_get_strategy (fallback), ==, rows[i].strategy);
          continue;
        }
      g_assert_null (fallback);
      g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
      g_assert_true (g_str_has_prefix (error->message, "service database: fallback "));
      g_assert_nonnull (strstr (error->message, rows[i].message));
      g_clear_error (&error);
    }
  g_assert_false (derate_fallbacks_register (factory, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_EXISTS);
}

/* A function outlives the factory that named it, and is freed once. */
static void
test_function_lifetime (void)
{
  DerateFallbackFactory *factory = derate_fallback_factory_new (NULL);
  double first = 2;
  double second = 3;
  DerateFallback *fallback;

  g_assert_true (derate_fallbacks_register (factory, NULL));
  derate_fallbacks_add_function (factory, "raise", raise_price, &first, count_freed);
  derate_fallbacks_add_function (factory, "raise", raise_price, &second, count_freed);
  g_assert_cmpfloat (first, ==, 0);
  fallback =
      derate_fallback_factory_create (factory, "degraded", "database",
                                      g_variant_new_parsed ("{'function': <'raise'>}"), NULL);
  g_assert_finalize_object (factory);
  assert_answers (fallback, "1", "300.0", "rule", 0);
  g_assert_finalize_object (fallback);
  g_assert_cmpfloat (second, ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/fallbacks/default", test_default);
  g_test_add_func ("/fallbacks/error", test_error);
  g_test_add_func ("/fallbacks/degraded", test_degraded);
#define ADD(path, func) \
  g_test_add ("/fallbacks/cached/" path, Fixture, NULL, fixture_set_up, func, fixture_tear_down)
  ADD ("ages", test_cached_ages);
  ADD ("replaces", test_cached_replaces);
  ADD ("entries", test_cached_entries);
  ADD ("bytes", test_cached_bytes);
  ADD ("nothing", test_cached_nothing);
#undef ADD
  g_test_add_func ("/fallbacks/cached/for-ever", test_cached_for_ever);
  g_test_add_func ("/fallbacks/factory", test_factory);
  g_test_add_func ("/fallbacks/function-lifetime", test_function_lifetime);
  return g_test_run ();
}
