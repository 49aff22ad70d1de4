/**
 * The `arch` object of a crammedBERT / UltraFastBERT config.json, read and checked: what of it changes the outputs, and
 * nothing else (dropout, initialisation and loss do not).
 *
 * The meaning of each option is that of `training/cramming/architectures/` of pbelcak/UltraFastBERT. Options that only other
 * versions of the program know, or that it has but this family does not, are refused by name.
 */
import { torchActivation } from './activations.ts';
import { type ConfigSection, layerCount, shown } from './config.ts';
import type { NormKind } from './pieces.ts';
import { type Extent, extent } from './weights.ts';

/** How positions enter the embedding. */
export type PositionScheme = 'scaled-sinusoidal' | 'sinusoidal' | 'learned' | 'none';

/** How a sequence becomes one vector for the classifier. */
export type PoolScheme = 'avg' | 'zero_index' | 'max' | 'lse';

/** The feedforward block: dense, gated dense, or trees of neurons. */
export type Block =
  | { readonly kind: 'ff' | 'gated'; readonly middle: Extent }
  | { readonly kind: 'fff'; readonly trees: Extent; readonly depth: number };

/** Everything in `arch` that the graph depends on. */
export interface Arch {
  readonly hidden: Extent;
  readonly vocabulary: Extent;
  readonly positions: Extent;
  readonly layers: number;
  readonly heads: number;
  readonly padId: number;
  readonly scheme: PositionScheme;
  readonly embeddingNorm: boolean;
  readonly norm: NormKind;
  readonly finalNorm: boolean;
  /** Biases of the attention projection, the dense block and the head transform. */
  readonly bias: boolean;
  readonly qkvBias: boolean;
  readonly projection: boolean;
  readonly activation: string;
  readonly block: Block;
  readonly headTransform: boolean;
  readonly decoderBias: boolean;
  readonly tied: boolean;
}

/** The classifier's options, read only when there is one. */
export interface ClassifierArch {
  readonly pool: PoolScheme;
  /** Absent: no dense layer, the activation is applied to the pooled vector itself. */
  readonly dense: boolean;
  readonly width: Extent;
  readonly activation: string;
}

/** A position table is computed from config.json alone, so its size is bounded here: 1 GiB. */
const MOST_NUMBERS = 2 ** 28;

/** Reads `arch`. Throws CheckpointError M101 for impossible values, M102 for unsupported ones. */
export function readArch(config: ConfigSection): Arch {
  const arch = config.section('arch');
  const embedding = arch.section('embedding');
  const attention = arch.section('attention');
  refuseUnsupported(arch, attention);
  const hidden = extent(arch.integer('hidden_size', 1), 'hidden_size');
  const heads = attention.integer('num_attention_heads', 1);
  if (hidden.size % heads !== 0) {
    throw attention.error(
      'M101',
      'num_attention_heads',
      `is ${heads}, which does not divide hidden_size, ${hidden.size}`,
    );
  }
  const width = embedding.integer('embedding_dim', 1, hidden.size);
  if (width !== hidden.size) {
    const detail = `is ${width}, but hidden_size is ${hidden.size}; the original adds them without a projection, so they must be equal`;
    throw embedding.error('M101', 'embedding_dim', detail);
  }
  const scheme = positionScheme(embedding);
  if (scheme.includes('sinusoidal') && hidden.size % 2 !== 0) {
    throw arch.error('M101', 'hidden_size', `is ${hidden.size}, but sinusoidal positions need an even width`);
  }
  const positions = extent(embedding.integer('max_seq_length', 1), 'embedding.max_seq_length');
  if (positions.size * hidden.size > MOST_NUMBERS) {
    throw embedding.error('M101', 'max_seq_length', `is ${positions.size}; a table of that length is impossible`);
  }
  const { activation, gated } = torchActivation(arch, 'nonlin');
  return {
    hidden,
    heads,
    scheme,
    activation,
    vocabulary: extent(embedding.integer('vocab_size', 1), 'embedding.vocab_size'),
    positions,
    layers: layerCount(arch, 'num_transformer_layers'),
    padId: embedding.integer('pad_token_id', 0, 0),
    embeddingNorm: embedding.flag('normalization', true),
    norm: normKind(arch),
    finalNorm: arch.flag('final_norm', true),
    bias: arch.flag('use_bias', false),
    qkvBias: attention.flag('qkv_bias', false),
    projection: !attention.flag('skip_output_projection', false),
    block: readBlock(arch, gated),
    headTransform: !arch.flag('skip_head_transform', true),
    decoderBias: arch.flag('decoder_bias', false),
    tied: arch.flag('tie_weights', true),
  };
}

