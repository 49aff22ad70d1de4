/**
 * BERT and crammedBERT once more, straight from the originals' forward functions, in float64 on plain arrays: slow, without
 * graph, layers or interpreter. One sequence batch at a time; every hidden state is a list of rows.
 */
import { toFloat64 } from '../src/index.ts';
import type { BertOptions, CrammedOptions, Draft } from './families-generator.ts';

type Row = readonly number[];
type Rows = readonly Row[];
/** One batch: ids and masks by sequence. */
export interface Batch {
  readonly ids: readonly (readonly number[])[];
  readonly mask: readonly (readonly number[])[];
  readonly types: readonly (readonly number[])[];
}
/** Golden names → numbers, row-major. */
export type Expected = Map<string, number[]>;

const dot = (a: Row, b: Row): number => a.reduce((sum, x, i) => sum + x * (b[i] as number), 0);
const plus = (a: Row, b: Row): Row => a.map((x, i) => x + (b[i] as number));
const mean = (row: Row): number => row.reduce((a, b) => a + b, 0) / row.length;

/** Abramowitz & Stegun 7.1.5 for small, 7.1.14 (continued fraction) for large x; better than 1e-14. */
function erf(x: number): number {
  const a = Math.abs(x);
  if (a > 3) {
    let fraction = 0;
    for (let k = 60; k > 0; k--) fraction = k / 2 / (a + fraction);
    return Math.sign(x) * (1 - Math.exp(-a * a) / Math.sqrt(Math.PI) / (a + fraction));
  }
  let [term, sum] = [a, a];
  for (let n = 1; n < 120; n++) {
    term *= (-a * a) / n;
    sum += term / (2 * n + 1);
  }
  return (Math.sign(x) * 2 * sum) / Math.sqrt(Math.PI);
}

/** By the names of torch.nn and of Hugging Face. */
const ACTIVATIONS: Readonly<Record<string, (x: number) => number>> = {
  GELU: (x) => (x * (1 + erf(x / Math.SQRT2))) / 2,
  gelu: (x) => (x * (1 + erf(x / Math.SQRT2))) / 2,
  gelu_new: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  gelu_pytorch_tanh: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  ReLU: (x) => Math.max(0, x),
  relu: (x) => Math.max(0, x),
  SiLU: (x) => x / (1 + Math.exp(-x)),
  silu: (x) => x / (1 + Math.exp(-x)),
  swish: (x) => x / (1 + Math.exp(-x)),
  Mish: (x) => x * Math.tanh(Math.log1p(Math.exp(x))),
  mish: (x) => x * Math.tanh(Math.log1p(Math.exp(x))),
  Tanh: Math.tanh,
  tanh: Math.tanh,
  Sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  LeakyReLU: (x) => (x > 0 ? x : 0.01 * x),
};

/** Named access to a checkpoint's tensors as rows. */
function reader(draft: Draft): { matrix(name: string): Rows; vector(name: string): Row; has(name: string): boolean } {
  const values = (name: string): { readonly data: Float64Array; readonly width: number } => {
    const view = draft.tensors.get(name);
    if (view === undefined) throw new Error(`the generator made no ${name}`);
    return { data: toFloat64(view), width: view.shape.at(-1) ?? 1 };
  };
  return {
    has: (name) => draft.tensors.has(name),
    vector: (name) => [...values(name).data],
    matrix(name) {
      const { data, width } = values(name);
      return Array.from({ length: data.length / width }, (_, i) => [...data.subarray(i * width, (i + 1) * width)]);
    },
  };
}

type Reader = ReturnType<typeof reader>;

function dense(read: Reader, name: string, rows: Rows): Rows {
  const w = read.matrix(`${name}.weight`);
  const b = read.has(`${name}.bias`) ? read.vector(`${name}.bias`) : w.map(() => 0);
  return rows.map((x) => w.map((row, o) => dot(x, row) + (b[o] as number)));
}

