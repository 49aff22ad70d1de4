/**
 * Random tiny checkpoints of each family, in memory: the tensors and the config that the original program would save for a
 * given architecture. Written from the originals' constructors, not from the mapping under test.
 */
import type { CheckpointData, TensorView } from '../src/index.ts';

/** Numbers in [0, 1). */
export type Random = () => number;

/** A checkpoint whose parts a test may change before it is mapped. */
export interface Draft {
  readonly name: string;
  config: Record<string, unknown>;
  readonly tensors: Map<string, TensorView>;
}

/** A view of float32 numbers under a name. */
export function viewOf(name: string, shape: readonly number[], values: Float32Array): TensorView {
  return { name, dtype: 'F32', shape, bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) };
}

/** Weights that keep activations of order 1: ±√(3/fan-in), norms around 1. */
export function randomTensor(random: Random, name: string, shape: readonly number[]): TensorView {
  const count = shape.reduce((a, b) => a * b, 1);
  const isNorm = /(norm\w*|LayerNorm|norm_)\.(weight|gamma)$|learnable_scale$/.test(name);
  const fan = shape.length > 1 ? (shape.at(-1) as number) : 12;
  const values = Float32Array.from({ length: count }, () => {
    const centred = 2 * random() - 1;
    return isNorm ? 1 + 0.3 * centred : centred * Math.sqrt(3 / Math.max(1, fan));
  });
  return viewOf(name, shape, values);
}

/** The draft as `graphOf` takes it. */
export function checkpointOf(draft: Draft): CheckpointData {
  return { name: draft.name, config: draft.config, tensors: draft.tensors };
}

/** Sets a value deep in a config: `arch.embedding.vocab_size`. undefined removes it. */
export function configure(draft: Draft, path: string, value: unknown): Draft {
  const keys = path.split('.');
  let object = draft.config;
  for (const key of keys.slice(0, -1)) object = object[key] as Record<string, unknown>;
  const last = keys.at(-1) as string;
  if (value === undefined) delete object[last];
  else object[last] = value;
  return draft;
}

export interface BertOptions {
  readonly hidden?: number;
  readonly heads?: number;
  readonly layers?: number;
  readonly middle?: number;
  readonly vocabulary?: number;
  readonly positions?: number;
  readonly types?: number;
  readonly activation?: string;
  readonly eps?: number;
  readonly architecture?: 'BertModel' | 'BertForMaskedLM' | 'BertForPreTraining' | 'BertForSequenceClassification';
  readonly legacy?: boolean;
  readonly pooler?: boolean;
  readonly classes?: number;
  /** `stored`: the decoder is in the file, equal to the word embedding. `own`: another one. */
  readonly decoder?: 'absent' | 'stored' | 'own';
}

