/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-core.h"

#include "derate-core-apply-private.h"
#include "derate-config-private.h"
#include "derate-core-pipeline-private.h"
#include "derate-core-run-private.h"
#include "derate-degradation-manager-private.h"
#include "derate-error.h"
#include "derate-manual-clock.h"

/* Threads: `services` and `breaker_names` are guarded by the mutex; `model` is the copy for the
 * owner context, where alone it changes. `state` is an atomic word. Everything else is set when the
 * core is made, or belongs to the owner context. */

/**
 * DerateCore:
 *
 * Owns one of each: breakers, services, the degradation manager, fallbacks, metrics and plugins.
 *
 * A program makes one core, from a file or piece by piece, and starts it. On the system's clock the
 * core has a thread of its own for checks, ticks and D-Bus, so that they go on while the program's
 * loop is stuck. On a [class@ManualClock] everything runs in the context where the core was made.
 * Several cores can live in one process without touching each other. A process must not fork after
 * it has made one.
 *
 * Make, start, stop and drop a core in one thread; the getters may be called from any.
 *
 * Since: 1.0
 */
G_DEFINE_FINAL_TYPE (DerateCore, derate_core, G_TYPE_OBJECT)

static GMutex default_mutex;
static DerateCore *default_core; /* guarded by default_mutex */

static void
derate_core_dispose (GObject *object)
{
  derate_core_shut_down (DERATE_CORE (object));
  G_OBJECT_CLASS (derate_core_parent_class)->dispose (object);
}

static void
derate_core_finalize (GObject *object)
{
  DerateCore *core = DERATE_CORE (object);

  g_clear_pointer (&core->systemd, derate_core_systemd_free);
  g_hash_table_unref (core->pipelines);
  g_clear_pointer (&core->monitor, derate_monitor_unref);
  g_clear_pointer (&core->drills, derate_drill_set_unref);
  g_clear_object (&core->manager);
  g_clear_object (&core->breakers);
  g_clear_object (&core->fallbacks);
  g_clear_object (&core->fallback_usage);
  g_clear_object (&core->metrics);
  g_clear_object (&core->plugins);
  g_clear_object (&core->model);
  g_clear_pointer (&core->services, g_ptr_array_unref);
  g_clear_pointer (&core->rules, g_ptr_array_unref);
  g_clear_pointer (&core->features, g_ptr_array_unref);
  g_clear_pointer (&core->config, derate_config_unref);
  g_clear_pointer (&core->owner_queue, derate_event_queue_unref);
  g_clear_pointer (&core->monitor_context, g_main_context_unref);
  g_clear_object (&core->clock);
  g_free (core->config_path);
  g_free (core->name);
  g_mutex_clear (&core->mutex);
  G_OBJECT_CLASS (derate_core_parent_class)->finalize (object);
}

static void
derate_core_class_init (DerateCoreClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->dispose = derate_core_dispose;
  object_class->finalize = derate_core_finalize;

  /**
   * DerateCore::reloaded:
   * @core: the core
   *
   * Its configuration was read again and is in force: whoever reads keys of its own does so again,
   * with [method@Core.get_config]. Emitted in the owner's thread by derate_core_reload(), also
   * when an operator asked for it over D-Bus.
   *
   * Since: 1.0
   */
  g_signal_new ("reloaded", DERATE_TYPE_CORE, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE,
                0);
}

static void
derate_core_init (DerateCore *core)
{
  g_mutex_init (&core->mutex);
  core->pipelines = derate_core_pipelines_new ();
  core->services = g_ptr_array_new_with_free_func (g_object_unref);
  core->model = g_list_store_new (DERATE_TYPE_SERVICE);
}

