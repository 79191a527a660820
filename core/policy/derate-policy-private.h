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
struct _DerateCallContext
{
  DeratePolicy *const *stages;
  guint n_stages;
  DerateRequest *request; /* (nullable) */
  DerateCallFunc func;
  gpointer func_data;
  DerateCallContext *outer; /* of a call that this one is made in */

  /* A stage that sets one of these for its attempt puts the old one back. */
  GCancellable *cancellable; /* (nullable) */
  gint64 deadline;           /* the earliest so far, DERATE_CLOCK_NEVER */

  DerateFallbackResult *fallback; /* (nullable) where the answer is from, if not the operation */
};

/* One call that is answered later. Reference counted; it keeps the policy, and with it the stages.
 * All of it happens in the context that it was started in. */
typedef struct _DerateAsyncCall DerateAsyncCall;

/* How a stage ended. Takes both; exactly one is set. Called exactly once, in the call's context,
 * perhaps before the stage's start () has returned. */
typedef void (*DerateStageDone) (gpointer  data,
                                 GVariant *answer,
                                 GError   *error);

struct _DeratePolicy
{
  GObject parent_instance;

  DeratePolicy **stages; /* itself alone, unless it is a pipeline */
  guint n_stages;
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

DerateAsyncCall *derate_async_call_ref (DerateAsyncCall *call);
void derate_async_call_unref (DerateAsyncCall *call);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateAsyncCall, derate_async_call_unref)

DerateRequest *derate_async_call_get_request (DerateAsyncCall *call); /* (nullable) */
GMainContext *derate_async_call_get_context (DerateAsyncCall *call);

/* The answer is a fallback's. Takes @result. */
void derate_async_call_set_fallback (DerateAsyncCall      *call,
                                     DerateFallbackResult *result);

G_END_DECLS
