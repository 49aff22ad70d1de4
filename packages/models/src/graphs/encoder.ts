/**
 * Encoders in the shape of BERT and UltraFastBERT without a checkpoint: for measuring and for tests, where any weights will do. States
 * go in and come out, [B, S, width]; there is no embedding and no head.
 */
import { type Graph, Sizes, type WeightTensor } from '@espalier/ir';
import { B, graphBuilder, type NodeSpec, S, TOKENS } from './builder.ts';

/** What stands in a layer after the attention: BERT's two dense layers, a tree, or nothing. */
export type EncoderBlock = 'dense' | 'tree' | 'none';

/** Which encoder, and where its weights come from. */
export interface EncoderShape {
  readonly layers: number;
  readonly block: EncoderBlock;
  /** Numbers a token: 768 unless told. */
  readonly width?: number;
  readonly heads?: number;
  /** Hidden neurons of a dense block: four times the width unless told. */
  readonly hidden?: number;
  /**
   * Query, key and value as one product (`qkv`, rows head by head as [q, k, v]), or as three (`q`, `k`, `v`), which some engines
   * take better: `projectionOf` has each of them. One unless told.
   */
  readonly projections?: 'one' | 'three';
  /** Decisions on the way down a tree: 11 unless told, for 4095 neurons. */
  readonly depth?: number;
  /**
   * The elements of a weight, row-major, in the order of the graph; `fan`: how many products a sum over them has, and much more for
   * biases, which should be small.
   */
  readonly weight: (name: string, shape: readonly number[], fan: number) => Float32Array;
}

/** The most negative float32, which Hugging Face's BERT (modeling_bert) adds where the mask is 0. */
export const MASK_VALUE = -3.4028234663852886e38;

/** Biases are taken as if of so large a fan. */
const BIAS_FAN = 1e4;

/** The graph; inputs are `states` and the attention's `mask`. Throws RangeError for heads that do not divide the width. */
export function encoderGraph(shape: EncoderShape): Graph {
  const { layers, block, width: D = 768, heads = 12, hidden: H = 4 * D, depth = 11, projections = 'one' } = shape;
  if (D % heads !== 0) throw new RangeError(`${heads} heads do not divide a width of ${D}`);
  const weights = new Map<string, WeightTensor>();
  const take = (name: string, extents: readonly number[], fan = extents.at(-1) ?? 1): string => {
    weights.set(name, { name, storage: 'f32', shape: extents, data: shape.weight(name, extents, fan) });
    return name;
  };
  const graph = graphBuilder(`encoder of ${layers} layers, ${block}`, ['B', 'S']);
  graph.input('states', 'f32', [B, S, Sizes.constant(D)]);
  graph.input('mask', 'i32', [B, S]);
  let state = 'states';
  const node = (
    { width = D, ...spec }: Omit<NodeSpec, 'output' | 'dims'> & { readonly width?: number },
    dims: NodeSpec['dims'] = { T: TOKENS },
  ): string => graph.node({ ...spec, dims, output: { name: `${spec.id}.y`, shape: [B, S, Sizes.constant(width)] } });
  for (let i = 0; i < layers; i++) {
    const linear = (id: string, x: string, O: number): string =>
      node({
        id: `${i}.${id}`,
        layer: 'linear',
        fixed: { D, O },
        inputs: { x },
        weights: { w: take(`${i}.${id}.w`, [O, D]), b: take(`${i}.${id}.b`, [O], BIAS_FAN) },
        width: O,
      });
    const addNorm = (id: string, x: string): string =>
      node({ id: `${i}.${id}.norm`, layer: 'add_norm', fixed: { D }, without: ['g', 'b'], inputs: { x, r: state } });
    const projected: NodeSpec['inputs'] =
      projections === 'one'
        ? { qkv: linear('qkv', state, 3 * D) }
        : Object.fromEntries(['q', 'k', 'v'].map((id) => [id, linear(id, state, D)]));
    const attention = {
      id: `${i}.attention`,
      layer: projections === 'one' ? 'packed_attention' : 'attention',
      fixed: { heads, width: D / heads },
      options: { mask_value: MASK_VALUE },
      without: ['scale'],
      inputs: { ...projected, mask: 'mask' },
    };
    state = addNorm('attended', linear('projected', node(attention, { B, S }), D));
    if (block === 'dense') {
      const own = {
        w1: take(`${i}.w1`, [H, D]),
        b1: take(`${i}.b1`, [H], BIAS_FAN),
        w2: take(`${i}.w2`, [D, H]),
        b2: take(`${i}.b2`, [D], BIAS_FAN),
      };
      const inputs = { x: state };
      state = addNorm('ff', node({ id: `${i}.ff`, layer: 'ff', fixed: { D, H, O: D }, inputs, weights: own }));
    } else if (block === 'tree') {
      const nodes = 2 ** (depth + 1) - 1;
      const own = {
        w1: take(`${i}.w1`, [1, nodes, D]),
        b1: take(`${i}.b1`, [1, nodes], BIAS_FAN),
        w2: take(`${i}.w2`, [1, nodes, D]),
      };
      const fixed = { D, O: D, trees: 1, depth };
      const inputs = { x: state };
      state = addNorm(
        'fff',
        node({ id: `${i}.fff`, layer: 'fff', fixed, without: ['threshold'], inputs, weights: own }),
      );
    }
  }
  return graph.finish([state], weights);
}

/** The weight or bias of one of the three projections, 0 query, 1 key, 2 value, out of those of the one of an encoder with so many heads. */
export function projectionOf(qkv: Float32Array, heads: number, which: 0 | 1 | 2): Float32Array {
  const run = qkv.length / heads / 3;
  const own = new Float32Array(heads * run);
  for (let head = 0; head < heads; head++) {
    const from = (3 * head + which) * run;
    own.set(qkv.subarray(from, from + run), head * run);
  }
  return own;
}
