/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "derate-breaker-registry-private.h"
#include "derate-core-object-private.h"
#include "derate-degradation-manager-private.h"
#include "derate-drill-watch-private.h"

/* What happens in a core, told one after the other to whoever watches.
 *
 * Threads: an ear is called in the thread where something happens, by each of those that it hangs
 * on, and each of them keeps it; it has no state of its own. `watches` is guarded by the core's
 * mutex, and what is taken out of it belongs to the thread that took it. */

typedef struct
{
  GWeakRef core;
  gboolean details;
  DerateCoreWatchFunc func;
  gpointer data;
  GDestroyNotify destroy; /* nullable */
} Ear;

/* A service or a breaker that is listened to. */
typedef struct
{
  GObject *object;
  gulong handler; /* of a service */
  guint listener; /* of a breaker */
} Subject;

typedef struct
{
  guint id;
  DerateCore *core; /* not owned: it ends its watches */
  Ear *ear;
  guint listener; /* of the manager */
  guint registry_watch;
  DerateDrillWatch *drills;
  gulong reloaded;
  gulong changed; /* of the list of services */
  GPtrArray *subjects;
} Watch;

static void
ear_clear (gpointer data)
{
  Ear *ear = data;

  if (ear->destroy != NULL)
    ear->destroy (ear->data);
  g_weak_ref_clear (&ear->core);
}

static void
ear_unref (gpointer ear)
{
  g_atomic_rc_box_release_full (ear, ear_clear);
}

static void
ear_unref_closure (gpointer ear, GClosure *closure)
{
  ear_unref (ear);
}

/* Takes @value. */
static void
tell (Ear *ear, const char *event, GVariant *value)
{
  g_autoptr (GVariant) owned = g_variant_take_ref (value);

  ear->func (event, owned, ear->data);
}

static void
add (GVariantBuilder *builder, const char *key, GVariant *value)
{
  g_variant_builder_add (builder, "{sv}", key, value);
}

/* What a step says itself: the getters may be further already. */
static GVariant *
step_value (const DerateDegradationEvent *event, const char *key)
{
  if (strcmp (key, "level") == 0)
    return g_variant_new_string (derate_level_get_nick (event->new_level));
  if (strcmp (key, "level_value") == 0)
    return g_variant_new_uint32 (derate_level_get_number (event->new_level));
  if (strcmp (key, "functionality_percent") == 0)
    return g_variant_new_uint32 (derate_level_get_functionality_percent (event->new_level));
  if (strcmp (key, "text") == 0)
    return g_variant_new_string (derate_level_get_text (event->new_level));
  if (strcmp (key, "computed_level") == 0)
    return g_variant_new_string (derate_level_get_nick (event->computed));
  if (strcmp (key, "rule") == 0)
    return g_variant_new ("ms", event->rule);
  if (strcmp (key, "inputs") == 0 && event->inputs != NULL)
    return event->inputs;
  return NULL;
}

/* `/degradation` without what has events of its own, and without the history that they make. */
static GVariant *
level_to_variant (DerateDegradationManager *manager, const DerateDegradationEvent *event)
{
  static const char *const others[] = { "services", "holds", "drills", "history", NULL };
  g_autoptr (GVariant) all = derate_degradation_manager_to_variant (manager, FALSE);
  GVariantBuilder builder;
  GVariantIter iter;
  const char *key;
  GVariant *value;

  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  g_variant_iter_init (&iter, all);
  while (g_variant_iter_loop (&iter, "{&sv}", &key, &value))
    {
      GVariant *step = event != NULL ? step_value (event, key) : NULL;

      if (!g_strv_contains (others, key))
        add (&builder, key, step != NULL ? step : value);
    }
  return g_variant_builder_end (&builder);
}

