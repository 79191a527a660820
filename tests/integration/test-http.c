/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Against servers of other makers: Apache, Python's http.server, and OpenSSL's for TLS. Our own
 * backend does what those cannot be made to do. */
#include "test-backend-cases.h"

#include <glib/gstdio.h>
#include <string.h>

#define NAME "http"
#define SECRET "planted-secret"
#define KEY "derate-example-key"
#define HUGE (64 << 20)
#define HEALTHY DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE
#define DOWN(cause_) DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_##cause_
#define THROTTLED DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_THROTTLED

static TestServers *servers;
static TestBackend *backend;
static char *folder; /* for files of the tests */

/* A program that says where it listens in a line with @mark in it, before the port. */
typedef struct
{
  GSubprocess *process;
  GDataInputStream *output;
  guint port;
} Program;

static Program *
program_new (const char *mark, const char *const *argv)
{
  Program *program = g_new0 (Program, 1);
  g_autoptr (GSubprocessLauncher) launcher =
      g_subprocess_launcher_new (G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDIN_PIPE |
                                 G_SUBPROCESS_FLAGS_STDERR_SILENCE);
  g_autoptr (GError) error = NULL;

  g_subprocess_launcher_set_cwd (launcher, folder);
  program->process = g_subprocess_launcher_spawnv (launcher, argv, &error);
  g_assert_no_error (error);
  program->output = g_data_input_stream_new (g_subprocess_get_stdout_pipe (program->process));
  while (program->port == 0)
    {
      g_autofree char *line = g_data_input_stream_read_line (program->output, NULL, NULL, &error);
      const char *found;

      g_assert_no_error (error);
      g_assert_nonnull (line);
      found = strstr (line, mark);
      if (found != NULL)
        program->port = (guint)g_ascii_strtoull (found + strlen (mark), NULL, 10);
    }
  return program;
}

static void
program_free (Program *program)
{
  g_subprocess_force_exit (program->process);
  g_subprocess_wait (program->process, NULL, NULL);
  g_object_unref (program->output);
  g_object_unref (program->process);
  g_free (program);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Program, program_free)

static Program *
python_new (void)
{
  return program_new ("127.0.0.1 port ",
                      (const char *const[]){ "/usr/bin/python3", "-u", "-m", "http.server", "0",
                                             "--bind", "127.0.0.1", NULL });
}

static char *
path_of (const char *name)
{
  return g_build_filename (folder, name, NULL);
}

static void
write_file (const char *name, const char *text)
{
  g_autofree char *path = path_of (name);
  g_autoptr (GError) error = NULL;

  g_file_set_contents (path, text, -1, &error);
  g_assert_no_error (error);
}

/* The page of Apache, or another below the same root. */
static char *
apache_uri (const char *user, const char *path)
{
  const char *uri = test_servers_get_uri (servers, "apache");
  const char *host = uri + strlen ("http://");

  return g_strdup_printf ("http://%s%.*s%s", user, (int)strcspn (host, "/"), host, path);
}

static DerateHealthCheck *
new_check (const char *uri, const char *key, const char *value)
{
  return test_check_new (NAME, "uri", uri, key, value, NULL);
}

static void
test_apache (void)
{
  g_autofree char *uri = apache_uri ("", "/health");
  g_autofree char *wrong_uri = apache_uri ("", "/nowhere");
  g_autoptr (DerateHealthCheck) get = new_check (uri, NULL, NULL);
  g_autoptr (DerateHealthCheck) head = new_check (uri, "check-method", "HEAD");
  g_autoptr (DerateHealthCheck) body = new_check (uri, "check-body", "all is well");
  g_autoptr (DerateHealthCheck) regex = new_check (uri, "check-body-regex", "^status: .*well$");
  g_autoptr (DerateHealthCheck) other = new_check (uri, "check-body", "nothing");
  g_autoptr (DerateHealthCheck) wrong = new_check (wrong_uri, NULL, NULL);
  g_autoptr (DerateHealthCheck) asked = new_check (wrong_uri, "check-status", "404");
  g_autofree char *message = NULL;

  for (guint i = 0; i < 3; i++)
    {
      g_free (test_check_expect (get, HEALTHY));
      g_free (test_check_expect (head, HEALTHY));
      g_free (test_check_expect (body, HEALTHY));
      g_free (test_check_expect (regex, HEALTHY));
    }
  g_free (test_check_expect (other, DOWN (PROTOCOL)));
  message = test_check_expect (wrong, DOWN (CONFIG));
  g_assert_cmpstr (message, ==, "status 404, not one of 200-399");
  g_free (test_check_expect (asked, HEALTHY));
}

