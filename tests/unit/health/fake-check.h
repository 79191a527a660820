/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate.h>

G_BEGIN_DECLS

/* A health check that does what it is told. */

typedef enum
{
  FAKE_ANSWER, /* the report, after the delay */
  FAKE_HANG,   /* nothing until it is cancelled */
  FAKE_IGNORE, /* nothing, cancelled or not, until fake_check_let_go () */
  FAKE_FAIL,   /* an error of its own */
} FakeBehaviour;

#define FAKE_TYPE_CHECK (fake_check_get_type ())
G_DECLARE_FINAL_TYPE (FakeCheck, fake_check, FAKE, CHECK, GObject)

struct _FakeCheck
{
  GObject parent_instance;

  DerateClock *clock;
  DerateHealthCheckThreading threading;
  FakeBehaviour behaviour;
  GTimeSpan delay;
  DerateHealthStatus status;
  DerateHealthCause cause;
  const char *message;

  guint n_started;
  guint n_cancelled;
  guint n_inside; /* begun and not ended */
  guint most_inside;
  guint *n_all;    /* (nullable): the same for several checks together */
  guint *most_all;
  GArray *starts; /* (element-type gint64) */
  GThread *thread; /* where it was last started */
  GTask *kept;     /* by FAKE_IGNORE */
};

FakeCheck *fake_check_new (DerateClock *clock);

void fake_check_set (FakeCheck         *check,
                     DerateHealthStatus status,
                     DerateHealthCause  cause,
                     const char        *message);

/* When the n-th run began; negative counts from the end. */
gint64 fake_check_get_start (FakeCheck *check,
                             gint       n);

void fake_check_let_go (FakeCheck *check);

G_END_DECLS
