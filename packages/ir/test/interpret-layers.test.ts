/** Every standard layer, and layers of unusual form, against a slow evaluation that remembers nothing. */
import { describe, expect, it } from 'vitest';
import {
  type Computed,
  interpretLayer,
  type LayerArgs,
  type LayerIR,
  layerFromText,
  Sizes,
  standardLayer,
  standardLayerNames,
  traceLayer,
} from '../src/index.ts';
import { random } from './support/hand-ir.ts';
import { furthest, only } from './support/results.ts';
import { slowLayer } from './support/slow-layer.ts';

interface Case {
  readonly args: LayerArgs;
  readonly dims: Readonly<Record<string, number>>;
  /** The ids an i32 input may hold, exclusive. */
  readonly ids?: number;
}

/** Odd sizes throughout. A standard layer that isn't here fails the test. */
const cases: Readonly<Record<string, readonly Case[]>> = {
  add: [{ args: { dims: { D: 3 } }, dims: { T: 5 } }],
  add_norm: [{ args: { dims: { D: 5 } }, dims: { T: 3 } }],
  attention: [
    { args: { dims: { heads: 2, width: 3 } }, dims: { B: 2, S: 3 }, ids: 2 },
    {
      args: { dims: { heads: 1, width: 5 }, options: { causal: true }, without: ['scale'] },
      dims: { B: 1, S: 4 },
      ids: 2,
    },
  ],
  bert_embedding: [{ args: { dims: { V: 7, P: 5, K: 4, D: 3 } }, dims: { B: 3, S: 5 }, ids: 4 }],
  classification_head: [{ args: { dims: { D: 3, H: 5, C: 2 } }, dims: { B: 4 } }],
  embedding: [{ args: { dims: { V: 6, D: 3 } }, dims: { T: 7 }, ids: 6 }],
  ff: ['gelu', 'gelu_tanh', 'relu_squared', 'mish', 'silu', 'leaky_relu'].map((activation) => ({
    args: { dims: { D: 3, H: 5, O: 2 }, options: { activation } },
    dims: { T: 4 },
  })),
  fff: [
    { args: { dims: { D: 3, O: 5, trees: 3, depth: 3 } }, dims: { T: 9 } },
    { args: { dims: { D: 1, O: 1, trees: 1, depth: 0 }, options: { rule: 'ge', activation: 'relu' } }, dims: { T: 3 } },
    { args: { dims: { D: 4, O: 2, trees: 2, depth: 5 }, without: ['b1', 'threshold'] }, dims: { T: 0 } },
  ],
  first_token: [{ args: { dims: { D: 3 } }, dims: { B: 3, S: 2 } }],
  gated_ff: [{ args: { dims: { D: 3, H: 5, O: 2 } }, dims: { T: 4 } }],
  layer_norm: [{ args: { dims: { D: 5 } }, dims: { T: 3 } }],
  leaf_fff: [0, 3].map((depth) => ({ args: { dims: { D: 3, W: 2, O: 5, depth } }, dims: { T: 8 } })),
  linear: [{ args: { dims: { D: 3, O: 5 } }, dims: { T: 2 } }],
  masked_mean_pool: [{ args: { dims: { D: 3 } }, dims: { B: 3, S: 4 }, ids: 2 }],
  master_leaf_fff: [{ args: { dims: { D: 3, W: 2, M: 4, O: 5, depth: 2 } }, dims: { T: 6 } }],
  mean_pool: [{ args: { dims: { D: 3 } }, dims: { B: 2, S: 5 } }],
  mlm_head: [{ args: { dims: { D: 5, V: 7 } }, dims: { T: 3 } }],
  moe_top1: [{ args: { dims: { D: 3, E: 4, H: 5, O: 2 } }, dims: { T: 7 } }],
  packed_attention: [{ args: { dims: { heads: 3, width: 2 } }, dims: { B: 2, S: 3 }, ids: 2 }],
  residual_norm: [{ args: { dims: { D: 5 } }, dims: { T: 3 } }],
  rms_norm: [{ args: { dims: { D: 5 } }, dims: { T: 3 } }],
  rows: [{ args: { dims: { D: 3 } }, dims: { T: 4, N: 6 }, ids: 4 }],
  sinusoid_embedding: [{ args: { dims: { V: 6, P: 5, D: 4 } }, dims: { B: 2, S: 5 }, ids: 6 }],
};

function randomTensors(
  ir: LayerIR,
  dims: Readonly<Record<string, number>>,
  ids: number,
  seed: number,
): Record<string, Float32Array | Int32Array> {
  const next = random(seed);
  const sizes = new Map(Object.entries(dims));
  return Object.fromEntries(
    ir.tensors
      .filter((tensor) => tensor.role === 'input' || tensor.role === 'weight')
      .map((tensor) => {
        const length = Sizes.evaluate(Sizes.product(tensor.shape), sizes);
        const real = (): number => (next() < -0.9 ? 0 : next());
        const whole = (): number => Math.floor((next() + 1) * 0.5 * ids);
        return [
          tensor.name,
          tensor.storage === 'i32' ? Int32Array.from({ length }, whole) : Float32Array.from({ length }, real),
        ];
      }),
  );
}

