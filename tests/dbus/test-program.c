/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <derate-dbus-exporter.h>
#include <derate.h>
#include <stdio.h>
#include <string.h>

/* A program with four services on a bus, which does what its standard input says: one line a
 * command, one line an answer. The tests talk to it over D-Bus as well.
 *
 *   test-program ADDRESS NAME manual|system [CONFIGURATION]
 */

/* Reports what it is told to, with a secret in the text. */
#define FAKE_TYPE_CHECK (fake_check_get_type ())
G_DECLARE_FINAL_TYPE (FakeCheck, fake_check, FAKE, CHECK, GObject)

struct _FakeCheck
{
  GObject parent_instance;
  DerateHealthStatus status; /* atomic */
};

static void
fake_check_run_async (DerateHealthCheck *base,
                      GCancellable *cancellable,
                      GAsyncReadyCallback callback,
                      gpointer data)
{
  g_autoptr (GTask) task = g_task_new (base, cancellable, callback, data);
  DerateHealthStatus status = g_atomic_int_get ((int *)&FAKE_CHECK (base)->status);
  gboolean healthy = status == DERATE_HEALTH_STATUS_HEALTHY;

  g_task_return_pointer (task,
                         derate_health_report_new (
                             status,
                             healthy ? DERATE_HEALTH_CAUSE_NONE : DERATE_HEALTH_CAUSE_REFUSED,
                             healthy
                                 ? NULL
                                 : "connection to redis://shop:planted-secret@cache:6379 refused"),
                         (GDestroyNotify)derate_health_report_unref);
}

static DerateHealthReport *
fake_check_run_finish (DerateHealthCheck *base, GAsyncResult *result, GError **error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}

static DerateHealthCheckThreading
fake_check_get_threading (DerateHealthCheck *base)
{
  return DERATE_HEALTH_CHECK_ANY_THREAD;
}

static void
fake_check_iface_init (DerateHealthCheckInterface *iface)
{
  iface->run_async = fake_check_run_async;
  iface->run_finish = fake_check_run_finish;
  iface->get_threading = fake_check_get_threading;
}

G_DEFINE_FINAL_TYPE_WITH_CODE (FakeCheck,
                               fake_check,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (DERATE_TYPE_HEALTH_CHECK,
                                                      fake_check_iface_init))

static void
fake_check_class_init (FakeCheckClass *klass)
{
}

static void
fake_check_init (FakeCheck *check)
{
  check->status = DERATE_HEALTH_STATUS_HEALTHY;
}

typedef struct
{
  GMainLoop *loop;
  DerateClock *clock; /* NULL: the system's */
  DerateCore *core;
  GDBusConnection *connection;
  DerateDbusExporter *exporter;
  FakeCheck *check; /* of redis */
  DerateCore *second;
  GDBusConnection *second_connection;
  DerateDbusExporter *second_exporter;
  const char *address;
  gboolean started;
  struct Tickers *tickers;
} Program;

/* How late a loop is: its greatest lateness for a source that is due every few milliseconds. */
#define TICK_MS 5

typedef struct
{
  GSource *source;
  gint64 last;
  gint64 worst; /* microseconds */
  guint n_ticks;
} Ticker;

/* The program's loop, and one in a thread that has nothing to do with the library: what that one
 * is late is the machine's doing. */
typedef struct Tickers
{
  Ticker own;
  Ticker bystander;
  GMainLoop *loop;
  GThread *thread;
} Tickers;

static gboolean
on_ticker (gpointer data)
{
  Ticker *ticker = data;
  gint64 now = g_get_monotonic_time ();

  ticker->worst = MAX (ticker->worst, now - ticker->last - TICK_MS * G_TIME_SPAN_MILLISECOND);
  ticker->last = now;
  ticker->n_ticks++;
  return G_SOURCE_CONTINUE;
}

static void
start_ticker (Ticker *ticker, GMainContext *context)
{
  ticker->last = g_get_monotonic_time ();
  ticker->source = g_timeout_source_new (TICK_MS);
  g_source_set_callback (ticker->source, on_ticker, ticker, NULL);
  g_source_attach (ticker->source, context);
}

static void
stop_ticker (Ticker *ticker)
{
  g_source_destroy (ticker->source);
  g_source_unref (ticker->source);
}

static gpointer
run_bystander (gpointer data)
{
  Tickers *tickers = data;

  start_ticker (&tickers->bystander, g_main_loop_get_context (tickers->loop));
  g_main_loop_run (tickers->loop);
  stop_ticker (&tickers->bystander);
  return NULL;
}

static gboolean
quit_bystander (gpointer data)
{
  g_main_loop_quit (data);
  return G_SOURCE_REMOVE;
}

