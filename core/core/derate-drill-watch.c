/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-drill-watch-private.h"

/* Threads: a counted object, which the owner and the source have. `known` belongs to the context of
 * the source once that is attached. */
struct _DerateDrillWatch
{
  DerateDrillSet *set;
  DerateWaker *waker;
  GSource *source;
  DerateDrillWatchFunc func;
  gpointer data;
  GDestroyNotify destroy;
  GPtrArray *known; /* (element-type DerateDrill): of which was told that they run */
};

static void
watch_clear (gpointer data)
{
  DerateDrillWatch *watch = data;

  watch->destroy (watch->data);
  g_ptr_array_unref (watch->known);
  derate_waker_unref (watch->waker);
  derate_drill_set_unref (watch->set);
}

static void
watch_unref (gpointer watch)
{
  g_atomic_rc_box_release_full (watch, watch_clear);
}

/* A drill has its cause before it leaves the list. */
static void
tell_ended (DerateDrillWatch *watch, GPtrArray *running)
{
  for (guint i = 0; i < watch->known->len; i++)
    {
      const DerateDrill *drill = g_ptr_array_index (watch->known, i);

      if (!g_ptr_array_find (running, drill, NULL))
        watch->func (drill, drill->cause, watch->data);
    }
}

static void
tell_begun (DerateDrillWatch *watch, GPtrArray *running)
{
  for (guint i = 0; i < running->len; i++)
    {
      const DerateDrill *drill = g_ptr_array_index (running, i);

      if (!g_ptr_array_find (watch->known, drill, NULL))
        watch->func (drill, NULL, watch->data);
    }
}

static gboolean
on_woken (gpointer data)
{
  DerateDrillWatch *watch = data;
  GPtrArray *running;

  derate_waker_begin (watch->waker);
  running = derate_drill_set_list (watch->set);
  tell_ended (watch, running);
  tell_begun (watch, running);
  g_ptr_array_unref (watch->known);
  watch->known = running;
  derate_waker_sleep_until (watch->waker, DERATE_CLOCK_NEVER);
  return G_SOURCE_CONTINUE;
}

DerateDrillWatch *
derate_drill_watch_new (DerateDrillSet *set,
                        DerateClock *clock,
                        GMainContext *context,
                        DerateDrillWatchFunc func,
                        gpointer data,
                        GDestroyNotify destroy)
{
  DerateDrillWatch *watch = g_atomic_rc_box_new0 (DerateDrillWatch);

  watch->set = derate_drill_set_ref (set);
  watch->waker = derate_waker_new (clock);
  watch->func = func;
  watch->data = data;
  watch->destroy = destroy;
  watch->known = derate_drill_set_list (set);
  watch->source = derate_clock_source_new (clock, DERATE_CLOCK_NEVER);
  g_source_set_callback (watch->source, on_woken, g_atomic_rc_box_acquire (watch), watch_unref);
  g_source_attach (watch->source, context);
  derate_waker_set_source (watch->waker, watch->source, context);
  derate_drill_set_add_waker (set, watch->waker);
  /* One may have begun meanwhile. */
  derate_waker_wake (watch->waker);
  return watch;
}

void
derate_drill_watch_free (DerateDrillWatch *watch)
{
  derate_drill_set_remove_waker (watch->set, watch->waker);
  derate_waker_set_source (watch->waker, NULL, NULL);
  g_source_destroy (watch->source);
  g_source_unref (watch->source);
  watch_unref (watch);
}
