/** Cases of a whole model: on golden data, on texts, or on random tokens where there is neither. */
import {
  type Checkpoint,
  checkInputs,
  feedText,
  type GraphOptions,
  graphOf,
  type Model,
  type Tokenizer,
} from '@espalier/models';
import { type WatchedTree, watchTrees } from '../compare/trees.ts';
import { UsageError } from '../errors.ts';
import type { Tensor } from '../numbers.ts';
import type { Case, Item, Subject } from './case.ts';
import { asRecord, type GoldenFile, required, tensorOf } from './golden-file.ts';

/** The graphs of one checkpoint: with the head at all positions, and where asked; each made when first needed. */
export interface ModelSubjects {
  readonly checkpoint: Checkpoint;
  subject(positions: NonNullable<GraphOptions['mlmPositions']>): Subject;
}

/** Prepares the graphs of a checkpoint. Throws what `graphOf` throws, when asked for a subject. */
export function modelSubjects(checkpoint: Checkpoint): ModelSubjects {
  const made = new Map<string, Subject>();
  return {
    checkpoint,
    subject(positions) {
      const known = made.get(positions);
      if (known !== undefined) return known;
      const model = graphOf(checkpoint, { outputs: 'all', mlmPositions: positions });
      const labels = new Map(model.treeNodes.map((tree) => [tree.node, `fff.${tree.layer}`]));
      const finals = finalNames(model).flatMap((name) => model.outputs.get(name) ?? []);
      const subject: Subject = {
        id: `${checkpoint.name}/${positions}`,
        graph: model.graph,
        watched: watchTrees(model.graph, labels),
        finals: [...new Set(finals.length > 0 ? finals : model.graph.outputs.slice(-1))],
        model,
      };
      made.set(positions, subject);
      return subject;
    },
  };
}

/** For people: what a model is. */
export function describeModel(model: Model): string {
  const family = model.family === 'bert' ? 'BERT' : model.treeNodes.length > 0 ? 'UltraFastBERT' : 'crammedBERT';
  const trees = model.treeNodes.length > 0 ? `, ${model.treeNodes.length} with trees of neurons` : '';
  return `${family}, ${model.task}, ${model.layers} layers of ${model.hidden}${trees}`;
}

function finalNames(model: Model): readonly string[] {
  switch (model.task) {
    case 'encoder':
      return ['last_hidden_state', 'pooler_output'];
    case 'masked-lm':
    case 'classification':
      return ['logits'];
    case 'sentence-embedding':
      return ['sentence_embedding'];
    case 'pretraining':
      return ['logits', 'pooler_output', 'seq_relationship_logits'];
  }
}

/** The items of a model, in the order its nodes compute them. */
function itemsOf(model: Model, rename: (name: string) => string): readonly Item[] {
  const order = new Map<string, number>();
  model.graph.nodes.forEach((node, i) => {
    for (const tensor of node.tensors.values()) if (!order.has(tensor)) order.set(tensor, i);
  });
  const finals = new Set(finalNames(model));
  return [...model.outputs]
    .filter(([, tensor]) => !model.graph.inputs.includes(tensor))
    .map(([name, tensor]): Item => {
      const scores = name.endsWith('logits');
      return { name: rename(name), tensor, final: finals.has(name) ? (scores ? 'scores' : 'vector') : null };
    })
    .sort((a, b) => writer(order, model, a) - writer(order, model, b));
}

const writer = (order: ReadonlyMap<string, number>, model: Model, item: Item): number => {
  const found = model.graph.nodes.findIndex((node) =>
    node.layer.tensors.some((decl) => decl.role === 'output' && node.tensors.get(decl.name) === item.tensor),
  );
  return found === -1 ? (order.get(item.tensor) ?? 0) : found;
};

/** A case from golden data of a model. Throws UsageError V003 when it is not of this model. */
export function goldenCase(subjects: ModelSubjects, golden: GoldenFile): Case {
  const asked = golden.tensors.has('mask_positions');
  const subject = subjects.subject(asked ? 'asked' : 'all');
  const model = subject.model as Model;
  const ids = required(golden, 'input_ids');
  const [batch = 1, sequence = ids.data.length] = ids.shape;
  const given: Record<string, ArrayLike<number>> = {};
  for (const name of model.graph.inputs) {
    const recorded = name === 'positions' ? 'mask_positions' : name;
    if (golden.tensors.has(recorded)) given[name] = required(golden, recorded).data;
  }
  const { inputs, dims } = checkInputs(model, { batch, sequence }, given);
  const rename = (name: string): string => (asked && name === 'logits' ? 'mask_logits' : name);
  const items = itemsOf(model, rename);
  const losses = asRecord(golden.record['max_abs_diff_f32_vs_f64']);
  const outputShapes = new Map<string, readonly number[]>();
  const [single, double] = [new Map<string, Tensor>(), new Map<string, Tensor>()];
  const lost = new Map<string, number>();
  for (const item of items) {
    const view = golden.tensors.get(item.name);
    const exact = golden.tensors.get(`${item.name}.f64`);
    if (view !== undefined) single.set(item.name, tensorOf(view));
    if (exact !== undefined) double.set(item.name, tensorOf(exact));
    if (view !== undefined) outputShapes.set(item.name, view.shape);
    const loss = losses[item.name] ?? losses[item.name.replace(/^mask_/, '')];
    if (typeof loss === 'number') lost.set(item.name, loss);
  }
  if (single.size === 0)
    throw new UsageError(
      'V003',
      `${golden.path} has none of this model's outputs`,
      'Is it golden data of this checkpoint?',
    );
  const routes = new Map<string, { nodes: Tensor; scores: Tensor }>();
  const used = new Set([
    'mask_positions',
    'pos_embedding.pe',
    ...model.graph.inputs,
    'token_type_ids',
    'attention_mask',
  ]);
  for (const { name } of items) used.add(name).add(`${name}.f64`);
  for (const tree of subject.watched.trees) {
    const nodes = golden.tensors.get(`${tree.label}.nodes`);
    const scores = golden.tensors.get(`${tree.label}.logits`);
    if (nodes === undefined || scores === undefined) continue;
    routes.set(tree.label, { nodes: tensorOf(nodes), scores: tensorOf(scores) });
    for (const word of ['nodes', 'logits', 'margin']) used.add(`${tree.label}.${word}`);
  }
  const uncompared = [...golden.tensors.keys()].filter((name) => !used.has(name));
  return {
    id: golden.variant,
    subject,
    title: `${batch} × ${sequence} tokens, golden data of the original program`,
    dims,
    inputs: shaped(inputs, batch, sequence),
    items,
    golden: { file: golden.path, single, double, routes, lost, uncompared },
    text: null,
    outputGroup: golden.variant,
    outputPrefix: '',
    outputShapes,
  };
}

