/** A logarithmic axis over powers of ten. */

export interface LogScale {
  /** Pixels from the low end for a value; values at or below the low end are at 0. */
  readonly at: (value: number) => number;
  readonly low: number;
  readonly high: number;
  /** Exponents of the grid lines. */
  readonly exponents: readonly number[];
}

/** A scale that holds all finite values above 0, over whole powers of ten. */
export function logScale(values: readonly number[], length: number): LogScale {
  const usable = values.filter((value) => Number.isFinite(value) && value > 0).map(Math.log10);
  const low = Math.floor(Math.min(...usable, 0) - 0.05);
  const high = Math.ceil(Math.max(...usable, low + 1) + 0.05);
  const [from, to] = usable.length === 0 ? [-9, 0] : [low, Math.min(high, Math.ceil(Math.max(...usable) + 0.05))];
  const end = Math.max(to, from + 1);
  const at = (value: number): number => {
    if (Number.isNaN(value) || value === Number.POSITIVE_INFINITY) return length;
    if (value <= 0) return 0;
    return Math.min(length, Math.max(0, ((Math.log10(value) - from) / (end - from)) * length));
  };
  const step = Math.max(1, Math.ceil((end - from) / 12));
  const exponents: number[] = [];
  for (let exponent = from; exponent <= end; exponent += step) exponents.push(exponent);
  return { at, low: from, high: end, exponents };
}
