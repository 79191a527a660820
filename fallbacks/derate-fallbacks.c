/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-fallbacks.h"

#include "derate-options-private.h"

/* What a cache holds where its options say nothing: some minutes of a small shop's prices. */
#define CACHE_MAX_AGE (5 * G_TIME_SPAN_MINUTE)
#define CACHE_STALE_IF_ERROR G_TIME_SPAN_HOUR
#define CACHE_MAX_ENTRIES 10000
#define CACHE_MAX_BYTES (16 * 1024 * 1024)

#define ERROR_RETRY_AFTER (30 * G_TIME_SPAN_SECOND)

/* Functions that the option `function` of `degraded` may name. Atomically reference counted: a
 * fallback that calls one keeps it. */
typedef struct
{
  DerateDegradedFunc func;
  gpointer user_data;
  GDestroyNotify destroy;
} Function;

typedef struct
{
  GMutex mutex;
  GHashTable *by_name;
} Functions;

#define FUNCTIONS_KEY "derate-fallback-functions"

static void
function_clear (gpointer data)
{
  Function *function = data;

  if (function->destroy != NULL)
    function->destroy (function->user_data);
}

static void
function_unref (gpointer function)
{
  g_atomic_rc_box_release_full (function, function_clear);
}

static void
functions_free (gpointer data)
{
  Functions *functions = data;

  g_hash_table_unref (functions->by_name);
  g_mutex_clear (&functions->mutex);
  g_free (functions);
}

static DerateFallback *
new_default (DerateFallbackFactory *factory,
             const char *service,
             GVariant *values,
             gpointer user_data,
             GError **error)
{
  static const char *const names[] = { "value", "variant", NULL };
  DerateOptions options = { service, "default", values };
  g_autoptr (GVariant) value = g_variant_lookup_value (values, "value", NULL);
  g_autoptr (GError) local_error = NULL;
  g_autofree char *text = NULL;

  if (!derate_options_check_names (&options, names, error) ||
      !derate_options_get_text (&options, "variant", &text, error))
    return NULL;
  if ((text == NULL) == (value == NULL))
    {
      derate_options_refuse (&options, "value", "either this or variant is needed", error);
      return NULL;
    }
  if (text != NULL)
    value = g_variant_parse (NULL, text, NULL, NULL, &local_error);
  if (value == NULL)
    {
      derate_options_refuse (&options, "variant", local_error->message, error);
      return NULL;
    }
  return derate_default_fallback_new (value);
}

static DerateFallback *
new_cached (DerateFallbackFactory *factory,
            const char *service,
            GVariant *values,
            gpointer user_data,
            GError **error)
{
  static const char *const names[] = {
    "max-age", "stale-if-error", "max-entries", "max-bytes", NULL,
  };
  DerateOptions options = { service, "cached", values };
  GTimeSpan max_age = CACHE_MAX_AGE;
  GTimeSpan stale_if_error = CACHE_STALE_IF_ERROR;
  gsize max_entries = CACHE_MAX_ENTRIES;
  gsize max_bytes = CACHE_MAX_BYTES;

  if (!derate_options_check_names (&options, names, error) ||
      !derate_options_get_time_span (&options, "max-age", &max_age, error) ||
      !derate_options_get_time_span (&options, "stale-if-error", &stale_if_error, error) ||
      !derate_options_get_size (&options, "max-entries", &max_entries, error) ||
      !derate_options_get_size (&options, "max-bytes", &max_bytes, error))
    return NULL;
  return derate_cached_fallback_new (derate_fallback_factory_get_clock (factory), max_age,
                                     stale_if_error, max_entries, max_bytes);
}

static DerateFallback *
new_error (DerateFallbackFactory *factory,
           const char *service,
           GVariant *values,
           gpointer user_data,
           GError **error)
{
  static const char *const names[] = { "message", "retry-after", NULL };
  DerateOptions options = { service, "error", values };
  g_autofree char *message = NULL;
  GTimeSpan retry_after = ERROR_RETRY_AFTER;

  if (!derate_options_check_names (&options, names, error) ||
      !derate_options_get_text (&options, "message", &message, error) ||
      !derate_options_get_time_span (&options, "retry-after", &retry_after, error))
    return NULL;
  return derate_error_fallback_new (message, retry_after);
}

static GVariant *
call_function (DerateFallbackRequest *request, gpointer data, GError **error)
{
  Function *function = data;

  return function->func (request, function->user_data, error);
}

