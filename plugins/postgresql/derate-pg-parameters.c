/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers go in binary, with the type that holds them all: uint16 as int4, uint32 as int8. A string
 * goes as text without a type, so that the server takes it for a date, an UUID, a number or
 * whatever stands there in the statement. */
#include "derate-pg-parameters-private.h"

#include "derate-pg-error.h"

#include <string.h>

#define MAX_PARAMETERS 65535 /* the protocol counts them in 16 bits */
#define FORMAT_TEXT 0
#define FORMAT_BINARY 1

static void
make_room (DeratePgParameters *self, gsize n)
{
  gsize each =
      sizeof (Oid) + sizeof (char *) + 2 * sizeof (int) + sizeof (guint64) + sizeof (GVariant *);
  char *at;

  if (n <= DERATE_PG_FEW)
    {
      self->types = self->few_types;
      self->values = self->few_values;
      self->lengths = self->few_lengths;
      self->formats = self->few_formats;
      self->scratch = self->few_scratch;
      self->kept = self->few_kept;
      return;
    }
  /* The widest first, so that each stands where it may. */
  at = self->allocated = g_malloc_n (n, each);
  self->scratch = (gpointer)at;
  at += sizeof (guint64) * n;
  self->values = (gpointer)at;
  at += sizeof (char *) * n;
  self->kept = (gpointer)at;
  at += sizeof (GVariant *) * n;
  self->types = (gpointer)at;
  at += sizeof (Oid) * n;
  self->lengths = (gpointer)at;
  at += sizeof (int) * n;
  self->formats = (gpointer)at;
}

static void
set_binary (DeratePgParameters *self, int i, DeratePgType type, gconstpointer value, gsize length)
{
  self->types[i] = type;
  self->formats[i] = FORMAT_BINARY;
  self->lengths[i] = (int)length;
  self->values[i] = value;
}

static void
set_scratch (DeratePgParameters *self, int i, DeratePgType type, guint64 big_endian, gsize length)
{
  /* The last bytes of the eight are the number. */
  self->scratch[i] = big_endian;
  set_binary (self, i, type, (const char *)&self->scratch[i] + sizeof (guint64) - length, length);
}

static void
set_integer (DeratePgParameters *self, int i, gint64 value, gsize length)
{
  DeratePgType type = DERATE_PG_TYPE_INT8;

  if (length < sizeof (gint64))
    type = length == sizeof (gint16) ? DERATE_PG_TYPE_INT2 : DERATE_PG_TYPE_INT4;
  set_scratch (self, i, type, GUINT64_TO_BE ((guint64)value), length);
}

static void
set_double (DeratePgParameters *self, int i, double value)
{
  guint64 bits;

  memcpy (&bits, &value, sizeof bits);
  set_scratch (self, i, DERATE_PG_TYPE_FLOAT8, GUINT64_TO_BE (bits), sizeof bits);
}

static gboolean
refuse (int i, GVariant *value, const char *problem, GError **error)
{
  g_set_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_PARAMETER, "parameter $%d of type “%s” %s",
               i + 1, g_variant_get_type_string (value), problem);
  return FALSE;
}

static gboolean
set_uint64 (DeratePgParameters *self, int i, GVariant *value, GError **error)
{
  guint64 number = g_variant_get_uint64 (value);

  if (number > G_MAXINT64)
    return refuse (i, value, "holds more than an int8 can: send it as text", error);
  set_integer (self, i, (gint64)number, sizeof (gint64));
  return TRUE;
}

static void
set_string (DeratePgParameters *self, int i, GVariant *value)
{
  self->types[i] = DERATE_PG_TYPE_UNKNOWN;
  self->formats[i] = FORMAT_TEXT;
  self->lengths[i] = 0; /* libpq looks for the end */
  self->values[i] = g_variant_get_string (value, NULL);
}

static gboolean
set_bytes (DeratePgParameters *self, int i, GVariant *value, GError **error)
{
  gsize length = 0;
  gconstpointer bytes;

  if (!g_variant_is_of_type (value, G_VARIANT_TYPE_BYTESTRING))
    return refuse (i, value, "cannot be sent", error);
  bytes = g_variant_get_fixed_array (value, &length, 1);
  if (length > G_MAXINT)
    return refuse (i, value, "is longer than a message can be", error);
  /* A NULL pointer is NULL, which an empty array is not. */
  set_binary (self, i, DERATE_PG_TYPE_BYTEA, bytes != NULL ? bytes : "", length);
  return TRUE;
}

