// SPDX-License-Identifier: LGPL-2.1-or-later
// What /metrics says of answers and fallbacks. A configuration may put a prefix in front of
// each name and call the label of the breaker otherwise.

const SERIES = /^(\w*?)(circuit_breaker_fallback_used_total|degradation_answers_total)\{(.*)\} (\S+)/;

function readLabels(text) {
  const labels = {};
  for (const [, name, value] of text.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g))
    labels[name] = value.replace(/\\(.)/g, (_, c) => (c === "n" ? "\n" : c));
  return labels;
}

function nameOf(labels) {
  const [, value] = Object.entries(labels).find(([name]) => name !== "strategy" && name !== "reason") ?? [];
  return value ?? "";
}

export function readMetrics(text) {
  const found = { answers: { real: 0, fallback: 0, refused: 0 }, fallbacks: [] };
  for (const line of text.split("\n")) {
    const match = SERIES.exec(line);
    if (match === null)
      continue;
    const [, , name, inner, number] = match;
    const labels = readLabels(inner);
    const value = Number(number);
    if (name === "degradation_answers_total") {
      found.answers[labels.source] = (found.answers[labels.source] ?? 0) + value;
    } else if (value > 0) {
      found.fallbacks.push({ name: nameOf(labels), strategy: labels.strategy, reason: labels.reason, count: value });
    }
  }
  return found;
}
