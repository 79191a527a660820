/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-fallback-chain.h"

#include "derate-error.h"
#include "derate-fallback-usage-private.h"

/* Threads: the links are added before the first answer and never change after it. */

/**
 * DerateFallbackChain:
 *
 * Fallbacks of one service, asked in the order in which they were added until one answers. It is
 * itself a fallback. It may be used from any thread once it is complete.
 *
 * Since: 1.0
 */
struct _DerateFallbackChain
{
  GObject parent_instance;

  char *service;
  DerateClock *clock;
  DerateFallbackUsage *usage;
  GPtrArray *links; /* (element-type DerateFallback) */
};

static void fallback_iface_init (DerateFallbackInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (DerateFallbackChain,
                               derate_fallback_chain,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (DERATE_TYPE_FALLBACK, fallback_iface_init))

static void
derate_fallback_chain_finalize (GObject *object)
{
  DerateFallbackChain *chain = DERATE_FALLBACK_CHAIN (object);

  g_free (chain->service);
  g_clear_object (&chain->clock);
  g_clear_object (&chain->usage);
  g_ptr_array_unref (chain->links);
  G_OBJECT_CLASS (derate_fallback_chain_parent_class)->finalize (object);
}

static void
derate_fallback_chain_class_init (DerateFallbackChainClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = derate_fallback_chain_finalize;
}

static void
derate_fallback_chain_init (DerateFallbackChain *chain)
{
  chain->links = g_ptr_array_new_with_free_func (g_object_unref);
}

/**
 * derate_fallback_chain_new:
 * @service: the service it answers for
 * @clock: (nullable): a clock; %NULL for the system's
 * @usage: (nullable): where to note what it does
 *
 * Makes a chain with nothing in it.
 *
 * Returns: (transfer full): the chain
 *
 * Since: 1.0
 */
DerateFallbackChain *
derate_fallback_chain_new (const char *service, DerateClock *clock, DerateFallbackUsage *usage)
{
  DerateFallbackChain *chain;

  g_return_val_if_fail (service != NULL, NULL);

  chain = g_object_new (DERATE_TYPE_FALLBACK_CHAIN, NULL);
  chain->service = g_strdup (service);
  chain->clock = g_object_ref (clock != NULL ? clock : derate_clock_get_system ());
  g_set_object (&chain->usage, usage);
  return chain;
}

/**
 * derate_fallback_chain_append:
 * @chain: a chain that nobody uses yet
 * @fallback: what to ask after those that are there
 *
 * Adds a fallback.
 *
 * Since: 1.0
 */
void
derate_fallback_chain_append (DerateFallbackChain *chain, DerateFallback *fallback)
{
  g_return_if_fail (DERATE_IS_FALLBACK_CHAIN (chain));
  g_return_if_fail (DERATE_IS_FALLBACK (fallback));

  g_ptr_array_add (chain->links, g_object_ref (fallback));
  if (chain->usage != NULL)
    derate_fallback_usage_add (chain->usage, chain->service,
                               derate_fallback_get_strategy (fallback));
}

/**
 * derate_fallback_chain_get_length:
 * @chain: a chain
 *
 * How many fallbacks it has.
 *
 * Returns: the number
 *
 * Since: 1.0
 */
guint
derate_fallback_chain_get_length (DerateFallbackChain *chain)
{
  g_return_val_if_fail (DERATE_IS_FALLBACK_CHAIN (chain), 0);

  return chain->links->len;
}

static const char *
derate_fallback_chain_get_strategy (DerateFallback *fallback)
{
  DerateFallbackChain *chain = DERATE_FALLBACK_CHAIN (fallback);

  if (chain->links->len != 1)
    return "chain";
  return derate_fallback_get_strategy (g_ptr_array_index (chain->links, 0));
}

static void
note_used (DerateFallbackChain *chain,
           DerateFallback *link,
           DerateFallbackRequest *request,
           gint64 began,
           gboolean answered)
{
  if (chain->usage != NULL)
    derate_fallback_usage_note_request (chain->usage, request, chain->service,
                                        derate_fallback_get_strategy (link),
                                        derate_clock_get_time (chain->clock) - began, answered);
}

/* Adds why @link had no answer to what has been said so far. */
static void
append_cause (GString *causes, DerateFallback *link, const GError *error)
{
  g_string_append_printf (causes, "; fallback %s: %s", derate_fallback_get_strategy (link),
                          error != NULL ? error->message : "no answer");
}

/* The error of the call that was refused or failed, and why no fallback could help. */
static GError *
make_error (DerateFallbackChain *chain, DerateFallbackRequest *request, const char *causes)
{
  const GError *first = derate_fallback_request_get_cause (request);

  return g_error_new (DERATE_ERROR, DERATE_ERROR_UNAVAILABLE, "service %s: %s%s", chain->service,
                      first != NULL ? first->message
                                    : derate_fallback_reason_get_nick (
                                          derate_fallback_request_get_reason (request)),
                      *causes != '\0' ? causes : "; no fallback");
}

static DerateFallbackResult *
derate_fallback_chain_answer (DerateFallback *fallback,
                              DerateFallbackRequest *request,
                              GError **error)
{
  DerateFallbackChain *chain = DERATE_FALLBACK_CHAIN (fallback);
  g_autoptr (GString) causes = NULL;

  for (guint i = 0; i < chain->links->len; i++)
    {
      DerateFallback *link = g_ptr_array_index (chain->links, i);
      gint64 began = derate_clock_get_time (chain->clock);
      g_autoptr (GError) cause = NULL;
      DerateFallbackResult *result = derate_fallback_answer (link, request, &cause);

      note_used (chain, link, request, began, result != NULL);
      if (result != NULL)
        return result;
      if (causes == NULL)
        causes = g_string_new (NULL);
      append_cause (causes, link, cause);
    }
  g_propagate_error (error, make_error (chain, request, causes != NULL ? causes->str : ""));
  return NULL;
}

/* One walk along the chain: the task data of its task. */
typedef struct
{
  DerateFallbackRequest *request;
  guint next;
  gint64 began;
  GString *causes;
} Walk;

static void
walk_free (Walk *walk)
{
  derate_fallback_request_unref (walk->request);
  g_string_free (walk->causes, TRUE);
  g_free (walk);
}

static void ask_next (GTask *task);

static void
on_answered (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GTask) task = data;
  DerateFallbackChain *chain = g_task_get_source_object (task);
  Walk *walk = g_task_get_task_data (task);
  DerateFallback *link = DERATE_FALLBACK (source);
  g_autoptr (GError) error = NULL;
  DerateFallbackResult *answer = derate_fallback_answer_finish (link, result, &error);

  if (answer != NULL)
    {
      note_used (chain, link, walk->request, walk->began, TRUE);
      g_task_return_pointer (task, answer, (GDestroyNotify)derate_fallback_result_unref);
      return;
    }
  /* Who gave up waiting wants no other answer, and the link has not failed. */
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    {
      g_task_return_error (task, g_steal_pointer (&error));
      return;
    }
  note_used (chain, link, walk->request, walk->began, FALSE);
  append_cause (walk->causes, link, error);
  ask_next (g_steal_pointer (&task));
}

