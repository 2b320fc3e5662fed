// Candlesticks with vwap, volume and signals, on the library that the server brings along.

import { moment, tick } from "./clock.js";
import { colour } from "./colours.js";
import { decimals, price } from "./format.js";
import { direction } from "./tables.js";

const OLDER = 500;
const MOST = 20_000; // bars that are kept: a page may stay open for weeks
const SHAPES = {
  up: { position: "belowBar", shape: "arrowUp" },
  down: { position: "aboveBar", shape: "arrowDown" },
  flat: { position: "aboveBar", shape: "circle" },
};

export class Chart {
  // `point` is told the bar under the pointer, or null.
  constructor(host, point) {
    const library = window.LightweightCharts;
    this.chart = library.createChart(host, { autoSize: true });
    this.volume = this.chart.addHistogramSeries({ priceScaleId: "volume", priceFormat: { type: "volume" }, lastValueVisible: false, priceLineVisible: false });
    this.chart.priceScale("volume").applyOptions({ scaleMargins: { top: 0.84, bottom: 0 } });
    this.candles = this.chart.addCandlestickSeries();
    this.candles.priceScale().applyOptions({ scaleMargins: { top: 0.08, bottom: 0.2 } });
    this.vwap = this.chart.addLineSeries({ lineWidth: 2, lastValueVisible: false, priceLineVisible: false, crosshairMarkerVisible: false });
    this.chart.subscribeCrosshairMove(({ time }) => point(time === undefined ? null : this.bars.get(toMs(time)) ?? null));
    this.chart.timeScale().subscribeVisibleLogicalRangeChange((range) => range && range.from < 10 && this.loadOlder());
    this.empty();
    this.series = null;
    this.paint();
    this.setTimes();
  }

  // Another series: nothing of the former stays.
  reset(series) {
    this.series = series;
    this.empty();
    this.draw();
    this.mark();
  }

  // A stream that begins again tells the newest bars: where none of them is known, some in between may be missing.
  resume(bars) {
    const last = Math.max(...this.bars.keys());
    if (!bars.every((bar) => bar.time > last)) return;
    this.series = { ...this.series }; // what is still being loaded belongs to the former bars
    this.empty();
  }

  empty() {
    this.bars = new Map();
    this.signals = new Map();
    this.isComplete = false;
    this.isLoading = false;
  }

  get sorted() {
    return [...this.bars.values()].sort((left, right) => left.time - right.time);
  }

  // Takes bars, new or amended; the times of those that were there with a lower revision.
  take(bars) {
    const amended = new Set();
    const last = Math.max(...this.bars.keys());
    const isFirst = this.bars.size === 0;
    for (const bar of bars) {
      if (this.bars.has(bar.time) && bar.revision > this.bars.get(bar.time).revision) amended.add(bar.time);
      this.bars.set(bar.time, bar);
    }
    if (this.forget() || isFirst || bars.some((bar) => bar.time < last)) this.draw();
    else bars.toSorted((left, right) => left.time - right.time).forEach((bar) => this.append(bar));
    if (isFirst) this.begin();
    this.mark();
    return amended;
  }

  // Lets go of the oldest, a good many at a time, once there are too many; whether it did.
  forget() {
    if (this.bars.size <= MOST + OLDER) return false;
    const times = this.sorted.map((bar) => bar.time);
    const first = times[times.length - MOST];
    for (const time of times.slice(0, -MOST)) this.bars.delete(time);
    for (const [key, signal] of this.signals) if (signal.time - this.series.window < first) this.signals.delete(key);
    return true;
  }

  takeSignals(signals) {
    for (const one of signals) this.signals.set(JSON.stringify([one.time, one.name, one.adapter]), one);
    this.mark();
  }

  // Everything anew: the library takes changes at the end only.
  draw() {
    const bars = this.sorted;
    this.candles.setData(bars.map(candle));
    this.vwap.setData(bars.map(vwap));
    this.volume.setData(bars.map((bar) => this.volumeOf(bar)));
    if (bars.length) {
      const minMove = 10 ** -decimals(bars[bars.length - 1].close);
      this.candles.applyOptions({ priceFormat: { type: "custom", formatter: price, minMove } });
    }
  }

  // In the colour of its bar.
  volumeOf({ time, open, close, volume }) {
    const way = close > open ? "up" : close < open ? "down" : "flat";
    return { time: time / 1000, value: volume, color: this.volumes[way] };
  }

