/**
 * Intervals of i32 values whose ends are sizes: [0, S − 1] for an index over S. An end that is not known is null. All
 * statements hold for the runs in which the value is computed at all, i.e. where every loop around it runs; dims are
 * never negative. A claim that cannot be proven is not made.
 */
import type { ScalarOp } from '../layer-ir.ts';
import type { Size } from '../size.ts';
import * as Sizes from '../size.ts';

export interface Interval {
  readonly low: Size | null;
  readonly high: Size | null;
}

export const unknown: Interval = { low: null, high: null };
export const exactly = (size: Size): Interval => ({ low: size, high: size });
export const between = (low: number, high: number): Interval => ({
  low: Sizes.constant(low),
  high: Sizes.constant(high),
});
/** What an index over `size` goes through. */
export const below = (size: Size): Interval => ({ low: [], high: Sizes.subtract(size, Sizes.constant(1)) });

/** True when a size is certainly ≥ 0, whatever its dims: no term is negative. */
export const isNonNegative = (size: Size): boolean => size.every((t) => t.coefficient >= 0);
/** True when a ≤ b certainly. */
export const atMost = (a: Size, b: Size): boolean => isNonNegative(Sizes.subtract(b, a));

const smallest = -2147483648;
const largest = 2147483647;

/** Drops ends that wrap: arithmetic is exact only while constants fit i32. */
function fitting(i: Interval): Interval {
  const fits = (s: Size | null): boolean => {
    const value = s === null ? 0 : Sizes.constantOf(s);
    return value === null || (value >= smallest && value <= largest);
  };
  return fits(i.low) && fits(i.high) ? i : unknown;
}

const lower = (a: Size | null, b: Size | null): Size | null =>
  a === null || b === null ? null : atMost(a, b) ? a : atMost(b, a) ? b : null;
const higher = (a: Size | null, b: Size | null): Size | null =>
  a === null || b === null ? null : atMost(a, b) ? b : atMost(b, a) ? a : null;

/** The smallest interval around both, where it can be told. */
export const hull = (a: Interval, b: Interval): Interval => ({
  low: lower(a.low, b.low),
  high: higher(a.high, b.high),
});

/** Both hold: of two ends the tighter, where it can be told. */
export function both(a: Interval, b: Interval): Interval {
  const low = a.low === null ? b.low : b.low === null ? a.low : (higher(a.low, b.low) ?? a.low);
  const high = a.high === null ? b.high : b.high === null ? a.high : (lower(a.high, b.high) ?? a.high);
  return { low, high };
}

const plus = (a: Size | null, b: Size | null): Size | null => (a === null || b === null ? null : Sizes.add(a, b));
const negated = (a: Interval): Interval => ({
  low: a.high === null ? null : Sizes.negate(a.high),
  high: a.low === null ? null : Sizes.negate(a.low),
});

function times(a: Interval, b: Interval): Interval {
  if (a.low === null || a.high === null || b.low === null || b.high === null) {
    const signs = a.low !== null && b.low !== null && isNonNegative(a.low) && isNonNegative(b.low);
    return signs && a.low !== null && b.low !== null ? { low: Sizes.multiply(a.low, b.low), high: null } : unknown;
  }
  const ends = [a.low, a.high].flatMap((x) => [b.low, b.high].map((y) => (y === null ? [] : Sizes.multiply(x, y))));
  const values = ends.map(Sizes.constantOf);
  if (values.every((v) => v !== null)) return between(Math.min(...values), Math.max(...values));
  // Symbolic: 0 ≤ a and 0 ≤ b make products monotone. Otherwise the order of the ends depends on the dims.
  if (isNonNegative(a.low) && isNonNegative(b.low)) {
    return { low: Sizes.multiply(a.low, b.low), high: Sizes.multiply(a.high, b.high) };
  }
  return unknown;
}

