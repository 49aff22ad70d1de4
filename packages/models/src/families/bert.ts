/**
 * Hugging Face BERT (`model_type` "bert"): post-norm encoder, learned positions, token types, biases everywhere.
 *
 * Written against `modeling_bert.py` of transformers 4.26.1. Names in the file may carry the prefix "bert." (head classes do,
 * BertModel does not) and, in the first published checkpoints, say LayerNorm.gamma and LayerNorm.beta.
 */
import { Sizes } from '@espalier/ir';
import { B, type GraphBuilder, graphBuilder, S } from '../graphs/builder.ts';
import { MASK_VALUE } from '../graphs/encoder.ts';
import { huggingFaceActivation } from './activations.ts';
import { type ConfigSection, labelsOf, layerCount, shown } from './config.ts';
import { type CheckpointData, chosenOutputs, type GraphOptions, type Model, type Task } from './model.ts';
import {
  ASKED_POSITIONS,
  addNorm,
  askedRows,
  EACH_SEQUENCE,
  EVERY_POSITION,
  feedforward,
  firstToken,
  linear,
  type NormKind,
  norm,
  type Site,
  sentenceEmbedding,
  states,
} from './pieces.ts';
import { type Extent, extent, type Naming, type WeightBook, weightBook } from './weights.ts';

/** The tasks that the head classes of transformers stand for. */
const TASK_OF: Readonly<Record<string, Task>> = {
  BertModel: 'encoder',
  BertForMaskedLM: 'masked-lm',
  BertForPreTraining: 'pretraining',
  BertForSequenceClassification: 'classification',
};

interface Shape {
  readonly hidden: Extent;
  readonly vocabulary: Extent;
  readonly positions: Extent;
  readonly types: Extent;
  readonly middle: Extent;
  readonly layers: number;
  readonly heads: number;
  readonly activation: string;
  readonly norm: NormKind;
}

/**
 * Maps a BERT checkpoint to a model.
 *
 * @throws CheckpointError M101…M109
 */
export function bertModel(checkpoint: CheckpointData, config: ConfigSection, options: GraphOptions): Model {
  const shape = readShape(config);
  const book = weightBook(checkpoint.tensors, namingOf(checkpoint), checkpoint.name);
  const task = chooseTask(config, book, options.task);
  const mlmPositions = options.mlmPositions ?? 'all';
  const hasHead = task === 'masked-lm' || task === 'pretraining';
  const asked = hasHead && mlmPositions === 'asked';
  const site: Site = { graph: graphBuilder(checkpoint.name, asked ? ['B', 'S', 'P'] : ['B', 'S']), book };
  declareInputs(site.graph);

  const named = new Map<string, string>();
  const last = encoder(site, shape, named);
  named.set('last_hidden_state', last);
  let labels: readonly string[] | undefined;
  if (hasHead) named.set('logits', maskedLanguageHead(site, shape, config, last, asked));
  if (task === 'sentence-embedding') {
    const step = { id: 'pooling', from: last, to: 'sentence_embedding', width: shape.hidden };
    named.set('sentence_embedding', sentenceEmbedding(site, step));
  }
  const hasPooler = book.has('pooler.dense.weight') || book.has('pooler.dense.bias');
  if (task === 'classification' || task === 'pretraining' || (task === 'encoder' && hasPooler)) {
    named.set('pooler_output', pooler(site, shape, last));
  }
  if (task === 'pretraining') {
    const out = extent(2, 'the two answers of next-sentence prediction');
    named.set('seq_relationship_logits', scores(site, shape, 'cls.seq_relationship', 'seq_relationship_logits', out));
  }
  if (task === 'classification') {
    const stored = book.shapeOf('classifier.weight');
    if (stored === undefined) throw noHead(book, task, 'classifier.weight');
    const classes = stored[0] ?? 1;
    labels = labelsOf(config, classes);
    named.set('logits', scores(site, shape, 'classifier', 'logits', extent(classes, 'number of classes')));
  }

  book.ignore(/^embeddings\.position_ids$/);
  book.ignore(/^embeddings\.token_type_ids$/);
  if (!hasPooler || !named.has('pooler_output')) book.ignore(/^pooler\.dense\.(weight|bias)$/);
  if (!hasHead) book.ignore(/^cls\.predictions\./);
  if (task !== 'pretraining') book.ignore(/^cls\.seq_relationship\.(weight|bias)$/);
  if (task !== 'classification') book.ignore(/^classifier\.(weight|bias)$/);
  if (task === 'encoder' || task === 'sentence-embedding') book.ignore(/^qa_outputs\.(weight|bias)$/);
  const weights = book.settle();
  return {
    name: checkpoint.name,
    family: 'bert',
    task,
    graph: site.graph.finish(chosenOutputs(named, options.outputs), weights),
    hidden: shape.hidden.size,
    layers: shape.layers,
    heads: shape.heads,
    maxPositions: shape.positions.size,
    vocabulary: shape.vocabulary.size,
    tokenTypes: shape.types.size,
    padId: config.integer('pad_token_id', 0, 0),
    mlmPositions: asked ? 'asked' : 'all',
    ...(labels === undefined ? {} : { labels }),
    outputs: named,
    treeNodes: [],
    ignored: book.ignored(),
  };
}

