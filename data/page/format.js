// SPDX-License-Identifier: LGPL-2.1-or-later
// Times, numbers and names as people read them.

import { make } from "./dom.js";

let skew = 0; // milliseconds by which the program's clock is ahead of this one

/* A Date header has whole seconds: less than two of difference say nothing. */
export function setServerTime(date) {
  const ahead = Date.parse(date) - Date.now();
  skew = Number.isFinite(ahead) && Math.abs(ahead) > 2000 ? ahead : 0;
}

function serverNow() {
  return (Date.now() + skew) / 1000;
}

export function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60)
    return `${whole} s`;
  if (whole < 3600)
    return whole < 600 && whole % 60 !== 0
      ? `${Math.floor(whole / 60)} min ${whole % 60} s` : `${Math.floor(whole / 60)} min`;
  if (whole < 86400)
    return `${Math.floor(whole / 3600)} h ${Math.floor(whole % 3600 / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor(whole % 86400 / 3600)} h`;
}

export function clockTime(seconds) {
  const date = new Date(seconds * 1000 - skew);
  const time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
  return date.toDateString() === new Date().toDateString()
    ? time : `${date.toLocaleDateString([], { month: "short", day: "numeric" })}, ${time}`;
}

function stamp(seconds, attributes, text) {
  const date = new Date(seconds * 1000);
  return make("time", { ...attributes, datetime: date.toISOString(), title: date.toLocaleString() }, text);
}

export function at(seconds) {
  return stamp(seconds, {}, clockTime(seconds));
}

/* “for 12 s”, which goes on counting. */
export function since(seconds) {
  return stamp(seconds, { "data-since": seconds }, span(serverNow() - seconds));
}

/* What is left of so many seconds, which goes on counting. */
export function left(seconds) {
  const end = Math.round(serverNow() + seconds);
  return stamp(end, { "data-until": end }, span(seconds));
}

export function tick() {
  const now = serverNow();
  for (const element of document.querySelectorAll("[data-since]"))
    element.textContent = span(now - Number(element.dataset.since));
  for (const element of document.querySelectorAll("[data-until]"))
    element.textContent = span(Number(element.dataset.until) - now);
}

export function count(number) {
  return Number(number).toLocaleString("en");
}

export function percent(ratio) {
  const share = ratio * 100;
  return `${share > 0 && share < 10 ? share.toFixed(1) : Math.round(share)} %`;
}

export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}
