/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-dbus-server-private.h"

#include <string.h>
#include <unistd.h>

#include "derate-dbus-interfaces.h"
#include "derate-degradation-manager-private.h"
#include "derate-names-private.h"

/* The name, the name with the process, and that with a number: for several cores of one name. */
#define MAX_ATTEMPTS 10

G_DEFINE_FINAL_TYPE (DerateDbusServer, derate_dbus_server, G_TYPE_OBJECT)

static void own_name (DerateDbusServer *server);

static void
derate_dbus_server_finalize (GObject *object)
{
  DerateDbusServer *server = DERATE_DBUS_SERVER (object);

  if (server->named_destroy != NULL)
    server->named_destroy (server->named_data);
  g_weak_ref_clear (&server->core);
  g_clear_object (&server->degradation);
  g_clear_pointer (&server->drills, derate_drill_set_unref);
  g_clear_object (&server->clock);
  g_clear_object (&server->connection);
  g_clear_object (&server->authority);
  g_clear_pointer (&server->context, g_main_context_unref);
  g_clear_pointer (&server->expiries, g_hash_table_unref);
  g_free (server->base_name);
  g_free (server->bus_name);
  G_OBJECT_CLASS (derate_dbus_server_parent_class)->finalize (object);
}

static void
derate_dbus_server_class_init (DerateDbusServerClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = derate_dbus_server_finalize;
}

static void
derate_dbus_server_init (DerateDbusServer *server)
{
  g_weak_ref_init (&server->core, NULL);
  server->expiries = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
}

DerateDbusServer *
derate_dbus_server_new (DerateCore *core,
                        GDBusConnection *connection,
                        DerateDbusNamed named,
                        gpointer named_data,
                        GDestroyNotify named_destroy)
{
  DerateDbusServer *server = g_object_new (DERATE_TYPE_DBUS_SERVER, NULL);

  g_weak_ref_set (&server->core, core);
  server->degradation = g_object_ref (derate_core_get_degradation_manager (core));
  server->drills = derate_drill_set_ref (derate_core_get_drills (core));
  server->clock = g_object_ref (derate_core_get_clock (core));
  server->context = g_main_context_ref (derate_core_get_monitor_context (core));
  server->connection = g_object_ref (connection);
  server->base_name = g_strconcat (DERATE_DBUS_NAME_PREFIX, derate_core_get_name (core), NULL);
  server->named = named;
  server->named_data = named_data;
  server->named_destroy = named_destroy;
  return server;
}

char *
derate_dbus_server_dup_owner (DerateDbusServer *server, const char *sender)
{
  return g_strdup_printf ("%s/%s", g_dbus_connection_get_guid (server->connection), sender);
}

/* What the manager's listener knows, which may hear of something after the server has stopped. */
typedef struct
{
  DerateDbusInbox *inbox;
  char *owner_prefix;
} Ear;

static void
ear_free (gpointer data)
{
  Ear *ear = data;

  derate_dbus_inbox_unref (ear->inbox);
  g_free (ear->owner_prefix);
  g_free (ear);
}

static void
push_level (Ear *ear, const DerateDegradationEvent *event)
{
  const char *hold = event->deciding_hold != NULL ? event->deciding_hold : "";

  derate_dbus_inbox_push (
      ear->inbox, NULL, "LevelChanged",
      g_variant_new ("(sss@a{sv})", derate_level_get_nick (event->old_level),
                     derate_level_get_nick (event->new_level),
                     event->rule != NULL ? event->rule : "",
                     g_variant_new_parsed ("{'computed': <%s>, 'inputs': <%*>, 'hold': <%s>}",
                                           derate_level_get_nick (event->computed), event->inputs,
                                           hold)));
}

static void
push_released (Ear *ear, const DerateDegradationEvent *event)
{
  const char *owner = event->hold->owner;

  if (owner != NULL && g_str_has_prefix (owner, ear->owner_prefix) &&
      strcmp (event->cause, DERATE_HOLD_CAUSE_VANISHED) != 0)
    derate_dbus_inbox_push (ear->inbox, owner + strlen (ear->owner_prefix), "HoldReleased",
                            g_variant_new ("(ss)", event->hold->id, event->cause));
}