static void
test_password (void)
{
  g_autofree char *bare = apache_uri ("", "/private/health");
  g_autofree char *good_uri = apache_uri ("probe:derate-example-password@", "/private/health");
  g_autofree char *wrong_uri = apache_uri ("probe:" SECRET "@", "/private/health");
  g_autofree char *user_uri = apache_uri ("probe@", "/private/health");
  g_autofree char *file = path_of ("password");
  g_autoptr (DerateHealthCheck) without = new_check (bare, NULL, NULL);
  g_autoptr (DerateHealthCheck) good = new_check (good_uri, NULL, NULL);
  g_autoptr (DerateHealthCheck) wrong = new_check (wrong_uri, NULL, NULL);
  g_autoptr (DerateHealthCheck) of_file = NULL;
  g_autofree char *message = NULL;

  write_file ("password", "derate-example-password\n");
  of_file = new_check (user_uri, "password-file", file);
  g_free (test_check_expect (without, DOWN (AUTH)));
  g_free (test_check_expect (good, HEALTHY));
  g_free (test_check_expect (of_file, HEALTHY));
  message = test_check_expect (wrong, DOWN (AUTH));
  g_assert_null (strstr (message, SECRET));
}

static void
test_frozen (void)
{
  g_autofree char *uri = apache_uri ("", "/health");
  g_autoptr (DerateHealthCheck) kept = new_check (uri, NULL, NULL);
  g_autoptr (DerateHealthCheck) fresh = new_check (uri, NULL, NULL);

  g_free (test_check_expect (kept, HEALTHY));
  test_servers_command (servers, "freeze", "apache");
  test_check_hangs (kept);
  test_check_hangs (fresh);
  test_servers_command (servers, "thaw", "apache");
  g_free (test_check_expect (kept, HEALTHY));
}

static void
test_stopped (void)
{
  g_autofree char *uri = apache_uri ("", "/health");
  g_autoptr (DerateHealthCheck) check = new_check (uri, NULL, NULL);

  g_free (test_check_expect (check, HEALTHY));
  test_servers_command (servers, "stop", "apache");
  g_free (test_check_expect (check, DOWN (REFUSED)));
  test_servers_command (servers, "start", "apache");
  g_free (test_check_expect (check, HEALTHY));
}

static void
look_at_huge (gpointer check)
{
  g_free (test_check_expect (check, HEALTHY));
}

static void
look_at_huge_body (gpointer check)
{
  g_autofree char *message = test_check_expect (check, DOWN (PROTOCOL));

  g_assert_nonnull (strstr (message, "beginning"));
}

/* A body of 64 MiB: its beginning is read, and the loop goes on meanwhile. */
static void
test_huge (void)
{
  g_autoptr (Program) python = NULL;
  g_autofree char *file = path_of ("huge");
  g_autofree char *uri = NULL;
  g_autoptr (DerateHealthCheck) any = NULL;
  g_autoptr (DerateHealthCheck) body = NULL;

  write_file ("huge", "");
  g_assert_cmpint (truncate (file, HUGE), ==, 0);
  python = python_new ();
  uri = g_strdup_printf ("http://127.0.0.1:%u/huge", python->port);
  any = new_check (uri, NULL, NULL);
  body = new_check (uri, "check-body", "end");
  for (guint i = 0; i < 3; i++)
    test_loop_goes_on (look_at_huge, any);
  test_loop_goes_on (look_at_huge_body, body);
  g_unlink (file);
}

static void
look_at_much (gpointer check)
{
  g_free (test_check_expect (check, DOWN (PROTOCOL)));
}

/* An expression whose work grows with the square of the body is not the loop's. */
static void
test_hard_regex (void)
{
  g_autofree char *much = g_strnfill (60000, 'a');
  g_autoptr (Program) python = NULL;
  g_autofree char *uri = NULL;
  g_autoptr (DerateHealthCheck) check = NULL;

  write_file ("much", much);
  python = python_new ();
  uri = g_strdup_printf ("http://127.0.0.1:%u/much", python->port);
  check = new_check (uri, "check-body-regex", "a.*[bc]");
  test_loop_goes_on (look_at_much, check);
}

