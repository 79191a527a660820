/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <derate.h>

#include <string.h>

#include "derate-gate-set-private.h"

enum
{
  DATABASE,
  REDIS,
  OPENAI,
  S3,
  N_SERVICES,
};

static const DerateLevel levels[] = { DERATE_LEVEL_OPTIMAL, DERATE_LEVEL_DEGRADED,
                                      DERATE_LEVEL_LIMITED, DERATE_LEVEL_MINIMAL,
                                      DERATE_LEVEL_EMERGENCY };

static GPtrArray *
make_inputs (void)
{
  static const char *const names[] = { "database", "redis", "openai", "s3" };
  static const DerateServiceRole roles[] = { DERATE_SERVICE_ROLE_DATABASE,
                                             DERATE_SERVICE_ROLE_CACHE, DERATE_SERVICE_ROLE_AI,
                                             DERATE_SERVICE_ROLE_STORAGE };
  GPtrArray *inputs = g_ptr_array_new_with_free_func ((GDestroyNotify)derate_rule_input_unref);

  for (guint i = 0; i < N_SERVICES; i++)
    g_ptr_array_add (inputs, derate_rule_input_new (names[i], roles[i], DERATE_CRITICALITY_LOW));
  return inputs;
}

static char
letter (DerateGateMode mode, DerateGateReason reason)
{
  if (mode == DERATE_GATE_MODE_ON)
    return reason == DERATE_GATE_REASON_NONE ? '+' : '?';
  if (mode == DERATE_GATE_MODE_QUEUED)
    return reason == DERATE_GATE_REASON_LEVEL ? 'q' : 'Q';
  return reason == DERATE_GATE_REASON_LEVEL ? '-' : 'X';
}

/* The gates by level, and by what is wrong: + on, q and Q queued, - and X off, small ones and - by
 * the level, great ones by what is needed. */
static const struct
{
  const char *feature;
  const char *states; /* of database, redis, openai, s3 */
  const char *modes; /* at each level */
} cases[] = {
  { "ai", "HHHH", "++---" },      { "ai", "XXDX", "++---" },      { "ai", "HHXH", "XX---" },
  { "cache", "HHHH", "++++-" },   { "cache", "XDXX", "++++-" },   { "cache", "HXHH", "XXXX-" },
  { "uploads", "HHHH", "++qq-" }, { "uploads", "HHHD", "++qq-" }, { "uploads", "HHHX", "QQQQ-" },
  { "writes", "HHHH", "+++--" },  { "writes", "DHHH", "XXX--" },  { "writes", "XHHH", "XXX--" },
  { "writes", "UHHH", "XXX--" },  { "reads", "HHHH", "++++-" },   { "reads", "XHHH", "++++-" },
  { "reads", "HXHH", "++++-" },   { "reads", "XXHH", "XXXX-" },   { "status", "XXXX", "+++++" },
};

static void
parse_states (const char *text, DerateHealthStatus *statuses)
{
  for (guint i = 0; i < N_SERVICES; i++)
    statuses[i] = text[i] == 'H'   ? DERATE_HEALTH_STATUS_HEALTHY
                  : text[i] == 'D' ? DERATE_HEALTH_STATUS_DEGRADED
                  : text[i] == 'X' ? DERATE_HEALTH_STATUS_DOWN
                                   : DERATE_HEALTH_STATUS_UNKNOWN;
}

static char *
ask_at_all_levels (DerateGateSet *set, const char *feature, const char *states, gboolean enforced)
{
  GString *modes = g_string_new (NULL);

  for (guint i = 0; i < G_N_ELEMENTS (levels); i++)
    {
      DerateHealthStatus statuses[N_SERVICES];
      DerateGateReason reason;
      DerateGate *gate = derate_gate_set_lookup (set, feature);
      DerateGateMode mode;

      parse_states (states, statuses);
      derate_gate_set_update (set, statuses, levels[i], enforced);
      mode = derate_gate_get_mode (gate, &reason);
      g_string_append_c (modes, letter (mode, reason));
      g_assert_cmpint (derate_gate_is_open (gate), ==, !enforced || mode != DERATE_GATE_MODE_OFF);
    }
  return g_string_free (modes, FALSE);
}

