/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-fallback-policy.h"
#include "derate-policy-private.h"

G_BEGIN_DECLS

/* Threads: `busy` is atomic; the mutex guards `runs`. A run and its waiters belong to the context
 * that the call which began it was started in. */
struct _DerateFallbackPolicy
{
  DeratePolicy parent_instance;

  char *service;
  DerateFallback *fallback;
  guint max_concurrent; /* 0: no limit */
  guint busy;

  GMutex mutex;
  GHashTable *runs; /* (element-type DerateFallbackRun) itself; those that others may join */
};

/* What is asked of the fallback when a call ended with @error. */
DerateFallbackRequest *derate_fallback_policy_make_request (DerateFallbackPolicy *self,
                                                            DerateRequest        *request,
                                                            const GError         *error);

/* A place among those that run at once; FALSE where there is none. */
gboolean derate_fallback_policy_enter (DerateFallbackPolicy *self);
void derate_fallback_policy_leave (DerateFallbackPolicy *self);

/* @error is still the call's, and says also why no fallback answered. */
void derate_fallback_policy_add_cause (DerateFallbackPolicy *self,
                                       GError               *error,
                                       const char           *why);

/* The answer with the id of the request; (transfer full). Takes @result. */
DerateFallbackResult *derate_fallback_policy_address (DerateFallbackResult *result,
                                                      DerateRequest        *request);

/* One way to the fallback, for all calls in one context that want the same. */
typedef struct _DerateFallbackRun DerateFallbackRun;

guint derate_fallback_run_hash (gconstpointer run);
gboolean derate_fallback_run_equal (gconstpointer a,
                                    gconstpointer b);

/* Asks, or joins those who have; then ends the stage. Takes @error, of the call so far. */
void derate_fallback_run_ask (DerateFallbackPolicy *self,
                              DerateAsyncCall      *call,
                              GCancellable         *cancellable,
                              GError               *error,
                              DerateStageDone       done,
                              gpointer              data);

G_END_DECLS
