/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-service-room-private.h"

#include <math.h>

#include "derate-enum-types.h"

/**
 * DerateService:
 *
 * Something the program depends on: its role, how much it matters, and how it is.
 *
 * The status is the worse of two inputs. The *health check*: results in a row have to agree before
 * they change anything (see [struct@HealthCheckConfig]); a result older than three intervals is
 * unknown, with the cause `stale`. The *circuit breaker*: open means down at once, before the call
 * that opened it returns; half-open and closed mean nothing, but half-open means degraded where
 * there is no check; a failure rate at or above the breaker-degraded-rate means degraded with the
 * cause `protocol` (it answers, with errors of its own), if the last three check intervals saw
 * enough calls; the rate is read with every failure and every check. Where both say the same, the
 * check's cause is shown, because it says more. Unknown is worse than degraded and better than
 * down. A service without a check is healthy until its breaker says otherwise; one with neither is
 * unknown. What a user of the service finds while it uses it makes it worse, too: see
 * [method@Service.set_finding]. During a drill it is at least as bad as the drill plays, with the
 * cause `drill` where it would be better without.
 *
 * Reading the status is one atomic load and may be done from any thread. Properties are notified
 * and [signal@Service::status-changed] is emitted in the context where the service was made, in the
 * order in which things happened.
 *
 * Since: 1.0
 */
G_DEFINE_FINAL_TYPE (DerateService, derate_service, G_TYPE_OBJECT)

enum
{
  PROP_NAME = 1,
  PROP_ROLE,
  PROP_CRITICALITY,
  PROP_PLUGIN,
  PROP_BREAKER,
  PROP_STATUS,
  PROP_CAUSE,
  N_PROPS,
};

static GParamSpec *properties[N_PROPS];

