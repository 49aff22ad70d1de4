/** Whole encoders as pieces of work: BERT's shape with random weights, its feedforward blocks dense, trees, or left out. */
import { uniform } from '@espalier/conformance';
import type { Graph } from '@espalier/ir';
import { type EncoderBlock, encoderGraph, projectionOf } from '@espalier/models';
import type { Work } from './contract.ts';

/** What stands for the feedforward blocks of an encoder. */
export type Block = EncoderBlock;

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
  const D = 768;
  const heads = 12;
  let weightBytes = 0;
  const graph = encoderGraph({
    ...{ layers, block, heads },
    weight: (_name, shape, fan) => {
      const count = shape.reduce((a, b) => a * b, 1);
      weightBytes += 4 * count;
      return fill(count, Math.sqrt(3 / fan));
    },
  });
  const blockFlops = { dense: 4 * D * 4 * D, tree: 4 * D * 12, none: 0 }[block];
  const input = Float32Array.from({ length: sequence * D }, () => 4 * next() - 2);
  return {
    name: `encoder ${layers} layers, ${block === 'none' ? 'no feedforward blocks' : block}, sequence ${sequence}`,
    kind: 'encoder',
    tokens: sequence,
    graph,
    forPeers: () =>
      encoderGraph({
        ...{ layers, block, heads, projections: 'three' },
        weight: (name) => {
          const [, layer = '', part = '', kind = ''] = /^(\d+)\.([qkv])\.([wb])$/.exec(name) ?? [];
          if (part === '') return floatsOf(graph, name);
          return projectionOf(floatsOf(graph, `${layer}.qkv.${kind}`), heads, 'qkv'.indexOf(part) as 0 | 1 | 2);
        },
      }),
    dims: { B: 1, S: sequence },
    inputs: { states: input, mask: new Int32Array(sequence).fill(1) },
    flops: layers * sequence * (8 * D * D + 4 * D * sequence + blockFlops),
    weightBytes,
    // Checked against each other, and on one layer by the interpreter (test): float64 takes minutes for a whole encoder.
    expected: [],
    allowed: 2e-3,
  };
}

function floatsOf(graph: Graph, name: string): Float32Array {
  const data = graph.weights.get(name)?.data;
  if (!(data instanceof Float32Array)) throw new Error(`${graph.name} has no weight ${name} of f32`);
  return data;
}