/* The service object with its name in front; @status (nullable) and @cause are a step's. */
static GVariant *
service_to_variant (DerateCore *core,
                    DerateService *service,
                    gboolean details,
                    const DerateHealthStatus *status,
                    DerateHealthCause cause)
{
  g_autoptr (GVariant) all = derate_core_dup_service (core, service, details);
  const char *nick =
      cause != DERATE_HEALTH_CAUSE_NONE ? derate_health_cause_get_nick (cause) : NULL;
  GVariantBuilder builder;
  GVariantIter iter;
  const char *key;
  GVariant *value;

  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  add (&builder, "name", g_variant_new_string (derate_service_get_name (service)));
  g_variant_iter_init (&iter, all);
  while (g_variant_iter_loop (&iter, "{&sv}", &key, &value))
    {
      if (status != NULL && strcmp (key, "status") == 0)
        add (&builder, key, g_variant_new_string (derate_health_status_get_nick (*status)));
      else if (status != NULL && strcmp (key, "cause") == 0)
        add (&builder, key, g_variant_new ("ms", nick));
      else
        add (&builder, key, value);
    }
  return g_variant_builder_end (&builder);
}

static GVariant *
breaker_to_variant (DerateBreaker *breaker, const DerateBreakerState *state)
{
  g_autoptr (DerateBreakerStats) stats = derate_breaker_dup_stats (breaker);

  if (state != NULL)
    stats->state = *state;
  return derate_breaker_stats_to_variant (stats);
}

/* A hold or a drill, and why it ended. Takes @running. */
static GVariant *
add_end (GVariant *running, const char *ended)
{
  g_autoptr (GVariant) owned = g_variant_take_ref (running);
  GVariantBuilder builder;
  GVariantIter iter;
  const char *key;
  GVariant *value;

  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  g_variant_iter_init (&iter, owned);
  while (g_variant_iter_loop (&iter, "{&sv}", &key, &value))
    add (&builder, key, value);
  add (&builder, "ended", g_variant_new ("ms", ended));
  return g_variant_builder_end (&builder);
}

/* In any thread, in the order of what happened. */
static void
on_degradation (DerateDegradationManager *manager,
                const DerateDegradationEvent *event,
                gpointer data)
{
  Ear *ear = data;
  g_autoptr (DerateCore) core = NULL;

  if (event->hold == NULL)
    {
      tell (ear, "level", level_to_variant (manager, event));
      return;
    }
  core = g_weak_ref_get (&ear->core);
  if (core != NULL)
    tell (ear, "hold",
          add_end (derate_hold_to_variant (event->hold, derate_clock_get_time (core->clock),
                                           ear->details),
                   event->cause));
}

/* In any thread. */
static void
on_breaker (DerateBreaker *breaker,
            DerateBreakerState old_state,
            DerateBreakerState new_state,
            const DerateBreakerCounters *counters,
            gpointer data)
{
  tell (data, "breaker", breaker_to_variant (breaker, &new_state));
}

/* In the monitor's context. */
static void
on_drill (const DerateDrill *drill, const char *ended, gpointer data)
{
  Ear *ear = data;
  g_autoptr (DerateCore) core = g_weak_ref_get (&ear->core);

  if (core != NULL)
    tell (ear, "drill",
          add_end (derate_drill_to_variant (drill, derate_clock_get_time (core->clock),
                                            ear->details),
                   ended));
}

/* In the owner's context. */
static void
on_service (DerateService *service,
            DerateHealthStatus old_status,
            DerateHealthStatus new_status,
            DerateHealthCause cause,
            gpointer data)
{
  Ear *ear = data;
  g_autoptr (DerateCore) core = g_weak_ref_get (&ear->core);

  if (core != NULL)
    tell (ear, "service", service_to_variant (core, service, ear->details, &new_status, cause));
}

/* In any thread: there are other services or breakers than those that are listened to. */
static void
on_others (gpointer data)
{
  Ear *ear = data;

  ear->func (NULL, NULL, ear->data);
}

static void
subject_free (gpointer data)
{
  Subject *subject = data;

  if (DERATE_IS_BREAKER (subject->object))
    derate_breaker_remove_listener (DERATE_BREAKER (subject->object), subject->listener);
  else
    g_signal_handler_disconnect (subject->object, subject->handler);
  g_object_unref (subject->object);
  g_free (subject);
}

