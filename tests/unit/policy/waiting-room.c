/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "waiting-room.h"

#include <string.h>

#define PATIENCE (20 * G_TIME_SPAN_SECOND)

typedef struct
{
  WaitingRoom *room;
  gint state; /* atomic */
  GCancellable *cancellable;
  DerateCall *call; /* asynchronous: running */
  GThread *thread; /* synchronous */
  gboolean may_end; /* guarded by the room's mutex */
} Caller;

struct _WaitingRoom
{
  DeratePolicy *policy;
  DerateClock *clock;
  gboolean async;
  gboolean end_at_once;
  GMutex mutex;
  GCond cond;
  Caller callers[N_CALLERS];
};

WaitingRoom *
waiting_room_new (DeratePolicy *policy, DerateClock *clock, gboolean async)
{
  WaitingRoom *room = g_new0 (WaitingRoom, 1);

  room->policy = g_object_ref (policy);
  room->clock = g_object_ref (clock);
  room->async = async;
  g_mutex_init (&room->mutex);
  g_cond_init (&room->cond);
  return room;
}

void
waiting_room_end_at_once (WaitingRoom *room)
{
  room->end_at_once = TRUE;
}

static void
note_end (Caller *caller, GVariant *answer, GError *error)
{
  gint state;

  g_assert_true ((answer == NULL) != (error == NULL));
  if (answer != NULL)
    state = 'S';
  else if (g_error_matches (error, DERATE_ERROR, DERATE_ERROR_QUEUE_FULL))
    state = 'Q';
  else if (g_error_matches (error, DERATE_ERROR, DERATE_ERROR_RATE_LIMITED))
    state = 'L';
  else
    {
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      state = 'C';
    }
  g_clear_pointer (&answer, g_variant_unref);
  g_clear_error (&error);
  g_atomic_int_set (&caller->state, state);
}

static void
start_operation (DerateCall *call, GCancellable *cancellable, gpointer data)
{
  Caller *caller = data;

  if (caller->room->end_at_once)
    {
      derate_call_succeed (call, g_variant_new_boolean (TRUE));
      derate_call_unref (call);
      return;
    }
  caller->call = call;
  g_atomic_int_set (&caller->state, 'r');
}

static void
on_done (GObject *source, GAsyncResult *result, gpointer data)
{
  GError *error = NULL;
  GVariant *answer = derate_policy_call_finish (DERATE_POLICY (source), result, NULL, &error);

  note_end (data, answer, error);
}

static GVariant *
operate (GCancellable *cancellable, gpointer data, GError **error)
{
  Caller *caller = data;
  WaitingRoom *room = caller->room;

  if (!room->end_at_once)
    {
      g_atomic_int_set (&caller->state, 'r');
      g_mutex_lock (&room->mutex);
      while (!caller->may_end)
        g_cond_wait (&room->cond, &room->mutex);
      g_mutex_unlock (&room->mutex);
    }
  return g_variant_new_boolean (TRUE);
}

static gpointer
call_in_thread (gpointer data)
{
  Caller *caller = data;
  GError *error = NULL;
  GVariant *answer = derate_policy_call (caller->room->policy, NULL, operate, caller,
                                         caller->cancellable, NULL, &error);

  note_end (caller, answer, error);
  return NULL;
}

static void
begin (WaitingRoom *room, Caller *caller)
{
  g_clear_pointer (&caller->thread, g_thread_join);
  g_clear_object (&caller->cancellable);
  *caller = (Caller){ .room = room, .state = 'w', .cancellable = g_cancellable_new () };
  if (room->async)
    derate_policy_call_async (room->policy, NULL, start_operation, caller, NULL,
                              caller->cancellable, on_done, caller);
  else
    caller->thread = g_thread_new ("caller", call_in_thread, caller);
}

static void
end (WaitingRoom *room, Caller *caller)
{
  if (room->async)
    {
      g_autoptr (DerateCall) call = g_steal_pointer (&caller->call);

      g_assert_nonnull (call);
      derate_call_succeed (call, g_variant_new_boolean (TRUE));
      return;
    }
  g_mutex_lock (&room->mutex);
  caller->may_end = TRUE;
  g_cond_broadcast (&room->cond);
  g_mutex_unlock (&room->mutex);
}

