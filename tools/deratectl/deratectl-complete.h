/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* For the completions of the shells, and in no help: `deratectl complete WORD…` prints what may
 * stand in place of the last word, after the others: a line each, "WORD TAB DESCRIPTION", or
 * ":file" or ":command" where a name of those goes. Silent and quick, whatever is wrong. */
int deratectl_complete (guint  n_words,
                        char **words);

G_END_DECLS
