/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* What DERATE_DEBUG asks for: more than events, for who looks for the reason of something. */
typedef enum
{
  DERATE_DEBUG_BREAKER = 1 << 0, /* each failed call, and whether it counts */
  DERATE_DEBUG_CONFIG = 1 << 1,  /* which file each key in force is from; never a value */
  DERATE_DEBUG_HEALTH = 1 << 2,  /* the answer of each check */
  DERATE_DEBUG_LEVEL = 1 << 3,   /* each evaluation, and why */
  DERATE_DEBUG_PLUGIN = 1 << 4,  /* where each plugin was looked for */
} DerateDebugSubject;

/* All of them until the variable has been read, which is once. */
extern guint derate_debug_subjects; /* atomic */

gboolean derate_debug_is_asked_for (DerateDebugSubject subject);

/* Costs a load where nothing is asked for. */
static inline gboolean
derate_debug_is_on (DerateDebugSubject subject)
{
  return G_UNLIKELY (__atomic_load_n (&derate_debug_subjects, __ATOMIC_RELAXED) & subject) &&
         derate_debug_is_asked_for (subject);
}

/* A message about @subject, without secrets, to the writer of the log: never under a lock. */
void derate_debug_note (DerateDebugSubject subject,
                        const char        *format,
                        ...) G_GNUC_PRINTF (2, 3);

/* Words that are none are DERATE_ERROR_INVALID_CONFIG. */
gboolean derate_debug_check_environment (GError **error);

/* The texts are only made where they are asked for. */
#define DERATE_NOTE(SUBJECT, ...)                                                                  \
  G_STMT_START                                                                                     \
  {                                                                                                \
    if (derate_debug_is_on (DERATE_DEBUG_##SUBJECT))                                               \
      derate_debug_note (DERATE_DEBUG_##SUBJECT, __VA_ARGS__);                                     \
  }                                                                                                \
  G_STMT_END

G_END_DECLS
