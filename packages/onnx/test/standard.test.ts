/** Every layer of the standard library, at odd sizes, against the interpreter. */
import { standardLayer, standardLayerNames, traceLayer } from '@espalier/ir';
import { describe, expect, it } from 'vitest';
import { compareLayer } from './reference.ts';

interface Case {
  /** Compile-time dims. */
  readonly fixed: Readonly<Record<string, number>>;
  /** Runtime dims, several settings. */
  readonly runtime: readonly Readonly<Record<string, number>>[];
  readonly options?: Readonly<Record<string, number | boolean | string>>[];
  /** Integer inputs are below this. */
  readonly most?: number;
}

const tokens = [{ T: 5 }, { T: 1 }, { T: 0 }];
const batches = [
  { B: 2, S: 5 },
  { B: 1, S: 1 },
  { B: 0, S: 3 },
  { B: 2, S: 0 },
];

const cases: Readonly<Record<string, Case>> = {
  add: { fixed: { D: 7 }, runtime: tokens },
  add_norm: { fixed: { D: 13 }, runtime: tokens },
  attention: {
    fixed: { heads: 3, width: 5 },
    runtime: batches,
    options: [{}, { causal: true }, { mask_value: -10000 }],
  },
  bert_embedding: { fixed: { V: 11, P: 9, K: 2, D: 7 }, runtime: batches },
  classification_head: { fixed: { D: 7, H: 5, C: 3 }, runtime: [{ B: 4 }, { B: 0 }] },
  embedding: { fixed: { V: 11, D: 7 }, runtime: tokens, most: 11 },
  ff: {
    fixed: { D: 7, H: 13, O: 5 },
    runtime: tokens,
    options: [
      {},
      ...['relu', 'relu_squared', 'leaky_relu', 'sigmoid', 'silu', 'softplus', 'mish', 'gelu_tanh', 'tanh'].map(
        (activation) => ({ activation }),
      ),
    ],
  },
  fff: {
    fixed: { D: 7, O: 5, trees: 3, depth: 3 },
    runtime: tokens,
    options: [{}, { rule: 'ge' }, { activation: 'relu_squared' }],
  },
  first_token: {
    fixed: { D: 7 },
    runtime: [
      { B: 3, S: 2 },
      { B: 0, S: 2 },
    ],
  },
  gated_ff: { fixed: { D: 7, H: 13, O: 5 }, runtime: tokens, options: [{}, { activation: 'sigmoid' }] },
  layer_norm: { fixed: { D: 13 }, runtime: tokens },
  leaf_fff: {
    fixed: { D: 7, W: 3, O: 5, depth: 3 },
    runtime: tokens,
    options: [{}, { rule: 'gt', activation: 'gelu' }],
  },
  linear: { fixed: { D: 7, O: 5 }, runtime: tokens },
  masked_mean_pool: { fixed: { D: 7 }, runtime: batches },
  master_leaf_fff: { fixed: { D: 7, W: 3, M: 5, O: 5, depth: 2 }, runtime: tokens },
  mean_pool: { fixed: { D: 7 }, runtime: batches },
  mlm_head: { fixed: { D: 7, V: 11 }, runtime: tokens },
  moe_top1: { fixed: { D: 7, E: 3, H: 5, O: 5 }, runtime: tokens },
  packed_attention: { fixed: { heads: 3, width: 5 }, runtime: batches, options: [{}, { causal: true }] },
  residual_norm: { fixed: { D: 13 }, runtime: tokens },
  rms_norm: { fixed: { D: 13 }, runtime: tokens },
  rows: {
    fixed: { D: 7 },
    runtime: [
      { T: 5, N: 3 },
      { T: 5, N: 0 },
      { T: 0, N: 0 },
    ],
    most: 5,
  },
  sinusoid_embedding: { fixed: { V: 11, P: 9, D: 7 }, runtime: batches, most: 11 },
};

describe('standard layers in ONNX Runtime', () => {
  it('has a case for every one', () => {
    expect(Object.keys(cases).sort()).toEqual([...standardLayerNames].sort());
  });

  for (const [name, { fixed, runtime, options = [{}], most = 2 }] of Object.entries(cases)) {
    for (const [i, choice] of options.entries()) {
      const title = [name, ...Object.values(choice)].join(' ');
      it.each(runtime)(`${title} %j`, async (dims) => {
        const layer = traceLayer(standardLayer(name, { dims: fixed, options: choice }));
        await compareLayer(layer, { dims, seed: name.length * 100 + i, most });
      });
    }
  }

  it.each(['fff', 'leaf_fff', 'master_leaf_fff'])('%s of depth 0', async (name) => {
    const fixed = { ...cases[name]?.fixed, depth: 0 };
    await compareLayer(traceLayer(standardLayer(name, { dims: fixed })), { dims: { T: 5 }, seed: 3 });
  });

  it('layers without their optional weights', async () => {
    const fixed = { D: 7, W: 3, O: 5, depth: 2 };
    const layer = standardLayer('leaf_fff', { dims: fixed, without: ['b2', 'node_b'] });
    await compareLayer(layer, { dims: { T: 5 }, seed: 4 });
  });

  it('weights stored in f16', async () => {
    const layer = standardLayer('fff', { dims: { D: 7, O: 5, trees: 2, depth: 3 }, storage: { w1: 'f16', w2: 'f16' } });
    await compareLayer(traceLayer(layer), { dims: { T: 5 }, seed: 5 });
  });

  it('ties at every node: padding rows and no bias', async () => {
    const layer = traceLayer(standardLayer('fff', { dims: { D: 7, O: 5, trees: 2, depth: 3 }, without: ['b1'] }));
    await compareLayer(layer, {
      dims: { T: 3 },
      seed: 6,
      data: { x: new Float32Array(21), threshold: new Float32Array(30) },
    });
  });
});
