/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-call.h"

G_BEGIN_DECLS

/* How a call ended: called once, in the thread that answered or dropped it, with no lock held.
 * Takes both; exactly one is set. */
typedef void (*DerateCallDone) (gpointer  data,
                                GVariant *answer,
                                GError   *error);

DerateCall *derate_call_new (DerateCallDone done,
                             gpointer       data);

G_END_DECLS
