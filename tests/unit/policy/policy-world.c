/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy-world.h"

#include <string.h>

void
policy_test_init (int *argc, char ***argv)
{
  g_setenv ("ENABLE_RESILIENCE_LOGGING", "false", TRUE);
  g_test_init (argc, argv, NULL);
}

static void
drop_pending (gpointer call)
{
  g_clear_pointer ((DerateCall **)&call, derate_call_unref);
}

static void
drop_cancellable (gpointer cancellable)
{
  g_clear_object (&cancellable);
}

PolicyWorld *
policy_world_new (const char *script)
{
  PolicyWorld *world = g_new0 (PolicyWorld, 1);

  world->clock = derate_manual_clock_new ();
  world->script = g_strsplit (script, " ", -1);
  world->pending = g_ptr_array_new_with_free_func (drop_pending);
  world->cancellables = g_ptr_array_new_with_free_func (drop_cancellable);
  return world;
}

static void
forget_end (PolicyWorld *world)
{
  world->done = FALSE;
  g_clear_pointer (&world->answer, g_variant_unref);
  g_clear_pointer (&world->fallback, derate_fallback_result_unref);
  g_clear_error (&world->error);
}

void
policy_world_free (PolicyWorld *world)
{
  g_clear_pointer (&world->thread, g_thread_join);
  g_ptr_array_unref (world->pending);
  policy_world_run (world);
  g_ptr_array_unref (world->cancellables);
  forget_end (world);
  g_strfreev (world->script);
  g_object_unref (world->clock);
  g_free (world);
}

void
policy_world_set_script (PolicyWorld *world, const char *script)
{
  g_strfreev (world->script);
  world->script = g_strsplit (script, " ", -1);
  world->made = 0;
  world->live = 0;
  g_ptr_array_set_size (world->pending, 0);
  g_ptr_array_set_size (world->cancellables, 0);
}

void
policy_world_advance (PolicyWorld *world, GTimeSpan span)
{
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (world->clock), span);
}

static GError *
make_error (const char *word)
{
  switch (word[0])
    {
    case 'F':
      return g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED, "refused");
    case 'N':
      return g_error_new_literal (G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "not found");
    case 'T':
      return g_error_new_literal (G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "timed out");
    default:
      return g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED, "cancelled");
    }
}

/* The word for this time, when the time in front of it has passed. */
static const char *
next_word (PolicyWorld *world)
{
  const char *word = world->script[MIN (world->made, g_strv_length (world->script) - 1)];
  const char *colon = strchr (word, ':');
  g_autofree char *span = NULL;
  GTimeSpan takes;

  world->made++;
  if (word[0] != '+')
    return word;
  g_assert_nonnull (colon);
  span = g_strndup (word + 1, (gsize)(colon - word - 1));
  g_assert_true (derate_time_span_parse (span, &takes, NULL));
  policy_world_advance (world, takes);
  return colon + 1;
}

GVariant *
policy_world_operate (GCancellable *cancellable, gpointer user_data, GError **error)
{
  PolicyWorld *world = user_data;
  const char *word = next_word (world);

  g_ptr_array_add (world->cancellables, cancellable != NULL ? g_object_ref (cancellable) : NULL);
  if (strcmp (word, "S") == 0)
    return g_variant_new_uint32 (world->made);
  if (strcmp (word, "none") == 0)
    return NULL;
  if (strcmp (word, "cancel") == 0 && cancellable != NULL)
    g_cancellable_cancel (cancellable);
  g_propagate_error (error, make_error (word));
  return NULL;
}

void
policy_world_end (PolicyWorld *world, guint i, const char *word)
{
  g_autoptr (DerateCall) call = g_steal_pointer (&g_ptr_array_index (world->pending, i));
  g_autoptr (GError) error = NULL;

  g_assert_nonnull (call);
  world->live--;
  if (strcmp (word, "S") == 0)
    derate_call_succeed (call, g_variant_new_uint32 (i + 1));
  else if (strcmp (word, "drop") != 0)
    {
      error = make_error (word);
      derate_call_fail (call, error);
    }
}

typedef struct
{
  DerateCall *call;
  guint number;
} Errand;

static gpointer
answer_elsewhere (gpointer data)
{
  g_autofree Errand *errand = data;

  derate_call_succeed (errand->call, g_variant_new_uint32 (errand->number));
  derate_call_unref (errand->call);
  return NULL;
}

