/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One thread has all sockets; the others ask it, under the lock, to do a thing for them, and wait
 * until it is done. So nothing is closed while it is polled. */
#define _GNU_SOURCE /* accept4 */
#include "test-proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CHUNK 65536
#define CANCEL_REQUEST 80877102
#define TLS_REQUEST 80877103

typedef struct
{
  int fd;
  gboolean ended; /* says nothing more */
  gboolean told; /* that the other one says nothing more */
  guint8 bytes[CHUNK]; /* what it said and the other one has not got yet */
  gsize from, to;
} Side;

typedef struct
{
  Side client, server;
  TestProxyFault fault;
  gsize left; /* bytes of the server, until the fault */
  gint64 since; /* when anything may be carried */
  gboolean begun;
  gboolean mute; /* to the client nothing is said any more */
  char *denial; /* what is said in place of the server */
  gsize denial_size;
} Link;

struct _TestProxy
{
  GThread *thread;
  int wake;
  int holder; /* keeps the port ours while nobody listens */
  int listener;
  struct sockaddr_in address;
  struct sockaddr_un target;
  char *uri;

  GMutex lock;
  GCond done;
  void (*order) (TestProxy *self, gsize n);
  gsize order_n;

  /* The thread's, and under the lock. */
  GPtrArray *links;
  TestProxyFault fault;
  gsize n;
  char *sqlstate, *message;
  gboolean frozen, over;
  guint accepted, cancels;
};

static void
side_close (Side *side)
{
  if (side->fd >= 0)
    close (side->fd);
  side->fd = -1;
}

static void
link_free (gpointer data)
{
  Link *link = data;

  side_close (&link->client);
  side_close (&link->server);
  g_free (link->denial);
  g_free (link);
}

