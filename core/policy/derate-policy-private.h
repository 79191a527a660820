/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-policy.h"

G_BEGIN_DECLS

/* A policy is a stage: it is handed a call, and may hand it on to the next stage: never, once or
 * several times. A pipeline is a policy with several stages; appended to another it gives them
 * away, so pipelines do not nest. After the first call neither stages nor settings change, and any
 * thread may call. */

/* One call in the calling thread. It lives on the stack; nothing here is allocated. */
typedef struct _DerateCallContext DerateCallContext;
typedef struct _DerateCallToken DerateCallToken;
struct _DerateCallContext
{
  DeratePolicy *policy;
  DeratePolicy *const *stages; /* of the policy */
  guint n_stages;
  DerateRequest *request; /* (nullable) */
  DerateCallFunc func;
  gpointer func_data;
  DerateCallContext *outer; /* of a call that this one is made in */

  /* A stage that sets one of these for its attempt puts the old one back. */
  GCancellable *cancellable; /* (nullable) */
  gint64 deadline;           /* the earliest so far, DERATE_CLOCK_NEVER */
  DerateClock *clock;        /* (nullable) the deadline's */

  DerateCallToken *token; /* (nullable) of derate_call_dup_cancellable () */
  DerateFallbackResult *fallback; /* (nullable) where the answer is from, if not the operation */
};

/* One call that is answered later. Reference counted; it keeps the policy, and with it the stages.
 * All of it happens in the context that it was started in, until it has ended: then what is under
 * way still is cancelled, and ends in any thread, also beside a source of that context. */
typedef struct _DerateAsyncCall DerateAsyncCall;

/* How a stage ended. Takes both; exactly one is set. Called exactly once, in the call's context,
 * perhaps before the stage's start () has returned; or in any thread, once the call has ended. */
typedef void (*DerateStageDone) (gpointer  data,
                                 GVariant *answer,
                                 GError   *error);

/* How a call through a policy ended, not a stage of one: with an answer, a fallback's or not; with
 * an error that is an answer too, such as a 404; or with a failure. Not if it was cancelled. */
typedef enum
{
  DERATE_POLICY_END_REAL,
  DERATE_POLICY_END_FALLBACK,
  DERATE_POLICY_END_FAILED,
} DeratePolicyEnd;

/* In the thread that the call ended in. */
typedef void (*DeratePolicyEnded) (DeratePolicyEnd end,
                                   gpointer        data);

struct _DeratePolicy
{
  GObject parent_instance;

  DeratePolicy **stages; /* itself alone, unless it is a pipeline */
  guint n_stages;
  gboolean used; /* atomic: called once, so nothing may change any more */

  DeratePolicyEnded ended; /* (nullable) */
  gpointer ended_data;
  GDestroyNotify ended_destroy;
};

struct _DeratePolicyClass
{
  GObjectClass parent_class;

  /* @next is the index of the next stage, for the functions below. */
  GVariant *(*call) (DeratePolicy      *policy,
                     DerateCallContext *context,
                     guint              next,
                     GError           **error);

  /* @cancellable (nullable) is this stage's: what it makes of its own must be cancelled with it. A
   * stage that keeps @call takes a reference. */
  void (*start) (DeratePolicy    *policy,
                 DerateAsyncCall *call,
                 guint            next,
                 GCancellable    *cancellable,
                 DerateStageDone  done,
                 gpointer         data);
};

#define DERATE_POLICY_CLASS(klass) \
  (G_TYPE_CHECK_CLASS_CAST ((klass), DERATE_TYPE_POLICY, DeratePolicyClass))
#define DERATE_POLICY_GET_CLASS(policy) \
  (G_TYPE_INSTANCE_GET_CLASS ((policy), DERATE_TYPE_POLICY, DeratePolicyClass))

/* Runs the stage @index, or the operation after the last one. */
GVariant *derate_stage_call (DerateCallContext *context,
                             guint              index,
                             GError           **error);
void derate_stage_start (DerateAsyncCall *call,
                         guint            index,
                         GCancellable    *cancellable,
                         DerateStageDone  done,
                         gpointer         data);