/* In any thread. */
static void
on_event (DerateDegradationManager *manager, const DerateDegradationEvent *event, gpointer data)
{
  Ear *ear = data;

  if (event->type == DERATE_DEGRADATION_EVENT_LEVEL)
    push_level (ear, event);
  else if (event->type == DERATE_DEGRADATION_EVENT_HOLD_RELEASED)
    push_released (ear, event);
  derate_dbus_inbox_wake (ear->inbox);
}

/* Properties first: who gets a signal and looks again sees at least what it tells. */
void
derate_dbus_server_refresh (DerateDbusServer *server)
{
  g_autoptr (DerateCore) core = g_weak_ref_get (&server->core);
  g_autoptr (GPtrArray) letters =
      g_ptr_array_new_with_free_func ((GDestroyNotify)derate_dbus_letter_free);
  DerateDbusLetter *letter = NULL;

  derate_dbus_inbox_begin (server->inbox);
  while ((letter = derate_dbus_inbox_pop (server->inbox)) != NULL)
    g_ptr_array_add (letters, letter);
  if (core != NULL)
    derate_dbus_tree_refresh (server->tree, core);
  derate_dbus_view_refresh (server->manager);
  for (guint i = 0; i < letters->len; i++)
    {
      letter = g_ptr_array_index (letters, i);
      derate_dbus_view_emit (letter->destination != NULL ? server->admin : server->manager,
                             letter->destination, letter->signal, letter->parameters);
    }
  derate_dbus_inbox_end (server->inbox);
}

static gboolean
on_inbox (gpointer data)
{
  derate_dbus_server_refresh (DERATE_DBUS_SERVER (data));
  return G_SOURCE_CONTINUE;
}

static void
on_vanished (gpointer data, const char *sender)
{
  DerateDbusServer *server = DERATE_DBUS_SERVER (data);
  g_autofree char *owner = derate_dbus_server_dup_owner (server, sender);

  derate_degradation_manager_owner_vanished (server->degradation, owner);
  derate_drill_set_owner_vanished (server->drills, owner);
  derate_dbus_leases_vanished (server->leases, sender);
  if (server->running)
    derate_dbus_server_refresh (server);
}

static void
on_lease_ended (gpointer data)
{
  derate_dbus_server_refresh (DERATE_DBUS_SERVER (data));
}

static void
make_parts (DerateDbusServer *server, DerateCore *core)
{
  server->source = derate_clock_source_new (server->clock, DERATE_CLOCK_NEVER);
  g_source_set_static_name (server->source, "[derate] D-Bus");
  g_source_set_callback (server->source, on_inbox, server, NULL);
  g_source_attach (server->source, server->context);
  server->inbox = derate_dbus_inbox_new (server->clock, server->source);
  server->authority = derate_dbus_authority_new (server->connection);
  server->bonds = derate_dbus_bonds_new (server->connection, on_vanished, server);
  server->leases = derate_dbus_leases_new (server->clock, server->context, on_lease_ended, server);
  server->tree = derate_dbus_tree_new (core, server->connection, server->inbox);
  server->manager = derate_dbus_view_new (&org_derate_derate1_manager_interface, server,
                                          derate_dbus_manager_read, derate_dbus_manager_call);
  server->admin = derate_dbus_view_new (&org_derate_derate1_admin_interface, server, NULL,
                                        derate_dbus_admin_call);
}

static void
listen (DerateDbusServer *server)
{
  Ear *ear = g_new0 (Ear, 1);

  ear->inbox = derate_dbus_inbox_ref (server->inbox);
  ear->owner_prefix = derate_dbus_server_dup_owner (server, "");
  server->listener =
      derate_degradation_manager_add_listener (server->degradation, on_event, ear, ear_free);
  derate_drill_set_add_waker (server->drills, derate_dbus_inbox_get_waker (server->inbox));
}

static gboolean export(DerateDbusServer *server, DerateDbusView *view)
{
  g_autoptr (GError) error = NULL;

  if (g_dbus_interface_skeleton_export (G_DBUS_INTERFACE_SKELETON (view), server->connection,
                                        DERATE_DBUS_PATH, &error))
    return TRUE;
  g_warning ("%s is not on the bus: %s", server->base_name, error->message);
  return FALSE;
}

