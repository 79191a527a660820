/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate.h>

#include "derate-core-private.h"

G_BEGIN_DECLS

/* A core on a manual clock, started, with the services database, redis, openai and s3 as their
 * roles have them, and `search`, which shares the breaker of s3. Its ticks are at 30 s, 60 s, … */
typedef struct
{
  DerateManualClock *clock;
  DerateCore *core;
  char *path; /* of its configuration */
  GString *log; /* “drill_started redis”, a line each, of the events of drills */
} DrillWorld;

void drill_world_set_up (DrillWorld   *w,
                         gconstpointer unused);
void drill_world_tear_down (DrillWorld   *w,
                            gconstpointer unused);

void drill_world_advance (DrillWorld *w,
                          double      seconds);

/* Reads the configuration again with these services. */
void drill_world_reload (DrillWorld *w,
                         const char *services);

/* A drill that it is down for @seconds, within the limit minimal. */
char *drill_world_begin (DrillWorld *w,
                         const char *service,
                         double      seconds);

/* The report of one that has ended or ends now. */
GVariant *drill_world_stop (DrillWorld *w,
                            const char *id);

/* Calls, of which so many were let through. */
guint drill_world_call (DrillWorld *w,
                        const char *breaker,
                        guint       calls,
                        gboolean    well);

const char *drill_world_get_level (DrillWorld *w);

/* A member of a report as JSON; "a.b" looks into a. */
char *drill_world_look (GVariant   *report,
                        const char *path);

#define drill_world_assert(report, path, expected)            \
  G_STMT_START                                                \
  {                                                           \
    g_autofree char *text_ = drill_world_look (report, path); \
    g_assert_cmpstr (text_, ==, expected);                    \
  }                                                           \
  G_STMT_END

G_END_DECLS
