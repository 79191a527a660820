/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "leap-world.h"

#include <string.h>

#define START G_TIME_SPAN_SECOND

G_DECLARE_FINAL_TYPE (LeapClock, leap_clock, LEAP, CLOCK, DerateClock)

struct _LeapClock
{
  DerateClock parent_instance;
  gint64 now;
  GCancellable *cancel_next; /* (nullable) borrowed */
};

G_DEFINE_FINAL_TYPE (LeapClock, leap_clock, DERATE_TYPE_CLOCK)

typedef struct
{
  GSource source;
  LeapClock *clock;
  gint64 deadline;
} LeapSource;

static gboolean
leap_source_prepare (GSource *base, gint *timeout)
{
  *timeout = -1;
  return ((LeapSource *)base)->deadline != DERATE_CLOCK_NEVER;
}

static gboolean
leap_source_check (GSource *base)
{
  return ((LeapSource *)base)->deadline != DERATE_CLOCK_NEVER;
}

static gboolean
leap_source_dispatch (GSource *base, GSourceFunc callback, gpointer user_data)
{
  LeapSource *source = (LeapSource *)base;

  source->clock->now = MAX (source->clock->now, source->deadline);
  source->deadline = DERATE_CLOCK_NEVER;
  return callback (user_data);
}

static void
leap_source_finalize (GSource *base)
{
  g_object_unref (((LeapSource *)base)->clock);
}

static GSourceFuncs leap_source_funcs = {
  .prepare = leap_source_prepare,
  .check = leap_source_check,
  .dispatch = leap_source_dispatch,
  .finalize = leap_source_finalize,
};

static gint64
leap_clock_get_time (DerateClock *clock)
{
  return LEAP_CLOCK (clock)->now;
}

static GSource *
leap_clock_create_source (DerateClock *clock, gint64 deadline)
{
  LeapSource *source = (LeapSource *)g_source_new (&leap_source_funcs, sizeof (LeapSource));

  source->clock = g_object_ref (LEAP_CLOCK (clock));
  source->deadline = deadline;
  if (source->clock->cancel_next != NULL)
    g_cancellable_cancel (g_steal_pointer (&source->clock->cancel_next));
  return (GSource *)source;
}

static void
leap_clock_set_deadline (DerateClock *clock, GSource *source, gint64 deadline)
{
  ((LeapSource *)source)->deadline = deadline;
}

static void
leap_clock_class_init (LeapClockClass *klass)
{
  DerateClockClass *clock_class = DERATE_CLOCK_CLASS (klass);

  clock_class->get_time = leap_clock_get_time;
  clock_class->get_real_time = leap_clock_get_time;
  clock_class->create_source = leap_clock_create_source;
  clock_class->set_deadline = leap_clock_set_deadline;
}

static void
leap_clock_init (LeapClock *clock)
{
  clock->now = START;
}

DerateClock *
leap_clock_new (void)
{
  return g_object_new (leap_clock_get_type (), NULL);
}

void
leap_clock_advance (DerateClock *clock, GTimeSpan span)
{
  LEAP_CLOCK (clock)->now += span;
}

void
leap_clock_cancel_next (DerateClock *clock, GCancellable *cancellable)
{
  LEAP_CLOCK (clock)->cancel_next = cancellable;
}

gint64
leap_clock_get_leapt (DerateClock *clock)
{
  return LEAP_CLOCK (clock)->now - START;
}

G_DEFINE_QUARK (leap - sql - quark, leap_sql)

static const struct
{
  char letter;
  int code;
} refusals[] = {
  { 'O', DERATE_ERROR_OPEN },        { 'H', DERATE_ERROR_HALF_OPEN_FULL },
  { 'X', DERATE_ERROR_FORCED },      { 'D', DERATE_ERROR_DRILL },
  { 'Q', DERATE_ERROR_QUEUE_FULL },  { 'L', DERATE_ERROR_RATE_LIMITED },
  { 'U', DERATE_ERROR_UNAVAILABLE }, { 'T', DERATE_ERROR_TIMED_OUT },
};

