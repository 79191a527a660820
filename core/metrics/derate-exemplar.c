/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-exemplar-private.h"

#include <string.h>

#include "derate-clock.h"
#include "derate-metrics-text-private.h"
#include "derate-number-private.h"

/* Threads: `place` is set once, by whoever comes first. The mutex guards the buckets; what is kept
 * does not change, and is freed outside the lock. */

typedef struct
{
  double value;
  gint64 time; /* wall clock, µs */
  char label[]; /* NUL and the text behind it */
} Exemplar;

struct _DerateExemplars
{
  GMutex mutex;
  Exemplar *buckets[];
};

static DerateExemplars *
ensure (DerateExemplars **place, guint n_buckets)
{
  DerateExemplars *exemplars = __atomic_load_n (place, __ATOMIC_ACQUIRE);
  DerateExemplars *fresh;

  if (exemplars != NULL)
    return exemplars;
  fresh = g_malloc0 (sizeof *fresh + n_buckets * sizeof fresh->buckets[0]);
  g_mutex_init (&fresh->mutex);
  if (__atomic_compare_exchange_n (place, &exemplars, fresh, FALSE, __ATOMIC_ACQ_REL,
                                   __ATOMIC_ACQUIRE))
    return fresh;
  derate_exemplars_free (fresh, n_buckets);
  return exemplars;
}

static Exemplar *
exemplar_new (double value, const char *label, const char *text)
{
  gsize label_size = strlen (label) + 1;
  gsize text_size = strlen (text) + 1;
  Exemplar *exemplar = g_malloc (sizeof *exemplar + label_size + text_size);

  exemplar->value = value;
  exemplar->time = derate_clock_get_real_time (derate_clock_get_system ());
  memcpy (exemplar->label, label, label_size);
  memcpy (exemplar->label + label_size, text, text_size);
  return exemplar;
}

void
derate_exemplars_keep (DerateExemplars **place,
                       guint n_buckets,
                       guint bucket,
                       double value,
                       const char *label,
                       const char *text)
{
  DerateExemplars *exemplars;
  Exemplar *exemplar;

  if (!g_utf8_validate (text, -1, NULL) ||
      g_utf8_strlen (text, -1) + (glong)strlen (label) > DERATE_EXEMPLAR_MAX)
    return;
  exemplars = ensure (place, n_buckets);
  exemplar = exemplar_new (value, label, text);
  if (g_mutex_trylock (&exemplars->mutex))
    {
      Exemplar *old = exemplars->buckets[bucket];

      exemplars->buckets[bucket] = exemplar;
      g_mutex_unlock (&exemplars->mutex);
      exemplar = old;
    }
  g_free (exemplar);
}

static void
append_exemplar (GString *out, const Exemplar *exemplar)
{
  g_string_append (out, " # {");
  derate_metrics_append_label (out, exemplar->label,
                               exemplar->label + strlen (exemplar->label) + 1);
  g_string_append (out, "} ");
  derate_number_append_sample (out, exemplar->value);
  g_string_append_c (out, ' ');
  derate_number_append_sample (out, (double)exemplar->time / G_USEC_PER_SEC);
  g_string_append_c (out, '\0');
}

void
derate_exemplars_append (DerateExemplars *const *place,
                         guint n_buckets,
                         GString *out,
                         gssize *starts)
{
  DerateExemplars *exemplars = __atomic_load_n (place, __ATOMIC_ACQUIRE);
  g_autoptr (GMutexLocker) locker = NULL;

  for (guint i = 0; i < n_buckets; i++)
    starts[i] = -1;
  if (exemplars == NULL)
    return;
  locker = g_mutex_locker_new (&exemplars->mutex);
  for (guint i = 0; i < n_buckets; i++)
    if (exemplars->buckets[i] != NULL)
      {
        starts[i] = (gssize)out->len;
        append_exemplar (out, exemplars->buckets[i]);
      }
}

void
derate_exemplars_free (DerateExemplars *exemplars, guint n_buckets)
{
  if (exemplars == NULL)
    return;
  for (guint i = 0; i < n_buckets; i++)
    g_free (exemplars->buckets[i]);
  g_mutex_clear (&exemplars->mutex);
  g_free (exemplars);
}