function layerNorm(rows: Rows, g: Row, b: Row, eps: number): Rows {
  return rows.map((x) => {
    const m = mean(x);
    const variance = mean(x.map((v) => (v - m) ** 2));
    return x.map((v, i) => ((v - m) / Math.sqrt(variance + eps)) * (g[i] as number) + (b[i] as number));
  });
}

/** One head: softmax(q · kᵀ · scale + masked) · v. */
function attend(q: Rows, k: Rows, v: Rows, mask: Row, scale: number, masked: number): Rows {
  return q.map((row) => {
    const scores = k.map((key, r) => dot(row, key) * scale + (mask[r] === 0 ? masked : 0));
    const top = Math.max(...scores);
    const e = scores.map((s) => Math.exp(s - top));
    const total = e.reduce((a, b) => a + b, 0);
    return (v[0] as Row).map((_, d) =>
      v.reduce((sum, value, r) => sum + ((e[r] as number) / total) * (value[d] as number), 0),
    );
  });
}

/** Columns [from, from + width) of every row. */
const columns = (rows: Rows, from: number, width: number): Rows => rows.map((row) => row.slice(from, from + width));
const sideBySide = (parts: readonly Rows[]): Rows =>
  (parts[0] as Rows).map((_, i) => parts.flatMap((part) => part[i] as Row));

function put(expected: Expected, name: string, rows: Rows): void {
  expected.set(name, [...(expected.get(name) ?? []), ...rows.flat()]);
}

/** What BertModel and its heads answer. */
export function bertReference(draft: Draft, options: BertOptions, batch: Batch): Expected {
  const { hidden = 12, heads = 3, layers = 2, eps = 1e-12, architecture = 'BertModel' } = options;
  const read = reader(draft);
  const p = architecture === 'BertModel' ? '' : 'bert.';
  const [g, b] = options.legacy ? ['gamma', 'beta'] : ['weight', 'bias'];
  const act = ACTIVATIONS[options.activation ?? 'gelu'] as (x: number) => number;
  const norm = (name: string, rows: Rows): Rows =>
    layerNorm(rows, read.vector(`${name}.LayerNorm.${g}`), read.vector(`${name}.LayerNorm.${b}`), eps);
  const [word, position, kind] = ['word', 'position', 'token_type'].map((n) =>
    read.matrix(`${p}embeddings.${n}_embeddings.weight`),
  ) as [Rows, Rows, Rows];
  const expected: Expected = new Map();
  batch.ids.forEach((ids, n) => {
    const mask = batch.mask[n] as Row;
    let x = norm(
      `${p}embeddings`,
      ids.map((id, s) => plus(plus(word[id] as Row, position[s] as Row), kind[batch.types[n]?.[s] as number] as Row)),
    );
    put(expected, 'hidden_states.0', x);
    for (let i = 0; i < layers; i++) {
      const layer = `${p}encoder.layer.${i}`;
      const [q, k, v] = ['query', 'key', 'value'].map((part) => dense(read, `${layer}.attention.self.${part}`, x)) as [
        Rows,
        Rows,
        Rows,
      ];
      const width = hidden / heads;
      const parts = Array.from({ length: heads }, (_, h) =>
        attend(
          columns(q, h * width, width),
          columns(k, h * width, width),
          columns(v, h * width, width),
          mask,
          1 / Math.sqrt(width),
          -3.4028234663852886e38,
        ),
      );
      const attended = dense(read, `${layer}.attention.output.dense`, sideBySide(parts));
      const middle = norm(
        `${layer}.attention.output`,
        attended.map((row, s) => plus(row, x[s] as Row)),
      );
      const fed = dense(
        read,
        `${layer}.output.dense`,
        dense(read, `${layer}.intermediate.dense`, middle).map((row) => row.map(act)),
      );
      x = norm(
        `${layer}.output`,
        fed.map((row, s) => plus(row, middle[s] as Row)),
      );
      put(expected, `ffn.${i}.input`, middle);
      put(expected, `ffn.${i}.output`, fed);
      put(expected, `hidden_states.${i + 1}`, x);
    }
    put(expected, 'last_hidden_state', x);
    if (read.has(`${p}pooler.dense.weight`)) {
      const pooled = dense(read, `${p}pooler.dense`, [x[0] as Row]).map((row) => row.map(Math.tanh));
      put(expected, 'pooler_output', pooled);
      if (read.has('cls.seq_relationship.weight'))
        put(expected, 'seq_relationship_logits', dense(read, 'cls.seq_relationship', pooled));
      if (read.has('classifier.weight')) put(expected, 'logits', dense(read, 'classifier', pooled));
    }
    if (read.has('cls.predictions.bias')) {
      const h = norm(
        'cls.predictions.transform',
        dense(read, 'cls.predictions.transform.dense', x).map((row) => row.map(act)),
      );
      const decoder = options.decoder === 'own' ? read.matrix('cls.predictions.decoder.weight') : word;
      const bias = read.vector('cls.predictions.bias');
      put(
        expected,
        'logits',
        h.map((row) => decoder.map((w, c) => dot(row, w) + (bias[c] as number))),
      );
    }
    const kept = x.filter((_, s) => mask[s] === 1);
    const m = (x[0] as Row).map(
      (_, d) => kept.reduce((sum, row) => sum + (row[d] as number), 0) / Math.max(1, kept.length),
    );
    put(expected, 'sentence_embedding', [m.map((v) => v / Math.max(Math.sqrt(dot(m, m)), 1e-12))]);
  });
  return expected;
}

