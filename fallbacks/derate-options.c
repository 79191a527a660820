/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-options-private.h"

gboolean
derate_options_refuse (const DerateOptions *options,
                       const char *name,
                       const char *why,
                       GError **error)
{
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG,
               "service %s: fallback %s: option %s: %s", options->service, options->strategy, name,
               why);
  return FALSE;
}

gboolean
derate_options_check_names (const DerateOptions *options, const char *const *names, GError **error)
{
  gsize n = g_variant_n_children (options->values);

  for (gsize i = 0; i < n; i++)
    {
      g_autoptr (GVariant) entry = g_variant_get_child_value (options->values, i);
      const char *name;

      g_variant_get_child (entry, 0, "&s", &name);
      if (!g_strv_contains (names, name))
        return derate_options_refuse (options, name, "there is no such option", error);
    }
  return TRUE;
}

static GVariant *
get_value (const DerateOptions *options, const char *name)
{
  return g_variant_lookup_value (options->values, name, NULL);
}

/* A whole number of any type that is not negative. */
static gboolean
get_whole_number (GVariant *value, guint64 *number)
{
  gint64 number_signed = -1;

  switch (g_variant_classify (value))
    {
    case G_VARIANT_CLASS_INT32:
      number_signed = g_variant_get_int32 (value);
      break;
    case G_VARIANT_CLASS_INT64:
      number_signed = g_variant_get_int64 (value);
      break;
    case G_VARIANT_CLASS_UINT32:
      number_signed = g_variant_get_uint32 (value);
      break;
    case G_VARIANT_CLASS_UINT64:
      number_signed = (gint64)MIN (g_variant_get_uint64 (value), G_MAXINT64);
      break;
    case G_VARIANT_CLASS_STRING:
      return g_ascii_string_to_unsigned (g_variant_get_string (value, NULL), 10, 0, G_MAXINT64,
                                         number, NULL);
    default:
      break;
    }
  *number = (guint64)number_signed;
  return number_signed >= 0;
}

gboolean
derate_options_get_time_span (const DerateOptions *options,
                              const char *name,
                              GTimeSpan *value,
                              GError **error)
{
  g_autoptr (GVariant) found = get_value (options, name);
  guint64 number;

  if (found == NULL)
    return TRUE;
  if (g_variant_is_of_type (found, G_VARIANT_TYPE_STRING))
    {
      g_autoptr (GError) local_error = NULL;

      return derate_time_span_parse (g_variant_get_string (found, NULL), value, &local_error) ||
             derate_options_refuse (options, name, local_error->message, error);
    }
  if (!get_whole_number (found, &number))
    return derate_options_refuse (options, name, "not a duration", error);
  *value = (GTimeSpan)number;
  return TRUE;
}

gboolean
derate_options_get_size (const DerateOptions *options,
                         const char *name,
                         gsize *value,
                         GError **error)
{
  g_autoptr (GVariant) found = get_value (options, name);
  guint64 number;

  if (found == NULL)
    return TRUE;
  if (!get_whole_number (found, &number) || number == 0)
    return derate_options_refuse (options, name, "not a whole number greater than 0", error);
  *value = (gsize)number;
  return TRUE;
}

gboolean
derate_options_get_text (const DerateOptions *options,
                         const char *name,
                         char **value,
                         GError **error)
{
  g_autoptr (GVariant) found = get_value (options, name);

  if (found == NULL)
    return TRUE;
  if (!g_variant_is_of_type (found, G_VARIANT_TYPE_STRING))
    return derate_options_refuse (options, name, "not a text", error);
  g_free (*value);
  *value = g_variant_dup_string (found, NULL);
  return TRUE;
}
