/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-core-object-private.h"

G_BEGIN_DECLS

/* Services in and out, in the owner's thread; the rules are told by update_inputs (). */
void derate_core_insert_service (DerateCore    *core,
                                 DerateService *service);
void derate_core_withdraw_service (DerateCore    *core,
                                   DerateService *service);
gboolean derate_core_update_inputs (DerateCore *core,
                                    GError    **error);

/* After a reload: drills whose service has gone, or has another breaker, end. */
void derate_core_check_drills (DerateCore *core);

void derate_core_attach_collectors (DerateCore *core);

/* Ends what runs; safe to call again. */
void derate_core_shut_down (DerateCore *core);

G_END_DECLS
