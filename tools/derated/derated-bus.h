/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derated-options.h"

#include <derate-dbus-exporter.h>

G_BEGIN_DECLS

/* Shows @core on the bus that the options name, or else the configuration. FALSE where that fails;
 * TRUE with @exporter NULL where there is to be none. Waits for the bus. */
gboolean derated_bus_export (DerateCore           *core,
                             const DeratedOptions *options,
                             DerateDbusExporter  **exporter,
                             GError              **error);

G_END_DECLS
