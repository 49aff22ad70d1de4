/**
 * The interpreter against the original programs: every layer of the golden collections of single layers, float64 outputs
 * and routes. (How the originals store weights and where they differ: the golden data's README.)
 */

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Computed, interpretLayer, type LayerArgs, standardLayer, traceLayer } from '../src/index.ts';
import { furthest, only } from './support/results.ts';
import { readSafetensors, type Stored } from './support/safetensors.ts';

/** Largest difference to the float64 outputs, relative to max(1, |output|). */
const tolerance = 1e-13;

/** What the collections' config.json say of a layer; which of it depends on the kind. */
interface LayerConfig {
  readonly name: string;
  readonly kind?: 'ff' | 'fff' | 'bertff';
  readonly hidden_size?: number;
  readonly intermed_size?: number;
  readonly intermediate_size?: number;
  readonly bias?: boolean;
  readonly width?: number;
  readonly depth?: number;
  readonly parallel_size?: number;
  readonly nonlin?: 'GELU' | 'ReLU';
  readonly layer_norm_eps?: number;
  readonly input_width?: number;
  readonly output_width?: number;
  readonly leaf_width?: number;
  readonly activation?: 'relu' | 'gelu';
}

interface Collection {
  readonly names: readonly string[];
  readonly config: (layer: string) => LayerConfig;
  readonly weight: (name: string) => Float32Array;
  readonly golden: (name: string) => Stored;
  readonly numbers: (name: string) => Float32Array | Float64Array | Int32Array;
}

function collection(name: string): Collection {
  const folder = new URL(`../../../fixtures/golden/${name}/`, import.meta.url);
  const { layers } = JSON.parse(readFileSync(new URL('config.json', folder), 'utf8')) as {
    layers: LayerConfig[];
  };
  const weights = readSafetensors(new URL('model.safetensors', folder));
  const golden = readSafetensors(new URL('golden.safetensors', folder));
  const find = (from: ReadonlyMap<string, Stored>, key: string): Stored => {
    const stored = from.get(key);
    if (stored === undefined) throw new Error(`no tensor ${key} in ${name}`);
    return stored;
  };
  return {
    names: layers.map((layer) => layer.name),
    config: (layer) => layers.find((entry) => entry.name === layer) ?? { name: layer },
    weight: (key) => {
      const { data } = find(weights, key);
      if (!(data instanceof Float32Array)) throw new Error(`${key} is not f32`);
      return data;
    },
    golden: (key) => find(golden, key),
    numbers: (key) => {
      const { data } = find(golden, key);
      if (data instanceof BigInt64Array) throw new Error(`${key} is i64`);
      return data;
    },
  };
}

type Tensors = Readonly<Record<string, ArrayLike<number>>> & { readonly x: ArrayLike<number> };

/** Runs a standard layer, traced, over the rows of x; checks every access. */
function run(
  layer: string,
  args: LayerArgs & { readonly dims: { readonly D: number } },
  tensors: Tensors,
): Readonly<Record<string, Computed>> {
  const ir = traceLayer(standardLayer(layer, args));
  const rows = tensors.x.length / args.dims.D;
  return interpretLayer(ir, { dims: { T: rows }, tensors, strict: true });
}

/** [rows, columns] → [columns, rows]. */
function transposed(values: Float32Array, rows: number): Float32Array {
  const columns = values.length / rows;
  return values.map((_, k) => values[(k % rows) * columns + Math.floor(k / rows)] ?? Number.NaN);
}

const number = (value: unknown): number => {
  if (typeof value !== 'number') throw new Error(`${String(value)} is no number`);
  return value;
};

