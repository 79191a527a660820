/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-visibility.h>
#include <gio/gio.h>

G_BEGIN_DECLS

/**
 * DERATE_CLOCK_NEVER:
 *
 * A deadline that never comes.
 *
 * Since: 1.0
 */
#define DERATE_CLOCK_NEVER G_MAXINT64

#define DERATE_TYPE_CLOCK (derate_clock_get_type ())

DERATE_AVAILABLE_IN_1_0
G_DECLARE_DERIVABLE_TYPE (DerateClock, derate_clock, DERATE, CLOCK, GObject)

/**
 * DerateClockClass:
 * @parent_class: the parent class
 * @get_time: the time in microseconds since some start; never steps back
 * @get_real_time: the wall clock in microseconds since 1970, for what is shown or stored
 * @create_source: a source that becomes ready at or after @deadline
 * @set_deadline: moves the deadline of a source that @create_source made
 *
 * What a clock must be able to do. All functions may be called from any thread.
 *
 * Since: 1.0
 */
struct _DerateClockClass
{
  GObjectClass parent_class;

  gint64 (*get_time) (DerateClock *clock);
  gint64 (*get_real_time) (DerateClock *clock);
  GSource *(*create_source) (DerateClock *clock,
                             gint64       deadline);
  void (*set_deadline) (DerateClock *clock,
                        GSource     *source,
                        gint64       deadline);

  /*< private >*/
  gpointer padding[4];
};

DERATE_AVAILABLE_IN_1_0
DerateClock *derate_clock_get_system (void);

DERATE_AVAILABLE_IN_1_0
gint64 derate_clock_get_time (DerateClock *clock);

DERATE_AVAILABLE_IN_1_0
gint64 derate_clock_get_real_time (DerateClock *clock);

DERATE_AVAILABLE_IN_1_0
GSource *derate_clock_source_new (DerateClock *clock,
                                  gint64       deadline);

DERATE_AVAILABLE_IN_1_0
void derate_clock_source_set_deadline (DerateClock *clock,
                                       GSource     *source,
                                       gint64       deadline);

G_END_DECLS
