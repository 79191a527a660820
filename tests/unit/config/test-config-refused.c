/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <derate.h>
#include <string.h>

/* In every bad file below this is the password of something. It must show nowhere. */
#define PASSWORD "hunter2planted"

static const struct
{
  const char *description;
  const char *text;
  const char *message; /* the whole of it; with … at the end: how it begins */
} refused[] = {
  { "line", "[derate]\nname",
    "file a.conf, [derate]: a line is neither [group] nor key=value nor # comment (line 2)" },
  { "secret-line", "[derate]\nredis://u:" PASSWORD "@h",
    "file a.conf, [derate]: a line is neither [group] nor key=value nor # comment (line 2)" },
  { "semicolon", "; no comment\n",
    "file a.conf: a line is neither [group] nor key=value nor # comment (line 1)" },
  { "key-before-group", "name=x\n", "file a.conf: a key stands before the first [group] (line 1)" },
  { "open-group", "[derate\n", "file a.conf: a group does not end in “]” (line 1)" },
  { "lone-bracket", "[\n", "file a.conf: a group does not end in “]” (line 1)" },
  { "empty-group", "[]\n", "file a.conf: no group [] (line 1)" },
  { "unknown-group", "[servce x]\n", "file a.conf: no group [servce x] (line 1)" },
  { "nameless-group", "[service]\n", "file a.conf: the group [service] needs a name (line 1)" },
  { "named-group", "[derate x]\n", "file a.conf: the group [derate] takes no name (line 1)" },
  { "two-spaces", "[service  x]\n",
    "file a.conf, [service  x]: “ x” is not a name such as redis or my-service_2, or is reserved "
    "(line 1)" },
  { "upper-case-name", "[service Redis]\n",
    "file a.conf, [service Redis]: “Redis” is not a name such as redis or my-service_2, or is "
    "reserved (line 1)" },
  { "reserved-name", "[service ready]\n",
    "file a.conf, [service ready]: “ready” is not a name such as redis or my-service_2, or is "
    "reserved (line 1)" },
  { "reserved-live", "[service live]\n",
    "file a.conf, [service live]: “live” is not a name such as redis or my-service_2, or is "
    "reserved (line 1)" },
  { "reserved-startup", "[service startup]\n",
    "file a.conf, [service startup]: “startup” is not a name such as redis or my-service_2, or is "
    "reserved (line 1)" },
  { "long-name", "[service a123456789012345678901234567890123456789012345678901234567890123]\n",
    "file a.conf, [service a1234…" },
  { "group-twice", "[service x]\nuri=a\n[derate]\n[service x]\n",
    "file a.conf, [service x]: the group is given twice (line 4)" },
  { "key-twice", "[derate]\ngrace=1s\ngrace=1s\n",
    "file a.conf, [derate], grace: the key is given twice (line 3)" },
  { "key-twice-empty", "[derate]\ngrace=\ngrace=1s\n",
    "file a.conf, [derate], grace: the key is given twice (line 3)" },
  { "unknown-key", "[service database]\nplugn=postgresql\n",
    "file a.conf, [service database], plugn: no such key (line 2)" },
  { "unknown-key-unset", "[derate]\nnmae=\n", "file a.conf, [derate], nmae: no such key (line 2)" },
  { "unknown-breaker-key", "[service x]\nbreaker-threshold=3\n",
    "file a.conf, [service x], breaker-threshold: no such key (line 2)" },
  { "unknown-key-of-breaker", "[breaker x]\nbreaker-failure-threshold=3\n",
    "file a.conf, [breaker x], breaker-failure-threshold: no such key (line 2)" },
  { "key-of-another-group", "[derate]\nuri=x\n",
    "file a.conf, [derate], uri: no such key (line 2)" },
  { "not-a-key", "[derate]\nredis://u:" PASSWORD "@h?a=b\n",
    "file a.conf, [derate]: what stands before “=” is not a key (line 2)" },
  { "no-key", "[derate]\n=x\n",
    "file a.conf, [derate]: what stands before “=” is not a key (line 2)" },
  { "bare-check-key", "[service x]\ncheck-=1\n",
    "file a.conf, [service x], check-: no such key (line 2)" },
  { "utf-8", "[derate]\nname=\xff\n", "file a.conf: it is not UTF-8" },

  { "check-interval", "[service database]\nplugin=postgresql\ncheck-interval=10x\n",
    "file a.conf, [service database], check-interval: “10x” is not a duration such as 30s or 250ms "
    "(line 3)" },
  { "check-interval-0", "[service x]\nplugin=a\ncheck-interval=0\n",
    "file a.conf, [service x], check-interval: “0” …" },
  { "check-fall", "[service x]\nplugin=a\ncheck-fall=many\n",
    "file a.conf, [service x], check-fall: “many” …" },
  { "check-jitter", "[service x]\nplugin=a\ncheck-jitter=2\n",
    "file a.conf, [service x], check-jitter: “2” …" },
  { "breaker-open-duration", "[service x]\nbreaker-open-duration=30\n",
    "file a.conf, [service x], breaker-open-duration: “30” is not a duration…" },
  { "breaker-failure-threshold", "[service x]\nbreaker-failure-threshold=-1\n",
    "file a.conf, [service x], breaker-failure-threshold: “-1” is not a whole number…" },
  { "breaker-rate", "[service x]\nbreaker-failure-rate-threshold=1.5\n",
    "file a.conf, [service x], breaker-failure-rate-threshold: “1.5” is not a number…" },
  { "breaker-window", "[breaker x]\nwindow=sliding\n",
    "file a.conf, [breaker x], window: “sliding” is…" },
  { "breaker-window-size", "[breaker x]\nwindow=time\nwindow-size=10 s\n",
    "file a.conf, [breaker x], window-size: “10 s” is neither a whole number from 1 to 100000…" },
  { "breaker-half-open-decision", "[service x]\nbreaker-half-open-decision=majority\n",
    "file a.conf, [service x], breaker-half-open-decision: “majority” is neither strict nor "
    "rate…" },
  { "breaker-ramp-duration", "[service x]\nbreaker-ramp-duration=10\n",
    "file a.conf, [service x], breaker-ramp-duration: “10” is not a duration…" },
  { "breaker-mode", "[service x]\nbreaker-mode=open\n",
    "file a.conf, [service x], breaker-mode: “open” is not one of normal, disabled, metrics-only, "
    "forced-open (line 2)" },
  { "breaker-degraded-rate", "[breaker x]\ndegraded-rate=nan\n",
    "file a.conf, [breaker x], degraded-rate: “nan” is not a number from 0 to 1 (line 2)" },
  { "role", "[service x]\nrole=db\n",
    "file a.conf, [service x], role: “db” is not one of none, database, ai, cache, storage (line "
    "2)" },
  { "criticality", "[service x]\ncriticality=Critical\n",
    "file a.conf, [service x], criticality: “Critical” is not one of low, medium, high, critical "
    "(line 2)" },
  { "preset", "[derate]\npreset=prod\n",
    "file a.conf, [derate], preset: “prod” is not one of development, staging, production, "
    "critical (line 2)" },
  { "plugin", "[service x]\nplugin=../redis\n",
    "file a.conf, [service x], plugin: “../redis” is not a name such as redis or my-service_2, or "
    "is reserved (line 2)" },
  { "plugin-with-password", "[service x]\nplugin=redis://u:" PASSWORD "@h\n",
    "file a.conf, [service x], plugin: “redis://…" },
  { "raw-comment", "[service x]\nrole=ai # comment\n",
    "file a.conf, [service x], role: “ai # comment” is not one of none, database, ai, cache, "
    "storage (line 2)" },
  { "call-timeout", "[service x]\ncall-timeout=0\n",
    "file a.conf, [service x], call-timeout: “0” is not a duration from 1ms to 1d (line 2)" },
  { "bulkhead", "[service x]\nbulkhead=0\n",
    "file a.conf, [service x], bulkhead: “0” is not a whole number from 1 to 1000000 (line 2)" },
  { "fallback", "[service x]\nfallback=a,b\n",
    "file a.conf, [service x], fallback: “a,b” is not a list of names with spaces between them "
    "(line 2)" },
  { "fallback-twice", "[service x]\nfallback=a b a\n",
    "file a.conf, [service x], fallback: “a b a” is not a list of names: one is in it twice (line "
    "2)" },
  { "state-dir", "[derate]\nstate-dir=var\n",
    "file a.conf, [derate], state-dir: “var” is not an absolute path (line 2)" },
  { "recovery", "[derate]\nrecovery=slow\n",
    "file a.conf, [derate], recovery: “slow” is not one of direct, stepwise (line 2)" },
  { "recovery-interval", "[derate]\nrecovery-interval=0\n",
    "file a.conf, [derate], recovery-interval: “0” is not a duration from 10ms to 1d (line 2)" },
  { "enforce", "[derate]\nenforce=ON\n",
    "file a.conf, [derate], enforce: “ON” is not on or off (line 2)" },
  { "metrics-prefix", "[derate]\nmetrics-prefix=compra-agil\n",
    "file a.conf, [derate], metrics-prefix: “compra-agil” is not a part of a metric's name: "
    "letters, digits and _ (line 2)" },
  { "listening-address", "[http]\naddress=web.example\n",
    "file a.conf, [http], address: “web.example” is not an IP address or localhost (line 2)" },
  { "url-prefix", "[http]\nprefix=admin\n",
    "file a.conf, [http], prefix: “admin” is not a path such as /admin (line 2)" },
  { "port", "[http]\nport=70000\n",
    "file a.conf, [http], port: “70000” is not a whole number from 0 to 65535 (line 2)" },
  { "bus", "[dbus]\nbus=both\n",
    "file a.conf, [dbus], bus: “both” is not one of session, system, none (line 2)" },
  { "level", "[rule r]\nwhen=a=down\nlevel=worse\n",
    "file a.conf, [rule r], level: “worse” is not one of optimal, degraded, limited, minimal, "
    "emergency (line 3)" },
  { "when", "[rule r]\nwhen=a is down\nlevel=limited\n", "file a.conf, [rule r], when: …" },
  { "needs", "[feature f]\nneeds=a||b\nuntil=limited\n", "file a.conf, [feature f], needs: …" },

  { "rule-without-level", "[rule r]\nwhen=a=down\n",
    "file a.conf, [rule r], level: the key is missing (line 1)" },
  { "rule-without-when", "[rule r]\nlevel=limited\n",
    "file a.conf, [rule r], when: the key is missing (line 1)" },
  { "fallback-without-strategy", "[fallback f]\nvalue=1\n",
    "file a.conf, [fallback f], strategy: the key is missing (line 1)" },
  { "check-without-plugin", "[service x]\nuri=" PASSWORD "\ncheck-interval=5s\n",
    "file a.conf, [service x], check-interval: there is no check without plugin= (line 3)" },
  { "two-passwords", "[service x]\nuri=redis://:" PASSWORD "@h\npassword-file=/p\n",
    "file a.conf, [service x], password-file: there is a password in uri= too (line 3)" },
  { "shared-breaker-and-keys", "[service x]\nbreaker=b\nbreaker-open-duration=30s\n",
    "file a.conf, [service x], breaker-open-duration: the breaker is set up in [breaker b]: both "
    "cannot be (line 3)" },
  { "shared-breaker-and-preset", "[service x]\nbreaker=b\npreset=staging\n",
    "file a.conf, [service x], preset: the breaker is set up in [breaker b]: both cannot be (line "
    "3)" },
  { "own-breaker-twice",
    "[service x]\nbreaker-open-duration=30s\n[breaker x]\nfailure-threshold=2\n",
    "file a.conf, [service x], breaker-open-duration: the breaker is set up in [breaker x]: both "
    "cannot be (line 2)" },
  { "alternate-self", "[service x]\nalternate=x\n",
    "file a.conf, [service x], alternate: it leads back to the service: x → x (line 2)" },
  { "alternate-cycle",
    "[service x]\nalternate=y\n[service y]\nalternate=z\n[service z]\nalternate=x\n",
    "file a.conf, [service x], alternate: it leads back to the service: x → y → z → x (line 2)" },
  { "breaker-conflict", "[service x]\nbreaker-window-size=5\nbreaker-minimum-calls=6\n",
    "file a.conf, [service x]: breaker: minimum-calls is more than window-size…" },
  { "breaker-window-of-calls", "[service x]\nbreaker-window-size=20\nbreaker-window=time\n",
    "file a.conf, [service x]: breaker: window-size: '20' is a number of calls, but window=time "
    "wants a duration" },
  { "breaker-window-of-time", "[breaker x]\nwindow-size=10s\n[service x]\n",
    "file a.conf, [breaker x]: breaker: window-size: '10s' is a duration, but window=count wants a "
    "number of calls" },
  { "breaker-conflict-with-preset",
    "[derate]\npreset=critical\n[service x]\nbreaker-open-duration-max=90s\n",
    "file a.conf, [service x]: breaker: open-duration-max is less than open-duration" },
  { "check-conflict", "[service x]\nplugin=a\ncheck-timeout=1s\ncheck-slow=2s\n",
    "file a.conf, [service x]: …" },

  { "variable-unset", "[service x]\nuri=redis://:" PASSWORD "@${NOT_THERE}\n",
    "file a.conf, [service x], uri: the environment has no variable NOT_THERE (line 2)" },
  { "variable-empty-name", "[service x]\nuri=${:-" PASSWORD "}\n",
    "file a.conf, [service x], uri: “$” begins neither ${NAME} nor ${NAME:-default} nor $$ (line "
    "2)" },
  { "variable-open", "[service x]\nuri=${A:-" PASSWORD "\n",
    "file a.conf, [service x], uri: “$” begins neither ${NAME} nor ${NAME:-default} nor $$ (line "
    "2)" },
  { "variable-bare", "[service x]\nuri=" PASSWORD "$HOME\n",
    "file a.conf, [service x], uri: “$” begins neither ${NAME} nor ${NAME:-default} nor $$ (line "
    "2)" },
  { "variable-last", "[service x]\nuri=" PASSWORD "$\n",
    "file a.conf, [service x], uri: “$” begins neither ${NAME} nor ${NAME:-default} nor $$ (line "
    "2)" },
  { "variable-operator", "[service x]\nuri=${A-" PASSWORD "}\n",
    "file a.conf, [service x], uri: “$” begins neither ${NAME} nor ${NAME:-default} nor $$ (line "
    "2)" },
  { "variable-as-duration", "[service x]\ncall-timeout=${PLANTED}\n",
    "file a.conf, [service x], call-timeout: “${PLANTED}” is not a duration such as 30s or 250ms "
    "(line 2)" },
  { "variable-as-check-key", "[service x]\nplugin=a\ncheck-interval=${PLANTED}\n",
    "file a.conf, [service x], check-interval: “${PLANTED}” is not a duration such as 30s or 250ms "
    "(line 3)" },
  { "variable-as-breaker-key", "[service x]\nbreaker-window=${PLANTED}\n",
    "file a.conf, [service x], breaker-window: “${PLANTED}” is…" },
  { "default-as-word", "[service x]\nrole=a${NOT_THERE:-b}\n",
    "file a.conf, [service x], role: “a${NOT_THERE:-b}” is not one of none, database, ai, cache, "
    "storage (line 2)" },
};

