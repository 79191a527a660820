#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""boards.py [--check]: writes data/grafana/*.json, the boards; --check says which are not as it
would write them.

A board is a list of rows of panels. Expressions are written as for a program without
metrics-prefix, with $S for the program and $B for the breaker that are looked at, and `name` for
the breaker's label: what Grafana needs in their place is put in here.
"""
import json
import pathlib
import re
import sys

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "data" / "grafana"
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
METRIC = re.compile(r"\b(?=(?:circuit_breaker|degradation|service_health|db|fallback)_)")
RATE = "[$__rate_interval]"
STATES = {0: ("CLOSED", "green"), 1: ("OPEN", "red"), 2: ("HALF_OPEN", "yellow")}
LEVELS = {0: ("none yet", "text"), 1: ("optimal", "green"), 2: ("degraded", "yellow"),
          3: ("limited", "orange"), 4: ("minimal", "red"), 5: ("emergency", "dark-red")}
STATUSES = {0: ("unknown", "text"), 1: ("healthy", "green"), 2: ("degraded", "yellow"),
            3: ("down", "red")}
SWITCH = {0: ("off", "red"), 1: ("on", "green")}
WRITES = {0: ("read-only", "red"), 1: ("writes", "green")}
YES = {0: ("no", "green"), 1: ("yes", "red")}
WARN = ((None, "green"), (0.7, "yellow"), (0.9, "red"))
BAD = ((None, "green"), (1e-9, "red"))


def expand(text):
    """Puts Grafana's variables in."""
    text = text.replace("$B", '$S, $label=~"$breaker"').replace("$R", RATE)
    text = text.replace("$S", 'job=~"$job", instance=~"$instance"')
    return METRIC.sub("${prefix}", text)


def breaker(text):
    """The same of an expression, or a legend, of circuit_breaker_ metrics, whose label has a name
    of its own."""
    return re.sub(r"(?<![\w$])name\b", "$label", text)


def mappings(table):
    options = {str(value): {"text": text, "color": color, "index": index}
               for index, (value, (text, color)) in enumerate(table.items())}
    return [{"type": "value", "options": options}]


def quantile(metric, by, selector="$S", share=0.95):
    return f"histogram_quantile({share}, sum by ({by}, le) (rate({metric}_bucket{{{selector}}}$R)))"


# Panels: each is (width, height, JSON without its place).

def panel(kind, title, targets, width, height, defaults, options, description=""):
    made = []
    for number, (expression, legend, *more) in enumerate(targets):
        made.append({"datasource": DATASOURCE, "refId": chr(ord("A") + number),
                     "expr": expand(expression), "legendFormat": legend,
                     **(more[0] if more else {"range": True})})
    body = {"type": kind, "title": title, "datasource": DATASOURCE, "targets": made,
            "fieldConfig": {"defaults": defaults, "overrides": []}, "options": options}
    if description:
        body["description"] = description
    return width, height, body


def steps(thresholds):
    return {"mode": "absolute", "steps": [{"value": value, "color": color}
                                          for value, color in thresholds]}


