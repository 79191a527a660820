/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#ifdef DERATE_COMPILATION
#define DERATE_EXPORT __attribute__ ((visibility ("default")))
#else
#define DERATE_EXPORT
#endif

/* Since 1.0: every symbol so far. A later minor version adds a macro of its own. */
#define DERATE_AVAILABLE_IN_1_0 DERATE_EXPORT extern
