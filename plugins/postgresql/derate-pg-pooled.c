/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a pool asks of its sessions and tells them. */
#include "derate-pg-session-private.h"

void
derate_pg_connection_set_pooled (DeratePgConnection *self, gboolean pooled)
{
  self->is_pooled = pooled;
  self->usual_timeout = self->query_timeout;
}

void
derate_pg_connection_restore (DeratePgConnection *self)
{
  self->query_timeout = self->usual_timeout;
}

gboolean
derate_pg_connection_is_running (DeratePgConnection *self)
{
  return self->is_running;
}

gboolean
derate_pg_connection_is_abandoned (DeratePgConnection *self)
{
  return self->is_abandoned;
}

gboolean
derate_pg_connection_is_clean (DeratePgConnection *self)
{
  return self->pg != NULL && !self->is_running && !self->is_abandoned && !self->saw_read_only &&
         self->query_timeout == self->usual_timeout && self->fatal == NULL &&
         PQtransactionStatus (self->pg) == PQTRANS_IDLE;
}

DeratePgCancel *
derate_pg_connection_new_cancel (DeratePgConnection *self)
{
  return derate_pg_cancel_new (self->pg);
}

int
derate_pg_connection_get_fd (DeratePgConnection *self)
{
  return self->pg != NULL ? PQsocket (self->pg) : -1;
}

gboolean
derate_pg_connection_is_in_working_transaction (DeratePgConnection *self)
{
  return self->pg != NULL && PQtransactionStatus (self->pg) == PQTRANS_INTRANS;
}

gboolean
derate_pg_connection_saw_read_only (DeratePgConnection *self)
{
  gboolean saw = self->saw_read_only;

  self->saw_read_only = FALSE;
  return saw;
}

void
derate_pg_connection_set_meter (DeratePgConnection *self, DeratePgMeter *meter)
{
  g_clear_pointer (&self->meter, derate_pg_meter_unref);
  self->meter = meter != NULL ? derate_pg_meter_ref (meter) : NULL;
}

void
derate_pg_connection_set_operation (DeratePgConnection *self, DeratePgOperation operation)
{
  self->operation = operation;
}

void
derate_pg_connection_set_clock (DeratePgConnection *self, DerateClock *clock)
{
  g_set_object (&self->clock, clock);
}

void
derate_pg_connection_set_statement_cache (DeratePgConnection *self, guint size)
{
  g_clear_pointer (&self->statements, derate_pg_statements_free);
  if (size > 0)
    self->statements = derate_pg_statements_new (size);
}
