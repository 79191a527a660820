/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-dbus-server-private.h"

#include <string.h>

#include "derate-core-object-private.h"
#include "derate-error.h"

/* Every method of Admin goes the same way: who calls and may he, do it, tell the bus what changed,
 * and only then answer. */

#define REASON_MAX 256
#define ERROR_MAX 4096

static GVariant *check_service (DerateDbusRequest *request, GError **error);
static GVariant *reload (DerateDbusRequest *request, GError **error);

typedef struct
{
  const char *name;
  DerateDbusRight right;
  gboolean is_owners; /* what is another's may be changed with the right to manage */
  DerateDbusMethodFunc func;
} Method;

static const Method methods[] = {
  { "Hold", DERATE_DBUS_RIGHT_HOLD, FALSE, derate_dbus_admin_hold },
  { "Renew", DERATE_DBUS_RIGHT_HOLD, TRUE, derate_dbus_admin_renew },
  { "Release", DERATE_DBUS_RIGHT_HOLD, TRUE, derate_dbus_admin_release },
  { "ReleaseAll", DERATE_DBUS_RIGHT_MANAGE, FALSE, derate_dbus_admin_release_all },
  { "TripBreaker", DERATE_DBUS_RIGHT_MANAGE, FALSE, derate_dbus_admin_trip_breaker },
  { "CloseBreaker", DERATE_DBUS_RIGHT_MANAGE, FALSE, derate_dbus_admin_close_breaker },
  { "ResetBreaker", DERATE_DBUS_RIGHT_MANAGE, FALSE, derate_dbus_admin_reset_breaker },
  { "ResetAllBreakers", DERATE_DBUS_RIGHT_MANAGE, FALSE, derate_dbus_admin_reset_all_breakers },
  { "SetBreakerMode", DERATE_DBUS_RIGHT_MANAGE, FALSE, derate_dbus_admin_set_breaker_mode },
  { "CheckService", DERATE_DBUS_RIGHT_MANAGE, FALSE, check_service },
  { "Drill", DERATE_DBUS_RIGHT_MANAGE, FALSE, derate_dbus_admin_drill },
  { "StopDrill", DERATE_DBUS_RIGHT_MANAGE, FALSE, derate_dbus_admin_stop_drill },
  { "Reload", DERATE_DBUS_RIGHT_MANAGE, FALSE, reload },
};

typedef struct
{
  DerateDbusRequest request;
  const Method *method;
  GError *refused; /* as not being the owner, until it is known whether the caller may manage */
} Call;

static void
call_free (Call *call)
{
  g_clear_error (&call->refused);
  g_free (call->request.owner);
  g_clear_object (&call->request.core);
  g_object_unref (call->request.server);
  g_free (call);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Call, call_free)

static void on_judged (GObject *source, GAsyncResult *result, gpointer data);

gboolean
derate_dbus_admin_check_reason (const char *reason, GError **error)
{
  gsize length = strlen (reason);

  if (length > 0 && length <= REASON_MAX && strspn (reason, " \t\r\n") < length)
    return TRUE;
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_REASON,
               "a reason of 1 to %d bytes is required", REASON_MAX);
  return FALSE;
}

GTimeSpan
derate_dbus_admin_get_ttl (guint64 usec)
{
  return usec > (guint64)G_MAXINT64 ? G_MAXINT64 : (GTimeSpan)usec;
}

static void
judge (Call *call, DerateDbusRight right)
{
  derate_dbus_authority_check_async (call->request.server->authority, call->request.invocation,
                                     right, on_judged, call);
}

void
derate_dbus_return_error (GDBusMethodInvocation *invocation, const GError *error)
{
  g_autoptr (GError) shown = g_error_copy (error);

  if (strlen (shown->message) > ERROR_MAX)
    {
      g_autofree char *start = g_strndup (error->message, ERROR_MAX);
      g_autofree char *valid = g_utf8_make_valid (start, -1);

      g_free (shown->message);
      shown->message = g_strconcat (valid, "…", NULL);
    }
  g_dbus_method_invocation_return_gerror (invocation, shown);
}

/* Takes @call. */
static void
perform (Call *call)
{
  g_autoptr (Call) owned = call;
  DerateDbusRequest *request = &call->request;
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) reply = NULL;

  request->core = g_weak_ref_get (&request->server->core);
  if (request->core != NULL && request->server->running)
    reply = call->method->func (request, &error);
  else
    g_set_error (&error, DERATE_ERROR, DERATE_ERROR_INVALID_STATE, "the program is stopping");

  if (call->method->is_owners && !request->privileged && call->refused == NULL &&
      g_error_matches (error, DERATE_ERROR, DERATE_ERROR_NOT_OWNER))
    {
      g_clear_object (&request->core);
      call->refused = g_steal_pointer (&error);
      judge (g_steal_pointer (&owned), DERATE_DBUS_RIGHT_MANAGE);
      return;
    }
  if (request->server->running && reply != NULL)
    derate_dbus_server_refresh (request->server);
  if (reply != NULL)
    g_dbus_method_invocation_return_value (request->invocation, reply);
  else if (error != NULL)
    derate_dbus_return_error (request->invocation, error);
}

