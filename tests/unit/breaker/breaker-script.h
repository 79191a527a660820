/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate.h>

/* A story of a breaker on a manual clock, as words:
 *   S F N       a call that succeeds, fails, is neutral: it must be let through
 *   L M         a call of 5 s that succeeds, fails
 *   X Xfull Xforced   a call that must be refused, for that reason
 *   +5s         time passes
 *   hold        a call is let through and kept; s1 f1 n1 d1 end the first such, d by dropping it
 *   trip close reset poll for=30s until=30s mode=NICK check=GOOD/RISE   what is done by hand
 *   closed open half-open   the state must be
 *   rate=0.6 slow=? streak=3 ok=2 calls=4 failed=1 blocked=2 opens=1 probes=1 retry=4999ms flight=0
 *               a number must be; ? is unknown */
typedef struct
{
  const char *name;
  const char *config; /* key=value words; no jitter unless it says so */
  const char *story;
} BreakerStory;

DerateBreakerConfig *breaker_config_from_words (const char *words);

void breaker_story_run (gconstpointer story);

void breaker_stories_add (const char *path, const BreakerStory *stories, gsize n_stories);

/* Alerts are warnings, which end a test: off. */
void breaker_test_init (int *argc, char ***argv);