describe('layers-f64: feedforward, trees of neurons, BERT feedforward', () => {
  const data = collection('layers-f64');
  const ofKind = (kind: string): readonly string[] => data.names.filter((name) => data.config(name).kind === kind);

  it('is all of it', () => {
    expect([...ofKind('ff'), ...ofKind('fff'), ...ofKind('bertff')].sort()).toEqual([...data.names].sort());
    expect(data.names).toHaveLength(9);
  });

  it.each(ofKind('ff'))('%s', (name) => {
    const config = data.config(name);
    const [D, H] = [number(config.hidden_size), number(config.intermed_size)];
    const biased = config.bias === true;
    const tensors = {
      x: data.numbers(`${name}.x`),
      w1: data.weight(`${name}.dense_in.weight`),
      w2: data.weight(`${name}.dense_out.weight`),
      ...(biased ? { b1: data.weight(`${name}.dense_in.bias`), b2: data.weight(`${name}.dense_out.bias`) } : {}),
    };
    const y = only(run('ff', { dims: { D, H, O: D }, without: biased ? [] : ['b1', 'b2'] }, tensors), 'y');
    expect(furthest(y, data.numbers(`${name}.y.f64`))).toBeLessThan(tolerance);
  });

  it.each(ofKind('fff'))('%s', (name) => {
    const config = data.config(name);
    const [D, depth, trees] = [number(config.width), number(config.depth), number(config.parallel_size)];
    const activation = config.nonlin === 'ReLU' ? 'relu' : 'gelu';
    const tensors = {
      x: data.numbers(`${name}.x`),
      w1: data.weight(`${name}.linear_in.weight`),
      b1: data.weight(`${name}.linear_in.bias`),
      w2: transposed(data.weight(`${name}.linear_out.weight`), D),
    };
    const args = { dims: { D, O: D, trees, depth }, options: { activation }, without: ['threshold'] };
    const result = run('fff', args, tensors);
    expect(furthest(only(result, 'y'), data.numbers(`${name}.y.f64`))).toBeLessThan(tolerance);
    expect(only(result, 'y.nodes')).toEqual(data.numbers(`${name}.nodes`));
    expect(furthest(only(result, 'y.scores'), data.numbers(`${name}.logits`))).toBeLessThan(1e-5);
  });

  it.each(ofKind('bertff'))('%s', (name) => {
    const config = data.config(name);
    const [D, H] = [number(config.hidden_size), number(config.intermediate_size)];
    const x = data.numbers(`${name}.x`);
    const dense = {
      x,
      w1: data.weight(`${name}.intermediate.dense.weight`),
      b1: data.weight(`${name}.intermediate.dense.bias`),
      w2: data.weight(`${name}.output.dense.weight`),
      b2: data.weight(`${name}.output.dense.bias`),
    };
    const inner = only(run('ff', { dims: { D, H, O: D } }, dense), 'y');
    const sum = only(run('add', { dims: { D } }, { x, r: inner }), 'y');
    const norm = {
      x: sum,
      g: data.weight(`${name}.output.LayerNorm.weight`),
      b: data.weight(`${name}.output.LayerNorm.bias`),
    };
    const y = only(run('layer_norm', { dims: { D }, options: { eps: number(config.layer_norm_eps) } }, norm), 'y');
    expect(furthest(y, data.numbers(`${name}.y.f64`))).toBeLessThan(tolerance);
  });
});

describe('fff-layer-bmm: the published PyTorch benchmark', () => {
  const data = collection('fff-layer-bmm');

  it('is all of it', () => {
    expect(data.names).toHaveLength(5);
  });

  it.each(data.names)('%s', (name) => {
    const config = data.config(name);
    const dims = {
      D: number(config.input_width),
      O: number(config.output_width),
      trees: 1,
      depth: number(config.depth),
    };
    const tensors = { x: data.numbers(`${name}.x`), w1: data.weight(`${name}.w1s`), w2: data.weight(`${name}.w2s`) };
    const result = run('fff', { dims, options: { rule: 'ge' }, without: ['b1', 'threshold'] }, tensors);
    expect(furthest(only(result, 'y'), data.numbers(`${name}.y.f64`))).toBeLessThan(tolerance);
    expect(only(result, 'y.nodes')).toEqual(data.numbers(`${name}.all_nodes`));
    expect(furthest(only(result, 'y.scores'), data.numbers(`${name}.all_logits`))).toBeLessThan(1e-5);
  });
});

describe('fff-leaf: trees with leaf networks', () => {
  const data = collection('fff-leaf');
  /** The three programs: which goes right on a tie, and whether the output bias is added. */
  const variants = [
    { output: 'eval', rule: 'ge', without: ['b2'] },
    { output: 'eval_v020', rule: 'ge', without: [] },
    { output: 'train_hard', rule: 'gt', without: [] },
  ] as const;
  /** The evaluation code of the original crashes at depth 0. */
  const cases = data.names.flatMap((name) =>
    variants
      .filter(({ output }) => output === 'train_hard' || data.config(name).depth !== 0)
      .map((variant) => ({ name, ...variant })),
  );

  it('is all of it', () => {
    expect(cases).toHaveLength(3 * 3 + 2);
  });

  it.each(cases)('$name, $output', ({ name, output, rule, without }) => {
    const config = data.config(name);
    const depth = number(config.depth);
    const dims = {
      D: number(config.input_width),
      W: number(config.leaf_width),
      O: number(config.output_width),
      depth,
    };
    const options = { activation: config.activation === 'relu' ? 'relu' : 'gelu', rule };
    const weight = (stored: string): Float32Array => data.weight(`${name}.${stored}`);
    const tensors = {
      x: data.numbers(`${name}.x`),
      w1: weight('w1s'),
      b1: weight('b1s'),
      w2: weight('w2s'),
      node_w: weight('node_weights'),
      node_b: weight('node_biases'),
      ...(without.length === 0 ? { b2: weight('b2s') } : {}),
    };
    const result = run('leaf_fff', { dims, options, without }, tensors);
    expect(furthest(only(result, 'y'), data.numbers(`${name}.${output}.f64`))).toBeLessThan(tolerance);
    if (depth === 0) return;
    const tie = output === 'train_hard' && name.endsWith('_tie');
    const leaves = [...data.numbers(`${name}.leaves`)];
    const nodes = [...data.numbers(`${name}.nodes`)];
    if (tie) {
      // The golden routes are those of the evaluation code; training sends the zero row, the last, left everywhere.
      leaves.splice(-1, 1, 0);
      nodes.splice(-depth, depth, ...Array.from({ length: depth }, (_, level) => 2 ** level - 1));
    }
    expect([...only(result, 'leaf')]).toEqual(leaves);
    expect([...only(result, 'leaf.nodes')]).toEqual(nodes);
    if (!tie) expect(furthest(only(result, 'leaf.scores'), data.numbers(`${name}.plane_scores`))).toBeLessThan(1e-5);
  });
});