static void
watch_free (gpointer data)
{
  Watch *watch = data;

  derate_degradation_manager_remove_listener (watch->core->manager, watch->listener);
  derate_breaker_registry_remove_watch (watch->core->breakers, watch->registry_watch);
  derate_drill_watch_free (watch->drills);
  g_signal_handler_disconnect (watch->core->model, watch->changed);
  g_signal_handler_disconnect (watch->core, watch->reloaded);
  g_ptr_array_unref (watch->subjects);
  ear_unref (watch->ear);
  g_free (watch);
}

static void
listen_to (Watch *watch, gpointer object)
{
  Subject *subject = g_new0 (Subject, 1);
  gpointer ear = g_atomic_rc_box_acquire (watch->ear);

  subject->object = g_object_ref (object);
  if (DERATE_IS_BREAKER (object))
    subject->listener = derate_breaker_add_listener (object, on_breaker, ear, ear_unref);
  else
    subject->handler = g_signal_connect_data (object, "status-changed", G_CALLBACK (on_service),
                                              ear, ear_unref_closure, 0);
  g_ptr_array_add (watch->subjects, subject);
}

static Watch *
watch_new (DerateCore *core, Ear *ear)
{
  Watch *watch = g_new0 (Watch, 1);
  g_autoptr (GPtrArray) services = NULL;
  g_autoptr (GPtrArray) breakers = NULL;

  watch->core = core;
  watch->ear = ear;
  watch->subjects = g_ptr_array_new_with_free_func (subject_free);
  watch->listener =
      derate_degradation_manager_add_listener (core->manager, on_degradation,
                                               g_atomic_rc_box_acquire (ear), ear_unref);
  watch->registry_watch =
      derate_breaker_registry_add_watch (core->breakers, on_others, g_atomic_rc_box_acquire (ear),
                                         ear_unref);
  watch->changed =
      g_signal_connect_data (core->model, "items-changed", G_CALLBACK (on_others),
                             g_atomic_rc_box_acquire (ear), ear_unref_closure, G_CONNECT_SWAPPED);
  watch->reloaded =
      g_signal_connect_data (core, "reloaded", G_CALLBACK (on_others),
                             g_atomic_rc_box_acquire (ear), ear_unref_closure, G_CONNECT_SWAPPED);
  watch->drills = derate_drill_watch_new (core->drills, core->clock, core->monitor_context,
                                          on_drill, g_atomic_rc_box_acquire (ear), ear_unref);
  services = derate_core_snapshot_services (core);
  breakers = derate_breaker_registry_list (core->breakers);
  for (guint i = 0; i < services->len; i++)
    listen_to (watch, g_ptr_array_index (services, i));
  for (guint i = 0; i < breakers->len; i++)
    listen_to (watch, g_ptr_array_index (breakers, i));
  return watch;
}

/**
 * derate_core_add_watch: (skip)
 * @core: a core
 * @details: whether to tell who holds and why, and the services' error texts
 * @func: what to call
 * @user_data: data for @func
 * @destroy: (nullable): frees @user_data, after the last call
 *
 * Calls @func with each change of the level, of a service, a breaker, a hold or a drill, as
 * `/events` tells it: changes of one kind come in the order in which they happened. It is called
 * without a lock, in the thread that changed something (for services in the context of the core's
 * owner, for drills in the core's thread), so it hands on what takes time. The event %NULL says
 * that nothing more will come: the core was stopped, or it has other services or breakers now, and
 * whoever wants to know goes on with derate_core_dup_events() and another watch. May be called from
 * any thread.
 *
 * Returns: an id for derate_core_remove_watch(); 0 where the core was stopped
 *
 * Since: 1.0
 */