/* One part in each room, all in the contexts of this core. */
static void
make_parts (DerateCore *core)
{
  g_autoptr (GMainContext) owner = g_main_context_ref_thread_default ();

  core->owner_queue = derate_event_queue_new (owner);
  core->monitor_context =
      DERATE_IS_MANUAL_CLOCK (core->clock) ? g_main_context_ref (owner) : g_main_context_new ();
  core->breakers = derate_breaker_registry_new (core->clock);
  core->fallbacks = derate_fallback_factory_new (core->clock);
  core->fallback_usage = derate_fallback_usage_new (core->clock);
  core->plugins = derate_plugin_loader_new ();
  core->manager = derate_degradation_manager_new (core->clock, owner);
  derate_degradation_manager_set_event_queue (core->manager, core->owner_queue);
  core->drills = derate_drill_set_new (core->clock, core->manager, core->fallback_usage);
  core->monitor = derate_monitor_new (core->clock, core->monitor_context, owner);
  core->metrics = derate_metrics_registry_new ();
  derate_core_attach_collectors (core);
}

/**
 * derate_core_new:
 * @name: the name of the program, `[a-z][a-z0-9_-]{0,62}`; the last part of its bus name
 * @clock: (nullable): the clock, %NULL for the system's
 * @error: where to put the error
 *
 * Makes a core without services.
 *
 * Returns: (transfer full): the core, or %NULL with %DERATE_ERROR_INVALID_ARGUMENT for the name or
 * an environment variable that does not parse
 *
 * Since: 1.0
 */
DerateCore *
derate_core_new (const char *name, DerateClock *clock, GError **error)
{
  g_autoptr (DerateCore) core = NULL;

  g_return_val_if_fail (name != NULL, NULL);

  if (!derate_config_name_is_valid (name))
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_ARGUMENT,
                   "“%s” is not a name such as retail-agent", name);
      return NULL;
    }
  core = g_object_new (DERATE_TYPE_CORE, NULL);
  core->name = g_strdup (name);
  core->clock = g_object_ref (clock != NULL ? clock : derate_clock_get_system ());
  make_parts (core);
  if (!derate_core_apply_environment (core, error))
    return NULL;
  return g_steal_pointer (&core);
}

/**
 * derate_core_new_from_config:
 * @config: a configuration
 * @clock: (nullable): the clock, %NULL for the system's
 * @error: where to put the error
 *
 * Makes a core with everything @config names: loads the plugins, makes services, breakers, rules
 * and features. All is checked before any of it is used.
 *
 * Returns: (transfer full): the core, or %NULL with %DERATE_ERROR_INVALID_CONFIG that names file,
 * group and key
 *
 * Since: 1.0
 */
DerateCore *
derate_core_new_from_config (DerateConfig *config, DerateClock *clock, GError **error)
{
  g_autoptr (DerateCore) core = NULL;
  const char *name;

  g_return_val_if_fail (config != NULL, NULL);

  name = derate_config_get_text (config, "derate", "name", NULL);
  if (name == NULL)
    {
      g_autofree char *origin = derate_config_dup_origin (config, "derate", "name");

      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG, "%s: is missing", origin);
      return NULL;
    }
  core = derate_core_new (name, clock, error);
  if (core == NULL || !derate_core_apply_config (core, config, NULL, error))
    return NULL;
  return g_steal_pointer (&core);
}

/**
 * derate_core_new_from_file:
 * @path: a configuration file; `*.conf` in the folder `PATH.d` beside it come after it
 * @clock: (nullable): the clock, %NULL for the system's
 * @error: where to put the error
 *
 * Makes a core from a file; see derate_core_new_from_config(). Reads files, so call it before the
 * loop matters.
 *
 * Returns: (transfer full): the core, or %NULL with %DERATE_ERROR_INVALID_CONFIG that names file,
 * group and key
 *
 * Since: 1.0
 */
DerateCore *
derate_core_new_from_file (const char *path, DerateClock *clock, GError **error)
{
  g_autoptr (DerateConfig) config = NULL;
  DerateCore *core;

  g_return_val_if_fail (path != NULL, NULL);

  config = derate_config_new_from_file (path, error);
  if (config == NULL)
    return NULL;
  core = derate_core_new_from_config (config, clock, error);
  if (core != NULL)
    core->config_path = g_strdup (path);
  return core;
}

