/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-manual-clock.h"
#include "derate-resolver-private.h"
#include "derate-resolver.h"

/* A resolver whose look-ups hang until the test answers them. */
#define TEST_TYPE_RESOLVER (test_resolver_get_type ())
G_DECLARE_FINAL_TYPE (TestResolver, test_resolver, TEST, RESOLVER, GResolver)

struct _TestResolver
{
  GResolver parent_instance;
  GMutex mutex;
  GPtrArray *pending; /* (element-type GTask) */
  gint started;
};

G_DEFINE_FINAL_TYPE (TestResolver, test_resolver, G_TYPE_RESOLVER)

static void
test_resolver_lookup_async (GResolver *base,
                            const char *host,
                            GCancellable *cancellable,
                            GAsyncReadyCallback callback,
                            gpointer user_data)
{
  TestResolver *resolver = TEST_RESOLVER (base);

  g_mutex_lock (&resolver->mutex);
  g_ptr_array_add (resolver->pending, g_task_new (base, cancellable, callback, user_data));
  resolver->started++;
  g_mutex_unlock (&resolver->mutex);
  g_main_context_wakeup (NULL);
}

static GList *
test_resolver_lookup_finish (GResolver *base, GAsyncResult *result, GError **error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}

static void
test_resolver_finalize (GObject *object)
{
  TestResolver *resolver = TEST_RESOLVER (object);

  g_ptr_array_unref (resolver->pending);
  g_mutex_clear (&resolver->mutex);
  G_OBJECT_CLASS (test_resolver_parent_class)->finalize (object);
}

static void
test_resolver_class_init (TestResolverClass *klass)
{
  GResolverClass *resolver_class = G_RESOLVER_CLASS (klass);

  G_OBJECT_CLASS (klass)->finalize = test_resolver_finalize;
  resolver_class->lookup_by_name_async = test_resolver_lookup_async;
  resolver_class->lookup_by_name_finish = test_resolver_lookup_finish;
}

static void
test_resolver_init (TestResolver *resolver)
{
  g_mutex_init (&resolver->mutex);
  resolver->pending = g_ptr_array_new_with_free_func (g_object_unref);
}

static gint
get_started (TestResolver *resolver)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&resolver->mutex);

  return resolver->started;
}

static void
wait_started (TestResolver *resolver, gint n)
{
  while (get_started (resolver) < n)
    g_main_context_iteration (NULL, TRUE);
}

/* Answers all that hangs, with @address or with an error. */
static void
answer_pending (TestResolver *resolver, const char *address)
{
  g_autoptr (GPtrArray) pending = NULL;

  g_mutex_lock (&resolver->mutex);
  pending = g_steal_pointer (&resolver->pending);
  resolver->pending = g_ptr_array_new_with_free_func (g_object_unref);
  g_mutex_unlock (&resolver->mutex);

  for (guint i = 0; i < pending->len; i++)
    {
      GTask *task = g_ptr_array_index (pending, i);

      if (address != NULL)
        g_task_return_pointer (task, g_list_append (NULL, g_inet_address_new_from_string (address)),
                               (GDestroyNotify)g_resolver_free_addresses);
      else
        g_task_return_new_error (task, G_RESOLVER_ERROR, G_RESOLVER_ERROR_TEMPORARY_FAILURE,
                                 "no name server");
    }
}

typedef struct
{
  guint answers;
  guint cancelled;
  guint errors;
  char *last;
  GThread *thread;
} Answers;

static void
on_answer (GObject *source, GAsyncResult *result, gpointer data)
{
  Answers *answers = data;
  g_autoptr (GError) error = NULL;
  GList *list = derate_resolver_lookup_finish (result, &error);

  answers->thread = g_thread_self ();
  if (list != NULL)
    {
      answers->answers++;
      g_free (answers->last);
      answers->last = g_inet_address_to_string (list->data);
      g_assert_no_error (error);
    }
  else if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    answers->cancelled++;
  else
    {
      g_assert_nonnull (error);
      answers->errors++;
    }
  g_resolver_free_addresses (list);
}

static void
wait_for (guint *counter, guint n)
{
  while (*counter < n)
    g_main_context_iteration (NULL, TRUE);
}

