/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <derate.h>
#include <glib/gstdio.h>
#include <gmodule.h>
#include <string.h>

static const struct
{
  const char *name;
  DerateError code;
  const char *fragment; /* of the message, after `plugin PATH: ` */
  gboolean described; /* the descriptor was good, so that what it says is shown */
} broken[] = {
  { "no-symbol", DERATE_ERROR_INVALID_PLUGIN, "it has no symbol derate_plugin_get_descriptor" },
  { "undefined-function", DERATE_ERROR_INVALID_PLUGIN, "function_that_is_nowhere" },
  { "garbage", DERATE_ERROR_INVALID_PLUGIN, "so: it cannot be opened: invalid ELF header" },
  { "empty", DERATE_ERROR_INVALID_PLUGIN, "so: it cannot be opened: file too short" },
  { "wrong-major", DERATE_ERROR_INVALID_PLUGIN,
    "built for the plugin ABI 2.0, this library has 1.0" },
  { "newer-minor", DERATE_ERROR_INVALID_PLUGIN,
    "built for the plugin ABI 1.1, this library has 1.0" },
  { "wrong-magic", DERATE_ERROR_INVALID_PLUGIN, "the magic 0x7f454c46 instead of 0x44525431" },
  { "short-struct", DERATE_ERROR_INVALID_PLUGIN, "a size of 16 bytes instead of 56 to 120" },
  { "long-struct", DERATE_ERROR_INVALID_PLUGIN, "a size of 128 bytes instead of 56 to 120" },
  { "null-descriptor", DERATE_ERROR_INVALID_PLUGIN, "its descriptor is NULL" },
  { "wrong-name", DERATE_ERROR_INVALID_PLUGIN,
    "it calls itself “somebody-else”, its file “wrong-name”" },
  { "no-version", DERATE_ERROR_INVALID_PLUGIN, "its descriptor has no version" },
  { "no-register", DERATE_ERROR_INVALID_PLUGIN, "its descriptor has no register function" },
  { "failing", DERATE_ERROR_INVALID_PLUGIN, "its register function failed: no library for redis",
    TRUE },
  { "failing-silently", DERATE_ERROR_INVALID_PLUGIN,
    "its register function failed without an error", TRUE },
  { "registers-nothing", DERATE_ERROR_INVALID_PLUGIN,
    "it registered 0 health checks instead of one", TRUE },
  { "registers-twice", DERATE_ERROR_INVALID_PLUGIN, "it registered 2 health checks instead of one",
    TRUE },
};

static const char *
fixtures (void)
{
  return g_getenv ("PLUGIN_FIXTURES");
}

static char *
fixture_path (const char *name)
{
  g_autofree char *base = g_strdup_printf ("libderate-plugin-%s.so", name);

  return g_build_filename (fixtures (), base, NULL);
}

static DeratePluginLoader *
new_loader (void)
{
  DeratePluginLoader *loader = derate_plugin_loader_new ();

  derate_plugin_loader_add_path (loader, fixtures ());
  return loader;
}

static guint
fixture_counter (const char *name, const char *symbol)
{
  g_autofree char *path = fixture_path (name);
  GModule *module = g_module_open (path, G_MODULE_BIND_LOCAL);
  guint *counter = NULL;

  g_assert_nonnull (module);
  g_assert_true (g_module_symbol (module, symbol, (gpointer *)&counter));
  return *counter;
}