static Tickers *
tickers_new (void)
{
  Tickers *tickers = g_new0 (Tickers, 1);
  g_autoptr (GMainContext) context = g_main_context_new ();

  tickers->loop = g_main_loop_new (context, FALSE);
  tickers->thread = g_thread_new ("bystander", run_bystander, tickers);
  start_ticker (&tickers->own, NULL);
  return tickers;
}

static void say (const char *format, ...) G_GNUC_PRINTF (1, 2);

static void
say (const char *format, ...)
{
  va_list args;

  va_start (args, format);
  vprintf (format, args);
  va_end (args);
  putchar ('\n');
  fflush (stdout);
}

static GDBusConnection *
connect_to (const char *address)
{
  g_autoptr (GError) error = NULL;
  GDBusConnection *connection =
      g_dbus_connection_new_for_address_sync (address,
                                              G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
                                                  G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
                                              NULL, NULL, &error);

  g_assert_no_error (error);
  return connection;
}

static void
add_service (Program *program, const char *name, DerateServiceRole role)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DerateBreakerConfig) config = derate_breaker_config_new ();
  g_autoptr (DerateBreaker) breaker = NULL;
  g_autoptr (DerateService) service = NULL;

  derate_breaker_config_set_failure_threshold (config, 3);
  breaker = derate_breaker_registry_get_or_create (derate_core_get_breakers (program->core), name,
                                                   config, NULL);
  service = derate_service_new (name, role, derate_core_get_clock (program->core));
  derate_service_set_breaker (service, breaker);
  if (strcmp (name, "redis") == 0)
    derate_service_set_health_check (service, DERATE_HEALTH_CHECK (program->check));
  derate_core_add_service (program->core, service, &error);
  g_assert_no_error (error);
}

static void
add_services (Program *program)
{
  add_service (program, "database", DERATE_SERVICE_ROLE_DATABASE);
  add_service (program, "redis", DERATE_SERVICE_ROLE_CACHE);
  add_service (program, "openai", DERATE_SERVICE_ROLE_AI);
  add_service (program, "s3", DERATE_SERVICE_ROLE_STORAGE);
}

static void
call_times (Program *program, const char *name, int times, gboolean well)
{
  g_autoptr (DerateBreaker) breaker = derate_core_lookup_breaker (program->core, name);
  g_autoptr (GError) failure = g_error_new (G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED, "refused");
  int done = 0;

  for (int i = 0; i < times; i++)
    {
      g_autoptr (GError) error = NULL;
      g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

      if (!derate_breaker_acquire (breaker, &permit, &error))
        continue;
      done++;
      if (well)
        derate_permit_succeed (&permit);
      else
        derate_permit_fail (&permit, failure);
    }
  say ("%d", done);
}

static void
say_ready (Program *program)
{
  if (program->started && derate_dbus_exporter_get_bus_name (program->exporter) != NULL)
    say ("ready %s", derate_dbus_exporter_get_bus_name (program->exporter));
}

static void
on_named (GObject *object, GParamSpec *pspec, gpointer data)
{
  Program *program = data;

  if (derate_dbus_exporter_get_bus_name (program->exporter) == NULL)
    say ("unnamed");
  else
    say_ready (program);
}

static void
on_started (GObject *source, GAsyncResult *result, gpointer data)
{
  Program *program = data;
  g_autoptr (GError) error = NULL;

  derate_core_start_finish (DERATE_CORE (source), result, &error);
  g_assert_no_error (error);
  program->started = TRUE;
  say_ready (program);
}

static void
on_second_named (GObject *object, GParamSpec *pspec, gpointer data)
{
  Program *program = data;

  say ("%s", derate_dbus_exporter_get_bus_name (program->second_exporter));
}

/* A core of the same name beside the first, on a connection of its own. */
static void
start_second (Program *program)
{
  g_autoptr (GError) error = NULL;

  program->second = derate_core_new (derate_core_get_name (program->core), program->clock, &error);
  g_assert_no_error (error);
  program->second_connection = connect_to (program->address);
  program->second_exporter =
      derate_dbus_exporter_new (program->second, program->second_connection, &error);
  g_assert_no_error (error);
  g_signal_connect (program->second_exporter, "notify::bus-name", G_CALLBACK (on_second_named),
                    program);
  derate_core_start_async (program->second, NULL, NULL, NULL);
}

static void
export_again (Program *program)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DerateDbusExporter) again =
      derate_dbus_exporter_new (program->core, program->connection, &error);

  g_assert_null (again);
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_EXISTS);
  say ("%s", error->message);
}

