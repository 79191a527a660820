/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-fallback-factory.h"

#include "derate-error.h"

/* Threads: the mutex guards the table. A constructor is somebody else's code and runs outside it.
 */

/**
 * DerateFallbackFactory:
 *
 * Makes fallbacks from the name of a strategy and options, as a configuration has them. All
 * functions may be called from any thread.
 *
 * Since: 1.0
 */
struct _DerateFallbackFactory
{
  GObject parent_instance;

  DerateClock *clock;
  GMutex mutex;
  GHashTable *strategies; /* name → Strategy */
};

G_DEFINE_FINAL_TYPE (DerateFallbackFactory, derate_fallback_factory, G_TYPE_OBJECT)

/* Never removed before the factory goes, so that it may be used outside the lock. */
typedef struct
{
  DerateFallbackConstructor constructor;
  gpointer user_data;
  GDestroyNotify destroy;
} Strategy;

static void
strategy_free (Strategy *strategy)
{
  if (strategy->destroy != NULL)
    strategy->destroy (strategy->user_data);
  g_free (strategy);
}

static void
derate_fallback_factory_finalize (GObject *object)
{
  DerateFallbackFactory *factory = DERATE_FALLBACK_FACTORY (object);

  g_hash_table_unref (factory->strategies);
  g_clear_object (&factory->clock);
  g_mutex_clear (&factory->mutex);
  G_OBJECT_CLASS (derate_fallback_factory_parent_class)->finalize (object);
}

static void
derate_fallback_factory_class_init (DerateFallbackFactoryClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = derate_fallback_factory_finalize;
}

static void
derate_fallback_factory_init (DerateFallbackFactory *factory)
{
  g_mutex_init (&factory->mutex);
  factory->strategies =
      g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)strategy_free);
}

/**
 * derate_fallback_factory_new:
 * @clock: (nullable): the clock by which its fallbacks tell ages; %NULL for the system's
 *
 * Makes a factory that knows no strategy yet.
 *
 * Returns: (transfer full): the factory
 *
 * Since: 1.0
 */
DerateFallbackFactory *
derate_fallback_factory_new (DerateClock *clock)
{
  DerateFallbackFactory *factory = g_object_new (DERATE_TYPE_FALLBACK_FACTORY, NULL);

  factory->clock = g_object_ref (clock != NULL ? clock : derate_clock_get_system ());
  return factory;
}

/**
 * derate_fallback_factory_get_clock:
 * @factory: a factory
 *
 * The clock by which its fallbacks tell ages.
 *
 * Returns: (transfer none): the clock
 *
 * Since: 1.0
 */
DerateClock *
derate_fallback_factory_get_clock (DerateFallbackFactory *factory)
{
  g_return_val_if_fail (DERATE_IS_FALLBACK_FACTORY (factory), NULL);

  return factory->clock;
}

/**
 * derate_fallback_factory_register: (skip)
 * @factory: a factory
 * @strategy: the name, such as `cached`
 * @constructor: what makes a fallback of it
 * @user_data: for @constructor
 * @destroy: (nullable): frees @user_data, also when the strategy is refused
 * @error: where to put the error
 *
 * Makes a strategy known.
 *
 * Returns: %FALSE with %DERATE_ERROR_EXISTS where the name is taken
 *
 * Since: 1.0
 */
gboolean
derate_fallback_factory_register (DerateFallbackFactory *factory,
                                  const char *strategy,
                                  DerateFallbackConstructor constructor,
                                  gpointer user_data,
                                  GDestroyNotify destroy,
                                  GError **error)
{
  Strategy *added;
  gboolean taken;

  g_return_val_if_fail (DERATE_IS_FALLBACK_FACTORY (factory), FALSE);
  g_return_val_if_fail (strategy != NULL && constructor != NULL, FALSE);

  added = g_new0 (Strategy, 1);
  added->constructor = constructor;
  added->user_data = user_data;
  added->destroy = destroy;

  g_mutex_lock (&factory->mutex);
  taken = g_hash_table_contains (factory->strategies, strategy);
  if (!taken)
    g_hash_table_insert (factory->strategies, g_strdup (strategy), added);
  g_mutex_unlock (&factory->mutex);

  if (!taken)
    return TRUE;
  strategy_free (added);
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_EXISTS,
               "there is a fallback strategy “%s” already", strategy);
  return FALSE;
}

/**
 * derate_fallback_factory_dup_strategies:
 * @factory: a factory
 *
 * Lists the strategies that are known.
 *
 * Returns: (transfer full) (array zero-terminated=1): their names, sorted
 *
 * Since: 1.0
 */
char **
derate_fallback_factory_dup_strategies (DerateFallbackFactory *factory)
{
  g_autoptr (GMutexLocker) locker = NULL;
  g_autoptr (GList) names = NULL;
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();

  g_return_val_if_fail (DERATE_IS_FALLBACK_FACTORY (factory), NULL);

  locker = g_mutex_locker_new (&factory->mutex);
  names = g_list_sort (g_hash_table_get_keys (factory->strategies), (GCompareFunc)g_strcmp0);
  for (GList *link = names; link != NULL; link = link->next)
    g_strv_builder_add (builder, link->data);
  return g_strv_builder_end (builder);
}

/**
 * derate_fallback_factory_create:
 * @factory: a factory
 * @strategy: the name of a strategy
 * @service: the service it is for
 * @options: (nullable): an `a{sv}` of options; a floating reference is taken
 * @error: where to put the error
 *
 * Makes a fallback.
 *
 * Returns: (transfer full): the fallback; %NULL with %DERATE_ERROR_UNKNOWN_STRATEGY or
 *   %DERATE_ERROR_INVALID_CONFIG
 *
 * Since: 1.0
 */
DerateFallback *
derate_fallback_factory_create (DerateFallbackFactory *factory,
                                const char *strategy,
                                const char *service,
                                GVariant *options,
                                GError **error)
{
  g_autoptr (GVariant) owned = NULL;
  Strategy *found;

  g_return_val_if_fail (DERATE_IS_FALLBACK_FACTORY (factory), NULL);
  g_return_val_if_fail (strategy != NULL && service != NULL, NULL);

  owned = g_variant_ref_sink (
      options != NULL ? options : g_variant_new_array (G_VARIANT_TYPE ("{sv}"), NULL, 0));
  g_return_val_if_fail (g_variant_is_of_type (owned, G_VARIANT_TYPE_VARDICT), NULL);

  g_mutex_lock (&factory->mutex);
  found = g_hash_table_lookup (factory->strategies, strategy);
  g_mutex_unlock (&factory->mutex);

  if (found == NULL)
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_UNKNOWN_STRATEGY,
                   "service %s: there is no fallback strategy “%s”", service, strategy);
      return NULL;
    }
  return found->constructor (factory, service, owned, found->user_data, error);
}