/* The text of an error is its letter, so that it is known again. */
static GError *
make_error (char letter)
{
  const char text[] = { letter, '\0' };

  for (guint i = 0; i < G_N_ELEMENTS (refusals); i++)
    if (refusals[i].letter == letter)
      return g_error_new_literal (DERATE_ERROR, refusals[i].code, text);
  switch (letter)
    {
    case 'R':
      return g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED, text);
    case 'C':
      return g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED, text);
    case '4':
      return g_error_new_literal (leap_sql_quark (), 40001, text);
    case 'A':
      return g_error_new_literal (leap_sql_quark (), 2, text);
    case 'Z':
      return g_error_new_literal (leap_sql_quark (), 31, text);
    default:
      g_assert_cmpint (letter, ==, 'F');
      return g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, text);
    }
}

GTimeSpan
leap_read_after (const GError *error, gpointer user_data)
{
  if (error->domain != leap_sql_quark () || error->code > 1000)
    return -1;
  return error->code * G_TIME_SPAN_SECOND;
}

void
leap_script_init (LeapScript *script, DerateClock *clock, const char *letters)
{
  *script = (LeapScript){ .clock = g_object_ref (clock), .letters = letters };
}

void
leap_script_clear (LeapScript *script)
{
  g_clear_object (&script->clock);
  g_clear_pointer (&script->answer, g_variant_unref);
  g_clear_error (&script->error);
}

GVariant *
leap_script_run (GCancellable *cancellable, gpointer user_data, GError **error)
{
  LeapScript *script = user_data;
  char letter = script->letters[MIN (script->made, strlen (script->letters) - 1)];

  if (script->made < G_N_ELEMENTS (script->at))
    script->at[script->made] = leap_clock_get_leapt (script->clock);
  script->made++;
  if (script->cancel_at != NULL && script->made == script->cancel_on)
    g_cancellable_cancel (script->cancel_at);
  if (letter == 'S' || letter == '0')
    return g_variant_new_uint32 (letter == 'S' ? script->made : 0);
  g_propagate_error (error, make_error (letter));
  return NULL;
}

static void
start (DerateCall *call, GCancellable *cancellable, gpointer user_data)
{
  g_autoptr (GError) error = NULL;
  GVariant *answer = leap_script_run (cancellable, user_data, &error);

  if (answer != NULL)
    derate_call_succeed (call, answer);
  else
    derate_call_fail (call, error);
  derate_call_unref (call);
}

static void
on_done (GObject *source, GAsyncResult *result, gpointer user_data)
{
  LeapScript *script = user_data;

  script->answer = derate_policy_call_finish (DERATE_POLICY (source), result, NULL, &script->error);
  script->done = TRUE;
  script->ends++;
}

void
leap_script_call (LeapScript *script,
                  gpointer policy,
                  gboolean async,
                  DerateRequest *request,
                  GCancellable *cancellable)
{
  g_clear_pointer (&script->answer, g_variant_unref);
  g_clear_error (&script->error);
  script->done = FALSE;
  if (!async)
    {
      script->answer = derate_policy_call (policy, request, leap_script_run, script, cancellable,
                                           NULL, &script->error);
      return;
    }
  derate_policy_call_async (policy, request, start, script, NULL, cancellable, on_done, script);
  while (!script->done)
    g_main_context_iteration (NULL, TRUE);
}

void
leap_script_assert_end (LeapScript *script, const char *end)
{
  g_autofree char *found = NULL;

  if (script->answer != NULL)
    found = g_strdup_printf ("%u", g_variant_get_uint32 (script->answer));
  else if (g_error_matches (script->error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    found = g_strdup ("C");
  else
    found = g_strdup (script->error->message + strlen (script->error->message) - 1);
  g_assert_cmpstr (found, ==, end);
}
