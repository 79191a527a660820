/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate.h>

/* A clock on which to wait takes no time: it leaps to the deadline of the first source that anybody
 * waits for. So a call that waits in its own thread is tested in one thread. */
DerateClock *leap_clock_new (void);
void leap_clock_advance (DerateClock *clock,
                         GTimeSpan    span);
void leap_clock_cancel_next (DerateClock  *clock,
                             GCancellable *cancellable); /* when somebody begins to wait */
gint64 leap_clock_get_leapt (DerateClock *clock); /* since it was made */

/* An operation that ends as a script says, a letter each time, the last one for ever:
 *   S succeeds   F fails   R is refused by nobody listening   T times out   C is cancelled
 *   O H X D Q L the refusals of ours: open, half-open-full, forced, drill, queue-full, rate-limited
 *   U no fallback had an answer   4 SQLSTATE 40001   A asks to come back in 2 s   Z in 31 s
 *   0 answers 0, S answers the number of the time, from 1 */
typedef struct
{
  DerateClock *clock;
  const char *letters;
  GCancellable *cancel_at; /* (nullable) cancelled by the time numbered … */
  guint cancel_on;
  guint made;
  gint64 at[64]; /* since the clock was made */

  gboolean done;
  guint ends;
  GVariant *answer;
  GError *error;
} LeapScript;

void leap_script_init (LeapScript  *script,
                       DerateClock *clock,
                       const char  *letters);
void leap_script_clear (LeapScript *script);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (LeapScript, leap_script_clear)

GVariant *leap_script_run (GCancellable *cancellable,
                           gpointer      script,
                           GError      **error);

/* Makes a call to its end, in the one form or the other. */
void leap_script_call (LeapScript   *script,
                       gpointer      policy,
                       gboolean      async,
                       DerateRequest *request,
                       GCancellable *cancellable);

/* “5” an answer, “F” the letter of an error. */
void leap_script_assert_end (LeapScript *script,
                             const char *end);

GQuark leap_sql_quark (void);

/* derate_retry_set_after_func (): what A and Z ask for. */
GTimeSpan leap_read_after (const GError *error,
                           gpointer      user_data);
