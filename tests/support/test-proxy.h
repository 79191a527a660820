/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Stands on a port of 127.0.0.1 before a server that listens on a unix socket, and injures what
 * passes, in a thread of its own. A fault is for the connections that come from then on; those that
 * are there go on as they came. Each function returns once it is so. */
typedef struct _TestProxy TestProxy;

typedef enum
{
  TEST_PROXY_WHOLE,
  TEST_PROXY_REFUSING,
  TEST_PROXY_SILENT, /* accepts, and never says a word */
  TEST_PROXY_SILENT_AFTER, /* so many bytes of the server */
  TEST_PROXY_RESET_AFTER, /* so many bytes of the server, by RST */
  TEST_PROXY_DELAY, /* carries nothing for so many milliseconds */
  TEST_PROXY_TLS_FAILING, /* agrees to speak TLS, and then speaks none */
} TestProxyFault;

typedef enum
{
  TEST_PROXY_FIN, /* the stream ends */
  TEST_PROXY_RST,
  TEST_PROXY_HALF_OPEN, /* the server's side is gone, the client's hears nothing of it */
} TestProxyEnd;

/* The folder of the socket, and the port that is in its name. */
TestProxy *test_proxy_new (const char *folder,
                           guint16     port);
/* What test_servers_get_uri () gives of a PostgreSQL server. */
TestProxy *test_proxy_new_postgresql (const char *uri);
void test_proxy_free (TestProxy *proxy);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TestProxy, test_proxy_free)

guint16 test_proxy_get_port (TestProxy *proxy);

/* The URI of the database behind it, without TLS. */
const char *test_proxy_get_uri (TestProxy *proxy);

void test_proxy_set_fault (TestProxy     *proxy,
                           TestProxyFault fault,
                           gsize          n);

/* Denies who comes in, as PostgreSQL does: a fatal error of that SQLSTATE. NULL ends it. */
void test_proxy_deny (TestProxy  *proxy,
                      const char *sqlstate,
                      const char *message);

/* Ends every connection that is there. */
void test_proxy_end (TestProxy   *proxy,
                     TestProxyEnd how);

/* Carries nothing more, in either direction, and accepts nobody; then goes on. */
void test_proxy_freeze (TestProxy *proxy);
void test_proxy_thaw (TestProxy *proxy);

/* How many came, how many of them asked for a statement to be cancelled, and how many are there. */
guint test_proxy_count_accepted (TestProxy *proxy);
guint test_proxy_count_cancels (TestProxy *proxy);
guint test_proxy_count_open (TestProxy *proxy);

G_END_DECLS
