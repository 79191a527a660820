/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-notify-socket-private.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "derate-error.h"
#include "derate-names-private.h"

#define KEPT_MAX 32

/* Threads: `fd` and the address never change; `kept` is guarded by the mutex, under which nothing
 * but a system call that does not wait is done. */
struct _DerateNotifySocket
{
  int fd;
  struct sockaddr_un address;
  socklen_t length;
  GMutex mutex;
  GQueue kept; /* (element-type utf8) the oldest first */
};

static gboolean
set_address (DerateNotifySocket *self, const char *text, GError **error)
{
  gsize length = strlen (text);

  if ((*text != '/' && *text != '@') || length < 2 || length >= sizeof self->address.sun_path)
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG,
                   "%s=%s is neither the path of a unix socket nor an @ and a name",
                   DERATE_ENV_NOTIFY_SOCKET, text);
      return FALSE;
    }
  self->address.sun_family = AF_UNIX;
  memcpy (self->address.sun_path, text, length);
  if (*text == '@')
    self->address.sun_path[0] = '\0';
  /* A path ends with its zero byte; an abstract name has none. */
  self->length =
      (socklen_t)(G_STRUCT_OFFSET (struct sockaddr_un, sun_path) + length + (*text == '/' ? 1 : 0));
  return TRUE;
}

DerateNotifySocket *
derate_notify_socket_new (const char *address, GError **error)
{
  DerateNotifySocket *self = g_new0 (DerateNotifySocket, 1);

  self->fd = -1;
  g_mutex_init (&self->mutex);
  g_queue_init (&self->kept);
  if (set_address (self, address, error))
    self->fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (self->fd >= 0)
    return self;
  if (error == NULL || *error == NULL)
    g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno), "no socket for %s: %s",
                 DERATE_ENV_NOTIFY_SOCKET, g_strerror (errno));
  derate_notify_socket_free (self);
  return NULL;
}

/* FALSE where there is no room now. Nobody there at all is as good as sent: a service manager that
 * begins again asks the program anew. */
static gboolean
transmit (DerateNotifySocket *self, const char *text)
{
  gssize sent;

  do
    sent = sendto (self->fd, text, strlen (text), MSG_DONTWAIT | MSG_NOSIGNAL,
                   (const struct sockaddr *)&self->address, self->length);
  while (sent < 0 && errno == EINTR);
  return sent >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS);
}

/* With the mutex. */
static gboolean
flush (DerateNotifySocket *self)
{
  while (!g_queue_is_empty (&self->kept) && transmit (self, g_queue_peek_head (&self->kept)))
    g_free (g_queue_pop_head (&self->kept));
  return !g_queue_is_empty (&self->kept);
}

void
derate_notify_socket_send (DerateNotifySocket *self, const char *text)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->mutex);

  if (!flush (self) && transmit (self, text))
    return;
  if (g_queue_get_length (&self->kept) >= KEPT_MAX)
    g_free (g_queue_pop_head (&self->kept));
  g_queue_push_tail (&self->kept, g_strdup (text));
}

void
derate_notify_socket_ping (DerateNotifySocket *self, const char *text)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->mutex);

  if (!flush (self))
    transmit (self, text);
}

gboolean
derate_notify_socket_flush (DerateNotifySocket *self)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->mutex);

  return flush (self);
}

void
derate_notify_socket_free (DerateNotifySocket *self)
{
  if (self->fd >= 0)
    close (self->fd);
  g_queue_clear_full (&self->kept, g_free);
  g_mutex_clear (&self->mutex);
  g_free (self);
}
