/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "breaker-model.h"

#include <math.h>

Model *
model_new (const ModelConfig *config, gint64 now)
{
  Model *model = g_new0 (Model, 1);

  model->config = *config;
  model->state = DERATE_BREAKER_STATE_CLOSED;
  model->mode = DERATE_BREAKER_MODE_NORMAL;
  model->since = now;
  model->window = g_array_new (FALSE, FALSE, sizeof (ModelSample));
  model->permits = g_array_new (FALSE, FALSE, sizeof (ModelPermit));
  model->events = g_array_new (FALSE, FALSE, sizeof (ModelEvent));
  return model;
}

void
model_free (Model *model)
{
  g_array_unref (model->window);
  g_array_unref (model->permits);
  g_array_unref (model->events);
  g_free (model);
}

/* What was counted since @then. */
static ModelCounts
count_since (const Model *model, const ModelCounts *then)
{
  ModelCounts counts = model->all;

  counts.calls -= then->calls;
  counts.blocked -= then->blocked;
  counts.successes -= then->successes;
  counts.failures -= then->failures;
  counts.neutrals -= then->neutrals;
  counts.slow -= then->slow;
  return counts;
}

/* Permits given so far count no more. */
static void
enter (Model *model, DerateBreakerState state, gint64 now)
{
  ModelEvent event = { .old_state = model->state, .new_state = state, .streak = model->streak };

  model->generation++;
  if (state == model->state)
    return;
  event.counts = count_since (model, &model->at_transition);
  g_array_append_val (model->events, event);
  model->at_transition = model->all;
  model->state = state;
  model->since = now;
  model->opened += state == DERATE_BREAKER_STATE_OPEN ? 1 : 0;
  model->half_opened += state == DERATE_BREAKER_STATE_HALF_OPEN ? 1 : 0;
}

static void
start_probing (Model *model)
{
  model->good_probes = 0;
  model->bad_probes = 0;
  model->slow_probes = 0;
  model->asked_for = FALSE;
}

static void
half_open (Model *model, gint64 now)
{
  enter (model, DERATE_BREAKER_STATE_HALF_OPEN, now);
  start_probing (model);
}

static void
close_it (Model *model, gint64 now)
{
  enter (model, DERATE_BREAKER_STATE_CLOSED, now);
  g_array_set_size (model->window, 0);
  model->streak = 0;
  model->bad_row = 0;
}

/* Each reopening takes the open duration a step up, unless it was closed for as long: each such
 * spell takes it a step down. */
static void
open_as_failures_do (Model *model, gint64 now)
{
  GTimeSpan span = model->config.open_duration;
  gint64 spells = 0;

  if (model->state == DERATE_BREAKER_STATE_CLOSED && span > 0)
    spells = (now - model->since) / span;
  if (!model->has_opened)
    model->step = 0;
  else if (spells == 0)
    model->step++;
  else
    model->step = spells > model->step ? 0 : model->step - (guint)spells;
  model->has_opened = TRUE;
  for (guint i = 0; i < model->step && span < model->config.open_max; i++)
    span *= model->config.multiplier;
  model->open_until = now + MIN (span, model->config.open_max);
  model->told_until = FALSE;
  enter (model, DERATE_BREAKER_STATE_OPEN, now);
}

static void
open_until (Model *model, gint64 time, gint64 now)
{
  model->open_until = time;
  model->told_until = TRUE;
  enter (model, DERATE_BREAKER_STATE_OPEN, now);
}

static gboolean
reaches (guint part, guint whole, const ModelRate *rate)
{
  return part * rate->calls >= rate->failures * whole;
}

static gboolean
is_out (const Model *model, const ModelPermit *permit)
{
  return !permit->has_ended && permit->is_probe && !permit->has_expired &&
         permit->generation == model->generation && model->state == DERATE_BREAKER_STATE_HALF_OPEN;
}

guint
model_count_out (const Model *model)
{
  guint n = 0;

  for (guint i = 0; i < model->permits->len; i++)
    n += is_out (model, &g_array_index (model->permits, ModelPermit, i)) ? 1 : 0;
  return n;
}

guint
model_count_in_flight (const Model *model)
{
  guint n = 0;

  for (guint i = 0; i < model->permits->len; i++)
    {
      const ModelPermit *permit = &g_array_index (model->permits, ModelPermit, i);

      n += !permit->has_ended && !permit->is_uncounted ? 1 : 0;
    }
  return n;
}

