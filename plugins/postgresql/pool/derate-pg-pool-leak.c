/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who holds a session for too long is named, once. It costs nothing where `leak-threshold` is 0.
 * Threads: who acquires notes it under the lock; the pool thread looks. */
#include "derate-pg-pool-private.h"

#include <derate-log.h>
#include <derate-time-span.h>
#include <string.h>

#define TAG_SIZE 48

/* Under the lock. */
struct _DeratePgHolder
{
  guint64 word; /* the acquisition */
  gint64 since;
  gboolean is_told;
  char tag[TAG_SIZE]; /* cut where it is longer */
};

void
derate_pg_leak_note (DeratePgPool *pool, DeratePgSlot *slot, const char *tag)
{
  DeratePgHolder *holder;

  if (pool->settings.leak_threshold == 0)
    return;
  if (slot->holder == NULL)
    slot->holder = g_new (DeratePgHolder, 1);
  holder = slot->holder;
  holder->word = derate_pg_slot_read (slot);
  holder->since = derate_pg_pool_now (pool);
  holder->is_told = FALSE;
  g_strlcpy (holder->tag, tag != NULL ? tag : "somebody without a tag", sizeof holder->tag);
  derate_pg_pool_wake_by (pool, holder->since + pool->settings.leak_threshold);
}

static void
tell (DeratePgPool *pool, const char *tag)
{
  g_autofree char *span = derate_time_span_to_string (pool->settings.leak_threshold);
  g_autofree char *valid = g_utf8_make_valid (tag, -1);
  g_autofree char *message = g_strdup_printf ("A session of pool %s is held for more than %s: %s",
                                              pool->settings.name, span, valid);

  derate_log_event (G_LOG_LEVEL_WARNING, "session_leaked", pool->settings.name, message, "WHO",
                    valid, NULL);
}

gint64
derate_pg_leak_look (DeratePgPool *pool, DeratePgSlot *slot, guint64 word, gint64 now)
{
  char tag[TAG_SIZE] = "";
  gint64 due = DERATE_CLOCK_NEVER;
  DeratePgHolder *holder;

  g_mutex_lock (&pool->lock);
  holder = slot->holder;
  if (holder != NULL && !holder->is_told && derate_pg_slot_same (word, holder->word))
    due = holder->since + pool->settings.leak_threshold;
  if (now >= due)
    {
      due = DERATE_CLOCK_NEVER;
      holder->is_told = TRUE;
      pool->counts.leaked++;
      memcpy (tag, holder->tag, sizeof tag);
    }
  g_mutex_unlock (&pool->lock);
  if (tag[0] != '\0')
    tell (pool, tag);
  return due;
}
