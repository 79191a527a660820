// SPDX-License-Identifier: LGPL-2.1-or-later
// Where the page has its numbers from. /events says that something changed, and then all of it is
// asked for anew; without /events it is asked for often. It is asked for now and then in any case:
// a program that stands still keeps its connections open.

import { setServerTime } from "./format.js";
import { readMetrics } from "./metrics.js";

const POLL_LIVE = 5000;
const POLL = 2000;
const POLL_LOST = 1000;
const GIVE_UP = 4000; // for one answer
const OLD = 12000; // when what is shown is not to be trusted, whatever timers did meanwhile
const METRICS_EVERY = 10000;
const GATHER = 80; // changes come in groups
const EVENTS_AGAIN = 3000;

async function get(path) {
  const response = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(GIVE_UP) });
  if (!response.ok)
    throw new Error(`${path} answers ${response.status}`);
  return response;
}

export class Source {
  constructor(onState, onContact) {
    this.onState = onState;
    this.onContact = onContact;
    this.lastGood = null;
    this.contact = "connecting";
    this.events = null;
    this.isOpen = false;
    this.surfaces = null;
    this.metrics = null;
    this.metricsAt = 0;
    this.asking = null;
    this.again = false;
    this.isSoon = false;
    this.timer = null;
  }

  start() {
    document.addEventListener("visibilitychange", () => document.hidden || this.ask());
    window.addEventListener("online", () => this.ask());
    this.ask();
  }

  /* Whether what is shown has grown old: then it is said, however that came. */
  check() {
    if (this.lastGood !== null && this.contact !== "lost" && Date.now() - this.lastGood > OLD)
      this.setContact("lost");
  }

  setContact(contact) {
    this.contact = contact;
    this.onContact(contact, this.lastGood);
  }

  plan(delay) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), delay);
  }

  /* Further changes do not put it off. */
  askSoon() {
    if (this.isSoon)
      return;
    this.isSoon = true;
    this.plan(GATHER);
  }

  /* One question at a time; one that comes meanwhile is asked after it. */
  async ask() {
    if (this.asking !== null) {
      this.again = true;
      return;
    }
    this.again = false;
    this.isSoon = false;
    this.asking = this.askOnce();
    await this.asking;
    this.asking = null;
    this.isSoon = this.again;
    this.plan(this.again ? GATHER : this.contact === "lost" ? POLL_LOST : this.isOpen ? POLL_LIVE : POLL);
  }

  async askOnce() {
    try {
      const state = await this.fetchAll();
      this.lastGood = Date.now();
      this.setContact(this.isOpen ? "live" : "polling");
      this.onState(state);
      this.listen();
    } catch (error) {
      this.surfaces = null;
      this.hangUp();
      this.setContact("lost");
      if (!(error instanceof TypeError || error instanceof DOMException || error instanceof SyntaxError))
        console.warn(error.message);
    }
  }

  async fetchAll() {
    this.surfaces ??= await (await get("page/surfaces.json")).json();
    const [status, breakers] = await Promise.all([get("degradation"), get("circuit-breakers")]);
    setServerTime(status.headers.get("Date"));
    if (this.surfaces.metrics && Date.now() - this.metricsAt > METRICS_EVERY) {
      this.metrics = readMetrics(await (await get("metrics")).text());
      this.metricsAt = Date.now();
    }
    return {
      status: await status.json(),
      breakers: Object.values(await breakers.json()),
      metrics: this.surfaces.metrics ? this.metrics : null,
      details: this.surfaces.details,
    };
  }

  listen() {
    if (this.events !== null)
      return;
    const events = new EventSource("events");
    this.events = events;
    events.onopen = () => {
      this.isOpen = true;
      if (this.contact === "polling")
        this.setContact("live");
    };
    events.onerror = () => {
      this.hangUp();
      this.plan(0);
      /* Not at once: where /events is refused, asking now and then has to do. */
      this.events = "later";
      setTimeout(() => {
        if (this.events === "later")
          this.events = null;
      }, EVENTS_AGAIN);
    };
    for (const event of ["level", "service", "breaker", "hold", "drill"])
      events.addEventListener(event, () => this.askSoon());
  }

  hangUp() {
    if (this.events instanceof EventSource)
      this.events.close();
    this.events = null;
    this.isOpen = false;
  }
}
