// Numbers as text.

const COUNT = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const DIGITS = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const LARGE = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 3 });
const PERCENT = new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 2, signDisplay: "exceptZero" });

export const NONE = "–";

// Between these, numbers are written in full; beyond them as 2.1e-10.
const PLAIN = [1e-6, 1e15];

// The decimals for a price of this size: about five digits, and at least two decimals.
export function decimals(price) {
  const size = Math.abs(price);
  return size > 0 ? Math.max(2, 4 - Math.floor(Math.log10(size))) : 2;
}

export function price(value) {
  if (value === null || value === undefined) return NONE;
  if (!isPlain(value)) return scientific(value);
  if (Math.abs(value) >= 1e8) return LARGE.format(value);
  const digits = decimals(value);
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

const isPlain = (value) => value === 0 || (Math.abs(value) >= PLAIN[0] && Math.abs(value) < PLAIN[1]);
const scientific = (value) => Number(value.toPrecision(5)).toExponential().replace("e+", "e");

export const count = (value) => COUNT.format(value);

export function short(value) {
  if (!isPlain(value)) return scientific(value);
  if (Math.abs(value) < 1_000) return DIGITS.format(value);
  return Math.abs(value) < 100_000 ? COUNT.format(value) : SHORT.format(value);
}

// The change of a price relative to the absolute first one; empty if undefined.
export const change = (first, last) => (first ? PERCENT.format((last - first) / Math.abs(first)) : "");

export function seconds(value) {
  if (value < 1) return `${Math.round(value * 1000)} ms`;
  if (value < 120) return `${value.toFixed(1)} s`;
  return value < 7200 ? `${Math.round(value / 60)} min` : `${Math.round(value / 3600)} h`;
}
