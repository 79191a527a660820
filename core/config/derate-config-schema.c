/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <string.h>

#include "derate-config-private.h"
#include "derate-error.h"
#include "derate-level.h"
#include "derate-time-span.h"

/* Which groups there are, which keys they take, and what a value must be. Each check puts the value
 * in “”, and only there, so that it can be hidden where it came from the environment. */

typedef struct _Field Field;

typedef gboolean (*CheckFunc) (const Field *field, const char *value, GError **error);

struct _Field
{
  const char *key;
  CheckFunc check;
  double minimum;
  double maximum;
  const char *words; /* separated by | */
};

struct _DerateConfigKind
{
  const char *word;
  gboolean named;
  const Field *fields;
  guint n_fields;
  gboolean with_check_keys; /* check-NAME: ours or the plugin's */
  const char *breaker_prefix; /* properties of a breaker after this; NULL: none */
  gboolean with_options; /* any other key: what takes them judges them */
};

#define KEY_CHARACTERS "abcdefghijklmnopqrstuvwxyz0123456789-"

static gboolean
refuse (GError **error, const char *value, const char *what)
{
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG, "“%s” is not %s", value, what);
  return FALSE;
}

/* Text that is never shown, such as a URI. */
static gboolean
check_any (const Field *field, const char *value, GError **error)
{
  return TRUE;
}

gboolean
derate_config_name_is_valid (const char *name)
{
  static const char *const reserved[] = { "live", "ready", "startup", NULL };
  gsize length = strspn (name, "abcdefghijklmnopqrstuvwxyz0123456789_-");

  return g_ascii_islower (name[0]) && name[length] == '\0' && length <= 63 &&
         !g_strv_contains (reserved, name);
}

static gboolean
check_name (const Field *field, const char *value, GError **error)
{
  return derate_config_name_is_valid (value) ||
         refuse (error, value, "a name such as redis or my-service_2, or is reserved");
}

static gboolean
check_names (const Field *field, const char *value, GError **error)
{
  g_auto (GStrv) names = g_strsplit (value, " ", -1);

  for (guint i = 0; names[i] != NULL; i++)
    {
      if (names[i][0] != '\0' && !derate_config_name_is_valid (names[i]))
        return refuse (error, value, "a list of names with spaces between them");
      for (guint j = 0; j < i; j++)
        if (names[i][0] != '\0' && strcmp (names[i], names[j]) == 0)
          return refuse (error, value, "a list of names: one is in it twice");
    }
  return TRUE;
}

static gboolean
check_duration (const Field *field, const char *value, GError **error)
{
  g_autofree char *range = NULL;
  GTimeSpan span;

  if (!derate_time_span_parse (value, &span, NULL))
    return refuse (error, value, "a duration such as 30s or 250ms");
  if ((double)span >= field->minimum && (field->maximum <= 0 || (double)span <= field->maximum))
    return TRUE;
  if (field->maximum > 0)
    {
      g_autofree char *low = derate_time_span_to_string ((GTimeSpan)field->minimum);
      g_autofree char *high = derate_time_span_to_string ((GTimeSpan)field->maximum);

      range = g_strdup_printf ("a duration from %s to %s", low, high);
    }
  return refuse (error, value, range != NULL ? range : "a duration longer than 0");
}

static gboolean
check_uint (const Field *field, const char *value, GError **error)
{
  g_autofree char *range =
      g_strdup_printf ("a whole number from %.0f to %.0f", field->minimum, field->maximum);

  return g_ascii_string_to_unsigned (value, 10, (guint64)field->minimum, (guint64)field->maximum,
                                     NULL, NULL) ||
         refuse (error, value, range);
}

static gboolean
check_double (const Field *field, const char *value, GError **error)
{
  g_autofree char *range =
      g_strdup_printf ("a number from %g to %g", field->minimum, field->maximum);
  char *end = NULL;
  double number = g_ascii_strtod (value, &end);

  /* strtod () also reads hexadecimal, infinities and leading spaces. */
  return (value[strspn (value, "0123456789.eE+-")] == '\0' && end != value && *end == '\0' &&
          isfinite (number) && number >= field->minimum && number <= field->maximum) ||
         refuse (error, value, range);
}

gboolean
derate_config_parse_boolean (const char *text, gboolean *value)
{
  static const char *const on[] = { "on", "true", "yes", "1", NULL };
  static const char *const off[] = { "off", "false", "no", "0", NULL };

  *value = g_strv_contains (on, text);
  return *value || g_strv_contains (off, text);
}

static gboolean
check_boolean (const Field *field, const char *value, GError **error)
{
  gboolean on;

  return derate_config_parse_boolean (value, &on) || refuse (error, value, "on or off");
}

static gboolean
check_word (const Field *field, const char *value, GError **error)
{
  g_auto (GStrv) words = g_strsplit (field->words, "|", -1);
  g_autofree char *list = g_strjoinv (", ", words);
  g_autofree char *what = g_strdup_printf ("one of %s", list);

  return g_strv_contains ((const char *const *)words, value) || refuse (error, value, what);
}