static gboolean
has_place (const Model *model)
{
  guint taken = model_count_out (model);

  if (model->config.by_rate)
    taken += model->good_probes + model->bad_probes;
  return taken < model->config.max_calls;
}

/* All the outcomes that were waited for decide together. */
static void
decide_by_rate (Model *model, gint64 now)
{
  guint n = model->good_probes + model->bad_probes;

  if (n < model->config.max_calls)
    return;
  if (reaches (model->bad_probes, n, &model->config.failure_rate) ||
      (model->config.slow_after > 0 && reaches (model->slow_probes, n, &model->config.slow_rate)))
    open_as_failures_do (model, now);
  else
    close_it (model, now);
}

static void
count_good_probe (Model *model, gint64 now)
{
  model->good_probes++;
  if (model->config.by_rate)
    decide_by_rate (model, now);
  else if (model->good_probes >= model->config.success_threshold)
    close_it (model, now);
}

static void
count_bad_probe (Model *model, gint64 now)
{
  model->bad_probes++;
  model->streak++;
  model->bad_row++;
  model->good_row = 0;
  if (model->config.by_rate)
    decide_by_rate (model, now);
  else
    open_as_failures_do (model, now);
}

/* Probes that were not answered in their time have failed then, in the order of their times. */
static void
expire (Model *model, gint64 now)
{
  while (TRUE)
    {
      ModelPermit *first = NULL;

      for (guint i = 0; i < model->permits->len; i++)
        {
          ModelPermit *permit = &g_array_index (model->permits, ModelPermit, i);

          if (is_out (model, permit) && permit->lease <= now &&
              (first == NULL || permit->lease < first->lease))
            first = permit;
        }
      if (first == NULL)
        return;
      first->has_expired = TRUE;
      count_bad_probe (model, first->lease);
    }
}

/* What time alone does; a mode outranks it. */
void
model_poll (Model *model, gint64 now)
{
  if (model->mode != DERATE_BREAKER_MODE_NORMAL)
    return;
  expire (model, now);
  if (model->state == DERATE_BREAKER_STATE_OPEN && model->open_until <= now)
    half_open (model, now);
}

static gboolean
is_let_through (Model *model, DerateError *reason)
{
  if (model->state == DERATE_BREAKER_STATE_CLOSED)
    return TRUE;
  if (model->state == DERATE_BREAKER_STATE_HALF_OPEN)
    {
      model->asked_for = TRUE;
      *reason = DERATE_ERROR_HALF_OPEN_FULL;
      return has_place (model);
    }
  *reason =
      model->mode == DERATE_BREAKER_MODE_FORCED_OPEN ? DERATE_ERROR_FORCED : DERATE_ERROR_OPEN;
  return FALSE;
}

/* In the place of one that has ended, if there is one. */
static int
keep_permit (Model *model, const ModelPermit *permit)
{
  for (guint i = 0; i < model->permits->len; i++)
    if (g_array_index (model->permits, ModelPermit, i).has_ended)
      {
        g_array_index (model->permits, ModelPermit, i) = *permit;
        return (int)i;
      }
  g_array_append_vals (model->permits, permit, 1);
  return (int)model->permits->len - 1;
}

int
model_acquire (Model *model, gint64 now, DerateError *reason)
{
  ModelPermit permit = { .start = now };

  model_poll (model, now);
  if (!is_let_through (model, reason))
    {
      model->all.blocked++;
      return -1;
    }
  permit.generation = model->generation;
  permit.is_probe = model->state == DERATE_BREAKER_STATE_HALF_OPEN;
  permit.is_uncounted = model->mode == DERATE_BREAKER_MODE_DISABLED;
  permit.is_measured = permit.is_probe || model->config.slow_after > 0;
  permit.lease = now + model->config.lease;
  model->all.calls += permit.is_uncounted ? 0 : 1;
  return keep_permit (model, &permit);
}

/* By time: the window forgets whole slices. A slice begins with the first outcome after the one
 * before it has ended. */
static void
forget (Model *model, gint64 now)
{
  guint n = 0;

  if (model->config.window == DERATE_BREAKER_WINDOW_COUNT)
    n = model->window->len - MIN (model->window->len, model->config.window_size);
  else
    while (n < model->window->len &&
           g_array_index (model->window, ModelSample, n).slice + model->config.window_span <= now)
      n++;
  g_array_remove_range (model->window, 0, n);
}

