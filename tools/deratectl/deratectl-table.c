/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "deratectl.h"

#include <stdarg.h>
#include <string.h>

/* Columns that are as wide as what is in them, or as there is room for: on a terminal the longest
 * give way, and nothing wraps. */

#define GAP 2
/* A column that would be cut to less tells too little: first others are left out for it. */
#define READABLE 24
#define LEFT_OUT (-GAP)

typedef struct
{
  char *text;
  DeratectlColour colour;
} Cell;

struct _DeratectlTable
{
  char *indent;
  GPtrArray *rows; /* of GArray of Cell */
  GArray *row;
  GArray *optional; /* of guint: columns, the first to go first */
};

static void
cell_clear (gpointer data)
{
  Cell *cell = data;

  g_free (cell->text);
}

static GArray *
new_row (void)
{
  GArray *row = g_array_new (FALSE, TRUE, sizeof (Cell));

  g_array_set_clear_func (row, cell_clear);
  return row;
}

DeratectlTable *
deratectl_table_new (const char *indent)
{
  DeratectlTable *table = g_new0 (DeratectlTable, 1);

  table->indent = g_strdup (indent);
  table->rows = g_ptr_array_new_with_free_func ((GDestroyNotify)g_array_unref);
  table->row = new_row ();
  table->optional = g_array_new (FALSE, FALSE, sizeof (guint));
  return table;
}

void
deratectl_table_free (DeratectlTable *table)
{
  g_free (table->indent);
  g_ptr_array_unref (table->rows);
  g_array_unref (table->row);
  g_array_unref (table->optional);
  g_free (table);
}

void
deratectl_table_add (DeratectlTable *table, DeratectlColour colour, const char *text)
{
  Cell cell = { deratectl_clean (text != NULL ? text : ""), colour };

  g_array_append_val (table->row, cell);
}

void
deratectl_table_end_row (DeratectlTable *table)
{
  g_ptr_array_add (table->rows, g_steal_pointer (&table->row));
  table->row = new_row ();
}

void
deratectl_table_add_header (DeratectlTable *table, ...)
{
  const char *text = NULL;
  va_list args;

  va_start (args, table);
  while ((text = va_arg (args, const char *)) != NULL)
    deratectl_table_add (table, DERATECTL_COLOUR_DIM, text);
  va_end (args);
  deratectl_table_end_row (table);
}

void
deratectl_table_add_optional (DeratectlTable *table, guint column)
{
  g_array_append_val (table->optional, column);
}

static GArray *
measure (DeratectlTable *table)
{
  GArray *widths = g_array_new (FALSE, TRUE, sizeof (int));

  for (guint i = 0; i < table->rows->len; i++)
    {
      GArray *row = g_ptr_array_index (table->rows, i);

      if (row->len > widths->len)
        g_array_set_size (widths, row->len);
      for (guint j = 0; j < row->len; j++)
        {
          int *width = &g_array_index (widths, int, j);

          *width = MAX (*width, deratectl_get_width (g_array_index (row, Cell, j).text));
        }
    }
  return widths;
}

/* Of a line in which no column is wider than @cap. */
static int
sum (GArray *widths, int cap)
{
  int total = -GAP;

  for (guint i = 0; i < widths->len; i++)
    total += MIN (g_array_index (widths, int, i), cap) + GAP;
  return total;
}

static int
find_cap (GArray *widths, int room)
{
  int cap = room;

  while (cap > 1 && sum (widths, cap) > room)
    cap--;
  return cap;
}

static void
fit (DeratectlTable *table, GArray *widths, int room)
{
  int cap;

  for (guint i = 0; i < table->optional->len && find_cap (widths, room) < READABLE; i++)
    if (sum (widths, G_MAXINT16) > room)
      g_array_index (widths, int, g_array_index (table->optional, guint, i)) = LEFT_OUT;
  cap = find_cap (widths, room);
  for (guint i = 0; i < widths->len; i++)
    g_array_index (widths, int, i) = MIN (g_array_index (widths, int, i), cap);
}

static void
append_row (GString *page, GArray *row, GArray *widths, const char *indent)
{
  gsize end;

  g_string_append (page, indent);
  end = page->len;
  for (guint i = 0; i < row->len; i++)
    {
      const Cell *cell = &g_array_index (row, Cell, i);
      int width = g_array_index (widths, int, i);
      g_autofree char *cut = width > 0 ? deratectl_cut (cell->text, width) : NULL;
      g_autofree char *painted = cut != NULL ? deratectl_paint (cell->colour, cut) : NULL;

      if (width == LEFT_OUT)
        continue;
      if (painted != NULL)
        g_string_append (page, painted);
      if (painted != NULL && *painted != '\0')
        end = page->len;
      g_string_append_printf (page, "%*s",
                              width + GAP - (cut != NULL ? deratectl_get_width (cut) : 0), "");
    }
  g_string_truncate (page, end);
  g_string_append_c (page, '\n');
}

void
deratectl_table_append (DeratectlTable *table, GString *page, guint width, guint height)
{
  g_autoptr (GArray) widths = measure (table);
  guint shown = table->rows->len;

  if (width > 0)
    fit (table, widths, (int)width - deratectl_get_width (table->indent));
  if (height > 0 && shown > height)
    shown = height - 1;
  for (guint i = 0; i < shown; i++)
    append_row (page, g_ptr_array_index (table->rows, i), widths, table->indent);
  if (shown < table->rows->len)
    g_string_append_printf (page, "%s… and %u more\n", table->indent, table->rows->len - shown);
}

void
deratectl_table_print (DeratectlTable *table)
{
  g_autoptr (GString) page = g_string_new (NULL);

  deratectl_table_append (table, page, 0, 0);
  g_print ("%s", page->str);
}

void
deratectl_table_print_fitted (DeratectlTable *table)
{
  g_autoptr (GString) page = g_string_new (NULL);
  guint width = 0;

  deratectl_terminal_get_size (&width, NULL);
  deratectl_table_append (table, page, width, 0);
  g_print ("%s", page->str);
}