function readShape(config: ConfigSection): Shape {
  const position = config.text('position_embedding_type', 'absolute');
  if (position !== 'absolute') {
    throw config.error('M102', 'position_embedding_type', `is ${shown(position)}; only "absolute" is supported`);
  }
  for (const key of ['is_decoder', 'add_cross_attention']) {
    if (config.flag(key, false)) throw config.error('M102', key, 'is true; only encoders are supported');
  }
  const pruned = config.raw('pruned_heads');
  if (pruned !== undefined && Object.keys(pruned as object).length > 0) {
    throw config.error('M102', 'pruned_heads', 'is not empty; pruned attention heads are not supported');
  }
  const of = (key: string, least: number, fallback: number): Extent =>
    extent(config.integer(key, least, fallback), key);
  const hidden = of('hidden_size', 1, 768);
  const heads = config.integer('num_attention_heads', 1, 12);
  if (hidden.size % heads !== 0) {
    throw config.error('M101', 'num_attention_heads', `is ${heads}, which does not divide hidden_size, ${hidden.size}`);
  }
  return {
    hidden,
    heads,
    vocabulary: of('vocab_size', 1, 30522),
    positions: of('max_position_embeddings', 1, 512),
    types: of('type_vocab_size', 1, 2),
    middle: of('intermediate_size', 1, 3072),
    layers: layerCount(config, 'num_hidden_layers', 12),
    activation: huggingFaceActivation(config, 'hidden_act', 'gelu'),
    norm: { kind: 'layer', eps: config.positive('layer_norm_eps', 1e-12) },
  };
}

/** Strips "bert." and modernises gamma and beta; in messages, names are spelled as this file would. */
function namingOf(checkpoint: CheckpointData): Naming {
  const names = [...checkpoint.tensors.keys()];
  const prefixed = names.some((name) => name.startsWith('bert.'));
  const legacy = names.some((name) => name.endsWith('LayerNorm.gamma'));
  return {
    canonical: (name) =>
      name
        .replace(/^bert\./, '')
        .replace(/LayerNorm\.gamma$/, 'LayerNorm.weight')
        .replace(/LayerNorm\.beta$/, 'LayerNorm.bias'),
    spelled(canonical) {
      const old = legacy
        ? canonical.replace(/LayerNorm\.weight$/, 'LayerNorm.gamma').replace(/LayerNorm\.bias$/, 'LayerNorm.beta')
        : canonical;
      return prefixed && /^(embeddings|encoder|pooler)\./.test(old) ? `bert.${old}` : old;
    },
  };
}

function chooseTask(config: ConfigSection, book: WeightBook, override: GraphOptions['task']): Task {
  if (override !== undefined) return override === 'embedding' ? 'sentence-embedding' : override;
  const architectures = config.raw('architectures');
  if (architectures === undefined) {
    if (book.has('classifier.weight')) return 'classification';
    if (book.has('cls.seq_relationship.weight')) return 'pretraining';
    return book.has('cls.predictions.bias') ? 'masked-lm' : 'encoder';
  }
  const name: unknown = Array.isArray(architectures) ? architectures[0] : architectures;
  const task = typeof name === 'string' && Object.hasOwn(TASK_OF, name) ? TASK_OF[name] : undefined;
  if (task !== undefined) return task;
  const hint = `Supported are ${Object.keys(TASK_OF).join(', ')}; with the option task: "encoder" the body alone can be used.`;
  throw config.error('M102', 'architectures', `names ${shown(name)}, whose head is not supported`, hint);
}

function declareInputs(graph: GraphBuilder): void {
  for (const name of ['input_ids', 'attention_mask', 'token_type_ids']) graph.input(name, 'i32', [B, S]);
}

