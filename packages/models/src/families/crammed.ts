/**
 * crammedBERT and UltraFastBERT (`model_type` "crammedBERT"): pre-norm encoder, sinusoidal positions, feedforward blocks that
 * are dense or trees of neurons.
 *
 * Written against `training/cramming/architectures/crammed_bert.py` and `components.py` of pbelcak/UltraFastBERT. The body's
 * tensors carry the prefix "encoder." in the head classes and none in ScriptableLM.
 */
import { Sizes } from '@espalier/ir';
import { B, type GraphBuilder, graphBuilder, S, TOKENS } from '../graphs/builder.ts';
import { type ConfigSection, labelsOf, shown } from './config.ts';
import { type Arch, readArch, readClassifier } from './crammed-config.ts';
import { classifier, maskedLanguageHead } from './crammed-heads.ts';
import {
  type CheckpointData,
  chosenOutputs,
  type GraphOptions,
  type Model,
  type Task,
  type TreeNode,
} from './model.ts';
import {
  addNorm,
  EVERY_POSITION,
  feedforward,
  linear,
  norm,
  residual,
  type Site,
  sentenceEmbedding,
  states,
  trees,
} from './pieces.ts';
import { sinusoidTable } from './sinusoid.ts';
import { type Extent, extent, type Naming, type WeightBook, weightBook } from './weights.ts';

/** The tasks that the original's classes stand for. */
const TASK_OF: Readonly<Record<string, Task>> = {
  ScriptableLM: 'encoder',
  ScriptableCrammedBERT: 'encoder',
  ScriptableLMForPreTraining: 'masked-lm',
  ScriptableLMForSCRIPTTraining: 'masked-lm',
  ScriptableLMForSequenceClassification: 'classification',
};

/**
 * Maps a crammedBERT checkpoint to a model. `logits` of the masked language model are flattened, [B·S, V], as the original's.
 *
 * @throws CheckpointError M101…M109
 */
export function crammedModel(checkpoint: CheckpointData, config: ConfigSection, options: GraphOptions): Model {
  const arch = readArch(config);
  const book = weightBook(checkpoint.tensors, namingOf(checkpoint), checkpoint.name);
  const task = chooseTask(config, book, options.task);
  const asked = task === 'masked-lm' && options.mlmPositions === 'asked';
  const site: Site = { graph: graphBuilder(checkpoint.name, asked ? ['B', 'S', 'P'] : ['B', 'S']), book };
  for (const name of ['input_ids', 'attention_mask']) site.graph.input(name, 'i32', [B, S]);

  const named = new Map<string, string>();
  const treeNodes: TreeNode[] = [];
  const last = encoder(site, arch, named, treeNodes);
  named.set('last_hidden_state', last);
  let labels: readonly string[] | undefined;
  switch (task) {
    case 'encoder':
      break;
    case 'pretraining':
      throw config.error(
        'M108',
        'architectures',
        'is of crammedBERT, which has no next-sentence head',
        'Choose task "masked-lm".',
      );
    case 'masked-lm': {
      // The SCRIPT objective's class builds the transform whatever the config says.
      const transform = arch.headTransform || architecture(config) === 'ScriptableLMForSCRIPTTraining';
      named.set('logits', maskedLanguageHead(site, arch, last, { asked, transform }));
      break;
    }
    case 'classification': {
      const stored = book.shapeOf('head.weight');
      if (stored === undefined) {
        const hint = 'Choose task "encoder" or "masked-lm", or a fine-tuned checkpoint.';
        throw book.error('M108', 'head.weight', 'is missing, so this checkpoint has no classification head', hint);
      }
      const classes = stored[0] ?? 1;
      labels = labelsOf(config, classes);
      const head = readClassifier(config, arch.hidden);
      named.set('logits', classifier(site, arch, head, last, extent(classes, 'number of classes')));
      break;
    }
    case 'sentence-embedding': {
      const step = { id: 'pooling', from: last, to: 'sentence_embedding', width: arch.hidden };
      named.set('sentence_embedding', sentenceEmbedding(site, step));
      break;
    }
  }

  book.ignore(/^embedding\.pos_embedding\.position_ids$/);
  if (task !== 'masked-lm') book.ignore(/^(decoder\.(weight|bias)|prediction_head\..*)$/);
  if (task !== 'classification') book.ignore(/^(head|pooler\.dense)\.(weight|bias)$/);
  const weights = book.settle();
  return {
    name: checkpoint.name,
    family: 'crammed-bert',
    task,
    graph: site.graph.finish(chosenOutputs(named, options.outputs), weights),
    hidden: arch.hidden.size,
    layers: arch.layers,
    heads: arch.heads,
    maxPositions: arch.positions.size,
    vocabulary: arch.vocabulary.size,
    tokenTypes: 0,
    padId: arch.padId,
    mlmPositions: asked ? 'asked' : 'all',
    ...(labels === undefined ? {} : { labels }),
    outputs: named,
    treeNodes,
    ignored: book.ignored(),
  };
}