function compare(
  ir: LayerIR,
  dims: Readonly<Record<string, number>>,
  ids: number,
  seed: number,
): Record<string, Computed> {
  const tensors = randomTensors(ir, dims, ids, seed);
  const expected = slowLayer(ir, dims, tensors);
  const runs = [ir, traceLayer(ir)].map((each) => interpretLayer(each, { dims, tensors, strict: each !== ir }));
  const bounded = interpretLayer(ir, { dims, tensors, bounds: true });
  for (const result of [...runs, bounded]) {
    for (const { target } of ir.statements) {
      expect([target, furthest(only(result, target), expected.get(target) ?? [])]).toEqual([target, 0]);
    }
  }
  return bounded;
}

describe('standard layers', () => {
  it('are all here', () => {
    expect(Object.keys(cases)).toEqual(standardLayerNames);
  });

  const all = Object.entries(cases).flatMap(([name, list]) => list.map((each) => ({ name, ...each })));
  it.each(all)('$name $args.dims $args.options over $dims', ({ name, args, dims, ids = 1 }) => {
    compare(standardLayer(name, args), dims, ids, name.length);
  });
});

describe('layers of unusual form', () => {
  const texts: Readonly<Record<string, string>> = {
    'a tree over what another tree computed': `layer twice(T) {
      input x[T, 3]
      weight a[7, 3], b[7, 5], c[7, 5]
      h[t, j] = descend n = 0 for 3 {
        s = sum i: x[t, i] * a[n, i]
        yield tanh(s) * b[n, j]
        n <- 2 * n + 1 + (s > 0)
      }
      output y[t] = descend m = 0 for 3 {
        s = sum j: h[t, j] * c[m, j]
        yield s
        m <- 2 * m + 1 + (s >= 0.1)
      }
    }`,
    'a walk inside a walk': `layer nested(T) {
      input x[T, 7]
      weight w[7, 7]
      output y[t, o in 2] = descend n = 0 for 3 {
        s = sum i: x[t, i] * w[n, i]
        yield s * (descend m = n for 2 {
          u = x[t, m % 7] * s
          yield u * w[m % 7, o]
          m <- (2 * m + 1 + (u > 0)) % 7
        })
        n <- 2 * n + 1 + (s > 0)
      }
    }`,
    'a walk of children by argmax': `layer wide(T) {
      input x[T, 4]
      weight w[13, 3, 4], v[40, 2]
      output y[t, o] = descend n = 0 for 3 {
        c = argmax j: sum i: x[t, i] * w[n % 13, j, i]
        yield v[n, o]
        n <- 3 * n + 1 + c
      }
    }`,
    'a value used in several loops and branches': `
    fn spread(v) = (sum j in 2: v * j) + (sum j in 3: v) + (if v > 0 then v else v * v)
    layer shared(T) {
      input x[T, 4]
      weight w[3, 4]
      output y[t, o] = spread(sum i: x[t, i] * w[o, i]) + spread(spread(max i: (x[t, i] + w[o, i])))
    }`,
    'a walk behind a condition': `layer guarded(T) {
      input x[T, 7]
      output y[t, o in 3] = if o > 0 then (descend n = 0 for 3 { yield x[t, n] * (o + 1)  n <- 2 * n + 1 + (x[t, n] > 0) }) else -1
    }`,
  };
  it.each(Object.entries(texts))('%s', (_name, text) => {
    for (const seed of [1, 2, 3]) compare(layerFromText(text), { T: 6 }, 1, seed);
  });

  it('bounds hold through a tree over what another tree computed', () => {
    const ir = layerFromText(texts['a tree over what another tree computed'] ?? '');
    let moved = 0;
    for (const seed of [1, 2, 3, 4]) {
      const tensors = randomTensors(ir, { T: 20 }, 1, seed);
      const [exact, single] = (['f64', 'f32'] as const).map((precision) =>
        interpretLayer(ir, { dims: { T: 20 }, tensors, bounds: true, precision }),
      );
      if (exact === undefined || single === undefined) throw new Error('two runs were made');
      expect(only(single, 'y.nodes')).toEqual(only(exact, 'y.nodes'));
      const [rounded, bounds] = [only(single, 'y.scores'), only(exact, 'y.bounds')];
      for (const [i, score] of only(exact, 'y.scores').entries()) {
        const difference = Math.abs(score - (rounded[i] ?? Number.NaN));
        expect(difference).toBeLessThanOrEqual(bounds[i] ?? 0);
        expect(bounds[i]).toBeLessThan(1e-4);
        moved += difference;
      }
    }
    expect(moved).toBeGreaterThan(0);
  });
});
