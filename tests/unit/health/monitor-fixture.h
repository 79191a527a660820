/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-monitor-private.h"
#include "derate-service-room-private.h"
#include "fake-check.h"

G_BEGIN_DECLS

#define SECOND G_TIME_SPAN_SECOND
#define MANY 20

typedef struct
{
  DerateClock *clock;
  DerateMonitor *monitor;
  FakeCheck *checks[MANY];
  DerateService *services[MANY];
  guint n;
  guint n_hooks;
} MonitorFixture;

GLogWriterOutput monitor_fixture_drop_log (GLogLevelFlags   level,
                                           const GLogField *fields,
                                           gsize            n_fields,
                                           gpointer         data);

void monitor_fixture_advance (MonitorFixture *f,
                              GTimeSpan       span);

void monitor_fixture_set_up_monitor (MonitorFixture *f,
                                     GMainContext   *check_context,
                                     GMainContext   *owner_context);

void monitor_fixture_set_up (MonitorFixture *f,
                             gconstpointer   data);

void monitor_fixture_add_services (MonitorFixture *f,
                                   guint           n);

void monitor_fixture_start (MonitorFixture *f);

void monitor_fixture_tear_down (MonitorFixture *f,
                                gconstpointer   data);

void monitor_fixture_assert_status (DerateService     *service,
                                    DerateHealthStatus status,
                                    DerateHealthCause  cause);

G_END_DECLS
