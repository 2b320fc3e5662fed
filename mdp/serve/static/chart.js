// Candlesticks with vwap, volume and signals, and features in panes below, drawn by the library that the server provides.

import { moment, tick } from "./clock.js";
import { colour } from "./colours.js";
import { decimals, price } from "./format.js";
import { History } from "./history.js";
import { Marks } from "./marks.js";
import { Panes } from "./panes.js";

const MOST = 20_000; // bars kept: a page may stay open for weeks
const SPARE = 500;
const PRICES = 76; // pixels: minimum width of the price axis
const FEW = 40; // with fewer bars, all are shown
const NEAR = 10; // bars from the left edge at which older ones are loaded

export class Chart {
  // `point` is called with the bar under the pointer, or null; `changed` when older bars have been loaded.
  constructor(host, panes, point, changed) {
    this.host = host;
    this.chart = window.LightweightCharts.createChart(host, { autoSize: true });
    this.volume = this.chart.addHistogramSeries({ priceScaleId: "volume", priceFormat: { type: "volume" }, lastValueVisible: false, priceLineVisible: false });
    this.chart.priceScale("volume").applyOptions({ scaleMargins: { top: 0.84, bottom: 0 } });
    this.candles = this.chart.addCandlestickSeries();
    this.candles.priceScale().applyOptions({ scaleMargins: { top: 0.08, bottom: 0.2 } });
    this.vwap = this.chart.addLineSeries({ lineWidth: 2, lastValueVisible: false, priceLineVisible: false, crosshairMarkerVisible: false });
    this.bars = new Map();
    this.series = null;
    this.marks = new Marks(this.candles);
    this.panes = new Panes(panes, this);
    this.history = new History(this);
    this.changed = changed;
    this.point = (time) => point(this.barAt(time));
    this.chart.subscribeCrosshairMove(({ time }) => {
      this.point(time);
      this.panes.point(time);
    });
    this.chart.timeScale().subscribeVisibleLogicalRangeChange(() => this.history.load());
    this.paint();
    this.setTimes();
  }

  // Shows another series: clears everything.
  reset(series) {
    this.series = series;
    this.empty();
    this.draw();
  }

  // A reconnected stream sends the newest bars: if none of them is known, bars in between may be missing.
  resume(bars) {
    const last = Math.max(...this.bars.keys());
    if (bars.every((bar) => bar.time > last)) this.empty();
  }

  // Shows the pointer's time in a pane, or hides it.
  follow(time) {
    const bar = this.barAt(time);
    if (bar) this.chart.setCrosshairPosition(bar.close, time, this.candles);
    else this.chart.clearCrosshairPosition();
    this.point(time);
  }

  barAt(time) {
    return time === undefined ? null : this.bars.get(toMs(time)) ?? null;
  }

  empty() {
    this.bars.clear();
    this.marks.clear();
    this.panes.clear();
    this.history.begin();
  }

  get sorted() {
    return [...this.bars.values()].sort((left, right) => left.time - right.time);
  }

  // Adds new or amended bars; returns the times of bars that had a lower revision.
  take(bars) {
    const amended = new Set();
    const before = this.bars.size;
    const last = Math.max(...this.bars.keys());
    for (const bar of bars) {
      if (this.bars.has(bar.time) && bar.revision > this.bars.get(bar.time).revision) amended.add(bar.time);
      this.bars.set(bar.time, bar);
    }
    if (this.forget() || !before || bars.some((bar) => bar.time < last)) this.draw();
    else bars.toSorted((left, right) => left.time - right.time).forEach((bar) => this.append(bar));
    if (before < FEW && this.bars.size > before) this.fit();
    this.marks.draw(this.bars);
    return amended;
  }

  // Drops the oldest bars, many at a time, once there are too many; returns whether it did.
  forget() {
    if (this.bars.size <= MOST + SPARE) return false;
    const times = this.sorted.map((bar) => bar.time);
    for (const time of times.slice(0, -MOST)) this.bars.delete(time);
    const first = times[times.length - MOST];
    this.marks.forget(first);
    this.panes.forget(first);
    return true;
  }

