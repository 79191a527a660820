/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/* Real servers for a test, private to it, run by scripts/dev/servers.py. Everything here waits, and
 * fails the test where something does not work. */
typedef struct _TestServers TestServers;

TestServers *test_servers_new (const char *const *names);
void test_servers_free (TestServers *servers);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TestServers, test_servers_free)

const char *test_servers_get_uri (TestServers *servers,
                                  const char  *name);

/* Where the server keeps its files. */
char *test_servers_dup_folder (TestServers *servers,
                               const char  *name);

/* stop, start, freeze, thaw */
void test_servers_command (TestServers *servers,
                           const char  *verb,
                           const char  *name);

/* One of our backends (s3, openai), run by itself with arguments of its own. */
typedef struct _TestBackend TestBackend;

TestBackend *test_backend_new (const char        *name,
                               const char *const *arguments);
void test_backend_free (TestBackend *backend);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TestBackend, test_backend_free)

/* http://127.0.0.1:PORT */
const char *test_backend_get_uri (TestBackend *backend);
guint16 test_backend_get_port (TestBackend *backend);

/* Tells it how to misbehave, in JSON; "{}" heals. */
void test_backend_control (TestBackend *backend,
                           const char  *fault);

/* What it was asked so far, as /control tells it: JSON. */
char *test_backend_dup_asked (TestBackend *backend);

void test_backend_freeze (TestBackend *backend);
void test_backend_thaw (TestBackend *backend);
void test_backend_stop (TestBackend *backend);

G_END_DECLS
