/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "deratectl.h"

G_BEGIN_DECLS

/* Tells of one event: @details (a{sv}, floating) where programs read, @text where people do. */
void deratectl_append_members (GVariantBuilder *builder,
                               GVariant        *members);
void deratectl_tell (const char *kind,
                     GVariant   *details,
                     const char *text);

/* The services and breakers of a program as last heard of, by path: tells of what becomes of them.
 * The first that is known of them is no event. */
typedef struct _DeratectlThings DeratectlThings;

DeratectlThings *deratectl_things_new (void);
void deratectl_things_free (DeratectlThings *things);
void deratectl_things_take_all (DeratectlThings *things,
                                GVariant        *objects);
void deratectl_things_change (DeratectlThings *things,
                              const char      *path,
                              const char      *interface,
                              GVariant        *properties);
void deratectl_things_add (DeratectlThings *things,
                           const char      *path,
                           GVariant        *interfaces);
void deratectl_things_remove (DeratectlThings *things,
                              const char      *path);

/* The same of its holds and drills, from the properties of the manager. */
typedef struct _DeratectlLists DeratectlLists;

DeratectlLists *deratectl_lists_new (void);
void deratectl_lists_free (DeratectlLists *lists);
void deratectl_lists_take (DeratectlLists *lists,
                           GVariant       *properties);

G_END_DECLS
