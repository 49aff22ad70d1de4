/** Programs that went wrong once, as small as the shrinker left them, and what was wrong. */
import { wasm } from '@espalier/codegen';
import { layerFromText } from '@espalier/ir';
import { openWasmTarget } from '@espalier/runtime-wasm';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { checkLayer, randomTensors } from '../src/index.ts';

interface Regression {
  readonly what: string;
  readonly text: string;
  readonly dims?: Readonly<Record<string, number>>;
  readonly run?: Readonly<Record<string, number>>;
  readonly integers?: Readonly<Record<string, number>>;
}

const regressions: readonly Regression[] = [
  {
    what: 'a product inside a yield was torn out of the index it runs over',
    text: `layer a() {
  weight w[4, 4, 7], v[4, 9]
  output y[u in 1] = sum k in 4: (descend n = 0 for 3 { s2 = 0.5; yield (prod i in 9: w[k, k, n] * 0.5 * v[k, i]); n <- 0 })
}`,
  },
  {
    what: 'the score of a decision that stands in an index was not recorded',
    text: `layer a() {
  weight child[3, 2]: i32
  output y[s in 1] = (descend n = 0 for 2 { s2 = 0.5; n <- child[0, i32(s2 > 0.0)] } return n)
}`,
  },
  {
    what: 'a contraction whose epilogue gathers with a check was refused by its own schedule',
    text: `layer a(B) {
  weight w[7, B], at[B, B]: i32
  input x[B, B]
  output y[i in 1, t in B] = (sum u in 7: w[u, t]) + x[t, at[t, t]]
}`,
    dims: { B: 8 },
    integers: { at: 8 },
  },
  {
    what: 'an index that runs backwards made a base address below zero, which does not wrap',
    text: `layer a(C) {
  weight w[C]
  output y[k in C] = w[C - 1 - k]
}`,
    dims: { C: 18 },
  },
  {
    what: 'both branches of a choice were read, also the one that its condition guards',
    text: `layer a(T) {
  input x[T]
  output y[t in T] = if t >= 1000 then x[t - 1000] else 1.0
}`,
    run: { T: 7 },
  },
  {
    what: 'a load was moved out of the branch that guards it, and out of a loop that does not run',
    text: `layer a(T, N) {
  input x[T], z[N]
  output y[t in T] = sum k in 3: ((if t >= 1000000 then x[t - 1000000] else 1.0) + sum j in N: z[N - 1 + t * 0] * j)
}`,
    run: { T: 5, N: 0 },
  },
  {
    what: 'a walk taken once for all elements of a row was taken when there was none',
    text: `layer a(A) {
  input x[A]
  weight w[7]
  output y[s in 3, k in A] = (descend n = 0 for 3 { s2 = x[0] + w[n]; yield w[n]; n <- 2 * n + 1 + i32(s2 > 0) }) * k
}`,
    run: { A: 0 },
  },
  {
    what: 'the score of a choice between branches was taken from the branch that was not taken',
    text: `layer a(T, D) {
  input x[T, D]
  weight w[40, D], low[40], high[40], out[40, D]
  output y[t, o] = descend n = 0 for 4 {
    s = sum i: x[t, i] * w[n, i]
    yield s * out[n, o]
    n <- 3 * n + 1 + (if s > high[n] then 2 else (if s * 0.5 > low[n] then 1 else 0))
  }
}`,
    dims: { D: 11 },
    run: { T: 9 },
  },
  {
    what: 'a loop whose size comes out negative started its tail before the beginning',
    text: `layer a(T, D) {
  input x[T, D]
  weight w[D]
  output y[d in D] = w[d] + (sum i in T - 3: x[i + 1, d]) + (sum j in T - 5: x[j, 0])
}`,
    dims: { D: 9 },
    run: { T: 2 },
  },
];

describe.each(['wasm', 'wasm:plain'])('on %s', (spec) => {
  let device: Awaited<ReturnType<typeof openWasmTarget>>;
  beforeAll(async () => {
    device = await openWasmTarget(spec);
  });
  afterAll(() => device[Symbol.dispose]());
  const capabilities = { 'relaxed-simd': spec === 'wasm' };

  it.each(regressions.map((r) => [r.what, r] as const))('%s', async (_, { text, dims = {}, run = {}, integers }) => {
    const layer = layerFromText(text, { dims });
    await checkLayer(device, { target: wasm, capabilities }, layer, run, randomTensors(layer, run, 3, integers));
  });
});
