/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate.h>

G_BEGIN_DECLS

/* What the options of a check amount to. */
typedef struct
{
  GSocketConnectable *address;
  GBytes *send; /* may be a secret; NULL: nothing */
  GBytes *expect; /* must be in the answer; NULL: to be let in is enough */
} DerateTcpOptions;

/* Of a{ss}; NULL with DERATE_ERROR_INVALID_CONFIG. */
DerateTcpOptions *derate_tcp_options_parse (GVariant *values,
                                            GError  **error);
void derate_tcp_options_free (DerateTcpOptions *options);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateTcpOptions, derate_tcp_options_free)

G_END_DECLS
