/**
 * The same models in ONNX as others write them. Our own export says every layer in elementary operators, which would make a
 * straw man of its reader. `plain` is what PyTorch's exporter writes (MatMul and Add, Softmax, LayerNormalization, GELU by erf),
 * for ONNX Runtime's optimiser to fuse as it can. `fused` is what its offline transformer optimiser makes of that: attention,
 * biased GELU, and the residual with its norm are one operator each, of ONNX Runtime's own domain.
 */
import { type Graph, type GraphNode, Sizes, type WeightTensor } from '@espalier/ir';
import { projectionOf } from '@espalier/models';
import { type OnnxWriter, onnxWriter, type Port } from './onnx-model.ts';

export type Style = 'plain' | 'fused';

const MASK_VALUE = -3.4028234663852886e38;
const EPS = 1e-12;

interface Writing {
  readonly writer: OnnxWriter;
  readonly weights: Graph['weights'];
  readonly style: Style;
  readonly hidden: number;
  readonly heads: number;
}

interface Floats {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

/** Throws Error for a weight that is not there: the graph is of another family, then. */
function weight({ weights }: Writing, name: string): Floats {
  const found: WeightTensor | undefined = weights.get(name);
  if (!(found?.data instanceof Float32Array)) throw new Error(`there is no weight ${name} of f32`);
  return { data: found.data, shape: found.shape };
}

const PARTS = ['query', 'key', 'value'] as const;

/** Query, key or value alone, out of the graph's one projection. */
function projection(to: Writing, prefix: string, part: (typeof PARTS)[number], kind: 'weight' | 'bias'): Floats {
  const { data, shape } = weight(to, `${prefix}.qkv.${kind}`);
  const which = PARTS.indexOf(part) as 0 | 1 | 2;
  return { data: projectionOf(data, to.heads, which), shape: [to.hidden, ...shape.slice(1)] };
}

const vector = (to: Writing, name: string): string => {
  const { data } = weight(to, name);
  return to.writer.floats(data, [data.length]);
};

/** [out, in] as stored → [in, out] as MatMul wants it. */
function transposed(data: Float32Array, rows: number): Float32Array {
  const columns = data.length / rows;
  return Float32Array.from(data, (_, i) => data[(i % rows) * columns + Math.floor(i / rows)] as number);
}

const matrix = (to: Writing, name: string): string => written(to, weight(to, name));

function written({ writer }: Writing, { data, shape }: Floats): string {
  const [rows = 1] = shape;
  return writer.floats(transposed(data, rows), [data.length / rows, rows]);
}

const scalar = (to: Writing, value: number): string => to.writer.floats(Float32Array.of(value), [1]);

/** x · wᵀ + b. */
function dense(to: Writing, x: string, name: string): string {
  const product = to.writer.op('MatMul', [x, matrix(to, `${name}.weight`)]);
  return to.writer.op('Add', [product, vector(to, `${name}.bias`)]);
}

/** As PyTorch exports `nn.GELU()`. */
function gelu(to: Writing, x: string): string {
  const { writer } = to;
  const erf = writer.op('Erf', [writer.op('Div', [x, scalar(to, Math.SQRT2)])]);
  const product = writer.op('Mul', [x, writer.op('Add', [erf, scalar(to, 1)])]);
  return writer.op('Mul', [product, scalar(to, 0.5)]);
}

const norm = (to: Writing, x: string, name: string): string =>
  to.writer.op('LayerNormalization', [x, vector(to, `${name}.weight`), vector(to, `${name}.bias`)], {
    axis: -1,
    epsilon: { float: EPS },
  });

/** 0 where a position is kept, and `value` where not: [B, 1, 1, S]. */
function maskBias(to: Writing, value: number): string {
  const { writer } = to;
  const mask = writer.op('Cast', [writer.op('Unsqueeze', ['attention_mask', writer.integers(1, 2)])], { to: 1 });
  return writer.op('Mul', [writer.op('Sub', [scalar(to, 1), mask]), scalar(to, value)]);
}

/** softmax(q · kᵀ · scale + bias) · v, all [B, heads, S, width] but k, which is [B, heads, width, S]; answers [B, S, hidden]. */
function attend(to: Writing, q: string, k: string, v: string, scale: string, bias: string): string {
  const { writer, hidden } = to;
  const scores = writer.op('Add', [writer.op('Mul', [writer.op('MatMul', [q, k]), scale]), bias]);
  const context = writer.op('MatMul', [writer.op('Softmax', [scores], { axis: -1 }), v]);
  return writer.op('Reshape', [
    writer.op('Transpose', [context], { perm: [0, 2, 1, 3] }),
    writer.integers(0, 0, hidden),
  ]);
}

function selfAttention(to: Writing, x: string, prefix: string, bias: string): string {
  const { writer, hidden, heads } = to;
  const width = hidden / heads;
  if (to.style === 'plain') {
    const [q, k, v] = PARTS.map((part, i) => {
      const product = writer.op('MatMul', [x, written(to, projection(to, `${prefix}.self`, part, 'weight'))]);
      const { data } = projection(to, `${prefix}.self`, part, 'bias');
      const projected = writer.op('Add', [product, writer.floats(data, [hidden])]);
      return writer.op('Transpose', [writer.op('Reshape', [projected, writer.integers(0, 0, heads, width)])], {
        perm: i === 1 ? [0, 2, 3, 1] : [0, 2, 1, 3],
      });
    }) as [string, string, string];
    return attend(to, q, k, v, scalar(to, 1 / Math.sqrt(width)), bias);
  }
  const packed = new Float32Array(3 * hidden * hidden);
  const biases = new Float32Array(3 * hidden);
  for (const [i, part] of PARTS.entries()) {
    const columns = transposed(projection(to, `${prefix}.self`, part, 'weight').data, hidden);
    for (let row = 0; row < hidden; row++)
      packed.set(columns.subarray(row * hidden, (row + 1) * hidden), row * 3 * hidden + i * hidden);
    biases.set(projection(to, `${prefix}.self`, part, 'bias').data, i * hidden);
  }
  return writer.own(
    'Attention',
    [x, writer.floats(packed, [hidden, 3 * hidden]), writer.floats(biases, [3 * hidden]), '', '', bias],
    { num_heads: heads },
  );
}

/** norm(x · wᵀ + b + skip). */
function addAndNorm(to: Writing, x: string, skip: string, name: string, normName: string): string {
  if (to.style === 'plain') return norm(to, to.writer.op('Add', [dense(to, x, name), skip]), normName);
  const product = to.writer.op('MatMul', [x, matrix(to, `${name}.weight`)]);
  const rest = [`${normName}.weight`, `${normName}.bias`, `${name}.bias`].map((weightName) => vector(to, weightName));
  return to.writer.own('SkipLayerNormalization', [product, skip, ...rest], { epsilon: { float: EPS } });
}

/** gelu(x · wᵀ + b). */
function activated(to: Writing, x: string, name: string): string {
  if (to.style === 'plain') return gelu(to, dense(to, x, name));
  const product = to.writer.op('MatMul', [x, matrix(to, `${name}.weight`)]);
  return to.writer.own('BiasGelu', [product, vector(to, `${name}.bias`)]);
}

/** One post-norm layer of BERT. */
function bertLayer(to: Writing, x: string, prefix: string, bias: string): string {
  const attended = selfAttention(to, x, `${prefix}.attention`, bias);
  const output = `${prefix}.attention.output`;
  const middle = addAndNorm(to, attended, x, `${output}.dense`, `${output}.LayerNorm`);
  const wide = activated(to, middle, `${prefix}.intermediate.dense`);
  return addAndNorm(to, wide, middle, `${prefix}.output.dense`, `${prefix}.output.LayerNorm`);
}

/** The first S rows of a table: [S, D]. */
function firstRows({ writer }: Writing, table: string): string {
  const length = writer.op('Gather', [writer.op('Shape', ['input_ids']), writer.integers(1)]);
  return writer.op('Slice', [table, writer.integers(0), length, writer.integers(0)]);
}

/** The asked rows of the last hidden state: [P, D]. */
function askedRows({ writer, hidden }: Writing, state: string): string {
  return writer.op('Gather', [writer.op('Reshape', [state, writer.integers(-1, hidden)]), 'positions']);
}

const portsOf = (
  graph: Graph,
  names: readonly string[],
  from: ReadonlyMap<string, string>,
): readonly (Port & { readonly from: string })[] =>
  names.map((name) => {
    const tensor = graph.tensors.get(name);
    const shape = (tensor?.shape ?? []).map((size) => Sizes.constantOf(size) ?? Sizes.format(size));
    return { name, storage: tensor?.storage === 'i32' ? 'i32' : 'f32', shape, from: from.get(name) ?? '' };
  });

function finish(to: Writing, graph: Graph, outputs: ReadonlyMap<string, string>): Uint8Array {
  return to.writer.finish(graph.name, portsOf(graph, graph.inputs, new Map()), portsOf(graph, graph.outputs, outputs));
}

/** How large a model is. */
export interface Shape {
  readonly hidden: number;
  readonly heads: number;
  readonly layers: number;
}

/** BERT with a masked-language-model head read at asked positions: the graph that `graphOf` makes of such a checkpoint. */
export function conventionalBert(graph: Graph, { hidden, heads, layers }: Shape, style: Style): Uint8Array {
  const to: Writing = { writer: onnxWriter(), weights: graph.weights, style, hidden, heads };
  const { writer } = to;
  const table = (name: string): string => {
    const { data, shape } = weight(to, `embeddings.${name}_embeddings.weight`);
    return writer.floats(data, shape);
  };
  const word = table('word');
  const kinds = writer.op('Gather', [table('token_type'), 'token_type_ids']);
  const words = writer.op('Add', [writer.op('Gather', [word, 'input_ids']), kinds]);
  let state = norm(to, writer.op('Add', [words, firstRows(to, table('position'))]), 'embeddings.LayerNorm');
  const bias = biasFor(to, MASK_VALUE);
  for (let i = 0; i < layers; i++) state = bertLayer(to, state, `encoder.layer.${i}`, bias);
  const head = 'cls.predictions';
  const transformed = activated(to, askedRows(to, state), `${head}.transform.dense`);
  const rows = norm(to, transformed, `${head}.transform.LayerNorm`);
  const decoder = matrix(to, 'embeddings.word_embeddings.weight');
  const logits = writer.op('Add', [writer.op('MatMul', [rows, decoder]), vector(to, `${head}.bias`)]);
  return finish(
    to,
    graph,
    new Map([
      ['last_hidden_state', state],
      ['logits', logits],
    ]),
  );
}

/** `Attention` wants its bias [B, 1, S, S]; elsewhere it is broadcast. */
function biasFor(to: Writing, value: number): string {
  const { writer, style } = to;
  const bias = maskBias(to, value);
  if (style === 'plain') return bias;
  const length = writer.op('Gather', [writer.op('Shape', ['attention_mask']), writer.integers(1)]);
  const one = writer.integers(1);
  return writer.op('Expand', [bias, writer.op('Concat', [one, one, length, one], { axis: 0 })]);
}

/** One layer of BERT: `x` and `attention_mask` in, `y` out. */
export function conventionalBertLayer(graph: Graph, { hidden, heads }: Shape, style: Style): Uint8Array {
  const to: Writing = { writer: onnxWriter(), weights: graph.weights, style, hidden, heads };
  return finish(to, graph, new Map([['y', bertLayer(to, 'x', 'encoder.layer.0', biasFor(to, MASK_VALUE))]]));
}

/** A tree of neurons as the original program walks it, a level at a time: [T, D] → [T, D]. All levels are unrolled. */
function tree(to: Writing, x: string, { weights }: GraphNode, depth: number): string {
  const { writer, hidden } = to;
  const of = (role: string): Float32Array => weight(to, weights.get(role) ?? '').data;
  const [w1, b1, w2] = [of('w1'), of('b1'), of('w2')];
  const tables = {
    w1: writer.floats(w1, [b1.length, hidden]),
    b1: writer.floats(b1, [b1.length, 1]),
    w2: writer.floats(w2, [b1.length, hidden]),
  };
  let node = '';
  let sum = '';
  for (let level = 0; level <= depth; level++) {
    const row = (table: keyof typeof tables, root: Float32Array): string =>
      node === '' ? writer.floats(root, [1, root.length]) : writer.op('Gather', [tables[table], node]);
    const product = writer.op('Mul', [x, row('w1', w1.slice(0, hidden))]);
    const total = writer.op('ReduceSum', [product, writer.integers(-1)], { keepdims: 1 });
    const score = writer.op('Add', [total, row('b1', b1.slice(0, 1))]);
    const part = writer.op('Mul', [gelu(to, score), row('w2', w2.slice(0, hidden))]);
    sum = sum === '' ? part : writer.op('Add', [sum, part]);
    if (level === depth) break;
    const right = writer.op('Cast', [writer.op('Greater', [score, scalar(to, 0)])], { to: 6 });
    const step = writer.op('Add', [writer.op('Reshape', [right, writer.integers(-1)]), writer.whole(1)]);
    node = node === '' ? step : writer.op('Add', [writer.op('Mul', [node, writer.whole(2)]), step]);
  }
  return sum;
}

/** One layer of trees alone: `x` in, `y` out. */
export function conventionalTree(graph: Graph, hidden: number, depth: number): Uint8Array {
  const to: Writing = { writer: onnxWriter(), weights: graph.weights, style: 'plain', hidden, heads: 1 };
  return finish(to, graph, new Map([['y', tree(to, 'x', graph.nodes[0] as GraphNode, depth)]]));
}

/** UltraFastBERT (pre-norm, one tree a layer) with its decoder at asked positions: `plain`, for its attention has no fused form. */
export function conventionalUltraFastBert(graph: Graph, { hidden, heads, layers }: Shape, depth: number): Uint8Array {
  const to: Writing = { writer: onnxWriter(), weights: graph.weights, style: 'plain', hidden, heads };
  const { writer } = to;
  const width = hidden / heads;
  const word = weight(to, 'embedding.word_embedding.weight');
  const positions = weight(to, 'embedding.pos_embedding.pe');
  const factor = weight(to, 'embedding.pos_embedding.scale_factor').data[0] ?? 1;
  const scaled = writer.op('Mul', [firstRows(to, writer.floats(positions.data, positions.shape)), scalar(to, factor)]);
  const words = writer.op('Gather', [writer.floats(word.data, word.shape), 'input_ids']);
  let state = norm(to, writer.op('Add', [words, scaled]), 'embedding.norm');
  const bias = maskBias(to, -10000);
  for (let i = 0; i < layers; i++) {
    const prefix = `layers.${i}`;
    const normed = norm(to, state, `${prefix}.norm1`);
    const projected = writer.op('MatMul', [normed, matrix(to, `${prefix}.attn.self_attention.query_key_value.weight`)]);
    const packed = writer.op('Reshape', [projected, writer.integers(0, 0, heads, 3 * width)]);
    const parts = writer.split('Split', [packed, writer.integers(width, width, width)], 3, { axis: -1 });
    const [q, k, v] = parts.map((part, at) =>
      writer.op('Transpose', [part], { perm: at === 1 ? [0, 2, 3, 1] : [0, 2, 1, 3] }),
    ) as [string, string, string];
    const scale = vector(to, `${prefix}.attn.self_attention.norm_factor`);
    const context = attend(to, q, k, v, scale, bias);
    const output = writer.op('MatMul', [context, matrix(to, `${prefix}.attn.dense.weight`)]);
    state = writer.op('Add', [state, output]);
    const rows = writer.op('Reshape', [norm(to, state, `${prefix}.norm2`), writer.integers(-1, hidden)]);
    const node = graph.nodes.find(({ id }) => id === `${prefix}.ffn`);
    if (!node) throw new Error(`there is no node ${prefix}.ffn`);
    const answered = writer.op('Reshape', [tree(to, rows, node, depth), writer.op('Shape', [state])]);
    state = writer.op('Add', [state, answered]);
  }
  const last = norm(to, state, 'final_norm');
  const decoder = matrix(to, 'embedding.word_embedding.weight');
  const logits = writer.op('MatMul', [askedRows(to, last), decoder]);
  return finish(
    to,
    graph,
    new Map([
      ['last_hidden_state', last],
      ['logits', logits],
    ]),
  );
}
