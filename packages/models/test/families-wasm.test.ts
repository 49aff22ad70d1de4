/**
 * Random tiny checkpoints of every family on generated kernels, against the float64 interpreter: odd sizes reach the tails
 * that the golden cases' round widths never do.
 */
import { compileGraph, wasm } from '@espalier/codegen';
import { interpretGraph } from '@espalier/ir';
import { loadGraph } from '@espalier/runtime';
import { openWasmTarget, type WasmDevice } from '@espalier/runtime-wasm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkInputs, type GraphOptions, graphOf } from '../src/index.ts';
import { type BertOptions, bertDraft, type CrammedOptions, checkpointOf, crammedDraft } from './families-generator.ts';
import { random } from './support.ts';

const BERT: readonly BertOptions[] = [
  {},
  { hidden: 15, heads: 5, middle: 7, activation: 'relu', eps: 1e-3, types: 3 },
  { hidden: 21, heads: 3, middle: 67, activation: 'gelu_new', layers: 3 },
  { hidden: 1, heads: 1, middle: 1 },
  {
    hidden: 44,
    heads: 2,
    middle: 131,
    activation: 'silu',
    layers: 1,
    architecture: 'BertForMaskedLM',
    decoder: 'absent',
  },
  { hidden: 20, heads: 4, middle: 33, architecture: 'BertForSequenceClassification', classes: 3 },
];
const CRAMMED: readonly CrammedOptions[] = [
  {},
  { hidden: 18, heads: 3, block: { type: 'fff', trees: 1, depth: 5 } },
  { hidden: 30, heads: 2, layers: 3, block: { type: 'fff', trees: 3, depth: 2 } },
  { hidden: 70, heads: 7, layers: 1, block: { type: 'fff', trees: 5, depth: 0 }, nonlin: 'ReLU' },
  { hidden: 26, heads: 2, block: { type: 'ff', middle: 71 }, bias: true, qkvBias: true, head: 'classes', classes: 5 },
  { hidden: 12, heads: 1, norm: 'RMSNorm', scheme: 'learned', head: 'classes', pooler: 'max' },
];

describe.each(['wasm', 'wasm:plain', 'wasm:threads=2'])('on %s', (spec) => {
  let device: WasmDevice;
  beforeAll(async () => {
    device = await openWasmTarget(spec);
  });
  afterAll(() => device[Symbol.dispose]());

  const drafts = [
    ...BERT.map((options, i) => ({ name: `BERT ${i}`, draft: () => bertDraft(random(500 + i), options) })),
    ...CRAMMED.map((options, i) => ({ name: `crammed ${i}`, draft: () => crammedDraft(random(900 + i), options) })),
  ];
  test.each(drafts)('$name', async ({ draft }) => {
    const next = random(41);
    const options: GraphOptions = { outputs: 'all' };
    const model = graphOf(checkpointOf(draft()), options);
    const compiled = await compileGraph(model.graph, {
      target: wasm,
      capabilities: { 'relaxed-simd': !spec.includes('plain') },
    });
    using graph = await loadGraph(device, compiled, model.graph.weights);
    for (const [batch, sequence] of [
      [3, 7],
      [1, 1],
      [2, 9],
    ] as const) {
      const ids = Array.from({ length: batch * sequence }, () => Math.floor(next() * model.vocabulary));
      const mask = ids.map((_, i) => (i % 5 === 4 ? 0 : 1));
      const shape = { batch, sequence: Math.min(sequence, model.maxPositions) };
      const count = shape.batch * shape.sequence;
      const fed = checkInputs(model, shape, {
        input_ids: ids.slice(0, count),
        attention_mask: mask.slice(0, count),
        ...(model.tokenTypes > 0 ? { token_type_ids: ids.slice(0, count).map((id) => id % model.tokenTypes) } : {}),
      });
      const inputs = Object.fromEntries(
        Object.entries(fed.inputs).map(([name, data]) => [name, Int32Array.from(data)]),
      );
      const exact = interpretGraph(model.graph, fed).tensors;
      const rounded = interpretGraph(model.graph, { ...fed, precision: 'f32' }).tensors;
      const found = await graph.run({ inputs, dims: fed.dims });
      expect(model.outputs.size).toBeGreaterThan(1);
      for (const [name, tensor] of model.outputs) {
        const wanted = exact.get(tensor) as Float64Array;
        const plain = rounded.get(tensor) as Float64Array;
        const actual = found.get(tensor)?.data as Float32Array;
        expect(actual.length, name).toBe(wanted.length);
        const largest = wanted.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
        const loss = wanted.reduce((m, v, i) => Math.max(m, Math.abs(v - (plain[i] as number))), 0);
        const apart = wanted.reduce((m, v, i) => Math.max(m, Math.abs(v - (actual[i] as number))), 0);
        // Four times what plain float32 arithmetic loses on this very model.
        expect(apart, `${name}: apart from float64`).toBeLessThanOrEqual(4 * loss + 1e-6 * Math.max(1, largest));
      }
    }
  });
});
