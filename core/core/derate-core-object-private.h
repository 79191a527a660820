/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-core-private.h"
#include "derate-core-systemd-private.h"
#include "derate-drill-set-private.h"
#include "derate-loop-lag-private.h"
#include "derate-monitor-private.h"
#include "derate-monitor-thread-private.h"
#include "derate-rule-set.h"

G_BEGIN_DECLS

typedef enum
{
  DERATE_CORE_IDLE,
  DERATE_CORE_STARTING,
  DERATE_CORE_RUNNING,
  DERATE_CORE_STOPPED,
} DerateCoreState;

/* The members of a core, for the files of this room alone. */
struct _DerateCore
{
  GObject parent_instance;

  char *name;
  DerateClock *clock;
  DerateConfig *config; /* nullable */
  char *config_path;    /* nullable */
  DerateEventQueue *owner_queue;
  GMainContext *monitor_context;

  DerateBreakerRegistry *breakers;
  DerateDegradationManager *manager;
  DerateDrillSet *drills;
  DerateFallbackFactory *fallbacks;
  DerateFallbackUsage *fallback_usage;
  DerateMetricsRegistry *metrics;
  DeratePluginLoader *plugins;
  DerateMonitor *monitor;

  GPtrArray *rules; /* (element-type DerateRule) (nullable) own rules */
  DerateRuleSetMode rules_mode;
  GPtrArray *features; /* (element-type DerateFeature) (nullable) own features */

  GHashTable *pipelines; /* what those of a service share; see derate-core-pipeline-private.h */

  DerateMonitorThread *thread; /* NULL on a manual clock and while not running */
  DerateLoopLag *lag;          /* while running */
  DerateCoreSystemd *systemd;  /* NULL: nobody is told */
  GTask *starting;
  gboolean disabled; /* ENABLE_RESILIENCE=false */
  int state;         /* DerateCoreState, atomic */

  GMutex mutex;
  GPtrArray *services; /* (element-type DerateService) in the order they were added; by the mutex */
  GListStore *model;   /* the same, in the owner context */
  GPtrArray *watches;  /* (nullable) see derate-core-watch.c; by the mutex */
  guint last_watch;    /* by the mutex */
};

static inline DerateCoreState
derate_core_get_state (DerateCore *core)
{
  return (DerateCoreState)g_atomic_int_get (&core->state);
}

/* The services now, each with a reference. From any thread. */
GPtrArray *derate_core_snapshot_services (DerateCore *core);

/* Tells who watches that nothing more will come. */
void derate_core_end_watches (DerateCore *core);

G_END_DECLS
