/** Encoders without a checkpoint: shapes, where their weights come from, and that they are what the interpreter takes. */
import { interpretGraph } from '@espalier/ir';
import { expect, it } from 'vitest';
import { type EncoderShape, encoderGraph } from '../src/index.ts';

const shape: Omit<EncoderShape, 'block'> = {
  layers: 2,
  width: 8,
  heads: 2,
  hidden: 12,
  depth: 2,
  weight: (_name, extents, fan) =>
    Float32Array.from({ length: extents.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i + 1) / Math.sqrt(fan)),
};

it('asks for each weight once, with its shape and how many products are summed', () => {
  const asked: string[] = [];
  const graph = encoderGraph({
    ...shape,
    layers: 1,
    block: 'tree',
    weight: (name, extents, fan) => {
      asked.push(`${name} ${extents.join('x')} ${fan}`);
      return shape.weight(name, extents, fan);
    },
  });
  expect(asked).toEqual([
    ...['q', 'k', 'v', 'projected'].flatMap((id) => [`0.${id}.w 8x8 8`, `0.${id}.b 8 10000`]),
    ...['0.w1 1x7x8 8', '0.b1 1x7 10000', '0.w2 1x7x8 8'],
  ]);
  expect([...graph.weights.keys()].sort()).toEqual(asked.map((text) => text.split(' ')[0]).sort());
});

it.each(['dense', 'tree', 'none'] as const)('computes normed states with %s blocks', (block) => {
  const graph = encoderGraph({ ...shape, block });
  const inputs = {
    states: Float32Array.from({ length: 3 * 8 }, (_, i) => Math.cos(i)),
    mask: Int32Array.of(1, 1, 0),
  };
  const { tensors } = interpretGraph(graph, { inputs, dims: { B: 1, S: 3 } });
  const y = Array.from(tensors.get(graph.outputs[0] ?? '') ?? []);
  expect(y).toHaveLength(24);
  for (const t of [0, 1, 2]) {
    const row = y.slice(8 * t, 8 * t + 8);
    expect(row.reduce((a, b) => a + b, 0)).toBeCloseTo(0, 9);
    expect(row.reduce((a, b) => a + b * b, 0) / 8).toBeCloseTo(1, 6);
  }
});

it('refuses heads that do not divide the width', () => {
  expect(() => encoderGraph({ ...shape, heads: 3, block: 'none' })).toThrow(/3 heads do not divide a width of 8/);
});
