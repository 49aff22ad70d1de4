/** The graph builder: sharing of layers, views, and mistakes of whoever uses it. */
import { checkGraph, Sizes } from '@espalier/ir';
import { expect, test } from 'vitest';
import { graphBuilder } from '../src/index.ts';

const T = Sizes.dim('T');
const rows = (width: number) => [T, Sizes.constant(width)];
const weight = (name: string, ...shape: number[]) =>
  [name, { name, storage: 'f32', shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) }] as const;

function dense(id: string, from: string, to: string, without: readonly string[] = ['b']) {
  const fixed = { D: 3, O: 3 };
  const weights = { w: 'w', ...(without.length > 0 ? {} : { b: 'b' }) };
  return {
    id,
    layer: 'linear',
    fixed,
    without,
    dims: { T },
    inputs: { x: from },
    weights,
    output: { name: to, shape: rows(3) },
  };
}

test('equal specialisations share one layer, different ones do not; unused weights are left out', () => {
  const builder = graphBuilder('chain', ['T']);
  builder.input('x', 'f32', rows(3));
  builder.node(dense('a', 'x', 'a'));
  builder.node(dense('b', 'a', 'b'));
  builder.node(dense('c', 'b', 'c', []));
  const graph = builder.finish(['c'], new Map([weight('w', 3, 3), weight('b', 3), weight('spare', 7)]));
  checkGraph(graph);
  const [a, b, c] = graph.nodes.map((node) => node.layer);
  expect(a).toBe(b);
  expect(a).not.toBe(c);
  expect([...graph.weights.keys()]).toEqual(['w', 'b']);
  expect(graph.outputs).toEqual(['c']);
});

test('mistakes are named', () => {
  const builder = graphBuilder('wrong', ['T']);
  builder.input('x', 'f32', rows(3));
  builder.node(dense('a', 'x', 'y'));
  expect(() => builder.node(dense('a', 'x', 'z'))).toThrow('two nodes are named a');
  expect(() => builder.node(dense('b', 'x', 'y'))).toThrow('two tensors are named y');
  expect(() => builder.node(dense('c', 'nobody', 'z'))).toThrow('node c reads nobody, which nobody made');
  expect(() => builder.input('x', 'i32', rows(1))).toThrow('two tensors are named x');
  expect(() => graphBuilder('none', []).finish(['y'], new Map())).toThrow('output y is made by no node');
});

test('a promised weight that is not delivered', () => {
  const builder = graphBuilder('poor', ['T']);
  builder.input('x', 'f32', rows(3));
  builder.node(dense('a', 'x', 'y'));
  expect(() => builder.finish(['y'], new Map())).toThrow('node a uses weight w, which is not there');
});
