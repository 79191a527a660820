/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derated-options.h"

#include <gio/gio.h>
#include <string.h>

static const char SUMMARY[] =
    "Watches the services that a configuration names, decides on the level, and tells it over "
    "D-Bus, HTTP and systemd, for programs that do not embed Derate.";

static gboolean
fail (GError **error, const char *text)
{
  g_set_error_literal (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, text);
  return FALSE;
}

/* HOST:PORT, [HOST]:PORT; a name would have to be looked up, and could be anybody's. */
static gboolean
take_place (DeratedOptions *options, const char *text, GError **error)
{
  const char *colon = strrchr (text, ':');
  g_autofree char *host = colon != NULL ? g_strndup (text, (gsize)(colon - text)) : NULL;
  gsize length = host != NULL ? strlen (host) : 0;
  guint64 port = 0;

  if (colon == NULL || !g_ascii_string_to_unsigned (colon + 1, 10, 0, G_MAXUINT16, &port, NULL))
    return fail (error, "--http wants HOST:PORT");
  if (length > 1 && host[0] == '[' && host[length - 1] == ']')
    {
      host[length - 1] = '\0';
      memmove (host, host + 1, length - 1);
    }
  else if (strchr (host, ':') != NULL)
    return fail (error, "--http wants [HOST]:PORT where the host has colons");
  if (strcmp (host, "localhost") != 0 && !g_hostname_is_ip_address (host))
    return fail (error, "--http wants an IP address or localhost before the port");
  options->http_host = g_steal_pointer (&host);
  options->http_port = (guint16)port;
  return TRUE;
}

static gboolean
check (DeratedOptions *options, int argc, GError **error)
{
  guint buses =
      (options->session ? 1 : 0) + (options->system ? 1 : 0) + (options->address != NULL ? 1 : 0);

  if (argc > 1)
    return fail (error, "nothing but options is wanted");
  if (options->version)
    return TRUE;
  if (buses > 1)
    return fail (error, "--session, --system and --address exclude each other");
  return options->config != NULL || fail (error, "--config is missing");
}

DeratedOptions *
derated_options_parse (int *argc, char ***argv, GError **error)
{
  g_autoptr (DeratedOptions) options = g_new0 (DeratedOptions, 1);
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autofree char *http = NULL;
  const GOptionEntry entries[] = {
    { "config", 'c', 0, G_OPTION_ARG_FILENAME, &options->config, "Read FILE and FILE.d/*.conf",
      "FILE" },
    { "session", 0, 0, G_OPTION_ARG_NONE, &options->session, "Be on the session bus", NULL },
    { "system", 0, 0, G_OPTION_ARG_NONE, &options->system, "Be on the system bus", NULL },
    { "address", 0, 0, G_OPTION_ARG_STRING, &options->address, "Be on the bus at A", "A" },
    { "http", 0, 0, G_OPTION_ARG_STRING, &http, "Serve the pages there, whatever [http] says",
      "HOST:PORT" },
    { "log-json", 0, 0, G_OPTION_ARG_NONE, &options->log_json,
      "Write Derate's log as JSON, an event a line", NULL },
    { "check", 0, 0, G_OPTION_ARG_NONE, &options->check, "Say whether it would start, and end",
      NULL },
    { "version", 0, 0, G_OPTION_ARG_NONE, &options->version, "Show the version", NULL },
    { NULL },
  };

  g_option_context_set_summary (context, SUMMARY);
  g_option_context_set_description (context, "Signals: HUP reads the file again; TERM and INT end "
                                             "it.\nExit status: 0 ended, 1 failed, 2 usage.");
  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, argc, argv, error) || !check (options, *argc, error))
    return NULL;
  if (http != NULL && !take_place (options, http, error))
    return NULL;
  return g_steal_pointer (&options);
}

void
derated_options_free (DeratedOptions *options)
{
  g_free (options->config);
  g_free (options->http_host);
  g_free (options->address);
  g_free (options);
}
