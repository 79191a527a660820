/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-policy.h>

G_BEGIN_DECLS

#define DERATE_TYPE_TIMEOUT (derate_timeout_get_type ())

typedef struct _DerateTimeout DerateTimeout;
typedef struct _DerateTimeoutClass DerateTimeoutClass;

DERATE_AVAILABLE_IN_1_0
GType derate_timeout_get_type (void);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateTimeout, g_object_unref)

/**
 * DERATE_TIMEOUT: (skip)
 */
#define DERATE_TIMEOUT(object) \
  (G_TYPE_CHECK_INSTANCE_CAST ((object), DERATE_TYPE_TIMEOUT, DerateTimeout))

/**
 * DERATE_IS_TIMEOUT: (skip)
 */
#define DERATE_IS_TIMEOUT(object) (G_TYPE_CHECK_INSTANCE_TYPE ((object), DERATE_TYPE_TIMEOUT))

/**
 * DERATE_TIMEOUT_DEFAULT: (value 30000000)
 *
 * How long a call may take where nothing says it: 30 seconds, in microseconds (seeds/004,
 * `DEFAULT_TIMEOUT`).
 *
 * Since: 1.0
 */
#define DERATE_TIMEOUT_DEFAULT (30 * G_TIME_SPAN_SECOND)

DERATE_AVAILABLE_IN_1_0
DerateTimeout *derate_timeout_new (DerateClock *clock,
                                   GTimeSpan    span);

DERATE_AVAILABLE_IN_1_0
GTimeSpan derate_timeout_get_span (DerateTimeout *timeout);

G_END_DECLS
