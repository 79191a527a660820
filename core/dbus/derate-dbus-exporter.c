/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-dbus-exporter.h"

#include "derate-dbus-server-private.h"
#include "derate-error.h"
#include "derate-event-queue-private.h"

/**
 * DerateDbusExporter:
 *
 * Shows a core on D-Bus, and lets an operator force its level.
 *
 * The object is `/org/derate/Derate1` with the interfaces `org.derate.Derate1.Manager` (reading)
 * and `org.derate.Derate1.Admin` (changing); services and breakers are objects below it, of which
 * the ObjectManager tells. The name on the bus is `org.derate.Derate1.` and the name of the core;
 * where another program has it, `.instance` and the process id are appended.
 *
 * Everything is answered in the core's monitor thread, so that a level can be forced while the loop
 * of the program is stuck. The core has to be started for it. Who calls Admin is checked for each
 * call: root and the program's own user may do everything, others what polkit allows them.
 *
 * When the name or the connection is lost the exporter stops; the program goes on. Whether the
 * program ends with the connection is up to the program: see #GDBusConnection:exit-on-close, which
 * is true for the connections of g_bus_get().
 *
 * Two cores in one process need two connections. Make and drop an exporter in the thread of its
 * core, and before the core.
 *
 * Since: 1.0
 */
struct _DerateDbusExporter
{
  GObject parent_instance;

  DerateCore *core;
  GDBusConnection *connection;
  DerateDbusServer *server;
  char *bus_name; /* of the owner context */
};

G_DEFINE_FINAL_TYPE (DerateDbusExporter, derate_dbus_exporter, G_TYPE_OBJECT)

enum
{
  PROP_BUS_NAME = 1,
  N_PROPS,
};

static GParamSpec *properties[N_PROPS];

/* On a connection that shows a core. */
static GQuark
exporter_quark (void)
{
  return g_quark_from_static_string ("derate-dbus-exporter");
}

static void
derate_dbus_exporter_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  DerateDbusExporter *exporter = DERATE_DBUS_EXPORTER (object);

  if (id == PROP_BUS_NAME)
    g_value_set_string (value, exporter->bus_name);
  else
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
}

static void
derate_dbus_exporter_dispose (GObject *object)
{
  DerateDbusExporter *exporter = DERATE_DBUS_EXPORTER (object);

  derate_dbus_exporter_stop (exporter);
  g_clear_object (&exporter->connection);
  g_clear_object (&exporter->core);
  G_OBJECT_CLASS (derate_dbus_exporter_parent_class)->dispose (object);
}

static void
derate_dbus_exporter_finalize (GObject *object)
{
  g_free (DERATE_DBUS_EXPORTER (object)->bus_name);
  G_OBJECT_CLASS (derate_dbus_exporter_parent_class)->finalize (object);
}

