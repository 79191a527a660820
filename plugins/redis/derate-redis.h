/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The Redis client: the only include a program needs for it. */

#include <derate-redis-connection.h>
#include <derate-redis-error.h>
#include <derate-redis-reply.h>
