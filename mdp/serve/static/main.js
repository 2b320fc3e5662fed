// Connects the visitor's choices, the stream of updates, and the parts of the page.

import { keep, wanted } from "./address.js";
import { barOf, Chart } from "./chart.js";
import { Features, Filter, Lengths } from "./choices.js";
import { chooseWith, zoneName } from "./clock.js";
import { switchWith } from "./colours.js";
import { byId } from "./dom.js";
import { Figures } from "./figures.js";
import { count } from "./format.js";
import { Quote } from "./quote.js";
import { Status } from "./status.js";
import { Stream } from "./stream.js";
import { BarTable, SignalTable } from "./tables.js";
import { WatchList } from "./watchlist.js";

let isResuming = false;
const host = byId("chart");
const chart = new Chart(host, byId("panes"), (bar) => quote.point(bar), () => showBars());
const quote = new Quote(chart);
const bars = new BarTable();
const figures = new Figures(byId("figures"));
const status = new Status((age) => figures.show({ age }));
const list = new WatchList(choose, (search) => look({ search }));
const recent = new SignalTable(choose);
const lengths = new Lengths((interval, rollup) => look({ interval, rollup }));
const features = new Features((names) => look({ features: names.join() }));
const providers = new Filter("listed", "All providers", (listed) => look({ listed }));
const names = new Filter("signal", "All signals", (signal) => look({ signal }));
const order = byId("order");

const stream = new Stream(
  {
    begin: () => (list.fresh = true), // it sends the newest of everything; rows that are already shown change nothing
    providers: (all) => providers.show(all.map(([name, symbols]) => [name, `${name} (${count(symbols)})`])),
    columns: (all) => features.show(all),
    names: (all) => names.show(all.map((name) => [name, name])),
    lengths: (all) => lengths.show(all),
    span: showSpan,
    order: (news) => list.order(news),
    quotes: showQuotes,
    chart: begun,
    figures: show,
    workers: show,
    run: (run) => status.update({ run }),
    trouble,
    recent: (rows) => recent.show(rows),
    bars: take,
    marks: mark,
    features: (rows) => chart.takeFeatures(rows),
    lines: (all) => list.lines(all),
  },
  (name) => status.connect(name),
);

providers.wanted = wanted.listed;
names.wanted = chart.marks.name = wanted.signal;
order.value = wanted.order || "name";
order.addEventListener("change", () => look({ order: order.value }));
switchWith(byId("theme"), () => chart.paint());
chooseWith(byId("zone"), showTimes);
showTimes();
document.addEventListener("visibilitychange", () => (document.hidden ? stream.pause() : stream.open(wanted)));
stream.open(wanted);

function look(change) {
  keep(change);
  chart.marks.name = wanted.signal;
  chart.takeMarks([]);
  stream.open(wanted);
}

// Shows a symbol, at the current length of bars if it has that.
function choose(symbol, provider, interval = "") {
  byId("announce").textContent = symbol;
  const isSame = provider === wanted.provider;
  look({ symbol, provider, interval: interval || (isSame ? wanted.interval : ""), rollup: isSame ? wanted.rollup : "" });
}

function begun(shown) {
  const { provider, symbol, interval, rollup, window } = shown;
  const known = chart.series;
  const isOther = !known || ["provider", "symbol", "interval", "rollup"].some((key) => known[key] !== shown[key]);
  const hasOtherFeatures = chart.panes.choose(shown.features);
  keep({ provider, symbol, interval, rollup, features: shown.features.join() });
  if (isOther) chart.reset(shown);
  else if (hasOtherFeatures) {
    chart.series = shown;
    chart.history.refill();
  }
  isResuming = true;
  list.mark(provider, symbol);
  lengths.mark(rollup || interval);
  features.mark(shown.features);
  status.update({ window });
  byId("symbol").textContent = symbol;
  document.title = `${symbol} · mdp`;
  host.setAttribute("aria-label", `Candlesticks of ${symbol}; the table of the last bars has their values`);
  Object.assign(host.dataset, { symbol, length: rollup || interval });
  showBars();
}

function take(rows) {
  const all = rows.map(barOf);
  if (isResuming) chart.resume(all);
  isResuming = false;
  showBars(chart.take(all));
}

function mark(rows) {
  const isNews = rows.length === 1 && chart.marks.all.size > 0;
  chart.takeMarks(rows);
  if (isNews) byId("announce").textContent = `${chart.series.symbol}: ${rows[0][1]}`;
  host.dataset.signals = chart.marks.shown;
}

function showBars(amended = new Set()) {
  const all = chart.sorted;
  byId("empty").hidden = all.length > 0;
  host.dataset.bars = all.length;
  host.dataset.signals = chart.marks.shown;
  if (chart.series) bars.show(all, chart.series.window, amended);
  quote.show();
}

// Shows every time on the page in the chosen zone.
function showTimes() {
  for (const place of document.querySelectorAll(".zone")) place.textContent = zoneName();
  chart.setTimes();
  recent.show(recent.rows);
  showBars();
}

// The span of all percentages and volumes.
function showSpan(span) {
  for (const place of document.querySelectorAll(".span")) place.textContent = span;
}

function showQuotes(all) {
  list.quotes(all);
  quote.take(all);
}

function show(news) {
  figures.show(news);
  status.update(news);
}

function trouble(text) {
  status.update({ trouble: text });
  const place = byId("trouble");
  place.hidden = !text;
  place.textContent = text;
}