static void
test_broken (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autoptr (DeratePluginLoader) loader = new_loader ();
  g_autoptr (DeratePlugin) listed = NULL;
  g_autoptr (DeratePlugin) again = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *path = fixture_path (broken[i].name);
  g_autofree char *prefix = g_strdup_printf ("plugin %s: ", path);

  g_assert_null (derate_plugin_loader_load (loader, broken[i].name, &error));
  g_assert_error (error, DERATE_ERROR, (gint)broken[i].code);
  g_assert_true (g_str_has_prefix (error->message, prefix));
  if (strstr (error->message, broken[i].fragment) == NULL)
    g_error ("“%s” is not in “%s”", broken[i].fragment, error->message);
  g_assert_null (strstr (error->message, "hunter2"));

  g_assert_cmpuint (g_list_model_get_n_items (G_LIST_MODEL (loader)), ==, 1);
  listed = g_list_model_get_item (G_LIST_MODEL (loader), 0);
  g_assert_cmpint (derate_plugin_get_state (listed), ==, DERATE_PLUGIN_STATE_FAILED);
  g_assert_cmpstr (derate_plugin_get_name (listed), ==, broken[i].name);
  g_assert_cmpstr (derate_plugin_get_path (listed), ==, path);
  g_assert_cmpstr (derate_plugin_get_error (listed)->message, ==, error->message);
  g_assert_cmpstr (derate_plugin_get_version (listed), ==, broken[i].described ? "1.2.3" : NULL);
  g_assert_null (derate_plugin_loader_get_default_role (loader, broken[i].name));

  /* What it would have made is refused with the same words. */
  g_clear_error (&error);
  g_assert_null (derate_plugin_loader_create_check (loader, broken[i].name, "cache", NULL, &error));
  g_assert_error (error, DERATE_ERROR, (gint)broken[i].code);
  g_assert_cmpstr (derate_plugin_get_error (listed)->message, ==, error->message);

  /* It is tried again, takes its own place in the list, and a good one still loads. */
  g_clear_error (&error);
  g_assert_null (derate_plugin_loader_load_file (loader, path, &error));
  g_assert_error (error, DERATE_ERROR, (gint)broken[i].code);
  g_assert_cmpuint (g_list_model_get_n_items (G_LIST_MODEL (loader)), ==, 1);
  again = g_list_model_get_item (G_LIST_MODEL (loader), 0);
  g_assert_true (again != listed);
  g_clear_error (&error);
  g_assert_nonnull (derate_plugin_loader_load (loader, "good", &error));
  g_assert_no_error (error);
}

static void
on_changed (GListModel *model, guint position, guint removed, guint added, gpointer data)
{
  g_string_append_printf (data, "%u-%u+%u ", position, removed, added);
}

static void
test_good (void)
{
  g_autoptr (DeratePluginLoader) loader = new_loader ();
  g_autoptr (DerateHealthCheck) check = NULL;
  g_autoptr (GString) changes = g_string_new (NULL);
  g_autoptr (GError) error = NULL;
  g_autofree char *path = fixture_path ("good");
  g_autofree char *name = NULL;
  DeratePlugin *plugin;

  g_signal_connect (loader, "items-changed", G_CALLBACK (on_changed), changes);
  plugin = derate_plugin_loader_load (loader, "good", &error);
  g_assert_no_error (error);
  g_assert_cmpint (derate_plugin_get_state (plugin), ==, DERATE_PLUGIN_STATE_LOADED);
  g_assert_null (derate_plugin_get_error (plugin));
  g_assert_cmpstr (derate_plugin_get_path (plugin), ==, path);
  g_assert_cmpstr (derate_plugin_get_version (plugin), ==, "1.2.3");
  g_assert_cmpstr (derate_plugin_get_license (plugin), ==, "MIT");
  g_assert_cmpstr (derate_plugin_get_description (plugin), ==, "a fixture");
  g_assert_cmpstr (derate_plugin_loader_get_default_role (loader, "good"), ==, "cache");
  g_object_get (plugin, "name", &name, NULL);
  g_assert_cmpstr (name, ==, "good");

  /* The same by name or by file, and nothing is called twice. */
  g_assert_true (derate_plugin_loader_load (loader, "good", &error) == plugin);
  g_assert_true (derate_plugin_loader_load_file (loader, path, &error) == plugin);
  g_assert_cmpstr (changes->str, ==, "0-0+1 ");

  check =
      derate_plugin_loader_create_check (loader, "good", "cache",
                                         g_variant_new_parsed ("{'check-color': 'red'}"), &error);
  g_assert_no_error (error);
  g_assert_true (DERATE_IS_HEALTH_CHECK (check));
}