static void
on_judged (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (Call) call = data;
  DerateDbusRequest *request = &call->request;
  g_autoptr (GError) error = NULL;

  if (derate_dbus_authority_check_finish (DERATE_DBUS_AUTHORITY (source), result, &request->uid,
                                          &request->privileged, &error))
    perform (g_steal_pointer (&call));
  else
    derate_dbus_return_error (request->invocation, call->refused != NULL ? call->refused : error);
}

/* An exact level can hide an outage; it takes a right of its own. */
static DerateDbusRight
get_right (const Method *method, GVariant *parameters)
{
  const char *mode = NULL;

  if (strcmp (method->name, "Hold") != 0)
    return method->right;
  g_variant_get_child (parameters, 1, "&s", &mode);
  return strcmp (mode, "exact") == 0 ? DERATE_DBUS_RIGHT_HOLD_EXACT : method->right;
}

void
derate_dbus_admin_call (gpointer owner, GDBusMethodInvocation *invocation)
{
  DerateDbusServer *server = DERATE_DBUS_SERVER (owner);
  const char *name = g_dbus_method_invocation_get_method_name (invocation);
  const Method *method = methods;
  Call *call = g_new0 (Call, 1);

  while (strcmp (method->name, name) != 0) /* GDBus has checked that there is one */
    method++;
  call->method = method;
  call->request.server = g_object_ref (server);
  call->request.invocation = invocation;
  call->request.parameters = g_dbus_method_invocation_get_parameters (invocation);
  call->request.sender = g_dbus_method_invocation_get_sender (invocation);
  call->request.owner = derate_dbus_server_dup_owner (server, call->request.sender);
  judge (call, get_right (method, call->request.parameters));
}

static void
on_checked (GObject *source, GAsyncResult *result, gpointer data)
{
  GDBusMethodInvocation *invocation = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (DerateHealthReport) report =
      derate_core_check_service_finish (DERATE_CORE (source), result, &error);
  DerateHealthCause cause = DERATE_HEALTH_CAUSE_NONE;

  if (report == NULL)
    {
      derate_dbus_return_error (invocation, error);
      return;
    }
  cause = derate_health_report_get_cause (report);
  g_dbus_method_invocation_return_value (invocation,
                                         g_variant_new ("(ss)",
                                                        derate_health_status_get_nick (
                                                            derate_health_report_get_status (
                                                                report)),
                                                        cause == DERATE_HEALTH_CAUSE_NONE
                                                            ? ""
                                                            : derate_health_cause_get_nick (
                                                                  cause)));
}

static GVariant *
check_service (DerateDbusRequest *request, GError **error)
{
  const char *name = NULL;

  g_variant_get (request->parameters, "(&s)", &name);
  derate_core_check_service_async (request->core, name, NULL, on_checked, request->invocation);
  return NULL;
}

/* A reload: in the owner's context, where the core may be changed, and back for the answer. */
typedef struct
{
  DerateDbusServer *server;
  GDBusMethodInvocation *invocation;
  char **changes;
  GError *error;
} Reload;

static void
reload_free (gpointer data)
{
  Reload *errand = data;

  g_strfreev (errand->changes);
  g_clear_error (&errand->error);
  g_object_unref (errand->server);
  g_free (errand);
}

static gboolean
answer_reload (gpointer data)
{
  Reload *errand = data;

  if (errand->server->running)
    derate_dbus_server_refresh (errand->server);
  if (errand->changes != NULL)
    g_dbus_method_invocation_return_value (errand->invocation,
                                           g_variant_new ("(^as)", errand->changes));
  else
    derate_dbus_return_error (errand->invocation, errand->error);
  return G_SOURCE_REMOVE;
}

static void
reload_in_owner (gpointer owner, gpointer data)
{
  Reload *errand = data;

  errand->changes = derate_core_reload (DERATE_CORE (owner), &errand->error);
  g_main_context_invoke_full (errand->server->context, G_PRIORITY_DEFAULT, answer_reload, errand,
                              reload_free);
}

static GVariant *
reload (DerateDbusRequest *request, GError **error)
{
  Reload *errand = g_new0 (Reload, 1);

  errand->server = g_object_ref (request->server);
  errand->invocation = request->invocation;
  derate_event_queue_push (request->core->owner_queue, G_OBJECT (request->core), reload_in_owner,
                           errand, NULL);
  return NULL;
}
