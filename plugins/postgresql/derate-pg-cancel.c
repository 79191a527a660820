/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PQcancel () connects, writes and waits for the server to close, for as long as that takes: for
 * ever, where somebody listens and stays silent. So it has threads of its own, which are not those
 * of GTask, and who asked for it waits to be woken or for a deadline of its own. */
#include "derate-pg-cancel-private.h"

/* So many may be stuck at once; the others wait for their turn. */
#define MAX_THREADS 32

struct _DeratePgCancel
{
  gatomicrefcount refs;
  PGcancel *pg; /* NULL, which cancels nothing, where the session was broken */
  GDestroyNotify wake;
  gpointer data;
  gboolean is_done; /* atomic */
};

void
derate_pg_cancel_unref (DeratePgCancel *cancel)
{
  if (!g_atomic_ref_count_dec (&cancel->refs))
    return;
  PQfreeCancel (cancel->pg);
  g_free (cancel);
}

static void
send_cancel (gpointer data, gpointer user_data)
{
  DeratePgCancel *cancel = data;
  char text[256];

  /* Whether it came through shows in what the query says. */
  PQcancel (cancel->pg, text, sizeof text);
  __atomic_store_n (&cancel->is_done, TRUE, __ATOMIC_RELEASE);
  if (cancel->wake != NULL)
    cancel->wake (cancel->data);
  derate_pg_cancel_unref (cancel);
}

static GThreadPool *
get_threads (void)
{
  static gsize once;

  if (g_once_init_enter (&once))
    g_once_init_leave (&once,
                       (gsize)g_thread_pool_new (send_cancel, NULL, MAX_THREADS, FALSE, NULL));
  return (GThreadPool *)once;
}

DeratePgCancel *
derate_pg_cancel_new (PGconn *pg)
{
  DeratePgCancel *cancel = g_new0 (DeratePgCancel, 1);

  g_atomic_ref_count_init (&cancel->refs);
  cancel->pg = PQgetCancel (pg);
  return cancel;
}

void
derate_pg_cancel_start (DeratePgCancel *cancel, GDestroyNotify wake, gpointer data)
{
  cancel->wake = wake;
  cancel->data = data;
  g_atomic_ref_count_inc (&cancel->refs);
  g_thread_pool_push (get_threads (), cancel, NULL);
}

gboolean
derate_pg_cancel_is_done (DeratePgCancel *cancel)
{
  return __atomic_load_n (&cancel->is_done, __ATOMIC_ACQUIRE);
}