static void
derate_service_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  DerateService *service = DERATE_SERVICE (object);

  switch (id)
    {
    case PROP_NAME:
      g_value_set_string (value, service->name);
      break;
    case PROP_ROLE:
      g_value_set_enum (value, service->role);
      break;
    case PROP_CRITICALITY:
      g_value_set_enum (value, derate_service_get_criticality (service));
      break;
    case PROP_PLUGIN:
      g_value_set_string (value, service->plugin);
      break;
    case PROP_BREAKER:
      g_value_set_object (value, service->breaker);
      break;
    case PROP_STATUS:
      g_value_set_enum (value, derate_service_get_status (service));
      break;
    case PROP_CAUSE:
      g_value_set_enum (value, derate_service_get_cause (service));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

static void
derate_service_dispose (GObject *object)
{
  DerateService *service = DERATE_SERVICE (object);

  if (service->breaker != NULL)
    derate_breaker_unbind (service->breaker, derate_service_breaker_changed, service);
  g_clear_object (&service->breaker);
  G_OBJECT_CLASS (derate_service_parent_class)->dispose (object);
}

static void
derate_service_finalize (GObject *object)
{
  DerateService *service = DERATE_SERVICE (object);

  g_clear_object (&service->check);
  g_clear_object (&service->hook_owner);
  g_clear_object (&service->clock);
  g_clear_object (&service->delay);
  g_clear_pointer (&service->config, derate_health_check_config_free);
  g_clear_pointer (&service->events, derate_event_queue_unref);
  g_clear_pointer (&service->waker, derate_waker_unref);
  g_clear_pointer (&service->check_context, g_main_context_unref);
  g_clear_pointer (&service->owner_context, g_main_context_unref);
  g_clear_pointer (&service->waiters, g_ptr_array_unref);
  g_clear_pointer (&service->findings, g_hash_table_unref);
  g_queue_clear_full (&service->steps, g_free);
  g_queue_clear_full (&service->history, g_free);
  g_free (service->name);
  g_free (service->plugin);
  g_free (service->error);
  g_mutex_clear (&service->mutex);
  G_OBJECT_CLASS (derate_service_parent_class)->finalize (object);
}

#define READ_ONLY (G_PARAM_READABLE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS)

static void
describe_make (void)
{
  /**
   * DerateService:name:
   *
   * The name.
   *
   * Since: 1.0
   */
  properties[PROP_NAME] = g_param_spec_string ("name", NULL, NULL, NULL, READ_ONLY);
  /**
   * DerateService:role:
   *
   * What it is for.
   *
   * Since: 1.0
   */
  properties[PROP_ROLE] = g_param_spec_enum ("role", NULL, NULL, DERATE_TYPE_SERVICE_ROLE,
                                             DERATE_SERVICE_ROLE_NONE, READ_ONLY);
  /**
   * DerateService:criticality:
   *
   * How much it matters.
   *
   * Since: 1.0
   */
  properties[PROP_CRITICALITY] =
      g_param_spec_enum ("criticality", NULL, NULL, DERATE_TYPE_CRITICALITY,
                         DERATE_CRITICALITY_MEDIUM, READ_ONLY);
  /**
   * DerateService:plugin:
   *
   * The plugin its check came from.
   *
   * Since: 1.0
   */
  properties[PROP_PLUGIN] = g_param_spec_string ("plugin", NULL, NULL, NULL, READ_ONLY);
  /**
   * DerateService:breaker:
   *
   * Its circuit breaker.
   *
   * Since: 1.0
   */
  properties[PROP_BREAKER] =
      g_param_spec_object ("breaker", NULL, NULL, DERATE_TYPE_BREAKER, READ_ONLY);
}

static void
describe_health (void)
{
  /**
   * DerateService:status:
   *
   * How it is.
   *
   * Since: 1.0
   */
  properties[PROP_STATUS] = g_param_spec_enum ("status", NULL, NULL, DERATE_TYPE_HEALTH_STATUS,
                                               DERATE_HEALTH_STATUS_UNKNOWN, READ_ONLY);
  /**
   * DerateService:cause:
   *
   * Why it is not healthy.
   *
   * Since: 1.0
   */
  properties[PROP_CAUSE] = g_param_spec_enum ("cause", NULL, NULL, DERATE_TYPE_HEALTH_CAUSE,
                                              DERATE_HEALTH_CAUSE_NONE, READ_ONLY);
}

static void
derate_service_class_init (DerateServiceClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->get_property = derate_service_get_property;
  object_class->dispose = derate_service_dispose;
  object_class->finalize = derate_service_finalize;
  describe_make ();
  describe_health ();
  g_object_class_install_properties (object_class, N_PROPS, properties);

  /**
   * DerateService::status-changed:
   * @service: the service
   * @old_status: what it was
   * @new_status: what it became
   * @cause: why
   *
   * Emitted in the owner's context for each change of the status, in their order. The arguments are
   * the step; the status itself may have moved on.
   *
   * Since: 1.0
   */
  g_signal_new ("status-changed", DERATE_TYPE_SERVICE, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                G_TYPE_NONE, 3, DERATE_TYPE_HEALTH_STATUS, DERATE_TYPE_HEALTH_STATUS,
                DERATE_TYPE_HEALTH_CAUSE);
}

static void
derate_service_init (DerateService *service)
{
  static const DerateServiceState unknown = { .after_grace = DERATE_HEALTH_STATUS_DOWN };
  g_autoptr (GMainContext) context = g_main_context_ref_thread_default ();

  g_mutex_init (&service->mutex);
  g_queue_init (&service->steps);
  g_queue_init (&service->history);
  service->config = derate_health_check_config_new ();
  service->waiters = g_ptr_array_new_with_free_func (g_object_unref);
  service->events = derate_event_queue_new (context);
  service->breaker_degraded_rate = DERATE_SERVICE_RATE_DEFAULT;
  service->remote = TRUE;
  service->word = derate_service_word (&unknown, &unknown);
}

/**
 * derate_service_new:
 * @name: the name, as `[a-z][a-z0-9_-]{0,62}`
 * @role: what it is for; brings the criticality
 * @clock: (nullable): the clock, or %NULL for the system's
 *
 * Makes a service that nobody checks yet: a core does. What is set with
 * derate_service_set_breaker() and the like is set before the service is added to one. Signals go
 * to the thread-default context of this call.
 *
 * Returns: (transfer full): the service
 *
 * Since: 1.0
 */
DerateService *
derate_service_new (const char *name, DerateServiceRole role, DerateClock *clock)
{
  DerateService *service;

  g_return_val_if_fail (name != NULL, NULL);

  service = g_object_new (DERATE_TYPE_SERVICE, NULL);
  service->name = g_strdup (name);
  service->role = role;
  service->criticality = derate_service_role_get_criticality (role);
  service->clock = g_object_ref (clock != NULL ? clock : derate_clock_get_system ());
  service->delay = derate_delay_policy_new (service->clock);
  service->since_wall = derate_clock_get_real_time (service->clock);
  return service;
}

/* What it is made of */

/**
 * derate_service_set_criticality:
 * @service: a service
 * @criticality: how much it matters
 *
 * Says how much the service matters, where the role's default does not fit.
 *
 * Since: 1.0
 */
void
derate_service_set_criticality (DerateService *service, DerateCriticality criticality)
{
  g_return_if_fail (DERATE_IS_SERVICE (service));

  g_mutex_lock (&service->mutex);
  service->criticality = criticality;
  g_mutex_unlock (&service->mutex);
}

/**
 * derate_service_set_plugin:
 * @service: a service
 * @plugin: (nullable): the name of a plugin, to be shown
 *
 * Says which plugin the health check came from. Only before the service is added to a core.
 *
 * Since: 1.0
 */
void
derate_service_set_plugin (DerateService *service, const char *plugin)
{
  g_return_if_fail (DERATE_IS_SERVICE (service));

  g_free (service->plugin);
  service->plugin = g_strdup (plugin);
}

/**
 * derate_service_set_health_check:
 * @service: a service
 * @check: (nullable): how to ask it
 *
 * Sets the health check; without one the breaker alone speaks for the service. Only before the
 * service is added to a core.
 *
 * Since: 1.0
 */
void
derate_service_set_health_check (DerateService *service, DerateHealthCheck *check)
{
  g_autoptr (DerateHealthCheck) old = NULL;

  g_return_if_fail (DERATE_IS_SERVICE (service));
  g_return_if_fail (check == NULL || DERATE_IS_HEALTH_CHECK (check));

  g_mutex_lock (&service->mutex);
  old = g_steal_pointer (&service->check);
  g_set_object (&service->check, check);
  g_mutex_unlock (&service->mutex);
  derate_service_update (service);
}

/**
 * derate_service_set_check_config:
 * @service: a service
 * @config: how often and how patiently to check
 *
 * Sets how the service is checked. @config is copied. May be called at any time; counts of results
 * in a row are kept.
 *
 * Since: 1.0
 */
void
derate_service_set_check_config (DerateService *service, const DerateHealthCheckConfig *config)
{
  g_autoptr (DerateHealthCheckConfig) copy = derate_health_check_config_copy (config);
  g_autoptr (DerateHealthCheckConfig) old = NULL;

  g_return_if_fail (DERATE_IS_SERVICE (service));

  g_mutex_lock (&service->mutex);
  old = service->config;
  service->config = g_steal_pointer (&copy);
  g_mutex_unlock (&service->mutex);
}

/**
 * derate_service_set_breaker:
 * @service: a service
 * @breaker: (nullable): the breaker around its calls
 *
 * Sets the circuit breaker. Several services may share one: when it opens, all of them are down.
 * Only before the service is added to a core.
 *
 * Since: 1.0
 */
void
derate_service_set_breaker (DerateService *service, DerateBreaker *breaker)
{
  g_autoptr (DerateBreaker) old = NULL;
  gboolean same;

  g_return_if_fail (DERATE_IS_SERVICE (service));
  g_return_if_fail (breaker == NULL || DERATE_IS_BREAKER (breaker));

  g_mutex_lock (&service->mutex);
  same = service->breaker == breaker;
  if (!same)
    service->good_checks = 0;
  old = g_steal_pointer (&service->breaker);
  g_set_object (&service->breaker, breaker);
  g_mutex_unlock (&service->mutex);

  /* The same one stays bound: not a moment may it open unheard. */
  if (!same && old != NULL)
    derate_breaker_unbind (old, derate_service_breaker_changed, service);
  if (!same && breaker != NULL)
    derate_breaker_bind (breaker, derate_service_breaker_changed, service);
  derate_service_update (service);
}

/**
 * derate_service_set_breaker_degraded_rate:
 * @service: a service
 * @rate: a failure rate from 0 to 1; 0 is off, %DERATE_SERVICE_RATE_DEFAULT the default
 *
 * Sets the failure rate of the breaker's window at or above which the service is degraded.
 *
 * Since: 1.0
 */
void
derate_service_set_breaker_degraded_rate (DerateService *service, double rate)
{
  g_return_if_fail (DERATE_IS_SERVICE (service));
  g_return_if_fail (rate == DERATE_SERVICE_RATE_DEFAULT || (rate >= 0 && rate <= 1));

  g_mutex_lock (&service->mutex);
  service->breaker_degraded_rate = rate;
  g_mutex_unlock (&service->mutex);
  derate_service_update (service);
}

/**
 * derate_service_set_remote:
 * @service: a service
 * @remote: whether it is reached over a network; %TRUE unless said
 *
 * Says whether the service is on another machine. When all remote ones fail at once, this machine's
 * network is the first suspect.
 *
 * Since: 1.0
 */
void
derate_service_set_remote (DerateService *service, gboolean remote)
{
  g_return_if_fail (DERATE_IS_SERVICE (service));

  g_mutex_lock (&service->mutex);
  service->remote = remote;
  g_mutex_unlock (&service->mutex);
}

/**
 * derate_service_get_name:
 * @service: a service
 *
 * The name. May be called from any thread.
 *
 * Returns: the name
 *
 * Since: 1.0
 */
const char *
derate_service_get_name (DerateService *service)
{
  g_return_val_if_fail (DERATE_IS_SERVICE (service), NULL);

  return service->name;
}

/**
 * derate_service_get_role:
 * @service: a service
 *
 * What the service is for. May be called from any thread.
 *
 * Returns: the role
 *
 * Since: 1.0
 */
DerateServiceRole
derate_service_get_role (DerateService *service)
{
  g_return_val_if_fail (DERATE_IS_SERVICE (service), DERATE_SERVICE_ROLE_NONE);

  return service->role;
}

/**
 * derate_service_get_plugin:
 * @service: a service
 *
 * The plugin its health check came from. May be called from any thread.
 *
 * Returns: (nullable): the name of the plugin
 *
 * Since: 1.0
 */
const char *
derate_service_get_plugin (DerateService *service)
{
  g_return_val_if_fail (DERATE_IS_SERVICE (service), NULL);

  return service->plugin;
}

/**
 * derate_service_get_health_check:
 * @service: a service
 *
 * How the service is asked. May be called from any thread.
 *
 * Returns: (transfer none) (nullable): the health check
 *
 * Since: 1.0
 */
DerateHealthCheck *
derate_service_get_health_check (DerateService *service)
{
  g_return_val_if_fail (DERATE_IS_SERVICE (service), NULL);

  return service->check;
}

/**
 * derate_service_get_breaker:
 * @service: a service
 *
 * The circuit breaker around its calls. May be called from any thread.
 *
 * Returns: (transfer none) (nullable): the breaker
 *
 * Since: 1.0
 */
DerateBreaker *
derate_service_get_breaker (DerateService *service)
{
  g_return_val_if_fail (DERATE_IS_SERVICE (service), NULL);

  return service->breaker;
}

/**
 * derate_service_get_criticality:
 * @service: a service
 *
 * How much the service matters. May be called from any thread.
 *
 * Returns: the criticality
 *
 * Since: 1.0
 */
DerateCriticality
derate_service_get_criticality (DerateService *service)
{
  g_autoptr (GMutexLocker) locker = NULL;

  g_return_val_if_fail (DERATE_IS_SERVICE (service), DERATE_CRITICALITY_MEDIUM);

  locker = g_mutex_locker_new (&service->mutex);
  return service->criticality;
}

/**
 * derate_service_get_remote:
 * @service: a service
 *
 * Whether the service is reached over a network. May be called from any thread.
 *
 * Returns: whether it is
 *
 * Since: 1.0
 */
gboolean
derate_service_get_remote (DerateService *service)
{
  g_autoptr (GMutexLocker) locker = NULL;

  g_return_val_if_fail (DERATE_IS_SERVICE (service), FALSE);

  locker = g_mutex_locker_new (&service->mutex);
  return service->remote;
}

/**
 * derate_service_dup_check_config:
 * @service: a service
 *
 * How the service is checked.
 *
 * Returns: (transfer full): a copy
 *
 * Since: 1.0
 */
DerateHealthCheckConfig *
derate_service_dup_check_config (DerateService *service)
{
  g_autoptr (GMutexLocker) locker = NULL;

  g_return_val_if_fail (DERATE_IS_SERVICE (service), NULL);

  locker = g_mutex_locker_new (&service->mutex);
  return derate_health_check_config_copy (service->config);
}

static void
set_hook (DerateService *service, DerateServiceHook hook, gpointer data, GObject *owner)
{
  g_autoptr (GObject) old = NULL;

  g_mutex_lock (&service->mutex);
  old = g_steal_pointer (&service->hook_owner);
  g_set_object (&service->hook_owner, owner);
  service->hook = hook;
  service->hook_data = data;
  g_mutex_unlock (&service->mutex);
}

void
derate_service_set_hook (DerateService *service, DerateServiceHook hook, gpointer data)
{
  set_hook (service, hook, data, NULL);
}

void
derate_service_set_hook_owner (DerateService *service, DerateServiceHook hook, GObject *owner)
{
  set_hook (service, hook, owner, owner);
}

void
derate_service_set_event_queue (DerateService *service, DerateEventQueue *events)
{
  g_autoptr (DerateEventQueue) old = NULL;

  g_mutex_lock (&service->mutex);
  old = service->events;
  service->events = derate_event_queue_ref (events);
  g_mutex_unlock (&service->mutex);
}