typedef struct
{
  TestResolver *resolver;
  DerateClock *clock;
  GResolver *before;
} Fixture;

static void
fixture_set_up (Fixture *fixture, gconstpointer data)
{
  fixture->resolver = g_object_new (TEST_TYPE_RESOLVER, NULL);
  fixture->clock = derate_manual_clock_new ();
  fixture->before = g_resolver_get_default ();
  g_resolver_set_default (G_RESOLVER (fixture->resolver));
  derate_resolver_reset (fixture->clock);
}

static void
fixture_tear_down (Fixture *fixture, gconstpointer data)
{
  derate_resolver_reset (NULL);
  g_resolver_set_default (fixture->before);
  g_object_unref (fixture->before);
  g_assert_cmpuint (fixture->resolver->pending->len, ==, 0);
  g_object_unref (fixture->clock);
  g_object_unref (fixture->resolver);
}

static void
test_forty_cancelled (Fixture *fixture, gconstpointer data)
{
  Answers answers = { 0 };

  for (guint i = 0; i < 40; i++)
    {
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();

      derate_resolver_lookup_async ("db.example", cancellable, on_answer, &answers);
      g_cancellable_cancel (cancellable);
      wait_for (&answers.cancelled, i + 1);
    }
  wait_started (fixture->resolver, 1);
  g_assert_cmpint (get_started (fixture->resolver), ==, 1);

  /* The look-up goes on: who comes later has its answer. */
  derate_resolver_lookup_async ("DB.example", NULL, on_answer, &answers);
  answer_pending (fixture->resolver, "192.0.2.1");
  wait_for (&answers.answers, 1);
  g_assert_cmpstr (answers.last, ==, "192.0.2.1");
  g_assert_cmpint (get_started (fixture->resolver), ==, 1);
  g_assert_cmpuint (answers.cancelled, ==, 40);
  g_free (answers.last);
}

static void
test_shared_and_reused (Fixture *fixture, gconstpointer data)
{
  Answers answers = { 0 };

  for (guint i = 0; i < 3; i++)
    derate_resolver_lookup_async ("a.example", NULL, on_answer, &answers);
  derate_resolver_lookup_async ("b.example", NULL, on_answer, &answers);
  wait_started (fixture->resolver, 2);
  g_assert_cmpint (get_started (fixture->resolver), ==, 2);
  answer_pending (fixture->resolver, "192.0.2.7");
  wait_for (&answers.answers, 4);

  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (fixture->clock), 59 * G_TIME_SPAN_SECOND);
  derate_resolver_lookup_async ("a.example", NULL, on_answer, &answers);
  wait_for (&answers.answers, 5);
  g_assert_cmpint (get_started (fixture->resolver), ==, 2);

  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (fixture->clock), G_TIME_SPAN_SECOND);
  derate_resolver_lookup_async ("a.example", NULL, on_answer, &answers);
  wait_started (fixture->resolver, 3);
  answer_pending (fixture->resolver, "192.0.2.8");
  wait_for (&answers.answers, 6);
  g_assert_cmpstr (answers.last, ==, "192.0.2.8");
  g_free (answers.last);
}

static void
test_failure (Fixture *fixture, gconstpointer data)
{
  Answers answers = { 0 };

  derate_resolver_lookup_async ("c.example", NULL, on_answer, &answers);
  derate_resolver_lookup_async ("c.example", NULL, on_answer, &answers);
  wait_started (fixture->resolver, 1);
  answer_pending (fixture->resolver, NULL);
  wait_for (&answers.errors, 2);

  /* A failure is not kept. */
  derate_resolver_lookup_async ("c.example", NULL, on_answer, &answers);
  wait_started (fixture->resolver, 2);
  answer_pending (fixture->resolver, "192.0.2.2");
  wait_for (&answers.answers, 1);
  g_free (answers.last);
}

