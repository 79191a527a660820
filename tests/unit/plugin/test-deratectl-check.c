/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>

/* `deratectl check-plugin` and `check-config` as a user sees them. */

#define PASSWORD "hunter2planted"

typedef struct
{
  char *out;
  char *err;
  int status;
} Answer;

static void
answer_clear (Answer *answer)
{
  g_free (answer->out);
  g_free (answer->err);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Answer, answer_clear)

/* A word after the verb that holds a / is taken as it is, or else as a file among the fixtures. */
static void
run (Answer *answer, const char *verb, const char *option, const char *file)
{
  g_autoptr (GSubprocessLauncher) launcher =
      g_subprocess_launcher_new (G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE);
  g_autoptr (GSubprocess) child = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *path = strchr (file, '/') != NULL
                              ? g_strdup (file)
                              : g_build_filename (g_getenv ("PLUGIN_FIXTURES"), file, NULL);

  g_subprocess_launcher_setenv (launcher, "DERATE_PLUGIN_PATH", g_getenv ("PLUGIN_FIXTURES"), TRUE);
  child = g_subprocess_launcher_spawn (launcher, &error, g_getenv ("DERATECTL"), verb, path, option,
                                       NULL);
  g_assert_no_error (error);
  g_subprocess_communicate_utf8 (child, NULL, NULL, &answer->out, &answer->err, &error);
  g_assert_no_error (error);
  g_assert_true (g_subprocess_get_if_exited (child));
  answer->status = g_subprocess_get_exit_status (child);
}

static const struct
{
  const char *file;
  int status;
  const char *out;
  const char *err;
} plugins[] = {
  { "libderate-plugin-good.so", 0, "1.2.3", "" },
  { "libderate-plugin-garbage.so", 1, "", "libderate-plugin-garbage.so: it cannot be opened: " },
  { "libderate-plugin-no-symbol.so", 1, "", "it has no symbol derate_plugin_get_descriptor" },
  { "libderate-plugin-wrong-major.so", 1, "", "built for the plugin ABI 2.0" },
  { "libderate-plugin-wrong-magic.so", 1, "", "the magic 0x7f454c46" },
  { "libderate-plugin-failing.so", 1, "", "its register function failed: " },
  { "libderate-plugin-crashing.so", 1, "",
    "libderate-plugin-crashing.so: it crashes when it is opened: Aborted" },
  { "libderate-plugin-nowhere.so", 3, "", "it cannot be read: " },
};

static void
test_plugin (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_auto (Answer) answer = { NULL };

  run (&answer, "check-plugin", NULL, plugins[i].file);
  g_test_message ("%s%s", answer.out, answer.err);
  g_assert_cmpint (answer.status, ==, plugins[i].status);
  g_assert_nonnull (strstr (answer.out, plugins[i].out));
  g_assert_nonnull (strstr (answer.err, plugins[i].err));
  g_assert_cmpint (answer.out[0] == '\0', ==, plugins[i].status != 0);
  g_assert_cmpint (answer.err[0] == '\0', ==, plugins[i].status == 0);
  g_assert_null (strstr (answer.err, "hunter2"));
}

static const struct
{
  const char *description;
  const char *text;
  int status;
  const char *out;
  const char *err;
} configs[] = {
  { "good", "[service redis]\nplugin=good\n[rule r]\nwhen=redis=down\nlevel=limited\n", 0,
    "redis=down", "" },
  { "warning", "[service x]\nrole=ai\nbreaker-failure-threshold=1\n", 0, "x",
    ", [service x], breaker-failure-threshold: failure-threshold 1" },
  { "unknown-key", "[service x]\nuris=redis://:" PASSWORD "@h\n", 1, "",
    ", [service x], uris: no such key (line 2)" },
  { "bad-duration", "[derate]\ngrace=5\n", 1, "",
    ", [derate], grace: “5” is not a duration such as 30s or 250ms (line 2)" },
  { "missing-plugin", "[service x]\nplugin=nowhere\n", 1, "",
    ", [service x], plugin: no plugin “nowhere”: no libderate-plugin-nowhere.so in " },
  { "broken-plugin", "[service x]\nplugin=wrong-magic\n", 1, "", ", [service x], plugin: plugin " },
  { "unknown-option", "[service x]\nplugin=good\nuri=redis://:" PASSWORD "@h\ncheck-size=1\n", 1,
    "", ", [service x], plugin: service “x”, plugin “good”: check-size: unknown key" },
  { "unknown-service", "[service x]\n[rule r]\nwhen=y=down\nlevel=limited\n", 1, "",
    "no service “y”" },
  { "unknown-need", "[derate]\nname=a\n[service x]\n[feature f]\nneeds=x y\n", 1, "",
    ", [feature f]: feature “f”: needs “x y”: no service “y”" },
  { "unknown-alternate", "[derate]\nname=a\n[service x]\nalternate=y\n", 1, "",
    ", [service x], alternate: no service “y”" },
  { "not-monotone",
    "[derate]\nrules=replace\n[service x]\n[rule r]\nwhen=x=healthy\nlevel=limited\n", 1, "",
    "making “x” worse makes the level better" },
};

static char *
write_config (const char *text)
{
  g_autoptr (GError) error = NULL;
  char *path = NULL;
  int fd = g_file_open_tmp ("derate-XXXXXX.conf", &path, &error);

  g_assert_no_error (error);
  g_assert_true (g_close (fd, NULL));
  g_assert_true (g_file_set_contents (path, text, -1, NULL));
  return path;
}

