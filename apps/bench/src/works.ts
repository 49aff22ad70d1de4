/** The pieces of work: layers and encoders with random weights and inputs, and what they should give. */
import { randomTensors, uniform } from '@espalier/conformance';
import { type Graph, interpretLayer, type LayerIR, Sizes, standardLayer, traceLayer } from '@espalier/ir';
import { type EncoderBlock, encoderGraph } from '@espalier/models';
import type { Work } from './contract.ts';

/** Rows whose outputs are known: enough to meet every tile and tail. */
const CHECKED_ROWS = 12;

/** A single layer as a graph under its own names. */
function graphOfLayer(layer: LayerIR, weights: Readonly<Record<string, Float32Array>>): Graph {
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
          data: weights[t.name] as Float32Array,
        },
      ]),
    ),
  };
}

/** Rows to check: the first, the last, and some between. */
function rowsToCheck(tokens: number, seed: number): readonly number[] {
  const next = uniform(seed);
  const some = Array.from({ length: CHECKED_ROWS }, () => Math.floor(next() * tokens));
  return [...new Set([0, tokens - 1, ...some])].filter((row) => row < tokens).sort((a, b) => a - b);
}

interface LayerWork {
  readonly name: string;
  readonly kind: 'dense' | 'tree';
  readonly layer: LayerIR;
  readonly width: number;
  readonly tokens: number;
  readonly flops: number;
  readonly seed: number;
}

function layerWork({ name, kind, layer, width, tokens, flops, seed }: LayerWork): Work {
  const { x, ...weights } = randomTensors(layer, { T: tokens }, seed) as Record<string, Float32Array>;
  const input = x as Float32Array;
  const rows = rowsToCheck(tokens, seed);
  const sampled = Float32Array.from(rows.flatMap((row) => [...input.subarray(row * width, (row + 1) * width)]));
  const reference = interpretLayer(layer, { dims: { T: rows.length }, tensors: { x: sampled, ...weights } });
  const y = reference['y'] as ArrayLike<number>;
  const out = y.length / rows.length;
  const values = rows.map((row, i) => ({
    row,
    values: Float64Array.from({ length: out }, (_, o) => y[i * out + o] as number),
  }));
  const largest = values.reduce((m, { values: v }) => v.reduce((n, z) => Math.max(n, Math.abs(z)), m), 0);
  const spread = kind === 'tree' ? leavesOf(layer, input, weights, tokens) : null;
  const nodeBytes = 8 * width;
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
  weights: Readonly<Record<string, Float32Array>>,
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

/** One tree of depth + 1 levels over 768 numbers, unless told otherwise. */
export function treeWork(depth: number, tokens: number, seed: number, width = 768): Work {
  const layer = standardLayer('fff', { dims: { D: width, O: width, trees: 1, depth }, without: ['threshold'] });
  const name = `tree ${width}, ${2 ** (depth + 1) - 1} neurons`;
  return layerWork({ name, kind: 'tree', layer, width, tokens, flops: 4 * width * (depth + 1) * tokens, seed });
}

/** What stands for the feedforward blocks of an encoder. */
export type Block = EncoderBlock;

/** A BERT-shaped encoder of random weights over states [1, sequence, 768]; its feedforward blocks dense, trees, or left out. */
export function encoderWork(layers: number, block: Block, sequence: number, seed: number): Work {
  const D = 768;
  const next = uniform(seed);
  let weightBytes = 0;
  const weight = (_name: string, shape: readonly number[], fan: number): Float32Array => {
    const count = shape.reduce((a, b) => a * b, 1);
    const scale = Math.sqrt(3 / fan);
    weightBytes += 4 * count;
    return Float32Array.from({ length: count }, () => (2 * next() - 1) * scale);
  };
  const graph = encoderGraph({ layers, block, weight });
  const blockFlops = { dense: 4 * D * 4 * D, tree: 4 * D * 12, none: 0 }[block];
  const input = Float32Array.from({ length: sequence * D }, () => 4 * next() - 2);
  return {
    name: `encoder ${layers} layers, ${block === 'none' ? 'no feedforward blocks' : block}, sequence ${sequence}`,
    kind: 'encoder',
    tokens: sequence,
    graph,
    dims: { B: 1, S: sequence },
    inputs: { states: input, mask: new Int32Array(sequence).fill(1) },
    flops: layers * sequence * (8 * D * D + 4 * D * sequence + blockFlops),
    weightBytes,
    // Checked against each other, and on one layer by the interpreter (test): float64 takes minutes for a whole encoder.
    expected: [],
    allowed: 2e-3,
  };
}