static void
derate_dbus_exporter_class_init (DerateDbusExporterClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->get_property = derate_dbus_exporter_get_property;
  object_class->dispose = derate_dbus_exporter_dispose;
  object_class->finalize = derate_dbus_exporter_finalize;

  /**
   * DerateDbusExporter:bus-name: (getter get_bus_name)
   *
   * The name on the bus; %NULL before it is there and after it was lost.
   *
   * Since: 1.0
   */
  properties[PROP_BUS_NAME] =
      g_param_spec_string ("bus-name", NULL, NULL, NULL,
                           G_PARAM_READABLE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS);
  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
derate_dbus_exporter_init (DerateDbusExporter *exporter)
{
}

/* What tells the exporter, from the monitor's context, in that of the owner. */
typedef struct
{
  GWeakRef exporter;
  DerateEventQueue *events;
} Teller;

static void
teller_free (gpointer data)
{
  Teller *teller = data;

  g_weak_ref_clear (&teller->exporter);
  derate_event_queue_unref (teller->events);
  g_free (teller);
}

static void
set_bus_name (gpointer owner, gpointer data)
{
  DerateDbusExporter *exporter = DERATE_DBUS_EXPORTER (owner);

  if (g_strcmp0 (exporter->bus_name, data) == 0)
    return;
  g_free (exporter->bus_name);
  exporter->bus_name = g_strdup (data);
  g_object_notify_by_pspec (G_OBJECT (exporter), properties[PROP_BUS_NAME]);
}

static void
on_named (gpointer data, const char *bus_name)
{
  Teller *teller = data;
  g_autoptr (GObject) exporter = g_weak_ref_get (&teller->exporter);

  if (exporter != NULL)
    derate_event_queue_push (teller->events, exporter, set_bus_name, g_strdup (bus_name), g_free);
}

/**
 * derate_dbus_exporter_new:
 * @core: a core
 * @connection: a connection to a message bus
 * @error: return location for an error
 *
 * Shows @core on @connection. Does not wait: the name is asked for in the core's monitor thread,
 * once the core has started; [property@DbusExporter:bus-name] is notified when it is there. Call it
 * in the thread that made @core.
 *
 * Returns: (transfer full): an exporter; %NULL with %DERATE_ERROR_EXISTS where @connection shows a
 * core already, or with %DERATE_ERROR_INVALID_ARGUMENT where it is closed or not to a message bus
 *
 * Since: 1.0
 */
DerateDbusExporter *
derate_dbus_exporter_new (DerateCore *core, GDBusConnection *connection, GError **error)
{
  g_autoptr (DerateDbusExporter) exporter = NULL;
  g_autoptr (GMainContext) context = g_main_context_ref_thread_default ();
  Teller *teller = NULL;

  g_return_val_if_fail (DERATE_IS_CORE (core), NULL);
  g_return_val_if_fail (G_IS_DBUS_CONNECTION (connection), NULL);

  if (g_dbus_connection_is_closed (connection) ||
      g_dbus_connection_get_unique_name (connection) == NULL)
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_ARGUMENT,
                   "dbus: the connection for “%s” is closed or not to a message bus",
                   derate_core_get_name (core));
      return NULL;
    }
  exporter = g_object_new (DERATE_TYPE_DBUS_EXPORTER, NULL);
  if (!g_object_replace_qdata (G_OBJECT (connection), exporter_quark (), NULL, exporter, NULL,
                               NULL))
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_EXISTS,
                   "dbus: the connection for “%s” shows a core already: use another one",
                   derate_core_get_name (core));
      return NULL;
    }
  exporter->core = g_object_ref (core);
  exporter->connection = g_object_ref (connection);
  teller = g_new0 (Teller, 1);
  g_weak_ref_init (&teller->exporter, exporter);
  teller->events = derate_event_queue_new (context);
  exporter->server = derate_dbus_server_new (core, connection, on_named, teller, teller_free);
  derate_dbus_server_start (exporter->server);
  return g_steal_pointer (&exporter);
}

/**
 * derate_dbus_exporter_get_bus_name:
 * @exporter: an exporter
 *
 * The name the program has on the bus. Of the context where @exporter was made.
 *
 * Returns: (transfer none) (nullable): the name, %NULL while there is none
 *
 * Since: 1.0
 */
const char *
derate_dbus_exporter_get_bus_name (DerateDbusExporter *exporter)
{
  g_return_val_if_fail (DERATE_IS_DBUS_EXPORTER (exporter), NULL);

  return exporter->bus_name;
}

/**
 * derate_dbus_exporter_get_core:
 * @exporter: an exporter
 *
 * What is shown. May be called from any thread.
 *
 * Returns: (transfer none): the core
 *
 * Since: 1.0
 */
DerateCore *
derate_dbus_exporter_get_core (DerateDbusExporter *exporter)
{
  g_return_val_if_fail (DERATE_IS_DBUS_EXPORTER (exporter), NULL);

  return exporter->core;
}

/**
 * derate_dbus_exporter_get_connection:
 * @exporter: an exporter
 *
 * Where it is shown. May be called from any thread.
 *
 * Returns: (transfer none): the connection
 *
 * Since: 1.0
 */
GDBusConnection *
derate_dbus_exporter_get_connection (DerateDbusExporter *exporter)
{
  g_return_val_if_fail (DERATE_IS_DBUS_EXPORTER (exporter), NULL);

  return exporter->connection;
}

/**
 * derate_dbus_exporter_stop:
 * @exporter: an exporter
 *
 * Takes the core off the bus. What callers on the bus had bound to themselves ends; holds with a
 * time go on. Dropping the last reference does the same. In the thread that made @exporter.
 *
 * Since: 1.0
 */
void
derate_dbus_exporter_stop (DerateDbusExporter *exporter)
{
  g_return_if_fail (DERATE_IS_DBUS_EXPORTER (exporter));

  if (exporter->server == NULL)
    return;
  derate_dbus_server_stop (exporter->server);
  g_clear_object (&exporter->server);
  g_object_replace_qdata (G_OBJECT (exporter->connection), exporter_quark (), exporter, NULL, NULL,
                          NULL);
}
