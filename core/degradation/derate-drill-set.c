/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-drill-set-private.h"

#include "derate-error.h"

/* Threads: the mutex guards everything below it, and of each drill what its header says; nothing of
 * another object is called under it. Whoever sets the cause of a drill ends it. One that ends while
 * another thread still begins it is taken back by both, and stays in `running` till the last of
 * them is through, so that nobody drills the same services meanwhile. */
struct _DerateDrillSet
{
  DerateClock *clock;
  DerateDegradationManager *manager;
  DerateFallbackUsage *usage;

  GMutex mutex;
  GPtrArray *running; /* (element-type DerateDrill), oldest first */
  GPtrArray *over; /* (element-type DerateDrill), oldest first, each with a report */
  GPtrArray *wakers; /* (element-type DerateWaker) */
  gboolean started;
  gboolean stopped;
  guint listener;
  GMainContext *context; /* whoever moves a deadline holds it, as GLib does not */
  GSource *source; /* the end of the drill that ends first */
  guint n_changes; /* of what that is */
};

DerateDrillSet *
derate_drill_set_new (DerateClock *clock,
                      DerateDegradationManager *manager,
                      DerateFallbackUsage *usage)
{
  DerateDrillSet *set = g_atomic_rc_box_new0 (DerateDrillSet);

  g_mutex_init (&set->mutex);
  set->clock = g_object_ref (clock);
  set->manager = g_object_ref (manager);
  set->usage = g_object_ref (usage);
  set->running = g_ptr_array_new_with_free_func ((GDestroyNotify)derate_drill_unref);
  set->over = g_ptr_array_new_with_free_func ((GDestroyNotify)derate_drill_unref);
  set->wakers = g_ptr_array_new_with_free_func ((GDestroyNotify)derate_waker_unref);
  return set;
}

DerateDrillSet *
derate_drill_set_ref (DerateDrillSet *set)
{
  return g_atomic_rc_box_acquire (set);
}

static void
set_clear (gpointer data)
{
  DerateDrillSet *set = data;

  g_ptr_array_unref (set->running);
  g_ptr_array_unref (set->over);
  g_ptr_array_unref (set->wakers);
  g_object_unref (set->usage);
  g_object_unref (set->manager);
  g_object_unref (set->clock);
  g_mutex_clear (&set->mutex);
}

void
derate_drill_set_unref (DerateDrillSet *set)
{
  g_atomic_rc_box_release_full (set, set_clear);
}

static gpointer
drill_copy (gconstpointer drill, gpointer unused)
{
  return derate_drill_ref ((DerateDrill *)drill);
}

static GPtrArray *
copy_running (DerateDrillSet *set)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&set->mutex);
  GPtrArray *drills = g_ptr_array_copy (set->running, drill_copy, NULL);

  g_ptr_array_set_free_func (drills, (GDestroyNotify)derate_drill_unref);
  return drills;
}

static gpointer
waker_copy (gconstpointer waker, gpointer unused)
{
  return derate_waker_ref ((DerateWaker *)waker);
}

/* Of a drill that is on the list now, or no longer. */
static void
wake (DerateDrillSet *set)
{
  g_autoptr (GPtrArray) wakers = NULL;

  g_mutex_lock (&set->mutex);
  wakers = g_ptr_array_copy (set->wakers, waker_copy, NULL);
  g_mutex_unlock (&set->mutex);
  g_ptr_array_set_free_func (wakers, (GDestroyNotify)derate_waker_unref);
  for (guint i = 0; i < wakers->len; i++)
    derate_waker_wake (g_ptr_array_index (wakers, i));
}

void
derate_drill_set_add_waker (DerateDrillSet *set, DerateWaker *waker)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&set->mutex);

  g_ptr_array_add (set->wakers, derate_waker_ref (waker));
}

void
derate_drill_set_remove_waker (DerateDrillSet *set, DerateWaker *waker)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&set->mutex);

  g_ptr_array_remove (set->wakers, waker);
}

/* The timer */

/* FALSE where there is no timer. */
static gboolean
take_deadline (DerateDrillSet *set,
               GMainContext **context,
               GSource **source,
               gint64 *deadline,
               guint *n_changes)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&set->mutex);

  if (set->source == NULL)
    return FALSE;
  *context = g_main_context_ref (set->context);
  *source = g_source_ref (set->source);
  *n_changes = set->n_changes;
  *deadline = DERATE_CLOCK_NEVER;
  for (guint i = 0; i < set->running->len; i++)
    {
      const DerateDrill *drill = g_ptr_array_index (set->running, i);

      if (drill->cause == NULL)
        *deadline = MIN (*deadline, drill->deadline);
    }
  return TRUE;
}

