/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "breaker-script.h"

#include "derate-breaker-private.h"

/* However a call ends, in whichever state it was let through and in whichever it ends: its permit
 * is given back, none is made out of nothing, and the next caller gets one. */

#define MAX_CALLS 2
#define CONFIG                                                                                  \
  "failure-threshold=0 window=none success-threshold=3 half-open-max-calls=2 open-duration=1s " \
  "half-open-lease=1h half-open-decision="
#define TIMEOUT (10 * G_TIME_SPAN_SECOND)

typedef enum
{
  STAY, /* where it was let through */
  CLOSED,
  HALF_OPEN,
  OPEN,
  FORCED_OPEN,
  DISABLED,
  METRICS_ONLY,
  N_PLACES
} Place;

static const char *const places[] = {
  "stay", "closed", "half-open", "open", "forced-open", "disabled", "metrics-only",
};

typedef enum
{
  SUCCEED,
  FAIL,
  CANCEL,
  FAIL_CANCELLED,
  FAIL_TIMED_OUT,
  DROP,
  SAY_NOTHING,
  OUTLIVE_LEASE,
} How;

typedef struct _World World;

typedef struct
{
  const char *name;
  gboolean (*begin) (World *world); /* FALSE: it was refused, or never began */
  void (*end) (World *world);
  How how;
  gboolean is_answer; /* of a probe */
} Way;

typedef struct
{
  const Way *way;
  const char *decision;
  Place given;
} Case;

struct _World
{
  const Way *way;
  DerateClock *clock;
  DerateBreaker *breaker;
  DeratePermit permit;
  DeratePermit *shared;
  GCancellable *cancellable;
  DerateCall *call;
  DeratePolicy *pipeline;
  GThread *thread;
  GMutex mutex;
  GCond cond;
  gboolean inside;
  gboolean released;
  gboolean over;
};

static void
advance (World *world, GTimeSpan span)
{
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (world->clock), span);
}

static void
say (World *world, DeratePermit *permit)
{
  g_autoptr (GError) error = NULL;

  switch (world->way->how)
    {
    case SUCCEED:
      derate_permit_succeed (permit);
      return;
    case CANCEL:
      derate_permit_cancel (permit);
      return;
    case FAIL_CANCELLED:
      g_set_error (&error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "cancelled");
      break;
    case FAIL_TIMED_OUT:
      g_set_error (&error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "timed out");
      break;
    case OUTLIVE_LEASE:
      advance (world, G_TIME_SPAN_HOUR);
      derate_permit_succeed (permit);
      return;
    default:
      break;
    }
  derate_permit_fail (permit, error);
}

/* A permit on the stack */
static gboolean
begin_permit (World *world)
{
  return derate_breaker_acquire (world->breaker, &world->permit, NULL);
}

static void
end_permit (World *world)
{
  if (world->way->how == DROP)
    derate_permit_clear (&world->permit);
  else
    say (world, &world->permit);
}

/* A permit that several hold */
static gboolean
begin_shared (World *world)
{
  world->shared = derate_breaker_begin (world->breaker, NULL);
  return world->shared != NULL;
}

static void
end_shared (World *world)
{
  DeratePermit *other = world->shared != NULL ? derate_permit_ref (world->shared) : NULL;

  if (other == NULL)
    return;
  if (world->way->how != DROP)
    say (world, other);
  derate_permit_unref (other);
  g_clear_pointer (&world->shared, derate_permit_unref);
}

/* A thread that is in the middle of its call */
static void
tell (World *world, gboolean *what)
{
  g_mutex_lock (&world->mutex);
  *what = TRUE;
  g_cond_broadcast (&world->cond);
  g_mutex_unlock (&world->mutex);
}

static void
stay_inside (World *world)
{
  tell (world, &world->inside);
  g_mutex_lock (&world->mutex);
  while (!world->released)
    g_cond_wait (&world->cond, &world->mutex);
  g_mutex_unlock (&world->mutex);
}

static gboolean
start_thread (World *world, GThreadFunc func)
{
  gboolean inside;

  world->thread = g_thread_new ("call", func, world);
  g_mutex_lock (&world->mutex);
  while (!world->inside && !world->over)
    g_cond_wait (&world->cond, &world->mutex);
  inside = world->inside;
  g_mutex_unlock (&world->mutex);
  return inside;
}

static void
end_thread (World *world)
{
  if (world->way->how == FAIL_CANCELLED)
    g_cancellable_cancel (world->cancellable);
  tell (world, &world->released);
  g_thread_join (g_steal_pointer (&world->thread));
}

