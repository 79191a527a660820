/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "deratectl-watch.h"

#include <glib-unix.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "deratectl-draw.h"
#include "deratectl-follow.h"
#include "deratectl-terminal.h"

/* On a terminal: a screen that is drawn at each change, and once a second for the ages. Anywhere
 * else: a block, or a line of JSON, at each change. Either way what is shown is what the program
 * dumps; its signals only say when to ask. */

#define ANSWER_TIMEOUT_MS 5000
/* A program that flaps is asked no more often, and one that did not answer again after a while. */
#define PAUSE_MS 100
#define RETRY_MS 1000

typedef struct
{
  DeratectlProgram *program;
  GMainLoop *loop;
  gboolean as_json;
  gboolean live;
  JsonParser *status; /* what it answered last, or NULL */
  char *json;
  char *told; /* what was shown last, without what only time changes */
  char *trouble; /* why it did not answer */
  double silent_since; /* 0: it is there */
  gboolean gone;
  GCancellable *incarnation; /* of the program: cancelled when it is gone */
  gboolean asking;
  gboolean ask_again;
  gint64 asked;
  guint pause;
} Watch;

static JsonObject *
get_status (Watch *watch)
{
  return watch->status != NULL ? json_node_get_object (json_parser_get_root (watch->status)) : NULL;
}

/* Ages and remaining times are not news. */
static void
drop_times (JsonNode *node)
{
  g_autoptr (GList) members = NULL;
  g_autoptr (GList) elements = NULL;

  if (JSON_NODE_HOLDS_OBJECT (node))
    members = json_object_get_members (json_node_get_object (node));
  for (GList *l = members; l != NULL; l = l->next)
    {
      JsonNode *member = json_object_get_member (json_node_get_object (node), l->data);

      if (g_str_has_suffix (l->data, "_seconds"))
        json_object_remove_member (json_node_get_object (node), l->data);
      else
        drop_times (member);
    }
  if (JSON_NODE_HOLDS_ARRAY (node))
    elements = json_array_get_elements (json_node_get_array (node));
  for (GList *l = elements; l != NULL; l = l->next)
    drop_times (l->data);
}

static char *
dup_news (Watch *watch)
{
  g_autoptr (JsonNode) news = NULL;

  if (watch->silent_since > 0)
    return g_strdup (watch->gone ? "gone" : "silent");
  news = json_from_string (watch->json, NULL);
  drop_times (news);
  return json_to_string (news, FALSE);
}

static void
draw_silence (Watch *watch, GString *page, guint width)
{
  g_autoptr (DeratectlTable) title = deratectl_table_new ("");
  g_autoptr (DeratectlTable) head = deratectl_table_new ("  ");
  g_autofree char *instant = deratectl_format_instant (watch->silent_since);
  g_autofree char *age = deratectl_format_since (watch->silent_since);
  g_autofree char *since = g_strdup_printf ("since %s, %s ago", instant, age);
  const char *level = deratectl_json_string (get_status (watch), "level");

  deratectl_table_add (title, DERATECTL_COLOUR_BAD, watch->gone ? "GONE" : "NO ANSWER");
  deratectl_table_add (title, DERATECTL_COLOUR_NONE, since);
  deratectl_table_add (title, DERATECTL_COLOUR_NONE, watch->program->name);
  deratectl_table_end_row (title);
  deratectl_table_append (title, page, width, 0);

  deratectl_table_add (head, DERATECTL_COLOUR_DIM, *level != '\0' ? "level" : "");
  deratectl_table_add (head, DERATECTL_COLOUR_NONE, level);
  deratectl_table_add (head, DERATECTL_COLOUR_DIM, *level != '\0' ? "before that" : "");
  deratectl_table_end_row (head);
  deratectl_table_append (head, page, width, 0);
  if (watch->trouble != NULL)
    g_string_append_printf (page, "  %s\n", watch->trouble);
}

static void
draw_screen (Watch *watch)
{
  g_autoptr (GString) page = g_string_new (NULL);
  g_autofree char *now = deratectl_format_instant (deratectl_get_now ());
  guint width = 80;
  guint height = 24;

  deratectl_terminal_get_size (&width, &height);
  if (watch->silent_since > 0)
    draw_silence (watch, page, width);
  else if (watch->status != NULL)
    deratectl_draw_status (page, get_status (watch), now, width, height);
  deratectl_terminal_enter (); /* not before INT and TERM are caught */
  deratectl_terminal_draw (page->str);
}

static void
print_block (Watch *watch)
{
  g_autoptr (GString) page = g_string_new (NULL);
  g_autofree char *now = deratectl_format_instant (deratectl_get_now ());
  guint width = 0;

  deratectl_terminal_get_size (&width, NULL);
  if (watch->silent_since > 0)
    draw_silence (watch, page, width);
  else
    deratectl_draw_status (page, get_status (watch), now, width, 0);
  g_print ("%s\n", page->str);
}

static void
print_json (Watch *watch)
{
  g_autoptr (GVariant) gone = NULL;
  g_autofree char *line = NULL;

  if (watch->silent_since > 0)
    {
      gone = g_variant_ref_sink (g_variant_new_parsed ("{'name': <%s>, 'level': <@ms nothing>, "
                                                       "%s: <%d>}",
                                                       watch->program->name,
                                                       watch->gone ? "gone_since" : "silent_since",
                                                       watch->silent_since));
      line = derate_json_from_variant (gone);
    }
  puts (line != NULL ? line : watch->json);
  fflush (stdout);
}