/** A Hugging Face BERT checkpoint. */
export function bertDraft(random: Random, options: BertOptions = {}): Draft {
  const { hidden = 12, heads = 3, layers = 2, middle = 20, vocabulary = 17, positions = 9, types = 2 } = options;
  const { architecture = 'BertModel', decoder = 'absent', classes = 3 } = options;
  const tensors = new Map<string, TensorView>();
  const add = (name: string, ...shape: number[]): void => {
    const [g, b] = options.legacy ? ['LayerNorm.gamma', 'LayerNorm.beta'] : ['LayerNorm.weight', 'LayerNorm.bias'];
    const spelled = name.replace('LayerNorm.weight', g as string).replace('LayerNorm.bias', b as string);
    tensors.set(spelled, randomTensor(random, spelled, shape));
  };
  const dense = (name: string, out: number, width: number): void => {
    add(`${name}.weight`, out, width);
    add(`${name}.bias`, out);
  };
  const norm = (name: string): void => {
    add(`${name}.LayerNorm.weight`, hidden);
    add(`${name}.LayerNorm.bias`, hidden);
  };
  const p = architecture === 'BertModel' ? '' : 'bert.';
  add(`${p}embeddings.word_embeddings.weight`, vocabulary, hidden);
  add(`${p}embeddings.position_embeddings.weight`, positions, hidden);
  add(`${p}embeddings.token_type_embeddings.weight`, types, hidden);
  norm(`${p}embeddings`);
  const ids = BigInt64Array.from({ length: positions }, (_, i) => BigInt(i));
  const idName = `${p}embeddings.position_ids`;
  tensors.set(idName, { name: idName, dtype: 'I64', shape: [1, positions], bytes: new Uint8Array(ids.buffer) });
  for (let i = 0; i < layers; i++) {
    const layer = `${p}encoder.layer.${i}`;
    for (const name of ['query', 'key', 'value']) dense(`${layer}.attention.self.${name}`, hidden, hidden);
    dense(`${layer}.attention.output.dense`, hidden, hidden);
    norm(`${layer}.attention.output`);
    dense(`${layer}.intermediate.dense`, middle, hidden);
    dense(`${layer}.output.dense`, hidden, middle);
    norm(`${layer}.output`);
  }
  const needsPooler = architecture === 'BertForPreTraining' || architecture === 'BertForSequenceClassification';
  if (needsPooler || (architecture === 'BertModel' && options.pooler !== false))
    dense(`${p}pooler.dense`, hidden, hidden);
  if (architecture === 'BertForMaskedLM' || architecture === 'BertForPreTraining') {
    add('cls.predictions.bias', vocabulary);
    dense('cls.predictions.transform.dense', hidden, hidden);
    norm('cls.predictions.transform');
    if (decoder === 'own') add('cls.predictions.decoder.weight', vocabulary, hidden);
    if (decoder === 'stored') {
      const copy = (to: string, from: string): void => {
        tensors.set(to, { ...(tensors.get(from) as TensorView), name: to });
      };
      copy('cls.predictions.decoder.weight', `${p}embeddings.word_embeddings.weight`);
      copy('cls.predictions.decoder.bias', 'cls.predictions.bias');
    }
  }
  if (architecture === 'BertForPreTraining') dense('cls.seq_relationship', 2, hidden);
  if (architecture === 'BertForSequenceClassification') dense('classifier', classes, hidden);
  const config = {
    architectures: [architecture],
    model_type: 'bert',
    hidden_act: options.activation ?? 'gelu',
    hidden_size: hidden,
    intermediate_size: middle,
    layer_norm_eps: options.eps ?? 1e-12,
    max_position_embeddings: positions,
    num_attention_heads: heads,
    num_hidden_layers: layers,
    pad_token_id: 0,
    position_embedding_type: 'absolute',
    type_vocab_size: types,
    vocab_size: vocabulary,
    ...(decoder === 'own' ? { tie_word_embeddings: false } : {}),
  };
  return { name: 'random-bert', config, tensors };
}

export interface CrammedOptions {
  readonly hidden?: number;
  readonly heads?: number;
  readonly layers?: number;
  readonly vocabulary?: number;
  readonly positions?: number;
  readonly block?:
    | { readonly type: 'ff'; readonly middle: number }
    | { readonly type: 'fff'; readonly trees: number; readonly depth: number };
  readonly nonlin?: string;
  readonly norm?: 'LayerNorm' | 'RMSNorm' | 'ScaleNorm';
  readonly scheme?: 'scaled-sinusoidal' | 'sinusoidal' | 'learned' | 'none';
  readonly bias?: boolean;
  readonly qkvBias?: boolean;
  readonly decoderBias?: boolean;
  readonly transform?: boolean;
  readonly finalNorm?: boolean;
  readonly embeddingNorm?: boolean;
  readonly projection?: boolean;
  readonly head?: 'none' | 'mlm' | 'classes';
  readonly storeDecoder?: boolean;
  readonly pooler?: 'avg' | 'zero_index' | 'max' | 'lse';
  readonly poolerDense?: boolean;
  readonly classes?: number;
}

