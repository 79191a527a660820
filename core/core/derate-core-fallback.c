/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "derate-core-object-private.h"
#include "derate-error.h"

/* The keys of a [fallback NAME] but `strategy`, as they stand: the strategy reads them. */
static GVariant *
read_options (DerateConfig *config, const char *group)
{
  g_auto (GStrv) keys = derate_config_list_keys (config, group);
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  for (guint i = 0; keys[i] != NULL; i++)
    if (strcmp (keys[i], "strategy") != 0)
      g_variant_builder_add (&builder, "{sv}", keys[i],
                             g_variant_new_string (
                                 derate_config_get_text (config, group, keys[i], "")));
  return g_variant_ref_sink (g_variant_builder_end (&builder));
}

/* @word names a [fallback] of the configuration, or is a strategy without options. */
static gboolean
append_fallback (DerateCore *core,
                 DerateFallbackChain *chain,
                 const char *service_group,
                 const char *service,
                 const char *word,
                 GError **error)
{
  g_autofree char *group = g_strconcat ("fallback ", word, NULL);
  gboolean named = derate_config_has_group (core->config, group);
  g_autoptr (GVariant) options = named ? read_options (core->config, group) : NULL;
  const char *strategy =
      named ? derate_config_get_text (core->config, group, "strategy", "") : word;
  g_autoptr (DerateFallback) fallback = NULL;
  g_autoptr (GError) reason = NULL;
  g_autofree char *origin = NULL;

  fallback = derate_fallback_factory_create (core->fallbacks, strategy, service, options, &reason);
  if (fallback != NULL)
    {
      derate_fallback_chain_append (chain, fallback);
      return TRUE;
    }
  origin = derate_config_dup_origin (core->config, named ? group : service_group,
                                     named ? "strategy" : "fallback");
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG, "%s: %s", origin, reason->message);
  return FALSE;
}

/**
 * derate_core_create_fallback:
 * @core: a core
 * @service: the name of a service
 * @error: where to put the error
 *
 * Makes the chain of fallbacks that the configuration names for a service (`fallback=`), from
 * strategies that were registered with derate_core_get_fallbacks(); an empty chain, which answers
 * nothing, where it names none. What it answers is counted in the core's metrics. In the owner's
 * thread.
 *
 * Returns: (transfer full): the chain, or %NULL with %DERATE_ERROR_NO_SUCH_SERVICE or
 *   %DERATE_ERROR_INVALID_CONFIG that names the place
 *
 * Since: 1.0
 */
DerateFallback *
derate_core_create_fallback (DerateCore *core, const char *service, GError **error)
{
  g_autoptr (DerateFallbackChain) chain = NULL;
  g_autoptr (DerateService) known = NULL;
  g_autofree char *group = NULL;
  g_auto (GStrv) words = NULL;

  g_return_val_if_fail (DERATE_IS_CORE (core), NULL);
  g_return_val_if_fail (service != NULL, NULL);

  known = derate_core_lookup_service (core, service);
  if (known == NULL)
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_NO_SUCH_SERVICE, "no service “%s”", service);
      return NULL;
    }
  chain = derate_fallback_chain_new (service, core->clock, core->fallback_usage);
  if (core->config == NULL)
    return DERATE_FALLBACK (g_steal_pointer (&chain));

  group = g_strconcat ("service ", service, NULL);
  words = derate_config_list_words (core->config, group, "fallback");
  for (guint i = 0; words[i] != NULL; i++)
    if (!append_fallback (core, chain, group, service, words[i], error))
      return NULL;
  return DERATE_FALLBACK (g_steal_pointer (&chain));
}

/**
 * derate_core_get_fallback_usage:
 * @core: a core
 *
 * Where the core's metrics count what fallbacks answered; give it to chains the program makes
 * itself.
 *
 * Returns: (transfer none): the counts
 *
 * Since: 1.0
 */
DerateFallbackUsage *
derate_core_get_fallback_usage (DerateCore *core)
{
  g_return_val_if_fail (DERATE_IS_CORE (core), NULL);

  return core->fallback_usage;
}
