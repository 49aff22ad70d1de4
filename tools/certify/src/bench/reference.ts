/**
 * What outputs are compared with: the float64 interpreter, for a few tokens of the inputs that all share. Tokens do not depend on
 * each other in a layer, so that one reference serves every number of tokens and every precision.
 */
import { interpretLayer, type LayerIR } from '@espalier/ir';

/** Rows of outputs that are known. */
export interface KnownRows {
  readonly columns: number;
  /** Values by token. */
  readonly rows: ReadonlyMap<number, Float64Array>;
  readonly largest: number;
}

/** Tokens whose output is compared: the first, the last, and one between. */
export const sampledTokens = (tokens: number): readonly number[] => [...new Set([0, tokens >> 1, tokens - 1])];

/** All that are compared for some numbers of tokens, ascending. */
export const allSampled = (counts: readonly number[]): readonly number[] =>
  [...new Set(counts.flatMap(sampledTokens))].sort((a, b) => a - b);

/** The rows of `x`, which has `depth` numbers each, one after another. */
export function rowsOf(x: Float32Array, depth: number, tokens: readonly number[]): Float32Array {
  const chosen = new Float32Array(tokens.length * depth);
  for (const [r, t] of tokens.entries()) chosen.set(x.subarray(t * depth, (t + 1) * depth), r * depth);
  return chosen;
}

/** Rows that were computed for `tokens`, one after another. */
export function knownRows(tokens: readonly number[], values: ArrayLike<number>): KnownRows {
  const columns = values.length / tokens.length;
  let largest = 0;
  for (let i = 0; i < values.length; i++) largest = Math.max(largest, Math.abs(values[i] as number));
  const row = (r: number) => Float64Array.from({ length: columns }, (_, o) => values[r * columns + o] as number);
  return { columns, rows: new Map(tokens.map((t, r) => [t, row(r)])), largest };
}

/** What a layer from `x` to `y` gives for some tokens, by the interpreter. */
export function layerRows(
  layer: LayerIR,
  weights: Readonly<Record<string, Float32Array | Uint16Array>>,
  x: Float32Array,
  depth: number,
  tokens: readonly number[],
): KnownRows {
  const tensors = { ...weights, x: rowsOf(x, depth, tokens) };
  const { y } = interpretLayer(layer, { dims: { T: tokens.length }, tensors, keep: ['y'] });
  if (!y) throw new Error(`${layer.name} has no output y`);
  return knownRows(tokens, y);
}

/** What matrices one after another give for some tokens, in float64. Each is [columns, depth], row-major. */
export function productRows(
  matrices: readonly Float32Array[],
  x: Float32Array,
  depth: number,
  tokens: readonly number[],
): KnownRows {
  let values = Float64Array.from(rowsOf(x, depth, tokens));
  for (const matrix of matrices) {
    const wide = values.length / tokens.length;
    const columns = matrix.length / wide;
    const next = new Float64Array(tokens.length * columns);
    for (let r = 0; r < tokens.length; r++)
      for (let o = 0; o < columns; o++) {
        let sum = 0;
        for (let k = 0; k < wide; k++) sum += (values[r * wide + k] as number) * (matrix[o * wide + k] as number);
        next[r * columns + o] = sum;
      }
    values = next;
  }
  return knownRows(tokens, values);
}

/**
 * The largest distance of `rowAt(t)` from what is known, relative to the largest value; throws for one beyond `tolerance`, and
 * so for NaN.
 */
export function compareRows(
  { columns, rows, largest }: KnownRows,
  tokens: readonly number[],
  rowAt: (token: number) => ArrayLike<number>,
  tolerance: number,
): number {
  let worst = 0;
  for (const t of tokens) {
    const expected = rows.get(t);
    if (!expected) throw new Error(`nothing is known of token ${t}`);
    const given = rowAt(t);
    if (given.length !== columns) throw new Error(`token ${t} has ${given.length} outputs, not ${columns}`);
    for (let o = 0; o < columns; o++) {
      const apart = Math.abs((given[o] as number) - (expected[o] as number));
      if (!(apart <= tolerance * largest))
        throw new Error(
          `nothing timed: output ${o} of token ${t} is ${given[o]}, in float64 it is ${expected[o]}, ` +
            `allowed are ${tolerance * largest}`,
        );
      worst = Math.max(worst, apart / largest);
    }
  }
  return worst;
}