def now(title, targets, width=4, unit="short", table=None, thresholds=((None, "text"),), **more):
    """The present value in large letters."""
    defaults = {"unit": unit, "mappings": mappings(table) if table else [],
                "color": {"mode": "thresholds"}, "thresholds": steps(thresholds)}
    options = {"colorMode": "background" if table else "value", "graphMode": "none",
               "justifyMode": "auto", "textMode": "auto", "orientation": "auto",
               "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    targets = [(expression, legend, {"instant": True}) for expression, legend in targets]
    return panel("stat", title, targets, width, 5, defaults, options, **more)


def lines(title, targets, width=12, unit="short", stacked=False, maximum=None, **more):
    """Values over time."""
    defaults = {"unit": unit, "min": 0, "color": {"mode": "palette-classic"}, "custom": {
        "drawStyle": "line", "lineWidth": 1, "fillOpacity": 40 if stacked else 10,
        "showPoints": "never", "spanNulls": False,
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"}}}
    if maximum is not None:
        defaults["max"] = maximum
    options = {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True,
                          "calcs": []},
               "tooltip": {"mode": "multi", "sort": "desc"}}
    return panel("timeseries", title, targets, width, 8, defaults, options, **more)


def steps_over_time(title, targets, table, width=24, height=7, **more):
    """Which of a few values there were, and when."""
    defaults = {"mappings": mappings(table), "color": {"mode": "thresholds"},
                "thresholds": steps(((None, "text"),)),
                "custom": {"lineWidth": 0, "fillOpacity": 80}}
    options = {"mergeValues": True, "showValue": "auto", "rowHeight": 0.9, "alignValue": "left",
               "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False},
               "tooltip": {"mode": "single", "sort": "none"}}
    return panel("state-timeline", title, targets, width, height, defaults, options, **more)


def cells(title, targets, width=24, **more):
    """A heat map: a row for each legend."""
    defaults = {"custom": {"hideFrom": {"legend": False, "tooltip": False, "viz": False},
                           "scaleDistribution": {"type": "linear"}}}
    options = {"calculate": False, "cellGap": 1, "cellValues": {"decimals": 0},
               "color": {"mode": "scheme", "scheme": "Reds", "steps": 32, "fill": "red",
                         "scale": "exponential", "exponent": 0.5, "reverse": False},
               "filterValues": {"le": 1e-9}, "rowsFrame": {"layout": "auto"}, "showValue": "never",
               "legend": {"show": True}, "tooltip": {"show": True, "yHistogram": False},
               "yAxis": {"axisPlacement": "left", "reverse": False}}
    return panel("heatmap", title, targets, width, 7, defaults, options, **more)


def bars(title, targets, width=12, unit="short", **more):
    """Sums over the whole time that is shown."""
    defaults = {"unit": unit, "min": 0, "mappings": [], "color": {"mode": "palette-classic"},
                "thresholds": steps(((None, "text"),))}
    options = {"displayMode": "basic", "orientation": "horizontal", "showUnfilled": True,
               "valueMode": "text",
               "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    targets = [(expression, legend, {"instant": True}) for expression, legend in targets]
    return panel("bargauge", title, targets, width, 8, defaults, options, **more)


# The board around them.

def query_variable(name, label, query):
    return {"name": name, "label": label, "type": "query", "datasource": DATASOURCE,
            "query": {"query": query, "refId": f"variable-{name}"}, "definition": query,
            "refresh": 2, "sort": 1, "multi": True, "includeAll": True, "allValue": ".*",
            "current": {"text": ["All"], "value": ["$__all"]}, "options": [], "regex": "",
            "hide": 0}


def text_variable(name, label, value, description):
    return {"name": name, "label": label, "type": "textbox", "query": value,
            "description": description, "current": {"text": value, "value": value},
            "options": [{"text": value, "value": value, "selected": True}], "hide": 0}


def variables():
    return [
        {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus",
         "current": {}, "options": [], "refresh": 1, "regex": "", "multi": False,
         "includeAll": False, "hide": 0},
        text_variable("prefix", "Prefix", "", "metrics-prefix of the program's configuration"),
        text_variable("label", "Label", "name",
                      "metrics-breaker-label of the program's configuration"),
        query_variable("job", "Job", "label_values(${prefix}degradation_level, job)"),
        query_variable("instance", "Instance",
                       'label_values(${prefix}degradation_level{job=~"$job"}, instance)'),
    ]


BREAKER_VARIABLE = query_variable(
    "breaker", "Breaker",
    'label_values(${prefix}circuit_breaker_state{job=~"$job", instance=~"$instance"}, $label)')


def mark(title, color, expression, text):
    """Marks moments on all panels."""
    return {"name": title, "datasource": DATASOURCE, "enable": True, "hide": False,
            "iconColor": color, "expr": expand(expression), "step": "1m", "titleFormat": title,
            "textFormat": text, "tagKeys": "instance", "useValueForTime": False}


def marks():
    """The label of a breaker is put into one whose name is known, for the text. 2 minutes have two
    scrapes even where Prometheus has its default interval."""
    def moved(start, end):
        changes = breaker("sum by (instance, name) (increase("
                          "circuit_breaker_state_transitions_total"
                          f'{{$S, from="{start}", to="{end}"}}[2m]))')
        return f'label_replace({changes}, "breaker", "$1", "$label", "(.*)") > 0'
    return [
        mark("Opened", "red", moved("closed", "open"), "{{breaker}} of {{instance}}"),
        mark("Closed", "green", moved("half-open", "closed"), "{{breaker}} of {{instance}}"),
        mark("Level", "orange", "sum by (instance, from, to) "
             "(increase(degradation_level_transitions_total{$S}[2m])) > 0",
             "{{from}} to {{to}}, {{instance}}"),
    ]


def lay_out(rows):
    """Gives each panel its number and its place: a row starts below the highest panel before it."""
    placed = []
    top = 0
    for row in rows:
        left = 0
        for width, height, body in row:
            place = {"x": left, "y": top, "w": width, "h": height}
            placed.append({"id": len(placed) + 1, **body, "gridPos": place})
            left += width
        top += max(height for _, height, _ in row)
    return placed


def board(name, title, description, rows, more_variables=()):
    return {"id": None, "uid": f"derate-{name}", "title": f"Derate: {title}",
            "description": description, "tags": ["derate"], "timezone": "browser", "editable": True,
            "graphTooltip": 1, "schemaVersion": 38, "version": 1, "refresh": "30s",
            "time": {"from": "now-6h", "to": "now"}, "timepicker": {},
            "templating": {"list": [*variables(), *more_variables]},
            "annotations": {"list": marks()},
            "links": [{"title": "Derate", "type": "dashboards", "tags": ["derate"],
                       "asDropdown": True, "includeVars": True, "keepTime": True,
                       "icon": "external link", "targetBlank": False, "tooltip": "", "url": ""}],
            "panels": lay_out(rows)}


def of_breakers(make, title, targets, **more):
    """A panel of circuit_breaker_ metrics."""
    return make(title, [tuple(map(breaker, target)) for target in targets], **more)


def breakers():
    one = "{{name}} {{instance}}"
    openings = 'circuit_breaker_state_transitions_total{$B, from="closed", to="open"}'
    rows = [
        [of_breakers(now, "State", [("circuit_breaker_state{$B}", one)], width=16, table=STATES),
         of_breakers(now, "Openings", [(f"sum(increase({openings}[$__range]))", "openings")],
                     width=4, thresholds=BAD),
         of_breakers(now, "Refused a second",
                     [("sum(rate(circuit_breaker_calls_blocked_total{$B}$R))", "refused")], width=4,
                     unit="reqps", thresholds=BAD)],
        [of_breakers(steps_over_time, "State over time", [("circuit_breaker_state{$B}", one)],
                     table=STATES)],
        [of_breakers(cells, "Openings over time",
                     [(f"sum by (name) (increase({openings}$R))", "{{name}}")])],
        [of_breakers(lines, "Failures a second",
                     [("rate(circuit_breaker_failures_total{$B}$R)", one)], unit="reqps"),
         of_breakers(lines, "Failures over failures and successes",
                     [("rate(circuit_breaker_failures_total{$B}$R) / "
                       "(rate(circuit_breaker_failures_total{$B}$R)"
                       " + rate(circuit_breaker_successes_total{$B}$R))", one)],
                     unit="percentunit", maximum=1)],
        [of_breakers(lines, "Share of the last hour open",
                     [("avg_over_time((circuit_breaker_state{$B} == bool 1)[1h:15s])", one)],
                     unit="percentunit", maximum=1),
         of_breakers(lines, "Refused a second",
                     [("rate(circuit_breaker_calls_blocked_total{$B}$R)", one)], unit="reqps")],
        [of_breakers(lines, "Answered by fallbacks",
                     [("sum by (name, strategy, reason) "
                       "(rate(circuit_breaker_fallback_used_total{$B}$R))",
                       "{{name}} {{strategy}}, {{reason}}")], unit="reqps"),
         of_breakers(lines, "Calls by outcome",
                     [("sum by (outcome) (rate(circuit_breaker_calls_total{$B}$R))",
                       "{{outcome}}")], unit="reqps", stacked=True)],
        [of_breakers(lines, "What opens it: rates of the window",
                     [("circuit_breaker_failure_rate{$B}", one + " failed"),
                      ("circuit_breaker_slow_call_rate{$B}", one + " slow")],
                     unit="percentunit", maximum=1,
                     description="Unknown until enough calls are in it."),
         of_breakers(lines, "How long calls take",
                     [(quantile("circuit_breaker_call_duration_seconds", "name", "$B"),
                       "{{name}} P95")],
                     unit="s", description="Of breakers that watch for slow calls.")],
    ]
    return board("breakers", "Breakers",
                 "Which breakers are open, since when, and what that costs.", rows,
                 [BREAKER_VARIABLE])


def levels():
    rows = [
        [now("Level", [("degradation_level{$S}", "{{instance}}")], table=LEVELS),
         now("Without holds and waiting", [("degradation_computed_level{$S}", "{{instance}}")],
             table=LEVELS),
         now("Functionality", [("degradation_functionality_ratio{$S}", "{{instance}}")],
             unit="percentunit"),
         now("Holds", [("sum by (instance, mode) (degradation_hold_active{$S})",
                        "{{mode}} {{instance}}")]),
         now("A hold hides an outage", [("degradation_hold_masks_outage{$S}", "{{instance}}")],
             table=YES),
         now("Last computed", [("time() - degradation_last_evaluation_timestamp_seconds{$S}",
                                "{{instance}}")], unit="s",
             thresholds=((None, "green"), (60, "yellow"), (90, "red")))],
        [steps_over_time("Level over time", [("degradation_level{$S}", "{{instance}}"),
                                             ("degradation_computed_level{$S}",
                                              "{{instance}} computed")], LEVELS)],
        [bars("Time in each level", [("sum by (level) (increase(degradation_level_seconds_total{$S}"
                                      "[$__range]))", "{{level}}")], unit="s"),
         bars("What decided", [("sum by (rule) (increase(degradation_rule_decisions_total{$S}"
                                "[$__range])) > 0", "{{rule}}")],
              description="How often each rule came to decide the level.")],
        [lines("Transitions an hour", [("sum by (from, to) (increase("
                                        "degradation_level_transitions_total{$S}[1h])) > 0",
                                        "{{from}} to {{to}}")]),
         lines("Answers by source", [("sum by (source) (rate(degradation_answers_total{$S}$R))",
                                      "{{source}}")], unit="reqps", stacked=True)],
        [lines("Share of answers that are not real",
               [('sum by (instance) (rate(degradation_answers_total{$S, source!="real"}$R))'
                 " / sum by (instance) (rate(degradation_answers_total{$S}$R))", "{{instance}}")],
               unit="percentunit", maximum=1),
         lines("Functionality", [("degradation_functionality_ratio{$S}", "{{instance}}")],
               unit="percentunit", maximum=1)],
        [steps_over_time("Services", [("service_health_status{$S}", "{{service}} {{instance}}")],
                         STATUSES, width=12, height=8),
         steps_over_time("Features", [("degradation_feature_enabled{$S}",
                                       "{{feature}} {{instance}}")], SWITCH, width=12, height=8)],
        [lines("How long health checks take",
               [(quantile("service_health_check_duration_seconds", "service", share=0.5),
                 "{{service}} P50"),
                (quantile("service_health_check_duration_seconds", "service"), "{{service}} P95")],
               unit="s"),
         lines("Checks that failed themselves",
               [("sum by (service) (increase(service_health_check_errors_total{$S}$R))",
                 "{{service}}")])],
    ]
    return board("levels", "Levels", "The level, what decided it, and what users got meanwhile.",
                 rows)


def fallbacks():
    each = "{{name}} {{strategy}}"
    used = "circuit_breaker_fallback_used_total{$S}"
    rows = [
        [bars("Answers by strategy", [(f"sum by (strategy) (increase({used}[$__range]))",
                                       "{{strategy}}")], width=8),
         bars("Answers by reason", [(f"sum by (reason) (increase({used}[$__range]))",
                                     "{{reason}}")], width=8),
         now("Share of answers", [('sum(rate(degradation_answers_total{$S, source="fallback"}$R))'
                                   " / sum(rate(degradation_answers_total{$S}$R))", "fallbacks")],
             unit="percentunit", thresholds=((None, "green"), (0.1, "red"))),
         now("Had no answer", [("sum(increase(fallback_failures_total{$S}[$__range]))",
                                "failures")], thresholds=BAD)],
        [of_breakers(lines, "Answers a second, by strategy and reason",
                     [(f"sum by (name, strategy, reason) (rate({used}$R))",
                       each + ", {{reason}}")], width=24, unit="reqps", stacked=True)],
        [lines("P95 of fallbacks, beside that of calls",
               [(quantile("fallback_duration_seconds", "name, strategy"), each),
                (breaker(quantile("circuit_breaker_call_duration_seconds", "name")),
                 breaker("{{name}} call"))], unit="s"),
         lines("Had no answer", [("sum by (name, strategy) "
                                  "(increase(fallback_failures_total{$S}$R))", each)])],
        [now("Last exercised", [("time() - (fallback_last_used_timestamp_seconds{$S} > 0)", each)],
             width=12, unit="s", thresholds=((None, "green"), (2592000, "yellow")),
             description="A fallback that nobody has exercised for 30 days may not work."),
         now("Never exercised", [("fallback_last_used_timestamp_seconds{$S} == 0", each)], width=12,
             table={0: ("never", "yellow")})],
    ]
    return board("fallbacks", "Fallbacks", "What answered in place of services, why, and how fast.",
                 rows)


def database():
    used = 'db_pool_connections{$S, state="in_use"}'
    most = 'db_pool_size{$S, status="max"}'
    pool = "{{pool}} {{instance}}"
    rows = [
        [now("Pool use", [(f"100 * {used} / ignoring (state, status) {most}", pool)], width=6,
             unit="percent", thresholds=[(value and 100 * value, color) for value, color in WARN]),
         now("Free", [(f"{most} - ignoring (state, status) {used}", pool)], width=6),
         now("Write mode", [("db_write_mode{$S}", pool)], width=6, table=WRITES),
         now("Slow queries", [("sum by (pool) (increase(db_slow_queries_total{$S}[$__range]))",
                               "{{pool}}")], width=6)],
        [lines("Pool use", [(f"100 * {used} / ignoring (state, status) {most}", pool)],
               unit="percent", maximum=100),
         lines("Connections", [("db_pool_connections{$S}", pool + " {{state}}"),
                               ("db_pool_size{$S}", pool + " {{status}}")])],
        [lines("P95 of queries", [(quantile("db_query_duration_seconds", "pool, operation"),
                                   "{{pool}} {{operation}}")], unit="s"),
         lines("P95 of the wait for a connection",
               [(quantile("db_pool_acquire_duration_seconds", "pool"), "{{pool}}")], unit="s")],
        [lines("Queries a second", [("sum by (pool, operation, status) "
                                     "(rate(db_queries_total{$S}$R))",
                                     "{{pool}} {{operation}} {{status}}")], unit="reqps"),
         lines("Slow queries a second", [("sum by (pool) (rate(db_slow_queries_total{$S}$R))",
                                          "{{pool}}")], unit="reqps")],
        [steps_over_time("Write mode over time", [("db_write_mode{$S}", pool)], WRITES)],
    ]
    return board("database", "Database",
                 "Connections, queries, and whether writes are let through.", rows)


def main():
    wrong = []
    for make in (breakers, levels, fallbacks, database):
        path = FOLDER / f"derate-{make.__name__}.json"
        text = json.dumps(make(), indent=1) + "\n"
        if sys.argv[1:] != ["--check"]:
            path.write_text(text, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            wrong.append(path.name)
    if wrong:
        print(f"not as scripts/dev/boards.py writes them: {' '.join(wrong)}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