/** Strips "encoder." (and what torch.compile puts in front of names). */
function namingOf(checkpoint: CheckpointData): Naming {
  const strip = (name: string): string => name.replace(/^(_orig_mod\.|module\.)+/, '');
  const prefixed = [...checkpoint.tensors.keys()].some((name) => strip(name).startsWith('encoder.'));
  return {
    canonical: (name) => strip(name).replace(/^encoder\./, ''),
    spelled: (name) => (prefixed && /^(embedding|layers|final_norm)\./.test(name) ? `encoder.${name}` : name),
  };
}

function chooseTask(config: ConfigSection, book: WeightBook, override: GraphOptions['task']): Task {
  if (override !== undefined) return override === 'embedding' ? 'sentence-embedding' : override;
  const name = architecture(config);
  if (name === undefined) {
    if (book.has('head.weight')) return 'classification';
    return book.spelled('embedding.norm.weight').startsWith('encoder.') ? 'masked-lm' : 'encoder';
  }
  const task = typeof name === 'string' && Object.hasOwn(TASK_OF, name) ? TASK_OF[name] : undefined;
  if (task !== undefined) return task;
  const hint = `Supported are ${Object.keys(TASK_OF).join(', ')}; with the option task: "encoder" the body alone can be used.`;
  throw config.error('M102', 'architectures', `names ${shown(name)}, whose head is not supported`, hint);
}

/** The class that wrote the checkpoint; undefined when config.json doesn't say. */
function architecture(config: ConfigSection): unknown {
  const architectures = config.raw('architectures');
  return Array.isArray(architectures) ? architectures[0] : architectures;
}

/** Embedding, layers and final norm; answers the last hidden state's tensor. */
function encoder(site: Site, arch: Arch, named: Map<string, string>, treeNodes: TreeNode[]): string {
  const { hidden } = arch;
  const rows = EVERY_POSITION;
  const stateName = (i: number): string =>
    i === arch.layers && !arch.finalNorm ? 'last_hidden_state' : `hidden_states.${i}`;
  const common = { rows, width: hidden, norm: arch.norm };
  let state: string;
  if (arch.embeddingNorm) {
    const from = embedding(site, arch, 'embeddings.sum');
    state = norm(site, { ...common, id: 'embeddings.norm', from, to: stateName(0), prefix: 'embedding.norm' });
  } else {
    state = embedding(site, arch, stateName(0));
  }
  named.set('hidden_states.0', state);
  /** The norm of the state that layer i begins with; null where the last state goes as it is. */
  const normBefore = (i: number): { id: string; to: string; prefix: string } | null => {
    const id = `layers.${i}`;
    if (i < arch.layers) return { id: `${id}.attention.norm`, to: `${id}.attention.input`, prefix: `${id}.norm1` };
    return arch.finalNorm ? { id: 'final_norm', to: 'last_hidden_state', prefix: 'final_norm' } : null;
  };
  const first = normBefore(0);
  let read = first === null ? state : norm(site, { ...common, ...first, from: state });
  for (let i = 0; i < arch.layers; i++) {
    const id = `layers.${i}`;
    const middle = `${id}.middle`;
    const input = addNorm(site, {
      ...{ ...common, from: attention(site, arch, i, read), skip: state, sum: middle },
      ...{ id: `${id}.ffn.norm`, to: `ffn.${i}.input`, prefix: `${id}.norm2` },
    });
    const output = block(site, arch, i, input);
    if (arch.block.kind === 'fff') treeNodes.push({ layer: i, node: `${id}.ffn`, tensor: output });
    state = stateName(i + 1);
    const next = normBefore(i + 1);
    read =
      next === null
        ? residual(site, { id: `${id}.ffn.add`, from: output, skip: middle, to: state, width: hidden })
        : addNorm(site, { ...common, ...next, from: output, skip: middle, sum: state });
    named.set(`ffn.${i}.input`, input);
    named.set(`ffn.${i}.output`, output);
    named.set(`hidden_states.${i + 1}`, state);
  }
  return read;
}

