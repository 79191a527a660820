/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-dbus-leases-private.h"

struct _DerateDbusLeases
{
  DerateClock *clock;
  GMainContext *context;
  DerateDbusLeaseEnded func;
  gpointer owner;
  GHashTable *leases; /* (element-type DerateBreaker Lease) */
};

typedef struct
{
  DerateDbusLeases *leases;
  DerateBreaker *breaker;
  DerateBreakerMode mode;
  DerateBreakerMode before; /* what comes back */
  char *sender; /* whose vanishing ends it, or NULL */
  GSource *source; /* that ends it, or NULL */
} Lease;

static void
lease_free (Lease *lease)
{
  if (lease->source != NULL)
    {
      g_source_destroy (lease->source);
      g_source_unref (lease->source);
    }
  g_free (lease->sender);
  g_object_unref (lease->breaker);
  g_free (lease);
}

DerateDbusLeases *
derate_dbus_leases_new (DerateClock *clock,
                        GMainContext *context,
                        DerateDbusLeaseEnded func,
                        gpointer owner)
{
  DerateDbusLeases *leases = g_new0 (DerateDbusLeases, 1);

  leases->clock = g_object_ref (clock);
  leases->context = g_main_context_ref (context);
  leases->func = func;
  leases->owner = owner;
  leases->leases = g_hash_table_new_full (NULL, NULL, NULL, (GDestroyNotify)lease_free);
  return leases;
}

/* Frees @lease. */
static void
end (Lease *lease)
{
  DerateDbusLeases *leases = lease->leases;
  g_autoptr (DerateBreaker) breaker = g_object_ref (lease->breaker);
  DerateBreakerMode mode = lease->mode;
  DerateBreakerMode before = lease->before;

  g_hash_table_remove (leases->leases, breaker);
  if (derate_breaker_get_mode (breaker) == mode)
    derate_breaker_set_mode (breaker, before);
}

static gboolean
on_expired (gpointer data)
{
  Lease *lease = data;
  DerateDbusLeases *leases = lease->leases;

  end (lease);
  leases->func (leases->owner);
  return G_SOURCE_REMOVE;
}

void
derate_dbus_leases_set (DerateDbusLeases *leases,
                        DerateBreaker *breaker,
                        DerateBreakerMode mode,
                        GTimeSpan ttl,
                        const char *sender)
{
  Lease *lease = g_hash_table_lookup (leases->leases, breaker);
  DerateBreakerMode before = lease != NULL ? lease->before : derate_breaker_get_mode (breaker);

  g_hash_table_remove (leases->leases, breaker);
  derate_breaker_set_mode (breaker, mode);
  if (mode == DERATE_BREAKER_MODE_NORMAL)
    return;

  lease = g_new0 (Lease, 1);
  lease->leases = leases;
  lease->breaker = g_object_ref (breaker);
  lease->mode = mode;
  lease->before = before;
  if (ttl > 0)
    {
      lease->source =
          derate_clock_source_new (leases->clock, derate_clock_get_time (leases->clock) + ttl);
      g_source_set_callback (lease->source, on_expired, lease, NULL);
      g_source_attach (lease->source, leases->context);
    }
  else
    lease->sender = g_strdup (sender);
  g_hash_table_insert (leases->leases, breaker, lease);
}

/* Those of @sender, or all where it is NULL. */
static void
end_those_of (DerateDbusLeases *leases, const char *sender)
{
  g_autoptr (GList) all = g_hash_table_get_values (leases->leases);

  for (GList *l = all; l != NULL; l = l->next)
    {
      Lease *lease = l->data;

      if (sender == NULL || g_strcmp0 (lease->sender, sender) == 0)
        end (lease);
    }
}

void
derate_dbus_leases_vanished (DerateDbusLeases *leases, const char *sender)
{
  end_those_of (leases, sender);
}

void
derate_dbus_leases_free (DerateDbusLeases *leases)
{
  end_those_of (leases, NULL);
  g_hash_table_unref (leases->leases);
  g_main_context_unref (leases->context);
  g_object_unref (leases->clock);
  g_free (leases);
}
