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
  /** Decisions on the way down a tree: 11 unless told, for 4095 neurons. */
  readonly depth?: number;
  /**
   * The elements of a weight, row-major, in the order of the graph; `fan`: how many products a sum over them has, and much more for
   * biases, which should be small.
   */
  readonly weight: (name: string, shape: readonly number[], fan: number) => Float32Array;
}

/** Biases are taken as if of so large a fan. */
const BIAS_FAN = 1e4;

/** The graph; inputs are `states` and the attention's `mask`. Throws RangeError for heads that do not divide the width. */
export function encoderGraph(shape: EncoderShape): Graph {
  const { layers, block, width: D = 768, heads = 12, hidden: H = 4 * D, depth = 11 } = shape;
  if (D % heads !== 0) throw new RangeError(`${heads} heads do not divide a width of ${D}`);
  const states = [B, S, Sizes.constant(D)];
  const weights = new Map<string, WeightTensor>();
  const take = (name: string, extents: readonly number[], fan = extents.at(-1) ?? 1): string => {
    weights.set(name, { name, storage: 'f32', shape: extents, data: shape.weight(name, extents, fan) });
    return name;
  };
  const graph = graphBuilder(`encoder of ${layers} layers, ${block}`, ['B', 'S']);
  graph.input('states', 'f32', states);
  graph.input('mask', 'i32', [B, S]);
  let state = 'states';
  const node = (spec: Omit<NodeSpec, 'output' | 'dims'>, dims: NodeSpec['dims'] = { T: TOKENS }): string =>
    graph.node({ ...spec, dims, output: { name: `${spec.id}.y`, shape: states } });
  for (let i = 0; i < layers; i++) {
    const linear = (id: string, x: string): string =>
      node({
        id: `${i}.${id}`,
        layer: 'linear',
        fixed: { D, O: D },
        inputs: { x },
        weights: { w: take(`${i}.${id}.w`, [D, D]), b: take(`${i}.${id}.b`, [D], BIAS_FAN) },
      });
    const addNorm = (id: string, x: string): string => {
      const sum = node({ id: `${i}.${id}.add`, layer: 'add', fixed: { D }, inputs: { x, r: state } });
      return node({
        id: `${i}.${id}.norm`,
        layer: 'layer_norm',
        fixed: { D },
        without: ['g', 'b'],
        inputs: { x: sum },
      });
    };
    const [q, k, v] = ['q', 'k', 'v'].map((id) => linear(id, state)) as [string, string, string];
    const attention = {
      id: `${i}.attention`,
      layer: 'attention',
      fixed: { heads, width: D / heads },
      without: ['scale'],
      inputs: { q, k, v, mask: 'mask' },
    };
    state = addNorm('attended', linear('projected', node(attention, { B, S })));
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
