/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate.h>

G_BEGIN_DECLS

/* What the command line says. */
typedef struct
{
  char *config;
  char *http_host; /* a numeric address; NULL: what [http] says */
  guint16 http_port;
  char *address; /* of a message bus; NULL: none named */
  gboolean session;
  gboolean system;
  gboolean log_json;
  gboolean check;
  gboolean version;
} DeratedOptions;

/* NULL with G_OPTION_ERROR. */
DeratedOptions *derated_options_parse (int     *argc,
                                       char  ***argv,
                                       GError **error);
void derated_options_free (DeratedOptions *options);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DeratedOptions, derated_options_free)

G_END_DECLS
