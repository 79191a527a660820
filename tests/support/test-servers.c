/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test-servers.h"

#include <glib/gstdio.h>
#include <libsoup/soup.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

struct _TestServers
{
  char *scratch;
  GSubprocess *process;
  GOutputStream *commands;
  GDataInputStream *answers;
  GHashTable *uris;
};

struct _TestBackend
{
  GSubprocess *process;
  char *uri;
};

static char *
read_line (GDataInputStream *stream, const char *what)
{
  g_autoptr (GError) error = NULL;
  char *line = g_data_input_stream_read_line_utf8 (stream, NULL, NULL, &error);

  if (line == NULL)
    g_error ("%s ended: %s", what, error != NULL ? error->message : "see above");
  return line;
}

TestServers *
test_servers_new (const char *const *names)
{
  TestServers *self = g_new0 (TestServers, 1);
  g_autoptr (GPtrArray) arguments = g_ptr_array_new ();
  g_autoptr (GError) error = NULL;

  self->scratch = g_dir_make_tmp ("derate-test-XXXXXX", &error);
  g_assert_no_error (error);
  self->uris = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  for (const char *const *p =
           (const char *[]){ TEST_PYTHON, TEST_SERVERS, "serve", "--scratch", self->scratch, NULL };
       *p != NULL; p++)
    g_ptr_array_add (arguments, (gpointer)*p);
  for (; *names != NULL; names++)
    g_ptr_array_add (arguments, (gpointer)*names);
  g_ptr_array_add (arguments, NULL);
  self->process =
      g_subprocess_newv ((const char *const *)arguments->pdata,
                         G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE, &error);
  g_assert_no_error (error);
  self->commands = g_subprocess_get_stdin_pipe (self->process);
  self->answers = g_data_input_stream_new (g_subprocess_get_stdout_pipe (self->process));
  while (TRUE)
    {
      g_autofree char *line = read_line (self->answers, "servers.py");
      g_auto (GStrv) words = g_strsplit (line, " ", 3);

      if (g_str_equal (line, "ready"))
        return self;
      g_assert_cmpuint (g_strv_length (words), ==, 3);
      g_hash_table_insert (self->uris, g_strdup (words[0]), g_strdup (words[2]));
    }
}

void
test_servers_free (TestServers *self)
{
  g_output_stream_close (self->commands, NULL, NULL);
  g_subprocess_wait (self->process, NULL, NULL);
  g_rmdir (self->scratch);
  g_object_unref (self->answers);
  g_object_unref (self->process);
  g_hash_table_unref (self->uris);
  g_free (self->scratch);
  g_free (self);
}

const char *
test_servers_get_uri (TestServers *self, const char *name)
{
  const char *uri = g_hash_table_lookup (self->uris, name);

  g_assert_nonnull (uri);
  return uri;
}

char *
test_servers_dup_folder (TestServers *self, const char *name)
{
  return g_build_filename (self->scratch, name, NULL);
}

void
test_servers_command (TestServers *self, const char *verb, const char *name)
{
  g_autofree char *line = g_strdup_printf ("%s %s\n", verb, name);
  g_autofree char *wanted = g_strdup_printf ("ok %s", name);
  g_autofree char *answer = NULL;
  g_autoptr (GError) error = NULL;

  g_output_stream_write_all (self->commands, line, strlen (line), NULL, NULL, &error);
  g_assert_no_error (error);
  answer = read_line (self->answers, "servers.py");
  if (!g_str_has_prefix (answer, wanted))
    g_error ("%s %s: %s", verb, name, answer);
}

TestBackend *
test_backend_new (const char *name, const char *const *arguments)
{
  TestBackend *self = g_new0 (TestBackend, 1);
  g_autofree char *program = g_strdup_printf (TEST_BACKENDS "/%s-backend", name);
  g_autoptr (GPtrArray) argv = g_ptr_array_new ();
  g_autoptr (GDataInputStream) output = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *line = NULL;

  g_ptr_array_add (argv, (gpointer)TEST_PYTHON);
  g_ptr_array_add (argv, program);
  for (; arguments != NULL && *arguments != NULL; arguments++)
    g_ptr_array_add (argv, (gpointer)*arguments);
  g_ptr_array_add (argv, NULL);
  self->process =
      g_subprocess_newv ((const char *const *)argv->pdata, G_SUBPROCESS_FLAGS_STDOUT_PIPE, &error);
  g_assert_no_error (error);
  output = g_data_input_stream_new (g_subprocess_get_stdout_pipe (self->process));
  line = read_line (output, name);
  g_assert_true (g_str_has_prefix (line, "ready "));
  self->uri = g_strdup (line + strlen ("ready "));
  return self;
}

void
test_backend_stop (TestBackend *self)
{
  g_subprocess_force_exit (self->process);
  g_subprocess_wait (self->process, NULL, NULL);
}

void
test_backend_free (TestBackend *self)
{
  test_backend_stop (self);
  g_object_unref (self->process);
  g_free (self->uri);
  g_free (self);
}

const char *
test_backend_get_uri (TestBackend *self)
{
  return self->uri;
}

guint16
test_backend_get_port (TestBackend *self)
{
  return (guint16)g_ascii_strtoull (strrchr (self->uri, ':') + 1, NULL, 10);
}

static char *
control (TestBackend *self, const char *method, const char *fault)
{
  g_autoptr (SoupSession) session = soup_session_new ();
  g_autofree char *uri = g_strconcat (self->uri, "/control", NULL);
  g_autoptr (SoupMessage) message = soup_message_new (method, uri);
  g_autoptr (GBytes) answer = NULL;
  g_autoptr (GError) error = NULL;

  if (fault != NULL)
    {
      g_autoptr (GBytes) body = g_bytes_new (fault, strlen (fault));

      soup_message_set_request_body_from_bytes (message, "application/json", body);
    }
  answer = soup_session_send_and_read (session, message, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (soup_message_get_status (message), ==, 200);
  return g_strndup (g_bytes_get_data (answer, NULL), g_bytes_get_size (answer));
}

void
test_backend_control (TestBackend *self, const char *fault)
{
  g_autofree char *answer = control (self, "POST", fault);
}

char *
test_backend_dup_asked (TestBackend *self)
{
  return control (self, "GET", NULL);
}

/* The stop is over once the kernel says so. */
void
test_backend_freeze (TestBackend *self)
{
  pid_t pid = (pid_t)g_ascii_strtoll (g_subprocess_get_identifier (self->process), NULL, 10);
  siginfo_t info;

  g_subprocess_send_signal (self->process, SIGSTOP);
  g_assert_cmpint (waitid (P_PID, (id_t)pid, &info, WSTOPPED | WNOWAIT), ==, 0);
}

void
test_backend_thaw (TestBackend *self)
{
  g_subprocess_send_signal (self->process, SIGCONT);
}
