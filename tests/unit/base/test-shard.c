/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-shard-private.h"

#define N_ADDS 10000

typedef struct
{
  DerateShardSlot slot;
  guint n;
  GMutex *gate; /* held by the test until all threads are there; may be NULL */
} Adder;

static gpointer
add_many (gpointer data)
{
  Adder *adder = data;

  derate_shard_add (adder->slot, 1);
  if (adder->gate != NULL)
    {
      g_mutex_lock (adder->gate);
      g_mutex_unlock (adder->gate);
    }
  for (guint i = 1; i < adder->n; i++)
    derate_shard_add (adder->slot, 1);
  for (guint i = 0; i < adder->n; i++)
    derate_shard_add_double (adder->slot + 1, 0.5);
  return NULL;
}

static void
test_one_thread (void)
{
  DerateShardSlot slot = derate_shard_alloc (2);
  DerateShardSlot other = derate_shard_alloc (1);

  g_assert_cmpuint (slot, !=, 0);
  g_assert_cmpuint (derate_shard_sum (slot), ==, 0);
  derate_shard_add (slot, 3);
  derate_shard_add (slot, 4);
  derate_shard_add_double (slot + 1, 0.25);
  derate_shard_add_double (slot + 1, -1);
  g_assert_cmpuint (derate_shard_sum (slot), ==, 7);
  g_assert_cmpfloat (derate_shard_sum_double (slot + 1), ==, -0.75);
  g_assert_cmpuint (derate_shard_sum (other), ==, 0);
  derate_shard_free (slot, 2);
  derate_shard_free (other, 1);
}

/* Slots are used again, and begin at zero whoever counted in them. */
static void
test_free (void)
{
  DerateShardSlot slot = derate_shard_alloc (3);
  Adder adder = { slot, 100, NULL };

  g_thread_join (g_thread_new ("adder", add_many, &adder));
  derate_shard_add (slot, 5);
  g_assert_cmpuint (derate_shard_sum (slot), ==, 105);
  derate_shard_free (slot, 3);
  g_assert_cmpuint (derate_shard_alloc (3), ==, slot);
  g_assert_cmpuint (derate_shard_sum (slot), ==, 0);
  g_assert_cmpfloat (derate_shard_sum_double (slot + 1), ==, 0);
  derate_shard_free (slot, 3);
  derate_shard_free (0, 3);
}

/* Slots stand side by side and never in each other, over many pages. */
static void
test_many_slots (void)
{
  static const guint sizes[] = { 1, 14, 3, 511, 1, 200 };
  DerateShardSlot slots[600];

  for (guint i = 0; i < G_N_ELEMENTS (slots); i++)
    {
      guint n = sizes[i % G_N_ELEMENTS (sizes)];

      slots[i] = derate_shard_alloc (n);
      for (guint j = 0; j < n; j++)
        derate_shard_add (slots[i] + j, i + 1);
    }
  for (guint i = 0; i < G_N_ELEMENTS (slots); i++)
    for (guint j = 0; j < sizes[i % G_N_ELEMENTS (sizes)]; j++)
      g_assert_cmpuint (derate_shard_sum (slots[i] + j), ==, i + 1);
  for (guint i = 0; i < G_N_ELEMENTS (slots); i++)
    derate_shard_free (slots[i], sizes[i % G_N_ELEMENTS (sizes)]);
}

/* What ended threads have counted stays: one after the other, more of them than there are tables.
 */
static void
test_ended_threads (void)
{
  DerateShardSlot slot = derate_shard_alloc (2);

  for (guint i = 0; i < 200; i++)
    {
      Adder adder = { slot, 10, NULL };

      g_thread_join (g_thread_new ("adder", add_many, &adder));
    }
  g_assert_cmpuint (derate_shard_sum (slot), ==, 2000);
  g_assert_cmpfloat (derate_shard_sum_double (slot + 1), ==, 1000);
  derate_shard_free (slot, 2);
}

/* A hundred at the same time: those beyond the 64th share one line. */
static void
test_many_threads (void)
{
  DerateShardSlot slot = derate_shard_alloc (2);
  GThread *threads[100];
  Adder adder;
  GMutex gate;
  guint64 before = 0;

  g_mutex_init (&gate);
  g_mutex_lock (&gate);
  adder = (Adder){ slot, N_ADDS, &gate };
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("adder", add_many, &adder);
  while (derate_shard_sum (slot) < G_N_ELEMENTS (threads))
    g_thread_yield ();
  g_mutex_unlock (&gate);

  /* A sum that is read meanwhile never falls. */
  for (guint i = 0; i < 100; i++)
    {
      guint64 sum = derate_shard_sum (slot);

      g_assert_cmpuint (sum, >=, before);
      before = sum;
    }
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  g_assert_cmpuint (derate_shard_sum (slot), ==, G_N_ELEMENTS (threads) * N_ADDS);
  g_assert_cmpfloat (derate_shard_sum_double (slot + 1), ==, G_N_ELEMENTS (threads) * N_ADDS * 0.5);
  derate_shard_free (slot, 2);
  g_mutex_clear (&gate);
}

/* A thread's destructors may still count after its table went back. */
static void
add_late (gpointer data)
{
  derate_shard_add (GPOINTER_TO_UINT (data), 1);
}

static GPrivate late = G_PRIVATE_INIT (add_late);

static gpointer
end_with_destructor (gpointer data)
{
  g_private_set (&late, data);
  derate_shard_add (GPOINTER_TO_UINT (data), 1);
  return NULL;
}

static void
test_late_count (void)
{
  DerateShardSlot slot = derate_shard_alloc (1);

  g_thread_join (g_thread_new ("late", end_with_destructor, GUINT_TO_POINTER (slot)));
  g_assert_cmpuint (derate_shard_sum (slot), ==, 2);
  derate_shard_free (slot, 1);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/shard/one-thread", test_one_thread);
  g_test_add_func ("/shard/free", test_free);
  g_test_add_func ("/shard/many-slots", test_many_slots);
  g_test_add_func ("/shard/ended-threads", test_ended_threads);
  g_test_add_func ("/shard/many-threads", test_many_threads);
  g_test_add_func ("/shard/late-count", test_late_count);
  return g_test_run ();
}
