// What came before the bars that the chart has, loaded as one scrolls back to it.

import { barOf } from "./chart.js";

const ROWS = 300;

export class History {
  constructor(chart) {
    this.chart = chart;
    this.begin();
  }

  // Other bars: what is still on its way belongs to the former ones.
  begin() {
    this.request = null;
    this.isComplete = false;
  }

  // Older bars, as long as one is near to the oldest. A page may hold few where they are made of many shorter ones.
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
      // The server is away: the next movement of the chart asks again.
    } finally {
      if (request === this.request) this.request = null;
    }
  }

  // The features of all bars that the chart has: others have been chosen.
  async refill() {
    const { chart } = this;
    const { series } = chart;
    this.begin(); // what is on its way has the former ones
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