static void
stop_tickers (Program *program)
{
  Tickers *tickers = g_steal_pointer (&program->tickers);

  g_main_context_invoke (g_main_loop_get_context (tickers->loop), quit_bystander, tickers->loop);
  g_thread_join (tickers->thread);
  on_ticker (&tickers->own); /* the tick that is due counts, too */
  say ("%" G_GINT64_FORMAT " %" G_GINT64_FORMAT " %u", tickers->own.worst, tickers->bystander.worst,
       tickers->own.n_ticks);
  stop_ticker (&tickers->own);
  g_main_loop_unref (tickers->loop);
  g_free (tickers);
}

/* The loop stands still until the next line. */
static void
block (void)
{
  char line[64];

  say ("blocked");
  if (fgets (line, sizeof line, stdin) == NULL)
    g_error ("no line to go on with");
  say ("going on");
}

static void
hold (Program *program, const char *nick)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *id = NULL;
  DerateLevel level = DERATE_LEVEL_UNKNOWN;

  g_assert_true (derate_level_from_nick (nick, &level, NULL));
  id = derate_degradation_manager_hold (derate_core_get_degradation_manager (program->core), level,
                                        DERATE_HOLD_MODE_AT_LEAST, "the program", "test",
                                        G_TIME_SPAN_MINUTE, &error);
  g_assert_no_error (error);
  say ("%s", id);
}

/* What fallbacks and calls would have done meanwhile. */
static void
note_answers (Program *program, const char *service)
{
  static const struct
  {
    const char *strategy;
    DerateFallbackReason reason;
    guint times;
    GTimeSpan span;
    gboolean answered;
  } fallbacks[] = {
    { "cached", DERATE_FALLBACK_REASON_DRILL, 40, 250, TRUE },
    { "default", DERATE_FALLBACK_REASON_TIMEOUT, 2, 3 * G_TIME_SPAN_SECOND / 2, TRUE },
    { "queue", DERATE_FALLBACK_REASON_DRILL, 3, 10, FALSE },
  };
  static const guint answers[] = {
    [DERATE_ANSWER_SOURCE_REAL] = 5,
    [DERATE_ANSWER_SOURCE_FALLBACK] = 42,
    [DERATE_ANSWER_SOURCE_REFUSED] = 3,
  };

  for (guint i = 0; i < G_N_ELEMENTS (fallbacks); i++)
    for (guint n = 0; n < fallbacks[i].times; n++)
      derate_fallback_usage_note (derate_core_get_fallback_usage (program->core), service,
                                  fallbacks[i].strategy, fallbacks[i].reason, fallbacks[i].span,
                                  fallbacks[i].answered);
  for (guint source = 0; source < G_N_ELEMENTS (answers); source++)
    for (guint n = 0; n < answers[source]; n++)
      derate_degradation_manager_note_answer (derate_core_get_degradation_manager (program->core),
                                              (DerateAnswerSource)source);
  say ("ok");
}

static void
make_breaker (Program *program, const char *name)
{
  g_autoptr (DerateBreaker) breaker =
      derate_breaker_registry_get_or_create (derate_core_get_breakers (program->core), name, NULL,
                                             NULL);

  say ("%s", derate_breaker_get_name (breaker));
}

static void
remove_breaker (Program *program, const char *name)
{
  gboolean removed =
      derate_breaker_registry_remove (derate_core_get_breakers (program->core), name);

  say (removed ? "ok" : "none");
}

static void
reload (Program *program)
{
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) changes = derate_core_reload (program->core, &error);
  g_autofree char *text = changes != NULL ? g_strjoinv (", ", changes) : NULL;

  say ("%s", text != NULL ? text : error->message);
}

static void
set_level (Program *program, const char *nick)
{
  DerateLevel level = DERATE_LEVEL_UNKNOWN;

  g_assert_true (derate_level_from_nick (nick, &level, NULL));
  g_assert_true (
      derate_degradation_manager_set_level (derate_core_get_degradation_manager (program->core),
                                            level, NULL));
  say ("ok");
}

static void
set_check (Program *program, const char *word)
{
  DerateHealthStatus status =
      strcmp (word, "down") == 0 ? DERATE_HEALTH_STATUS_DOWN : DERATE_HEALTH_STATUS_HEALTHY;

  g_atomic_int_set ((int *)&program->check->status, status);
  say ("ok");
}

static void
stop (Program *program)
{
  if (program->exporter != NULL)
    g_signal_handlers_disconnect_by_data (program->exporter, program);
  g_clear_object (&program->exporter);
  g_clear_object (&program->second_exporter);
  say ("ok");
}