/* As derate_stage_start (), but answers G_IO_ERROR_CANCELLED at once when @cancellable (nullable)
 * is cancelled, though what it started goes on; that answer is dropped. For a stage that holds
 * something which must not wait for an operation that ignores cancellation. */
void derate_stage_start_cancellable (DerateAsyncCall *call,
                                     guint            index,
                                     GCancellable    *cancellable,
                                     DerateStageDone  done,
                                     gpointer         data);

DerateAsyncCall *derate_async_call_ref (DerateAsyncCall *call);
void derate_async_call_unref (DerateAsyncCall *call);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateAsyncCall, derate_async_call_unref)

DerateRequest *derate_async_call_get_request (DerateAsyncCall *call); /* (nullable) */
GMainContext *derate_async_call_get_context (DerateAsyncCall *call);
DeratePolicy *derate_async_call_get_policy (DerateAsyncCall *call); /* whose stages it passes */

/* How often the operation was begun, or what passes for its beginning. */
guint derate_async_call_count_attempts (DerateAsyncCall *call);

/* In the call's context: a stage pretends to be an operation that takes its time. */
void derate_async_call_note_attempt (DerateAsyncCall *call);

/* Ends a stage that was not told by the next one, but by a timer or a fallback of its own. Takes
 * both; exactly one is set. */
void derate_async_call_end_stage (DerateAsyncCall *call,
                                  DerateStageDone  done,
                                  gpointer         data,
                                  GVariant        *answer,
                                  GError          *error);

/* The same from any thread, as an operation's answer: in the call's context while it has not ended,
 * else at once. */
void derate_async_call_end_anywhere (DerateAsyncCall *call,
                                     DerateStageDone  done,
                                     gpointer         data,
                                     GVariant        *answer,
                                     GError          *error);

/* Where an answer of a fallback is from: the answer is the value of @result itself, by which it is
 * known from a real one. Takes @result. */
void derate_async_call_set_fallback (DerateAsyncCall      *call,
                                     DerateFallbackResult *result);
DerateFallbackResult *derate_async_call_find_fallback (DerateAsyncCall *call,
                                                       GVariant        *answer); /* (nullable) */

/* Whether settings may change still; g_critical where they may not. */
gboolean derate_policy_may_change (DeratePolicy *policy);
void derate_policy_set_used (DeratePolicy *policy);

/* Before the first call. */
void derate_policy_set_ended (DeratePolicy     *policy,
                              DeratePolicyEnded func,
                              gpointer          data,
                              GDestroyNotify    destroy);
void derate_policy_tell_end (DeratePolicy *policy,
                             GVariant     *answer, /* (nullable) */
                             gboolean      fallback,
                             const GError *error);

/* Whether @error, of the stages of @policy from @next on, says that the service did not do its
 * part: a refusal, a timeout, or what a breaker among them counts as failure. Without a breaker
 * every error does. Not a cancelled call. */
gboolean derate_policy_is_failure (DeratePolicy *policy,
                                   guint         next,
                                   const GError *error);

/* The call that this thread works for; (nullable). A frame of the kind that push () makes has no
 * stages: what is done for a call that is answered later. */
DerateCallContext *derate_call_context_get_current (void);
void derate_call_context_push (DerateCallContext *context);
void derate_call_context_pop (DerateCallContext *context);

/* Until the deadline, perhaps negative; G_MAXINT64 when there is none. */
GTimeSpan derate_call_context_get_time_left (DerateCallContext *context);

/* Forgets what derate_call_dup_cancellable () made; what the operation kept of it is then never
 * cancelled. Before a stage puts another deadline in place. */
void derate_call_token_release (DerateCallContext *context);

/* Cancels @child when @parent (nullable) is cancelled, in that thread. Nothing here waits, so it
 * may be undone in any thread, also in a handler of @parent. */
gulong derate_cancellable_chain (GCancellable *parent,
                                 GCancellable *child);
void derate_cancellable_unchain (GCancellable *parent,
                                 gulong       *id);

G_END_DECLS
