/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Values with types. libpq gives all of them as text. */
#include "derate-pg-parameters-private.h"
#include "derate-pg-result-private.h"

#include <string.h>

static const struct
{
  guint32 type;
  const char *nick;
} types[] = {
  { DERATE_PG_TYPE_BOOL, "b" },   { DERATE_PG_TYPE_INT2, "n" },   { DERATE_PG_TYPE_INT4, "i" },
  { DERATE_PG_TYPE_INT8, "x" },   { DERATE_PG_TYPE_FLOAT4, "d" }, { DERATE_PG_TYPE_FLOAT8, "d" },
  { DERATE_PG_TYPE_BYTEA, "ay" },
};

static const char *
find_nick (guint32 type)
{
  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    if (types[i].type == type)
      return types[i].nick;
  return "s";
}

static GVariant *
bytes_from_text (const char *text)
{
  gsize length = 0;
  guchar *bytes = PQunescapeBytea ((const guchar *)text, &length);
  GVariant *value =
      g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, bytes, bytes != NULL ? length : 0, 1);

  PQfreemem (bytes);
  return value;
}

static GVariant *
string_from_text (const char *text)
{
  if (g_utf8_validate (text, -1, NULL))
    return g_variant_new_string (text);
  return g_variant_new_take_string (g_utf8_make_valid (text, -1));
}

static GVariant *
value_from_text (const char *nick, const char *text)
{
  switch (*nick)
    {
    case 'b':
      return g_variant_new_boolean (*text == 't');
    case 'n':
      return g_variant_new_int16 ((gint16)g_ascii_strtoll (text, NULL, 10));
    case 'i':
      return g_variant_new_int32 ((gint32)g_ascii_strtoll (text, NULL, 10));
    case 'x':
      return g_variant_new_int64 (g_ascii_strtoll (text, NULL, 10));
    case 'd':
      return g_variant_new_double (g_ascii_strtod (text, NULL));
    case 'a':
      return bytes_from_text (text);
    default:
      return string_from_text (text);
    }
}

/**
 * derate_pg_result_dup_value:
 * @result: a result
 * @row: a row, from 0
 * @column: a column, from 0
 *
 * A value with the type of its column: bool is `b`, int2 `n`, int4 `i`, int8 `x`, float4 and float8
 * `d`, bytea `ay`. Every other, such as numeric, a date or an array, is `s`, as PostgreSQL writes
 * it; what is not UTF-8 there is replaced.
 *
 * Returns: (transfer full) (nullable): the value, %NULL for SQL's NULL
 *
 * Since: 1.0
 */
GVariant *
derate_pg_result_dup_value (DeratePgResult *result, guint row, guint column)
{
  const char *text = derate_pg_result_get_value (result, row, column);
  guint32 type = derate_pg_result_get_column_type (result, column);

  return text != NULL ? g_variant_ref_sink (value_from_text (find_nick (type), text)) : NULL;
}

/* SQL's NULL: nothing of the type that the column has. */
static GVariant *
nothing (DeratePgResult *result, guint column)
{
  guint32 type = derate_pg_result_get_column_type (result, column);

  return g_variant_new_maybe (G_VARIANT_TYPE (find_nick (type)), NULL);
}

static GVariant *
build_row (DeratePgResult *result, guint row)
{
  GVariantBuilder builder = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE_VARDICT);

  for (guint i = 0; i < derate_pg_result_get_n_columns (result); i++)
    {
      g_autoptr (GVariant) value = derate_pg_result_dup_value (result, row, i);

      g_variant_builder_add (&builder, "{sv}", derate_pg_result_get_column_name (result, i),
                             value != NULL ? value : nothing (result, i));
    }
  return g_variant_builder_end (&builder);
}

/**
 * derate_pg_result_dup_row:
 * @result: a result
 * @row: a row, from 0
 *
 * A row by the names of its columns, an `a{sv}`. Values are as in derate_pg_result_dup_value();
 * SQL's NULL is nothing of that type, `mi` for an int4, which may be used as a parameter again. Of
 * columns that have the same name, a look-up finds the first.
 *
 * Returns: (transfer full) (nullable): the row, %NULL where there is none
 *
 * Since: 1.0
 */
GVariant *
derate_pg_result_dup_row (DeratePgResult *result, guint row)
{
  if (row >= derate_pg_result_get_n_rows (result))
    return NULL;
  return g_variant_ref_sink (build_row (result, row));
}

/**
 * derate_pg_result_to_variant:
 * @result: a result
 *
 * All rows, an `aa{sv}`, each as in derate_pg_result_dup_row().
 *
 * Returns: (transfer full): the rows
 *
 * Since: 1.0
 */
GVariant *
derate_pg_result_to_variant (DeratePgResult *result)
{
  GVariantBuilder builder = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE ("aa{sv}"));

  for (guint i = 0; i < derate_pg_result_get_n_rows (result); i++)
    g_variant_builder_add_value (&builder, build_row (result, i));
  return g_variant_ref_sink (g_variant_builder_end (&builder));
}
