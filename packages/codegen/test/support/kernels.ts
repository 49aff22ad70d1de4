/** Kernels and data for tests of the compiler's parts: every lowering of small layers whose results are exact on integers. */
import type { WeightData } from '@espalier/artefact';
import { type LayerIR, layerFromText, Sizes, standardLayer } from '@espalier/ir';
import { lowerLayer } from '../../src/compile.ts';
import type { Kernel } from '../../src/kernel-ir/types.ts';
import { wasm } from '../../src/targets/wasm/index.ts';

const dims = { D: 5, H: 9, O: 7, W: 6, V: 4, trees: 2, depth: 2, nodes: 3 };

const standard = (name: string, names: readonly (keyof typeof dims)[], options = {}): LayerIR =>
  standardLayer(name, { dims: Object.fromEntries(names.map((n) => [n, dims[n]])), options });

const text = (source: string): LayerIR => layerFromText(source, {});

/** Sums, products and choices of integers only: every order of evaluation gives the same bits. */
export const exactLayers: readonly LayerIR[] = [
  standard('linear', ['D', 'O'], { activation: 'relu' }),
  standard('ff', ['D', 'H', 'O'], { activation: 'relu' }),
  standard('fff', ['D', 'O', 'trees', 'depth'], { activation: 'relu' }),
  standard('leaf_fff', ['D', 'W', 'O', 'depth'], { activation: 'relu' }),
  standard('embedding', ['V', 'D']),
  text('layer maxima(T, S) { input x[T, S]  output y[t] = (max s: x[t, s]) + (min s: x[t, s]) }'),
  text('layer reversed(T) { input x[T, 11]  output y[t, i in 11] = x[t, 10 - i] * 2 }'),
  text('layer pairs(T, S) { input a[T, 8], b[S, 8]  output y[t, s] = sum i: a[t, i] * b[s, i] }'),
  text('layer chained(T) { input x[T, 13]  total[t] = sum i: x[t, i]  output y[t, i] = x[t, i] * total[t] }'),
  text(
    'layer quantised(T) { input x[T, 6]  weight w[9, 6]: i8, s[9]  output y[t, o] = (sum i: x[t, i] * w[o, i]) * s[o] }',
  ),
];

/** Kernels of a layer before any pass, by both strategies; loops have labels of their own. */
export const loweredKernels = (layer: LayerIR): readonly Kernel[] =>
  (['best', 'generic'] as const).flatMap((strategy) =>
    lowerLayer(layer, wasm, wasm.defaults, { strategy }).map((l) => l.kernel),
  );

export const exactKernels: readonly Kernel[] = exactLayers.flatMap(loweredKernels);

/** mulberry32: numbers in 0 … 1 that follow from the seed. */
export function random(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Small integers for every buffer that a kernel reads; those of i32 buffers can be ids of at least two things. */
export function integerTensors(
  kernel: Kernel,
  values: Readonly<Record<string, number>>,
  seed: number,
): Record<string, WeightData> {
  const next = random(seed);
  const sizes = new Map(Object.entries(values));
  return Object.fromEntries(
    kernel.buffers
      .filter((b) => b.space === 'global' && b.access === 'read')
      .map((b) => {
        const length = Sizes.evaluate(Sizes.product(b.shape), sizes);
        const elements = Array.from({ length }, () =>
          b.storage === 'i32' ? Math.floor(next() * 2) : Math.floor(next() * 7) - 3,
        );
        return [
          b.name,
          b.storage === 'f32'
            ? Float32Array.from(elements)
            : b.storage === 'i8'
              ? Int8Array.from(elements)
              : Int32Array.from(elements),
        ];
      }),
  );
}