static void
test_two_loaders (void)
{
  g_autoptr (DeratePluginLoader) one = new_loader ();
  g_autoptr (DeratePluginLoader) two = new_loader ();
  g_autoptr (GError) error = NULL;
  DeratePlugin *in_one = derate_plugin_loader_load (one, "good", &error);
  DeratePlugin *in_two;
  guint registered = fixture_counter ("good", "fixture_n_registered");
  guint freed = fixture_counter ("good", "fixture_n_freed");

  g_assert_no_error (error);
  in_two = derate_plugin_loader_load (two, "good", &error);
  g_assert_no_error (error);
  g_assert_true (in_one != in_two);
  g_assert_cmpuint (fixture_counter ("good", "fixture_n_registered"), ==, registered + 1);

  g_clear_object (&one);
  g_assert_cmpuint (fixture_counter ("good", "fixture_n_freed"), ==, freed + 1);
  g_assert_cmpint (derate_plugin_get_state (in_two), ==, DERATE_PLUGIN_STATE_LOADED);
  g_clear_object (&two);
  g_assert_cmpuint (fixture_counter ("good", "fixture_n_freed"), ==, freed + 2);
}

static void
test_options (void)
{
  static const struct
  {
    const char *options;
    DerateError code;
    const char *message;
  } cases[] = {
    { "{'uri': 'redis://u:hunter2@h', 'check-size': '1'}", DERATE_ERROR_INVALID_CONFIG,
      "service “db”, plugin “good”: check-size: unknown key" },
    { "{'check-color': 'none'}", DERATE_ERROR_INVALID_PLUGIN,
      "service “db”, plugin “good”: failed without an error" },
  };
  g_autoptr (DeratePluginLoader) loader = new_loader ();
  g_autoptr (GError) error = NULL;

  g_assert_null (derate_plugin_loader_create_check (loader, "good", "db", NULL, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_NO_SUCH_PLUGIN);
  g_assert_cmpstr (error->message, ==, "service “db”: no plugin “good” is loaded");
  g_clear_error (&error);

  derate_plugin_loader_load (loader, "good", &error);
  g_assert_no_error (error);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_assert_null (derate_plugin_loader_create_check (loader, "good", "db",
                                                        g_variant_new_parsed (cases[i].options),
                                                        &error));
      g_assert_error (error, DERATE_ERROR, (gint)cases[i].code);
      g_assert_true (g_str_has_prefix (error->message, cases[i].message));
      g_assert_null (strstr (error->message, "hunter2"));
      g_clear_error (&error);
    }
}

static void
test_not_found (void)
{
  static const char *const names[] = {
    "nowhere",      "",
    "../good",      "Good",
    "good/../good", "9lives",
    "a b",          "a123456789012345678901234567890123456789012345678901234567890123",
  };
  g_autoptr (DeratePluginLoader) loader = new_loader ();

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autofree char *file = g_strdup_printf ("no libderate-plugin-%s.so in ", names[i]);

      g_assert_null (derate_plugin_loader_load (loader, names[i], &error));
      g_assert_error (error, DERATE_ERROR, DERATE_ERROR_NO_SUCH_PLUGIN);
      g_assert_nonnull (strstr (error->message, file));
      g_assert_nonnull (strstr (error->message, fixtures ()));
    }
  g_assert_cmpuint (g_list_model_get_n_items (G_LIST_MODEL (loader)), ==, 0);
}

