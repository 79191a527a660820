/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The PostgreSQL client: the only include a program needs for it. */

#include <derate-pg-collector.h>
#include <derate-pg-batch.h>
#include <derate-pg-connection.h>
#include <derate-pg-enum-types.h>
#include <derate-pg-error.h>
#include <derate-pg-exec.h>
#include <derate-pg-lease.h>
#include <derate-pg-listener.h>
#include <derate-pg-pool-attach.h>
#include <derate-pg-pool.h>
#include <derate-pg-result.h>
#include <derate-pg-transaction.h>
