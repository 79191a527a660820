/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "test-check.h"
#include "test-servers.h"

G_BEGIN_DECLS

/* What a backend is told to do, and what a check makes of it. */
typedef struct
{
  const char *fault;
  DerateHealthStatus status;
  DerateHealthCause cause;
  const char *part; /* of the message */
} TestBackendFault;

/* Adds the cases that are the same for every check of a web service: PREFIX/check/fault/N, of which
 * no message has @secret, and PREFIX/check/hangs. @new_check makes one that finds @backend healthy.
 * Once a program: all lasts as long as that. */
void test_backend_add_cases (const char             *prefix,
                             TestBackend            *backend,
                             DerateHealthCheck    *(*new_check) (void),
                             const char             *secret,
                             const TestBackendFault *faults,
                             guint                   n_faults);

/* Then PREFIX/check/frozen, and PREFIX/gone/stopped, after which there is no backend. */
void test_backend_add_ends (const char *prefix);

G_END_DECLS