static gboolean
set_value (DeratePgParameters *self, int i, GVariant *value, GError **error)
{
  switch (g_variant_classify (value))
    {
    case G_VARIANT_CLASS_BOOLEAN:
      set_scratch (self, i, DERATE_PG_TYPE_BOOL, GUINT64_TO_BE (g_variant_get_boolean (value)), 1);
      return TRUE;
    case G_VARIANT_CLASS_BYTE:
      set_integer (self, i, g_variant_get_byte (value), sizeof (gint16));
      return TRUE;
    case G_VARIANT_CLASS_INT16:
      set_integer (self, i, g_variant_get_int16 (value), sizeof (gint16));
      return TRUE;
    case G_VARIANT_CLASS_UINT16:
      set_integer (self, i, g_variant_get_uint16 (value), sizeof (gint32));
      return TRUE;
    case G_VARIANT_CLASS_INT32:
      set_integer (self, i, g_variant_get_int32 (value), sizeof (gint32));
      return TRUE;
    case G_VARIANT_CLASS_UINT32:
      set_integer (self, i, g_variant_get_uint32 (value), sizeof (gint64));
      return TRUE;
    case G_VARIANT_CLASS_INT64:
      set_integer (self, i, g_variant_get_int64 (value), sizeof (gint64));
      return TRUE;
    case G_VARIANT_CLASS_UINT64:
      return set_uint64 (self, i, value, error);
    case G_VARIANT_CLASS_DOUBLE:
      set_double (self, i, g_variant_get_double (value));
      return TRUE;
    case G_VARIANT_CLASS_STRING:
      set_string (self, i, value);
      return TRUE;
    case G_VARIANT_CLASS_ARRAY:
      return set_bytes (self, i, value, error);
    default:
      return refuse (i, value, "cannot be sent", error);
    }
}

static const struct
{
  const char *nick;
  DeratePgType type;
} types[] = {
  { "b", DERATE_PG_TYPE_BOOL },    { "y", DERATE_PG_TYPE_INT2 },    { "n", DERATE_PG_TYPE_INT2 },
  { "q", DERATE_PG_TYPE_INT4 },    { "i", DERATE_PG_TYPE_INT4 },    { "u", DERATE_PG_TYPE_INT8 },
  { "x", DERATE_PG_TYPE_INT8 },    { "t", DERATE_PG_TYPE_INT8 },    { "d", DERATE_PG_TYPE_FLOAT8 },
  { "s", DERATE_PG_TYPE_UNKNOWN }, { "v", DERATE_PG_TYPE_UNKNOWN }, { "ay", DERATE_PG_TYPE_BYTEA },
};

/* Nothing of a type "m?" has that type all the same: the statement is the same one. */
static gboolean
set_null (DeratePgParameters *self, int i, GVariant *nothing, GError **error)
{
  const char *nick = g_variant_get_type_string (nothing) + 1;

  for (guint j = 0; j < G_N_ELEMENTS (types); j++)
    {
      if (!g_str_equal (types[j].nick, nick))
        continue;
      set_binary (self, i, types[j].type, NULL, 0);
      return TRUE;
    }
  return refuse (i, nothing, "cannot be sent", error);
}

/* Takes @value over, and gives the innermost one; NULL stands for nothing, of type @nothing. */
static GVariant *
unwrap (GVariant *value, GVariant **nothing)
{
  while (value != NULL && (g_variant_is_of_type (value, G_VARIANT_TYPE_VARIANT) ||
                           g_variant_is_of_type (value, G_VARIANT_TYPE_MAYBE)))
    {
      gboolean is_maybe = g_variant_is_of_type (value, G_VARIANT_TYPE_MAYBE);
      GVariant *inner = is_maybe ? g_variant_get_maybe (value) : g_variant_get_variant (value);

      if (inner == NULL)
        *nothing = value;
      else
        g_variant_unref (value);
      value = inner;
    }
  return value;
}

static gboolean
take_child (DeratePgParameters *self, GVariant *child, gsize *room, GError **error)
{
  g_autoptr (GVariant) nothing = NULL;
  GVariant *value = unwrap (child, &nothing);
  gsize size = value != NULL ? g_variant_get_size (value) : 0;
  int i = self->n++;

  self->kept[i] = value;
  self->is_big = size > *room;
  if (self->is_big)
    return FALSE;
  *room -= size;
  return value != NULL ? set_value (self, i, value, error) : set_null (self, i, nothing, error);
}

gboolean
derate_pg_parameters_init (DeratePgParameters *self,
                           GVariant *tuple,
                           gboolean takes_big,
                           GError **error)
{
  gsize room = takes_big ? G_MAXSIZE : DERATE_PG_BIG;
  gsize n;

  self->n = 0;
  self->is_big = FALSE;
  self->allocated = NULL;
  if (tuple == NULL)
    return TRUE;
  if (!g_variant_is_of_type (tuple, G_VARIANT_TYPE_TUPLE))
    {
      g_set_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_PARAMETER,
                   "the parameters have type “%s”: not a tuple", g_variant_get_type_string (tuple));
      return FALSE;
    }
  n = g_variant_n_children (tuple);
  if (n > MAX_PARAMETERS)
    {
      g_set_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_PARAMETER,
                   "%" G_GSIZE_FORMAT " parameters: a statement has at most %d", n, MAX_PARAMETERS);
      return FALSE;
    }
  make_room (self, n);
  for (gsize i = 0; i < n; i++)
    if (!take_child (self, g_variant_get_child_value (tuple, i), &room, error))
      {
        derate_pg_parameters_clear (self);
        return self->is_big;
      }
  return TRUE;
}

void
derate_pg_parameters_clear (DeratePgParameters *self)
{
  for (int i = 0; i < self->n; i++)
    g_clear_pointer (&self->kept[i], g_variant_unref);
  self->n = 0;
  g_clear_pointer (&self->allocated, g_free);
}
