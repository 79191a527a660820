/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "deratectl-terminal.h"

#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "deratectl.h"

#define ENTER "\033[?1049h\033[?25l"
#define LEAVE "\033[?25h\033[?1049l"
#define TOP "\033[H"
#define CLEAR_LINE "\033[K"
#define CLEAR_BELOW "\033[J"

static struct termios before;
static gboolean entered;
static gboolean changed;

gboolean
deratectl_terminal_get_size (guint *width, guint *height)
{
  struct winsize size = { 0 };

  if (!isatty (STDOUT_FILENO))
    return FALSE;
  ioctl (STDOUT_FILENO, TIOCGWINSZ, &size);
  if (width != NULL)
    *width = size.ws_col > 0 ? size.ws_col : 80;
  if (height != NULL)
    *height = size.ws_row > 0 ? size.ws_row : 24;
  return TRUE;
}

gboolean
deratectl_terminal_is_live (void)
{
  const char *term = g_getenv ("TERM");

  return isatty (STDOUT_FILENO) && term != NULL && *term != '\0' && strcmp (term, "dumb") != 0;
}

/* Keys are read one by one and not shown; ^C goes on to interrupt, while ^Z would leave the shell
 * in our screen. */
void
deratectl_terminal_enter (void)
{
  struct termios mode;

  if (entered)
    return;
  entered = TRUE;
  changed = tcgetattr (STDIN_FILENO, &before) == 0;
  if (changed)
    {
      mode = before;
      mode.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
      mode.c_cc[VSUSP] = _POSIX_VDISABLE;
      mode.c_cc[VMIN] = 1;
      mode.c_cc[VTIME] = 0;
      tcsetattr (STDIN_FILENO, TCSANOW, &mode);
    }
  g_print (ENTER);
}

void
deratectl_terminal_leave (void)
{
  if (!entered)
    return;
  entered = FALSE;
  g_print (LEAVE);
  if (changed)
    tcsetattr (STDIN_FILENO, TCSAFLUSH, &before);
}

/* In place, without clearing the screen first: that would flicker. */
void
deratectl_terminal_draw (const char *page)
{
  g_auto (GStrv) lines = g_strsplit (page, "\n", -1);
  g_autoptr (GString) text = g_string_new (TOP);
  guint height = 0;

  deratectl_terminal_get_size (NULL, &height);
  for (guint i = 0; i < height && lines[i] != NULL; i++)
    g_string_append_printf (text, "%s%s" CLEAR_LINE, i > 0 ? "\n" : "", lines[i]);
  g_string_append (text, CLEAR_BELOW);
  g_print ("%s", text->str);
}