function refuseUnsupported(arch: ConfigSection, attention: ConfigSection): void {
  const exactly = (section: ConfigSection, key: string, supported: string): void => {
    const found = section.text(key, supported);
    if (found !== supported) throw section.error('M102', key, `is ${shown(found)}; only "${supported}" is supported`);
  };
  exactly(arch, 'norm_scheme', 'pre');
  exactly(attention, 'type', 'self-attention');
  exactly(attention, 'sequence_op', 'torch-softmax');
  const rotary = attention.raw('rotary_embedding');
  if (rotary !== undefined && rotary !== false) {
    throw attention.error('M102', 'rotary_embedding', `is ${shown(rotary)}; rotary positions are not supported`);
  }
  if (attention.flag('causal_attention', false)) {
    throw attention.error('M102', 'causal_attention', 'is true; only attention over the whole sequence is supported');
  }
}

function positionScheme(embedding: ConfigSection): PositionScheme {
  const found = embedding.has('pos_embedding')
    ? embedding.text('pos_embedding', 'none')
    : embedding.text('pos_embedding');
  if (found === '') return 'none';
  if (found === 'scaled-sinusoidal' || found === 'sinusoidal' || found === 'learned' || found === 'none') return found;
  const hint = 'Supported: scaled-sinusoidal, sinusoidal, learned, none.';
  throw embedding.error('M102', 'pos_embedding', `is ${shown(found)}, which is not supported`, hint);
}

function normKind(arch: ConfigSection): NormKind {
  const name = arch.text('norm');
  const eps = arch.positive('norm_eps');
  if (name === 'LayerNorm' || name === 'ApexLayerNorm') return { kind: 'layer', eps };
  if (name === 'RMSNorm') return { kind: 'rms', eps };
  if (name === 'ScaleNorm') return { kind: 'scale', eps };
  const hint = 'Supported: LayerNorm, ApexLayerNorm, RMSNorm, ScaleNorm.';
  throw arch.error('M102', 'norm', `is ${shown(name)}, a normalisation that is not supported`, hint);
}

/** More levels than this are no layer but a mistake: 2^24 neurons of width 1 already are 64 MB. */
const DEEPEST = 24;

function readBlock(arch: ConfigSection, gated: boolean): Block {
  const type = arch.text('intermed_type', 'ff');
  const size = extent(arch.integer('intermed_size', 1), 'intermed_size');
  if (type === 'ff') {
    if (gated && size.size % 2 !== 0)
      throw arch.error('M101', 'intermed_size', `is ${size.size}; a gated block halves it`);
    return { kind: gated ? 'gated' : 'ff', middle: size };
  }
  if (type !== 'fff') {
    throw arch.error('M102', 'intermed_type', `is ${shown(type)}; supported are "ff" and "fff"`);
  }
  if (gated) throw arch.error('M102', 'nonlin', 'is gated, which a tree of neurons ("fff") cannot be');
  const depth = arch.integer('intermed_depth', 0);
  if (depth > DEEPEST) throw arch.error('M101', 'intermed_depth', `is ${depth}; at most ${DEEPEST} is possible`);
  return { kind: 'fff', trees: size, depth };
}

/** Reads `arch.classification_head`. Throws CheckpointError M101 and M102. */
export function readClassifier(config: ConfigSection, hidden: Extent): ClassifierArch {
  const head = config.section('arch').section('classification_head');
  const pool = head.text('pooler', 'avg');
  if (pool !== 'avg' && pool !== 'zero_index' && pool !== 'max' && pool !== 'lse') {
    const hint = 'Supported: avg, zero_index, max, lse.';
    throw head.error('M102', 'pooler', `is ${shown(pool)}, which is not supported`, hint);
  }
  const dense = head.flag('include_ff_layer', true);
  const width = extent(head.integer('head_dim', 1), 'classification_head.head_dim');
  if (!dense && width.size !== hidden.size) {
    const detail = `is ${width.size}, but without include_ff_layer it must be hidden_size, ${hidden.size}`;
    throw head.error('M101', 'head_dim', detail);
  }
  return { pool, dense, width, activation: torchActivation(head, 'nonlin').activation };
}
