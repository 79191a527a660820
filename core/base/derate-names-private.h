/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Every name the outside sees. A name in here is a promise: it is never changed, only added to. */

/* D-Bus */
#define DERATE_DBUS_NAME_PREFIX "org.derate.Derate1."
#define DERATE_DBUS_PATH "/org/derate/Derate1"
#define DERATE_DBUS_PATH_SERVICE DERATE_DBUS_PATH "/service/"
#define DERATE_DBUS_PATH_BREAKER DERATE_DBUS_PATH "/breaker/"
#define DERATE_DBUS_IFACE_MANAGER "org.derate.Derate1.Manager"
#define DERATE_DBUS_IFACE_ADMIN "org.derate.Derate1.Admin"
#define DERATE_DBUS_IFACE_SERVICE "org.derate.Derate1.Service"
#define DERATE_DBUS_IFACE_BREAKER "org.derate.Derate1.Breaker"
#define DERATE_DBUS_ERROR_PREFIX "org.derate.Derate1.Error."
#define DERATE_POLKIT_HOLD "org.derate.hold"
#define DERATE_POLKIT_HOLD_EXACT "org.derate.hold-exact"
#define DERATE_POLKIT_MANAGE "org.derate.manage"

/* Environment */
#define DERATE_ENV_DEBUG "DERATE_DEBUG"
#define DERATE_ENV_PLUGIN_PATH "DERATE_PLUGIN_PATH"
#define DERATE_ENV_ENABLE "ENABLE_RESILIENCE"
#define DERATE_ENV_METRICS "ENABLE_RESILIENCE_METRICS"
#define DERATE_ENV_LOGGING "ENABLE_RESILIENCE_LOGGING"
#define DERATE_ENV_FAILURE_THRESHOLD "DEFAULT_FAILURE_THRESHOLD"
#define DERATE_ENV_RECOVERY_TIMEOUT "DEFAULT_RECOVERY_TIMEOUT"
#define DERATE_ENV_MAX_RETRIES "DEFAULT_MAX_RETRIES"
#define DERATE_ENV_TIMEOUT "DEFAULT_TIMEOUT"
#define DERATE_ENV_MONITORING_INTERVAL "RESILIENCE_MONITORING_INTERVAL"
#define DERATE_ENV_ALERT_THRESHOLD "RESILIENCE_ALERT_THRESHOLD"
#define DERATE_ENV_SLOW_QUERY "SLOW_QUERY_THRESHOLD_MS"
#define DERATE_ENV_QUERY_LOGGING "ENABLE_QUERY_LOGGING"

/* systemd's */
#define DERATE_ENV_STATE_DIRECTORY "STATE_DIRECTORY"
#define DERATE_ENV_NOTIFY_SOCKET "NOTIFY_SOCKET"
#define DERATE_ENV_WATCHDOG_USEC "WATCHDOG_USEC"
#define DERATE_ENV_WATCHDOG_PID "WATCHDOG_PID"

/* Modules */
#define DERATE_PLUGIN_FILE_PREFIX "libderate-plugin-"
#define DERATE_PLUGIN_FILE_SUFFIX ".so"
#define DERATE_PLUGIN_SYMBOL "derate_plugin_get_descriptor"

/* Log events: field EVENT. derate-log.c maps each to its MESSAGE_ID. */
#define DERATE_EVENT_BREAKER_INIT "circuit_breaker_init"
#define DERATE_EVENT_BREAKER_OPEN "circuit_breaker_open"
#define DERATE_EVENT_BREAKER_HALF_OPEN "circuit_breaker_half_open"
#define DERATE_EVENT_BREAKER_CLOSED "circuit_breaker_closed"
#define DERATE_EVENT_BREAKER_ALERT "circuit_breaker_alert"
#define DERATE_EVENT_BREAKER_RECOVERED "circuit_breaker_recovered"
#define DERATE_EVENT_BREAKER_RESET "circuit_breaker_reset"
#define DERATE_EVENT_BREAKER_OPERATED "circuit_breaker_operated"
#define DERATE_EVENT_LEVEL_CHANGED "degradation_level_changed"
#define DERATE_EVENT_HOLD_TAKEN "hold_taken"
#define DERATE_EVENT_HOLD_RELEASED "hold_released"
#define DERATE_EVENT_HOLDS_RELEASED "holds_released"
#define DERATE_EVENT_DRILL_STARTED "drill_started"
#define DERATE_EVENT_DRILL_ENDED "drill_ended"
#define DERATE_EVENT_SERVICE_STATUS "service_status_changed"
#define DERATE_EVENT_FALLBACK_USED "fallback_used"
#define DERATE_EVENT_PLUGIN_LOADED "plugin_loaded"
#define DERATE_EVENT_PLUGIN_FAILED "plugin_failed"
#define DERATE_EVENT_CONFIG_REFUSED "config_refused"
#define DERATE_EVENT_COLLECTOR_FAILED "metrics_collector_failed"
#define DERATE_EVENT_SLOW_QUERY "slow_query"
#define DERATE_EVENT_QUERY "query"
#define DERATE_EVENT_SESSION_LEAKED "session_leaked"

/* The label of an exemplar that is a request's id: what Grafana looks for. */
#define DERATE_EXEMPLAR_LABEL "trace_id"

/* Log fields */
#define DERATE_FIELD_EVENT "EVENT"
#define DERATE_FIELD_COMPONENT "COMPONENT"
#define DERATE_FIELD_PREVIOUS_STATE "PREVIOUS_STATE"
#define DERATE_FIELD_STATE "STATE"
#define DERATE_FIELD_FAILURE_COUNT "FAILURE_COUNT"
#define DERATE_FIELD_FAILURE_THRESHOLD "FAILURE_THRESHOLD"
#define DERATE_FIELD_RULE "RULE"
#define DERATE_FIELD_CAUSE "CAUSE"
#define DERATE_FIELD_REASON "REASON"
#define DERATE_FIELD_HOLD "HOLD"
#define DERATE_FIELD_DRILL "DRILL"
#define DERATE_FIELD_WHO "WHO"
#define DERATE_FIELD_STRATEGY "STRATEGY"
#define DERATE_FIELD_COUNT "COUNT"
#define DERATE_FIELD_DURATION_MS "DURATION_MS"
#define DERATE_FIELD_REQUEST_ID "REQUEST_ID"