static gboolean
has_changed (DerateDrillSet *set, guint n_changes)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&set->mutex);

  return set->n_changes != n_changes;
}

/* Of two threads the one that set an old deadline last sees that it is old. */
static void
move_timer (DerateDrillSet *set)
{
  guint n_changes = 0;

  do
    {
      g_autoptr (GMainContext) context = NULL;
      g_autoptr (GSource) source = NULL;
      gint64 deadline = 0;

      if (!take_deadline (set, &context, &source, &deadline, &n_changes))
        return;
      derate_clock_source_set_deadline (set->clock, source, deadline);
    }
  while (has_changed (set, n_changes));
}

/* Ending */

/* Takes the drill back and has its report ready; then this thread is through with it. Its limit
 * stands until nobody applies it any more. */
static void
settle (DerateDrillSet *set, DerateDrill *drill)
{
  g_autoptr (GVariant) report = NULL;
  gboolean last;

  derate_drill_unapply (drill);
  report = derate_drill_build_report (drill, set->manager, set->usage);

  g_mutex_lock (&set->mutex);
  if (drill->report == NULL)
    drill->report = g_steal_pointer (&report);
  last = --drill->n_busy == 0;
  if (last)
    {
      g_ptr_array_add (set->over, derate_drill_ref (drill));
      g_ptr_array_remove (set->running, drill);
      if (set->over->len > DERATE_DRILL_SET_MAX_REPORTS)
        g_ptr_array_remove_index (set->over, 0);
    }
  g_mutex_unlock (&set->mutex);
  if (last)
    derate_degradation_manager_remove_drill_limit (set->manager, drill->limit);
}

/* Whether it is this thread that ends it; @late: also one that another thread is about to end.
 * Called locked. */
static gboolean
begin_end (DerateDrillSet *set, DerateDrill *drill, const char *cause, gint64 now, gboolean late)
{
  if (drill->report != NULL || (drill->cause != NULL && !late))
    return FALSE;
  drill->n_busy++;
  if (drill->cause != NULL)
    return TRUE;
  drill->cause = cause;
  drill->ended = MAX (now, drill->began);
  set->n_changes++;
  return TRUE;
}

static void
end (DerateDrillSet *set, DerateDrill *drill, const char *cause, gboolean late)
{
  gint64 now = derate_clock_get_time (set->clock);
  DerateLevel level = derate_degradation_manager_get_level (set->manager);
  g_autofree char *rule = derate_degradation_manager_dup_rule (set->manager);
  gboolean first;
  gboolean ends;

  g_mutex_lock (&set->mutex);
  first = drill->cause == NULL;
  ends = begin_end (set, drill, cause, now, late);
  if (first)
    derate_drill_record_note (&drill->record, level, rule);
  g_mutex_unlock (&set->mutex);
  if (!ends)
    return;
  settle (set, drill);
  if (!first)
    return;
  derate_drill_log_ended (drill);
  move_timer (set);
  wake (set);
}

typedef gboolean (*Match) (DerateDrillSet *set, const DerateDrill *drill, gpointer data);

static void
end_matching (DerateDrillSet *set, const char *cause, Match match, gpointer data)
{
  g_autoptr (GPtrArray) drills = copy_running (set);

  for (guint i = 0; i < drills->len; i++)
    if (match (set, g_ptr_array_index (drills, i), data))
      end (set, g_ptr_array_index (drills, i), cause, FALSE);
}

static gboolean
is_any (DerateDrillSet *set, const DerateDrill *drill, gpointer unused)
{
  return TRUE;
}

static gboolean
is_expired (DerateDrillSet *set, const DerateDrill *drill, gpointer now)
{
  return drill->deadline <= *(gint64 *)now;
}

static gboolean
on_timer (gpointer data)
{
  DerateDrillSet *set = data;
  gint64 now = derate_clock_get_time (set->clock);

  end_matching (set, DERATE_DRILL_CAUSE_EXPIRED, is_expired, &now);
  move_timer (set);
  return G_SOURCE_CONTINUE;
}

static gboolean
is_past_limit (DerateDrillSet *set, const DerateDrill *drill, gpointer level)
{
  return *(DerateLevel *)level > drill->limit;
}

/* In the thread that changed something: the manager has seen to it that no level past a limit was
 * published. */
