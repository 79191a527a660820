/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-http-options.h"
#include "derate-soup-client.h"

G_BEGIN_DECLS

/* What an answer says about the service. NULL with an error where it is the check that does not
 * work: an expression that would take too long. Nothing of the body is in the message. Where there
 * is an expression it may take a while, so not on a loop. */
DerateHealthReport *derate_http_judge (const DerateHttpOptions *options,
                                       const DerateSoupAnswer  *answer,
                                       GError                 **error);

G_END_DECLS
