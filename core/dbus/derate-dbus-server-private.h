/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-core-private.h"
#include "derate-dbus-authority-private.h"
#include "derate-dbus-bonds-private.h"
#include "derate-dbus-inbox-private.h"
#include "derate-dbus-leases-private.h"
#include "derate-dbus-tree-private.h"
#include "derate-dbus-view-private.h"

G_BEGIN_DECLS

/* What a program shows on one connection. It starts, works and stops in the monitor's context;
 * other threads reach its inbox alone. The core is known weakly: whoever exports keeps it alive. */
#define DERATE_TYPE_DBUS_SERVER (derate_dbus_server_get_type ())
G_DECLARE_FINAL_TYPE (DerateDbusServer, derate_dbus_server, DERATE, DBUS_SERVER, GObject)

/* Told in the monitor's context: the name the program has on the bus; NULL once it has none, which
 * is the end. */
typedef void (*DerateDbusNamed) (gpointer    data,
                                 const char *bus_name);

struct _DerateDbusServer
{
  GObject parent_instance;

  GWeakRef core;
  DerateDegradationManager *degradation;
  DerateDrillSet *drills;
  DerateClock *clock;
  GMainContext *context;
  GDBusConnection *connection;

  DerateDbusNamed named;
  gpointer named_data;
  GDestroyNotify named_destroy;
  char *base_name;
  char *bus_name; /* the one that is asked for, or had */
  guint attempt;
  guint name_id;

  /* All of this from start () to stop (). */
  gboolean running;
  gboolean stopped; /* it does not start again */
  DerateDbusAuthority *authority;
  DerateDbusInbox *inbox;
  GSource *source; /* of the inbox */
  guint listener;
  DerateDbusView *manager;
  DerateDbusView *admin;
  DerateDbusTree *tree;
  DerateDbusBonds *bonds;
  DerateDbusLeases *leases;
  GHashTable *expiries; /* (element-type utf8 gint64) when holds end, by id */
};

DerateDbusServer *derate_dbus_server_new (DerateCore      *core,
                                          GDBusConnection *connection,
                                          DerateDbusNamed  named,
                                          gpointer         named_data,
                                          GDestroyNotify   named_destroy);

/* From the thread of the core: in the monitor's context, soon; stop () at once while nothing runs
 * it. */
void derate_dbus_server_start (DerateDbusServer *server);
void derate_dbus_server_stop (DerateDbusServer *server);

/* Tells the bus of all that has changed, at once: before a method answers, and whenever the inbox
 * has something. */
void derate_dbus_server_refresh (DerateDbusServer *server);

/* What holds know @sender by: unique names are unique on their bus only. */
char *derate_dbus_server_dup_owner (DerateDbusServer *server,
                                    const char       *sender);

/* derate-dbus-manager.c: org.derate.Derate1.Manager, with the server as owner */
GVariant *derate_dbus_manager_read (gpointer owner);
void derate_dbus_manager_call (gpointer               owner,
                               GDBusMethodInvocation *invocation);

/* derate-dbus-admin.c: org.derate.Derate1.Admin, with the server as owner */
void derate_dbus_admin_call (gpointer               owner,
                             GDBusMethodInvocation *invocation);

/* A caller of Admin who may call what he calls. */
typedef struct
{
  DerateDbusServer *server;
  DerateCore *core;
  GDBusMethodInvocation *invocation;
  GVariant *parameters;
  const char *sender;
  char *owner; /* of holds and drills: the sender, and on which bus */
  guint uid;
  gboolean privileged;
} DerateDbusRequest;

/* The answer, NULL with an error, or NULL without one: the method answers by itself, later. */
typedef GVariant *(*DerateDbusMethodFunc) (DerateDbusRequest *request,
                                           GError           **error);

/* derate-dbus-hold-admin.c */
GVariant *derate_dbus_admin_hold (DerateDbusRequest *request,
                                  GError           **error);
GVariant *derate_dbus_admin_renew (DerateDbusRequest *request,
                                   GError           **error);
GVariant *derate_dbus_admin_release (DerateDbusRequest *request,
                                     GError           **error);
GVariant *derate_dbus_admin_release_all (DerateDbusRequest *request,
                                         GError           **error);

/* derate-dbus-breaker-admin.c */
GVariant *derate_dbus_admin_trip_breaker (DerateDbusRequest *request,
                                          GError           **error);
GVariant *derate_dbus_admin_close_breaker (DerateDbusRequest *request,
                                           GError           **error);
GVariant *derate_dbus_admin_reset_breaker (DerateDbusRequest *request,
                                           GError           **error);
GVariant *derate_dbus_admin_reset_all_breakers (DerateDbusRequest *request,
                                                GError           **error);
GVariant *derate_dbus_admin_set_breaker_mode (DerateDbusRequest *request,
                                              GError           **error);

/* derate-dbus-drill-admin.c */
GVariant *derate_dbus_admin_drill (DerateDbusRequest *request,
                                   GError           **error);
GVariant *derate_dbus_admin_stop_drill (DerateDbusRequest *request,
                                        GError           **error);

/* A reason there must be; INVALID_REASON. */
gboolean derate_dbus_admin_check_reason (const char *reason,
                                         GError    **error);

/* Ends @invocation with @error; of a text that quotes the caller at length, the beginning. */
void derate_dbus_return_error (GDBusMethodInvocation *invocation,
                               const GError          *error);

/* 64 bits of the bus as a time span; what does not fit is too long anyway. */
GTimeSpan derate_dbus_admin_get_ttl (guint64 usec);

G_END_DECLS
