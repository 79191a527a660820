/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-hold-private.h"

G_BEGIN_DECLS

#define DERATE_HOLD_SET_MAX 100
#define DERATE_HOLD_SET_MAX_A_CALLER 10

/* The holds there are, oldest first. Without a lock: whoever has the set guards it. */
typedef struct
{
  GPtrArray *holds; /* (element-type DerateHold) */

  /* The seeds' manual set: an exact that ends at the next tick; UNKNOWN = none. It is later than
   * the first `local_after` holds. */
  DerateLevel local;
  guint local_after;
} DerateHoldSet;

/* Who wants to change a hold. */
typedef struct
{
  const char *owner;   /* as in DerateHoldRequest */
  guint uid;
  gboolean privileged; /* may change anybody's */
} DerateHoldCaller;

void derate_hold_set_init (DerateHoldSet *set);
void derate_hold_set_clear (DerateHoldSet *set);

/* Takes @hold, gives it an id and returns it, owned by the set; NULL with LIMIT_EXCEEDED. */
const DerateHold *derate_hold_set_add (DerateHoldSet *set,
                                       DerateHold    *hold,
                                       GError       **error);

/* One that was stored, with its id; dropped where the set is full. */
void derate_hold_set_restore (DerateHoldSet *set,
                              DerateHold    *hold);

/* @id may be NULL. */
gboolean derate_hold_set_contains (const DerateHoldSet *set,
                                   const char          *id);

/* NULL with NO_SUCH_HOLD or NOT_OWNER. */
DerateHold *derate_hold_set_find (DerateHoldSet          *set,
                                  const char             *id,
                                  const DerateHoldCaller *caller,
                                  GError                **error);

gboolean derate_hold_is_owned_by (const DerateHold       *hold,
                                  const DerateHoldCaller *caller);

/* Takes those out for which @match says so, in order: (element-type DerateHold). */
typedef gboolean (*DerateHoldMatch) (const DerateHold *hold,
                                     gconstpointer     data);
GPtrArray *derate_hold_set_take (DerateHoldSet  *set,
                                 DerateHoldMatch match,
                                 gconstpointer   data);

GPtrArray *derate_hold_set_take_expired (DerateHoldSet *set,
                                         gint64         now);
GPtrArray *derate_hold_set_take_bound (DerateHoldSet *set,
                                       const char    *owner);

void derate_hold_set_set_local (DerateHoldSet *set,
                                DerateLevel    level);

/* The earliest deadline; DERATE_CLOCK_NEVER for none. */
gint64 derate_hold_set_get_deadline (const DerateHoldSet *set);

/* What follows from the holds: the worst floor and the latest exact, UNKNOWN where there is none,
 * and the hold behind each, NULL for set_level (). */
typedef struct
{
  DerateLevel floor;
  const DerateHold *floor_hold;
  DerateLevel exact;
  const DerateHold *exact_hold;
} DerateHoldEffect;

DerateHoldEffect derate_hold_set_get_effect (const DerateHoldSet *set);

/* One hold as an a{sv}, floating. */
GVariant *derate_hold_to_variant (const DerateHold *hold,
                                  gint64            now,
                                  gboolean          details);

/* aa{sv} as in the JSON surface, floating; @details FALSE leaves who, reason and uid null. */
GVariant *derate_hold_set_to_variant (const DerateHoldSet *set,
                                      gint64               now,
                                      gboolean             details);

G_END_DECLS
