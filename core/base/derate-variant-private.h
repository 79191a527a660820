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
