/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What can be seen wrong with the file of a module before the linker opens it. The linker maps what
 * the program headers promise; where the file ends before that, as one does that is still being
 * copied, the process dies of a bus error. */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

#include "derate-error.h"
#include "derate-plugin-private.h"

static gboolean
read_at (int fd, gpointer buffer, gsize length, guint64 offset)
{
  return offset <= G_MAXINT64 && pread (fd, buffer, length, (off_t)offset) == (gssize)length;
}

/* Whether all is there that is to be mapped. What is no ELF of this machine is the linker's to
 * refuse: it does so without harm. */
static gboolean
is_whole (int fd, guint64 size)
{
  ElfW (Ehdr) header;

  if (!read_at (fd, &header, sizeof header, 0) || memcmp (header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_phentsize != sizeof (ElfW (Phdr)))
    return TRUE;
  for (guint i = 0; i < header.e_phnum; i++)
    {
      ElfW (Phdr) part;

      if (!read_at (fd, &part, sizeof part, header.e_phoff + i * sizeof part))
        return FALSE;
      if (part.p_filesz > size || part.p_offset > size - part.p_filesz)
        return FALSE;
    }
  return TRUE;
}

gboolean
derate_plugin_file_check (const char *path, GError **error)
{
  GStatBuf info;
  gboolean whole;
  int fd;

  if (g_stat (path, &info) != 0)
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_NO_SUCH_PLUGIN, "it cannot be read: %s",
                   g_strerror (errno));
      return FALSE;
    }
  /* A pipe or a device would block. */
  if (!S_ISREG (info.st_mode))
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_PLUGIN, "it is not a regular file");
      return FALSE;
    }
  fd = g_open (path, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0)
    return TRUE; /* the linker says why */
  whole = is_whole (fd, (guint64)info.st_size);
  close (fd);
  if (!whole)
    g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_PLUGIN,
                 "it is not whole: the file ends before what it says is in it");
  return whole;
}