static void
test_files (void)
{
  static const struct
  {
    const char *path;
    DerateError code;
    const char *fragment;
  } cases[] = {
    { "/nowhere/libderate-plugin-x.so", DERATE_ERROR_NO_SUCH_PLUGIN, "it cannot be read: " },
    { "/nowhere/x.so", DERATE_ERROR_INVALID_PLUGIN,
      "its file is not called libderate-plugin-NAME.so" },
    { "libderate-plugin-.so", DERATE_ERROR_INVALID_PLUGIN, "its file is not called" },
    { "libderate-plugin-Redis.so", DERATE_ERROR_INVALID_PLUGIN, "its file is not called" },
    { "", DERATE_ERROR_INVALID_PLUGIN, "its file is not called" },
  };
  g_autoptr (DeratePluginLoader) loader = new_loader ();
  g_autofree char *folder = g_dir_make_tmp ("derate-XXXXXX", NULL);
  g_autofree char *not_a_file = g_build_filename (folder, "libderate-plugin-dir.so", NULL);
  g_autofree char *other = g_build_filename (folder, "libderate-plugin-good.so", NULL);
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_assert_null (derate_plugin_loader_load_file (loader, cases[i].path, &error));
      g_assert_error (error, DERATE_ERROR, (gint)cases[i].code);
      g_assert_nonnull (strstr (error->message, cases[i].fragment));
      g_clear_error (&error);
    }

  g_assert_cmpint (g_mkdir_with_parents (not_a_file, 0700), ==, 0);
  g_assert_null (derate_plugin_loader_load_file (loader, not_a_file, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_PLUGIN);
  g_assert_nonnull (strstr (error->message, "not a regular file"));
  g_clear_error (&error);

  /* The name belongs to the first file. */
  g_assert_nonnull (derate_plugin_loader_load (loader, "good", NULL));
  g_assert_null (derate_plugin_loader_load_file (loader, other, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_EXISTS);
  g_assert_nonnull (strstr (error->message, other));
  g_assert_cmpint (g_rmdir (not_a_file), ==, 0);
  g_assert_cmpint (g_rmdir (folder), ==, 0);
}

/* A folder given in code outranks the environment's, and a folder of the plugin's own name is
 * found. */
static void
test_search_order (void)
{
  g_autofree char *folder = g_dir_make_tmp ("derate-XXXXXX", NULL);
  g_autofree char *own = g_build_filename (folder, "good", NULL);
  g_autofree char *file = g_build_filename (own, "libderate-plugin-good.so", NULL);
  g_autofree char *in_environment = g_strdup_printf (":%s:/nowhere", fixtures ());
  g_autoptr (DeratePluginLoader) loader = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (g_mkdir_with_parents (own, 0700), ==, 0);
  g_assert_true (g_file_set_contents (file, "garbage", -1, NULL));
  g_setenv ("DERATE_PLUGIN_PATH", in_environment, TRUE);

  loader = derate_plugin_loader_new ();
  derate_plugin_loader_add_path (loader, "/nowhere/first");
  derate_plugin_loader_add_path (loader, folder);
  g_assert_null (derate_plugin_loader_load (loader, "good", &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_PLUGIN);
  g_assert_nonnull (strstr (error->message, file));
  g_clear_error (&error);
  g_clear_object (&loader);

  loader = derate_plugin_loader_new ();
  g_assert_nonnull (derate_plugin_loader_load (loader, "good", &error));
  g_assert_no_error (error);
  g_unsetenv ("DERATE_PLUGIN_PATH");
  g_assert_cmpint (g_unlink (file), ==, 0);
  g_assert_cmpint (g_rmdir (own), ==, 0);
  g_assert_cmpint (g_rmdir (folder), ==, 0);
}

/* A module cut anywhere, as one that is still being copied: opening it as it is would end the
 * process. */
static void
test_cut (void)
{
  g_autofree char *folder = g_dir_make_tmp ("derate-XXXXXX", NULL);
  g_autofree char *file = g_build_filename (folder, "libderate-plugin-good.so", NULL);
  g_autofree char *whole = fixture_path ("good");
  g_autofree char *text = NULL;

  g_assert_true (g_file_get_contents (whole, &text, NULL, NULL));
  for (guint i = 0; i < 8; i++)
    {
      g_autoptr (DeratePluginLoader) loader = derate_plugin_loader_new ();
      g_autoptr (GError) error = NULL;

      g_assert_true (g_file_set_contents (file, text, (gssize)i * 1024, NULL));
      derate_plugin_loader_add_path (loader, folder);
      g_assert_null (derate_plugin_loader_load (loader, "good", &error));
      g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_PLUGIN);
      g_assert_nonnull (strstr (error->message, file));
    }
  g_assert_cmpint (g_unlink (file), ==, 0);
  g_assert_cmpint (g_rmdir (folder), ==, 0);
}

static gboolean
register_static (DeratePluginRegistrar *registrar, GError **error)
{
  return FALSE;
}

static DerateHealthCheck *
make_nothing (const char *service, GVariant *options, gpointer user_data, GError **error)
{
  return NULL;
}

static gboolean
register_with_data (DeratePluginRegistrar *registrar, GError **error)
{
  derate_plugin_registrar_add_health_check (registrar, NULL, make_nothing, NULL, NULL);
  return TRUE;
}

static void
test_static (void)
{
  g_autoptr (DeratePluginLoader) loader = new_loader ();
  g_autoptr (DeratePlugin) listed = NULL;
  g_autoptr (GError) error = NULL;
  DeratePlugin *plugin;
  DeratePluginDescriptor descriptor = {
    .magic = DERATE_PLUGIN_MAGIC,
    .struct_size = sizeof descriptor,
    .abi_major = DERATE_PLUGIN_ABI_MAJOR,
    .abi_minor = DERATE_PLUGIN_ABI_MINOR,
    .name = "inside",
    .version = "1",
    .license = "MIT",
    .description = "static",
    .register_func = register_static,
  };

  g_assert_null (derate_plugin_loader_add_static (loader, &descriptor, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_PLUGIN);
  g_assert_cmpstr (error->message, ==,
                   "static plugin “inside”: its register function failed without an error");
  g_clear_error (&error);
  listed = derate_plugin_loader_lookup (loader, "inside");
  g_assert_cmpint (derate_plugin_get_state (listed), ==, DERATE_PLUGIN_STATE_FAILED);

  descriptor.register_func = register_with_data;
  plugin = derate_plugin_loader_add_static (loader, &descriptor, &error);
  g_assert_no_error (error);
  g_assert_null (derate_plugin_get_path (plugin));
  g_assert_null (derate_plugin_get_default_role (plugin));
  g_assert_true (derate_plugin_loader_load (loader, "inside", &error) == plugin);
  g_assert_cmpuint (g_list_model_get_n_items (G_LIST_MODEL (loader)), ==, 1);

  g_assert_null (derate_plugin_loader_add_static (loader, &descriptor, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_EXISTS);
  g_clear_error (&error);
  descriptor.name = "Bad Name";
  g_assert_null (derate_plugin_loader_add_static (loader, &descriptor, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_PLUGIN);
}

static GLogWriterOutput
note_event (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer data)
{
  const char *event = NULL;
  const char *component = NULL;

  for (gsize i = 0; i < n_fields; i++)
    {
      if (g_str_equal (fields[i].key, "EVENT"))
        event = fields[i].value;
      if (g_str_equal (fields[i].key, "COMPONENT"))
        component = fields[i].value;
    }
  if (event != NULL)
    g_string_append_printf (data, "%s %s\n", event, component);
  return G_LOG_WRITER_HANDLED;
}

/* In a process of its own: the writer can be set once only. */
static void
test_events (void)
{
  g_autoptr (GString) events = g_string_new (NULL);

  if (g_test_subprocess ())
    {
      g_autoptr (DeratePluginLoader) loader = new_loader ();

      g_log_set_writer_func (note_event, events, NULL);
      derate_plugin_loader_load (loader, "good", NULL);
      derate_plugin_loader_load (loader, "wrong-magic", NULL);
      g_assert_cmpstr (events->str, ==, "plugin_loaded good\nplugin_failed wrong-magic\n");
      return;
    }
  g_test_trap_subprocess (NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
  g_test_trap_assert_passed ();
}

int
main (int argc, char **argv)
{
  g_unsetenv ("DERATE_PLUGIN_PATH");
  g_test_init (&argc, &argv, NULL);
  /* A refused plugin is a warning in the log, not a failure of the program. */
  g_log_set_always_fatal (G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL);

  for (gsize i = 0; i < G_N_ELEMENTS (broken); i++)
    {
      g_autofree char *path = g_strdup_printf ("/plugin-loader/broken/%s", broken[i].name);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_broken);
    }
  g_test_add_func ("/plugin-loader/good", test_good);
  g_test_add_func ("/plugin-loader/two-loaders", test_two_loaders);
  g_test_add_func ("/plugin-loader/options", test_options);
  g_test_add_func ("/plugin-loader/not-found", test_not_found);
  g_test_add_func ("/plugin-loader/files", test_files);
  g_test_add_func ("/plugin-loader/search-order", test_search_order);
  g_test_add_func ("/plugin-loader/cut", test_cut);
  g_test_add_func ("/plugin-loader/static", test_static);
  g_test_add_func ("/plugin-loader/events", test_events);
  return g_test_run ();
}
