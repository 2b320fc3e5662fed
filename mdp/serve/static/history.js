// History before the chart's bars, loaded as the visitor scrolls back.

import { barOf } from "./chart.js";

const ROWS = 300;

export class History {
  constructor(chart) {
    this.chart = chart;
    this.begin();
  }

  // Another series: pending answers belong to the former one.
  begin() {
    this.request = null;
    this.isComplete = false;
  }

  // Loads older bars while the view is near the oldest. A page may have few bars if they aggregate many shorter ones.
  async load() {
    const { chart } = this;
    if (this.request || !chart.series) return;
    const request = (this.request = {});
    try {
      while (chart.bars.size && chart.isNearStart && !chart.isFull && !this.isComplete) {
        const { bars, marks, features } = await this.ask(Math.min(...chart.bars.keys()));
        if (request !== this.request) return;
        this.isComplete = !bars.length;
        if (bars.length) chart.take(bars.map(barOf));
        chart.takeMarks(marks);
        chart.takeFeatures(features);
        chart.changed();
      }
    } catch {
      // The server is unavailable: the next movement of the chart retries.
    } finally {
      if (request === this.request) this.request = null;
    }
  }

  // Loads the features of all bars of the chart, after a change of the selection.
  async refill() {
    const { chart } = this;
    const { series } = chart;
    this.begin(); // pending answers have the former features
    const times = [...chart.bars.keys()];
    let before = Math.max(...times) + 1;
    try {
      while (before > Math.min(...times)) {
        const { bars, features } = await this.ask(before);
        if (series !== chart.series || !bars.length) return;
        chart.takeFeatures(features);
        before = bars[0][0];
      }
    } catch {
      // As above.
    }
  }

  async ask(before) {
    const { provider, symbol, interval, rollup, features } = this.chart.series;
    const query = new URLSearchParams({ provider, symbol, interval, rollup, features, before, limit: ROWS });
    const answer = await fetch(`/api/history?${query}`);
    if (!answer.ok) throw new Error(answer.statusText);
    return answer.json();
  }
}