/* http.server leads from a folder without a slash to the one with it. */
static void
test_redirect (void)
{
  g_autofree char *inner = path_of ("inner");
  g_autoptr (Program) python = NULL;
  g_autofree char *uri = NULL;
  g_autoptr (DerateHealthCheck) stays = NULL;
  g_autoptr (DerateHealthCheck) strict = NULL;
  g_autoptr (DerateHealthCheck) follows = NULL;

  g_mkdir (inner, 0700);
  write_file ("inner/index.html", "arrived");
  python = python_new ();
  uri = g_strdup_printf ("http://127.0.0.1:%u/inner", python->port);
  stays = new_check (uri, "check-body", "arrived");
  strict = new_check (uri, "check-status", "200");
  follows = test_check_new (NAME, "uri", uri, "check-body", "arrived", "check-follow-redirects",
                            "yes", NULL);
  g_free (test_check_expect (stays, DOWN (PROTOCOL)));
  g_free (test_check_expect (strict, DOWN (CONFIG)));
  g_free (test_check_expect (follows, HEALTHY));
  g_free (test_check_expect (follows, HEALTHY));
}

static TestStandIn *
redirector_new (const char *to)
{
  g_autofree char *answer = g_strdup_printf ("HTTP/1.1 302 Found\r\nLocation: %s\r\n"
                                             "Content-Length: 0\r\nConnection: close\r\n\r\n",
                                             to);

  return test_stand_in_new (answer, strlen (answer));
}

/* Whoever is not the configured server learns nothing of what it is told. */
static void
test_redirect_elsewhere (void)
{
  const char *ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  g_autoptr (TestStandIn) there = test_stand_in_new (ok, strlen (ok));
  g_autofree char *to =
      g_strdup_printf ("http://127.0.0.1:%u/there", test_stand_in_get_port (there));
  g_autoptr (TestStandIn) here = redirector_new (to);
  g_autofree char *uri =
      g_strdup_printf ("http://ana:" SECRET "@127.0.0.1:%u/", test_stand_in_get_port (here));
  g_autoptr (DerateHealthCheck) check =
      test_check_new (NAME, "uri", uri, "check-follow-redirects", "yes", "check-header-x-key",
                      SECRET, "check-host", "shop.example", NULL);
  g_autofree char *heard_here = NULL;
  g_autofree char *heard_there = NULL;

  g_free (test_check_expect (check, HEALTHY));
  heard_here = test_stand_in_dup_heard (here);
  heard_there = test_stand_in_dup_heard (there);
  g_assert_nonnull (strstr (heard_here, "Authorization: Basic "));
  g_assert_nonnull (strstr (heard_here, "x-key: " SECRET "\r\n"));
  g_assert_nonnull (strstr (heard_here, "Host: shop.example\r\n"));
  g_assert_nonnull (strstr (heard_there, "GET /there HTTP/1.1\r\n"));
  g_assert_null (strstr (heard_there, "Authorization"));
  g_assert_null (strstr (heard_there, SECRET));
  g_assert_null (strstr (heard_there, "shop.example"));
}

static void
test_redirect_for_ever (void)
{
  g_autoptr (TestStandIn) loop = redirector_new ("/again");
  g_autoptr (TestStandIn) file = redirector_new ("file:///etc/passwd");
  g_autofree char *uri = g_strdup_printf ("http://127.0.0.1:%u/", test_stand_in_get_port (loop));
  g_autofree char *file_uri =
      g_strdup_printf ("http://127.0.0.1:%u/", test_stand_in_get_port (file));
  g_autoptr (DerateHealthCheck) check = new_check (uri, "check-follow-redirects", "yes");
  g_autoptr (DerateHealthCheck) nowhere = new_check (file_uri, "check-follow-redirects", "yes");
  g_autofree char *heard = NULL;
  g_auto (GStrv) requests = NULL;

  g_free (test_check_expect (check, DOWN (CONFIG)));
  g_free (test_check_expect (nowhere, DOWN (CONFIG)));
  heard = test_stand_in_dup_heard (loop);
  requests = g_strsplit (heard, "GET /again", -1);
  g_assert_cmpuint (g_strv_length (requests), ==, 6);
}

