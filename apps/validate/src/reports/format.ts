/** Numbers and durations as people read them; the same in the terminal and on the page. */

/** 1.2e-6, 0, NaN, ∞: two significant digits. */
export function scientific(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '−∞';
  if (value === 0) return '0';
  const magnitude = Math.abs(value);
  if (magnitude >= 0.01 && magnitude < 1000) return String(Number(value.toPrecision(3))).replace('-', '−');
  return value.toExponential(1).replace('e+', 'e');
}

/** Seven significant digits: what a float32 holds, so that two numbers that differ look different. */
export const precise = (value: number): string =>
  Number.isFinite(value)
    ? String(Number(value.toPrecision(7)))
        .replace('-', '−')
        .replace('e−', 'e-')
    : scientific(value);

/** 1 − cosine says more than a cosine of 0.9999999; below what float64 resolves it is 0. */
export const cosineLoss = (cosine: number): string =>
  Number.isNaN(cosine) ? 'NaN' : 1 - cosine < 1e-15 ? '0' : scientific(1 - cosine);

/** 0.42 ms, 12.3 ms, 1.24 s. */
export function duration(milliseconds: number): string {
  if (milliseconds >= 1000) return `${(milliseconds / 1000).toFixed(2)} s`;
  return `${milliseconds >= 100 ? milliseconds.toFixed(0) : milliseconds >= 10 ? milliseconds.toFixed(1) : milliseconds.toFixed(2)} ms`;
}

/** 12.3 KB, 4.5 MB. */
export function bytes(count: number): string {
  if (count >= 1e6) return `${(count / 1e6).toFixed(1)} MB`;
  return count >= 1e3 ? `${(count / 1e3).toFixed(1)} KB` : `${count} B`;
}

/** 1 case, 2 cases. */
export const counted = (count: number, word: string): string =>
  `${count.toLocaleString('en')} ${word}${count === 1 ? '' : 's'}`;
