/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-soup-client.h"

G_BEGIN_DECLS

/* What an answer to GET /models says about the service. @key, which a server may quote, is taken
 * out of the message. */
DerateHealthReport *derate_openai_judge (const DerateSoupAnswer *answer,
                                         const char             *key);

G_END_DECLS