static void
test_unix (void)
{
  static const char script[] = "import http.server, socketserver\n"
                               "class Server(socketserver.UnixStreamServer):\n"
                               "    def get_request(self):\n"
                               "        return self.socket.accept()[0], ('unix', 0)\n"
                               "server = Server('s', http.server.SimpleHTTPRequestHandler)\n"
                               "print('port 1', flush=True)\n"
                               "server.serve_forever()\n";
  g_autoptr (Program) python = NULL;
  g_autofree char *socket = path_of ("s");
  g_autofree char *escaped = g_uri_escape_string (socket, NULL, FALSE);
  g_autofree char *uri = g_strdup_printf ("http+unix://%s/page", escaped);
  g_autoptr (DerateHealthCheck) check = new_check (uri, "check-body", "of the socket");

  write_file ("page", "page of the socket");
  g_free (test_check_expect (check, DOWN (REFUSED)));
  python = program_new ("port ", (const char *const[]){ "/usr/bin/python3", "-c", script, NULL });
  g_free (test_check_expect (check, HEALTHY));
  g_free (test_check_expect (check, HEALTHY));
  g_unlink (socket);
}

/* A certificate that signs itself. */
static void
make_certificate (const char *name, const char *host)
{
  g_autofree char *key = g_strconcat (name, ".key", NULL);
  g_autofree char *file = g_strconcat (name, ".pem", NULL);
  g_autofree char *alternative = g_strconcat ("subjectAltName=", host, NULL);
  g_autoptr (GSubprocessLauncher) launcher =
      g_subprocess_launcher_new (G_SUBPROCESS_FLAGS_STDERR_SILENCE);
  g_autoptr (GSubprocess) openssl = NULL;
  g_autoptr (GError) error = NULL;

  g_subprocess_launcher_set_cwd (launcher, folder);
  openssl = g_subprocess_launcher_spawn (launcher, &error, "openssl", "req", "-x509", "-newkey",
                                         "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                                         "-days", "30", "-subj", "/CN=derate test", "-addext",
                                         alternative, "-keyout", key, "-out", file, NULL);
  g_assert_no_error (error);
  g_assert_true (g_subprocess_wait_check (openssl, NULL, &error));
  g_assert_no_error (error);
}

static Program *
openssl_new (const char *name)
{
  g_autofree char *key = g_strconcat (name, ".key", NULL);
  g_autofree char *file = g_strconcat (name, ".pem", NULL);

  return program_new ("ACCEPT 127.0.0.1:",
                      (const char *const[]){ "openssl", "s_server", "-accept", "127.0.0.1:0",
                                             "-www", "-key", key, "-cert", file, NULL });
}

static void
test_tls (void)
{
  g_autofree char *good_file = path_of ("good.pem");
  g_autofree char *other_file = path_of ("other.pem");
  g_autoptr (Program) good = NULL;
  g_autoptr (Program) other = NULL;
  g_autofree char *good_uri = NULL;
  g_autofree char *other_uri = NULL;
  g_autoptr (DerateHealthCheck) trusted = NULL;
  g_autoptr (DerateHealthCheck) unknown = NULL;
  g_autoptr (DerateHealthCheck) misnamed = NULL;
  g_autofree char *of_unknown = NULL;
  g_autofree char *of_misnamed = NULL;

  make_certificate ("good", "DNS:localhost,IP:127.0.0.1");
  make_certificate ("other", "DNS:other.example");
  good = openssl_new ("good");
  other = openssl_new ("other");
  good_uri = g_strdup_printf ("https://127.0.0.1:%u/", good->port);
  other_uri = g_strdup_printf ("https://127.0.0.1:%u/", other->port);
  trusted = test_check_new (NAME, "uri", good_uri, "check-ca-file", good_file, "check-body",
                            "s_server", NULL);
  unknown = new_check (good_uri, NULL, NULL);
  misnamed = new_check (other_uri, "check-ca-file", other_file);

  g_free (test_check_expect (trusted, HEALTHY));
  g_free (test_check_expect (trusted, HEALTHY));
  of_unknown = test_check_expect (unknown, DOWN (CONFIG));
  g_assert_nonnull (strstr (of_unknown, "its issuer is not known"));
  of_misnamed = test_check_expect (misnamed, DOWN (CONFIG));
  g_assert_nonnull (strstr (of_misnamed, "it is another host's"));
}

/* Each speaks what the other does not. */
static void
test_tls_mixed (void)
{
  g_autofree char *plain = apache_uri ("", "/health");
  g_autofree char *wrong = g_strconcat ("https", plain + strlen ("http"), NULL);
  g_autoptr (DerateHealthCheck) check = new_check (wrong, NULL, NULL);

  g_free (test_check_expect (check, DOWN (CONFIG)));
}

