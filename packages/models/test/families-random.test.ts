/**
 * Random tiny checkpoints of every family and option against a direct transcription of the originals: odd sizes, several
 * trees, depth 0, no layers, biases on and off, masks with holes and masks of zeros.
 */
import { checkGraph, interpretGraph } from '@espalier/ir';
import { describe, expect, test } from 'vitest';
import { checkInputs, type GraphOptions, graphOf, type Model, sinusoidTable } from '../src/index.ts';
import { type BertOptions, bertDraft, type CrammedOptions, checkpointOf, crammedDraft } from './families-generator.ts';
import { type Batch, bertReference, crammedReference, type Expected } from './families-reference.ts';
import { random } from './support.ts';

/** Two sequences: one with a hole in its mask, one whose mask is all zeros. */
function batchOf(next: () => number, sequence: number, vocabulary: number, types: number): Batch {
  const draw = (below: number): number => Math.floor(next() * below);
  const rows = [0, 1, 2];
  return {
    ids: rows.map(() => Array.from({ length: sequence }, () => draw(vocabulary))),
    types: rows.map(() => Array.from({ length: sequence }, () => draw(types))),
    mask: rows.map((n) => Array.from({ length: sequence }, (_, s) => (n === 0 ? 1 : n === 1 ? (s === 1 ? 0 : 1) : 0))),
  };
}

function run(model: Model, batch: Batch, positions?: readonly number[]): ReturnType<typeof interpretGraph> {
  const shape = { batch: batch.ids.length, sequence: batch.ids[0]?.length ?? 0 };
  const fed = checkInputs(model, shape, {
    input_ids: batch.ids.flat(),
    attention_mask: batch.mask.flat(),
    ...(model.tokenTypes > 0 ? { token_type_ids: batch.types.flat() } : {}),
    ...(positions === undefined ? {} : { positions }),
  });
  checkGraph(model.graph);
  return interpretGraph(model.graph, fed);
}

function expectClose(found: ArrayLike<number> | undefined, wanted: readonly number[] | undefined, name: string): void {
  expect(wanted, `the reference has ${name}`).toBeDefined();
  expect(found?.length, name).toBe(wanted?.length);
  const scale = Math.max(1, ...(wanted ?? []).map(Math.abs));
  const worst = Math.max(0, ...(wanted ?? []).map((w, i) => Math.abs(w - (found?.[i] ?? Number.NaN)) / scale));
  expect(worst, `${name}: greatest difference`).toBeLessThan(1e-12);
}

function compare(model: Model, batch: Batch, expected: Expected): void {
  const { tensors } = run(model, batch);
  expect(model.outputs.size).toBeGreaterThan(0);
  for (const [name, tensor] of model.outputs) expectClose(tensors.get(tensor), expected.get(name), name);
}

const BERT: Readonly<Record<string, BertOptions & GraphOptions & { readonly sequence?: number }>> = {
  BertModel: {},
  'BertModel without pooler, one head, one layer': { pooler: false, heads: 1, layers: 1 },
  'BertModel of width 1': { hidden: 1, heads: 1, middle: 1, sequence: 1 },
  'no layers': { layers: 0 },
  'odd sizes, relu, loose eps': { hidden: 15, heads: 5, middle: 7, activation: 'relu', eps: 1e-3, types: 3 },
  gelu_new: { activation: 'gelu_new', layers: 1 },
  gelu_pytorch_tanh: { activation: 'gelu_pytorch_tanh', layers: 1 },
  silu: { activation: 'silu', layers: 1 },
  swish: { activation: 'swish', layers: 1 },
  tanh: { activation: 'tanh', layers: 1 },
  mish: { activation: 'mish', layers: 1 },
  'masked language model': { architecture: 'BertForMaskedLM' },
  'masked language model, decoder stored twice': { architecture: 'BertForMaskedLM', decoder: 'stored' },
  'masked language model, decoder of its own': { architecture: 'BertForMaskedLM', decoder: 'own' },
  'pretraining, legacy names': { architecture: 'BertForPreTraining', legacy: true },
  'pretraining used as masked language model': { architecture: 'BertForPreTraining', task: 'masked-lm' },
  'pretraining used as encoder': { architecture: 'BertForPreTraining', task: 'encoder' },
  classification: { architecture: 'BertForSequenceClassification', classes: 5 },
  'classification into one class': { architecture: 'BertForSequenceClassification', classes: 1 },
  'sentence embedding': { task: 'embedding' },
  'sentence embedding from a masked language model': { architecture: 'BertForMaskedLM', task: 'embedding' },
};

