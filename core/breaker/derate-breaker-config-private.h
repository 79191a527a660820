/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-breaker-config.h"

G_BEGIN_DECLS

/* Rates are compared as integers: parts of this. Cut, not rounded, so that 2 of 3 reach 0.666…7. */
#define DERATE_RATE_UNIT G_GUINT64_CONSTANT (1000000000)

/* A list of errors: code < 0 is every code of the domain. */
typedef struct
{
  GQuark domain;
  int code;
} DerateErrorMatch;

/* What a user's function needs, shared by all that may call it. Reference counted atomically. */
typedef struct
{
  gpointer data;
  GDestroyNotify destroy;
} DerateUserData;

/* What a config holds. Shared by configs and breakers, immutable while it is: a setter of a config
 * clones it first. Reference counted atomically. */
typedef struct
{
  guint failure_threshold;
  DerateBreakerWindow window;
  guint window_size;         /* of a count window */
  GTimeSpan window_duration; /* of a time window */
  DerateBreakerWindow sized; /* which of the two was set last; WINDOW_NONE: neither */
  guint minimum_calls;       /* 0: window_size, of a time window 10 */
  double failure_rate_threshold;
  GTimeSpan slow_call_duration; /* 0: off */
  double slow_call_rate_threshold;
  gboolean measure; /* reads the clock for each call, also where none is slow */
  GTimeSpan open_duration;
  double open_duration_multiplier;
  GTimeSpan open_duration_max; /* 0: 10 minutes, or open_duration if that is more */
  double open_duration_jitter;
  guint half_open_max_calls;
  guint success_threshold;
  GTimeSpan half_open_lease; /* 0: open_duration */
  DerateBreakerDecision half_open_decision;
  GTimeSpan ramp_duration; /* 0: none */
  gboolean disabled; /* ENABLE_RESILIENCE=false: a breaker that is made of it begins so */
  GArray *record; /* (element-type DerateErrorMatch) (nullable) */
  GArray *ignore; /* (element-type DerateErrorMatch) (nullable) */
  DerateBreakerErrorFunc func;
  DerateUserData *func_data; /* (nullable) */
  DerateBreakerResultFunc result_func;
  DerateUserData *result_data; /* (nullable) */
} DerateBreakerSettings;

struct _DerateBreakerConfig
{
  DerateBreakerSettings *settings;
};

DerateBreakerSettings *derate_breaker_settings_get_default (void); /* (transfer full) */
DerateBreakerSettings *derate_breaker_settings_ref (DerateBreakerSettings *settings);
void derate_breaker_settings_unref (DerateBreakerSettings *settings);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateBreakerSettings, derate_breaker_settings_unref)

DerateUserData *derate_user_data_new (gpointer       data,
                                      GDestroyNotify destroy);
void derate_user_data_unref (DerateUserData *data);

/* The config's own settings, not shared with anybody: to be changed. */
DerateBreakerSettings *derate_breaker_config_edit (DerateBreakerConfig *config);

DerateBreakerConfig *derate_breaker_config_new_from_settings (DerateBreakerSettings *settings);

/* How errors and results are judged becomes what it is in @from. */
void derate_breaker_config_judge_as (DerateBreakerConfig       *config,
                                     const DerateBreakerConfig *from);

gboolean derate_breaker_settings_is_failure (const DerateBreakerSettings *settings,
                                             const GError                *error);

/* The values in force where a property was left to follow another. */
guint derate_breaker_settings_get_minimum_calls (const DerateBreakerSettings *settings);
GTimeSpan derate_breaker_settings_get_max (const DerateBreakerSettings *settings);
GTimeSpan derate_breaker_settings_get_lease (const DerateBreakerSettings *settings);

G_END_DECLS
