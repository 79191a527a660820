/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate.h>

/* A manual clock, an operation that does as a script says, and the one call that is looked at.
 *
 * The script has a word for each time the operation is made; the last one goes on:
 *   S F N T     succeeds, is refused, finds nothing, says that it timed out
 *   +5s:S       takes so long first (in the asynchronous form inside its start)
 *   hold        answers when the test says so; asynchronous only
 *   cancel      as hold, and ends by itself when it is cancelled
 *   thread      succeeds in another thread
 *   drop        lets go of the call without a word
 *   none        gives neither an answer nor an error; synchronous only
 * What it answers is the number of the time, from 1. */
typedef struct
{
  DerateClock *clock;
  char **script;
  guint made; /* times the operation was begun */
  guint live; /* asynchronous operations that have not ended */
  GPtrArray *pending;      /* (element-type DerateCall), (nullable) where ended */
  GPtrArray *cancellables; /* (element-type GCancellable) (nullable), of each time */
  GThread *thread;
  gboolean freed; /* what the operation was given */

  gboolean done;
  GVariant *answer;
  DerateFallbackResult *fallback;
  GError *error;
} PolicyWorld;

/* Alerts are warnings, which end a test: off. */
void policy_test_init (int *argc, char ***argv);

PolicyWorld *policy_world_new (const char *script);
void policy_world_free (PolicyWorld *world);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PolicyWorld, policy_world_free)

/* Begins again from 1; what has not ended yet is let go. */
void policy_world_set_script (PolicyWorld *world,
                              const char  *script);
void policy_world_advance (PolicyWorld *world,
                           GTimeSpan    span);

/* The operation, for a test that calls by itself. */
GVariant *policy_world_operate (GCancellable *cancellable,
                                gpointer      world,
                                GError      **error);
void policy_world_start (DerateCall   *call,
                         GCancellable *cancellable,
                         gpointer      world);

/* Calls in this thread, or starts a call; what is there afterwards is the call's end. */
void policy_world_call (PolicyWorld   *world,
                        gpointer       policy,
                        DerateRequest *request,
                        GCancellable  *cancellable);
void policy_world_call_async (PolicyWorld   *world,
                              gpointer       policy,
                              DerateRequest *request,
                              GCancellable  *cancellable);

/* Runs what is ready; or until the call has ended. */
void policy_world_run (PolicyWorld *world);
void policy_world_finish (PolicyWorld *world);

/* How the call ended: “2” an answer, “fallback:2” a fallback's, “derate:open” a code of ours by its
 * nick, “cancelled”, “io:N” another; “…” when it has not. */
char *policy_world_describe (PolicyWorld *world);
void policy_world_assert_end (PolicyWorld *world,
                              const char  *end);

/* Ends operation @i (from 0) as the word S, F, N, T, cancelled or drop says. */
void policy_world_end (PolicyWorld *world,
                       guint        i,
                       const char  *word);
GCancellable *policy_world_get_cancellable (PolicyWorld *world,
                                            guint        i);
