/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "case-rules.h"

#include <derate.h>

#include "bench.h"

#define N_SERVICES 200
#define N_RULES 50
#define GROUP 8

typedef struct
{
  DerateRuleSet *set;
  DerateHealthStatus statuses[N_SERVICES];
} Rules;

static const DerateServiceRole roles[] = { DERATE_SERVICE_ROLE_DATABASE, DERATE_SERVICE_ROLE_CACHE,
                                           DERATE_SERVICE_ROLE_AI, DERATE_SERVICE_ROLE_STORAGE };
static const DerateCriticality criticalities[] = { DERATE_CRITICALITY_LOW,
                                                   DERATE_CRITICALITY_MEDIUM,
                                                   DERATE_CRITICALITY_HIGH,
                                                   DERATE_CRITICALITY_CRITICAL };

static char *
name_service (guint i)
{
  return g_strdup_printf ("service-%03u", i % N_SERVICES);
}

/* One of each role; the others have none. */
static DerateServiceRole
choose_role (guint i)
{
  return i < G_N_ELEMENTS (roles) ? roles[i] : DERATE_SERVICE_ROLE_NONE;
}

static DerateCriticality
choose_criticality (guint i)
{
  return criticalities[i % G_N_ELEMENTS (criticalities)];
}

static void
append_group (GString *when, guint first)
{
  for (guint i = 0; i < GROUP; i++)
    {
      g_autofree char *name = name_service (first + i);

      g_string_append_printf (when, "%s%s", i > 0 ? "|" : "", name);
    }
}

/* Two groups in bad shape. Every other rule asks for services that are just degraded: that the
 * level is no better where one of them goes down has to be proven from the rule that follows it. */
static DerateRule *
make_rule (guint i)
{
  guint group = i / 2;
  g_autofree char *id = g_strdup_printf ("rule-%02u", i);
  g_autoptr (GString) when = g_string_new ("2of:");
  g_autoptr (GError) error = NULL;
  DerateRule *rule;

  append_group (when, 4 + group * GROUP);
  g_string_append_printf (when, "%s 3of:", i % 2 == 0 ? "=degraded" : ">=degraded");
  append_group (when, 4 + group * GROUP + GROUP / 2);
  g_string_append (when, "=down");
  rule = derate_rule_parse (id, when->str, i % 4 < 2 ? "limited" : "minimal", &error);
  if (rule == NULL)
    g_error ("%s", error->message);
  return rule;
}

static GPtrArray *
make_rules (void)
{
  GPtrArray *rules = g_ptr_array_new_with_free_func ((GDestroyNotify)derate_rule_unref);

  for (guint i = 0; i < N_RULES; i++)
    g_ptr_array_add (rules, make_rule (i));
  return rules;
}

static DerateRuleSet *
load (void)
{
  g_autoptr (GPtrArray) inputs =
      g_ptr_array_new_with_free_func ((GDestroyNotify)derate_rule_input_unref);
  g_autoptr (GPtrArray) rules = make_rules ();
  g_autoptr (GError) error = NULL;
  DerateRuleSet *set;

  for (guint i = 0; i < N_SERVICES; i++)
    {
      g_autofree char *name = name_service (i);

      g_ptr_array_add (inputs,
                       derate_rule_input_new (name, choose_role (i), choose_criticality (i)));
    }
  set = derate_rule_set_new (inputs, rules, DERATE_RULE_SET_MODE_EXTEND, &error);
  if (set == NULL)
    g_error ("%s", error->message);
  return set;
}

gpointer
bench_rules_new (void)
{
  Rules *rules = g_new0 (Rules, 1);

  rules->set = load ();
  for (guint i = 0; i < N_SERVICES; i++)
    rules->statuses[i] = choose_role (i) != DERATE_SERVICE_ROLE_NONE ||
                                 choose_criticality (i) == DERATE_CRITICALITY_CRITICAL
                             ? DERATE_HEALTH_STATUS_HEALTHY
                             : DERATE_HEALTH_STATUS_DEGRADED;
  return rules;
}

void
bench_rules_evaluate (gpointer data, guint64 n)
{
  Rules *rules = data;

  for (guint64 i = 0; i < n; i++)
    if (derate_rule_set_evaluate (rules->set, rules->statuses, N_SERVICES, NULL) !=
        DERATE_LEVEL_OPTIMAL)
      g_error ("a rule holds");
}

void
bench_rules_free (gpointer data)
{
  Rules *rules = data;

  derate_rule_set_unref (rules->set);
  g_free (rules);
}

void
bench_rules_load (gpointer unused, guint64 n)
{
  for (guint64 i = 0; i < n; i++)
    derate_rule_set_unref (load ());
}

typedef struct
{
  DerateCore *core;
  DerateBreaker *breaker; /* of a service that no rule but the default ones tells down */
} Turn;

static void
add_services (DerateCore *core, GPtrArray *services)
{
  for (guint i = 0; i < N_SERVICES; i++)
    {
      g_autofree char *name = name_service (i);
      g_autoptr (DerateBreaker) breaker =
          derate_breaker_new_with_clock (name, NULL, derate_core_get_clock (core));
      DerateService *service =
          derate_service_new (name, choose_role (i), derate_core_get_clock (core));

      derate_service_set_criticality (service, choose_criticality (i));
      derate_service_set_breaker (service, breaker);
      g_ptr_array_add (services, service);
      if (!derate_core_add_service (core, service, NULL))
        g_error ("no service %s", name);
    }
}

gpointer
bench_turn_new (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (GPtrArray) services = g_ptr_array_new_with_free_func (g_object_unref);
  g_autoptr (GPtrArray) rules = make_rules ();
  g_autoptr (GError) error = NULL;
  Turn *turn = g_new0 (Turn, 1);

  turn->core = derate_core_new ("bench", clock, NULL);
  add_services (turn->core, services);
  turn->breaker = derate_core_lookup_breaker (turn->core, "service-150");
  derate_core_start_async (turn->core, NULL, NULL, NULL);
  while (!derate_core_is_ready (turn->core))
    g_main_context_iteration (NULL, TRUE);
  if (!derate_degradation_manager_set_services (derate_core_get_degradation_manager (turn->core),
                                                services, rules, DERATE_RULE_SET_MODE_EXTEND, NULL,
                                                &error))
    g_error ("%s", error->message);
  return turn;
}

void
bench_turn_free (gpointer data)
{
  Turn *turn = data;

  derate_core_stop_async (turn->core, NULL, NULL, NULL);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_object_unref (turn->breaker);
  g_object_unref (turn->core);
  g_free (turn);
}

void
bench_turn_take (gpointer data, guint64 n)
{
  Turn *turn = data;
  DerateDegradationManager *manager = derate_core_get_degradation_manager (turn->core);

  for (guint64 i = 0; i < n; i++)
    derate_degradation_manager_set_enforced (manager, TRUE);
}

void
bench_turn_change (gpointer data, guint64 n)
{
  Turn *turn = data;

  for (guint64 i = 0; i < n; i++)
    {
      if (!derate_breaker_trip (turn->breaker, NULL))
        g_error ("the breaker does not open");
      derate_breaker_close (turn->breaker);
    }
}