static void
send_elsewhere (PolicyWorld *world, guint i)
{
  Errand *errand = g_new (Errand, 1);

  errand->call = g_steal_pointer (&g_ptr_array_index (world->pending, i));
  errand->number = i + 1;
  world->live--;
  g_clear_pointer (&world->thread, g_thread_join);
  world->thread = g_thread_new ("operation", answer_elsewhere, errand);
}

typedef struct
{
  PolicyWorld *world;
  guint i;
} Watch;

static void
on_cancelled (GCancellable *cancellable, gpointer data)
{
  Watch *watch = data;

  if (g_ptr_array_index (watch->world->pending, watch->i) != NULL)
    policy_world_end (watch->world, watch->i, "cancelled");
}

static void
watch_cancellable (PolicyWorld *world, GCancellable *cancellable, guint i)
{
  Watch *watch = g_new (Watch, 1);

  watch->world = world;
  watch->i = i;
  g_signal_connect_data (cancellable, "cancelled", G_CALLBACK (on_cancelled), watch,
                         (GClosureNotify)(GCallback)g_free, 0);
}

void
policy_world_start (DerateCall *call, GCancellable *cancellable, gpointer user_data)
{
  PolicyWorld *world = user_data;
  const char *word = next_word (world);
  guint i = world->pending->len;

  g_ptr_array_add (world->pending, call);
  g_ptr_array_add (world->cancellables, cancellable != NULL ? g_object_ref (cancellable) : NULL);
  world->live++;
  if (strcmp (word, "hold") == 0)
    return;
  if (strcmp (word, "cancel") == 0)
    watch_cancellable (world, cancellable, i);
  else if (strcmp (word, "thread") == 0)
    send_elsewhere (world, i);
  else
    policy_world_end (world, i, word);
}

void
policy_world_call (PolicyWorld *world,
                   gpointer policy,
                   DerateRequest *request,
                   GCancellable *cancellable)
{
  forget_end (world);
  world->answer = derate_policy_call (policy, request, policy_world_operate, world, cancellable,
                                      &world->fallback, &world->error);
  world->done = TRUE;
}

static void
on_done (GObject *source, GAsyncResult *result, gpointer data)
{
  PolicyWorld *world = data;

  g_assert_false (world->done);
  world->answer =
      derate_policy_call_finish (DERATE_POLICY (source), result, &world->fallback, &world->error);
  world->done = TRUE;
}

static void
note_freed (gpointer data)
{
  PolicyWorld *world = data;

  g_assert_false (world->freed);
  world->freed = TRUE;
}

void
policy_world_call_async (PolicyWorld *world,
                         gpointer policy,
                         DerateRequest *request,
                         GCancellable *cancellable)
{
  forget_end (world);
  world->freed = FALSE;
  derate_policy_call_async (policy, request, policy_world_start, world, note_freed, cancellable,
                            on_done, world);
}

void
policy_world_run (PolicyWorld *world)
{
  g_clear_pointer (&world->thread, g_thread_join);
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

void
policy_world_finish (PolicyWorld *world)
{
  while (!world->done)
    g_main_context_iteration (NULL, TRUE);
}

char *
policy_world_describe (PolicyWorld *world)
{
  g_autoptr (GEnumClass) codes = NULL;

  if (!world->done)
    return g_strdup ("…");
  g_assert_true ((world->answer == NULL) != (world->error == NULL));
  if (world->answer != NULL)
    return g_strdup_printf ("%s%u", world->fallback != NULL ? "fallback:" : "",
                            g_variant_get_uint32 (world->answer));
  g_assert_null (world->fallback);
  if (g_error_matches (world->error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return g_strdup ("cancelled");
  if (world->error->domain != DERATE_ERROR)
    return g_strdup_printf ("io:%d", world->error->code);
  codes = g_type_class_ref (DERATE_TYPE_ERROR);
  return g_strdup_printf ("derate:%s", g_enum_get_value (codes, world->error->code)->value_nick);
}

void
policy_world_assert_end (PolicyWorld *world, const char *end)
{
  g_autofree char *found = policy_world_describe (world);

  g_assert_cmpstr (found, ==, end);
}

GCancellable *
policy_world_get_cancellable (PolicyWorld *world, guint i)
{
  return g_ptr_array_index (world->cancellables, i);
}