/** Embeddings and layers; answers the last hidden state's tensor and enters the names of reference data into `named`. */
function encoder(site: Site, shape: Shape, named: Map<string, string>): string {
  const { graph, book } = site;
  const { hidden, vocabulary, positions, types } = shape;
  const rows = EVERY_POSITION;
  const stateName = (i: number): string => (i === shape.layers ? 'last_hidden_state' : `hidden_states.${i}`);
  const embedded = graph.node({
    id: 'embeddings',
    layer: 'bert_embedding',
    fixed: { V: vocabulary.size, P: positions.size, K: types.size, D: hidden.size },
    dims: { B, S },
    inputs: { ids: 'input_ids', types: 'token_type_ids' },
    weights: {
      word: book.take('embeddings.word_embeddings.weight', [vocabulary, hidden]),
      position: book.take('embeddings.position_embeddings.weight', [positions, hidden]),
      kind: book.take('embeddings.token_type_embeddings.weight', [types, hidden]),
    },
    output: { name: 'embeddings.sum', shape: states(hidden.size) },
  });
  const normed = (id: string, from: string, to: string, prefix: string): string =>
    norm(site, { id, from, to, rows, width: hidden, norm: shape.norm, prefix });
  let state = normed('embeddings.norm', embedded, stateName(0), 'embeddings.LayerNorm');
  named.set('hidden_states.0', state);
  for (let i = 0; i < shape.layers; i++) {
    const stored = `encoder.layer.${i}`;
    const ending = (id: string, from: string, skip: string, to: string, prefix: string): string =>
      addNorm(site, { id, from, skip, to, rows, width: hidden, norm: shape.norm, prefix });
    const middle = ending(
      `layers.${i}.attention.norm`,
      attention(site, shape, i, state),
      state,
      `ffn.${i}.input`,
      `${stored}.attention.output.LayerNorm`,
    );
    const fed = feedforward(site, {
      id: `layers.${i}.ffn`,
      from: middle,
      to: `ffn.${i}.output`,
      width: hidden,
      middle: shape.middle,
      activation: shape.activation,
      into: `${stored}.intermediate.dense`,
      outof: `${stored}.output.dense`,
      bias: true,
    });
    state = ending(`layers.${i}.norm`, fed, middle, stateName(i + 1), `${stored}.output.LayerNorm`);
    named.set(`ffn.${i}.input`, middle);
    named.set(`ffn.${i}.output`, fed);
    named.set(`hidden_states.${i + 1}`, state);
  }
  return state;
}

/** Self-attention with its output projection, before the residual. */
function attention(site: Site, shape: Shape, i: number, state: string): string {
  const { hidden, heads } = shape;
  const id = `layers.${i}.attention`;
  const stored = `encoder.layer.${i}.attention`;
  const width = hidden.size / heads;
  const three = projections(site, `${stored}.self`, hidden, width);
  const qkv = site.graph.node({
    id: `${id}.qkv`,
    layer: 'linear',
    fixed: { D: hidden.size, O: 3 * hidden.size },
    dims: { T: EVERY_POSITION.count },
    inputs: { x: state },
    weights: three,
    output: { name: `${id}.qkv`, shape: states(3 * hidden.size) },
  });
  const context = site.graph.node({
    id: `${id}.self`,
    layer: 'packed_attention',
    fixed: { heads, width },
    options: { mask_value: MASK_VALUE },
    without: ['scale'],
    dims: { B, S },
    inputs: { qkv, mask: 'attention_mask' },
    output: { name: `${id}.context`, shape: states(hidden.size) },
  });
  return linear(site, {
    id: `${id}.output`,
    from: context,
    to: `${id}.output`,
    rows: EVERY_POSITION,
    width: hidden,
    out: hidden,
    weight: `${stored}.output.dense.weight`,
    bias: `${stored}.output.dense.bias`,
  });
}

/** Query, key and value as one product: for each head the `width` rows of its query, then of its key, then of its value. */
function projections({ book }: Site, prefix: string, hidden: Extent, width: number): { w: string; b: string } {
  const join = (kind: 'weight' | 'bias', row: readonly Extent[]): string => {
    const length = row.reduce((product, e) => product * e.size, 1);
    return book.takeTogether(
      ['query', 'key', 'value'].map((name) => `${prefix}.${name}.${kind}`),
      [hidden, ...row],
      { shape: [3 * hidden.size, ...row.map((e) => e.size)], data: (parts) => interleaved(parts, width * length) },
      `${prefix}.qkv.${kind}`,
    );
  };
  return { w: join('weight', [hidden]), b: join('bias', []) };
}