/** Word embedding plus positions, before the norm. */
function embedding({ graph, book }: Site, arch: Arch, to: string): string {
  const { hidden, vocabulary, positions } = arch;
  const word = book.take('embedding.word_embedding.weight', [vocabulary, hidden]);
  const output = { name: to, shape: states(hidden.size) };
  const inputs = { ids: 'input_ids' };
  if (arch.scheme === 'none') {
    const fixed = { V: vocabulary.size, D: hidden.size };
    return graph.node({
      id: 'embeddings',
      layer: 'embedding',
      fixed,
      dims: { T: TOKENS },
      inputs,
      weights: { table: word },
      output,
    });
  }
  const table = [positions.size, hidden.size];
  const learned = 'embedding.pos_embedding.embedding.weight';
  const one: Extent = extent(1, '1');
  return graph.node({
    id: 'embeddings',
    layer: 'sinusoid_embedding',
    fixed: { V: vocabulary.size, P: positions.size, D: hidden.size },
    dims: { B, S },
    inputs,
    weights: {
      word,
      sinusoid:
        arch.scheme === 'learned'
          ? book.take(learned, [positions, hidden])
          : book.add('embedding.pos_embedding.pe', table, () => sinusoidTable(positions.size, hidden.size)),
      scale:
        arch.scheme === 'scaled-sinusoidal'
          ? book.take('embedding.pos_embedding.scale_factor', [one])
          : book.add('embedding.pos_embedding.one', [1], () => Float32Array.of(1)),
    },
    output,
  });
}

/** Self-attention with its output projection. */
function attention(site: Site, arch: Arch, i: number, from: string): string {
  const { hidden, heads } = arch;
  const id = `layers.${i}.attention`;
  const stored = `layers.${i}.attn`;
  const qkv = linear(site, {
    id: `${id}.qkv`,
    from,
    to: `${id}.qkv`,
    rows: EVERY_POSITION,
    width: hidden,
    out: extent(3 * hidden.size, '3·hidden_size'),
    weight: `${stored}.self_attention.query_key_value.weight`,
    bias: arch.qkvBias ? `${stored}.self_attention.query_key_value.bias` : undefined,
  });
  const width = hidden.size / heads;
  const context = site.graph.node({
    id: `${id}.self`,
    layer: 'packed_attention',
    fixed: { heads, width },
    dims: { B, S },
    inputs: { qkv, mask: 'attention_mask' },
    weights: { scale: site.book.take(`${stored}.self_attention.norm_factor`, [], { shape: [1] }) },
    output: { name: `${id}.context`, shape: states(hidden.size) },
  });
  if (!arch.projection) return context;
  return linear(site, {
    id: `${id}.output`,
    from: context,
    to: `${id}.output`,
    rows: EVERY_POSITION,
    width: hidden,
    out: hidden,
    weight: `${stored}.dense.weight`,
    bias: arch.bias ? `${stored}.dense.bias` : undefined,
  });
}

/** The feedforward block of layer i. */
function block(site: Site, arch: Arch, i: number, from: string): string {
  const step = { id: `layers.${i}.ffn`, from, to: `ffn.${i}.output`, width: arch.hidden, activation: arch.activation };
  const stored = `layers.${i}.ffn`;
  const kind = arch.block;
  if (kind.kind === 'fff') return trees(site, { ...step, trees: kind.trees, depth: kind.depth, prefix: stored });
  const dense = { into: `${stored}.dense_in`, outof: `${stored}.dense_out`, bias: arch.bias };
  if (kind.kind === 'ff') return feedforward(site, { ...step, ...dense, middle: kind.middle });
  return gatedFeedforward(site.graph, site.book, { ...step, ...dense, middle: kind.middle });
}

interface GatedSpec {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly width: Extent;
  readonly middle: Extent;
  readonly activation: string;
  readonly into: string;
  readonly outof: string;
  readonly bias: boolean;
}

/** The first half of the rows of `dense_in` is multiplied with activation(second half), as the original's GLU does. */
function gatedFeedforward(graph: GraphBuilder, book: WeightBook, spec: GatedSpec): string {
  const { width, middle, into, outof } = spec;
  const half: Extent = { size: middle.size / 2, from: `${middle.from}/2` };
  const part = (which: 0 | 1, row: number) => (data: Float32Array) =>
    data.slice(which * half.size * row, (which + 1) * half.size * row);
  const matrix = (which: 0 | 1, as: string): string =>
    book.take(
      `${into}.weight`,
      [middle, width],
      { shape: [half.size, width.size], data: part(which, width.size) },
      `${into}.${as}.weight`,
    );
  const vector = (which: 0 | 1, as: string): string =>
    book.take(`${into}.bias`, [middle], { shape: [half.size], data: part(which, 1) }, `${into}.${as}.bias`);
  return graph.node({
    id: spec.id,
    layer: 'gated_ff',
    fixed: { D: width.size, H: half.size, O: width.size },
    options: { activation: spec.activation },
    without: spec.bias ? [] : ['gate_b', 'up_b', 'down_b'],
    dims: { T: Sizes.multiply(B, S) },
    inputs: { x: spec.from },
    weights: {
      up: matrix(0, 'up'),
      gate: matrix(1, 'gate'),
      down: book.take(`${outof}.weight`, [width, half]),
      ...(spec.bias
        ? { up_b: vector(0, 'up'), gate_b: vector(1, 'gate'), down_b: book.take(`${outof}.bias`, [width]) }
        : {}),
    },
    output: { name: spec.to, shape: states(width.size) },
  });
}
