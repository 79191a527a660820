// SPDX-License-Identifier: LGPL-2.1-or-later
// Services, worst first. Those that are well are put together, so that sixty of them hide nothing.

import { byId, make, show, setText, chip } from "./dom.js";
import { since, span, plural } from "./format.js";

const ORDER = ["down", "unknown", "degraded", "healthy"];
const WEIGHT = ["critical", "high", "medium", "low"];
const FEW = 8; // no filter and no folding for so many

let last = [];
let wanted = null; // a status
let search = "";

function rank(list, value) {
  const place = list.indexOf(value);
  return place === -1 ? list.length : place;
}

function sort(services) {
  return Object.entries(services).map(([name, service]) => ({ name, ...service })).sort((a, b) =>
    rank(ORDER, a.status) - rank(ORDER, b.status) ||
    rank(WEIGHT, a.criticality) - rank(WEIGHT, b.criticality) ||
    a.name.localeCompare(b.name));
}

function about(service) {
  const parts = [service.role, service.criticality].filter((part) => part !== null && part !== "none");
  return parts.join(", ");
}

function whyOf(service) {
  const parts = [];
  if (service.cause !== null)
    parts.push(service.cause.replaceAll("-", " "));
  if (service.error !== null && service.error !== service.cause)
    parts.push(service.error);
  return parts.join(": ");
}

function notes(service) {
  const parts = [];
  if (service.breaker !== null && service.cause !== "breaker-open")
    parts.push(`breaker ${service.breaker}`);
  if (service.age_seconds !== null)
    parts.push(`checked ${span(service.age_seconds)} ago`);
  return parts.join(", ");
}

function row(service) {
  const why = whyOf(service);
  return make("li", { class: "service", "data-state": service.status },
    make("div", { class: "who" }, make("strong", {}, service.name),
      make("span", { class: "quiet" }, about(service))),
    make("div", { class: "state" }, chip(service.status),
      service.since !== null ? make("span", { class: "quiet" }, "for ", since(service.since)) : null),
    make("div", { class: "why" }, why === "" ? null : make("span", { class: "error" }, why),
      make("span", { class: "quiet" }, notes(service))));
}

function well(service) {
  return make("li", {}, make("span", { class: "mark", "aria-hidden": "true" }),
    service.name, make("span", { class: "quiet" }, about(service)));
}

function matches(service) {
  return (wanted === null || service.status === wanted) && service.name.includes(search);
}

function stateButton(state, number) {
  const isOn = wanted === state;
  return make("button", { type: "button", "aria-pressed": String(isOn), "data-state": state ?? "all", "data-wanted": state ?? "" },
    `${state ?? "all"} ${number}`);
}

function showFilter() {
  const states = ORDER.filter((state) => last.some((service) => service.status === state));
  byId("services-filter").hidden = last.length <= FEW;
  show("services-states", stateButton(null, last.length),
    states.map((state) => stateButton(state, last.filter((service) => service.status === state).length)));
}

function render() {
  const found = last.filter(matches);
  const bad = found.filter((service) => service.status !== "healthy");
  const good = found.filter((service) => service.status === "healthy");
  const folds = last.length > FEW && wanted !== "healthy" && search === "";
  const rows = folds ? bad : found;

  byId("services").hidden = last.length === 0;
  showFilter();
  show("services-body",
    found.length === 0 ? make("p", { class: "quiet" }, "No service is called so, or is in that state.") : null,
    folds && bad.length === 0 && wanted === null ? make("p", { class: "fine" }, "All services are healthy.") : null,
    rows.length > 0 ? make("ul", { class: "rows" }, rows.map(row)) : null);
  byId("services-well").hidden = !folds || good.length === 0;
  setText("services-well-title", `${plural(good.length, "healthy service")}`);
  show("services-well-body", make("ul", { class: "well" }, good.map(well)));
}

export function showServices(status) {
  last = sort(status.services);
  if (wanted !== null && !last.some((service) => service.status === wanted))
    wanted = null;
  render();
}

export function startServices() {
  byId("services-search").addEventListener("input", (event) => {
    search = event.target.value.trim().toLowerCase();
    render();
  });
  byId("services-states").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button === null)
      return;
    wanted = button.dataset.wanted === "" || button.dataset.wanted === wanted ? null : button.dataset.wanted;
    render();
  });
}
