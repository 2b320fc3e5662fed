// What the visitor looks at, and who shows what of the news.

import { barOf, Chart, signalOf } from "./chart.js";
import { chooseWith, time, zoneName } from "./clock.js";
import { switchWith } from "./colours.js";
import { byId, element } from "./dom.js";
import { Figures } from "./figures.js";
import { count, percent, price, short } from "./format.js";
import { Status } from "./status.js";
import { Stream } from "./stream.js";
import { BarTable, direction, SignalTable } from "./tables.js";
import { WatchList } from "./watchlist.js";

const wanted = { provider: "", interval: "", symbol: "", search: "" };
const address = new URL(location.href);
for (const key of ["provider", "interval", "symbol"]) wanted[key] = address.searchParams.get(key) ?? "";
if (address.searchParams.has("token")) {
  address.searchParams.delete("token"); // the cookie has taken its place
  history.replaceState(null, "", address);
}

let pointed = null;
let isResuming = false;
const host = byId("chart");
const chart = new Chart(host, (bar) => {
  pointed = bar;
  showLegend();
});
const bars = new BarTable();
const figures = new Figures(byId("figures"));
const status = new Status((age) => figures.show({ age }));
const list = new WatchList((symbol) => choose(symbol), (search) => look({ search }));
const recent = new SignalTable((symbol, provider, interval) => choose(symbol, provider, interval));
const feed = byId("feed");
const stream = new Stream({ begin, feeds, order, chart: begun, figures: show, workers: show, trouble, recent: latest, bars: take, signals: mark, lines }, (name) => status.connect(name));

switchWith(byId("theme"), () => chart.paint());
chooseWith(byId("zone"), showTimes);
showTimes();
feed.addEventListener("change", () => {
  const [provider, interval] = JSON.parse(feed.value);
  list.clear();
  look({ provider, interval, symbol: "", search: "" });
});
document.addEventListener("visibilitychange", () => (document.hidden ? stream.pause() : stream.open(wanted)));
stream.open(wanted);

function look(change) {
  Object.assign(wanted, change);
  stream.open(wanted);
}

function choose(symbol, provider = wanted.provider, interval = wanted.interval) {
  byId("announce").textContent = symbol;
  look({ symbol, provider, interval });
}

// A stream begins: it tells the newest of everything; as far as that is shown already it changes nothing.
function begin() {
  list.fresh = true;
}

// Every time on the page, in the zone that has been chosen.
function showTimes() {
  for (const place of document.querySelectorAll(".zone")) place.textContent = zoneName();
  chart.setTimes();
  if (chart.series) bars.show(chart.sorted, chart.series.window, new Set());
  recent.show(recent.signals);
  showLegend();
}

function feeds(all) {
  feed.replaceChildren(...all.map(([provider, interval]) => {
    const one = element("option", { value: JSON.stringify([provider, interval]) }, `${provider} · ${interval}`);
    one.selected = provider === wanted.provider && interval === wanted.interval;
    return one;
  }));
}

function order(news) {
  list.order(news);
}

function begun(series) {
  const { provider, interval, symbol } = series;
  const known = chart.series;
  Object.assign(wanted, { provider, interval, symbol });
  if (!known || known.provider !== provider || known.interval !== interval || known.symbol !== symbol) chart.reset(series);
  isResuming = true;
  list.mark(symbol);
  for (const one of feed.options) one.selected = one.value === JSON.stringify([provider, interval]);
  byId("symbol").textContent = symbol;
  status.tell({ window: series.window });
  document.title = `${symbol} · mdp`;
  host.setAttribute("aria-label", `Candlesticks of ${symbol}; the table of the last bars has their values`);
  host.dataset.symbol = symbol;
  for (const key of ["provider", "interval", "symbol"]) address.searchParams.set(key, wanted[key]);
  history.replaceState(null, "", address);
  showBars(new Set());
}

function take(rows) {
  const all = rows.map(barOf);
  if (isResuming) chart.resume(all);
  isResuming = false;
  showBars(chart.take(all));
}

function mark(rows) {
  const isNews = rows.length === 1 && chart.signals.size > 0;
  chart.takeSignals(rows.map(signalOf));
  if (isNews) byId("announce").textContent = `${signalOf(rows[0]).symbol}: ${signalOf(rows[0]).name}`;
  host.dataset.signals = chart.markers;
}

function showBars(amended) {
  const all = chart.sorted;
  byId("empty").hidden = all.length > 0;
  host.dataset.bars = all.length;
  host.dataset.signals = chart.markers;
  bars.show(all, chart.series.window, amended);
  const [last, before] = [all[all.length - 1], all[all.length - 2]];
  const change = byId("change");
  byId("price").textContent = last ? price(last.close) : "";
  change.textContent = last && before?.close ? percent((last.close - before.close) / Math.abs(before.close)) : "";
  change.className = `change ${last && before ? (last.close > before.close ? "up" : last.close < before.close ? "down" : "") : ""}`;
  showLegend();
}

// The bar under the pointer, or else the last one.
function showLegend() {
  const all = chart.sorted;
  const bar = (pointed && chart.bars.get(pointed.time)) ?? all[all.length - 1];
  if (!bar) return byId("legend").replaceChildren();
  const parts = { "": time(bar.time, chart.series.window), O: price(bar.open), H: price(bar.high), L: price(bar.low), C: price(bar.close), V: short(bar.volume), VWAP: price(bar.vwap), trades: count(bar.trades) };
  if (bar.revision) parts.rev = count(bar.revision);
  const signals = chart.signalsAt(bar).map((one) => element("b", { class: direction(one) }, one.name));
  byId("legend").replaceChildren(
    ...Object.entries(parts).map(([label, value]) => element("span", { class: label.toLowerCase() || null }, label ? element("i", {}, label) : "", value)),
    ...signals,
  );
}

function lines(all) {
  list.lines(all);
}

function show(news) {
  figures.show(news);
  status.tell(news);
}

function latest(rows) {
  recent.show(rows.map(signalOf));
}

function trouble(text) {
  status.tell({ trouble: text });
  const place = byId("trouble");
  place.hidden = !text;
  place.textContent = text;
}
