/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-network-address.h"

#include "derate-resolver.h"

/* Threads: an address is immutable; an enumerator belongs to one caller at a time, as all of GIO's.
 */

#define DERATE_TYPE_ADDRESS_ENUMERATOR (derate_address_enumerator_get_type ())
G_DECLARE_FINAL_TYPE (DerateAddressEnumerator,
                      derate_address_enumerator,
                      DERATE,
                      ADDRESS_ENUMERATOR,
                      GSocketAddressEnumerator)

/* The addresses of one host, in the order in which the resolver gave them. */
struct _DerateAddressEnumerator
{
  GSocketAddressEnumerator parent_instance;

  char *host;
  guint16 port;
  gboolean resolved;
  GList *addresses;
  GList *next;
};

G_DEFINE_FINAL_TYPE (DerateAddressEnumerator,
                     derate_address_enumerator,
                     G_TYPE_SOCKET_ADDRESS_ENUMERATOR)

/* The next address, or NULL after the last. */
static GSocketAddress *
take_next (DerateAddressEnumerator *enumerator)
{
  GInetAddress *address;

  if (enumerator->next == NULL)
    return NULL;
  address = enumerator->next->data;
  enumerator->next = enumerator->next->next;
  return g_inet_socket_address_new (address, enumerator->port);
}

static gboolean
take_result (DerateAddressEnumerator *enumerator, GAsyncResult *result, GError **error)
{
  GList *addresses = derate_resolver_lookup_finish (result, error);

  if (addresses == NULL)
    return FALSE;
  enumerator->resolved = TRUE;
  enumerator->addresses = addresses;
  enumerator->next = addresses;
  return TRUE;
}

static void
on_resolved (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GTask) task = data;
  DerateAddressEnumerator *enumerator = g_task_get_source_object (task);
  g_autoptr (GError) error = NULL;

  if (take_result (enumerator, result, &error))
    g_task_return_pointer (task, take_next (enumerator), g_object_unref);
  else
    g_task_return_error (task, g_steal_pointer (&error));
}

static void
derate_address_enumerator_next_async (GSocketAddressEnumerator *base,
                                      GCancellable *cancellable,
                                      GAsyncReadyCallback callback,
                                      gpointer user_data)
{
  DerateAddressEnumerator *enumerator = DERATE_ADDRESS_ENUMERATOR (base);
  g_autoptr (GTask) task = g_task_new (base, cancellable, callback, user_data);

  g_task_set_source_tag (task, derate_address_enumerator_next_async);
  if (enumerator->resolved)
    g_task_return_pointer (task, take_next (enumerator), g_object_unref);
  else
    derate_resolver_lookup_async (enumerator->host, cancellable, on_resolved,
                                  g_steal_pointer (&task));
}

static GSocketAddress *
derate_address_enumerator_next_finish (GSocketAddressEnumerator *base,
                                       GAsyncResult *result,
                                       GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, base), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}

static void
keep_result (GObject *source, GAsyncResult *result, gpointer data)
{
  *(GAsyncResult **)data = g_object_ref (result);
}

static GSocketAddress *
derate_address_enumerator_next (GSocketAddressEnumerator *base,
                                GCancellable *cancellable,
                                GError **error)
{
  DerateAddressEnumerator *enumerator = DERATE_ADDRESS_ENUMERATOR (base);
  g_autoptr (GMainContext) context = NULL;
  g_autoptr (GAsyncResult) result = NULL;

  if (enumerator->resolved)
    return take_next (enumerator);

  context = g_main_context_new ();
  g_main_context_push_thread_default (context);
  derate_resolver_lookup_async (enumerator->host, cancellable, keep_result, &result);
  while (result == NULL)
    g_main_context_iteration (context, TRUE);
  g_main_context_pop_thread_default (context);
  return take_result (enumerator, result, error) ? take_next (enumerator) : NULL;
}

static void
derate_address_enumerator_finalize (GObject *object)
{
  DerateAddressEnumerator *enumerator = DERATE_ADDRESS_ENUMERATOR (object);

  g_free (enumerator->host);
  g_resolver_free_addresses (enumerator->addresses);
  G_OBJECT_CLASS (derate_address_enumerator_parent_class)->finalize (object);
}

static void
derate_address_enumerator_class_init (DerateAddressEnumeratorClass *klass)
{
  GSocketAddressEnumeratorClass *enumerator_class = G_SOCKET_ADDRESS_ENUMERATOR_CLASS (klass);

  G_OBJECT_CLASS (klass)->finalize = derate_address_enumerator_finalize;
  enumerator_class->next = derate_address_enumerator_next;
  enumerator_class->next_async = derate_address_enumerator_next_async;
  enumerator_class->next_finish = derate_address_enumerator_next_finish;
}

static void
derate_address_enumerator_init (DerateAddressEnumerator *enumerator)
{
}

/**
 * DerateNetworkAddress:
 *
 * A #GNetworkAddress whose look-ups go through derate_resolver_lookup_async().
 *
 * Give it to a #GSocketClient, or to a SoupSession as its `remote-connectable`: a name server that
 * does not answer then costs the program one look-up, and not one for each attempt. Certificates
 * are checked against the name of the host.
 *
 * Since: 1.0
 */
struct _DerateNetworkAddress
{
  GNetworkAddress parent_instance;
};

/* A proxy is still asked for as GNetworkAddress does it; it enumerates this where there is none. */
static GSocketAddressEnumerator *
derate_network_address_enumerate (GSocketConnectable *connectable)
{
  GNetworkAddress *address = G_NETWORK_ADDRESS (connectable);
  DerateAddressEnumerator *enumerator = g_object_new (DERATE_TYPE_ADDRESS_ENUMERATOR, NULL);

  enumerator->host = g_strdup (g_network_address_get_hostname (address));
  enumerator->port = g_network_address_get_port (address);
  return G_SOCKET_ADDRESS_ENUMERATOR (enumerator);
}

static void
connectable_iface_init (GSocketConnectableIface *iface)
{
  iface->enumerate = derate_network_address_enumerate;
}

G_DEFINE_FINAL_TYPE_WITH_CODE (DerateNetworkAddress,
                               derate_network_address,
                               G_TYPE_NETWORK_ADDRESS,
                               G_IMPLEMENT_INTERFACE (G_TYPE_SOCKET_CONNECTABLE,
                                                      connectable_iface_init))

static void
derate_network_address_class_init (DerateNetworkAddressClass *klass)
{
}

static void
derate_network_address_init (DerateNetworkAddress *address)
{
}

/**
 * derate_network_address_new:
 * @host: a host name or a numeric address
 * @port: the port
 *
 * Makes an address to connect to. Nothing is looked up before it is used.
 *
 * Returns: (transfer full): the address
 *
 * Since: 1.0
 */
GSocketConnectable *
derate_network_address_new (const char *host, guint16 port)
{
  g_return_val_if_fail (host != NULL, NULL);

  return g_object_new (DERATE_TYPE_NETWORK_ADDRESS, "hostname", host, "port", (guint)port, NULL);
}
