/** Single layers as pieces of work, with random weights and inputs and what they should give. Encoders: `encoder.ts`. */
import { tensorLengths, uniform } from '@espalier/conformance';
import {
  type Graph,
  interpretLayer,
  type LayerIR,
  Sizes,
  standardLayer,
  traceLayer,
  type WeightTensor,
} from '@espalier/ir';
import type { Work } from './contract.ts';

/** Rows whose outputs are known: enough to meet every tile and tail. Of layers beyond 200 MFLOP a row, where the interpreter takes seconds each, fewer. */
const CHECKED_ROWS = 12;
const CHECKED_LARGE = 2;
const LARGE = 2e8;

type Weights = Readonly<Record<string, WeightTensor['data']>>;

/** A single layer as a graph under its own names. */
function graphOfLayer(layer: LayerIR, weights: Weights): Graph {
  const named = (role: string) => layer.tensors.filter((t) => t.role === role);
  const own = (role: string): [string, string][] => named(role).map((t) => [t.name, t.name]);
  return {
    name: layer.name,
    dims: layer.dims,
    tensors: new Map(
      [...named('input'), ...named('output')].map((t) => [t.name, { name: t.name, storage: 'f32', shape: t.shape }]),
    ),
    inputs: named('input').map((t) => t.name),
    outputs: named('output').map((t) => t.name),
    nodes: [
      {
        id: layer.name,
        layer,
        dims: new Map(layer.dims.map((d) => [d, Sizes.dim(d)])),
        tensors: new Map([...own('input'), ...own('output')]),
        weights: new Map(own('weight')),
      },
    ],
    weights: new Map(
      named('weight').map((t) => [
        t.name,
        {
          name: t.name,
          storage: t.storage,
          shape: t.shape.map((s) => Sizes.constantOf(s) ?? 0),
          data: weights[t.name] as WeightTensor['data'],
        },
      ]),
    ),
  };
}

/**
 * Random inputs and weights: uniform numbers of variance 1, matrices scaled by their fan-in so that what they give keeps a size. In plain
 * loops, since a gigabyte of numbers takes minutes by callbacks.
 */
function randomData(layer: LayerIR, dims: Readonly<Record<string, number>>, seed: number): Weights {
  const values = new Map(Object.entries(dims));
  const next = uniform(seed);
  return Object.fromEntries(
    [...tensorLengths(layer, dims)].map(([name, length]) => {
      const tensor = layer.tensors.find((t) => t.name === name);
      const last = tensor?.shape.at(-1);
      const isMatrix = tensor?.role === 'weight' && tensor.shape.length > 1;
      const scale = Math.sqrt(3) * (isMatrix && last !== undefined ? 1.2 / Math.sqrt(Sizes.evaluate(last, values)) : 1);
      const isHalf = tensor?.storage === 'f16';
      const data = isHalf ? new Float16Array(length) : new Float32Array(length);
      for (let i = 0; i < length; i++) data[i] = (2 * next() - 1) * scale;
      return [name, isHalf ? new Uint16Array(data.buffer) : (data as Float32Array)];
    }),
  );
}

/** Half-precision numbers as f32, which holds each of them; others as they are. */
function widened(data: WeightTensor['data']): WeightTensor['data'] {
  if (!(data instanceof Uint16Array)) return data;
  return new Float32Array(new Float16Array(data.buffer as ArrayBuffer, data.byteOffset, data.length));
}

/** Rows to check: the first, the last, and some between. */
function rowsToCheck(tokens: number, seed: number, flopsPerRow: number): readonly number[] {
  const next = uniform(seed);
  const length = flopsPerRow > LARGE ? CHECKED_LARGE - 1 : CHECKED_ROWS;
  const some = Array.from({ length }, () => Math.floor(next() * tokens));
  if (flopsPerRow > LARGE) return [...new Set([tokens - 1, ...some])].sort((a, b) => a - b);
  return [...new Set([0, tokens - 1, ...some])].filter((row) => row < tokens).sort((a, b) => a - b);
}

interface LayerWork {
  readonly name: string;
  readonly kind: 'dense' | 'tree';
  readonly layer: LayerIR;
  /** The same with all weights stored as f32, which the interpreter reads in place; absent: `layer` itself. */
  readonly meaning?: LayerIR;
  readonly width: number;
  readonly tokens: number;
  readonly flops: number;
  readonly seed: number;
}

