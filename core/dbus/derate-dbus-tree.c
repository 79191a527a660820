/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-dbus-tree-private.h"

#include "derate-breaker-registry-private.h"
#include "derate-core-object-private.h"
#include "derate-dbus-interfaces.h"
#include "derate-dbus-path-private.h"
#include "derate-dbus-view-private.h"
#include "derate-names-private.h"

struct _DerateDbusTree
{
  DerateDbusInbox *inbox;
  GWeakRef core;
  gulong reloaded;
  GListModel *services; /* of the core */
  gulong changed;
  DerateBreakerRegistry *breakers;
  guint watch;
  GDBusObjectManagerServer *manager;
  GHashTable *children; /* (element-type utf8 Child) by path */
  guint round;
};

typedef struct
{
  GObject *subject; /* a DerateService or a DerateBreaker */
  gulong handler; /* of a service */
  guint listener; /* of a breaker */
  DerateDbusView *view;
  guint round; /* of the refresh that saw it last */
} Child;

static void
child_free (Child *child)
{
  if (DERATE_IS_BREAKER (child->subject))
    derate_breaker_remove_listener (DERATE_BREAKER (child->subject), child->listener);
  else
    g_signal_handler_disconnect (child->subject, child->handler);
  derate_dbus_view_detach (child->view);
  g_object_unref (child->view);
  g_object_unref (child->subject);
  g_free (child);
}

static GVariant *
read_service (gpointer owner)
{
  DerateService *service = DERATE_SERVICE (owner);
  DerateHealthStatus status = derate_service_get_status (service);
  DerateHealthCause cause = derate_service_get_cause (service);
  const char *criticality = derate_criticality_get_nick (derate_service_get_criticality (service));

  return g_variant_new_parsed (
      "{'Name': <%s>, 'Status': <%s>, 'Cause': <%s>, 'Since': <%t>, 'LastCheck': <%t>,"
      " 'Criticality': <%s>}",
      derate_service_get_name (service), derate_health_status_get_nick (status),
      cause == DERATE_HEALTH_CAUSE_NONE ? "" : derate_health_cause_get_nick (cause),
      (guint64)MAX (derate_service_get_since (service), 0),
      (guint64)MAX (derate_service_get_last_check (service), 0), criticality);
}

static GVariant *
read_breaker (gpointer owner)
{
  g_autoptr (DerateBreakerStats) stats = derate_breaker_dup_stats (DERATE_BREAKER (owner));

  return g_variant_new_parsed ("{'Name': <%s>, 'State': <%s>, 'Mode': <%s>, 'Since': <%t>, "
                               "'RetryAfterUsec': <%t>}",
                               stats->name, derate_breaker_state_to_nick (stats->state),
                               derate_breaker_mode_to_nick (stats->mode),
                               (guint64)MAX (stats->last_state_change, 0),
                               (guint64)MAX (stats->retry_after, 0));
}

/* In any thread. */
static void
on_breaker_moved (DerateBreaker *breaker,
                  DerateBreakerState old_state,
                  DerateBreakerState new_state,
                  const DerateBreakerCounters *counters,
                  gpointer data)
{
  derate_dbus_inbox_wake (data);
}

/* In the owner's context; a service that changes the level is heard of by the manager's listener
 * before. */
static void
on_service_changed (DerateService *service, GParamSpec *pspec, gpointer data)
{
  derate_dbus_inbox_wake (data);
}

static void
inbox_unref_closure (gpointer data, GClosure *closure)
{
  derate_dbus_inbox_unref (data);
}

/* In the owner's context: what the configuration says of a service or a breaker may be new. */
static void
on_reloaded (DerateCore *core, gpointer data)
{
  derate_dbus_inbox_wake (data);
}

/* In the owner's context. */
static void
on_services_changed (GListModel *services,
                     guint position,
                     guint removed,
                     guint added,
                     gpointer data)
{
  derate_dbus_inbox_wake (data);
}

/* In any thread. */
static void
on_breakers_changed (gpointer data)
{
  derate_dbus_inbox_wake (data);
}

DerateDbusTree *
derate_dbus_tree_new (DerateCore *core, GDBusConnection *connection, DerateDbusInbox *inbox)
{
  DerateDbusTree *tree = g_new0 (DerateDbusTree, 1);

  tree->inbox = derate_dbus_inbox_ref (inbox);
  g_weak_ref_init (&tree->core, core);
  tree->reloaded = g_signal_connect_data (core, "reloaded", G_CALLBACK (on_reloaded),
                                          derate_dbus_inbox_ref (inbox), inbox_unref_closure, 0);
  tree->services = g_object_ref (derate_core_get_services (core));
  tree->changed =
      g_signal_connect_data (tree->services, "items-changed", G_CALLBACK (on_services_changed),
                             derate_dbus_inbox_ref (inbox), inbox_unref_closure, 0);
  tree->breakers = g_object_ref (derate_core_get_breakers (core));
  tree->watch = derate_breaker_registry_add_watch (tree->breakers, on_breakers_changed,
                                                   derate_dbus_inbox_ref (inbox),
                                                   (GDestroyNotify)derate_dbus_inbox_unref);
  tree->manager = g_dbus_object_manager_server_new (DERATE_DBUS_PATH);
  tree->children =
      g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)child_free);
  g_dbus_object_manager_server_set_connection (tree->manager, connection);
  return tree;
}