static void
obey (Program *program, char **words)
{
  const char *first = words[0];
  const char *second = words[0] != NULL ? words[1] : NULL;
  const char *level = derate_level_get_nick (
      derate_degradation_manager_get_level (derate_core_get_degradation_manager (program->core)));

  if (g_strcmp0 (first, "fail") == 0)
    call_times (program, second, atoi (words[2]), FALSE);
  else if (g_strcmp0 (first, "succeed") == 0)
    call_times (program, second, atoi (words[2]), TRUE);
  else if (g_strcmp0 (first, "answers") == 0)
    note_answers (program, second);
  else if (g_strcmp0 (first, "check") == 0)
    set_check (program, second);
  else if (g_strcmp0 (first, "breaker") == 0)
    make_breaker (program, second);
  else if (g_strcmp0 (first, "forget") == 0)
    remove_breaker (program, second);
  else if (g_strcmp0 (first, "reload") == 0)
    reload (program);
  else if (g_strcmp0 (first, "block") == 0)
    block ();
  else if (g_strcmp0 (first, "level") == 0)
    say ("%s", level);
  else if (g_strcmp0 (first, "hold") == 0)
    hold (program, second);
  else if (g_strcmp0 (first, "set") == 0)
    set_level (program, second);
  else if (g_strcmp0 (first, "second") == 0)
    start_second (program);
  else if (g_strcmp0 (first, "again") == 0)
    export_again (program);
  else if (g_strcmp0 (first, "stop") == 0)
    stop (program);
  else if (g_strcmp0 (first, "tick") == 0)
    {
      program->tickers = tickers_new ();
      say ("ok");
    }
  else if (g_strcmp0 (first, "ticked") == 0)
    stop_tickers (program);
  else if (g_strcmp0 (first, "service") == 0)
    {
      add_service (program, second, DERATE_SERVICE_ROLE_NONE);
      say ("ok");
    }
  else if (g_strcmp0 (first, "advance") == 0)
    {
      derate_manual_clock_advance (DERATE_MANUAL_CLOCK (program->clock),
                                   g_ascii_strtoll (second, NULL, 10));
      say ("ok");
    }
  else
    g_main_loop_quit (program->loop);
}

static gboolean
on_line (GIOChannel *channel, GIOCondition condition, gpointer data)
{
  char line[256] = "quit";
  g_auto (GStrv) words = NULL;

  if (fgets (line, sizeof line, stdin) == NULL)
    g_strlcpy (line, "quit", sizeof line);
  words = g_strsplit (g_strchomp (line), " ", -1);
  obey (data, words);
  return G_SOURCE_CONTINUE;
}

static void
on_stopped (GObject *source, GAsyncResult *result, gpointer data)
{
  g_main_loop_quit (data);
}

static void
stop_core (DerateCore **core, GMainLoop *loop)
{
  if (*core == NULL)
    return;
  derate_core_stop_async (*core, NULL, on_stopped, loop);
  g_main_loop_run (loop);
  g_clear_object (core);
}

int
main (int argc, char **argv)
{
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (GIOChannel) input = g_io_channel_unix_new (0);
  g_autoptr (GError) error = NULL;
  Program program = { .loop = loop, .address = argv[1] };
  guint watch = 0;

  g_assert_cmpint (argc, >=, 4);
  setvbuf (stdin, NULL, _IONBF, 0);
  g_log_writer_default_set_use_stderr (TRUE); /* its output is for answers */
  program.clock = strcmp (argv[3], "manual") == 0 ? derate_manual_clock_new () : NULL;
  program.check = g_object_new (FAKE_TYPE_CHECK, NULL);
  if (argc > 4)
    program.core = derate_core_new_from_file (argv[4], program.clock, &error);
  else
    program.core = derate_core_new (argv[2], program.clock, &error);
  g_assert_no_error (error);
  if (argc == 4)
    add_services (&program);
  program.connection = connect_to (argv[1]);
  program.exporter = derate_dbus_exporter_new (program.core, program.connection, &error);
  g_assert_no_error (error);
  g_signal_connect (program.exporter, "notify::bus-name", G_CALLBACK (on_named), &program);
  derate_core_start_async (program.core, NULL, on_started, &program);

  watch = g_io_add_watch (input, G_IO_IN | G_IO_HUP, on_line, &program);
  g_main_loop_run (loop);
  g_source_remove (watch);
  stop (&program);
  stop_core (&program.second, loop);
  stop_core (&program.core, loop);
  g_clear_object (&program.second_connection);
  g_clear_object (&program.connection);
  g_clear_object (&program.check);
  g_clear_object (&program.clock);
  return 0;
}