static void
assert_message (const char *message, const char *expected)
{
  const char *end = strstr (expected, "…");

  g_assert_null (strstr (message, PASSWORD));
  if (end == NULL || end[strlen ("…")] != '\0')
    g_assert_cmpstr (message, ==, expected);
  else if (strncmp (message, expected, (gsize)(end - expected)) != 0)
    g_error ("“%s” does not begin with “%s”", message, expected);
}

static void
test_refused (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autoptr (DerateConfig) config = NULL;
  g_autoptr (GError) error = NULL;

  config = derate_config_new_from_data (refused[i].text, "a.conf", &error);
  g_assert_null (config);
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
  assert_message (error->message, refused[i].message);
}

static void
test_environment (void)
{
  static const struct
  {
    const char *name;
    const char *value;
    gboolean good;
  } cases[] = {
    { "DEFAULT_FAILURE_THRESHOLD", "many", FALSE },
    { "DEFAULT_FAILURE_THRESHOLD", "", TRUE },
    { "DEFAULT_RECOVERY_TIMEOUT", "30s", FALSE },
    { "DEFAULT_RECOVERY_TIMEOUT", "30.5", TRUE },
    { "RESILIENCE_MONITORING_INTERVAL", "-1", FALSE },
    { "RESILIENCE_MONITORING_INTERVAL", "5", TRUE },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (DerateConfig) config = NULL;

      g_setenv (cases[i].name, cases[i].value, TRUE);
      config = derate_config_new_from_data ("[service x]\n", "a.conf", &error);
      g_unsetenv (cases[i].name);
      g_assert_cmpint (config != NULL, ==, cases[i].good);
      if (cases[i].good)
        continue;
      g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
      g_assert_nonnull (strstr (error->message, cases[i].name));
    }
}