static Function *
find_function (DerateFallbackFactory *factory, const char *name)
{
  Functions *functions = g_object_get_data (G_OBJECT (factory), FUNCTIONS_KEY);
  g_autoptr (GMutexLocker) locker = NULL;
  Function *function;

  if (functions == NULL)
    return NULL;
  locker = g_mutex_locker_new (&functions->mutex);
  function = g_hash_table_lookup (functions->by_name, name);
  return function != NULL ? g_atomic_rc_box_acquire (function) : NULL;
}

static DerateFallback *
new_degraded (DerateFallbackFactory *factory,
              const char *service,
              GVariant *values,
              gpointer user_data,
              GError **error)
{
  static const char *const names[] = { "function", "source", NULL };
  DerateOptions options = { service, "degraded", values };
  g_autofree char *name = NULL;
  g_autofree char *source = NULL;
  g_autofree char *why = NULL;
  Function *function;

  if (!derate_options_check_names (&options, names, error) ||
      !derate_options_get_text (&options, "function", &name, error) ||
      !derate_options_get_text (&options, "source", &source, error))
    return NULL;
  function = name != NULL ? find_function (factory, name) : NULL;
  if (function == NULL)
    {
      why = g_strdup_printf ("the program has no function “%s”", name != NULL ? name : "");
      derate_options_refuse (&options, "function", why, error);
      return NULL;
    }
  return derate_degraded_fallback_new (source, call_function, function, function_unref);
}

/**
 * derate_fallbacks_register:
 * @factory: a factory
 * @error: where to put the error
 *
 * Makes the strategies `default`, `cached`, `degraded` and `error` known to a factory. Their
 * options, each of its own type or text as in a configuration file: `default`: `value`, or
 * `variant` in the text format of #GVariant; `cached`: `max-age` (5m), `stale-if-error` (1h, after
 * it), `max-entries` (10000), `max-bytes` (16 MiB); `degraded`: `function`, a name given to
 * derate_fallbacks_add_function(), and `source` (`rule`); `error`: `message` and `retry-after`
 * (30s).
 *
 * Returns: %FALSE with %DERATE_ERROR_EXISTS where one of the names is taken
 *
 * Since: 1.0
 */
gboolean
derate_fallbacks_register (DerateFallbackFactory *factory, GError **error)
{
  static const struct
  {
    const char *name;
    DerateFallbackConstructor constructor;
  } strategies[] = {
    { "default", new_default },
    { "cached", new_cached },
    { "degraded", new_degraded },
    { "error", new_error },
  };

  g_return_val_if_fail (DERATE_IS_FALLBACK_FACTORY (factory), FALSE);

  for (guint i = 0; i < G_N_ELEMENTS (strategies); i++)
    if (!derate_fallback_factory_register (factory, strategies[i].name, strategies[i].constructor,
                                           NULL, NULL, error))
      return FALSE;
  return TRUE;
}

/**
 * derate_fallbacks_add_function: (skip)
 * @factory: a factory
 * @name: the name that the option `function` of the strategy `degraded` has
 * @func: what computes an answer
 * @user_data: for @func
 * @destroy: (nullable): frees @user_data, once no fallback uses the function any more
 *
 * Gives a function of the program a name, so that a configuration can choose it. Call it in the
 * thread that sets the factory up, before fallbacks are made.
 *
 * Since: 1.0
 */
void
derate_fallbacks_add_function (DerateFallbackFactory *factory,
                               const char *name,
                               DerateDegradedFunc func,
                               gpointer user_data,
                               GDestroyNotify destroy)
{
  Functions *functions;
  Function *function;
  g_autofree char *old_name = NULL;
  Function *old = NULL;

  g_return_if_fail (DERATE_IS_FALLBACK_FACTORY (factory));
  g_return_if_fail (name != NULL && func != NULL);

  functions = g_object_get_data (G_OBJECT (factory), FUNCTIONS_KEY);
  if (functions == NULL)
    {
      functions = g_new0 (Functions, 1);
      g_mutex_init (&functions->mutex);
      functions->by_name = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, function_unref);
      g_object_set_data_full (G_OBJECT (factory), FUNCTIONS_KEY, functions, functions_free);
    }
  function = g_atomic_rc_box_new0 (Function);
  function->func = func;
  function->user_data = user_data;
  function->destroy = destroy;

  g_mutex_lock (&functions->mutex);
  g_hash_table_steal_extended (functions->by_name, name, (gpointer *)&old_name, (gpointer *)&old);
  g_hash_table_insert (functions->by_name, g_strdup (name), function);
  g_mutex_unlock (&functions->mutex);
  g_clear_pointer (&old, function_unref);
}
