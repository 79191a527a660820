/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-visibility.h>
#include <glib-object.h>

G_BEGIN_DECLS

#define DERATE_TYPE_PERMIT (derate_permit_get_type ())

typedef struct _DeratePermit DeratePermit;

/**
 * DeratePermit:
 *
 * The right to make one call, given by a [class@Breaker], which wants to hear how the call ended.
 *
 * In C it lives on the stack: see derate_breaker_acquire(). Bindings use derate_breaker_begin(). It
 * may end in another thread than it began in, but belongs to one thread at a time. Its outcome is
 * taken once; a permit that is dropped without a word is neutral: it counts nothing and is free
 * again.
 *
 * Since: 1.0
 */
struct _DeratePermit
{
  /*< private >*/
  guint64 priv[8];
};

/**
 * DERATE_PERMIT_INIT: (skip)
 *
 * What a permit on the stack must be set to first.
 *
 * Since: 1.0
 */
#define DERATE_PERMIT_INIT { { 0 } }

DERATE_AVAILABLE_IN_1_0
GType derate_permit_get_type (void);

DERATE_AVAILABLE_IN_1_0
DeratePermit *derate_permit_ref (DeratePermit *permit);

DERATE_AVAILABLE_IN_1_0
void derate_permit_unref (DeratePermit *permit);

DERATE_AVAILABLE_IN_1_0
void derate_permit_succeed (DeratePermit *permit);

DERATE_AVAILABLE_IN_1_0
void derate_permit_fail (DeratePermit *permit,
                         const GError *error);

DERATE_AVAILABLE_IN_1_0
void derate_permit_cancel (DeratePermit *permit);

/**
 * derate_permit_clear: (skip)
 * @permit: a permit on the stack
 *
 * What the end of its scope does to a permit that has not ended: derate_permit_cancel().
 *
 * Since: 1.0
 */
static inline void
derate_permit_clear (DeratePermit *permit)
{
  if (G_UNLIKELY (permit->priv[0] != 0))
    derate_permit_cancel (permit);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (DeratePermit, derate_permit_clear)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DeratePermit, derate_permit_unref)

G_END_DECLS
