// SPDX-License-Identifier: LGPL-2.1-or-later
// The page: what comes from the source goes to the sections, and whether it comes is always said.

import { byId, setText, show, make } from "./dom.js";
import { clockTime, span, tick } from "./format.js";
import { forgetAnnounced, showLevel, summarize } from "./level.js";
import { startServices, showServices } from "./services.js";
import {
  showBreakers, showDrills, showFallbacks, showFeatures, showHistory, showHolds,
} from "./sections.js";
import { Source } from "./source.js";

const CONTACT = {
  connecting: "Connecting…",
  live: "Live",
  polling: "Asking every 2 s",
  lost: "No contact",
};

let title = "Derate";

function onState({ status, breakers, metrics, details }) {
  title = summarize(status);
  document.title = title;
  setText("program", status.name);
  setText("foot", `Derate ${status.version}${details ? "" : ". Who holds a level, why, and error texts are not shown on this port."}`);
  showLevel(status);
  showHolds(status);
  showDrills(status);
  showServices(status);
  showBreakers(breakers);
  showFeatures(status);
  showFallbacks(metrics);
  showHistory(status);
  tick();
}

/* What is on the page then is of the past, and says so wherever one looks. */
function showLost(lastGood) {
  const seen = lastGood !== null;
  document.title = `No contact – ${title}`;
  byId("level").dataset.level = "unknown";
  byId("level").dataset.age = seen ? `Last known, at ${clockTime(lastGood / 1000)}` : "";
  show("alarm", make("p", { class: "alarm" }, make("strong", {}, "The program does not answer. "),
    seen ? `What stands below is how it was at ${clockTime(lastGood / 1000)}; how it is now is not known.`
      : "Nothing is known about it.", " This page tries again each second."));
  forgetAnnounced();
}

function onContact(contact, lastGood) {
  const was = document.body.dataset.contact;
  document.body.dataset.contact = contact;
  setText("contact", CONTACT[contact]);
  if (contact === "lost" && was !== "lost")
    showLost(lastGood);
  if (contact !== "lost" && was === "lost") {
    show("alarm");
    delete byId("level").dataset.age;
    document.title = title;
  }
}

const source = new Source(onState, onContact);

setInterval(() => {
  source.check();
  if (source.contact === "lost") {
    if (source.lastGood !== null)
      setText("contact", `No contact for ${span((Date.now() - source.lastGood) / 1000)}`);
  } else {
    tick();
  }
}, 1000);

startServices();
source.start();
