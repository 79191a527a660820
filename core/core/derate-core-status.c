/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "derate-core-object-private.h"
#include "derate-degradation-manager-private.h"
#include "derate-version.h"

/* What `/degradation`, `/health`, `/circuit-breakers` and their D-Bus twins say, as variants whose
 * order is the order of the text. */

#define SECONDS(usec) ((double)(usec) / (double)G_TIME_SPAN_SECOND)

static void
add (GVariantBuilder *builder, const char *key, GVariant *value)
{
  g_variant_builder_add (builder, "{sv}", key, value);
}

/* One service as `/degradation` has it; without @details the error text, which may name hosts and
 * users, is left empty. */
static GVariant *
service_to_variant (DerateService *service, gboolean details)
{
  g_autoptr (GVariant) full = g_variant_take_ref (derate_service_to_variant (service));
  GVariantBuilder builder;
  GVariantIter iter;
  const char *key;
  GVariant *value;

  if (details)
    return g_steal_pointer (&full);
  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  g_variant_iter_init (&iter, full);
  while (g_variant_iter_loop (&iter, "{&sv}", &key, &value))
    add (&builder, key, strcmp (key, "error") == 0 ? g_variant_new ("ms", NULL) : value);
  return g_variant_builder_end (&builder);
}

static GVariant *
services_to_variant (DerateCore *core, gboolean details)
{
  g_autoptr (GPtrArray) services = derate_core_snapshot_services (core);
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  for (guint i = 0; i < services->len; i++)
    {
      DerateService *service = g_ptr_array_index (services, i);
      g_autoptr (GVariant) value = g_variant_take_ref (service_to_variant (service, details));

      add (&builder, derate_service_get_name (service), value);
    }
  return g_variant_builder_end (&builder);
}

/**
 * derate_core_dup_status:
 * @core: a core
 * @details: whether to say who holds a level and why, and the services' error texts
 *
 * The level and everything it comes from, as `/degradation` has it. May be called from any thread.
 *
 * Returns: (transfer full): an `a{sv}`; see derate_json_from_variant()
 *
 * Since: 1.0
 */
GVariant *
derate_core_dup_status (DerateCore *core, gboolean details)
{
  GVariantBuilder builder;

  g_return_val_if_fail (DERATE_IS_CORE (core), NULL);

  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  add (&builder, "name", g_variant_new_string (core->name));
  add (&builder, "version", g_variant_new_string (DERATE_VERSION));
  derate_degradation_manager_add_status (core->manager, &builder,
                                         derate_drill_set_to_variant (core->drills, details),
                                         services_to_variant (core, details), details);
  return g_variant_ref_sink (g_variant_builder_end (&builder));
}

/**
 * derate_core_dup_service:
 * @core: a core
 * @service: one of its services
 * @details: whether to give the error text
 *
 * One service, as `/health/SERVICE` has it; a database says whether it may be written to. May be
 * called from any thread.
 *
 * Returns: (transfer full): an `a{sv}`
 *
 * Since: 1.0
 */
GVariant *
derate_core_dup_service (DerateCore *core, DerateService *service, gboolean details)
{
  g_autoptr (GVariant) value = NULL;
  GVariantBuilder builder;
  GVariantIter iter;
  const char *key;
  GVariant *member;
  gboolean writable;

  g_return_val_if_fail (DERATE_IS_CORE (core), NULL);
  g_return_val_if_fail (DERATE_IS_SERVICE (service), NULL);

  value = g_variant_take_ref (service_to_variant (service, details));
  if (derate_service_get_role (service) != DERATE_SERVICE_ROLE_DATABASE)
    return g_steal_pointer (&value);

  writable = derate_service_get_status (service) == DERATE_HEALTH_STATUS_HEALTHY &&
             derate_degradation_manager_get_level (core->manager) <= DERATE_LEVEL_LIMITED;
  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  g_variant_iter_init (&iter, value);
  while (g_variant_iter_loop (&iter, "{&sv}", &key, &member))
    add (&builder, key, member);
  add (&builder, "write_mode", g_variant_new_string (writable ? "enabled" : "disabled"));
  return g_variant_ref_sink (g_variant_builder_end (&builder));
}

/**
 * derate_core_dup_breakers:
 * @core: a core
 *
 * The statistics of every breaker by name, as `/circuit-breakers` has them. May be called from any
 * thread.
 *
 * Returns: (transfer full): an `a{sv}` of `a{sv}`
 *
 * Since: 1.0
 */
GVariant *
derate_core_dup_breakers (DerateCore *core)
{
  g_return_val_if_fail (DERATE_IS_CORE (core), NULL);

  return g_variant_take_ref (derate_breaker_registry_to_variant (core->breakers));
}