/** n // d for n = q·d − 1 or constants; d is one term. */
function dividedEnd(end: Size | null, divisor: Size): Size | null {
  if (end === null) return null;
  const n = Sizes.constantOf(end);
  const d = Sizes.constantOf(divisor);
  if (n !== null && d !== null) return d > 0 ? Sizes.constant(Math.floor(n / d)) : null;
  const quotient = exactQuotient(Sizes.add(end, Sizes.constant(1)), divisor);
  return quotient === null ? null : Sizes.subtract(quotient, Sizes.constant(1));
}

function exactQuotient(size: Size, divisor: Size): Size | null {
  const only = divisor[0];
  if (only === undefined || divisor.length !== 1 || only.coefficient <= 0) return null;
  let out: Size = [];
  for (const term of size) {
    const rest = [...term.dims];
    for (const d of only.dims) {
      const at = rest.indexOf(d);
      if (at < 0) return null;
      rest.splice(at, 1);
    }
    if (term.coefficient % only.coefficient !== 0) return null;
    const factor = rest.map(Sizes.dim);
    out = Sizes.add(out, Sizes.product([Sizes.constant(term.coefficient / only.coefficient), ...factor]));
  }
  return out;
}

/** What the place of an op knows about sizes. */
export interface Facts {
  /** Certainly a value that i32 holds. Ops other than ring arithmetic need to know: a wrapped operand would fool them. */
  readonly fits: (size: Size) => boolean;
  /** Certainly above 0. A size of the run may be 0, and nothing is known about a division by it. */
  readonly isPositive: (size: Size) => boolean;
}

/** The interval of an i32 op, given its operands' intervals. */
export function ofOp(op: ScalarOp, args: readonly Interval[], { fits, isPositive }: Facts): Interval {
  const [a = unknown, b = unknown] = args;
  const divisor = b.low !== null && b.high !== null && Sizes.equal(b.low, b.high) && isPositive(b.low) ? b.low : null;
  const isExact = (i: Interval): boolean => i.low !== null && i.high !== null && fits(i.low) && fits(i.high);
  switch (op) {
    case 'add':
      return fitting({ low: plus(a.low, b.low), high: plus(a.high, b.high) });
    case 'sub': {
      const minus = negated(b);
      return fitting({ low: plus(a.low, minus.low), high: plus(a.high, minus.high) });
    }
    case 'neg':
      return fitting(negated(a));
    case 'mul':
      return fitting(times(a, b));
    case 'mod':
      // Rounding down makes every remainder lie in [0, divisor).
      return divisor === null ? unknown : below(divisor);
    case 'floordiv': {
      if (divisor === null || !isExact(a)) return unknown;
      const low = a.low !== null && a.low.length === 0 ? [] : dividedEndLow(a.low, divisor);
      return { low, high: dividedEnd(a.high, divisor) };
    }
    case 'min':
      // Each bound of either operand bounds a minimum from above.
      return { low: lower(a.low, b.low), high: both({ low: null, high: a.high }, { low: null, high: b.high }).high };
    case 'max':
      return { low: both({ low: a.low, high: null }, { low: b.low, high: null }).low, high: higher(a.high, b.high) };
    case 'abs': {
      if (a.low !== null && isNonNegative(a.low)) return a;
      const low = a.low === null ? null : Sizes.constantOf(a.low);
      const high = a.high === null ? null : Sizes.constantOf(a.high);
      return low === null || high === null
        ? unknown
        : fitting(
            between(
              low <= 0 && high >= 0 ? 0 : Math.min(Math.abs(low), Math.abs(high)),
              Math.max(Math.abs(low), Math.abs(high)),
            ),
          );
    }
    default:
      return unknown;
  }
}

function dividedEndLow(low: Size | null, divisor: Size): Size | null {
  const n = low === null ? null : Sizes.constantOf(low);
  const d = Sizes.constantOf(divisor);
  if (n !== null && d !== null && d > 0) return Sizes.constant(Math.floor(n / d));
  return n !== null && n >= 0 ? [] : null;
}