static gpointer
exit_with_permit (gpointer data)
{
  World *world = data;
  g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

  if (derate_breaker_acquire (world->breaker, &permit, NULL))
    stay_inside (world);
  tell (world, &world->over);
  return NULL;
}

static gboolean
begin_exit (World *world)
{
  return start_thread (world, exit_with_permit);
}

static gpointer
exit_with_shared (gpointer data)
{
  World *world = data;
  g_autoptr (DeratePermit) permit = derate_breaker_begin (world->breaker, NULL);

  if (permit != NULL)
    stay_inside (world);
  tell (world, &world->over);
  return NULL;
}

static gboolean
begin_exit_shared (World *world)
{
  return start_thread (world, exit_with_shared);
}

static gpointer
end_in_thread (gpointer data)
{
  World *world = data;

  say (world, &world->permit);
  return NULL;
}

static void
end_elsewhere (World *world)
{
  g_thread_join (g_thread_new ("end", end_in_thread, world));
}

/* A synchronous call */
static GVariant *
operate (GCancellable *cancellable, gpointer user_data, GError **error)
{
  World *world = user_data;

  stay_inside (world);
  if (world->way->how == SUCCEED)
    return g_variant_new_boolean (TRUE);
  if (world->way->how == FAIL)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED, "refused");
  else if (world->way->how == FAIL_TIMED_OUT)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "timed out");
  else if (world->way->how == FAIL_CANCELLED)
    g_cancellable_set_error_if_cancelled (cancellable, error);
  return NULL;
}

static gpointer
call (gpointer data)
{
  World *world = data;
  g_autoptr (GVariant) answer =
      derate_breaker_call (world->breaker, operate, world, world->cancellable, NULL);

  tell (world, &world->over);
  return NULL;
}

static gboolean
begin_call (World *world)
{
  return start_thread (world, call);
}

static gboolean
begin_cancelled_call (World *world)
{
  g_cancellable_cancel (world->cancellable);
  return start_thread (world, call);
}

/* An asynchronous call */
static void
start (DerateCall *made, GCancellable *cancellable, gpointer user_data)
{
  World *world = user_data;

  world->call = made;
}

static void
on_done (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GVariant) answer =
      DERATE_IS_BREAKER (source)
          ? derate_breaker_call_finish (DERATE_BREAKER (source), result, NULL)
          : derate_policy_call_finish (DERATE_POLICY (source), result, NULL, NULL);

  ((World *)user_data)->over = TRUE;
}

static void
run_until_over (World *world)
{
  while (!world->over)
    g_main_context_iteration (NULL, TRUE);
}

static gboolean
begin_async (World *world)
{
  derate_breaker_call_async (world->breaker, start, world, NULL, world->cancellable, on_done,
                             world);
  return world->call != NULL;
}

static gboolean
begin_cancelled_async (World *world)
{
  g_cancellable_cancel (world->cancellable);
  return begin_async (world);
}

static void
end_async (World *world)
{
  g_autoptr (GError) error = NULL;

  if (world->way->how == FAIL_CANCELLED)
    g_set_error (&error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "cancelled");
  else if (world->way->how == FAIL_TIMED_OUT)
    g_set_error (&error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "timed out");
  else if (world->way->how == FAIL)
    g_set_error (&error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED, "refused");
  if (world->call != NULL && world->way->how == SUCCEED)
    derate_call_succeed (world->call, g_variant_new_boolean (TRUE));
  else if (world->call != NULL && error != NULL)
    derate_call_fail (world->call, error);
  g_clear_pointer (&world->call, derate_call_unref);
  run_until_over (world);
}

/* The same with a timeout inside the breaker; the operation never hears of it. */
static gboolean
begin_timed (World *world)
{
  g_autoptr (DerateBreakerPolicy) breaker = derate_breaker_policy_new (world->breaker);
  g_autoptr (DerateTimeout) timeout = derate_timeout_new (world->clock, TIMEOUT);
  DeratePipeline *pipeline = derate_pipeline_new ();

  derate_pipeline_append (pipeline, DERATE_POLICY (breaker));
  derate_pipeline_append (pipeline, DERATE_POLICY (timeout));
  world->pipeline = DERATE_POLICY (pipeline);
  derate_policy_call_async (world->pipeline, NULL, start, world, NULL, world->cancellable, on_done,
                            world);
  return world->call != NULL;
}

