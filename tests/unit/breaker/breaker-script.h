/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate.h>

/* Under a sanitizer or valgrind: fewer rounds, and malloc is another. */
gboolean breaker_test_is_slow (void);

/* A story of a breaker on a manual clock, as words:
 *   S F N C     a call that succeeds, fails, is neutral, is cancelled: it must be let through
 *   L M         a call of 5 s that succeeds, fails
 *   X Xfull Xforced Xramp Xdrill   a call that must be refused, for that reason
 *   +5s wall=-1d      time passes; the date jumps
 *   hold        a call is let through and kept; s1 f1 n1 d1 end the first such, d by dropping it
 *   trip close reset poll for=30s until=30s mode=NICK check=GOOD/RISE   what is done by hand
 *   drill=0.3   a drill refuses that share of the calls, 0 ends it
 *   set=KEY:VALUE,KEY:VALUE   other settings, in place
 *   restart=5s  saved, and 5 s later restored into a new breaker
 *   cannot=half-open  there is no way there by hand
 *   closed open half-open   the state must be
 *   rate=0.6 slow=? streak=3 ok=2 calls=4 failed=1 blocked=2 opens=1 probes=1 retry=4999ms flight=0
 *   window=10 drilled=3 events=2 was-calls=3
 *               a number must be; ? is unknown. window: outcomes in it; events: transitions
 *               heard of; was-…: what a listener was told of the state that ended
 *   S*20        any word, so many times
 * Every transition must be heard of once, in its order. */
typedef struct
{
  const char *name;
  const char *config;  /* key=value words; no jitter unless it says so */
  const char *story;
  const char *differs; /* (nullable) from which known library, or from which choice it offers */
} BreakerStory;

DerateBreakerConfig *breaker_config_from_words (const char *words);

void breaker_story_run (gconstpointer story);

void breaker_stories_add (const char *path, const BreakerStory *stories, gsize n_stories);

/* Alerts are warnings, which end a test: off. */
void breaker_test_init (int *argc, char ***argv);