static void
stop (DerateDbusServer *server)
{
  server->stopped = TRUE;
  if (!server->running)
    return;
  server->running = FALSE;
  if (server->name_id != 0)
    g_bus_unown_name (server->name_id);
  server->name_id = 0;
  derate_degradation_manager_remove_listener (server->degradation, server->listener);
  derate_drill_set_remove_waker (server->drills, derate_dbus_inbox_get_waker (server->inbox));
  derate_dbus_inbox_close (server->inbox);
  g_source_destroy (server->source);
  /* What is bound to callers nobody watches any more. */
  g_clear_pointer (&server->bonds, derate_dbus_bonds_free);
  g_clear_pointer (&server->leases, derate_dbus_leases_free);
  derate_dbus_view_detach (server->manager);
  derate_dbus_view_detach (server->admin);
  g_clear_object (&server->manager);
  g_clear_object (&server->admin);
  g_clear_pointer (&server->tree, derate_dbus_tree_free);
  g_clear_pointer (&server->source, g_source_unref);
  g_clear_pointer (&server->inbox, derate_dbus_inbox_unref);
  server->named (server->named_data, NULL);
}

static void
on_name_acquired (GDBusConnection *connection, const char *name, gpointer data)
{
  DerateDbusServer *server = DERATE_DBUS_SERVER (data);

  if (server->running)
    server->named (server->named_data, name);
  server->attempt = MAX_ATTEMPTS; /* one that is lost later is not asked for again */
}

/* Somebody else has it; or, once we had it, we are to go. @connection is NULL where the bus is
 * gone. */
static void
on_name_lost (GDBusConnection *connection, const char *name, gpointer data)
{
  DerateDbusServer *server = DERATE_DBUS_SERVER (data);

  if (!server->running)
    return;
  if (connection == NULL || server->attempt >= MAX_ATTEMPTS)
    {
      stop (server);
      return;
    }
  g_bus_unown_name (server->name_id);
  server->name_id = 0;
  server->attempt++;
  own_name (server);
}

static void
own_name (DerateDbusServer *server)
{
  g_free (server->bus_name);
  if (server->attempt == 0)
    server->bus_name = g_strdup (server->base_name);
  else if (server->attempt == 1)
    server->bus_name = g_strdup_printf ("%s.instance%d", server->base_name, (int)getpid ());
  else
    server->bus_name =
        g_strdup_printf ("%s.instance%d_%u", server->base_name, (int)getpid (), server->attempt);
  server->name_id =
      g_bus_own_name_on_connection (server->connection, server->bus_name,
                                    G_BUS_NAME_OWNER_FLAGS_DO_NOT_QUEUE, on_name_acquired,
                                    on_name_lost, g_object_ref (server), g_object_unref);
}

/* The name comes last: whoever sees it finds everything there. */
static void
start (DerateDbusServer *server)
{
  g_autoptr (DerateCore) core = g_weak_ref_get (&server->core);

  if (server->stopped || server->running || core == NULL)
    return;
  server->running = TRUE;
  make_parts (server, core);
  listen (server);
  derate_dbus_tree_refresh (server->tree, core);
  if (export(server, server->manager) && export(server, server->admin))
    own_name (server);
  else
    stop (server);
}

typedef struct
{
  DerateDbusServer *server;
  void (*func) (DerateDbusServer *server);
} Errand;

static void
errand_free (gpointer data)
{
  Errand *errand = data;

  g_object_unref (errand->server);
  g_free (errand);
}

static gboolean
run_errand (gpointer data)
{
  Errand *errand = data;

  /* What is exported or watched answers in the thread's default context. */
  g_main_context_push_thread_default (errand->server->context);
  errand->func (errand->server);
  g_main_context_pop_thread_default (errand->server->context);
  return G_SOURCE_REMOVE;
}

static void
send (DerateDbusServer *server, void (*func) (DerateDbusServer *server))
{
  g_autoptr (GSource) source = g_idle_source_new ();
  Errand *errand = g_new0 (Errand, 1);

  errand->server = g_object_ref (server);
  errand->func = func;
  g_source_set_priority (source, G_PRIORITY_HIGH);
  g_source_set_callback (source, run_errand, errand, errand_free);
  g_source_attach (source, server->context);
}

void
derate_dbus_server_start (DerateDbusServer *server)
{
  send (server, start);
}

/* Without a thread that runs the context the errand would wait for ever, and keep the context. */
void
derate_dbus_server_stop (DerateDbusServer *server)
{
  Errand errand = { server, stop };

  if (!g_main_context_acquire (server->context))
    {
      send (server, stop);
      return;
    }
  run_errand (&errand);
  g_main_context_release (server->context);
}
