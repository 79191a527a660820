/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* A value that several threads may read: sunk, and flat. A value just built is a tree, which is
 * made flat when somebody asks for its data or compares it; a string that another thread has
 * borrowed from the tree dies then. A flat one never changes again. */
static inline GVariant *
derate_variant_share (GVariant *value)
{
  g_variant_ref_sink (value);
  g_variant_get_data (value);
  return value;
}

/* The same for one reader alone, floating, with the data still in common: since 2.74.4, GLib notes
 * in a flat container, without a lock, how far its offsets have been looked at. */
static inline GVariant *
derate_variant_dup_shared (GVariant *value)
{
  g_autoptr (GBytes) data = g_variant_get_data_as_bytes (value);

  return g_variant_new_from_bytes (g_variant_get_type (value), data, TRUE);
}