function shaped(
  inputs: Readonly<Record<string, Int32Array>>,
  batch: number,
  sequence: number,
): ReadonlyMap<string, Tensor> {
  return new Map(
    Object.entries(inputs).map(([name, data]) => [
      name,
      { data, shape: data.length === batch * sequence && name !== 'positions' ? [batch, sequence] : [data.length] },
    ]),
  );
}

/** A case from texts. Throws UsageError V004 for texts that ask nothing of a masked language model, CheckpointError for others. */
export function textCase(subjects: ModelSubjects, tokenizer: Tokenizer, texts: readonly string[], id: string): Case {
  const encoding = tokenizer.encode(texts);
  const all = subjects.subject('all').model as Model;
  const masked = all.task === 'masked-lm' || all.task === 'pretraining';
  if (masked && !encoding.inputIds.includes(tokenizer.maskId ?? -1))
    throw new UsageError(
      'V004',
      `no text for ${subjects.checkpoint.name} holds ${tokenizer.maskToken}`,
      `It guesses words: write ${tokenizer.maskToken} where one is to be guessed.`,
    );
  const subject = subjects.subject(masked ? 'asked' : 'all');
  const model = subject.model as Model;
  const { inputs, dims } = feedText(model, encoding, tokenizer);
  const rename = (name: string): string => (masked && name === 'logits' ? 'mask_logits' : name);
  return {
    id,
    subject,
    title: `${encoding.batch} × ${encoding.sequence} tokens of text`,
    dims,
    inputs: shaped(inputs, encoding.batch, encoding.sequence),
    items: itemsOf(model, rename),
    golden: null,
    text: { texts, encoding, tokenizer },
    outputGroup: id,
    outputPrefix: '',
    outputShapes: new Map(),
  };
}

/** A case from seeded random tokens, two sequences of which the second is padded. */
export function randomCase(subjects: ModelSubjects): Case {
  const subject = subjects.subject('all');
  const model = subject.model as Model;
  const sequence = Math.min(24, model.maxPositions);
  const batch = 2;
  let state = 0x2545f491;
  const next = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const ids = Int32Array.from({ length: batch * sequence }, () => next(model.vocabulary));
  const mask = ids.map((_, i) => (i < sequence + Math.ceil(sequence * 0.6) ? 1 : 0));
  const { inputs, dims } = checkInputs(model, { batch, sequence }, { input_ids: ids, attention_mask: mask });
  return {
    id: 'random',
    subject,
    title: `${batch} × ${sequence} random tokens: neither golden data nor a tokenizer lies beside the model`,
    dims,
    inputs: shaped(inputs, batch, sequence),
    items: itemsOf(model, (name) => name),
    golden: null,
    text: null,
    outputGroup: 'random',
    outputPrefix: '',
    outputShapes: new Map(),
  };
}

/** Checks that recorded tensors have as many elements as the graph gives them. Throws UsageError V003. */
export function checkGolden(one: Case, countOf: (item: Item) => number, stepsOf: (tree: WatchedTree) => number): void {
  const { golden } = one;
  if (golden === null) return;
  const wrong = (name: string, found: number, wanted: number): UsageError =>
    new UsageError(
      'V003',
      `${golden.file}: ${name} has ${found} elements, the model computes ${wanted}`,
      'Is it golden data of this checkpoint?',
    );
  for (const item of one.items)
    for (const recorded of [golden.single.get(item.name), golden.double.get(item.name)])
      if (recorded !== undefined && recorded.data.length !== countOf(item))
        throw wrong(item.name, recorded.data.length, countOf(item));
  for (const tree of one.subject.watched.trees) {
    const recorded = golden.routes.get(tree.label);
    if (recorded === undefined) continue;
    for (const steps of [recorded.nodes, recorded.scores])
      if (steps.data.length !== stepsOf(tree)) throw wrong(`route ${tree.label}`, steps.data.length, stepsOf(tree));
  }
}
