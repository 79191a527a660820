/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-log-private.h"

#include <stdarg.h>

#include "derate-env-private.h"
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
};

/* PRIORITY, GLIB_DOMAIN, MESSAGE, MESSAGE_ID, EVENT, COMPONENT, and what the caller adds. */
#define MAX_FIELDS 24

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
add_field (GLogField *fields, gsize *n, const char *key, const char *value)
{
  if (value != NULL && *n < MAX_FIELDS)
    fields[(*n)++] = (GLogField){ key, value, -1 };
}

void
derate_log_event (GLogLevelFlags level,
                  const char *event,
                  const char *component,
                  const char *message,
                  ...)
{
  g_autoptr (GPtrArray) texts = NULL;
  GLogField fields[MAX_FIELDS];
  gsize n = 0;
  const char *key;
  va_list args;

  if (!is_enabled ())
    return;

  texts = g_ptr_array_new_with_free_func (g_free);
  g_ptr_array_add (texts, derate_redact (message));
  add_field (fields, &n, "PRIORITY", priority_of (level));
  add_field (fields, &n, "GLIB_DOMAIN", G_LOG_DOMAIN);
  add_field (fields, &n, "MESSAGE", g_ptr_array_index (texts, 0));
  add_field (fields, &n, "MESSAGE_ID", find_message_id (event));
  add_field (fields, &n, DERATE_FIELD_EVENT, event);
  add_field (fields, &n, DERATE_FIELD_COMPONENT, component);
  add_field (fields, &n, DERATE_FIELD_REQUEST_ID, derate_log_get_request_id ());

  va_start (args, message);
  while ((key = va_arg (args, const char *)) != NULL)
    {
      const char *value = va_arg (args, const char *);

      if (value == NULL)
        continue;
      g_ptr_array_add (texts, derate_redact (value));
      add_field (fields, &n, key, g_ptr_array_index (texts, texts->len - 1));
    }
  va_end (args);

  g_log_structured_array (level, fields, n);
}