static void
on_event (DerateDegradationManager *manager, const DerateDegradationEvent *event, gpointer data)
{
  DerateDrillSet *set = data;
  DerateLevel level;

  if (event->hold != NULL)
    return;
  level = derate_degradation_manager_get_drill_level (manager);
  g_mutex_lock (&set->mutex);
  for (guint i = 0; i < set->running->len; i++)
    {
      DerateDrill *drill = g_ptr_array_index (set->running, i);

      if (drill->cause == NULL)
        derate_drill_record_note (&drill->record, event->new_level, event->rule);
    }
  g_mutex_unlock (&set->mutex);
  end_matching (set, DERATE_DRILL_CAUSE_LIMIT, is_past_limit, &level);
}

static gboolean
is_owned_by (DerateDrillSet *set, const DerateDrill *drill, gpointer owner)
{
  return g_strcmp0 (drill->owner, owner) == 0;
}

void
derate_drill_set_owner_vanished (DerateDrillSet *set, const char *owner)
{
  end_matching (set, DERATE_DRILL_CAUSE_VANISHED, is_owned_by, (gpointer)owner);
}

static gboolean
hits_others (DerateDrillSet *set, const DerateDrill *drill, gpointer services)
{
  g_autoptr (DerateBreaker) breaker = NULL;
  g_autoptr (GPtrArray) targets = derate_drill_find_targets (services, drill->service, &breaker);

  if (targets == NULL || targets->len != drill->targets->len)
    return TRUE;
  for (guint i = 0; i < targets->len; i++)
    if (!g_ptr_array_find (drill->targets, g_ptr_array_index (targets, i), NULL))
      return TRUE;
  return breaker != drill->breaker;
}

void
derate_drill_set_check_services (DerateDrillSet *set, GPtrArray *services)
{
  end_matching (set, DERATE_DRILL_CAUSE_REMOVED, hits_others, services);
}

static DerateDrill *
find (GPtrArray *drills, const char *id)
{
  for (guint i = 0; i < drills->len; i++)
    {
      DerateDrill *drill = g_ptr_array_index (drills, i);

      if (g_strcmp0 (drill->id, id) == 0)
        return drill;
    }
  return NULL;
}

static DerateDrill *
ref_drill (DerateDrillSet *set, const char *id)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&set->mutex);
  DerateDrill *drill = find (set->running, id);

  if (drill == NULL)
    drill = find (set->over, id);
  return drill != NULL ? derate_drill_ref (drill) : NULL;
}

static GVariant *
ref_report (DerateDrillSet *set, DerateDrill *drill)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&set->mutex);

  return g_variant_ref (drill->report);
}

GVariant *
derate_drill_set_end (DerateDrillSet *set,
                      const char *id,
                      const DerateHoldCaller *caller,
                      GError **error)
{
  g_autoptr (DerateDrill) drill = ref_drill (set, id);

  if (drill == NULL)
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_NO_SUCH_DRILL, "no drill “%s”", id);
      return NULL;
    }
  if (!caller->privileged &&
      (g_strcmp0 (drill->owner, caller->owner) != 0 || drill->uid != caller->uid))
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_NOT_OWNER, "drill “%s” is another caller's",
                   id);
      return NULL;
    }
  end (set, drill, DERATE_DRILL_CAUSE_STOPPED, TRUE);
  return ref_report (set, drill);
}

/* Beginning */

static gboolean
check_targets (DerateDrillSet *set, const DerateDrill *drill, GError **error)
{
  for (guint i = 0; i < set->running->len; i++)
    {
      const DerateDrill *other = g_ptr_array_index (set->running, i);

      for (guint j = 0; j < drill->targets->len; j++)
        if (g_ptr_array_find (other->targets, g_ptr_array_index (drill->targets, j), NULL))
          {
            g_set_error (error, DERATE_ERROR, DERATE_ERROR_EXISTS,
                         "drill: drill “%s” of %s hits service “%s” already", other->id,
                         other->service, drill->service);
            return FALSE;
          }
    }
  return TRUE;
}

/* Whether @drill may begin as far as the others are concerned; then, with @add, it is one of them.
 */
static gboolean
admit (DerateDrillSet *set, DerateDrill *drill, gboolean add, GError **error)
{
  gboolean ready = derate_degradation_manager_is_ready (set->manager);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&set->mutex);

  if (!set->started || set->stopped || !ready)
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_STATE, "drill: the program %s",
                   set->stopped ? "is stopping" : "has no level yet");
      return FALSE;
    }
  if (!check_targets (set, drill, error))
    return FALSE;
  if (!add)
    return TRUE;
  do
    {
      g_autofree char *uuid = g_uuid_string_random ();

      g_free (drill->id);
      drill->id = g_strndup (uuid, 8);
    }
  while (find (set->running, drill->id) != NULL || find (set->over, drill->id) != NULL);
  drill->n_busy = 1;
  set->n_changes++;
  g_ptr_array_add (set->running, derate_drill_ref (drill));
  return TRUE;
}

