// The last bars, which a screen reader cannot read from the chart's canvas, and the latest signals.

import { time } from "./clock.js";
import { byId, element } from "./dom.js";
import { count, NONE, price, short } from "./format.js";
import { way } from "./marks.js";

const SHOWN = 14;

export class BarTable {
  constructor() {
    this.body = byId("bars");
  }

  // `bars` are oldest first; `amended` holds the times of bars that have just been corrected.
  show(bars, window, amended) {
    const newest = bars.slice(-SHOWN).reverse();
    this.body.replaceChildren(...newest.map((bar) => barRow(bar, window, amended.has(bar.time))));
  }
}

function barRow(bar, window, isNews) {
  const direction = bar.close > bar.open ? "up" : bar.close < bar.open ? "down" : "";
  const cells = [price(bar.open), price(bar.high), price(bar.low), price(bar.close), short(bar.volume), price(bar.vwap),
    count(bar.trades), bar.revision ? count(bar.revision) : NONE];
  const classes = ["", "", "", direction, "", "", "", bar.revision ? "amended" : ""];
  return element(
    "tr",
    { "data-time": bar.time, "data-close": bar.close, "data-trades": bar.trades, "data-revision": bar.revision, class: isNews ? "news" : null },
    element("th", { scope: "row" }, time(bar.time, window)),
    ...cells.map((text, place) => element("td", { class: classes[place] || null }, text)),
  );
}

export class SignalTable {
  constructor(choose) {
    this.body = byId("signals");
    this.known = new Set();
    this.rows = [];
    this.body.addEventListener("click", (event) => {
      const row = event.target.closest("tr");
      if (row) choose(row.dataset.symbol, row.dataset.provider, row.dataset.interval);
    });
  }

  // Rows from the server, newest first.
  show(rows) {
    const before = this.known;
    const signals = rows.map(signalOf);
    this.rows = rows;
    this.known = new Set(signals.map(key));
    this.body.replaceChildren(...signals.map((one) => signalRow(one, before.size > 0 && !before.has(key(one)))));
    byId("no-signals").hidden = signals.length > 0;
  }
}

const key = (signal) => JSON.stringify([signal.provider, signal.symbol, signal.interval, signal.time, signal.name, signal.adapter]);

function signalOf([provider, symbol, interval, time, name, adapter, value, score, price]) {
  return { provider, symbol, interval, time, name, adapter, value, score, price };
}

const SIGNS = { up: "▲", down: "▼", flat: "●" };
const WORDS = { up: "up", down: "down", flat: "neutral" };

function signalRow(signal, isNews) {
  const points = way(signal.value);
  const data = { "data-symbol": signal.symbol, "data-provider": signal.provider, "data-interval": signal.interval, "data-time": signal.time };
  return element(
    "tr",
    { ...data, class: isNews ? "news" : null },
    element("td", {}, time(signal.time, 1000)),
    element("td", {}, element("button", { type: "button", class: "name", title: signal.symbol }, element("bdi", {}, signal.symbol))),
    element("td", {}, element("span", { class: points, role: "img", "aria-label": WORDS[points] }, SIGNS[points]), " ",
      element("bdi", { class: "label", title: signal.name }, signal.name)),
    element("td", {}, price(signal.price)),
    element("td", {}, signal.score === null ? NONE : signal.score.toFixed(2)),
  );
}