static void
show (Watch *watch)
{
  g_autofree char *news = NULL;

  if (watch->live)
    {
      draw_screen (watch);
      return;
    }
  if (watch->silent_since == 0 && watch->status == NULL)
    return;
  news = dup_news (watch);
  if (g_strcmp0 (news, watch->told) == 0)
    return;
  g_free (watch->told);
  watch->told = g_steal_pointer (&news);
  if (watch->as_json)
    print_json (watch);
  else
    print_block (watch);
}

static void ask (Watch *watch);

static gboolean
on_pause_over (gpointer data)
{
  Watch *watch = data;

  watch->pause = 0;
  ask (watch);
  return G_SOURCE_REMOVE;
}

static void
take_answer (Watch *watch, GVariant *reply)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *json = NULL;
  JsonParser *status = NULL;

  g_variant_get (reply, "(s)", &json);
  status = deratectl_json_parse (json, &error);
  if (status == NULL)
    return;
  g_clear_object (&watch->status);
  watch->status = status;
  g_free (watch->json);
  watch->json = g_steal_pointer (&json);
  g_clear_pointer (&watch->trouble, g_free);
  watch->silent_since = 0;
}

static void
on_answer (GObject *source, GAsyncResult *result, gpointer data)
{
  Watch *watch = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) reply =
      g_dbus_connection_call_finish (G_DBUS_CONNECTION (source), result, &error);

  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;
  watch->asking = FALSE;
  if (reply != NULL)
    take_answer (watch, reply);
  else
    {
      g_dbus_error_strip_remote_error (error);
      g_free (watch->trouble);
      watch->trouble = deratectl_clean (error->message);
      if (watch->silent_since == 0)
        watch->silent_since = deratectl_get_now ();
    }
  show (watch);
  if (reply == NULL && watch->pause == 0)
    watch->pause = g_timeout_add (RETRY_MS, on_pause_over, watch);
  else if (watch->ask_again)
    ask (watch);
}

/* At once, but one question at a time. */
static void
ask (Watch *watch)
{
  gint64 now = g_get_monotonic_time ();
  gint64 wait = watch->asked + PAUSE_MS * G_TIME_SPAN_MILLISECOND - now;

  watch->ask_again = watch->asking;
  if (watch->asking || watch->gone || watch->pause > 0)
    return;
  if (watch->asked > 0 && wait > 0)
    {
      watch->pause =
          g_timeout_add ((guint)(wait / G_TIME_SPAN_MILLISECOND) + 1, on_pause_over, watch);
      return;
    }
  watch->asking = TRUE;
  watch->asked = now;
  g_dbus_connection_call (watch->program->bus, watch->program->bus_name, DERATECTL_PATH,
                          DERATECTL_MANAGER, "Dump", g_variant_new ("(s)", "status"),
                          G_VARIANT_TYPE ("(s)"), G_DBUS_CALL_FLAGS_NO_AUTO_START,
                          ANSWER_TIMEOUT_MS, watch->incarnation, on_answer, watch);
}

static void
forget_incarnation (Watch *watch)
{
  if (watch->incarnation != NULL)
    g_cancellable_cancel (watch->incarnation);
  g_clear_object (&watch->incarnation);
  watch->asking = FALSE;
  watch->ask_again = FALSE;
}

static void
on_came (gpointer data)
{
  Watch *watch = data;

  forget_incarnation (watch);
  watch->incarnation = g_cancellable_new ();
  watch->gone = FALSE;
  ask (watch);
}

static void
on_gone (gpointer data)
{
  Watch *watch = data;

  forget_incarnation (watch);
  watch->gone = TRUE;
  watch->silent_since = deratectl_get_now ();
  g_clear_pointer (&watch->trouble, g_free);
  show (watch);
}

static void
on_heard (const char *path,
          const char *interface,
          const char *signal,
          GVariant *parameters,
          gpointer data)
{
  ask (data);
}

static gboolean
on_second (gpointer data)
{
  Watch *watch = data;

  if (watch->silent_since > 0)
    show (watch);
  ask (watch);
  return G_SOURCE_CONTINUE;
}

static gboolean
on_resized (gpointer data)
{
  show (data);
  return G_SOURCE_CONTINUE;
}

static gboolean
on_key (int fd, GIOCondition condition, gpointer data)
{
  Watch *watch = data;
  char key = 0;

  if (read (fd, &key, 1) <= 0)
    return G_SOURCE_REMOVE;
  if (key == 'q' || key == 'Q')
    g_main_loop_quit (watch->loop);
  return G_SOURCE_CONTINUE;
}

static gboolean
watch_live (Watch *watch, const DeratectlFollower *follower, GError **error)
{
  guint second = g_timeout_add_seconds (1, on_second, watch);
  guint resize = g_unix_signal_add (SIGWINCH, on_resized, watch);
  gboolean done;

  if (isatty (STDIN_FILENO))
    g_unix_fd_add (STDIN_FILENO, G_IO_IN, on_key, watch);
  done = deratectl_follow (watch->program, watch->loop, follower, watch, error);
  deratectl_terminal_leave ();
  g_source_remove (second);
  g_source_remove (resize);
  return done;
}

int
deratectl_watch (DeratectlProgram *program, gboolean as_json)
{
  static const DeratectlFollower follower = { on_came, on_gone, on_heard };
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (GError) error = NULL;
  Watch watch = { .program = program, .loop = loop, .as_json = as_json };
  gboolean done;

  watch.live = !as_json && deratectl_terminal_is_live ();
  done = watch.live ? watch_live (&watch, &follower, &error)
                    : deratectl_follow (program, loop, &follower, &watch, &error);
  forget_incarnation (&watch);
  g_clear_object (&watch.status);
  g_free (watch.json);
  g_free (watch.told);
  g_free (watch.trouble);
  return done ? DERATECTL_DONE : deratectl_fail (error);
}