static gboolean
check_level (const Field *field, const char *value, GError **error)
{
  DerateLevel level;

  return derate_level_from_nick (value, &level, NULL) ||
         refuse (error, value, "one of optimal, degraded, limited, minimal, emergency");
}

static gboolean
check_metric_name (const Field *field, const char *value, GError **error)
{
  return (!g_ascii_isdigit (value[0]) &&
          value[strspn (value,
                        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")] ==
              '\0') ||
         refuse (error, value, "a part of a metric's name: letters, digits and _");
}

static gboolean
check_absolute_path (const Field *field, const char *value, GError **error)
{
  return g_path_is_absolute (value) || refuse (error, value, "an absolute path");
}

/* Where to listen: nothing that would have to be looked up. */
static gboolean
check_address (const Field *field, const char *value, GError **error)
{
  return strcmp (value, "localhost") == 0 || g_hostname_is_ip_address (value) ||
         refuse (error, value, "an IP address or localhost");
}

static gboolean
check_url_prefix (const Field *field, const char *value, GError **error)
{
  return (*value == '/' && strpbrk (value, " ?#") == NULL) ||
         refuse (error, value, "a path such as /admin");
}

#define DAY ((double)G_TIME_SPAN_DAY)
#define MILLISECOND ((double)G_TIME_SPAN_MILLISECOND)
#define PRESETS "development|staging|production|critical"
#define DURATION(key_, minimum_, maximum_)                                               \
  {                                                                                      \
    .key = (key_), .check = check_duration, .minimum = (minimum_), .maximum = (maximum_) \
  }
#define UINT(key_, minimum_, maximum_)                                               \
  {                                                                                  \
    .key = (key_), .check = check_uint, .minimum = (minimum_), .maximum = (maximum_) \
  }
#define DOUBLE(key_, minimum_, maximum_)                                               \
  {                                                                                    \
    .key = (key_), .check = check_double, .minimum = (minimum_), .maximum = (maximum_) \
  }
#define WORD(key_, words_)                                \
  {                                                       \
    .key = (key_), .check = check_word, .words = (words_) \
  }

static const Field derate_fields[] = {
  { .key = "name", .check = check_name },
  { .key = "state-dir", .check = check_absolute_path },
  WORD ("preset", PRESETS),
  WORD ("rules", "extend|replace"),
  DURATION ("grace", 0, DAY),
  WORD ("recovery", "direct|stepwise"),
  DURATION ("recovery-interval", 10 * MILLISECOND, DAY),
  DURATION ("recovery-hold", 0, DAY),
  { .key = "recovery-damping", .check = check_boolean },
  { .key = "enforce", .check = check_boolean },
  { .key = "metrics-prefix", .check = check_metric_name },
  { .key = "metrics-breaker-label", .check = check_metric_name },
  { .key = "metrics-aliases", .check = check_boolean },
  DURATION ("answer-budget", MILLISECOND, DAY),
};

static const Field service_fields[] = {
  { .key = "plugin", .check = check_name },         WORD ("role", "none|database|ai|cache|storage"),
  WORD ("criticality", "low|medium|high|critical"), { .key = "uri", .check = check_any },
  { .key = "password-file", .check = check_any },   WORD ("preset", PRESETS),
  { .key = "alternate", .check = check_name },      { .key = "breaker", .check = check_name },
  DURATION ("call-timeout", MILLISECOND, DAY),      UINT ("bulkhead", 1, 1000000),
  { .key = "fallback", .check = check_names },      UINT ("fallback-bulkhead", 1, 1000000),
};

static const Field breaker_fields[] = {
  WORD ("preset", PRESETS),
};

/* Of a breaker, but not of its configuration. */
static const Field breaker_extra_fields[] = {
  WORD ("mode", "normal|disabled|metrics-only|forced-open"),
  DOUBLE ("degraded-rate", 0, 1),
};

static const Field rule_fields[] = {
  { .key = "when", .check = check_any },
  { .key = "level", .check = check_level },
};

static const Field feature_fields[] = {
  { .key = "needs", .check = check_any },
  { .key = "until", .check = check_level },
};

static const Field fallback_fields[] = {
  { .key = "strategy", .check = check_name },
};

static const Field queue_fields[] = {
  { .key = "service", .check = check_name },
  UINT ("max-count", 1, 1e9),
  UINT ("max-bytes", 1, 1e15),
  DURATION ("max-age", MILLISECOND, 0),
  UINT ("attempts", 1, 1000),
};

static const Field http_fields[] = {
  { .key = "address", .check = check_address },   UINT ("port", 0, 65535),
  { .key = "prefix", .check = check_url_prefix }, { .key = "metrics", .check = check_boolean },
  { .key = "health", .check = check_boolean },    { .key = "details", .check = check_boolean },
  { .key = "page", .check = check_boolean },
};

static const Field dbus_fields[] = {
  WORD ("bus", "session|system|none"),
};

#define FIELDS(array_) .fields = (array_), .n_fields = G_N_ELEMENTS (array_)

static const DerateConfigKind kinds[] = {
  { .word = "derate", FIELDS (derate_fields) },
  { .word = "service",
    .named = TRUE,
    FIELDS (service_fields),
    .with_check_keys = TRUE,
    .breaker_prefix = "breaker-" },
  { .word = "breaker", .named = TRUE, FIELDS (breaker_fields), .breaker_prefix = "" },
  { .word = "rule", .named = TRUE, FIELDS (rule_fields) },
  { .word = "feature", .named = TRUE, FIELDS (feature_fields) },
  { .word = "fallback", .named = TRUE, FIELDS (fallback_fields), .with_options = TRUE },
  { .word = "queue", .named = TRUE, FIELDS (queue_fields) },
  { .word = "http", FIELDS (http_fields) },
  { .word = "dbus", FIELDS (dbus_fields) },
};

const DerateConfigKind *
derate_config_kind_find (const char *word)
{
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    if (strcmp (kinds[i].word, word) == 0)
      return &kinds[i];
  return NULL;
}

gboolean
derate_config_kind_is_named (const DerateConfigKind *kind)
{
  return kind->named;
}

static const Field *
find_field (const Field *fields, guint n_fields, const char *key)
{
  for (guint i = 0; i < n_fields; i++)
    if (strcmp (fields[i].key, key) == 0)
      return &fields[i];
  return NULL;
}

/* The property of a breaker that @key sets, or NULL. */
static const char *
property_of_key (const DerateConfigKind *kind, const char *key)
{
  if (kind->breaker_prefix == NULL || !g_str_has_prefix (key, kind->breaker_prefix))
    return NULL;
  return key + strlen (kind->breaker_prefix);
}

static gboolean
is_breaker_property (const char *property)
{
  return find_field (breaker_extra_fields, G_N_ELEMENTS (breaker_extra_fields), property) != NULL ||
         derate_breaker_config_has_key (property);
}

gboolean
derate_config_kind_has_key (const DerateConfigKind *kind, const char *key)
{
  const char *property = property_of_key (kind, key);

  if (find_field (kind->fields, kind->n_fields, key) != NULL)
    return TRUE;
  if (property != NULL && is_breaker_property (property))
    return TRUE;
  return kind->with_options ||
         (kind->with_check_keys && g_str_has_prefix (key, "check-") && key[6] != '\0');
}

/* Others' words for a value: what of key and value they put in front gives way to “VALUE”. */
static gboolean
pass_on (GError *cause, const char *key, const char *value, GError **error)
{
  g_autofree char *key_and_value = g_strdup_printf ("%s=%s: ", key, value);
  g_autofree char *key_alone = g_strdup_printf ("%s: ", key);
  g_autofree char *quoted = g_strdup_printf ("“%s” ", value);
  g_autofree char *plain = g_strdup_printf ("'%s' ", value);
  const char *const fronts[] = { key_and_value, key_alone, quoted, plain };
  const char *message = cause->message;

  for (guint i = 0; i < G_N_ELEMENTS (fronts); i++)
    if (g_str_has_prefix (message, fronts[i]))
      message += strlen (fronts[i]);
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG, "“%s” %s", value, message);
  return FALSE;
}

static gboolean
check_breaker_property (const char *property, const char *value, GError **error)
{
  const Field *field =
      find_field (breaker_extra_fields, G_N_ELEMENTS (breaker_extra_fields), property);
  g_autoptr (DerateBreakerConfig) scratch = NULL;
  g_autoptr (GError) local_error = NULL;

  if (field != NULL)
    return field->check (field, value, error);
  scratch = derate_breaker_config_new ();
  return derate_breaker_config_set_from_string (scratch, property, value, &local_error) ||
         pass_on (local_error, property, value, error);
}

static gboolean
check_check_key (const char *key, const char *value, GError **error)
{
  g_autoptr (DerateHealthCheckConfig) scratch = NULL;
  g_autoptr (GError) local_error = NULL;

  if (!derate_health_check_config_has_key (key))
    return TRUE;
  scratch = derate_health_check_config_new ();
  return derate_health_check_config_set_from_string (scratch, key, value, &local_error) ||
         pass_on (local_error, key, value, error);
}

gboolean
derate_config_kind_check (const DerateConfigKind *kind,
                          const char *key,
                          const char *value,
                          GError **error)
{
  const Field *field = find_field (kind->fields, kind->n_fields, key);
  const char *property = property_of_key (kind, key);

  if (field != NULL)
    return field->check (field, value, error);
  if (property != NULL && is_breaker_property (property))
    return check_breaker_property (property, value, error);
  return !kind->with_check_keys || check_check_key (key, value, error);
}
