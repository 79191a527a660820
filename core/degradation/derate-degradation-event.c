/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-degradation-event-private.h"

#include "derate-log-private.h"
#include "derate-names-private.h"

/* COMPONENT of the level's own events: there is one manager a core. */
#define COMPONENT "degradation"

DerateDegradationEvent *
derate_degradation_event_new_hold (DerateDegradationEventType type,
                                   const DerateHold *hold,
                                   const char *cause)
{
  DerateDegradationEvent *event = g_new0 (DerateDegradationEvent, 1);

  event->type = type;
  event->hold = derate_hold_copy (hold);
  event->cause = cause;
  return event;
}

void
derate_degradation_event_free (DerateDegradationEvent *event)
{
  g_free (event->rule);
  g_clear_pointer (&event->inputs, g_variant_unref);
  g_free (event->deciding_hold);
  g_clear_pointer (&event->hold, derate_hold_free);
  g_free (event);
}

/* “openai down, redis down” */
static char *
describe_inputs (GVariant *inputs)
{
  GString *text = g_string_new (NULL);
  GVariantIter iter;
  const char *name, *status;

  if (inputs == NULL)
    return g_string_free (text, FALSE);
  g_variant_iter_init (&iter, inputs);
  while (g_variant_iter_next (&iter, "{&s&s}", &name, &status))
    g_string_append_printf (text, "%s%s %s", text->len > 0 ? ", " : "", name, status);
  return g_string_free (text, FALSE);
}

static void
log_level (const DerateDegradationEvent *event)
{
  gboolean held = event->deciding_hold != NULL;
  g_autofree char *why = held ? g_strdup (event->deciding_hold) : describe_inputs (event->inputs);
  gboolean worse = event->new_level > event->old_level;
  g_autofree char *message =
      g_strdup_printf ("Level %s, was %s: %s%s%s", derate_level_get_nick (event->new_level),
                       derate_level_get_nick (event->old_level), event->rule,
                       why[0] == '\0' ? ""
                       : held         ? " "
                                      : ": ",
                       why);

  derate_log_event (worse && event->old_level != DERATE_LEVEL_UNKNOWN ? G_LOG_LEVEL_WARNING
                                                                      : G_LOG_LEVEL_INFO,
                    DERATE_EVENT_LEVEL_CHANGED, COMPONENT, message, DERATE_FIELD_PREVIOUS_STATE,
                    derate_level_get_nick (event->old_level), DERATE_FIELD_STATE,
                    derate_level_get_nick (event->new_level), DERATE_FIELD_RULE, event->rule,
                    DERATE_FIELD_HOLD, event->deciding_hold, NULL);
}

static void
log_taken (const DerateHold *hold)
{
  g_autofree char *message = g_strdup_printf ("Hold %s taken by %s: %s %s: %s", hold->id, hold->who,
                                              derate_hold_mode_get_nick (hold->mode),
                                              derate_level_get_nick (hold->level), hold->reason);

  derate_log_event (G_LOG_LEVEL_INFO, DERATE_EVENT_HOLD_TAKEN, COMPONENT, message,
                    DERATE_FIELD_HOLD, hold->id, DERATE_FIELD_STATE,
                    derate_level_get_nick (hold->level), DERATE_FIELD_WHO, hold->who,
                    DERATE_FIELD_REASON, hold->reason, NULL);
}

static void
log_released (const DerateHold *hold, const char *cause)
{
  g_autofree char *message =
      g_strdup_printf ("Hold %s of %s ended: %s", hold->id, hold->who, cause);

  derate_log_event (G_LOG_LEVEL_INFO, DERATE_EVENT_HOLD_RELEASED, COMPONENT, message,
                    DERATE_FIELD_HOLD, hold->id, DERATE_FIELD_CAUSE, cause, DERATE_FIELD_WHO,
                    hold->who, NULL);
}

void
derate_degradation_event_log (const DerateDegradationEvent *event)
{
  switch (event->type)
    {
    case DERATE_DEGRADATION_EVENT_LEVEL:
      log_level (event);
      break;
    case DERATE_DEGRADATION_EVENT_HOLD_TAKEN:
      log_taken (event->hold);
      break;
    case DERATE_DEGRADATION_EVENT_HOLD_RELEASED:
      log_released (event->hold, event->cause);
      break;
    case DERATE_DEGRADATION_EVENT_DETAILS:
    default:
      break;
    }
}
