// Signals on the chart: one mark for all signals of a bar with the same direction.

import { colour } from "./colours.js";

const SHAPES = {
  up: { position: "belowBar", shape: "arrowUp", colour: "up" },
  down: { position: "aboveBar", shape: "arrowDown", colour: "down" },
  flat: { position: "aboveBar", shape: "circle", colour: "warn" },
};

export const way = (value) => (value > 0 ? "up" : value < 0 ? "down" : "flat");

export class Marks {
  constructor(candles) {
    this.candles = candles;
    this.name = ""; // of the shown signals; empty for all
    this.clear();
  }

  clear() {
    this.all = new Map();
    this.shown = 0;
  }

  // Rows of time, name, adapter, direction and count.
  take(rows) {
    for (const [time, name, adapter, direction, count] of rows) {
      this.all.set(JSON.stringify([time, name, adapter, direction]), { time, name, way: way(direction), count });
    }
  }

  forget(first) {
    for (const [key, mark] of this.all) if (mark.time < first) this.all.delete(key);
  }

  get chosen() {
    return [...this.all.values()].filter((mark) => !this.name || mark.name === this.name);
  }

  // The signals of a bar, by name.
  at(bar) {
    return this.chosen.filter((mark) => mark.time === bar.time);
  }

  draw(bars) {
    const sums = new Map();
    for (const mark of this.chosen) {
      if (!bars.has(mark.time)) continue;
      const key = `${mark.time} ${mark.way}`;
      const sum = sums.get(key) ?? { time: mark.time, way: mark.way, count: 0 };
      sums.set(key, { ...sum, count: sum.count + mark.count });
    }
    this.shown = sums.size;
    this.candles.setMarkers([...sums.values()].sort((left, right) => left.time - right.time).map(marker));
  }
}

function marker({ time, way, count }) {
  const { colour: name, ...shape } = SHAPES[way];
  return { time: time / 1000, color: colour(name), size: 1, text: count > 1 ? String(count) : undefined, ...shape };
}
