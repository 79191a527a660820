/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-dbus-view-private.h"

#include <string.h>

struct _DerateDbusView
{
  GDBusInterfaceSkeleton parent_instance;

  GDBusInterfaceInfo *info;
  gpointer owner;
  DerateDbusRead read;
  DerateDbusCall call;
  GVariant *told; /* the properties as the bus last heard of them */
  GVariant *fresh; /* the properties as of this turn of the loop, so that GetAll is of one moment */
};

G_DEFINE_FINAL_TYPE (DerateDbusView, derate_dbus_view, G_TYPE_DBUS_INTERFACE_SKELETON)

static gboolean
on_next_turn (gpointer data)
{
  DerateDbusView *view = DERATE_DBUS_VIEW (data);

  g_clear_pointer (&view->fresh, g_variant_unref);
  return G_SOURCE_REMOVE;
}

/* What is asked for in a later turn of the loop, which is before anything else of that turn, is
 * read anew. */
static void
forget_next_turn (DerateDbusView *view)
{
  g_autoptr (GSource) source = g_idle_source_new ();
  GSource *current = g_main_current_source ();

  if (current == NULL)
    {
      g_clear_pointer (&view->fresh, g_variant_unref);
      return;
    }
  g_source_set_priority (source, G_PRIORITY_HIGH);
  g_source_set_callback (source, on_next_turn, g_object_ref (view), g_object_unref);
  g_source_attach (source, g_source_get_context (current));
}

static GVariant *
read_all (DerateDbusView *view)
{
  g_autoptr (GVariant) all = NULL;

  if (view->fresh != NULL)
    return g_variant_ref (view->fresh);
  if (view->owner == NULL || view->read == NULL)
    all = g_variant_ref_sink (g_variant_new ("a{sv}", NULL));
  else
    all = g_variant_ref_sink (view->read (view->owner));
  view->fresh = g_variant_ref (all);
  forget_next_turn (view);
  return g_steal_pointer (&all);
}

static void
on_method_call (GDBusConnection *connection,
                const char *sender,
                const char *path,
                const char *interface,
                const char *method,
                GVariant *parameters,
                GDBusMethodInvocation *invocation,
                gpointer data)
{
  DerateDbusView *view = DERATE_DBUS_VIEW (data);

  if (view->owner != NULL && view->call != NULL)
    view->call (view->owner, invocation);
  else
    g_dbus_method_invocation_return_error (invocation, G_DBUS_ERROR, G_DBUS_ERROR_UNKNOWN_METHOD,
                                           "no method %s", method);
}

static GVariant *
on_get_property (GDBusConnection *connection,
                 const char *sender,
                 const char *path,
                 const char *interface,
                 const char *property,
                 GError **error,
                 gpointer data)
{
  g_autoptr (GVariant) all = read_all (DERATE_DBUS_VIEW (data));
  GVariant *value = g_variant_lookup_value (all, property, NULL);

  if (value == NULL)
    g_set_error (error, G_DBUS_ERROR, G_DBUS_ERROR_UNKNOWN_PROPERTY, "no property %s", property);
  return value;
}

static GDBusInterfaceVTable vtable = { on_method_call, on_get_property, NULL, { NULL } };

static GDBusInterfaceInfo *
derate_dbus_view_get_info (GDBusInterfaceSkeleton *skeleton)
{
  return DERATE_DBUS_VIEW (skeleton)->info;
}

static GDBusInterfaceVTable *
derate_dbus_view_get_vtable (GDBusInterfaceSkeleton *skeleton)
{
  return &vtable;
}

static GVariant *
derate_dbus_view_get_properties (GDBusInterfaceSkeleton *skeleton)
{
  return read_all (DERATE_DBUS_VIEW (skeleton));
}

static void
derate_dbus_view_flush (GDBusInterfaceSkeleton *skeleton)
{
  derate_dbus_view_refresh (DERATE_DBUS_VIEW (skeleton));
}

static void
derate_dbus_view_finalize (GObject *object)
{
  DerateDbusView *view = DERATE_DBUS_VIEW (object);

  g_clear_pointer (&view->told, g_variant_unref);
  g_clear_pointer (&view->fresh, g_variant_unref);
  G_OBJECT_CLASS (derate_dbus_view_parent_class)->finalize (object);
}