static void
test_default_features (void)
{
  g_autoptr (GPtrArray) inputs = make_inputs ();
  g_autoptr (DerateGateSet) set = derate_gate_set_new ();

  derate_gate_set_define (set, inputs, NULL);
  g_assert_cmpuint (derate_gate_set_get_n (set), ==, 6);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *modes = ask_at_all_levels (set, cases[i].feature, cases[i].states, TRUE);
      g_autofree char *shown = ask_at_all_levels (set, cases[i].feature, cases[i].states, FALSE);

      g_test_message ("%s with %s", cases[i].feature, cases[i].states);
      g_assert_cmpstr (modes, ==, cases[i].modes);
      /* Not enforced: shown all the same, and open. */
      g_assert_cmpstr (shown, ==, cases[i].modes);
    }
}

static void
test_features_without_services (void)
{
  g_autoptr (GPtrArray) inputs = g_ptr_array_new ();
  g_autoptr (DerateGateSet) set = derate_gate_set_new ();

  derate_gate_set_define (set, inputs, NULL);
  g_assert_cmpuint (derate_gate_set_get_n (set), ==, 1);
  g_assert_nonnull (derate_gate_set_lookup (set, "status"));
  g_assert_null (derate_gate_set_lookup (set, "ai"));
}

static DerateFeature *
parse (const char *name, const char *needs, const char *until)
{
  g_autoptr (GError) error = NULL;
  DerateFeature *feature = derate_feature_parse (name, needs, until, &error);

  g_assert_no_error (error);
  return feature;
}

static void
test_own_features (void)
{
  g_autoptr (GPtrArray) inputs = make_inputs ();
  g_autoptr (GPtrArray) own = g_ptr_array_new_with_free_func ((GDestroyNotify)derate_feature_unref);
  g_autoptr (DerateGateSet) set = derate_gate_set_new ();
  g_autoptr (DerateGate) old = NULL;
  g_autofree char *ai = NULL;
  g_autofree char *search = NULL;
  g_autofree char *search_down = NULL;
  g_autoptr (GError) error = NULL;

  derate_gate_set_define (set, inputs, NULL);
  old = derate_gate_ref (derate_gate_set_lookup (set, "ai"));
  g_ptr_array_add (own, parse ("ai", "openai=healthy", "minimal"));
  g_ptr_array_add (own, parse ("search", "database|redis s3|queue:index", "limited"));
  g_assert_true (derate_gate_set_check (inputs, own, &error));
  derate_gate_set_define (set, inputs, own);

  g_assert_cmpuint (derate_gate_set_get_n (set), ==, 7);
  g_assert_true (derate_gate_set_lookup (set, "ai") == old);
  g_assert_true (derate_gate_set_get (set, 0) == old);
  ai = ask_at_all_levels (set, "ai", "HHDH", TRUE);
  g_assert_cmpstr (ai, ==, "XXXX-");
  search = ask_at_all_levels (set, "search", "XHHX", TRUE);
  g_assert_cmpstr (search, ==, "QQQ--");
  search_down = ask_at_all_levels (set, "search", "XXHH", TRUE);
  g_assert_cmpstr (search_down, ==, "XXX--");

  /* A feature that is gone is nobody's to close. */
  derate_gate_set_define (set, inputs, NULL);
  g_assert_true (derate_gate_is_open (derate_gate_set_lookup (set, "search")));
  g_assert_cmpuint (derate_gate_set_get_n (set), ==, 6);
}

