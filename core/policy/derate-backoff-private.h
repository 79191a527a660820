/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* How long to wait before each try: grows by a factor up to a cap, then made shorter by chance. */
typedef struct
{
  GTimeSpan initial;
  double multiplier;
  GTimeSpan maximum;
  double jitter; /* 0..1: how much of it is left to chance */
} DerateBackoff;

#define DERATE_BACKOFF_INIT \
  { 500 * G_TIME_SPAN_MILLISECOND, 2.0, 30 * G_TIME_SPAN_SECOND, 1.0 }

gboolean derate_backoff_check (const DerateBackoff *backoff,
                               GError             **error);

/* Before the @n-th retry, from 1; never over the maximum. @chance is 0..1: 1 is no jitter. */
GTimeSpan derate_backoff_get_delay (const DerateBackoff *backoff,
                                    guint                n,
                                    double               chance);

G_END_DECLS
