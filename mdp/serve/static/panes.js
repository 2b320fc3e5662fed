// Features in panes below the chart. Each is a separate chart, as this version of the library has no panes: with the same
// times and the same width of the price axis it shows the same span, and the pointer moves in all of them.

import { colour } from "./colours.js";
import { element } from "./dom.js";
import { short } from "./format.js";

export class Panes {
  constructor(host, main) {
    this.host = host;
    this.main = main;
    this.options = {};
    this.rows = new Map(); // by the time of their bars
    this.panes = [];
    this.names = [];
    const scale = main.chart.timeScale();
    scale.subscribeVisibleLogicalRangeChange((range) => range && this.panes.forEach((pane) => pane.show(range)));
  }

  // Shows these features, each in a pane; returns whether the selection has changed.
  choose(names) {
    if (names.join() === this.names.join()) return false;
    this.names = names;
    this.clear();
    for (const pane of this.panes) pane.remove();
    this.panes = names.map((name) => new Pane(this.host, name, this.main.chart, (time) => this.moved(time)));
    this.main.chart.applyOptions({ timeScale: { visible: !names.length } }); // replaced by that of the lowest pane
    this.apply(this.options);
    return true;
  }

  clear() {
    this.rows.clear();
  }

  forget(first) {
    for (const time of this.rows.keys()) if (time < first) this.rows.delete(time);
  }

  // Rows with the time of a bar, and values in the order of the names.
  take(rows, bars) {
    for (const [time, ...values] of rows) this.rows.set(time, values);
    if (!this.panes.length || !rows.length) return;
    const last = bars[bars.length - 1]?.time;
    if (rows.every(([time]) => time === last)) this.append({ time: last });
    else this.draw(bars);
  }

  // A point for each bar, with or without a value, so that the times are the same.
  draw(bars) {
    this.panes.forEach((pane, place) => pane.draw(bars.map(({ time }) => this.at(time, place))));
    const range = this.main.chart.timeScale().getVisibleLogicalRange();
    if (range) for (const pane of this.panes) pane.show(range);
    this.point(undefined);
  }

  append({ time }) {
    this.panes.forEach((pane, place) => pane.line.update(this.at(time, place)));
    this.point(undefined);
  }

  at(time, place) {
    const value = this.rows.get(time)?.[place] ?? null;
    return value === null ? { time: time / 1000 } : { time: time / 1000, value };
  }

  // The visitor has moved the pointer in a pane.
  moved(time) {
    this.main.follow(time);
    this.point(time);
  }

  // Shows the values at the pointer's time, or the last values without a pointer.
  point(time) {
    const times = [...this.rows.keys()];
    const at = time === undefined ? Math.max(...times) : Math.round(time * 1000);
    this.panes.forEach((pane, place) => pane.point(time, this.rows.get(at)?.[place] ?? null));
  }

  apply(options) {
    for (const [part, values] of Object.entries(options)) this.options[part] = { ...this.options[part], ...values };
    this.panes.forEach((pane, place) => pane.apply(this.options, place === this.panes.length - 1));
  }
}

class Pane {
  constructor(host, name, main, moved) {
    this.value = element("span", { class: "value" });
    this.place = element("div", { class: "pane", "data-feature": name, role: "img", "aria-label": name }, element("p", {}, element("bdi", {}, name), " ", this.value));
    host.append(this.place);
    this.chart = window.LightweightCharts.createChart(this.place, { autoSize: true });
    const priceFormat = { type: "custom", formatter: short, minMove: 1e-9 };
    this.line = this.chart.addLineSeries({ lineWidth: 2, priceLineVisible: false, lastValueVisible: false, crosshairMarkerVisible: false, priceFormat });
    this.chart.subscribeCrosshairMove(({ time, sourceEvent }) => sourceEvent && moved(time));
    this.place.addEventListener("pointerleave", () => moved(undefined));
    this.chart.timeScale().subscribeVisibleLogicalRangeChange((range) => {
      // A pane moved by the visitor moves the main chart, which moves the others; not the other way round.
      if (range && this.place.matches(":hover, :focus-within") && !same(range, main.timeScale().getVisibleLogicalRange())) main.timeScale().setVisibleLogicalRange(range);
    });
  }

  draw(points) {
    this.count = points.filter((point) => "value" in point).length;
    this.place.dataset.values = this.count;
    this.line.setData(points);
  }

  show(range) {
    if (!same(range, this.chart.timeScale().getVisibleLogicalRange())) this.chart.timeScale().setVisibleLogicalRange(range);
  }

  point(time, value) {
    this.value.textContent = value === null ? "" : short(value);
    if (this.place.matches(":hover")) return; // the visitor controls this pane
    if (time === undefined || value === null) this.chart.clearCrosshairPosition();
    else this.chart.setCrosshairPosition(value, time, this.line);
  }

  apply(options, isLowest) {
    this.chart.applyOptions({ ...options, timeScale: { ...options.timeScale, visible: isLowest } });
    this.chart.priceScale("right").applyOptions({ scaleMargins: { top: 0.28, bottom: 0.08 } });
    this.line.applyOptions({ color: colour("accent") });
  }

  remove() {
    this.chart.remove();
    this.place.remove();
  }
}

const same = (left, right) => right !== null && Math.abs(left.from - right.from) < 1e-3 && Math.abs(left.to - right.to) < 1e-3;
