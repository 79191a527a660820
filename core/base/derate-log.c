/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-log-private.h"

#include <stdarg.h>

#include "derate-env.h"
#include "derate-names-private.h"
#include "derate-redact.h"

/* Made once at random; an id is never changed, so that a journal of last year still matches. */
static const struct
{
  const char *event;
  const char *id;
} message_ids[] = {
  { DERATE_EVENT_BREAKER_INIT, "c084efbdf2d24167aa2fcddc70fac72d" },
  { DERATE_EVENT_BREAKER_OPEN, "25e6370463304da1ba918198d54b524a" },
  { DERATE_EVENT_BREAKER_HALF_OPEN, "24cbbb99673943d29d2ded4e89281b6c" },
  { DERATE_EVENT_BREAKER_CLOSED, "adcc87fa133a42b7af23215f27894676" },
  { DERATE_EVENT_BREAKER_ALERT, "d998b7cccd9444c68dcf7cb93fd0f37b" },
  { DERATE_EVENT_BREAKER_RECOVERED, "6f3af535807d46159aca3b5c9e9276cd" },
  { DERATE_EVENT_BREAKER_RESET, "e2b1576e1bbd49fdbdc320eb183f8b93" },
  { DERATE_EVENT_BREAKER_OPERATED, "093081a7bf4f47d99b6439089ea7c9c7" },
  { DERATE_EVENT_LEVEL_CHANGED, "be89fb1c9a564a129f5f7250b90ebde7" },
  { DERATE_EVENT_HOLD_TAKEN, "e336d85dcab1457a9cf98f92d69eff1b" },
  { DERATE_EVENT_HOLD_RELEASED, "ca10f9edf5fb48eb95e9ba3dd2f4121d" },
  { DERATE_EVENT_HOLDS_RELEASED, "470acaf18ef84fc9b6b094c679d7ccc9" },
  { DERATE_EVENT_DRILL_STARTED, "3163a536cf6d423e83bb94167803d7e3" },
  { DERATE_EVENT_DRILL_ENDED, "a8ee080b4a224ddba32d67a2ea314598" },
  { DERATE_EVENT_SERVICE_STATUS, "9b2ae3b1db4e481b912ad17e45644933" },
  { DERATE_EVENT_FALLBACK_USED, "3410bb15f89a463ca3889ae6eda32349" },
  { DERATE_EVENT_PLUGIN_LOADED, "3f67f2dfd8cf420bbcc8d7a8ad7052b8" },
  { DERATE_EVENT_PLUGIN_FAILED, "1137072b232845f68ceafa207a9e4faa" },
  { DERATE_EVENT_CONFIG_REFUSED, "79a0b03a696944cf90d2c7831a582492" },
  { DERATE_EVENT_COLLECTOR_FAILED, "dddb3fce9437474282508193bd951d6e" },
  { DERATE_EVENT_SLOW_QUERY, "6cc9bb7f365040dd8e708e55b59e2a69" },
  { DERATE_EVENT_QUERY, "6acb2bed7d614d7ebb74ec6904e2c5b7" },
  { DERATE_EVENT_SESSION_LEAKED, "14a72734cd8847cabb1fd766fc1c0439" },
};

static const char *(*get_request_id) (void); /* atomic */

void
derate_log_set_request_id_func (const char *(*func) (void))
{
  __atomic_store_n (&get_request_id, func, __ATOMIC_RELEASE);
}

const char *
derate_log_get_request_id (void)
{
  const char *(*func) (void) = __atomic_load_n (&get_request_id, __ATOMIC_ACQUIRE);

  return func != NULL ? func () : NULL;
}

static const char *
find_message_id (const char *event)
{
  for (gsize i = 0; i < G_N_ELEMENTS (message_ids); i++)
    if (g_str_equal (message_ids[i].event, event))
      return message_ids[i].id;
  return NULL;
}

/* Asked once: a variable that does not parse is refused where a core is made, not here. */
static gboolean
is_enabled (void)
{
  static gsize once = 0;

  if (g_once_init_enter (&once))
    {
      gboolean enabled = TRUE;

      if (!derate_env_get_boolean (DERATE_ENV_LOGGING, TRUE, &enabled, NULL))
        enabled = TRUE;
      g_once_init_leave (&once, enabled ? 1 : 2);
    }
  return once == 1;
}

