/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-gate-private.h"

/* Threads: `word` is the whole state; the manager stores it under its mutex, anybody loads it. */

/**
 * DerateGate:
 *
 * Whether a feature may be used now: what it needs is there, and the level allows it. Asking is one
 * atomic load, from any thread. A gate stays valid as long as somebody holds it; once its manager
 * is gone it stands still.
 *
 * Since: 1.0
 */
struct _DerateGate
{
  char *name;
  guint word;
};

G_DEFINE_BOXED_TYPE (DerateGate, derate_gate, derate_gate_ref, derate_gate_unref)

#define MODE_MASK 0x0fu
#define REASON_SHIFT 4
#define REASON_MASK 0xf0u
#define CLOSED 0x100u

/* Before the first level nothing is known, and a program that never starts its core must work. */
DerateGate *
derate_gate_new (const char *name)
{
  DerateGate *gate = g_atomic_rc_box_new0 (DerateGate);

  gate->name = g_strdup (name);
  gate->word = DERATE_GATE_MODE_ON;
  return gate;
}

void
derate_gate_publish (DerateGate *gate,
                     DerateGateMode mode,
                     DerateGateReason reason,
                     gboolean enforced)
{
  guint word = mode | ((guint)reason << REASON_SHIFT);

  if (enforced && mode == DERATE_GATE_MODE_OFF)
    word |= CLOSED;
  if (word != __atomic_load_n (&gate->word, __ATOMIC_RELAXED))
    __atomic_store_n (&gate->word, word, __ATOMIC_RELEASE);
}

/**
 * derate_gate_ref:
 * @gate: a gate
 *
 * Takes a reference.
 *
 * Returns: (transfer full): @gate
 *
 * Since: 1.0
 */
DerateGate *
derate_gate_ref (DerateGate *gate)
{
  return g_atomic_rc_box_acquire (gate);
}

static void
gate_clear (gpointer data)
{
  g_free (((DerateGate *)data)->name);
}

/**
 * derate_gate_unref:
 * @gate: (transfer full): a gate
 *
 * Drops a reference.
 *
 * Since: 1.0
 */
void
derate_gate_unref (DerateGate *gate)
{
  g_atomic_rc_box_release_full (gate, gate_clear);
}

/**
 * derate_gate_get_name:
 * @gate: a gate
 *
 * The name of the feature.
 *
 * Returns: the name
 *
 * Since: 1.0
 */
const char *
derate_gate_get_name (DerateGate *gate)
{
  return gate->name;
}

/**
 * derate_gate_is_open:
 * @gate: a gate
 *
 * Whether the feature may be used. A feature that is queued is open: [method@Gate.get_mode] tells
 * the two apart. Always %TRUE where the levels are not enforced (`enforce=off`), and before the
 * first level is published.
 *
 * Returns: %FALSE where the feature is off
 *
 * Since: 1.0
 */
gboolean
derate_gate_is_open (DerateGate *gate)
{
  return (__atomic_load_n (&gate->word, __ATOMIC_ACQUIRE) & CLOSED) == 0;
}

/**
 * derate_gate_get_mode:
 * @gate: a gate
 * @reason: (out) (optional): where to put why it is not on
 *
 * What is to become of the feature, enforced or not.
 *
 * Returns: the mode
 *
 * Since: 1.0
 */
DerateGateMode
derate_gate_get_mode (DerateGate *gate, DerateGateReason *reason)
{
  guint word = __atomic_load_n (&gate->word, __ATOMIC_ACQUIRE);

  if (reason != NULL)
    *reason = (word & REASON_MASK) >> REASON_SHIFT;
  return word & MODE_MASK;
}

const char *
derate_gate_mode_get_nick (DerateGateMode mode)
{
  switch (mode)
    {
    case DERATE_GATE_MODE_OFF:
      return "off";
    case DERATE_GATE_MODE_QUEUED:
      return "queued";
    case DERATE_GATE_MODE_ON:
    default:
      return "on";
    }
}

const char *
derate_gate_reason_get_nick (DerateGateReason reason)
{
  switch (reason)
    {
    case DERATE_GATE_REASON_LEVEL:
      return "level";
    case DERATE_GATE_REASON_DEPENDENCY:
      return "dependency";
    case DERATE_GATE_REASON_NONE:
    default:
      return NULL;
    }
}
