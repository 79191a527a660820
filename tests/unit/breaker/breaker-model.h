/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate.h>

/* What a circuit breaker is to do, written down once more as plainly as can be: lists and loops, no
 * threads, no clock. Rates are fractions of small whole numbers. There is no jitter and no ramp. */

typedef struct
{
  guint failures;
  guint calls;
} ModelRate;

typedef struct
{
  guint failure_threshold;
  DerateBreakerWindow window;
  guint window_size;
  GTimeSpan window_span;
  guint minimum_calls;
  ModelRate failure_rate;
  GTimeSpan slow_after; /* 0: off */
  ModelRate slow_rate;
  GTimeSpan open_duration;
  guint multiplier;
  GTimeSpan open_max;
  gboolean by_rate;
  guint max_calls;
  guint success_threshold;
  GTimeSpan lease;
} ModelConfig;

typedef enum
{
  MODEL_SUCCESS,
  MODEL_FAILURE,
  MODEL_NEUTRAL,
} ModelOutcome;

/* What was counted. */
typedef struct
{
  guint64 calls;
  guint64 blocked;
  guint64 successes;
  guint64 failures;
  guint64 neutrals;
  guint64 slow;
} ModelCounts;

typedef struct
{
  DerateBreakerState old_state;
  DerateBreakerState new_state;
  ModelCounts counts; /* of the state that ended */
  guint64 streak;
} ModelEvent;

typedef struct
{
  guint generation;
  gboolean is_probe;
  gboolean is_uncounted;
  gboolean is_measured;
  gboolean has_expired;
  gboolean has_ended;
  gint64 start;
  gint64 lease;
} ModelPermit;

typedef struct
{
  gboolean failed;
  gboolean slow;
  gint64 slice; /* when its slice began */
} ModelSample;

typedef struct
{
  ModelConfig config;
  DerateBreakerState state;
  DerateBreakerMode mode;
  DerateBreakerState before_forced;
  guint generation;
  gint64 since;      /* the last transition */
  gint64 open_until; /* while open */
  gboolean told_until;
  gboolean has_opened;
  guint step;
  GArray *window;  /* of ModelSample, the oldest first */
  GArray *permits; /* of ModelPermit; the place of one that has ended is used again */
  guint good_probes;
  guint bad_probes;
  guint slow_probes;
  gboolean asked_for;
  guint64 streak;
  guint64 bad_row;
  guint64 good_row;
  ModelCounts all; /* since it was made */
  ModelCounts at_transition;
  ModelCounts at_reset;
  guint opened;
  guint half_opened;
  GArray *events; /* of ModelEvent, to be taken by whoever looks */
} Model;

Model *model_new (const ModelConfig *config,
                  gint64             now);
void model_free (Model *model);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Model, model_free)

/* A place in `permits`, or -1 with the reason. */
int model_acquire (Model       *model,
                   gint64       now,
                   DerateError *reason);

void model_end (Model       *model,
                guint        permit,
                ModelOutcome outcome,
                gint64       now);

gboolean model_trip (Model *model,
                     gint64 now);
gboolean model_open_until (Model *model,
                           gint64 time,
                           gint64 now);
void model_close (Model *model,
                  gint64 now);
void model_reset (Model *model,
                  gint64 now);
void model_set_mode (Model            *model,
                     DerateBreakerMode mode,
                     gint64            now);

/* The kind of window and its span must stay what they are. */
void model_reconfigure (Model             *model,
                        const ModelConfig *config,
                        gint64             now);

void model_poll (Model *model,
                 gint64 now);
void model_check (Model *model,
                  guint  good_checks,
                  guint  rise,
                  gint64 now);

guint model_count_out (const Model *model);
guint model_count_in_flight (const Model *model);
GTimeSpan model_get_retry_after (const Model *model,
                                 gint64       now);

/* NaN while unknown. */
void model_get_rates (Model  *model,
                      gint64  now,
                      double *failure_rate,
                      double *slow_rate);
