/** What is counted: the repository's models whole, on one sentence, and single layers of published sizes with random weights. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Graph, Sizes, type WeightTensor } from '@espalier/ir';
import {
  feedText,
  graphBuilder,
  graphOf,
  loadTokenizer,
  type Model,
  type NodeSpec,
  openCheckpoint,
} from '@espalier/models';
import { exportOnnx } from '@espalier/onnx';
import {
  conventionalBert,
  conventionalBertLayer,
  conventionalTree,
  conventionalUltraFastBert,
} from './conventional.ts';

/** A graph with its inputs, and the same as ONNX models by how they are written. */
export interface Case {
  readonly name: string;
  readonly title: string;
  readonly graph: Graph;
  readonly inputs: Readonly<Record<string, Float32Array | Int32Array>>;
  readonly dims: Readonly<Record<string, number>>;
  readonly onnx: Readonly<Partial<Record<Writing, Uint8Array>>>;
  /** Forwards; the last one counts. */
  readonly runs: number;
}

/**
 * How a model is written in ONNX. `exported`: by `exportOnnx`, in elementary operators. `plain`: as PyTorch's exporter would.
 * `fused`: as ONNX Runtime's offline optimiser for transformers would.
 */
export type Writing = 'exported' | 'plain' | 'fused';

const sentence = 'The president of the united [MASK] spoke to the people.';

export const bundledNames = ['tiny-bert', 'tiny-ultrafastbert', 'tiny-ultrafastbert-spam'] as const;
export type BundledName = (typeof bundledNames)[number];

/** Where the repository's models lie. */
const repositoryModels = (): string => fileURLToPath(new URL('../../../models', import.meta.url));

/** A model of the repository, or of another `folder` that holds them. */
export async function bundled(name: BundledName, folder = repositoryModels()): Promise<Case> {
  const checkpoint = await openCheckpoint(join(folder, name));
  const masked = name !== 'tiny-ultrafastbert-spam';
  const model = graphOf(checkpoint, { outputs: 'final', ...(masked ? { mlmPositions: 'asked' } : {}) });
  const tokenizer = loadTokenizer(checkpoint);
  const text = masked ? sentence : sentence.replace('[MASK]', 'states');
  const { inputs, dims } = feedText(model, tokenizer.encode([text]), tokenizer);
  return {
    name,
    title: `${name}, one sentence of ${dims['S']} tokens`,
    graph: model.graph,
    inputs,
    dims,
    onnx: { exported: exportOnnx(model.graph), ...conventionalOf(name, model) },
    runs: 3,
  };
}

/** The depth of the bundled trees: `intermed_depth` of their configurations. */
const BUNDLED_DEPTH = 8;

function conventionalOf(name: BundledName, model: Model): Case['onnx'] {
  switch (name) {
    case 'tiny-bert':
      return {
        plain: conventionalBert(model.graph, model, 'plain'),
        fused: conventionalBert(model.graph, model, 'fused'),
      };
    case 'tiny-ultrafastbert':
      return { plain: conventionalUltraFastBert(model.graph, model, BUNDLED_DEPTH) };
    case 'tiny-ultrafastbert-spam':
      return {};
  }
}