/* The syslog priority that GLib's writers give these levels. */
static const char *
priority_of (GLogLevelFlags level)
{
  if (level & (G_LOG_LEVEL_ERROR))
    return "3";
  if (level & (G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING))
    return "4";
  if (level & G_LOG_LEVEL_MESSAGE)
    return "5";
  return level & G_LOG_LEVEL_INFO ? "6" : "7";
}

static void
add_field (GArray *fields, const char *key, const char *value)
{
  const GLogField field = { key, value, -1 };

  if (value != NULL)
    g_array_append_val (fields, field);
}

/* @text without what must stay secret; @texts owns it. */
static const char *
add_redacted (GPtrArray *texts, const char *text)
{
  char *redacted = text != NULL ? derate_redact (text) : NULL;

  g_ptr_array_add (texts, redacted);
  return redacted;
}

/**
 * derate_log_event: (skip)
 * @log_level: %G_LOG_LEVEL_WARNING for what somebody should see, %G_LOG_LEVEL_INFO for a line of
 *   history; %G_LOG_LEVEL_ERROR aborts the program, as everywhere in GLib
 * @event: the name of the event in snake_case, such as `slow_query`
 * @component: (nullable): the service, breaker or pool that it is about
 * @message: what a reader sees, whole: nothing is formatted
 * @...: pairs of a field's name and its text, then %NULL; a pair whose text is %NULL is left out
 *
 * Logs one of Derate's structured events: for health checks, fallbacks and clients that are not
 * part of the core, so that what happens to them stands in the log beside what it led to.
 *
 * The record has the fields `EVENT`, `COMPONENT`, `MESSAGE` and `PRIORITY`, `GLIB_DOMAIN` with the
 * value `Derate`, `MESSAGE_ID` when the event is one of Derate's own, and `REQUEST_ID` when the
 * thread works for a request. A plugin's event may bring a `MESSAGE_ID` of its own in the pairs.
 * Names of fields are A–Z, 0–9 and `_`, as the journal wants them.
 *
 * |[<!-- language="C" -->
 * derate_log_event (G_LOG_LEVEL_WARNING, "slow_query", "database", message,
 *                   "DURATION_MS", "245.3", NULL);
 * ]|
 *
 * Secrets in the message and in the texts are masked as by derate_redact (). Nothing is logged
 * while the environment says `ENABLE_RESILIENCE_LOGGING=false`. Where the record goes is the
 * program's choice (g_log_set_writer_func ()), so this runs its code: never call it under a lock.
 * May be called from any thread.
 *
 * Since: 1.0
 */
void
derate_log_event (GLogLevelFlags log_level,
                  const char *event,
                  const char *component,
                  const char *message,
                  ...)
{
  g_autoptr (GPtrArray) texts = NULL;
  g_autoptr (GArray) fields = NULL;
  const char *key;
  va_list args;

  g_return_if_fail (event != NULL);
  g_return_if_fail (message != NULL);

  if (!is_enabled ())
    return;

  texts = g_ptr_array_new_with_free_func (g_free);
  fields = g_array_sized_new (FALSE, FALSE, sizeof (GLogField), 16);
  add_field (fields, "PRIORITY", priority_of (log_level));
  add_field (fields, "GLIB_DOMAIN", G_LOG_DOMAIN);
  add_field (fields, "MESSAGE", add_redacted (texts, message));
  add_field (fields, "MESSAGE_ID", find_message_id (event));
  add_field (fields, DERATE_FIELD_EVENT, event);
  add_field (fields, DERATE_FIELD_COMPONENT, component);
  add_field (fields, DERATE_FIELD_REQUEST_ID, derate_log_get_request_id ());

  va_start (args, message);
  while ((key = va_arg (args, const char *)) != NULL)
    add_field (fields, key, add_redacted (texts, va_arg (args, const char *)));
  va_end (args);

  g_log_structured_array (log_level, (const GLogField *)(gpointer)fields->data, fields->len);
}