describe('Hugging Face BERT', () => {
  for (const [name, options] of Object.entries(BERT)) {
    test(name, () => {
      const next = random(name.length * 7919 + 3);
      const draft = bertDraft(next, options);
      const batch = batchOf(next, options.sequence ?? 6, options.vocabulary ?? 17, options.types ?? 2);
      compare(graphOf(checkpointOf(draft), options), batch, bertReference(draft, options, batch));
    });
  }

  test('the head at asked positions gives the same rows, in the order asked, and repeated', () => {
    const next = random(11);
    const draft = bertDraft(next, { architecture: 'BertForMaskedLM' });
    const batch = batchOf(next, 6, 17, 2);
    const positions = [17, 0, 5, 5];
    const model = graphOf(checkpointOf(draft), { mlmPositions: 'asked' });
    const all = bertReference(draft, { architecture: 'BertForMaskedLM' }, batch).get('logits') ?? [];
    const wanted = positions.flatMap((at) => all.slice(at * 17, (at + 1) * 17));
    expectClose(run(model, batch, positions).tensors.get('logits'), wanted, 'logits');
    expect(run(model, batch, []).tensors.get('logits')).toHaveLength(0);
  });
});

const ff = (middle: number) => ({ type: 'ff', middle }) as const;
const fff = (trees: number, depth: number) => ({ type: 'fff', trees, depth }) as const;

const CRAMMED: Readonly<Record<string, CrammedOptions & GraphOptions & { readonly sequence?: number }>> = {
  'two trees of depth 2': {},
  'trees of depth 0': { block: fff(3, 0) },
  'one deep tree, relu': { block: fff(1, 5), nonlin: 'ReLU' },
  'dense, no biases': { block: ff(17) },
  'dense, all biases, transform': { block: ff(17), bias: true, qkvBias: true, decoderBias: true, transform: true },
  'transform without biases': { transform: true },
  SiLU: { block: ff(9), nonlin: 'SiLU', layers: 1 },
  Mish: { block: ff(9), nonlin: 'Mish', layers: 1 },
  Tanh: { block: ff(9), nonlin: 'Tanh', layers: 1 },
  'LeakyReLU trees': { nonlin: 'LeakyReLU', layers: 1 },
  'gated dense': { block: ff(18), nonlin: 'GELUglu' },
  'gated dense with biases, and a transform that is not gated': {
    block: ff(10),
    nonlin: 'SiLUglu',
    bias: true,
    transform: true,
  },
  'RMSNorm with transform': { norm: 'RMSNorm', transform: true, bias: true, decoderBias: true },
  'ScaleNorm with transform': { norm: 'ScaleNorm', transform: true },
  'unscaled sinusoid': { scheme: 'sinusoidal' },
  'learned positions, odd width': { scheme: 'learned', hidden: 9, heads: 3 },
  'no positions, odd width': { scheme: 'none', hidden: 5, heads: 1 },
  'no embedding norm, no final norm': { embeddingNorm: false, finalNorm: false },
  'no layers, no norms': { layers: 0, embeddingNorm: false, finalNorm: false },
  'no output projection': { projection: false },
  'one token': { sequence: 1 },
  'the decoder left out': { storeDecoder: false },
  'encoder alone': { head: 'none' },
  'encoder of a masked language model': { task: 'encoder', transform: true },
  'classification, mean': { head: 'classes', classes: 4 },
  'classification, first token': { head: 'classes', pooler: 'zero_index' },
  'classification, maximum': { head: 'classes', pooler: 'max' },
  'classification, log-sum-exp, one class': { head: 'classes', pooler: 'lse', classes: 1 },
  'classification without dense layer': { head: 'classes', poolerDense: false },
};