static void
test_no_lookup (Fixture *fixture, gconstpointer data)
{
  Answers answers = { 0 };

  derate_resolver_lookup_async ("127.0.0.1", NULL, on_answer, &answers);
  g_assert_cmpuint (answers.answers, ==, 0);
  wait_for (&answers.answers, 1);
  g_assert_cmpstr (answers.last, ==, "127.0.0.1");
  derate_resolver_lookup_async ("::1", NULL, on_answer, &answers);
  wait_for (&answers.answers, 2);
  g_assert_cmpstr (answers.last, ==, "::1");
  derate_resolver_lookup_async ("/run/postgresql", NULL, on_answer, &answers);
  derate_resolver_lookup_async ("", NULL, on_answer, &answers);
  wait_for (&answers.errors, 2);
  g_assert_cmpint (get_started (fixture->resolver), ==, 0);
  g_free (answers.last);
}

static gpointer
look_up_in_own_context (gpointer data)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  Answers answers = { 0 };

  g_main_context_push_thread_default (context);
  derate_resolver_lookup_async ("d.example", NULL, on_answer, &answers);
  while (answers.answers == 0)
    g_main_context_iteration (context, TRUE);
  g_main_context_pop_thread_default (context);
  g_assert_true (answers.thread == g_thread_self ());
  g_free (answers.last);
  return NULL;
}

static void
test_own_context (Fixture *fixture, gconstpointer data)
{
  Answers answers = { 0 };
  GThread *thread;

  derate_resolver_lookup_async ("d.example", NULL, on_answer, &answers);
  wait_started (fixture->resolver, 1);
  thread = g_thread_new ("other", look_up_in_own_context, NULL);
  answer_pending (fixture->resolver, "192.0.2.4");
  wait_for (&answers.answers, 1);
  g_assert_true (answers.thread == g_thread_self ());
  g_thread_join (thread);
  g_assert_cmpint (get_started (fixture->resolver), ==, 1);
  g_free (answers.last);
}

static void
on_connected (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GSocketConnection) connection =
      g_socket_client_connect_finish (G_SOCKET_CLIENT (source), result, &error);

  g_assert_no_error (error);
  g_assert_nonnull (connection);
  (*(guint *)data)++;
}

static void
test_network_address (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GSocketListener) listener = g_socket_listener_new ();
  g_autoptr (GSocketClient) client = g_socket_client_new ();
  g_autoptr (GSocketConnectable) address = NULL;
  g_autoptr (GError) error = NULL;
  guint16 port = g_socket_listener_add_any_inet_port (listener, NULL, &error);
  guint connected = 0;

  g_assert_no_error (error);
  address = derate_network_address_new ("e.example", port);
  g_assert_cmpstr (g_network_address_get_hostname (G_NETWORK_ADDRESS (address)), ==, "e.example");

  /* The client asks for a proxy first; then two connects share one look-up, and a third the answer.
   */
  g_socket_client_connect_async (client, address, NULL, on_connected, &connected);
  g_socket_client_connect_async (client, address, NULL, on_connected, &connected);
  wait_started (fixture->resolver, 1);
  answer_pending (fixture->resolver, "127.0.0.1");
  wait_for (&connected, 2);
  g_socket_client_connect_async (client, address, NULL, on_connected, &connected);
  wait_for (&connected, 3);
  g_assert_cmpint (get_started (fixture->resolver), ==, 1);
}

static void
test_network_address_sync (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GSocketConnectable) address = derate_network_address_new ("127.0.0.1", 80);
  g_autoptr (GSocketAddressEnumerator) enumerator = g_socket_connectable_enumerate (address);
  g_autoptr (GError) error = NULL;
  g_autoptr (GSocketAddress) first = g_socket_address_enumerator_next (enumerator, NULL, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (first)), ==, 80);
  g_assert_null (g_socket_address_enumerator_next (enumerator, NULL, &error));
  g_assert_no_error (error);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(path, func) \
  g_test_add ("/resolver/" path, Fixture, NULL, fixture_set_up, func, fixture_tear_down)
  ADD ("forty-cancelled", test_forty_cancelled);
  ADD ("shared-and-reused", test_shared_and_reused);
  ADD ("failure", test_failure);
  ADD ("no-lookup", test_no_lookup);
  ADD ("own-context", test_own_context);
  ADD ("network-address", test_network_address);
  ADD ("network-address-sync", test_network_address_sync);
#undef ADD
  return g_test_run ();
}
