/** Inputs that a run must refuse: indices outside their table, each naming the place in the layer. */
import { type LayerIR, layerFromText, standardLayer } from '@espalier/ir';
import type { Tensors } from './layer-case.ts';

export interface FaultCase {
  readonly name: string;
  readonly layer: LayerIR;
  readonly weights: Tensors;
  readonly good: Tensors;
  readonly bad: Tensors;
  /** What the error must say, and where it must point. */
  readonly message: RegExp;
  readonly place: RegExp;
}

const numbers = (length: number): Float32Array => Float32Array.from({ length }, (_, i) => i / 8 - 1);

export function faultCases(): readonly FaultCase[] {
  const table = numbers(5 * 6);
  const embedding = standardLayer('embedding', { dims: { V: 5, D: 6 } });
  const ids = (...values: number[]): Tensors => ({ ids: Int32Array.from(values) });
  const ofEmbedding = (name: string, bad: Tensors): FaultCase => ({
    name,
    layer: embedding,
    weights: { table },
    good: ids(0, 4, 2),
    bad,
    message: /ids\[t\] lies outside axis 0 of table, 0 … 4/,
    place: /embedding.*:\d+:\d+/,
  });
  const walk = layerFromText(
    `layer walk(T) {
  input x[T]
  weight child[3, 2]: i32, v[3]
  output y[t] = descend n = 0 for 5 { s = x[t] + v[n]; yield s; n <- child[n, i32(s > 0)] }
}`,
    { name: 'walk.layer' },
  );
  const guarded = layerFromText(
    `layer guarded(T) {
  input x[T], at[T]: i32
  output y[t] = sum k in 2: (if at[t] >= 0 then x[at[t] + k] else 0)
}`,
    { name: 'guarded.layer' },
  );
  const windows = layerFromText(
    `layer windows(T, S) {
  input x[T], z[S]
  output y[t] = x[t] + f32(t // (S - 3)) + (sum s: z[s])
}`,
    { name: 'windows.layer' },
  );
  return [
    ofEmbedding('an id that is negative', ids(0, -1, 2)),
    ofEmbedding('an id one too large', ids(0, 1, 5)),
    ofEmbedding('the largest id there is', ids(2147483647)),
    ofEmbedding('the smallest id there is', ids(-2147483648, 1)),
    ofEmbedding(
      'a bad id among a thousand good ones',
      ids(...Array.from({ length: 1000 }, (_, i) => (i === 777 ? 5 : i % 5))),
    ),
    {
      name: 'a walk led out of its tree by data',
      layer: walk,
      weights: { child: Int32Array.from([1, 2, 2, 7, 0, 1]), v: Float32Array.from([0.5, 0.5, 0.5]) },
      good: { x: Float32Array.from([-9, -9]) },
      bad: { x: Float32Array.from([-9, 0.25, 0.25]) },
      message: /lies outside axis 0 of (v|child), 0 … 2/,
      place: /walk\.layer:4:\d+/,
    },
    {
      name: 'an index that its guard does not keep in',
      layer: guarded,
      weights: {},
      good: { x: numbers(4), at: Int32Array.from([-5, 2, 0, -1]) },
      bad: { x: numbers(4), at: Int32Array.from([-5, 3, 0, -1]) },
      message: /lies outside axis 0 of x, 0 … T - 1/,
      place: /guarded\.layer:3:\d+/,
    },
    {
      name: 'a size that divides and is 0',
      layer: windows,
      weights: {},
      good: { x: numbers(9), z: numbers(5) },
      bad: { x: numbers(9), z: numbers(3) },
      message: /S - 3 is below 1 and divides/,
      place: /windows\.layer:3:\d+/,
    },
  ];
}