describe('crammedBERT', () => {
  for (const [name, options] of Object.entries(CRAMMED)) {
    test(name, () => {
      const next = random(name.length * 104729 + 5);
      const { hidden = 12, positions = 10 } = options;
      const draft = crammedDraft(next, options);
      const batch = batchOf(next, options.sequence ?? 6, options.vocabulary ?? 19, 1);
      const table = hidden % 2 === 0 ? sinusoidTable(positions, hidden) : new Float32Array(positions * hidden);
      const rows = Array.from({ length: positions }, (_, i) => [...table.subarray(i * hidden, (i + 1) * hidden)]);
      const model = graphOf(checkpointOf(draft), options);
      compare(model, batch, crammedReference(draft, options, batch, rows));
      expect(model.treeNodes).toHaveLength(options.block?.type === 'ff' ? 0 : model.layers);
    });
  }

  test('the head at asked positions, with and without transform', () => {
    for (const transform of [false, true]) {
      const next = random(transform ? 21 : 22);
      const draft = crammedDraft(next, { transform });
      const batch = batchOf(next, 4, 19, 1);
      const all = run(graphOf(checkpointOf(draft)), batch).tensors.get('logits') ?? [];
      const positions = [3, 9, 0];
      const wanted = positions.flatMap((at) => [...all.slice(at * 19, (at + 1) * 19)]);
      const asked = run(graphOf(checkpointOf(draft), { mlmPositions: 'asked' }), batch, positions);
      expectClose(asked.tensors.get('logits'), wanted, 'logits');
    }
  });
});

describe('the graph', () => {
  test('layers of equal specialisation are one object', () => {
    const { graph } = graphOf(checkpointOf(crammedDraft(random(1), { layers: 5 })));
    const layers = new Set(graph.nodes.map((node) => node.layer));
    // Embedding and first norm, five layers of six, the head's two.
    expect(graph.nodes).toHaveLength(2 + 5 * 6 + 2);
    expect([...layers].map((layer) => layer.name).sort()).toEqual(
      [
        ...['fff', 'layer_norm', 'linear', 'linear', 'linear', 'packed_attention', 'residual_norm'],
        'sinusoid_embedding',
      ].sort(),
    );
  });

  test('the tied decoder is one weight', () => {
    const { graph } = graphOf(
      checkpointOf(bertDraft(random(2), { architecture: 'BertForMaskedLM', decoder: 'stored' })),
    );
    const head = graph.nodes.find((node) => node.id === 'head');
    const embeddings = graph.nodes.find((node) => node.id === 'embeddings');
    expect(head?.weights.get('decoder')).toBe(embeddings?.weights.get('word'));
    expect([...graph.weights.keys()].filter((name) => name.includes('decoder'))).toEqual([]);
  });

  test('outputs are chosen: final, states (the default), all', () => {
    const draft = crammedDraft(random(3), { layers: 1 });
    const outputs = (choice?: 'final' | 'states' | 'all') =>
      graphOf(checkpointOf(draft), choice === undefined ? {} : { outputs: choice }).graph.outputs;
    expect(outputs('final')).toEqual(['last_hidden_state', 'logits']);
    expect(outputs()).toEqual(['hidden_states.0', 'hidden_states.1', 'last_hidden_state', 'logits']);
    expect(outputs('all')).toEqual([
      'hidden_states.0',
      'ffn.0.input',
      'ffn.0.output',
      'hidden_states.1',
      'last_hidden_state',
      'logits',
    ]);
  });

  test('half-precision weights are widened', () => {
    const draft = bertDraft(random(4), { layers: 1 });
    const name = 'encoder.layer.0.output.dense.bias';
    const halves = Uint16Array.from({ length: 12 }, (_, i) => 0x3c00 + i);
    draft.tensors.set(name, { name, dtype: 'F16', shape: [12], bytes: new Uint8Array(halves.buffer) });
    const weight = graphOf(checkpointOf(draft)).graph.weights.get(name);
    expect(weight?.storage).toBe('f32');
    expect([...(weight?.data ?? [])]).toEqual(Array.from({ length: 12 }, (_, i) => 1 + i / 1024));
  });
});
