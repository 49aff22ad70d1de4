/** Two tensors against each other, row by row, leaving out the rows that are not comparable. */
import type { Numbers } from '../numbers.ts';
import type { Lost } from './rows.ts';

/** How far a tensor lies from a reference. Shapes are flattened to [rows, width]. */
export interface Difference {
  /** Elements that were compared. */
  readonly count: number;
  /** Largest |difference|; Infinity where one side is NaN or infinite and the other isn't the same. 0 for no element. */
  readonly maxAbs: number;
  /** Where that is; null when nothing differs. */
  readonly at: { readonly row: number; readonly column: number } | null;
  /** The two numbers there. */
  readonly found: number;
  readonly expected: number;
  /** √(Σ difference² / Σ reference²); 0 when both are 0. */
  readonly relativeRms: number;
  /** Cosine of the angle between the two; 1 when both are 0. */
  readonly cosine: number;
}

/** Compares `found` with `expected`. Throws RangeError when their lengths differ. */
export function differenceOf(found: Numbers, expected: Numbers, rows: number, lost?: Lost): Difference {
  if (found.length !== expected.length)
    throw new RangeError(`${found.length} elements against ${expected.length} of the reference`);
  const width = rows === 0 ? 0 : found.length / rows;
  let count = 0;
  let maxAbs = 0;
  let worst = -1;
  let [squares, reference, own, product] = [0, 0, 0, 0];
  for (let row = 0; row < rows; row++) {
    if (lost?.[row] === 1) continue;
    for (let i = row * width; i < (row + 1) * width; i++) {
      const a = found[i] as number;
      const b = expected[i] as number;
      count++;
      // Object.is also holds for two NaN and for equal infinities, whose difference is no number.
      if (a === b || Object.is(a, b)) {
        if (Number.isFinite(b)) {
          reference += b * b;
          own += a * a;
          product += a * b;
        }
        continue;
      }
      const difference = Math.abs(a - b);
      const error = Number.isFinite(difference) ? difference : Number.POSITIVE_INFINITY;
      if (error > maxAbs || worst === -1) {
        maxAbs = error;
        worst = i;
      }
      squares += error * error;
      reference += b * b;
      own += a * a;
      product += a * b;
    }
  }
  const norm = Math.sqrt(own) * Math.sqrt(reference);
  return {
    count,
    maxAbs,
    at: worst === -1 ? null : { row: Math.floor(worst / width), column: worst % width },
    found: worst === -1 ? 0 : (found[worst] as number),
    expected: worst === -1 ? 0 : (expected[worst] as number),
    relativeRms: squares === 0 ? 0 : Math.sqrt(squares / reference),
    cosine: squares === 0 ? 1 : Math.min(1, product / norm),
  };
}

/** Rows whose largest element is at the same place in both. */
export interface ArgmaxAgreement {
  readonly rows: number;
  readonly equal: number;
  /** Rows that disagree although the reference's best two are no further apart than the tolerance lets them move. */
  readonly tied: number;
}

/** Argmax of each row; `allowed` is how far an element may be off, so that two of them may move towards each other by twice that. */
export function argmaxAgreement(
  found: Numbers,
  expected: Numbers,
  rows: number,
  allowed: number,
  lost?: Lost,
): ArgmaxAgreement {
  const width = rows === 0 ? 0 : found.length / rows;
  const result = { rows: 0, equal: 0, tied: 0 };
  for (let row = 0; row < rows && width > 0; row++) {
    if (lost?.[row] === 1) continue;
    result.rows++;
    const [a, b] = [argmax(found, row * width, width), argmax(expected, row * width, width)];
    if (a === b) result.equal++;
    else if (Math.abs((expected[b] as number) - (expected[a] as number)) <= 2 * allowed) result.tied++;
  }
  return result;
}

function argmax(values: Numbers, start: number, length: number): number {
  let best = start;
  for (let i = start + 1; i < start + length; i++) if ((values[i] as number) > (values[best] as number)) best = i;
  return best;
}