static void
test_config (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autofree char *path = write_config (configs[i].text);
  g_auto (Answer) answer = { NULL };

  run (&answer, "check-config", NULL, path);
  g_test_message ("%s%s", answer.out, answer.err);
  g_assert_cmpint (answer.status, ==, configs[i].status);
  g_assert_nonnull (strstr (answer.out, configs[i].out));
  g_assert_nonnull (strstr (answer.err, configs[i].err));
  g_assert_cmpint (answer.out[0] == '\0', ==, configs[i].status != 0);
  g_assert_null (strstr (answer.err, PASSWORD));
  if (configs[i].status != 0)
    g_assert_nonnull (strstr (answer.err, path));
  g_assert_cmpint (g_unlink (path), ==, 0);
}

static void
test_json (void)
{
  g_autofree char *path = write_config ("[derate]\nrules=replace\n[service x]\n"
                                        "[rule r]\nwhen=x=down\nlevel=limited\n");
  g_autofree char *expected = g_strdup_printf (
      "{\"file\":\"%s\",\"services\":[\"x\"],"
      "\"rules\":[{\"id\":\"r\",\"when\":\"x=down\",\"level\":\"limited\"},"
      "{\"id\":\"all-well\",\"when\":\"\",\"level\":\"optimal\"}],\"table\":["
      "{\"inputs\":{\"x\":\"healthy\"},\"level\":\"optimal\",\"rule\":\"all-well\"},"
      "{\"inputs\":{\"x\":\"degraded\"},\"level\":\"optimal\",\"rule\":\"all-well\"},"
      "{\"inputs\":{\"x\":\"down\"},\"level\":\"limited\",\"rule\":\"r\"}]}\n",
      path);
  g_auto (Answer) answer = { NULL };

  run (&answer, "check-config", "--json", path);
  g_assert_cmpstr (answer.out, ==, expected);
  g_assert_cmpstr (answer.err, ==, "");
  g_assert_cmpint (answer.status, ==, 0);
  g_assert_cmpint (g_unlink (path), ==, 0);
}

/* The shipped table, as the tests of the rules have it as well. */
static void
test_default_table (void)
{
  g_autofree char *path = write_config ("[service database]\nrole=database\n"
                                        "[service redis]\nrole=cache\n"
                                        "[service openai]\nrole=ai\n[service s3]\nrole=storage\n");
  g_autofree char *text = NULL;
  g_auto (GStrv) cells = NULL;
  g_auto (GStrv) lines = NULL;
  g_auto (Answer) answer = { NULL };
  guint n_lines = 0;
  guint n_cells = 0;

  g_assert_true (g_file_get_contents (g_getenv ("LEVELS_TABLE"), &text, NULL, NULL));
  run (&answer, "check-config", NULL, path);
  g_assert_cmpint (answer.status, ==, 0);
  cells = g_strsplit (text, "\n", -1);
  lines = g_strsplit (answer.out, "\n", -1);
  while (lines[n_lines] != NULL && !g_str_has_prefix (lines[n_lines], "database  redis"))
    n_lines++;
  for (guint i = 0; cells[i] != NULL; i++)
    {
      g_autoptr (GRegex) spaces = g_regex_new ("\\s+", 0, 0, NULL);
      g_autofree char *line = NULL;
      g_autofree char *cell = NULL;

      if (cells[i][0] == '#' || cells[i][0] == '\0')
        continue;
      n_cells++;
      g_assert_nonnull (lines[n_lines]);
      line = g_regex_replace (spaces, g_strchomp (lines[++n_lines]), -1, 0, " ", 0, NULL);
      cell = g_regex_replace (spaces, g_strchomp (cells[i]), -1, 0, " ", 0, NULL);
      g_assert_cmpstr (line, ==, cell);
    }
  g_assert_cmpuint (n_cells, ==, 81);
  g_assert_cmpint (g_unlink (path), ==, 0);
}

/* Six services are the most whose table is told. */
static void
test_json_of_six (void)
{
  g_autofree char *path = write_config ("[service a]\n[service b]\n[service c]\n[service d]\n"
                                        "[service e]\n[service f]\n");
  g_auto (Answer) answer = { NULL };
  guint n_cells = 0;

  run (&answer, "check-config", "--json", path);
  g_assert_cmpint (answer.status, ==, 0);
  for (const char *cell = answer.out; (cell = strstr (cell, "{\"inputs\":")) != NULL; cell++)
    n_cells++;
  g_assert_cmpuint (n_cells, ==, 729);
  g_assert_cmpint (g_unlink (path), ==, 0);
}

static void
test_json_of_seven (void)
{
  g_autofree char *path = write_config ("[service a]\n[service b]\n[service c]\n[service d]\n"
                                        "[service e]\n[service f]\n[service g]\n");
  g_auto (Answer) answer = { NULL };

  run (&answer, "check-config", "--json", path);
  g_assert_true (g_str_has_suffix (answer.out, ",\"table\":null}\n"));
  g_assert_cmpint (answer.status, ==, 0);
  g_assert_cmpint (g_unlink (path), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  for (gsize i = 0; i < G_N_ELEMENTS (plugins); i++)
    {
      g_autofree char *path = g_strdup_printf ("/deratectl/check-plugin/%s", plugins[i].file);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_plugin);
    }
  for (gsize i = 0; i < G_N_ELEMENTS (configs); i++)
    {
      g_autofree char *path =
          g_strdup_printf ("/deratectl/check-config/%s", configs[i].description);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_config);
    }
  g_test_add_func ("/deratectl/check-config/json", test_json);
  g_test_add_func ("/deratectl/check-config/default-table", test_default_table);
  g_test_add_func ("/deratectl/check-config/json-of-six", test_json_of_six);
  g_test_add_func ("/deratectl/check-config/json-of-seven", test_json_of_seven);
  return g_test_run ();
}
