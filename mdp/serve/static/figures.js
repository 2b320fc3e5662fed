// The strip of figures.

import { element } from "./dom.js";
import { count, NONE, seconds, short } from "./format.js";

const FIGURES = [
  ["rate", "events/s", "accent", (all) => all.rate, short, "events that were counted per second, lately"],
  ["lag", "lag", "", (all) => all.lag_ms, (value) => seconds(value / 1000), "how far the workers are behind the topic"],
  ["watermark", "watermark", "", (all) => all.watermark_s, (value) => `−${seconds(value)}`,
    "how far event time is behind the clock, in the partition where it is furthest"],
  ["age", "last write", "", (all) => all.age, (value) => (value < 2 ? "now" : `${seconds(value)} ago`), "when rows or progress were last committed"],
  ["accepted", "accepted", "up", (all) => all.accepted, short, "events that came in time"],
  ["amending", "amended", "amended", (all) => all.amending, short, "events that corrected a closed bar"],
  ["duplicate", "duplicate", "", (all) => all.duplicate, short, "events that had been seen before"],
  ["late", "late", "warn", (all) => all.late, short, "events that came too late: on the late topic"],
  ["rejected", "rejected", "down", (all) => all.rejected, short, "events that could not be used: on the DLQ topic"],
];

export class Figures {
  constructor(list) {
    this.all = {};
    this.shown = FIGURES.map(([id, label, style, value, form, title]) => {
      const place = element("dd", { id: `figure-${id}`, class: style }, NONE);
      list.append(element("div", { title }, element("dt", {}, label), place));
      return { place, value, form };
    });
  }

  // What is known anew; the rest stays.
  show(news) {
    Object.assign(this.all, news);
    for (const { place, value, form } of this.shown) {
      const now = value(this.all);
      place.textContent = now === null || now === undefined ? NONE : form(now);
      if (Number.isInteger(now)) place.title = count(now);
    }
  }
}