static void
test_changes (void)
{
  g_autoptr (GPtrArray) inputs = make_inputs ();
  g_autoptr (DerateGateSet) set = derate_gate_set_new ();
  DerateHealthStatus statuses[N_SERVICES];

  parse_states ("HHHH", statuses);
  derate_gate_set_define (set, inputs, NULL);
  g_assert_false (derate_gate_set_update (set, statuses, DERATE_LEVEL_OPTIMAL, TRUE));
  g_assert_true (derate_gate_set_update (set, statuses, DERATE_LEVEL_LIMITED, TRUE));
  g_assert_false (derate_gate_set_update (set, statuses, DERATE_LEVEL_LIMITED, TRUE));
}

static void
test_refused (void)
{
  static const struct
  {
    const char *name;
    const char *needs;
    const char *until;
    const char *message;
  } bad[] = {
    { "Ai", "openai", "limited", "feature “Ai”" },
    { "ai", "openai", "none", "feature “ai”: until “none”" },
    { "ai", "openai", NULL, "feature “ai”: until “”" },
    { "ai", "openai=down", "limited", "needs “openai=down”" },
    { "ai", "openai  redis", "limited", "needs “openai  redis”" },
    { "ai", "openai|", "limited", "“” is no" },
    { "ai", "queue:", "limited", "“queue:” is no" },
    { "ai", "queue:a=healthy", "limited", "“queue:a=healthy” is no" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_null (derate_feature_parse (bad[i].name, bad[i].needs, bad[i].until, &error));
      g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
      g_test_message ("%s", error->message);
      g_assert_nonnull (strstr (error->message, bad[i].message));
    }
}

static void
test_unknown_service (void)
{
  g_autoptr (GPtrArray) inputs = make_inputs ();
  g_autoptr (GPtrArray) own = g_ptr_array_new_with_free_func ((GDestroyNotify)derate_feature_unref);
  g_autoptr (GError) error = NULL;

  g_ptr_array_add (own, parse ("search", "elastic", "limited"));
  g_assert_false (derate_gate_set_check (inputs, own, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
  g_assert_nonnull (strstr (error->message, "feature “search”: needs “elastic”"));
  g_clear_error (&error);

  g_ptr_array_set_size (own, 0);
  g_ptr_array_add (own, parse ("search", "s3", "limited"));
  g_ptr_array_add (own, parse ("search", "s3", "minimal"));
  g_assert_false (derate_gate_set_check (inputs, own, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
}

static void
test_variant (void)
{
  g_autoptr (GPtrArray) inputs = make_inputs ();
  g_autoptr (DerateGateSet) set = derate_gate_set_new ();
  g_autoptr (GVariant) variant = NULL;
  g_autofree char *json = NULL;
  DerateHealthStatus statuses[N_SERVICES];

  parse_states ("HHHX", statuses);
  derate_gate_set_define (set, inputs, NULL);
  derate_gate_set_update (set, statuses, DERATE_LEVEL_LIMITED, TRUE);
  variant = g_variant_ref_sink (derate_gate_set_to_variant (set));
  json = derate_json_from_variant (variant);
  g_assert_cmpstr (json, ==,
                   "{\"ai\":{\"mode\":\"off\",\"because\":\"level\"},"
                   "\"cache\":{\"mode\":\"on\",\"because\":null},"
                   "\"uploads\":{\"mode\":\"queued\",\"because\":\"dependency\"},"
                   "\"writes\":{\"mode\":\"on\",\"because\":null},"
                   "\"reads\":{\"mode\":\"on\",\"because\":null},"
                   "\"status\":{\"mode\":\"on\",\"because\":null}}");
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, func) g_test_add_func ("/degradation/gate-set/" name, func)
  ADD ("default-features", test_default_features);
  ADD ("features-without-services", test_features_without_services);
  ADD ("own-features", test_own_features);
  ADD ("changes", test_changes);
  ADD ("refused", test_refused);
  ADD ("unknown-service", test_unknown_service);
  ADD ("variant", test_variant);
  return g_test_run ();
}