/**
 * derate_core_get_default:
 *
 * The core that derate_core_set_default() named, for programs with one. May be called from any
 * thread.
 *
 * Returns: (transfer full) (nullable): the core
 *
 * Since: 1.0
 */
DerateCore *
derate_core_get_default (void)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&default_mutex);

  return default_core != NULL ? g_object_ref (default_core) : NULL;
}

/**
 * derate_core_set_default:
 * @core: (nullable): a core
 *
 * Names the core of the program. Nothing in the library uses it. May be called from any thread.
 *
 * Since: 1.0
 */
void
derate_core_set_default (DerateCore *core)
{
  g_autoptr (DerateCore) old = NULL;

  g_mutex_lock (&default_mutex);
  old = g_steal_pointer (&default_core);
  default_core = core != NULL ? g_object_ref (core) : NULL;
  g_mutex_unlock (&default_mutex);
}

/**
 * derate_core_get_name:
 * @core: a core
 *
 * The name of the program.
 *
 * Returns: the name
 *
 * Since: 1.0
 */
const char *
derate_core_get_name (DerateCore *core)
{
  return core->name;
}

/**
 * derate_core_get_clock:
 * @core: a core
 *
 * The clock that everything in the core reads.
 *
 * Returns: (transfer none): the clock
 *
 * Since: 1.0
 */
DerateClock *
derate_core_get_clock (DerateCore *core)
{
  return core->clock;
}

/**
 * derate_core_get_breakers:
 * @core: a core
 *
 * The breakers by name.
 *
 * Returns: (transfer none): the registry
 *
 * Since: 1.0
 */
DerateBreakerRegistry *
derate_core_get_breakers (DerateCore *core)
{
  return core->breakers;
}

/**
 * derate_core_get_services:
 * @core: a core
 *
 * The services, as a list model of #DerateService that changes only in the thread of the core's
 * owner; use it there.
 *
 * Returns: (transfer none): the list
 *
 * Since: 1.0
 */
GListModel *
derate_core_get_services (DerateCore *core)
{
  return G_LIST_MODEL (core->model);
}

/**
 * derate_core_get_degradation_manager:
 * @core: a core
 *
 * What decides the level.
 *
 * Returns: (transfer none): the manager
 *
 * Since: 1.0
 */
DerateDegradationManager *
derate_core_get_degradation_manager (DerateCore *core)
{
  return core->manager;
}

/**
 * derate_core_get_fallbacks:
 * @core: a core
 *
 * What makes fallbacks. Register strategies before the core is started.
 *
 * Returns: (transfer none): the factory
 *
 * Since: 1.0
 */
DerateFallbackFactory *
derate_core_get_fallbacks (DerateCore *core)
{
  return core->fallbacks;
}

/**
 * derate_core_get_metrics:
 * @core: a core
 *
 * The metrics of the core, and those the program adds.
 *
 * Returns: (transfer none): the registry
 *
 * Since: 1.0
 */
DerateMetricsRegistry *
derate_core_get_metrics (DerateCore *core)
{
  return core->metrics;
}

/**
 * derate_core_get_plugins:
 * @core: a core
 *
 * The plugins, those that failed with their errors.
 *
 * Returns: (transfer none): the loader
 *
 * Since: 1.0
 */
DeratePluginLoader *
derate_core_get_plugins (DerateCore *core)
{
  return core->plugins;
}

/**
 * derate_core_get_config:
 * @core: a core
 *
 * The configuration in force, for what the program reads of it itself.
 *
 * Returns: (transfer none) (nullable): the configuration
 *
 * Since: 1.0
 */
DerateConfig *
derate_core_get_config (DerateCore *core)
{
  return core->config;
}

GMainContext *
derate_core_get_monitor_context (DerateCore *core)
{
  return core->monitor_context;
}