function layerWork({ name, kind, layer, meaning = layer, width, tokens, flops, seed }: LayerWork): Work {
  const { x, ...weights } = randomData(layer, { T: tokens }, seed);
  const input = x as Float32Array;
  const rows = rowsToCheck(tokens, seed, flops / tokens);
  const sampled = Float32Array.from(rows.flatMap((row) => [...input.subarray(row * width, (row + 1) * width)]));
  const exact = Object.fromEntries(Object.entries(weights).map(([key, data]) => [key, widened(data)]));
  const reference = interpretLayer(meaning, { dims: { T: rows.length }, tensors: { x: sampled, ...exact } });
  const y = reference['y'] as ArrayLike<number>;
  const out = y.length / rows.length;
  const values = rows.map((row, i) => ({
    row,
    values: Float64Array.from({ length: out }, (_, o) => y[i * out + o] as number),
  }));
  const largest = values.reduce((m, { values: v }) => v.reduce((n, z) => Math.max(n, Math.abs(z)), m), 0);
  const spread = kind === 'tree' ? leavesOf(meaning, input, exact, tokens) : null;
  const nodeBytes = ['w1', 'w2'].reduce((n, w) => n + width * (weights[w]?.BYTES_PER_ELEMENT ?? 0), 0);
  return {
    name,
    kind,
    tokens,
    graph: graphOfLayer(layer, weights),
    dims: { T: tokens },
    inputs: { x: input },
    ...(kind === 'tree' && tokens === 1 ? { next: turnover(input, seed) } : {}),
    flops,
    weightBytes:
      spread === null ? Object.values(weights).reduce((n, w) => n + w.byteLength, 0) : spread.nodes * nodeBytes,
    ...(spread === null
      ? {}
      : { note: tokens === 1 ? 'another token every run' : `${spread.leaves} of ${spread.of} leaves reached` }),
    expected: values,
    // Sums of some thousand float32 products: errors grow with their square root; a wrong element is off by its own size.
    allowed: 2e-5 * Math.max(1, largest),
  };
}

/** Changes the one token of an input to the next of many. */
function turnover(x: Float32Array, seed: number): () => void {
  const next = uniform(seed + 1);
  const tokens = Array.from({ length: 1024 }, () => Float32Array.from(x, () => 4 * next() - 2));
  let at = 0;
  return () => {
    x.set(tokens[at] as Float32Array);
    at = (at + 1) % tokens.length;
  };
}

/** How many leaves and nodes the rows reach: random weights and inputs must spread, or caches flatter the tree. */
function leavesOf(
  layer: LayerIR,
  x: Float32Array,
  weights: Weights,
  tokens: number,
): { readonly leaves: number; readonly of: number; readonly nodes: number } {
  const rows = Math.min(tokens, 512);
  const width = x.length / tokens;
  const traced = traceLayer(layer);
  const run = interpretLayer(traced, { dims: { T: rows }, tensors: { x: x.subarray(0, rows * width), ...weights } });
  const record = traced.tensors.find((t) => t.role === 'output' && t.storage === 'i32');
  const nodes = run[record?.name ?? ''] as ArrayLike<number>;
  const levels = nodes.length / rows;
  const last = new Set(Array.from({ length: rows }, (_, t) => nodes[t * levels + levels - 1]));
  return { leaves: last.size, of: Math.min(rows, 2 ** (levels - 1)), nodes: new Set(Array.from(nodes)).size };
}

/** 768 → hidden → 768 with erf GELU, unless told otherwise. */
export function denseWork(hidden: number, tokens: number, seed: number, width = 768): Work {
  const layer = standardLayer('ff', { dims: { D: width, H: hidden, O: width } });
  const name = `dense ${width}-${hidden}-${width}`;
  return layerWork({ name, kind: 'dense', layer, width, tokens, flops: 4 * width * hidden * tokens, seed });
}

/**
 * One tree of depth + 1 levels over 768 numbers, unless told otherwise. With `f16` its rows are stored as half-precision numbers, and
 * arithmetic stays f32: another tree than the one of f32, since its weights are others.
 */
export function treeWork(depth: number, tokens: number, seed: number, width = 768, rows: 'f32' | 'f16' = 'f32'): Work {
  const dims = { D: width, O: width, trees: 1, depth };
  const of = (storage: 'f32' | 'f16'): LayerIR =>
    standardLayer('fff', { dims, without: ['threshold'], storage: { w1: storage, w2: storage } });
  const [layer, meaning] = [of(rows), of('f32')];
  const name = `tree ${width}, ${2 ** (depth + 1) - 1} neurons${rows === 'f16' ? ', f16 rows' : ''}`;
  return layerWork({
    name,
    kind: 'tree',
    layer,
    meaning,
    width,
    tokens,
    flops: 4 * width * (depth + 1) * tokens,
    seed,
  });
}
