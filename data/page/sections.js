// SPDX-License-Identifier: LGPL-2.1-or-later
// Holds, drills, breakers, features, fallbacks and history.

import { byId, make, show, setText, chip, table } from "./dom.js";
import { at, since, left, count, percent, plural } from "./format.js";

const HISTORY = 20;
const FEW = 8;
const STATES = ["open", "half-open", "closed"];
const NEXT_TRY = { open: "next call", "half-open": "now", closed: "–" };
const BECAUSE = { level: "by the level", dependency: "needs are down" };

function fill(id, isShown, ...children) {
  byId(id).hidden = !isShown;
  show(`${id}-body`, ...children);
}

function remaining(seconds) {
  return seconds !== null ? make("span", {}, left(seconds), " left") : "without end";
}

/* Something that somebody set going, and that ends. */
function set(state, what, running, notes) {
  return make("li", { class: "service", "data-state": state },
    make("div", { class: "who" }, what),
    make("div", { class: "state" }, remaining(running.remaining_seconds)),
    make("div", { class: "why" },
      make("span", {}, running.reason ?? make("span", { class: "quiet" }, "why is not shown here")),
      make("span", { class: "quiet" }, `by ${running.who ?? "an operator"}, for `, since(running.since), notes)));
}

export function showHolds(status) {
  fill("holds", status.holds.length > 0, make("ul", { class: "rows" }, status.holds.map((hold) =>
    set(hold.level, [hold.mode === "exact" ? "exactly " : "at least ", chip(hold.level)], hold,
      hold.bound ? ", ends with its holder" : ""))));
}

function sayFault(drill) {
  if (drill.fault === "error-rate")
    return `${percent(drill.rate)} of calls fail`;
  if (drill.fault === "latency")
    return `${drill.latency_seconds} s slower`;
  return drill.fault;
}

export function showDrills(status) {
  fill("drills", status.drills.length > 0, make("ul", { class: "rows" }, status.drills.map((drill) =>
    set("drilled", [make("strong", {}, drill.service), chip("drilled", sayFault(drill))], drill,
      `, limit ${drill.limit}`))));
}

function breakerRow(breaker) {
  const next = breaker.retry_after_seconds >= 0.5 ? left(breaker.retry_after_seconds)
    : breaker.mode === "normal" ? NEXT_TRY[breaker.state] : "–";
  return [
    breaker.name,
    [chip(breaker.state), breaker.mode !== "normal" ? make("span", { class: "quiet" }, ` ${breaker.mode}`) : ""],
    `${count(breaker.failure_count)} of ${count(breaker.failure_threshold)}`,
    breaker.failure_rate !== null ? percent(breaker.failure_rate) : "–",
    count(breaker.calls_blocked),
    next,
  ];
}

const BREAKER_COLUMNS = [
  { title: "Name" }, { title: "State" }, { title: "Failures", kind: "number wide" }, { title: "Rate", kind: "number wide" },
  { title: "Refused", kind: "number" }, { title: "Next try", kind: "number" },
];

export function showBreakers(breakers) {
  const sorted = [...breakers].sort((a, b) =>
    STATES.indexOf(a.state) - STATES.indexOf(b.state) || a.name.localeCompare(b.name));
  const special = sorted.filter((breaker) => breaker.state !== "closed" || breaker.mode !== "normal");
  const folds = sorted.length > FEW;
  const rows = folds ? special : sorted;
  const closed = sorted.filter((breaker) => !special.includes(breaker));

  fill("breakers", sorted.length > 0,
    rows.length > 0 ? table("Circuit breakers", BREAKER_COLUMNS, rows.map(breakerRow))
      : make("p", { class: "fine" }, "All breakers are closed."));
  byId("breakers-closed").hidden = !folds || closed.length === 0;
  setText("breakers-closed-title", plural(closed.length, "closed breaker"));
  show("breakers-closed-body", folds ? table("Closed circuit breakers", BREAKER_COLUMNS, closed.map(breakerRow)) : null);
}

export function showFeatures(status) {
  const order = ["off", "queued", "on"];
  const features = Object.entries(status.features).sort(([a, one], [b, other]) =>
    order.indexOf(one.mode) - order.indexOf(other.mode) || a.localeCompare(b));
  fill("features", features.length > 0, make("ul", { class: "features" }, features.map(([name, feature]) =>
    make("li", {}, make("span", {}, name),
      make("span", {}, feature.because !== null ? make("span", { class: "quiet" }, `${BECAUSE[feature.because] ?? feature.because} `) : null,
        chip(feature.mode))))));
}

function answerBar(answers) {
  const total = answers.real + answers.fallback + answers.refused;
  if (total === 0)
    return make("p", { class: "quiet" }, "No answers have been counted yet.");
  const kinds = ["real", "fallback", "refused"];
  return make("ul", { class: "answers", "aria-label": `${count(total)} answers since the start` }, kinds.map((kind) =>
    make("li", { "data-answer": kind }, make("strong", {}, percent(answers[kind] / total)),
      make("span", { class: "quiet" }, `${kind} (${count(answers[kind])})`))));
}

export function showFallbacks(metrics) {
  if (metrics === null) {
    fill("fallbacks", false);
    return;
  }
  const used = [...metrics.fallbacks].sort((a, b) => b.count - a.count);
  fill("fallbacks", true, answerBar(metrics.answers),
    used.length > 0 ? table("Fallbacks used since the start", [
      { title: "Service" }, { title: "Fallback" }, { title: "Because" }, { title: "Times", kind: "number" },
    ], used.map((one) => [one.name, one.strategy, one.reason, count(one.count)]))
      : make("p", { class: "quiet" }, "No fallback has been used since the start."));
}

export function showHistory(status) {
  const newest = status.history.slice(-HISTORY).reverse();
  fill("history", newest.length > 0, table(`The last ${plural(newest.length, "change")} of the level`, [
    { title: "When" }, { title: "Change" }, { title: "Rule" },
  ], newest.map((step) => [at(step.time),
    [step.from !== "unknown" ? chip(step.from) : make("span", { class: "quiet" }, "start"),
      make("span", { class: "arrow", "aria-label": "to" }, " → "), chip(step.to)],
    make("code", {}, step.rule ?? "–")])));
}
