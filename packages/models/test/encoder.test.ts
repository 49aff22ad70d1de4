/** Encoders without a checkpoint: shapes, where their weights come from, and that they are what the interpreter takes. */
import { interpretGraph } from '@espalier/ir';
import { expect, it } from 'vitest';
import { type EncoderShape, encoderGraph, projectionOf } from '../src/index.ts';

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
    ...['0.qkv.w 24x8 8', '0.qkv.b 24 10000', '0.projected.w 8x8 8', '0.projected.b 8 10000'],
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

it('computes the same with three projections as with one', () => {
  const block = 'none';
  const one = encoderGraph({ ...shape, block });
  const three = encoderGraph({
    ...{ ...shape, block, projections: 'three' },
    weight: (name) => {
      const [, layer, part = '', kind] = /^(\d)\.([qkv])\.([wb])$/.exec(name) ?? [];
      const from = one.weights.get(part === '' ? name : `${layer}.qkv.${kind}`)?.data as Float32Array;
      return part === '' ? from : projectionOf(from, 2, 'qkv'.indexOf(part) as 0 | 1 | 2);
    },
  });
  expect([...three.weights.keys()].filter((name) => name.startsWith('0.'))).toHaveLength(8);
  const inputs = { states: Float32Array.from({ length: 24 }, (_, i) => Math.cos(i)), mask: Int32Array.of(1, 1, 0) };
  const [y, other] = [one, three].map((graph) => {
    const { tensors } = interpretGraph(graph, { inputs, dims: { B: 1, S: 3 } });
    return Array.from(tensors.get(graph.outputs[0] ?? '') ?? []);
  });
  expect(y).toHaveLength(24);
  expect(y).toEqual(other);
});

it('refuses heads that do not divide the width', () => {
  expect(() => encoderGraph({ ...shape, heads: 3, block: 'none' })).toThrow(/3 heads do not divide a width of 8/);
});