static void
end_timed (World *world)
{
  guint64 in_flight;

  if (world->call != NULL)
    advance (world, TIMEOUT);
  run_until_over (world);
  in_flight = derate_breaker_get_in_flight (world->breaker);
  if (world->call != NULL && world->way->how == SUCCEED)
    derate_call_succeed (world->call, g_variant_new_boolean (TRUE));
  g_clear_pointer (&world->call, derate_call_unref);
  g_assert_cmpuint (derate_breaker_get_in_flight (world->breaker), ==, in_flight);
}

static const Way ways[] = {
  { "success", begin_permit, end_permit, SUCCEED, TRUE },
  { "failure", begin_permit, end_permit, FAIL, TRUE },
  { "neutral", begin_permit, end_permit, CANCEL },
  { "cancelled", begin_permit, end_permit, FAIL_CANCELLED },
  { "timeout", begin_permit, end_permit, FAIL_TIMED_OUT, TRUE },
  { "dropped", begin_permit, end_permit, DROP },
  { "never", begin_permit, end_permit, OUTLIVE_LEASE, TRUE },
  { "elsewhere", begin_permit, end_elsewhere, SUCCEED, TRUE },
  { "shared-success", begin_shared, end_shared, SUCCEED, TRUE },
  { "shared-failure", begin_shared, end_shared, FAIL, TRUE },
  { "shared-dropped", begin_shared, end_shared, DROP },
  { "thread-exit", begin_exit, end_thread, DROP },
  { "thread-exit-shared", begin_exit_shared, end_thread, DROP },
  { "call-success", begin_call, end_thread, SUCCEED, TRUE },
  { "call-failure", begin_call, end_thread, FAIL, TRUE },
  { "call-timeout", begin_call, end_thread, FAIL_TIMED_OUT, TRUE },
  { "call-says-nothing", begin_call, end_thread, SAY_NOTHING, TRUE },
  { "call-cancelled-before", begin_cancelled_call, end_thread, FAIL_CANCELLED },
  { "call-cancelled-during", begin_call, end_thread, FAIL_CANCELLED },
  { "async-success", begin_async, end_async, SUCCEED, TRUE },
  { "async-failure", begin_async, end_async, FAIL, TRUE },
  { "async-timeout", begin_async, end_async, FAIL_TIMED_OUT, TRUE },
  { "async-cancelled-before", begin_cancelled_async, end_async, FAIL_CANCELLED },
  { "async-cancelled-during", begin_async, end_async, FAIL_CANCELLED },
  { "async-dropped", begin_async, end_async, DROP },
  { "timed-answered-late", begin_timed, end_timed, SUCCEED, TRUE },
  { "timed-never-answered", begin_timed, end_timed, DROP, TRUE },
};

static void
go_to (World *world, Place place)
{
  DerateBreaker *breaker = world->breaker;

  if (place == STAY)
    return;
  if (place >= FORCED_OPEN)
    {
      derate_breaker_set_mode (breaker, place == FORCED_OPEN ? DERATE_BREAKER_MODE_FORCED_OPEN
                                        : place == DISABLED  ? DERATE_BREAKER_MODE_DISABLED
                                                             : DERATE_BREAKER_MODE_METRICS_ONLY);
      return;
    }
  derate_breaker_set_mode (breaker, DERATE_BREAKER_MODE_NORMAL);
  derate_breaker_close (breaker);
  if (place == CLOSED)
    return;
  derate_breaker_trip (breaker, NULL);
  if (place == OPEN)
    return;
  advance (world, G_TIME_SPAN_SECOND);
  derate_breaker_poll (breaker);
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, DERATE_BREAKER_STATE_HALF_OPEN);
}

static void
world_init (World *world, const Case *data)
{
  g_autofree char *words = g_strconcat (CONFIG, data->decision, NULL);
  g_autoptr (DerateBreakerConfig) config = breaker_config_from_words (words);

  *world = (World){ .way = data->way, .clock = derate_manual_clock_new () };
  world->breaker = derate_breaker_new_with_clock ("b", config, world->clock);
  world->cancellable = g_cancellable_new ();
  g_mutex_init (&world->mutex);
  g_cond_init (&world->cond);
}

static void
world_clear (World *world)
{
  g_clear_object (&world->pipeline);
  g_assert_cmpuint (G_OBJECT (world->breaker)->ref_count, ==, 1);
  g_clear_object (&world->breaker);
  g_clear_object (&world->cancellable);
  g_clear_object (&world->clock);
  g_mutex_clear (&world->mutex);
  g_cond_clear (&world->cond);
}