static void
remember (Model *model, gboolean failed, gboolean slow, gint64 now)
{
  ModelSample sample = { .failed = failed, .slow = slow, .slice = now };
  guint n = model->window->len;
  GTimeSpan slice_span = (model->config.window_span + 9) / 10;

  if (model->config.window == DERATE_BREAKER_WINDOW_NONE)
    return;
  if (n > 0)
    {
      gint64 newest = g_array_index (model->window, ModelSample, n - 1).slice;

      sample.slice = now < newest + slice_span ? newest : now;
    }
  g_array_append_val (model->window, sample);
  forget (model, now);
}

static void
sum_window (const Model *model, guint *failures, guint *slow)
{
  *failures = 0;
  *slow = 0;
  for (guint i = 0; i < model->window->len; i++)
    {
      *failures += g_array_index (model->window, ModelSample, i).failed ? 1 : 0;
      *slow += g_array_index (model->window, ModelSample, i).slow ? 1 : 0;
    }
}

static gboolean
is_known (const Model *model)
{
  return model->window->len > 0 && model->window->len >= model->config.minimum_calls;
}

static gboolean
must_open (const Model *model)
{
  const ModelConfig *config = &model->config;
  guint failures;
  guint slow;

  if (config->failure_threshold > 0 && model->bad_row >= config->failure_threshold)
    return TRUE;
  sum_window (model, &failures, &slow);
  if (!is_known (model))
    return FALSE;
  return reaches (failures, model->window->len, &config->failure_rate) ||
         (config->slow_after > 0 && reaches (slow, model->window->len, &config->slow_rate));
}

static void
take_while_closed (Model *model, ModelOutcome outcome, gboolean slow, gint64 now)
{
  if (outcome == MODEL_NEUTRAL)
    return;
  if (outcome == MODEL_FAILURE)
    {
      model->bad_row++;
      model->streak++;
      model->good_row = 0;
    }
  else
    {
      model->bad_row = 0;
      model->streak = 0;
      model->good_row++;
    }
  remember (model, outcome == MODEL_FAILURE, slow, now);
  if (model->mode == DERATE_BREAKER_MODE_NORMAL && must_open (model))
    open_as_failures_do (model, now);
}

static void
take_while_half_open (Model *model, ModelOutcome outcome, gboolean slow, gint64 now)
{
  if (outcome == MODEL_NEUTRAL)
    return;
  model->slow_probes += slow ? 1 : 0;
  if (outcome == MODEL_FAILURE)
    {
      count_bad_probe (model, now);
      return;
    }
  model->bad_row = 0;
  model->good_row++;
  count_good_probe (model, now);
}

void
model_end (Model *model, guint index, ModelOutcome outcome, gint64 now)
{
  ModelPermit *permit = &g_array_index (model->permits, ModelPermit, index);
  gboolean slow;
  gboolean counts;
  gboolean was_out;

  if (permit->has_ended)
    return;
  if (permit->is_uncounted)
    {
      permit->has_ended = TRUE;
      return;
    }
  if (outcome != MODEL_NEUTRAL || permit->is_probe)
    expire (model, now);
  slow = outcome != MODEL_NEUTRAL && permit->is_measured && model->config.slow_after > 0 &&
         now - permit->start >= model->config.slow_after;
  was_out = is_out (model, permit);
  counts = permit->generation == model->generation;
  permit->has_ended = TRUE;
  model->all.successes += outcome == MODEL_SUCCESS ? 1 : 0;
  model->all.failures += outcome == MODEL_FAILURE ? 1 : 0;
  model->all.neutrals += outcome == MODEL_NEUTRAL ? 1 : 0;
  model->all.slow += slow ? 1 : 0;
  if (counts && model->state == DERATE_BREAKER_STATE_CLOSED)
    take_while_closed (model, outcome, slow, now);
  else if (was_out)
    take_while_half_open (model, outcome, slow, now);
}

static gboolean
can_open (const Model *model)
{
  return model->mode == DERATE_BREAKER_MODE_NORMAL ||
         model->mode == DERATE_BREAKER_MODE_FORCED_OPEN;
}

