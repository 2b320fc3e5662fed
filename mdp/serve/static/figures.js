// The strip of figures.

import { element } from "./dom.js";
import { count, NONE, seconds, short } from "./format.js";

const FIGURES = [
  ["rate", "events/s", "accent", (all) => all.rate, short, "recent events per second"],
  ["lag", "lag", "", (all) => all.lag_ms, (value) => seconds(value / 1000), "how far the workers lag behind the topic"],
  ["watermark", "watermark", "", (all) => all.watermark_s, (value) => `−${seconds(value)}`,
    "how far event time is behind the clock, in the partition with the largest delay"],
  ["age", "last write", "", (all) => all.age, (value) => (value < 2 ? "now" : `${seconds(value)} ago`), "when rows or progress were last committed"],
  ["accepted", "accepted", "up", (all) => all.accepted, short, "events in time"],
  ["amending", "amended", "amended", (all) => all.amending, short, "events that corrected a closed bar"],
  ["duplicate", "duplicate", "", (all) => all.duplicate, short, "events that had been processed before"],
  ["late", "late", "warn", (all) => all.late, short, "events after their window had become final: in the late topic"],
  ["rejected", "rejected", "down", (all) => all.rejected, short, "invalid events: in the dead letter queue"],
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

  // Updates the given figures; the others stay.
  show(news) {
    Object.assign(this.all, news);
    for (const { place, value, form } of this.shown) {
      const now = value(this.all);
      place.textContent = now === null || now === undefined ? NONE : form(now);
      if (Number.isInteger(now)) place.title = count(now);
    }
  }
}
