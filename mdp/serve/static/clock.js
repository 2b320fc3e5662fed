// Times as text, in the zone that the visitor has chosen, which the browser stores.

import { element } from "./dom.js";

const KEY = "mdp-zone";
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const DAY = 24 * 60 * MINUTE;
const TIME = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const DATE = { day: "numeric", month: "short" };
const own = Intl.DateTimeFormat().resolvedOptions().timeZone;

let zone;
let forms;
setZone(localStorage.getItem(KEY) ?? "UTC");

function setZone(name) {
  const form = (options, timeZone = name) => new Intl.DateTimeFormat("en-GB", { timeZone, ...options });
  try {
    forms = {
      minutes: form(TIME),
      seconds: form({ ...TIME, second: "2-digit" }),
      milliseconds: form({ ...TIME, second: "2-digit", fractionalSecondDigits: 3 }),
      date: form(DATE),
      month: form({ month: "short" }),
      year: form({ year: "numeric" }),
      utcDate: form(DATE, "UTC"),
    };
    zone = name;
  } catch {
    setZone("UTC"); // the browser no longer knows the chosen zone
  }
}

export const zoneName = () => zone;

// The start of a bar that is `window` long, or the time of a signal.
export function time(milliseconds, window) {
  if (window >= DAY) return forms.utcDate.format(milliseconds); // a day of bars is one of UTC
  if (window >= MINUTE) return `${forms.date.format(milliseconds)} ${forms.minutes.format(milliseconds)}`;
  return forms[window < SECOND ? "milliseconds" : "seconds"].format(milliseconds);
}

// The time under the pointer, always with its date.
export function moment(milliseconds, window) {
  const text = time(milliseconds, window);
  return window >= MINUTE ? text : `${forms.date.format(milliseconds)} ${text}`;
}

// A tick of the time axis, of one of the library's TickMarkTypes: year, month, day, time, time with seconds. The library
// places the first three at midnight UTC, which is another hour in other zones.
export function tick(milliseconds, kind, window) {
  if (kind === 4) return forms.seconds.format(milliseconds);
  const clock = forms.minutes.format(milliseconds);
  if (kind === 3) return clock;
  if (window >= DAY || clock === "00:00") return dayTick(milliseconds, kind, window);
  return `${forms.date.format(milliseconds)} ${clock}`;
}

function dayTick(milliseconds, kind, window) {
  if (kind === 0) return forms.year.format(milliseconds);
  if (kind === 1) return forms.month.format(milliseconds);
  return forms[window >= DAY ? "utcDate" : "date"].format(milliseconds);
}

// Makes `select` choose the zone; `changed` is called on each change.
export function chooseWith(select, changed) {
  const option = (name, label = name) => element("option", { value: name }, label);
  const all = element("optgroup", { label: "All zones" }, ...Intl.supportedValuesOf("timeZone").map((name) => option(name)));
  select.append(option("UTC"), ...(own === "UTC" ? [] : [option(own, `${own} (here)`)]), all);
  select.value = zone;
  select.addEventListener("change", () => {
    setZone(select.value);
    localStorage.setItem(KEY, zone);
    changed();
  });
}