static gboolean
check_limit (DerateDrillSet *set, DerateDrill *drill, GError **error)
{
  g_autofree DerateHealthStatus *statuses = derate_drill_judge (drill);
  g_autofree char *rule = NULL;
  DerateLevel level =
      derate_degradation_manager_what_if (set->manager, drill->targets, statuses, &rule);

  if (level <= drill->limit)
    return TRUE;
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_LIMIT_EXCEEDED,
               "drill: with %s the level would be %s by rule %s, and its limit is %s",
               drill->service, derate_level_get_nick (level), rule,
               derate_level_get_nick (drill->limit));
  return FALSE;
}

/* FALSE where it ended while it began. */
static gboolean
has_begun (DerateDrillSet *set, DerateDrill *drill)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&set->mutex);

  if (drill->cause != NULL)
    return FALSE;
  drill->n_busy--;
  return TRUE;
}

char *
derate_drill_set_begin (DerateDrillSet *set,
                        GPtrArray *services,
                        const DerateDrillRequest *request,
                        GError **error)
{
  g_autoptr (DerateDrill) drill = derate_drill_new (request, services, set->clock, error);

  if (drill == NULL || !admit (set, drill, FALSE, error) || !check_limit (set, drill, error))
    return NULL;
  derate_drill_record_begin (&drill->record, drill->targets, drill->breaker, set->manager,
                             set->usage);
  if (!admit (set, drill, TRUE, error))
    return NULL;
  derate_degradation_manager_add_drill_limit (set->manager, drill->limit);
  derate_drill_log_started (drill);
  derate_drill_apply (drill);
  if (!has_begun (set, drill))
    settle (set, drill);
  move_timer (set);
  wake (set);
  return g_strdup (drill->id);
}

/* The set */

void
derate_drill_set_start (DerateDrillSet *set, GMainContext *context)
{
  g_autoptr (GSource) source = derate_clock_source_new (set->clock, DERATE_CLOCK_NEVER);

  g_source_set_static_name (source, "[derate] drills");
  g_source_set_callback (source, on_timer, derate_drill_set_ref (set),
                         (GDestroyNotify)derate_drill_set_unref);
  g_source_attach (source, context);
  g_mutex_lock (&set->mutex);
  set->context = g_main_context_ref (g_source_get_context (source));
  set->source = g_steal_pointer (&source);
  set->started = TRUE;
  g_mutex_unlock (&set->mutex);
  set->listener =
      derate_degradation_manager_add_listener (set->manager, on_event, derate_drill_set_ref (set),
                                               (GDestroyNotify)derate_drill_set_unref);
}

void
derate_drill_set_stop (DerateDrillSet *set)
{
  g_autoptr (GMainContext) context = NULL;
  g_autoptr (GSource) source = NULL;

  g_mutex_lock (&set->mutex);
  set->stopped = TRUE;
  context = g_steal_pointer (&set->context);
  source = g_steal_pointer (&set->source);
  g_mutex_unlock (&set->mutex);
  end_matching (set, DERATE_DRILL_CAUSE_SHUTDOWN, is_any, NULL);
  if (source == NULL)
    return;
  g_source_destroy (source);
  derate_degradation_manager_remove_listener (set->manager, set->listener);
}

GPtrArray *
derate_drill_set_list (DerateDrillSet *set)
{
  GPtrArray *drills = g_ptr_array_new_with_free_func ((GDestroyNotify)derate_drill_unref);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&set->mutex);

  for (guint i = 0; i < set->running->len; i++)
    {
      DerateDrill *drill = g_ptr_array_index (set->running, i);

      if (drill->cause == NULL)
        g_ptr_array_add (drills, derate_drill_ref (drill));
    }
  return drills;
}

GVariant *
derate_drill_set_to_variant (DerateDrillSet *set, gboolean details)
{
  gint64 now = derate_clock_get_time (set->clock);
  g_autoptr (GPtrArray) drills = derate_drill_set_list (set);
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("aa{sv}"));
  for (guint i = 0; i < drills->len; i++)
    g_variant_builder_add_value (&builder, derate_drill_to_variant (g_ptr_array_index (drills, i),
                                                                    now, details));
  return g_variant_builder_end (&builder);
}
