/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-fallback-request.h>
#include <derate-fallback-result.h>
#include <derate-visibility.h>
#include <gio/gio.h>

G_BEGIN_DECLS

#define DERATE_TYPE_FALLBACK (derate_fallback_get_type ())

DERATE_AVAILABLE_IN_1_0
G_DECLARE_INTERFACE (DerateFallback, derate_fallback, DERATE, FALLBACK, GObject)

/**
 * DerateFallbackInterface:
 * @g_iface: the parent
 * @get_strategy: the name of the strategy, such as `cached`
 * @answer: answers at once, without ever blocking; any thread. %NULL where only @answer_async can
 * @answer_async: answers when it can, in the caller's thread-default context; without it, @answer
 * @answer_finish: ends @answer_async; without it, a #GTask of #DerateFallbackResult is expected
 * @note_answer: the service itself has answered: a strategy may keep it; without it, nothing is
 * kept
 *
 * What a fallback can do: at least @get_strategy, and one of the two ways to answer.
 *
 * Since: 1.0
 */
struct _DerateFallbackInterface
{
  GTypeInterface g_iface;

  const char *(*get_strategy) (DerateFallback *fallback);
  DerateFallbackResult *(*answer) (DerateFallback        *fallback,
                                   DerateFallbackRequest *request,
                                   GError               **error);
  void (*answer_async) (DerateFallback        *fallback,
                        DerateFallbackRequest *request,
                        GCancellable          *cancellable,
                        GAsyncReadyCallback    callback,
                        gpointer               user_data);
  DerateFallbackResult *(*answer_finish) (DerateFallback *fallback,
                                          GAsyncResult   *result,
                                          GError        **error);
  void (*note_answer) (DerateFallback *fallback,
                       const char     *key,
                       GVariant       *value);
};

DERATE_AVAILABLE_IN_1_0
const char *derate_fallback_get_strategy (DerateFallback *fallback);

DERATE_AVAILABLE_IN_1_0
DerateFallbackResult *derate_fallback_answer (DerateFallback        *fallback,
                                              DerateFallbackRequest *request,
                                              GError               **error);

DERATE_AVAILABLE_IN_1_0
void derate_fallback_answer_async (DerateFallback        *fallback,
                                   DerateFallbackRequest *request,
                                   GCancellable          *cancellable,
                                   GAsyncReadyCallback    callback,
                                   gpointer               user_data);

DERATE_AVAILABLE_IN_1_0
DerateFallbackResult *derate_fallback_answer_finish (DerateFallback *fallback,
                                                     GAsyncResult   *result,
                                                     GError        **error);

DERATE_AVAILABLE_IN_1_0
void derate_fallback_note_answer (DerateFallback *fallback,
                                  const char     *key,
                                  GVariant       *value);

G_END_DECLS
