/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-gate-policy-private.h"

#include "derate-decider-private.h"
#include "derate-error.h"
#include "derate-policy-private.h"

/* Threads: nothing changes after it is made. An open gate costs its one atomic load. */

struct _DerateGatePolicy
{
  DeratePolicy parent_instance;

  DerateDegradationManager *manager;
  DerateGate *gate;
  DerateService *service;
};

typedef struct
{
  DeratePolicyClass parent_class;
} DerateGatePolicyClass;

static GType derate_gate_policy_get_type (void);

G_DEFINE_FINAL_TYPE (DerateGatePolicy, derate_gate_policy, DERATE_TYPE_POLICY)

static GError *
refuse_by_service (DerateGatePolicy *self)
{
  const char *feature = derate_gate_get_name (self->gate);

  if (derate_service_get_cause (self->service) == DERATE_HEALTH_CAUSE_DRILL)
    return g_error_new (DERATE_ERROR, DERATE_ERROR_DRILL,
                        "feature “%s” is off: a drill of service “%s”", feature,
                        derate_service_get_name (self->service));
  return g_error_new (DERATE_ERROR, DERATE_ERROR_OPEN,
                      "feature “%s” is off: a service that it needs is not well", feature);
}

static GError *
refuse_by_level (DerateGatePolicy *self)
{
  DerateLevel level = derate_degradation_manager_get_level (self->manager);
  g_autofree char *rule = derate_degradation_manager_dup_rule (self->manager);
  gboolean held = g_strcmp0 (rule, DERATE_RULE_HOLD) == 0;

  return g_error_new (DERATE_ERROR, held ? DERATE_ERROR_HOLD : DERATE_ERROR_LEVEL,
                      "feature “%s” is off at level %s%s", derate_gate_get_name (self->gate),
                      derate_level_get_nick (level), held ? ", which is held" : "");
}

/* Why nothing may be called, NULL while it may. */
static GError *
refuse (DerateGatePolicy *self)
{
  DerateGateReason reason;

  if (G_LIKELY (derate_gate_is_open (self->gate)))
    return NULL;
  derate_gate_get_mode (self->gate, &reason);
  return reason == DERATE_GATE_REASON_LEVEL ? refuse_by_level (self) : refuse_by_service (self);
}

static GVariant *
derate_gate_policy_call (DeratePolicy *policy,
                         DerateCallContext *context,
                         guint next,
                         GError **error)
{
  GError *refusal = refuse ((DerateGatePolicy *)policy);

  if (refusal == NULL)
    return derate_stage_call (context, next, error);
  g_propagate_error (error, refusal);
  return NULL;
}

static void
derate_gate_policy_start (DeratePolicy *policy,
                          DerateAsyncCall *call,
                          guint next,
                          GCancellable *cancellable,
                          DerateStageDone done,
                          gpointer data)
{
  GError *refusal = refuse ((DerateGatePolicy *)policy);

  if (refusal == NULL)
    derate_stage_start (call, next, cancellable, done, data);
  else
    done (data, NULL, refusal);
}

static void
derate_gate_policy_finalize (GObject *object)
{
  DerateGatePolicy *self = (DerateGatePolicy *)object;

  g_object_unref (self->service);
  derate_gate_unref (self->gate);
  g_object_unref (self->manager);
  G_OBJECT_CLASS (derate_gate_policy_parent_class)->finalize (object);
}

static void
derate_gate_policy_class_init (DerateGatePolicyClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = derate_gate_policy_finalize;
  klass->parent_class.call = derate_gate_policy_call;
  klass->parent_class.start = derate_gate_policy_start;
}

static void
derate_gate_policy_init (DerateGatePolicy *policy)
{
}

DeratePolicy *
derate_gate_policy_new (DerateDegradationManager *manager, DerateGate *gate, DerateService *service)
{
  DerateGatePolicy *self = g_object_new (derate_gate_policy_get_type (), NULL);

  self->manager = g_object_ref (manager);
  self->gate = derate_gate_ref (gate);
  self->service = g_object_ref (service);
  return (DeratePolicy *)self;
}