/** The first `run` numbers of each part, then the next ones of each, and so on. */
function interleaved(parts: readonly Float32Array[], run: number): Float32Array {
  const result = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.forEach((part, p) => {
    for (let from = 0; from < part.length; from += run)
      result.set(part.subarray(from, from + run), from * parts.length + p * run);
  });
  return result;
}

/** tanh(dense(first token)): [B, hidden]. */
function pooler(site: Site, { hidden }: Shape, last: string): string {
  const first = firstToken(site, { id: 'pooler.first', from: last, to: 'pooler.input', width: hidden });
  return linear(site, {
    id: 'pooler',
    from: first,
    to: 'pooler_output',
    rows: EACH_SEQUENCE,
    width: hidden,
    out: hidden,
    weight: 'pooler.dense.weight',
    bias: 'pooler.dense.bias',
    activation: 'tanh',
  });
}

/** One score a class from the pooler's output: [B, classes]. */
function scores(site: Site, { hidden }: Shape, prefix: string, to: string, out: Extent): string {
  return linear(site, {
    id: to,
    from: 'pooler_output',
    to,
    rows: EACH_SEQUENCE,
    width: hidden,
    out,
    weight: `${prefix}.weight`,
    bias: `${prefix}.bias`,
  });
}

/** Dense, activation, norm, then the decoder, which is the word embedding unless the config unties it. */
function maskedLanguageHead(site: Site, shape: Shape, config: ConfigSection, last: string, asked: boolean): string {
  const { graph, book } = site;
  const { hidden, vocabulary } = shape;
  const stored = 'cls.predictions';
  if (!book.has(`${stored}.transform.dense.weight`) && !book.has(`${stored}.bias`)) {
    throw noHead(book, 'masked-lm', `${stored}.bias`);
  }
  const from = asked ? askedRows(site, { id: 'head.rows', from: last, to: 'head.input', width: hidden }) : last;
  const rows = asked ? ASKED_POSITIONS : EVERY_POSITION;
  return graph.node({
    id: 'head',
    layer: 'mlm_head',
    fixed: { D: hidden.size, V: vocabulary.size },
    options: { activation: shape.activation, eps: shape.norm.eps },
    dims: { T: rows.count },
    inputs: { x: from },
    weights: {
      w: book.take(`${stored}.transform.dense.weight`, [hidden, hidden]),
      b: book.take(`${stored}.transform.dense.bias`, [hidden]),
      g: book.take(`${stored}.transform.LayerNorm.weight`, [hidden]),
      norm_b: book.take(`${stored}.transform.LayerNorm.bias`, [hidden]),
      decoder: decoderWeight(book, config, shape),
      decoder_b: decoderBias(book, vocabulary),
    },
    output: { name: 'logits', shape: asked ? rows.shape(vocabulary.size) : [B, S, Sizes.constant(vocabulary.size)] },
  });
}

/** The original ties after loading, so a decoder that differs would be lost silently there; here it is an error. */
function decoderWeight(book: WeightBook, config: ConfigSection, { vocabulary, hidden }: Shape): string {
  const [own, word] = ['cls.predictions.decoder.weight', 'embeddings.word_embeddings.weight'];
  if (!config.flag('tie_word_embeddings', true)) return book.take(own, [vocabulary, hidden]);
  if (!book.has(own)) return word;
  book.tie(
    own,
    word,
    [vocabulary, hidden],
    'Set "tie_word_embeddings": false in config.json if the decoder was trained on its own.',
  );
  return word;
}

/** `cls.predictions.bias`, which newer files repeat (or only have) as `decoder.bias`. */
function decoderBias(book: WeightBook, vocabulary: Extent): string {
  const [bias, copy] = ['cls.predictions.bias', 'cls.predictions.decoder.bias'];
  if (!book.has(copy)) return book.take(bias, [vocabulary]);
  if (!book.has(bias)) return book.take(copy, [vocabulary]);
  book.tie(copy, bias, [vocabulary]);
  return book.take(bias, [vocabulary]);
}

function noHead(book: WeightBook, task: Task, name: string): Error {
  return book.error(
    'M108',
    name,
    `is missing, so this checkpoint has no ${task} head`,
    'Choose task "encoder" or "embedding", or a checkpoint with that head.',
  );
}