/** What ScriptableLM and its heads answer. The position table is taken from the graph: it is tested on its own. */
export function crammedReference(draft: Draft, options: CrammedOptions, batch: Batch, sinusoid: Rows): Expected {
  const { hidden = 12, heads = 2, layers = 2, head = 'mlm', nonlin = 'GELU', scheme = 'scaled-sinusoidal' } = options;
  const {
    norm: kind = 'LayerNorm',
    finalNorm = true,
    embeddingNorm = true,
    projection = true,
    transform = false,
  } = options;
  const block = options.block ?? { type: 'fff', trees: 2, depth: 2 };
  const read = reader(draft);
  const p = head === 'none' ? '' : 'encoder.';
  const gated = nonlin.endsWith('glu');
  const act = ACTIVATIONS[nonlin.split('glu')[0] as string] as (x: number) => number;
  const norm = (name: string, rows: Rows): Rows => {
    if (kind === 'LayerNorm') return layerNorm(rows, read.vector(`${name}.weight`), read.vector(`${name}.bias`), 1e-12);
    const scale = read.vector(`${name}.learnable_scale`);
    return rows.map((x) =>
      kind === 'RMSNorm'
        ? x.map((v, i) => (v / Math.sqrt(mean(x.map((u) => u * u)) + 1e-12)) * (scale[i] as number))
        : x.map((v) => (v * (scale[0] as number)) / Math.max(Math.sqrt(dot(x, x)), 1e-12)),
    );
  };
  const word = read.matrix(`${p}embedding.word_embedding.weight`);
  const positional = (s: number): Row => {
    if (scheme === 'none') return Array.from({ length: hidden }, () => 0);
    if (scheme === 'learned') return read.matrix(`${p}embedding.pos_embedding.embedding.weight`)[s] as Row;
    const scale = scheme === 'sinusoidal' ? 1 : (read.vector(`${p}embedding.pos_embedding.scale_factor`)[0] as number);
    return (sinusoid[s] as Row).map((v) => v * scale);
  };
  const feed = (name: string, rows: Rows): Rows => {
    if (block.type === 'fff') return walk(read, name, rows, block, act);
    const h = dense(read, `${name}.dense_in`, rows);
    const half = block.middle / 2;
    const mixed = gated
      ? h.map((row) => row.slice(0, half).map((x, j) => act(row[half + j] as number) * x))
      : h.map((row) => row.map(act));
    return dense(read, `${name}.dense_out`, mixed);
  };
  const expected: Expected = new Map();
  batch.ids.forEach((ids, n) => {
    let x: Rows = ids.map((id, s) => plus(word[id] as Row, positional(s)));
    if (embeddingNorm) x = norm(`${p}embedding.norm`, x);
    put(expected, 'hidden_states.0', x);
    for (let i = 0; i < layers; i++) {
      const layer = `${p}layers.${i}`;
      const qkv = dense(read, `${layer}.attn.self_attention.query_key_value`, norm(`${layer}.norm1`, x));
      const scale = read.vector(`${layer}.attn.self_attention.norm_factor`)[0] as number;
      const width = hidden / heads;
      const parts = Array.from({ length: heads }, (_, h) => {
        const [q, k, v] = [0, 1, 2].map((part) => columns(qkv, (3 * h + part) * width, width)) as [Rows, Rows, Rows];
        return attend(q, k, v, batch.mask[n] as Row, scale, -10000);
      });
      const joined = sideBySide(parts);
      const attended = projection ? dense(read, `${layer}.attn.dense`, joined) : joined;
      x = x.map((row, s) => plus(row, attended[s] as Row));
      const input = norm(`${layer}.norm2`, x);
      const output = feed(`${layer}.ffn`, input);
      x = x.map((row, s) => plus(row, output[s] as Row));
      put(expected, `ffn.${i}.input`, input);
      put(expected, `ffn.${i}.output`, output);
      put(expected, `hidden_states.${i + 1}`, x);
    }
    if (finalNorm) x = norm(`${p}final_norm`, x);
    put(expected, 'last_hidden_state', x);
    if (head === 'mlm') {
      const h = transform
        ? norm(
            'prediction_head.norm',
            dense(read, 'prediction_head.dense', x).map((row) => row.map(act)),
          )
        : x;
      const bias = read.has('decoder.bias') ? read.vector('decoder.bias') : word.map(() => 0);
      put(
        expected,
        'logits',
        h.map((row) => word.map((w, c) => dot(row, w) + (bias[c] as number))),
      );
    }
    if (head === 'classes') {
      const pooled = (x[0] as Row).map((first, d) => {
        const column = x.map((row) => row[d] as number);
        const pools = {
          avg: () => mean(column),
          zero_index: () => first,
          max: () => Math.max(...column),
          lse: () => Math.log(column.reduce((sum, v) => sum + Math.exp(v), 0)),
        };
        return pools[options.pooler ?? 'avg']();
      });
      const h = options.poolerDense === false ? [pooled] : dense(read, 'pooler.dense', [pooled]);
      put(
        expected,
        'logits',
        dense(
          read,
          'head',
          h.map((row) => row.map(Math.tanh)),
        ),
      );
    }
  });
  return expected;
}

/** FFF.forward: every neuron is computed, the visited ones count. */
function walk(
  read: Reader,
  name: string,
  rows: Rows,
  block: { readonly trees: number; readonly depth: number },
  act: (x: number) => number,
): Rows {
  const nodes = 2 ** (block.depth + 1) - 1;
  const out = read.matrix(`${name}.linear_out.weight`);
  return dense(read, `${name}.linear_in`, rows).map((logits) => {
    const active = logits.map(() => 0);
    for (let tree = 0; tree < block.trees; tree++) {
      let node = 0;
      for (let level = 0; level <= block.depth; level++) {
        const score = logits[tree * nodes + node] as number;
        active[tree * nodes + node] = act(score);
        node = 2 * node + 1 + (score > 0 ? 1 : 0);
      }
    }
    return out.map((row) => dot(row, active));
  });
}