/** A crammedBERT checkpoint. */
export function crammedDraft(random: Random, options: CrammedOptions = {}): Draft {
  const { hidden = 12, heads = 2, layers = 2, vocabulary = 19, positions = 10, head = 'mlm', classes = 3 } = options;
  const {
    block = { type: 'fff', trees: 2, depth: 2 },
    nonlin = 'GELU',
    norm = 'LayerNorm',
    scheme = 'scaled-sinusoidal',
  } = options;
  const { bias = false, qkvBias = false, decoderBias = false, transform = false, finalNorm = true } = options;
  const { embeddingNorm = true, projection = true, storeDecoder = true, pooler = 'avg', poolerDense = true } = options;
  const headWidth = poolerDense ? 7 : hidden;
  const tensors = new Map<string, TensorView>();
  const add = (name: string, ...shape: number[]): void => void tensors.set(name, randomTensor(random, name, shape));
  const dense = (name: string, out: number, width: number, biased: boolean): void => {
    add(`${name}.weight`, out, width);
    if (biased) add(`${name}.bias`, out);
  };
  const normed = (name: string): void => {
    if (norm === 'LayerNorm') {
      add(`${name}.weight`, hidden);
      add(`${name}.bias`, hidden);
    } else if (norm === 'RMSNorm') {
      add(`${name}.learnable_scale`, hidden);
    } else {
      add(`${name}.learnable_scale`);
    }
  };
  const p = head === 'none' ? '' : 'encoder.';
  add(`${p}embedding.word_embedding.weight`, vocabulary, hidden);
  if (scheme === 'scaled-sinusoidal') add(`${p}embedding.pos_embedding.scale_factor`, 1);
  if (scheme === 'learned') add(`${p}embedding.pos_embedding.embedding.weight`, positions, hidden);
  if (embeddingNorm) normed(`${p}embedding.norm`);
  const gated = nonlin.endsWith('glu');
  for (let i = 0; i < layers; i++) {
    const layer = `${p}layers.${i}`;
    normed(`${layer}.norm1`);
    normed(`${layer}.norm2`);
    const factor = `${layer}.attn.self_attention.norm_factor`;
    tensors.set(factor, viewOf(factor, [], Float32Array.of(1 / Math.sqrt(hidden / heads))));
    dense(`${layer}.attn.self_attention.query_key_value`, 3 * hidden, hidden, qkvBias);
    if (projection) dense(`${layer}.attn.dense`, hidden, hidden, bias);
    if (block.type === 'ff') {
      dense(`${layer}.ffn.dense_in`, block.middle, hidden, bias);
      dense(`${layer}.ffn.dense_out`, hidden, gated ? block.middle / 2 : block.middle, bias);
    } else {
      const neurons = block.trees * (2 ** (block.depth + 1) - 1);
      dense(`${layer}.ffn.linear_in`, neurons, hidden, true);
      dense(`${layer}.ffn.linear_out`, hidden, neurons, false);
    }
  }
  if (finalNorm) normed(`${p}final_norm`);
  if (head === 'mlm') {
    if (transform) {
      dense('prediction_head.dense', hidden, hidden, bias);
      normed('prediction_head.norm');
    }
    if (storeDecoder) {
      const word = tensors.get(`${p}embedding.word_embedding.weight`) as TensorView;
      tensors.set('decoder.weight', { ...word, name: 'decoder.weight' });
    }
    if (decoderBias) add('decoder.bias', vocabulary);
  }
  if (head === 'classes') {
    if (poolerDense) dense('pooler.dense', headWidth, hidden, true);
    dense('head', classes, headWidth, true);
  }
  const architecture = {
    none: 'ScriptableLM',
    mlm: 'ScriptableLMForPreTraining',
    classes: 'ScriptableLMForSequenceClassification',
  }[head];
  const arch = {
    architectures: ['ScriptableCrammedBERT'],
    attention: {
      causal_attention: false,
      num_attention_heads: heads,
      qkv_bias: qkvBias,
      rotary_embedding: false,
      sequence_op: 'torch-softmax',
      skip_output_projection: !projection,
      type: 'self-attention',
    },
    classification_head: { head_dim: headWidth, include_ff_layer: poolerDense, nonlin: 'Tanh', pooler },
    decoder_bias: decoderBias,
    embedding: {
      embedding_dim: hidden,
      max_seq_length: positions,
      normalization: embeddingNorm,
      pad_token_id: 0,
      pos_embedding: scheme === 'none' ? null : scheme,
      vocab_size: vocabulary,
    },
    final_norm: finalNorm,
    hidden_size: hidden,
    ...(block.type === 'fff' ? { intermed_depth: block.depth } : {}),
    intermed_size: block.type === 'fff' ? block.trees : block.middle,
    intermed_type: block.type,
    nonlin,
    norm,
    norm_eps: 1e-12,
    norm_scheme: 'pre',
    num_transformer_layers: layers,
    skip_head_transform: !transform,
    tie_weights: true,
    use_bias: bias,
  };
  return {
    name: 'random-crammed',
    config: { arch, architectures: [architecture], model_type: 'crammedBERT' },
    tensors,
  };
}
