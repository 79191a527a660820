// SPDX-License-Identifier: LGPL-2.1-or-later
// The level, why it is so, and what would change it.

import { make, show, setText } from "./dom.js";
import { since, left, at, plural } from "./format.js";

const LEVELS = ["optimal", "degraded", "limited", "minimal", "emergency"];

let announced = null;

function isKnown(level) {
  return LEVELS.includes(level);
}

function isBetter(level, than) {
  return isKnown(level) && isKnown(than) && LEVELS.indexOf(level) < LEVELS.indexOf(than);
}

function sayInputs(inputs) {
  const bad = Object.entries(inputs).filter(([, status]) => status !== "healthy");
  return bad.map(([name, status]) => `${name} is ${status}`).join(", ");
}

/* The hold that decides: the newest exact one, or else the worst floor. */
function findDeciding(status) {
  if (status.rule !== "hold")
    return null;
  const matching = status.holds.filter((hold) => hold.level === status.level);
  return matching.findLast((hold) => hold.mode === "exact") ?? matching[0] ?? null;
}

function explainHold(hold) {
  const by = hold.who !== null ? `Held by ${hold.who}` : "Held by an operator";
  const why = hold.reason !== null ? `: ${hold.reason}` : "";
  return [`${by}${why}`, ...(hold.remaining_seconds !== null ? [" (", left(hold.remaining_seconds), " left)"] : [])];
}

function explain(status) {
  const hold = findDeciding(status);
  if (hold !== null)
    return explainHold(hold);
  if (status.rule === null)
    return ["No level has been published yet."];
  const inputs = sayInputs(status.inputs);
  if (inputs === "")
    return status.level === "optimal" ? ["Nothing that counts is down."] : [make("code", {}, status.rule)];
  return [inputs, " ", make("span", { class: "quiet" }, "(rule ", make("code", {}, status.rule), ")")];
}

function explainComputed(status) {
  const { computed_level: computed, level } = status;
  if (computed === level || !isKnown(computed))
    return null;
  if (status.rule === "hold" || !isBetter(computed, level))
    return [make("strong", {}, computed), ", if nobody held it"];
  return [make("strong", {}, computed), "; may improve in ", left(status.next_tick_seconds)];
}

function scale(status) {
  const items = LEVELS.map((level) => {
    const isNow = level === status.level;
    const isComputed = level === status.computed_level && !isNow;
    const note = isNow ? " (now)" : isComputed ? " (computed)" : "";
    return make("li", {
      "data-level": level, "aria-current": isNow ? "true" : null, class: isComputed ? "computed" : null,
    }, make("span", {}, level), note === "" ? null : make("span", { class: "unseen" }, note));
  });
  return make("ol", { class: "scale", "aria-label": "Levels, best first" }, items);
}

function fact(name, ...value) {
  return make("div", {}, make("dt", {}, name), make("dd", {}, ...value));
}

function facts(status) {
  const computed = explainComputed(status);
  return make("dl", { class: "facts" },
    fact("Why", ...explain(status)),
    status.since !== null ? fact("For", since(status.since), make("span", { class: "quiet" }, " since ", at(status.since))) : null,
    computed !== null ? fact("Computed", ...computed) : null,
    status.drills.length > 0
      ? fact("Drill", status.drills.map((drill) => drill.service).join(", "), " only pretends to be unwell") : null,
    status.flapping ? fact("Flapping", "it went up and down often: recovery waits longer") : null,
    status.local_suspect ? fact("Suspect", "everything remote failed at once: look at this machine's own network") : null);
}

function share(percent) {
  return percent === 100 ? "100 %" : `${percent} % works`;
}

export function showLevel(status) {
  const section = document.getElementById("level");
  const level = isKnown(status.level) ? status.level : "unknown";
  section.dataset.level = level;
  show("level-body",
    make("div", { class: "now" },
      make("p", { class: "name", id: "level-name" }, status.level),
      make("p", { class: "text" }, status.text, make("span", { class: "share" }, share(status.functionality_percent)))),
    scale(status), facts(status));
  if (announced !== level) {
    const first = announced === null;
    announced = level;
    setText("announcement", first ? `Level ${level}` : `Level ${level}: ${status.text}. ${sayInputs(status.inputs)}`);
  }
}

/* For the title of the window: what is wrong, if anything is. */
export function summarize(status) {
  const down = Object.values(status.services).filter((service) => service.status === "down").length;
  return `${status.level}${down > 0 ? `, ${plural(down, "service")} down` : ""} – ${status.name}`;
}

export function forgetAnnounced() {
  announced = null;
}