static void
derate_dbus_view_class_init (DerateDbusViewClass *klass)
{
  GDBusInterfaceSkeletonClass *skeleton_class = G_DBUS_INTERFACE_SKELETON_CLASS (klass);

  G_OBJECT_CLASS (klass)->finalize = derate_dbus_view_finalize;
  skeleton_class->get_info = derate_dbus_view_get_info;
  skeleton_class->get_vtable = derate_dbus_view_get_vtable;
  skeleton_class->get_properties = derate_dbus_view_get_properties;
  skeleton_class->flush = derate_dbus_view_flush;
}

static void
derate_dbus_view_init (DerateDbusView *view)
{
}

DerateDbusView *
derate_dbus_view_new (const GDBusInterfaceInfo *info,
                      gpointer owner,
                      DerateDbusRead read,
                      DerateDbusCall call)
{
  DerateDbusView *view = g_object_new (DERATE_TYPE_DBUS_VIEW, NULL);

  view->info = (GDBusInterfaceInfo *)info; /* static: its count of references does not count */
  view->owner = owner;
  view->read = read;
  view->call = call;
  view->told = read_all (view);
  return view;
}

/* Constants, and what changes too often to be told, are for whoever asks. */
static gboolean
is_told (const GDBusPropertyInfo *property)
{
  const char *emits =
      g_dbus_annotation_info_lookup (property->annotations,
                                     "org.freedesktop.DBus.Property.EmitsChangedSignal");

  return emits == NULL || strcmp (emits, "true") == 0;
}

static void
add_if_changed (DerateDbusView *view,
                GVariant *now,
                const GDBusPropertyInfo *property,
                GVariantBuilder *changed)
{
  g_autoptr (GVariant) value = g_variant_lookup_value (now, property->name, NULL);
  g_autoptr (GVariant) old = g_variant_lookup_value (view->told, property->name, NULL);

  if (is_told (property) && value != NULL && (old == NULL || !g_variant_equal (old, value)))
    g_variant_builder_add (changed, "{sv}", property->name, value);
}

void
derate_dbus_view_refresh (DerateDbusView *view)
{
  GDBusInterfaceSkeleton *skeleton = G_DBUS_INTERFACE_SKELETON (view);
  GDBusConnection *connection = g_dbus_interface_skeleton_get_connection (skeleton);
  g_autoptr (GVariant) now = NULL;
  g_autoptr (GVariant) changed = NULL;
  GVariantBuilder builder;

  g_clear_pointer (&view->fresh, g_variant_unref);
  now = read_all (view);
  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  for (guint i = 0; view->info->properties != NULL && view->info->properties[i] != NULL; i++)
    add_if_changed (view, now, view->info->properties[i], &builder);
  changed = g_variant_ref_sink (g_variant_builder_end (&builder));
  g_variant_unref (view->told);
  view->told = g_steal_pointer (&now);

  if (connection != NULL && g_variant_n_children (changed) > 0)
    g_dbus_connection_emit_signal (connection, NULL,
                                   g_dbus_interface_skeleton_get_object_path (skeleton),
                                   "org.freedesktop.DBus.Properties", "PropertiesChanged",
                                   g_variant_new ("(s@a{sv}as)", view->info->name, changed, NULL),
                                   NULL);
}

void
derate_dbus_view_emit (DerateDbusView *view,
                       const char *destination,
                       const char *signal,
                       GVariant *parameters)
{
  GDBusInterfaceSkeleton *skeleton = G_DBUS_INTERFACE_SKELETON (view);
  GDBusConnection *connection = g_dbus_interface_skeleton_get_connection (skeleton);
  g_autoptr (GVariant) sunk = g_variant_ref_sink (parameters);

  if (connection != NULL)
    g_dbus_connection_emit_signal (connection, destination,
                                   g_dbus_interface_skeleton_get_object_path (skeleton),
                                   view->info->name, signal, sunk, NULL);
}

void
derate_dbus_view_detach (DerateDbusView *view)
{
  GDBusInterfaceSkeleton *skeleton = G_DBUS_INTERFACE_SKELETON (view);

  view->owner = NULL;
  g_clear_pointer (&view->fresh, g_variant_unref);
  if (g_dbus_interface_skeleton_get_connection (skeleton) != NULL)
    g_dbus_interface_skeleton_unexport (skeleton);
}