  append(bar) {
    this.candles.update(candle(bar));
    this.vwap.update(vwap(bar));
    this.volume.update(this.volumeOf(bar));
  }

  begin() {
    const scale = this.chart.timeScale();
    const width = Math.max(40, Math.min(Math.round(this.bars.size * 1.5), Math.round(scale.width() / 9) || 90));
    scale.applyOptions({ secondsVisible: this.series.window < 60_000 });
    scale.setVisibleLogicalRange({ from: this.bars.size - width, to: this.bars.size + 3 });
  }

  mark() {
    const window = this.series?.window ?? 0;
    const markers = [...this.signals.values()]
      .map((signal) => ({ signal, time: signal.time - window })) // a signal's time is the end of its window
      .filter(({ time }) => this.bars.has(time))
      .sort((left, right) => left.time - right.time);
    this.markers = markers.length;
    const styles = { up: colour("up"), down: colour("down"), flat: colour("warn") };
    this.candles.setMarkers(markers.map(({ signal, time }) => {
      const way = direction(signal);
      return { time: time / 1000, color: styles[way], size: 1, ...SHAPES[way] };
    }));
  }

  // Signals of one bar.
  signalsAt(bar) {
    return [...this.signals.values()].filter((signal) => signal.time - this.series.window === bar.time);
  }

  async loadOlder() {
    if (this.isLoading || this.isComplete || !this.bars.size || this.bars.size >= MOST || !this.series) return;
    this.isLoading = true;
    const { provider, symbol, interval, window } = this.series;
    const first = Math.min(...this.bars.keys());
    const series = this.series;
    const ask = (what, before) => fetch(`/api/${what}?${new URLSearchParams({ provider, symbol, interval, before, limit: OLDER })}`);
    try {
      const answers = await Promise.all([ask("bars", first), ask("signals", first + window)]);
      const [bars, signals] = await Promise.all(answers.map((answer) => (answer.ok ? answer.json() : [])));
      if (series !== this.series) return;
      this.isComplete = answers[0].ok && bars.length < OLDER;
      if (bars.length) this.take(bars.map(barOf));
      this.takeSignals(signals.map(signalOf));
    } catch {
      // The server is away: the next movement of the chart asks again.
    } finally {
      if (series === this.series) this.isLoading = false;
    }
  }

  // The axis and the pointer, in the zone that has been chosen.
  setTimes() {
    const window = () => this.series?.window ?? 0;
    this.chart.applyOptions({
      localization: { timeFormatter: (time) => moment(toMs(time), window()) },
      timeScale: { tickMarkFormatter: (time, kind) => tick(toMs(time), kind, window()) },
    });
  }

  // The colours of the style sheet as they are now.
  paint() {
    const [up, down, text, line] = ["up", "down", "muted", "line"].map(colour);
    this.chart.applyOptions({
      layout: { background: { color: "transparent" }, textColor: text, fontFamily: getComputedStyle(document.body).fontFamily },
      grid: { vertLines: { color: line }, horzLines: { color: line } },
      rightPriceScale: { borderVisible: false },
      timeScale: { borderVisible: false, timeVisible: true, rightOffset: 3 },
      crosshair: { mode: 0, vertLine: { color: text, labelBackgroundColor: colour("accent") }, horzLine: { color: text, labelBackgroundColor: colour("accent") } },
    });
    this.candles.applyOptions({ upColor: up, borderUpColor: up, wickUpColor: up, downColor: down, borderDownColor: down, wickDownColor: down });
    this.vwap.applyOptions({ color: colour("vwap") });
    this.volumes = { up: colour("volume-up"), down: colour("volume-down"), flat: colour("volume") };
    this.draw();
    this.mark();
  }
}

export function barOf([time, open, high, low, close, volume, vwap, trades, revision]) {
  return { time, open, high, low, close, volume, vwap, trades, revision };
}

export function signalOf([provider, symbol, interval, time, name, adapter, value, score, price]) {
  return { provider, symbol, interval, time, name, adapter, value, score, price };
}

const toMs = (time) => Math.round(time * 1000);
const candle = ({ time, open, high, low, close }) => ({ time: time / 1000, open, high, low, close });
const vwap = (bar) => (bar.vwap === null ? { time: bar.time / 1000 } : { time: bar.time / 1000, value: bar.vwap });