static void
side_reset (Side *side)
{
  struct linger none = { 1, 0 };

  setsockopt (side->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
  side_close (side);
}

static int
new_socket (int family)
{
  int fd = socket (family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

  g_assert_cmpint (fd, >=, 0);
  return fd;
}

/* With two sockets bound to it, one of which never listens, nobody can take the port. */
static int
bind_port (TestProxy *self)
{
  int fd = new_socket (AF_INET);
  int one = 1;
  socklen_t size = sizeof self->address;

  setsockopt (fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  g_assert_no_errno (bind (fd, (struct sockaddr *)&self->address, sizeof self->address));
  g_assert_no_errno (getsockname (fd, (struct sockaddr *)&self->address, &size));
  return fd;
}

static void
apply_fault (TestProxy *self, gsize n)
{
  if (self->fault == TEST_PROXY_REFUSING && self->listener >= 0)
    {
      close (self->listener);
      self->listener = -1;
    }
  else if (self->fault != TEST_PROXY_REFUSING && self->listener < 0)
    {
      self->listener = bind_port (self);
      g_assert_no_errno (listen (self->listener, 512));
    }
}

/* A fatal error, in the words of the protocol. */
static void
prepare_denial (TestProxy *self, Link *link)
{
  GByteArray *all = g_byte_array_new ();
  g_autofree char *code = g_strconcat ("C", self->sqlstate, NULL);
  g_autofree char *text = g_strconcat ("M", self->message, NULL);
  guint32 size = 0;

  g_byte_array_append (all, (const guint8 *)"E", 1);
  g_byte_array_append (all, (const guint8 *)&size, sizeof size);
  g_byte_array_append (all, (const guint8 *)"SFATAL\0VFATAL", sizeof "SFATAL\0VFATAL");
  g_byte_array_append (all, (const guint8 *)code, (guint)strlen (code) + 1);
  g_byte_array_append (all, (const guint8 *)text, (guint)strlen (text) + 1);
  g_byte_array_append (all, (const guint8 *)"", 1);
  size = g_htonl (all->len - 1);
  memcpy (all->data + 1, &size, sizeof size);
  link->denial_size = all->len;
  link->denial = (char *)g_byte_array_free (all, FALSE);
}

static void
accept_one (TestProxy *self)
{
  int fd = accept4 (self->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  Link *link;

  if (fd < 0)
    return;
  self->accepted++;
  link = g_new0 (Link, 1);
  link->client.fd = fd;
  link->server.fd = -1;
  link->fault = self->fault;
  link->left = self->fault == TEST_PROXY_SILENT_AFTER || self->fault == TEST_PROXY_RESET_AFTER
                   ? self->n
                   : G_MAXSIZE;
  if (self->fault == TEST_PROXY_DELAY)
    link->since = g_get_monotonic_time () + (gint64)self->n * 1000;
  if (self->sqlstate != NULL)
    prepare_denial (self, link);
  else if (self->fault != TEST_PROXY_SILENT && self->fault != TEST_PROXY_TLS_FAILING)
    {
      link->server.fd = new_socket (AF_UNIX);
      link->mute =
          connect (link->server.fd, (struct sockaddr *)&self->target, sizeof self->target) != 0;
    }
  if (link->mute && errno != EAGAIN)
    link_free (link); /* nobody is there; a frozen one has too many waiting at its door */
  else
    g_ptr_array_add (self->links, link);
}

static guint32
first_word (const Link *link)
{
  guint32 word = 0;

  if (link->client.to - link->client.from >= 8)
    memcpy (&word, link->client.bytes + link->client.from + 4, sizeof word);
  return g_ntohl (word);
}

static void
say (Link *link, const void *what, gsize size, gboolean last)
{
  if (send (link->client.fd, what, size, MSG_NOSIGNAL) < 0 || last)
    shutdown (link->client.fd, SHUT_WR);
}

/* What is said in place of a server that is not asked. */
static void
answer (Link *link)
{
  gboolean wants_tls = first_word (link) == TLS_REQUEST;

  if (link->denial != NULL && wants_tls)
    say (link, "N", 1, FALSE);
  else if (link->denial != NULL)
    say (link, link->denial, link->denial_size, TRUE);
  else if (link->fault == TEST_PROXY_TLS_FAILING && wants_tls)
    say (link, "S", 1, FALSE);
  else if (link->fault == TEST_PROXY_TLS_FAILING)
    say (link, "no TLS at all", 13, TRUE);
  link->client.from = link->client.to = 0;
}

/* Gives FALSE where the side is gone. */
static gboolean
side_read (Side *side, gsize at_most)
{
  gssize n = recv (side->fd, side->bytes, MIN (at_most, CHUNK), 0);

  if (n < 0)
    return errno == EAGAIN || errno == EINTR;
  side->from = 0;
  side->to = (gsize)n;
  side->ended = n == 0;
  return TRUE;
}

static gboolean
side_write (Side *from, Side *to)
{
  gssize n;

  if (from->from < from->to)
    {
      n = send (to->fd, from->bytes + from->from, from->to - from->from, MSG_NOSIGNAL);
      if (n < 0)
        return errno == EAGAIN || errno == EINTR;
      from->from += (gsize)n;
    }
  if (from->from == from->to && from->ended && !to->told)
    {
      to->told = TRUE;
      shutdown (to->fd, SHUT_WR);
    }
  return TRUE;
}

static gboolean
fault_strikes (Link *link)
{
  if (link->left > 0 || link->mute)
    return FALSE;
  if (link->fault == TEST_PROXY_RESET_AFTER)
    side_reset (&link->client);
  else
    link->mute = TRUE;
  return link->client.fd < 0;
}

/* A step of one link; FALSE ends it. */
static gboolean
link_step (TestProxy *self, Link *link, short client, short server)
{
  Side *c = &link->client, *s = &link->server;

  if (client & (POLLIN | POLLHUP | POLLERR) && c->from == c->to && !side_read (c, CHUNK))
    return FALSE;
  if (!link->begun && c->to >= 8)
    {
      link->begun = TRUE;
      if (first_word (link) == CANCEL_REQUEST)
        self->cancels++;
    }
  if (s->fd < 0)
    {
      if (c->to > 0)
        answer (link);
      return !c->ended;
    }
  if (server & (POLLIN | POLLHUP | POLLERR) && s->from == s->to)
    {
      if (!side_read (s, link->left))
        return FALSE;
      link->left -= s->to;
    }
  if (!side_write (c, s) || !side_write (s, c))
    return FALSE;
  if (s->from == s->to && fault_strikes (link))
    return FALSE;
  return !(link->mute && c->ended) &&
         !(c->ended && s->ended && c->from == c->to && s->from == s->to);
}

static short
wanted (const Side *side, const Side *other)
{
  short events = 0;

  if (!side->ended && side->from == side->to)
    events |= POLLIN;
  if (other->from < other->to)
    events |= POLLOUT;
  return events;
}

/* Fills in what to poll for; gives when the next delay is over. */
static gint64
add_links (TestProxy *self, struct pollfd *fds)
{
  gint64 now = g_get_monotonic_time (), next = G_MAXINT64;

  for (guint i = 0; i < self->links->len; i++)
    {
      Link *link = g_ptr_array_index (self->links, i);
      struct pollfd *fd = &fds[2 + 2 * i];

      fd[0] = (struct pollfd){ -1, 0, 0 };
      fd[1] = fd[0];
      if (self->frozen)
        continue;
      if (link->since > now)
        {
          next = MIN (next, link->since);
          continue;
        }
      fd[0].events = wanted (&link->client, &link->server);
      fd[1].events = wanted (&link->server, &link->client);
      fd[0].fd = fd[0].events != 0 ? link->client.fd : -1;
      fd[1].fd = fd[1].events != 0 && !link->mute ? link->server.fd : -1;
    }
  return next;
}

static void
step_links (TestProxy *self, const struct pollfd *fds, guint n)
{
  for (guint i = n; i-- > 0;)
    {
      Link *link = g_ptr_array_index (self->links, i);
      short client = fds[2 + 2 * i].revents, server = fds[3 + 2 * i].revents;

      if ((client | server) != 0 && !link_step (self, link, client, server))
        g_ptr_array_remove_index_fast (self->links, i);
    }
}

static void
obey (TestProxy *self)
{
  guint64 n;

  if (read (self->wake, &n, sizeof n) < 0)
    g_assert_cmpint (errno, ==, EAGAIN);
  if (self->order == NULL)
    return;
  self->order (self, self->order_n);
  self->order = NULL;
  g_cond_broadcast (&self->done);
}

static gpointer
run (gpointer data)
{
  TestProxy *self = data;
  g_autofree struct pollfd *fds = NULL;
  gint64 next;
  guint n;

  g_mutex_lock (&self->lock);
  while (!self->over)
    {
      n = self->links->len;
      fds = g_renew (struct pollfd, fds, 2 + 2 * n);
      fds[0] = (struct pollfd){ self->wake, POLLIN, 0 };
      fds[1] = (struct pollfd){ self->frozen ? -1 : self->listener, POLLIN, 0 };
      next = add_links (self, fds);
      g_mutex_unlock (&self->lock);
      poll (fds, 2 + 2 * n,
            next == G_MAXINT64 ? -1 : (int)MAX (0, (next - g_get_monotonic_time ()) / 1000 + 1));
      g_mutex_lock (&self->lock);
      step_links (self, fds, n);
      if (fds[1].revents != 0)
        accept_one (self);
      obey (self);
    }
  g_mutex_unlock (&self->lock);
  return NULL;
}

/* With the lock held. */
static void
order (TestProxy *self, void (*what) (TestProxy *self, gsize n), gsize n)
{
  guint64 one = 1;

  while (self->order != NULL)
    g_cond_wait (&self->done, &self->lock);
  self->order = what;
  self->order_n = n;
  g_assert_cmpint (write (self->wake, &one, sizeof one), ==, sizeof one);
  while (self->order != NULL)
    g_cond_wait (&self->done, &self->lock);
}

TestProxy *
test_proxy_new (const char *folder, guint16 port)
{
  TestProxy *self = g_new0 (TestProxy, 1);

  self->target.sun_family = AF_UNIX;
  g_snprintf (self->target.sun_path, sizeof self->target.sun_path, "%s/.s.PGSQL.%u", folder, port);
  self->address.sin_family = AF_INET;
  self->address.sin_addr.s_addr = g_htonl (INADDR_LOOPBACK);
  self->holder = bind_port (self);
  self->listener = -1;
  self->wake = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  self->links = g_ptr_array_new_with_free_func (link_free);
  self->uri = g_strdup_printf ("postgresql://derate@127.0.0.1:%u/shop?sslmode=disable",
                               test_proxy_get_port (self));
  apply_fault (self, 0);
  self->thread = g_thread_new ("test-proxy", run, self);
  return self;
}

static char *
dup_value (const char *uri, const char *key)
{
  const char *value = strstr (uri, key);

  g_assert_nonnull (value);
  value += strlen (key);
  return g_strndup (value, strcspn (value, "&"));
}

TestProxy *
test_proxy_new_postgresql (const char *uri)
{
  g_autofree char *folder = dup_value (uri, "host=");
  g_autofree char *port = dup_value (uri, "port=");

  return test_proxy_new (folder, (guint16)g_ascii_strtoull (port, NULL, 10));
}

static void
apply_over (TestProxy *self, gsize n)
{
  self->over = TRUE;
}

void
test_proxy_free (TestProxy *self)
{
  g_mutex_lock (&self->lock);
  order (self, apply_over, 0);
  g_mutex_unlock (&self->lock);
  g_thread_join (self->thread);
  g_ptr_array_unref (self->links);
  if (self->listener >= 0)
    close (self->listener);
  close (self->holder);
  close (self->wake);
  g_free (self->uri);
  g_free (self->sqlstate);
  g_free (self->message);
  g_free (self);
}

guint16
test_proxy_get_port (TestProxy *self)
{
  return g_ntohs (self->address.sin_port);
}

const char *
test_proxy_get_uri (TestProxy *self)
{
  return self->uri;
}

void
test_proxy_set_fault (TestProxy *self, TestProxyFault fault, gsize n)
{
  g_mutex_lock (&self->lock);
  self->fault = fault;
  self->n = n;
  order (self, apply_fault, 0);
  g_mutex_unlock (&self->lock);
}

void
test_proxy_deny (TestProxy *self, const char *sqlstate, const char *message)
{
  g_mutex_lock (&self->lock);
  g_free (self->sqlstate);
  g_free (self->message);
  self->sqlstate = g_strdup (sqlstate);
  self->message = g_strdup (message);
  g_mutex_unlock (&self->lock);
}

static void
apply_end (TestProxy *self, gsize how)
{
  for (guint i = self->links->len; i-- > 0;)
    {
      Link *link = g_ptr_array_index (self->links, i);

      if (how == TEST_PROXY_HALF_OPEN)
        {
          side_close (&link->server);
          link->client.from = link->client.to = 0;
          link->mute = TRUE;
          continue;
        }
      if (how == TEST_PROXY_RST)
        side_reset (&link->client);
      g_ptr_array_remove_index_fast (self->links, i);
    }
}

void
test_proxy_end (TestProxy *self, TestProxyEnd how)
{
  g_mutex_lock (&self->lock);
  order (self, apply_end, how);
  g_mutex_unlock (&self->lock);
}

static void
apply_frozen (TestProxy *self, gsize frozen)
{
  self->frozen = frozen;
}

void
test_proxy_freeze (TestProxy *self)
{
  g_mutex_lock (&self->lock);
  order (self, apply_frozen, TRUE);
  g_mutex_unlock (&self->lock);
}

void
test_proxy_thaw (TestProxy *self)
{
  g_mutex_lock (&self->lock);
  order (self, apply_frozen, FALSE);
  g_mutex_unlock (&self->lock);
}

static guint
count (TestProxy *self, const guint *number)
{
  guint n;

  g_mutex_lock (&self->lock);
  n = number != NULL ? *number : self->links->len;
  g_mutex_unlock (&self->lock);
  return n;
}

guint
test_proxy_count_accepted (TestProxy *self)
{
  return count (self, &self->accepted);
}

guint
test_proxy_count_cancels (TestProxy *self)
{
  return count (self, &self->cancels);
}

guint
test_proxy_count_open (TestProxy *self)
{
  return count (self, NULL);
}