guint
derate_core_add_watch (DerateCore *core,
                       gboolean details,
                       DerateCoreWatchFunc func,
                       gpointer user_data,
                       GDestroyNotify destroy)
{
  Ear *ear = NULL;
  Watch *watch = NULL;
  guint id = 0;

  g_return_val_if_fail (DERATE_IS_CORE (core), 0);
  g_return_val_if_fail (func != NULL, 0);

  ear = g_atomic_rc_box_new0 (Ear);
  g_weak_ref_init (&ear->core, core);
  ear->details = details;
  ear->func = func;
  ear->data = user_data;
  ear->destroy = destroy;
  watch = watch_new (core, ear);

  g_mutex_lock (&core->mutex);
  if (derate_core_get_state (core) != DERATE_CORE_STOPPED)
    {
      if (core->watches == NULL)
        core->watches = g_ptr_array_new ();
      id = watch->id = ++core->last_watch;
      g_ptr_array_add (core->watches, g_steal_pointer (&watch));
    }
  g_mutex_unlock (&core->mutex);
  g_clear_pointer (&watch, watch_free);
  return id;
}

/**
 * derate_core_remove_watch: (skip)
 * @core: a core
 * @id: what derate_core_add_watch() returned
 *
 * Ends it. A call in another thread may still be under way. May be called from any thread, and for
 * a watch that has ended with the core.
 *
 * Since: 1.0
 */
void
derate_core_remove_watch (DerateCore *core, guint id)
{
  Watch *watch = NULL;

  g_return_if_fail (DERATE_IS_CORE (core));

  g_mutex_lock (&core->mutex);
  for (guint i = 0; core->watches != NULL && i < core->watches->len && watch == NULL; i++)
    if (((Watch *)g_ptr_array_index (core->watches, i))->id == id)
      watch = g_ptr_array_steal_index (core->watches, i);
  g_mutex_unlock (&core->mutex);
  g_clear_pointer (&watch, watch_free);
}

void
derate_core_end_watches (DerateCore *core)
{
  g_autoptr (GPtrArray) watches = NULL;

  g_mutex_lock (&core->mutex);
  watches = g_steal_pointer (&core->watches);
  g_mutex_unlock (&core->mutex);
  for (guint i = 0; watches != NULL && i < watches->len; i++)
    {
      Watch *watch = g_ptr_array_index (watches, i);

      on_others (watch->ear);
      watch_free (watch);
    }
}

/* Takes @value. */
static void
add_event (GVariantBuilder *builder, const char *event, GVariant *value)
{
  g_variant_builder_add (builder, "(s@a{sv})", event, value);
}

/**
 * derate_core_dup_events:
 * @core: a core
 * @details: whether to say who holds a level and why, and the services' error texts
 *
 * What `/events` begins with: the level, each service, breaker, hold and drill as it is now. May
 * be called from any thread.
 *
 * Returns: (transfer full): an `a(sa{sv})`: event and value
 *
 * Since: 1.0
 */
GVariant *
derate_core_dup_events (DerateCore *core, gboolean details)
{
  g_autoptr (GPtrArray) services = NULL;
  g_autoptr (GPtrArray) breakers = NULL;
  g_autoptr (GVariant) holds = NULL;
  g_autoptr (GVariant) drills = NULL;
  GVariantBuilder builder;

  g_return_val_if_fail (DERATE_IS_CORE (core), NULL);

  services = derate_core_snapshot_services (core);
  breakers = derate_breaker_registry_list (core->breakers);
  holds = derate_degradation_manager_dup_holds (core->manager, details);
  drills = derate_core_dup_drills (core, details);
  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a(sa{sv})"));
  add_event (&builder, "level", level_to_variant (core->manager, NULL));
  for (guint i = 0; i < services->len; i++)
    add_event (&builder, "service",
               service_to_variant (core, g_ptr_array_index (services, i), details, NULL,
                                   DERATE_HEALTH_CAUSE_NONE));
  for (guint i = 0; i < breakers->len; i++)
    add_event (&builder, "breaker", breaker_to_variant (g_ptr_array_index (breakers, i), NULL));
  for (gsize i = 0; i < g_variant_n_children (holds); i++)
    add_event (&builder, "hold", add_end (g_variant_get_child_value (holds, i), NULL));
  for (gsize i = 0; i < g_variant_n_children (drills); i++)
    add_event (&builder, "drill", add_end (g_variant_get_child_value (drills, i), NULL));
  return g_variant_ref_sink (g_variant_builder_end (&builder));
}
