/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-hold.h"

G_BEGIN_DECLS

#define DERATE_HOLD_TEXT_MAX 256
#define DERATE_HOLD_TTL_MIN G_TIME_SPAN_SECOND
#define DERATE_HOLD_TTL_MAX (24 * G_TIME_SPAN_HOUR)

/* Why a hold ended: the words of HoldReleased. */
#define DERATE_HOLD_CAUSE_RELEASED "released"
#define DERATE_HOLD_CAUSE_EXPIRED "expired"
#define DERATE_HOLD_CAUSE_VANISHED "vanished"
#define DERATE_HOLD_CAUSE_OVERRIDDEN "overridden"

/* What somebody asks for. */
typedef struct
{
  DerateLevel level;
  DerateHoldMode mode;
  const char *who;
  const char *reason;
  GTimeSpan ttl;      /* 0 = no limit, for bound holds alone */
  const char *owner;  /* opaque, such as a unique bus name; NULL = this program */
  guint uid;          /* of the owner */
  gboolean bound;     /* ends when the owner vanishes */
  gboolean may_mask;  /* has the right to hold exactly what is better than the services allow */
} DerateHoldRequest;

/* Immutable but for `deadline`, which renewing moves; guarded by whoever has the set. */
typedef struct
{
  char *id;
  DerateLevel level;
  DerateHoldMode mode;
  char *who;
  char *reason;
  char *owner;
  guint uid;
  gboolean bound;
  gboolean may_mask; /* else an exact one never shows better than the services allow */
  GTimeSpan ttl;    /* as given or renewed; 0 = no limit */
  gint64 since;     /* wall clock, µs */
  gint64 deadline;  /* of the clock; DERATE_CLOCK_NEVER = no limit */
} DerateHold;

DerateHold *derate_hold_new (const DerateHoldRequest *request,
                             gint64                   now,
                             gint64                   real_now,
                             GError                 **error);
DerateHold *derate_hold_copy (const DerateHold *hold);
void derate_hold_free (DerateHold *hold);

/* Whether @text, the @what of a @kind, is there, UTF-8, and of 256 bytes at most; else FALSE with
 * DERATE_ERROR_INVALID_REASON. */
gboolean derate_hold_check_text (const char *kind,
                                 const char *what,
                                 const char *text,
                                 GError    **error);

/* The deadline for @ttl, or FALSE with DERATE_ERROR_INVALID_TTL. */
gboolean derate_hold_compute_deadline (gboolean  bound,
                                       GTimeSpan ttl,
                                       gint64    now,
                                       gint64   *deadline,
                                       GError  **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateHold, derate_hold_free)

G_END_DECLS