gboolean
model_trip (Model *model, gint64 now)
{
  model_poll (model, now);
  if (model->mode == DERATE_BREAKER_MODE_NORMAL && model->state != DERATE_BREAKER_STATE_OPEN)
    open_as_failures_do (model, now);
  return can_open (model);
}

gboolean
model_open_until (Model *model, gint64 time, gint64 now)
{
  model_poll (model, now);
  if (model->mode == DERATE_BREAKER_MODE_NORMAL)
    open_until (model, time, now);
  return can_open (model);
}

void
model_close (Model *model, gint64 now)
{
  if (model->mode == DERATE_BREAKER_MODE_FORCED_OPEN)
    model->mode = DERATE_BREAKER_MODE_NORMAL;
  close_it (model, now);
}

void
model_reset (Model *model, gint64 now)
{
  model_close (model, now);
  model->at_reset = model->all;
  model->good_row = 0;
  model->opened = 0;
  model->half_opened = 0;
  model->step = 0;
  model->has_opened = FALSE;
}

void
model_set_mode (Model *model, DerateBreakerMode mode, gint64 now)
{
  DerateBreakerMode old_mode = model->mode;

  if (mode == old_mode)
    return;
  model->mode = mode;
  if (mode == DERATE_BREAKER_MODE_FORCED_OPEN)
    {
      model->before_forced = model->state;
      open_until (model, G_MAXINT64, now);
    }
  else if (mode == DERATE_BREAKER_MODE_NORMAL && old_mode == DERATE_BREAKER_MODE_FORCED_OPEN &&
           model->before_forced != DERATE_BREAKER_STATE_CLOSED)
    half_open (model, now);
  else
    close_it (model, now);
}

void
model_reconfigure (Model *model, const ModelConfig *config, gint64 now)
{
  gboolean by_rate = model->config.by_rate;

  g_assert (config->window == model->config.window);
  g_assert (config->window_span == model->config.window_span);
  model->config = *config;
  if (config->window == DERATE_BREAKER_WINDOW_COUNT)
    forget (model, now);
  if (model->state != DERATE_BREAKER_STATE_HALF_OPEN)
    return;
  if (config->by_rate != by_rate) /* what was answered for another decision decides nothing */
    {
      model->generation++;
      start_probing (model);
    }
  else if (config->by_rate) /* fewer answers may be wanted than there are */
    decide_by_rate (model, now);
}

void
model_check (Model *model, guint good_checks, guint rise, gint64 now)
{
  gboolean asked_for;

  if (model->mode != DERATE_BREAKER_MODE_NORMAL)
    return;
  expire (model, now);
  if (model->state == DERATE_BREAKER_STATE_OPEN)
    {
      if (model->open_until <= now || (good_checks >= rise && !model->told_until))
        half_open (model, now);
    }
  else if (model->state == DERATE_BREAKER_STATE_HALF_OPEN)
    {
      asked_for = model->asked_for;
      model->asked_for = FALSE;
      if (!asked_for && good_checks > 0 && has_place (model))
        count_good_probe (model, now);
    }
}

GTimeSpan
model_get_retry_after (const Model *model, gint64 now)
{
  gint64 due = G_MAXINT64;

  if (model->mode == DERATE_BREAKER_MODE_FORCED_OPEN)
    return model->config.open_duration;
  if (model->state == DERATE_BREAKER_STATE_OPEN)
    return MAX (model->open_until - now, 0);
  if (model->state == DERATE_BREAKER_STATE_CLOSED || has_place (model))
    return 0;
  for (guint i = 0; i < model->permits->len; i++)
    {
      const ModelPermit *permit = &g_array_index (model->permits, ModelPermit, i);

      if (is_out (model, permit))
        due = MIN (due, permit->lease);
    }
  return MAX (due - now, 0);
}

void
model_get_rates (Model *model, gint64 now, double *failure_rate, double *slow_rate)
{
  guint failures;
  guint slow;

  forget (model, now);
  sum_window (model, &failures, &slow);
  *failure_rate = NAN;
  *slow_rate = NAN;
  if (!is_known (model) || model->mode == DERATE_BREAKER_MODE_DISABLED)
    return;
  *failure_rate = (double)failures / model->window->len;
  if (model->config.slow_after > 0)
    *slow_rate = (double)slow / model->window->len;
}
