// The header of the chart: the last price, its change, and the bar under the pointer.

import { time } from "./clock.js";
import { byId, element } from "./dom.js";
import { change, count, price, short } from "./format.js";
import { way } from "./marks.js";

export class Quote {
  constructor(chart) {
    this.chart = chart;
    this.pointed = null;
    this.firsts = new Map();
  }

  // Rows of provider, symbol, the first price of the span, and the volume in it.
  take(rows) {
    for (const [provider, symbol, first] of rows) this.firsts.set(JSON.stringify([provider, symbol]), first);
    this.show();
  }

  // The bar under the pointer, or null.
  point(bar) {
    this.pointed = bar;
    this.legend(this.chart.sorted);
  }

  show() {
    const all = this.chart.sorted;
    const last = all[all.length - 1];
    byId("price").textContent = last ? price(last.close) : "";
    const { provider, symbol } = this.chart.series ?? {};
    const first = this.firsts.get(JSON.stringify([provider, symbol]));
    const gained = last ? change(first, last.close) : "";
    byId("change").textContent = gained;
    byId("change-span").hidden = !gained;
    byId("change").className = `change ${gained && way(last.close - first)}`;
    this.legend(all);
  }

  legend(all) {
    const bar = (this.pointed && this.chart.bars.get(this.pointed.time)) ?? all[all.length - 1];
    if (!bar) return byId("legend").replaceChildren();
    const parts = { "": time(bar.time, this.chart.series.window), O: price(bar.open), H: price(bar.high), L: price(bar.low), C: price(bar.close), V: short(bar.volume), VWAP: price(bar.vwap), trades: count(bar.trades) };
    if (bar.revision) parts.rev = count(bar.revision);
    const signals = this.chart.marks.at(bar).map((mark) => element("b", { class: mark.way }, mark.count > 1 ? `${mark.name} ×${mark.count}` : mark.name));
    byId("legend").replaceChildren(
      ...Object.entries(parts).map(([label, value]) => element("span", { class: label.toLowerCase() || null }, label ? element("i", {}, label) : "", value)),
      ...signals,
    );
  }
}
