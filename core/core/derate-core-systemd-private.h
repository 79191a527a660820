/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-core.h>

G_BEGIN_DECLS

/* Tells the service manager how a core is. What a core has one of while it was asked to; each of
 * these does nothing with NULL. In the owner's thread. */
typedef struct _DerateCoreSystemd DerateCoreSystemd;

void derate_core_systemd_starting (DerateCoreSystemd *systemd);
void derate_core_systemd_ready (DerateCoreSystemd *systemd);
void derate_core_systemd_reloading (DerateCoreSystemd *systemd);
void derate_core_systemd_reloaded (DerateCoreSystemd *systemd,
                                   gboolean           refused);
void derate_core_systemd_stopping (DerateCoreSystemd *systemd);

/* Once the monitor's context no longer runs, or in it. */
void derate_core_systemd_stopped (DerateCoreSystemd *systemd);
void derate_core_systemd_free (DerateCoreSystemd *systemd);

G_END_DECLS
