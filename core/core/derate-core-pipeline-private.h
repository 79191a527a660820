/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-core-object-private.h"

G_BEGIN_DECLS

/* What pipelines of one service share, by its name; in the owner's thread. */
GHashTable *derate_core_pipelines_new (void);

/* After the configuration was @old: those of services that it says something else of are made anew
 * when they are asked for. */
void derate_core_pipelines_forget_changed (DerateCore   *core,
                                           DerateConfig *old);

G_END_DECLS
