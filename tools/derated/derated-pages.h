/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derated-options.h"

#include <derate-http.h>

G_BEGIN_DECLS

/* The pages of a core, where the options and [http] want them. */
typedef struct _DeratedPages DeratedPages;

DeratedPages *derated_pages_new (DerateCore           *core,
                                 const DeratedOptions *options);

/* Serves what is wanted now. On FALSE everything is as it was. */
gboolean derated_pages_update (DeratedPages *pages,
                               GError      **error);

/* Whether anything is served. */
gboolean derated_pages_are_served (DeratedPages *pages);

void derated_pages_free (DeratedPages *pages);

G_END_DECLS