/** Normally distributed numbers, the same for a seed (mulberry32, Box and Muller). */
function normal(seed: number): () => number {
  let state = seed | 0;
  const uniform = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

/** Weights drawn as they are asked for. */
function drawing(seed: number) {
  const next = normal(seed);
  const weights = new Map<string, WeightTensor>();
  return {
    next,
    weights,
    /** mean + deviation · N(0, 1). */
    draw(name: string, shape: readonly number[], deviation: number, mean = 0): string {
      const length = shape.reduce((a, b) => a * b, 1);
      const data = Float32Array.from({ length }, () => mean + deviation * next());
      weights.set(name, { name, storage: 'f32', shape, data });
      return name;
    },
  };
}

/** One encoder layer as BERT-base has twelve of, with the nodes that `graphOf` gives a layer of BERT. */
export function bertBaseLayer(tokens = 16): Case {
  const [hidden, heads, middle] = [768, 12, 3072];
  const [B, S] = [Sizes.dim('B'), Sizes.dim('S')];
  const rows = { T: Sizes.multiply(B, S) };
  const shape = [B, S, Sizes.constant(hidden)];
  const { draw, next, weights } = drawing(7);
  const builder = graphBuilder('bert-base-layer', ['B', 'S']);
  const x = builder.input('x', 'f32', shape);
  const mask = builder.input('attention_mask', 'i32', [B, S]);
  const add = (id: string, spec: Omit<NodeSpec, 'id' | 'output' | 'dims'>, to = id, out = hidden): string =>
    builder.node({ id, dims: rows, ...spec, output: { name: to, shape: [B, S, Sizes.constant(out)] } });
  const dense = (name: string, from: string, out: number): string =>
    add(
      name,
      {
        layer: 'linear',
        fixed: { D: hidden, O: out },
        inputs: { x: from },
        weights: {
          w: draw(`encoder.layer.0.${name}.weight`, [out, hidden], 0.04),
          b: draw(`encoder.layer.0.${name}.bias`, [out], 0.02),
        },
      },
      name,
      out,
    );
  const addNorm = (name: string, from: string, skip: string, to?: string): string =>
    add(
      name,
      {
        layer: 'add_norm',
        fixed: { D: hidden },
        inputs: { x: skip, r: from },
        weights: {
          g: draw(`encoder.layer.0.${name}.weight`, [hidden], 0.02, 1),
          b: draw(`encoder.layer.0.${name}.bias`, [hidden], 0.02),
        },
      },
      to,
    );
  const context = builder.node({
    id: 'attention.self',
    layer: 'packed_attention',
    fixed: { heads, width: hidden / heads },
    options: { mask_value: -3.4028234663852886e38 },
    without: ['scale'],
    dims: { B, S },
    inputs: { qkv: dense('attention.self.qkv', x, 3 * hidden), mask },
    output: { name: 'context', shape },
  });
  const attended = dense('attention.output.dense', context, hidden);
  const between = addNorm('attention.output.LayerNorm', attended, x);
  const fed = add('ffn', {
    layer: 'ff',
    fixed: { D: hidden, H: middle, O: hidden },
    inputs: { x: between },
    weights: {
      w1: draw('encoder.layer.0.intermediate.dense.weight', [middle, hidden], 0.04),
      b1: draw('encoder.layer.0.intermediate.dense.bias', [middle], 0.02),
      w2: draw('encoder.layer.0.output.dense.weight', [hidden, middle], 0.04),
      b2: draw('encoder.layer.0.output.dense.bias', [hidden], 0.02),
    },
  });
  const y = addNorm('output.LayerNorm', fed, between, 'y');
  const graph = builder.finish([y], weights);
  const size = { hidden, heads, layers: 1 };
  return {
    name: 'bert-base-layer',
    title: `one layer of BERT-base (768, 12 heads, 3072), ${tokens} tokens`,
    graph,
    inputs: {
      x: Float32Array.from({ length: tokens * hidden }, next),
      // The last two positions are padding.
      attention_mask: Int32Array.from({ length: tokens }, (_, i) => (i < tokens - 2 ? 1 : 0)),
    },
    dims: { B: 1, S: tokens },
    onnx: {
      exported: exportOnnx(graph),
      plain: conventionalBertLayer(graph, size, 'plain'),
      fused: conventionalBertLayer(graph, size, 'fused'),
    },
    runs: 2,
  };
}

/** The feedforward layer of UltraFastBERT-1x11: 12 of 4095 neurons a token. */
export function ultraFastBertLayer(tokens = 16): Case {
  const [hidden, depth] = [768, 11];
  const nodes = 2 ** (depth + 1) - 1;
  const T = Sizes.dim('T');
  const shape = [T, Sizes.constant(hidden)];
  const { draw, next, weights } = drawing(11);
  const builder = graphBuilder('ultrafastbert-1x11-layer', ['T']);
  const y = builder.node({
    id: 'ffn',
    layer: 'fff',
    fixed: { D: hidden, O: hidden, trees: 1, depth },
    without: ['threshold'],
    dims: { T },
    inputs: { x: builder.input('x', 'f32', shape) },
    weights: {
      w1: draw('w1', [1, nodes, hidden], 0.04),
      b1: draw('b1', [1, nodes], 0.02),
      w2: draw('w2', [1, nodes, hidden], 0.04),
    },
    output: { name: 'y', shape },
  });
  const graph = builder.finish([y], weights);
  return {
    name: 'ultrafastbert-1x11-layer',
    title: `the tree of UltraFastBERT-1x11 (12 of 4095 neurons, 768), ${tokens} tokens`,
    graph,
    inputs: { x: Float32Array.from({ length: tokens * hidden }, next) },
    dims: { T: tokens },
    onnx: { exported: exportOnnx(graph), plain: conventionalTree(graph, hidden, depth) },
    runs: 2,
  };
}
