/** Whole encoders as pieces of work: BERT's shape with random weights, its feedforward blocks dense, trees, or left out. */
import { uniform } from '@espalier/conformance';
import { Sizes } from '@espalier/ir';
import { graphBuilder } from '@espalier/models';
import type { Work } from './contract.ts';

/** What stands for the feedforward blocks of an encoder. */
export type Block = 'dense' | 'tree' | 'none';

/** A BERT-shaped encoder of random weights over states [1, sequence, 768]; its feedforward blocks dense, trees, or left out. */
export function encoderWork(layers: number, block: Block, sequence: number, seed: number): Work {
  const next = uniform(seed);
  return encoderOf(layers, block, sequence, next, (count, scale) => {
    const data = new Float32Array(count);
    for (let i = 0; i < count; i++) data[i] = (2 * next() - 1) * scale;
    return data;
  });
}

/** The same with weights from elsewhere: `fill` gives so many numbers, about as large as `scale`. */
export function encoderOf(
  layers: number,
  block: Block,
  sequence: number,
  next: () => number,
  fill: (count: number, scale: number) => Float32Array,
): Work {
  const [D, heads] = [768, 12];
  const size = Sizes.constant;
  const states = [Sizes.dim('B'), Sizes.dim('S'), size(D)];
  const rows = { T: Sizes.multiply(Sizes.dim('B'), Sizes.dim('S')) };
  const weights = new Map<string, { name: string; storage: 'f32'; shape: number[]; data: Float32Array }>();
  const take = (name: string, shape: number[], fan = shape.at(-1) ?? 1): string => {
    const count = shape.reduce((a, b) => a * b, 1);
    const scale = Math.sqrt(3 / fan);
    weights.set(name, { name, storage: 'f32', shape, data: fill(count, scale) });
    return name;
  };
  const graph = graphBuilder(`encoder of ${layers} layers, ${block}`, ['B', 'S']);
  graph.input('states', 'f32', states);
  graph.input('mask', 'i32', [Sizes.dim('B'), Sizes.dim('S')]);
  let state = 'states';
  const node = (spec: Omit<Parameters<typeof graph.node>[0], 'output' | 'dims'> & { dims?: typeof rows }): string =>
    graph.node({ dims: rows, ...spec, output: { name: `${spec.id}.y`, shape: states } });
  for (let i = 0; i < layers; i++) {
    const linear = (id: string, from: string): string =>
      node({
        id: `${i}.${id}`,
        layer: 'linear',
        fixed: { D, O: D },
        inputs: { x: from },
        weights: { w: take(`${i}.${id}.w`, [D, D]), b: take(`${i}.${id}.b`, [D], 1e4) },
      });
    const addNorm = (id: string, from: string): string => {
      const sum = node({ id: `${i}.${id}.add`, layer: 'add', fixed: { D }, inputs: { x: from, r: state } });
      return node({
        id: `${i}.${id}.norm`,
        layer: 'layer_norm',
        fixed: { D },
        without: ['g', 'b'],
        inputs: { x: sum },
      });
    };
    const [q, k, v] = ['q', 'k', 'v'].map((id) => linear(id, state)) as [string, string, string];
    const context = graph.node({
      id: `${i}.attention`,
      layer: 'attention',
      fixed: { heads, width: D / heads },
      without: ['scale'],
      dims: { B: Sizes.dim('B'), S: Sizes.dim('S') },
      inputs: { q, k, v, mask: 'mask' },
      output: { name: `${i}.attention.y`, shape: states },
    });
    state = addNorm('attended', linear('projected', context));
    if (block === 'dense') {
      const H = 4 * D;
      const w = {
        w1: take(`${i}.w1`, [H, D]),
        b1: take(`${i}.b1`, [H], 1e4),
        w2: take(`${i}.w2`, [D, H]),
        b2: take(`${i}.b2`, [D], 1e4),
      };
      state = addNorm(
        'ff',
        node({ id: `${i}.ff`, layer: 'ff', fixed: { D, H, O: D }, inputs: { x: state }, weights: w }),
      );
    } else if (block === 'tree') {
      const nodes = 4095;
      const w = {
        w1: take(`${i}.w1`, [1, nodes, D]),
        b1: take(`${i}.b1`, [1, nodes], 1e4),
        w2: take(`${i}.w2`, [1, nodes, D]),
      };
      const fixed = { D, O: D, trees: 1, depth: 11 };
      state = addNorm(
        'fff',
        node({ id: `${i}.fff`, layer: 'fff', fixed, without: ['threshold'], inputs: { x: state }, weights: w }),
      );
    }
  }
  const blockFlops = { dense: 4 * D * 4 * D, tree: 4 * D * 12, none: 0 }[block];
  const input = Float32Array.from({ length: sequence * D }, () => 4 * next() - 2);
  return {
    name: `encoder ${layers} layers, ${block === 'none' ? 'no feedforward blocks' : block}, sequence ${sequence}`,
    kind: 'encoder',
    tokens: sequence,
    graph: graph.finish([state], weights),
    dims: { B: 1, S: sequence },
    inputs: { states: input, mask: new Int32Array(sequence).fill(1) },
    flops: layers * sequence * (8 * D * D + 4 * D * sequence + blockFlops),
    weightBytes: [...weights.values()].reduce((n, w) => n + w.data.byteLength, 0),
    // Checked against each other, and on one layer by the interpreter (test): float64 takes minutes for a whole encoder.
    expected: [],
    allowed: 2e-3,
  };
}
