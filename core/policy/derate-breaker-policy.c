/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-breaker-policy.h"

#include "derate-breaker-private.h"
#include "derate-policy-private.h"

/**
 * DerateBreakerPolicy:
 *
 * A circuit breaker as a stage of a [class@Pipeline]: it asks the breaker for a permit and tells it
 * how the call ended, by the breaker's own config. A cancelled call is neutral and gives its permit
 * back at once, also when its operation goes on.
 *
 * Since: 1.0
 */
struct _DerateBreakerPolicy
{
  DeratePolicy parent_instance;

  DerateBreaker *breaker;
};

struct _DerateBreakerPolicyClass
{
  DeratePolicyClass parent_class;
};

/* One call that is answered later. */
typedef struct
{
  DeratePermit permit;
  DerateAsyncCall *call; /* keeps the breaker */
  DerateStageDone done;
  gpointer data;
} Attempt;

G_DEFINE_FINAL_TYPE (DerateBreakerPolicy, derate_breaker_policy, DERATE_TYPE_POLICY)

static GVariant *
derate_breaker_policy_call (DeratePolicy *policy,
                            DerateCallContext *context,
                            guint next,
                            GError **error)
{
  g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;
  GError *own_error = NULL;
  GVariant *answer;

  if (!derate_breaker_acquire (((DerateBreakerPolicy *)policy)->breaker, &permit, error))
    return NULL;
  answer = derate_stage_call (context, next, &own_error);
  if (G_LIKELY (answer != NULL))
    {
      derate_permit_answer (&permit, answer);
      return answer;
    }
  derate_permit_fail (&permit, own_error);
  g_propagate_error (error, own_error);
  return NULL;
}

static void
on_ended (gpointer data, GVariant *answer, GError *error)
{
  Attempt *attempt = data;

  if (answer != NULL)
    derate_permit_answer (&attempt->permit, answer);
  else
    derate_permit_fail (&attempt->permit, error);
  attempt->done (attempt->data, answer, error);
  derate_async_call_unref (attempt->call);
  g_free (attempt);
}

static void
derate_breaker_policy_start (DeratePolicy *policy,
                             DerateAsyncCall *call,
                             guint next,
                             GCancellable *cancellable,
                             DerateStageDone done,
                             gpointer data)
{
  DeratePermit permit = DERATE_PERMIT_INIT;
  GError *error = NULL;
  Attempt *attempt;

  if (!derate_breaker_acquire (((DerateBreakerPolicy *)policy)->breaker, &permit, &error))
    {
      done (data, NULL, error);
      return;
    }
  attempt = g_new (Attempt, 1);
  attempt->permit = permit;
  attempt->call = derate_async_call_ref (call);
  attempt->done = done;
  attempt->data = data;
  derate_stage_start_cancellable (call, next, cancellable, on_ended, attempt);
}

static void
derate_breaker_policy_finalize (GObject *object)
{
  g_clear_object (&((DerateBreakerPolicy *)object)->breaker);
  G_OBJECT_CLASS (derate_breaker_policy_parent_class)->finalize (object);
}

static void
derate_breaker_policy_class_init (DerateBreakerPolicyClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = derate_breaker_policy_finalize;
  klass->parent_class.call = derate_breaker_policy_call;
  klass->parent_class.start = derate_breaker_policy_start;
}

static void
derate_breaker_policy_init (DerateBreakerPolicy *policy)
{
}

/**
 * derate_breaker_policy_new:
 * @breaker: a breaker
 *
 * Makes a stage of a breaker; several stages may be made of one.
 *
 * Returns: (transfer full): the policy
 *
 * Since: 1.0
 */
DerateBreakerPolicy *
derate_breaker_policy_new (DerateBreaker *breaker)
{
  DerateBreakerPolicy *policy;

  g_return_val_if_fail (DERATE_IS_BREAKER (breaker), NULL);

  policy = g_object_new (DERATE_TYPE_BREAKER_POLICY, NULL);
  policy->breaker = g_object_ref (breaker);
  return policy;
}

/**
 * derate_breaker_policy_get_breaker:
 * @policy: a policy
 *
 * The breaker that it asks.
 *
 * Returns: (transfer none): the breaker
 *
 * Since: 1.0
 */
DerateBreaker *
derate_breaker_policy_get_breaker (DerateBreakerPolicy *policy)
{
  g_return_val_if_fail (DERATE_IS_BREAKER_POLICY (policy), NULL);

  return policy->breaker;
}
