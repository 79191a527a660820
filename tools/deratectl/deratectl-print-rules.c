/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "deratectl.h"

/* The alerts that are shipped, which are in the program itself, with the names that a configuration
 * gives to metrics and to the label of breakers. */

#define RULES "/org/derate/deratectl/derate.rules.yml"

/* Where the name of a metric begins: prefix and name are one word. */
#define METRIC "\\b(?=(?:circuit_breaker|db|degradation|fallback|service_health)_[a-z])"

/* Only the alerts on breakers show a label of that name. */
#define LABEL "\\$labels\\.name\\b"

static char *
replace (const char *text, const char *pattern, const char *replacement)
{
  g_autoptr (GRegex) regex = g_regex_new (pattern, G_REGEX_DEFAULT, G_REGEX_MATCH_DEFAULT, NULL);

  return g_regex_replace_literal (regex, text, -1, 0, replacement, G_REGEX_MATCH_DEFAULT, NULL);
}

static int
run (int argc, char **argv)
{
  g_autoptr (DerateConfig) config = NULL;
  g_autoptr (GBytes) rules = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *shipped = NULL;
  g_autofree char *labelled = NULL;
  g_autofree char *named = NULL;
  g_autofree char *label = NULL;

  if (!deratectl_parse (&deratectl_verb_print_rules, NULL, &argc, &argv, 1, 1))
    return DERATECTL_USAGE;
  /* The verdict is printed; the log event would say it again. */
  g_setenv ("ENABLE_RESILIENCE_LOGGING", "false", TRUE);
  config = derate_config_new_from_file (argv[1], &error);
  if (config != NULL)
    rules = g_resources_lookup_data (RULES, G_RESOURCE_LOOKUP_FLAGS_NONE, &error);
  if (rules == NULL)
    {
      deratectl_fail (error);
      return DERATECTL_FAILED;
    }

  shipped = g_strndup (g_bytes_get_data (rules, NULL), g_bytes_get_size (rules));
  label = g_strconcat ("$labels.",
                       derate_config_get_text (config, "derate", "metrics-breaker-label", "name"),
                       NULL);
  labelled = replace (shipped, LABEL, label);
  named =
      replace (labelled, METRIC, derate_config_get_text (config, "derate", "metrics-prefix", ""));
  g_print ("%s", named);
  return DERATECTL_DONE;
}

const DeratectlVerb deratectl_verb_print_rules = {
  .name = "print-rules",
  .arguments = "FILE",
  .summary = "Print the alerts for Prometheus with the names of a configuration's metrics",
  .run = run,
  .takes_file = TRUE,
};