  takeMarks(marks) {
    this.marks.take(marks);
    this.marks.draw(this.bars);
  }

  takeFeatures(rows) {
    this.panes.take(rows, this.sorted);
  }

  // Sets all data again: the library accepts updates at the end only.
  draw() {
    const bars = this.sorted;
    this.candles.setData(bars.map(candle));
    this.vwap.setData(bars.map(vwap));
    this.volume.setData(bars.map((bar) => this.volumeOf(bar)));
    this.panes.draw(bars);
    if (bars.length) {
      const minMove = 10 ** -decimals(bars[bars.length - 1].close);
      this.candles.applyOptions({ priceFormat: { type: "custom", formatter: price, minMove } });
    }
    this.marks.draw(this.bars);
  }

  append(bar) {
    this.candles.update(candle(bar));
    this.vwap.update(vwap(bar));
    this.volume.update(this.volumeOf(bar));
    this.panes.append(bar);
  }

  // The volume in the colour of its bar.
  volumeOf({ time, open, close, volume }) {
    const way = close > open ? "up" : close < open ? "down" : "flat";
    return { time: time / 1000, value: volume, color: this.volumes[way] };
  }

  // Shows as many bars as can be distinguished, the newest at the right.
  fit() {
    const scale = this.chart.timeScale();
    const width = Math.max(FEW, Math.min(Math.round(this.bars.size * 1.5), Math.round((this.host.clientWidth - PRICES) / 9)));
    this.apply({ timeScale: { secondsVisible: this.series.window < 60_000 } });
    scale.setVisibleLogicalRange({ from: this.bars.size - width, to: this.bars.size + 3 });
  }

  get isNearStart() {
    return (this.chart.timeScale().getVisibleLogicalRange()?.from ?? NEAR) < NEAR;
  }

  get isFull() {
    return this.bars.size >= MOST;
  }

  // Formats the axis and the pointer in the chosen zone.
  setTimes() {
    const window = () => this.series?.window ?? 0;
    this.apply({
      localization: { timeFormatter: (time) => moment(toMs(time), window()) },
      timeScale: { tickMarkFormatter: (time, kind) => tick(toMs(time), kind, window()) },
    });
  }

  // Applies the current colours of the style sheet.
  paint() {
    const [up, down, text, line] = ["up", "down", "muted", "line"].map(colour);
    this.apply({
      layout: { background: { color: "transparent" }, textColor: text, fontFamily: getComputedStyle(document.body).fontFamily },
      grid: { vertLines: { color: line }, horzLines: { color: line } },
      rightPriceScale: { borderVisible: false, minimumWidth: PRICES },
      timeScale: { borderVisible: false, timeVisible: true, rightOffset: 3 },
      crosshair: { mode: 0, vertLine: { color: text, labelBackgroundColor: colour("accent") }, horzLine: { color: text, labelBackgroundColor: colour("accent") } },
    });
    this.candles.applyOptions({ upColor: up, borderUpColor: up, wickUpColor: up, downColor: down, borderDownColor: down, wickDownColor: down });
    this.vwap.applyOptions({ color: colour("vwap") });
    this.volumes = { up: colour("volume-up"), down: colour("volume-down"), flat: colour("volume") };
    this.draw();
  }

  // Options for the panes, too.
  apply(options) {
    this.chart.applyOptions(options);
    this.panes.apply(options);
  }
}

export function barOf([time, open, high, low, close, volume, vwap, trades, revision]) {
  return { time, open, high, low, close, volume, vwap, trades, revision };
}

export const toMs = (time) => Math.round(time * 1000);
const candle = ({ time, open, high, low, close }) => ({ time: time / 1000, open, high, low, close });
const vwap = (bar) => (bar.vwap === null ? { time: bar.time / 1000 } : { time: bar.time / 1000, value: bar.vwap });
