/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate.h>

#include "derate-degradation-manager-private.h"

/* A manager on a manual clock over four services whose status the test sets. Its ticks are at 30 s,
 * 60 s, … of the test. */

enum
{
  DATABASE,
  REDIS,
  OPENAI,
  S3,
  N_SERVICES,
};

typedef struct
{
  DerateManualClock *clock;
  GMainContext *context;
  DerateDegradationManager *manager;
  GPtrArray *services;
  GString *told; /* what signals said: “1>4:database-limited ” */
} Fixture;

void fixture_set_up (Fixture      *f,
                     gconstpointer unused);
void fixture_tear_down (Fixture      *f,
                        gconstpointer unused);

/* Healthy, and the first level published. */
void fixture_begin (Fixture *f);

void fixture_set_status (Fixture           *f,
                         guint              service,
                         DerateHealthStatus status);

/* Without telling the manager. */
void fixture_set_status_silently (Fixture           *f,
                                  guint              service,
                                  DerateHealthStatus status);

/* What a drill pretends, of which it may make an emergency; unknown is its end. */
void fixture_drill (Fixture           *f,
                    guint              service,
                    DerateHealthStatus status);
void fixture_advance (Fixture *f,
                      guint    seconds);

DerateRuleSet *fixture_make_rules (void);
DerateHealthStatus fixture_read (gpointer service,
                                 gboolean in_grace,
                                 gboolean with_drills);

void fixture_assert_rule (Fixture    *f,
                          const char *expected);

#define fixture_assert_level(f, nick) \
  g_assert_cmpstr (derate_level_get_nick (derate_degradation_manager_get_level ((f)->manager)), \
                   ==, nick)

/* The signals since the last call. */
#define fixture_assert_told(f, expected) \
  G_STMT_START \
  { \
    derate_manual_clock_advance ((f)->clock, 0); \
    g_assert_cmpstr ((f)->told->str, ==, expected); \
    g_string_truncate ((f)->told, 0); \
  } \
  G_STMT_END