void
derate_dbus_tree_free (DerateDbusTree *tree)
{
  g_autoptr (GObject) core = g_weak_ref_get (&tree->core);

  if (core != NULL)
    g_signal_handler_disconnect (core, tree->reloaded);
  g_weak_ref_clear (&tree->core);
  g_signal_handler_disconnect (tree->services, tree->changed);
  derate_breaker_registry_remove_watch (tree->breakers, tree->watch);
  g_dbus_object_manager_server_set_connection (tree->manager, NULL);
  g_hash_table_unref (tree->children);
  g_object_unref (tree->services);
  g_object_unref (tree->breakers);
  g_object_unref (tree->manager);
  derate_dbus_inbox_unref (tree->inbox);
  g_free (tree);
}

static void
listen (DerateDbusTree *tree, Child *child)
{
  gpointer inbox = derate_dbus_inbox_ref (tree->inbox);

  if (DERATE_IS_BREAKER (child->subject))
    child->listener =
        derate_breaker_add_listener (DERATE_BREAKER (child->subject), on_breaker_moved, inbox,
                                     (GDestroyNotify)derate_dbus_inbox_unref);
  else
    child->handler =
        g_signal_connect_data (child->subject, "notify", G_CALLBACK (on_service_changed), inbox,
                               inbox_unref_closure, 0);
}

static void
add (DerateDbusTree *tree, const char *path, GObject *subject)
{
  g_autoptr (GDBusObjectSkeleton) object = g_dbus_object_skeleton_new (path);
  gboolean is_service = DERATE_IS_SERVICE (subject);
  Child *child = g_new0 (Child, 1);

  child->subject = g_object_ref (subject);
  child->round = tree->round;
  child->view = is_service ? derate_dbus_view_new (&org_derate_derate1_service_interface, subject,
                                                   read_service, NULL)
                           : derate_dbus_view_new (&org_derate_derate1_breaker_interface, subject,
                                                   read_breaker, NULL);
  listen (tree, child);
  g_dbus_object_skeleton_add_interface (object, G_DBUS_INTERFACE_SKELETON (child->view));
  g_hash_table_insert (tree->children, g_strdup (path), child);
  g_dbus_object_manager_server_export (tree->manager, object);
}

static void
see (DerateDbusTree *tree, const char *prefix, const char *name, gpointer subject)
{
  g_autofree char *path = derate_dbus_path_new (prefix, name);
  Child *child = g_hash_table_lookup (tree->children, path);

  if (child != NULL && child->subject == subject)
    {
      child->round = tree->round;
      derate_dbus_view_refresh (child->view);
      return;
    }
  if (child != NULL)
    {
      g_dbus_object_manager_server_unexport (tree->manager, path);
      g_hash_table_remove (tree->children, path);
    }
  add (tree, path, subject);
}

static void
remove_unseen (DerateDbusTree *tree)
{
  GHashTableIter iter;
  gpointer path = NULL;
  gpointer child = NULL;

  g_hash_table_iter_init (&iter, tree->children);
  while (g_hash_table_iter_next (&iter, &path, &child))
    if (((Child *)child)->round != tree->round)
      {
        g_dbus_object_manager_server_unexport (tree->manager, path);
        g_hash_table_iter_remove (&iter);
      }
}

void
derate_dbus_tree_refresh (DerateDbusTree *tree, DerateCore *core)
{
  g_autoptr (GPtrArray) services = derate_core_snapshot_services (core);
  g_autoptr (GPtrArray) breakers = derate_breaker_registry_list (derate_core_get_breakers (core));

  tree->round++;
  for (guint i = 0; i < services->len; i++)
    {
      DerateService *service = g_ptr_array_index (services, i);

      see (tree, DERATE_DBUS_PATH_SERVICE, derate_service_get_name (service), service);
    }
  for (guint i = 0; i < breakers->len; i++)
    {
      DerateBreaker *breaker = g_ptr_array_index (breakers, i);

      see (tree, DERATE_DBUS_PATH_BREAKER, derate_breaker_get_name (breaker), breaker);
    }
  remove_unseen (tree);
}