/* As many as there are, up to a few: they are all given back. */
static guint
count_permits (World *world)
{
  DeratePermit permits[MAX_CALLS + 3] = { DERATE_PERMIT_INIT };
  guint n = 0;

  while (n < G_N_ELEMENTS (permits) && derate_breaker_acquire (world->breaker, &permits[n], NULL))
    n++;
  for (guint i = 0; i < n; i++)
    derate_permit_clear (&permits[i]);
  return n;
}

/* It ends while the probe of another is out, perhaps in the place that was its own: that one stays
 * out, and no more than allowed are let through beside it. */
static void
end_beside_another (World *world)
{
  g_auto (DeratePermit) other = DERATE_PERMIT_INIT;

  g_assert_true (derate_breaker_acquire (world->breaker, &other, NULL));
  world->way->end (world);
  g_assert_cmpuint (derate_breaker_get_in_flight (world->breaker), ==, 1);
  g_assert_cmpuint (count_permits (world), ==, MAX_CALLS - 1);
}

/* What the next callers find, once an operator and the time let them. */
static void
expect_next (World *world, guint taken)
{
  DerateBreaker *breaker = world->breaker;

  if (derate_breaker_get_mode (breaker) == DERATE_BREAKER_MODE_FORCED_OPEN)
    derate_breaker_set_mode (breaker, DERATE_BREAKER_MODE_NORMAL);
  if (derate_breaker_get_state (breaker) == DERATE_BREAKER_STATE_OPEN)
    {
      advance (world, G_TIME_SPAN_SECOND);
      taken = 0;
    }
  for (guint i = 0; i < 3; i++)
    {
      guint n = count_permits (world);

      if (derate_breaker_get_state (breaker) == DERATE_BREAKER_STATE_HALF_OPEN)
        g_assert_cmpuint (n, ==, MAX_CALLS - taken);
      else
        g_assert_cmpuint (n, ==, MAX_CALLS + 3);
      g_assert_cmpuint (derate_breaker_get_in_flight (breaker), ==, 0);
    }
}

static void
run_case (const Case *data, Place ended)
{
  gboolean lets_through = data->given != OPEN && data->given != FORCED_OPEN &&
                          !g_str_has_suffix (data->way->name, "cancelled-before");
  gboolean is_uncounted = data->given == DISABLED || !lets_through;
  DerateBreakerState state;
  guint taken = 0;
  World world;

  world_init (&world, data);
  go_to (&world, data->given);
  g_assert_cmpint (data->way->begin (&world), ==, lets_through);
  g_assert_cmpuint (derate_breaker_get_in_flight (world.breaker), ==, is_uncounted ? 0 : 1);
  go_to (&world, ended);

  state = derate_breaker_get_state (world.breaker);
  if (ended == HALF_OPEN && data->way->how != OUTLIVE_LEASE) /* the other's would be over too */
    end_beside_another (&world);
  else
    data->way->end (&world);
  g_assert_cmpuint (derate_breaker_get_in_flight (world.breaker), ==, 0);
  if (ended != STAY || data->given != HALF_OPEN) /* else it may have been what was waited for */
    g_assert_cmpint (derate_breaker_get_state (world.breaker), ==, state);
  else if (lets_through && data->way->is_answer && g_str_equal (data->decision, "rate"))
    taken = 1;
  expect_next (&world, taken);
  world_clear (&world);
}

static void
test_ends (gconstpointer data)
{
  for (Place ended = STAY; ended < N_PLACES; ended++)
    {
      g_test_message ("ends in %s", places[ended]);
      run_case (data, ended);
    }
}

int
main (int argc, char **argv)
{
  static const char *const decisions[] = { "strict", "rate" };

  breaker_test_init (&argc, &argv);

  for (guint i = 0; i < G_N_ELEMENTS (ways); i++)
    for (Place given = CLOSED; given < N_PLACES; given++)
      for (guint k = 0; k < G_N_ELEMENTS (decisions); k++)
        {
          const Case data = { &ways[i], decisions[k], given };
          g_autofree char *path = g_strdup_printf ("/breaker/trap/01-ends/%s/%s/%s", ways[i].name,
                                                   places[given], decisions[k]);

          if (given == HALF_OPEN || k == 0)
            g_test_add_data_func_full (path, g_memdup2 (&data, sizeof data), test_ends, g_free);
        }
  return g_test_run ();
}
