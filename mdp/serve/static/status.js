// Whether the shown data are fresh. "Live" means that rows keep being written, not that a server answers.

import { byId } from "./dom.js";
import { seconds } from "./format.js";

const QUIET_S = 10; // without a write
const BEHIND_MS = 10_000; // of the topic
const TICK_MS = 1_000;

// The status of a connected page: a state for the style sheet, and a text.
//   age: seconds since the last write; undefined before the first one
//   lag_ms: how far the workers are behind; null or undefined where they do not answer
//   run: the name of the run that is shown; undefined for the live tables
//   window: milliseconds of the bars shown. Bars that come whole may be as far apart as they are long, so workers that
//     answer are given half as much again.
export function freshness({ age, lag_ms, run, trouble, window = 0 }) {
  if (trouble) return ["stale", "no database"];
  if (run) return ["run", `run ${run}`];
  if (age === undefined) return ["stale", "no data yet"];
  const isAnswering = lag_ms !== null && lag_ms !== undefined;
  const longest = isAnswering ? Math.max(QUIET_S, (1.5 * window) / 1000) : QUIET_S;
  if (age > longest) return ["stale", `no data for ${seconds(age)}`];
  return isAnswering && lag_ms > BEHIND_MS ? ["behind", `catching up, ${seconds(lag_ms / 1000)}`] : ["live", "live"];
}

export class Status {
  // `aged` is called once a second with the seconds since the last write.
  constructor(aged) {
    this.place = byId("status");
    this.aged = aged;
    this.known = {};
    this.connection = "connecting";
    setInterval(() => this.show(), TICK_MS);
  }

  // "connected", "connecting" or "paused".
  connect(connection) {
    this.connection = connection;
    this.show();
  }

  // Updates the given values; the others stay.
  update(news) {
    if ("age" in news) this.updatedAt = performance.now();
    Object.assign(this.known, news);
    this.show();
  }

  show() {
    // The server sends the age while it can; without the server, the age keeps growing.
    const since = (performance.now() - this.updatedAt) / 1000;
    const age = this.known.age === undefined ? undefined : this.known.age + since;
    const isConnected = this.connection === "connected";
    const [state, text] = isConnected ? freshness({ ...this.known, age }) : [this.connection, this.connection];
    if (this.place.dataset.state !== state) byId("announce").textContent = text; // not on every second of age
    this.place.dataset.state = state;
    if (this.place.textContent !== text) this.place.textContent = text;
    if (age !== undefined) this.aged(age);
  }
}
