/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-clock.h"
#include "derate-health-check.h"

G_BEGIN_DECLS

/* One run of one health check, answered on time whatever the check does. */
typedef struct _DerateCheckRun DerateCheckRun;

/* Called once, in any thread, without a lock: the report, or the check's own failure. */
typedef void (*DerateCheckRunAnswer) (DerateCheckRun     *run,
                                      DerateHealthReport *report,
                                      const GError       *error,
                                      GTimeSpan           latency,
                                      gpointer            data);

/* Called once, after the answer: the check may be started again. */
typedef void (*DerateCheckRunEnded) (DerateCheckRun *run,
                                     gpointer        data);

typedef struct
{
  DerateClock *clock;
  GTimeSpan timeout;
  GTimeSpan delay; /* the check begins so late, within its timeout: a drill */
  GMainContext *check_context; /* where the deadline runs, and checks of any thread */
  GMainContext *owner_context; /* where the others run */
  DerateCheckRunAnswer answer;
  DerateCheckRunEnded ended;
  GObject *data; /* kept alive until the check has ended */
} DerateCheckRunArgs;

DerateCheckRun *derate_check_run_new (DerateHealthCheck        *check,
                                      const DerateCheckRunArgs *args);

/* Starts it. Only once; in any thread. */
void derate_check_run_begin (DerateCheckRun *run);

/* Its delay is over: a check that waits for it begins now, with all of its time. In any thread. */
void derate_check_run_hurry (DerateCheckRun *run);

/* Gives it up: it is answered with G_IO_ERROR_CANCELLED unless it was answered already, and the
 * check is told to stop. Waits for nothing; in any thread. */
void derate_check_run_cancel (DerateCheckRun *run);

DerateCheckRun *derate_check_run_ref (DerateCheckRun *run);
void derate_check_run_unref (DerateCheckRun *run);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateCheckRun, derate_check_run_unref)

G_END_DECLS