/* clang-format off */
static const TestBackendFault faults[] = {
  { "{\"status\": 429, \"retry_after\": 7}", THROTTLED, "status 429, asks for 7.0 s" },
  { "{\"status\": 429}", THROTTLED, "status 429" },
  { "{\"status\": 503, \"retry_after\": 7}", THROTTLED, "status 503, asks for 7.0 s" },
  { "{\"status\": 503}", DOWN (PROTOCOL), "status 503" },
  { "{\"status\": 500, \"message\": \"" SECRET "\"}", DOWN (PROTOCOL), "status 500" },
  { "{\"garbage\": true}", DOWN (PROTOCOL), "" },
  { "{\"truncate\": true}", DOWN (PROTOCOL), "" },
  { "{\"interim\": true}", DOWN (PROTOCOL), "interim" },
  { "{\"close\": true}", DOWN (PROTOCOL), "" },
};
/* clang-format on */

static DerateHealthCheck *
new_backend_check (const char *key, const char *value)
{
  g_autofree char *uri = g_strconcat (test_backend_get_uri (backend), "/v1/models", NULL);
  g_autofree char *file = path_of ("key");

  write_file ("key", KEY "\n");
  return test_check_new (NAME, "uri", uri, "password-file", file, key, value, NULL);
}

static DerateHealthCheck *
new_plain_check (void)
{
  return new_backend_check (NULL, NULL);
}

static void
test_endless (void)
{
  g_autoptr (DerateHealthCheck) check = new_backend_check (NULL, NULL);
  g_autoptr (DerateHealthCheck) body = new_backend_check ("check-body", "the end");

  test_backend_control (backend, "{\"endless\": true}");
  test_loop_goes_on (look_at_huge, check);
  test_loop_goes_on (look_at_much, body);
  test_backend_control (backend, "{\"packed\": true}");
  test_loop_goes_on (look_at_huge, check);
  test_backend_control (backend, "{}");
  g_free (test_check_expect (check, HEALTHY));
}

static void
test_options (void)
{
  g_autoptr (GError) uri = test_check_new_fails (NAME, "uri", "ftp://u:" SECRET "@h", NULL);
  g_autoptr (GError) key =
      test_check_new_fails (NAME, "uri", "http://h", "check-everything", "yes", NULL);

  g_assert_nonnull (strstr (uri->message, "not a http://"));
  g_assert_null (strstr (uri->message, SECRET));
  g_assert_nonnull (strstr (key->message, "check-everything=yes: unknown key"));
}

static void
remove_folder (void)
{
  g_autoptr (GSubprocess) rm =
      g_subprocess_new (G_SUBPROCESS_FLAGS_NONE, NULL, "rm", "-rf", folder, NULL);

  g_subprocess_wait (rm, NULL, NULL);
  g_free (folder);
}

int
main (int argc, char *argv[])
{
  const char *const names[] = { "apache", NULL };
  int status;

  g_test_init (&argc, &argv, NULL);
  folder = g_dir_make_tmp ("derate-test-XXXXXX", NULL);
  servers = test_servers_new (names);
  backend = test_backend_new ("openai", NULL);

  g_test_add_func ("/http/check/apache", test_apache);
  g_test_add_func ("/http/check/password", test_password);
  g_test_add_func ("/http/check/frozen", test_frozen);
  g_test_add_func ("/http/check/stopped", test_stopped);
  g_test_add_func ("/http/check/huge", test_huge);
  g_test_add_func ("/http/check/hard-regex", test_hard_regex);
  g_test_add_func ("/http/check/redirect", test_redirect);
  g_test_add_func ("/http/check/redirect-elsewhere", test_redirect_elsewhere);
  g_test_add_func ("/http/check/redirect-for-ever", test_redirect_for_ever);
  g_test_add_func ("/http/check/unix", test_unix);
  g_test_add_func ("/http/check/tls", test_tls);
  g_test_add_func ("/http/check/tls-mixed", test_tls_mixed);
  test_backend_add_cases ("/http", backend, new_plain_check, SECRET, faults, G_N_ELEMENTS (faults));
  g_test_add_func ("/http/check/endless", test_endless);
  g_test_add_func ("/http/check/options", test_options);

  status = g_test_run ();
  test_backend_free (backend);
  test_servers_free (servers);
  remove_folder ();
  return status;
}