/* The words and signs that mutations are made of, so that they get past the first check. */
static const char *const pieces[] = {
  "[service ",
  "[",
  "]",
  "\n",
  "=",
  "#",
  " ",
  "${",
  "}",
  ":-",
  "$$",
  "$",
  "check-interval",
  "\r\n",
  "uri",
  "redis://u:" PASSWORD "@h:1/0?password=" PASSWORD,
  "10s",
  "-1",
  "1e999",
  "\xc3\xa9",
  "\xff",
  "alternate=",
  "x",
  "[derate]\n",
  "breaker-open-duration=",
  "when=x=down",
  "2of:",
  "|",
  "level=minimal",
};

/* Seeded by GLib, which prints the seed; --seed repeats a run. */
static void
test_mutations (void)
{
  for (guint n = 0; n < 20000; n++)
    {
      g_autoptr (GString) text =
          g_string_new (refused[g_test_rand_int_range (0, G_N_ELEMENTS (refused))].text);
      int changes = g_test_rand_int_range (1, 8);
      g_autoptr (GError) error = NULL;
      g_autoptr (DerateConfig) config = NULL;

      for (int i = 0; i < changes; i++)
        {
          gssize at = g_test_rand_int_range (0, (gint32)text->len + 1);
          gssize rest = (gssize)text->len - at;

          if (g_test_rand_bit ())
            g_string_insert (text, at, pieces[g_test_rand_int_range (0, G_N_ELEMENTS (pieces))]);
          else if (rest > 0)
            g_string_erase (text, at, g_test_rand_int_range (0, (gint32)MIN (rest, 4) + 1));
        }
      config = derate_config_new_from_data (text->str, "a.conf", &error);
      g_assert_cmpint (config == NULL, ==, error != NULL);
      if (config != NULL)
        {
          g_auto (GStrv) warnings = derate_config_list_warnings (config);

          g_assert_nonnull (warnings);
          continue;
        }
      g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
      g_assert_true (g_str_has_prefix (error->message, "file a.conf"));
      g_assert_true (g_utf8_validate (error->message, -1, NULL));
    }
}

int
main (int argc, char **argv)
{
  g_setenv ("PLANTED", PASSWORD, TRUE);
  g_unsetenv ("NOT_THERE");
  g_test_init (&argc, &argv, NULL);

  for (gsize i = 0; i < G_N_ELEMENTS (refused); i++)
    {
      g_autofree char *path = g_strdup_printf ("/config/refused/%s", refused[i].description);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_refused);
    }
  g_test_add_func ("/config/refused/environment", test_environment);
  g_test_add_func ("/config/refused/mutations", test_mutations);
  return g_test_run ();
}