static void
ask_next (GTask *owned_task)
{
  g_autoptr (GTask) task = owned_task;
  DerateFallbackChain *chain = g_task_get_source_object (task);
  Walk *walk = g_task_get_task_data (task);
  GCancellable *cancellable = g_task_get_cancellable (task);
  DerateFallback *link;

  if (walk->next == chain->links->len)
    {
      g_task_return_error (task, make_error (chain, walk->request, walk->causes->str));
      return;
    }
  link = g_ptr_array_index (chain->links, walk->next++);
  walk->began = derate_clock_get_time (chain->clock);
  derate_fallback_answer_async (link, walk->request, cancellable, on_answered,
                                g_steal_pointer (&task));
}

static void
derate_fallback_chain_answer_async (DerateFallback *fallback,
                                    DerateFallbackRequest *request,
                                    GCancellable *cancellable,
                                    GAsyncReadyCallback callback,
                                    gpointer user_data)
{
  GTask *task = g_task_new (fallback, cancellable, callback, user_data);
  Walk *walk = g_new0 (Walk, 1);

  walk->request = derate_fallback_request_ref (request);
  walk->causes = g_string_new (NULL);
  g_task_set_source_tag (task, derate_fallback_chain_answer_async);
  g_task_set_task_data (task, walk, (GDestroyNotify)walk_free);
  ask_next (task);
}

static void
derate_fallback_chain_note_answer (DerateFallback *fallback, const char *key, GVariant *value)
{
  DerateFallbackChain *chain = DERATE_FALLBACK_CHAIN (fallback);

  for (guint i = 0; i < chain->links->len; i++)
    derate_fallback_note_answer (g_ptr_array_index (chain->links, i), key, value);
}

static void
fallback_iface_init (DerateFallbackInterface *iface)
{
  iface->get_strategy = derate_fallback_chain_get_strategy;
  iface->answer = derate_fallback_chain_answer;
  iface->answer_async = derate_fallback_chain_answer_async;
  iface->note_answer = derate_fallback_chain_note_answer;
}