void
waiting_room_step (WaitingRoom *room, const char *step)
{
  Caller *caller;
  GTimeSpan span;

  if (step[0] == '+')
    {
      g_assert_true (derate_time_span_parse (step + 1, &span, NULL));
      derate_manual_clock_advance (DERATE_MANUAL_CLOCK (room->clock), span);
      return;
    }
  g_assert_true (g_ascii_islower (step[0]));
  caller = &room->callers[step[0] - 'a'];
  if (step[1] == '.')
    end (room, caller);
  else if (step[1] == '!')
    g_cancellable_cancel (caller->cancellable);
  else
    begin (room, caller);
}

static char *
describe (WaitingRoom *room)
{
  GString *states = g_string_new (NULL);

  for (guint i = 0; i < N_CALLERS; i++)
    if (g_atomic_int_get (&room->callers[i].state) != 0)
      g_string_append_c (states, (char)g_atomic_int_get (&room->callers[i].state));
  return g_string_free (states, FALSE);
}

/* Those who wait according to the policy itself: a thread that has just begun may not be there yet.
 */
static guint
count_waiting (WaitingRoom *room)
{
  return DERATE_IS_BULKHEAD (room->policy)
             ? derate_bulkhead_get_waiting (DERATE_BULKHEAD (room->policy))
             : derate_rate_limiter_get_waiting (DERATE_RATE_LIMITER (room->policy));
}

static gboolean
is_so (WaitingRoom *room, const char *states, guint waiting)
{
  g_autofree char *found = NULL;

  while (g_main_context_iteration (NULL, FALSE))
    ;
  found = describe (room);
  return strcmp (found, states) == 0 && count_waiting (room) == waiting;
}

void
waiting_room_expect (WaitingRoom *room, const char *states)
{
  gint64 patience = g_get_monotonic_time () + PATIENCE;
  g_autofree char *found = NULL;
  guint waiting = 0;

  for (const char *state = states; *state != '\0'; state++)
    waiting += *state == 'w';
  /* What threads do takes a while. */
  while (!is_so (room, states, waiting) && !room->async && g_get_monotonic_time () < patience)
    g_thread_yield ();
  found = describe (room);
  g_assert_cmpstr (found, ==, states);
  g_assert_cmpuint (count_waiting (room), ==, waiting);
}

void
waiting_room_play (WaitingRoom *room, const char *script)
{
  g_auto (GStrv) words = g_strsplit (script, " ", -1);

  for (guint i = 0; words[i] != NULL; i++)
    {
      char *colon = strchr (words[i], ':');

      g_assert_nonnull (colon);
      *colon = '\0';
      g_test_message ("%s:%s", words[i], colon + 1);
      waiting_room_step (room, words[i]);
      waiting_room_expect (room, colon + 1);
    }
}

/* Ends what still runs. */
void
waiting_room_free (WaitingRoom *room)
{
  for (guint i = 0; i < N_CALLERS; i++)
    {
      Caller *caller = &room->callers[i];

      if (caller->cancellable != NULL)
        g_cancellable_cancel (caller->cancellable);
      while (g_atomic_int_get (&caller->state) == 'w')
        g_main_context_iteration (NULL, FALSE);
      if (room->async ? caller->call != NULL : g_atomic_int_get (&caller->state) == 'r')
        end (room, caller);
      while (g_main_context_iteration (NULL, FALSE))
        ;
    }
  for (guint i = 0; i < N_CALLERS; i++)
    {
      g_clear_pointer (&room->callers[i].thread, g_thread_join);
      g_clear_object (&room->callers[i].cancellable);
    }
  g_mutex_clear (&room->mutex);
  g_cond_clear (&room->cond);
  g_object_unref (room->clock);
  g_object_unref (room->policy);
  g_free (room);
}

guint
waiting_room_count (const char *states, char state)
{
  guint n = 0;

  for (; *states != '\0'; states++)
    n += *states == state;
  return n;
}
