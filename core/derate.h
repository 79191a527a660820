/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Everything but D-Bus and HTTP: the only include a program needs for the core. */

#include <derate-breaker-config.h>
#include <derate-breaker-registry.h>
#include <derate-breaker-state.h>
#include <derate-breaker-stats.h>
#include <derate-breaker.h>
#include <derate-call.h>
#include <derate-clock.h>
#include <derate-counter.h>
#include <derate-degradation-manager.h>
#include <derate-enum-types.h>
#include <derate-error.h>
#include <derate-feature.h>
#include <derate-gate.h>
#include <derate-gauge.h>
#include <derate-health-check-config.h>
#include <derate-health-check.h>
#include <derate-health-report.h>
#include <derate-histogram.h>
#include <derate-hold.h>
#include <derate-json.h>
#include <derate-level.h>
#include <derate-manual-clock.h>
#include <derate-metrics-collector.h>
#include <derate-metrics-registry.h>
#include <derate-metrics-writer.h>
#include <derate-network-address.h>
#include <derate-permit.h>
#include <derate-plugin-loader.h>
#include <derate-plugin.h>
#include <derate-process-collector.h>
#include <derate-recovery-mode.h>
#include <derate-redact.h>
#include <derate-resolver.h>
#include <derate-rule-input.h>
#include <derate-rule-set.h>
#include <derate-rule.h>
#include <derate-service-role.h>
#include <derate-time-span.h>
#include <derate-version.h>
#include <derate-visibility.h>
