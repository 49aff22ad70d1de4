/** Reading tensors: every kind of index, in range and out of it. */
import { type Expr, Sizes } from '@espalier/ir';
import { describe, expect, it } from 'vitest';
import { at, f32, i32, layer, op, range, read, reduce, select, sizeOf, statement, tensor } from './expressions.ts';
import { compareLayer, graphOf, runOnnx } from './reference.ts';

const t = range('t', 'T');
const d = range('d', 5);
const k = range('k', 3);
const ids = (name: string): Expr => read(name, ['t'], 'i32');

describe('accesses', () => {
  const x = tensor('input', 'x', ['T', 5]);
  const w = tensor('weight', 'w', [3, 4, 5]);
  const id = tensor('input', 'id', ['T'], 'i32');
  const kid = tensor('input', 'kid', ['T', 3], 'i32');
  const square = tensor('weight', 'square', [5, 5]);

  const values: Readonly<Record<string, readonly [readonly ReturnType<typeof range>[], Expr]>> = {
    transposed: [[d, t], read('x', ['t', 'd'])],
    constant: [[t, d], op('add', read('x', ['t', 2]), read('w', [1, 3, 'd']))],
    diagonal: [[d], read('square', ['d', 'd'])],
    'a row by number': [[t, d], read('w', [2, ids('id'), 'd'])],
    'two computed': [[t, d], read('w', [op('mod', ids('id'), i32(3)), ids('id'), 'd'])],
    'three computed': [[t], read('w', [op('mod', ids('id'), i32(3)), ids('id'), op('add', ids('id'), i32(1))])],
    'computed and not, apart': [[t, d], read('w', [op('mod', ids('id'), i32(3)), 1, 'd'])],
    'computed in the middle': [[t, k, d], read('w', ['k', ids('id'), 'd'])],
    'computed first and last': [[t, k], read('w', [op('mod', ids('id'), i32(3)), 'k', ids('id')])],
    'an index that also moves another': [[k, t, d], read('w', ['k', read('kid', ['t', 'k'], 'i32'), 'd'])],
    'part of an axis': [[range('a', 2), range('b', 3)], read('square', ['a', 'b'])],
    shifted: [[range('a', 4)], op('sub', read('square', [op('add', at('a'), i32(1)), 'a']), read('square', ['a', 0]))],
    reversed: [[t, d], read('x', [op('sub', op('sub', sizeOf('T'), i32(1)), at('t')), 'd'])],
    'a sum over a window': [
      [t, range('a', 3)],
      reduce('sum', [range('o', 3)], read('x', ['t', op('add', at('a'), at('o'))])),
    ],
    'no index at all': [[], op('mul', read('scalar', []), read('scalar', []))],
  };

  for (const [name, [axes, value]] of Object.entries(values)) {
    it.each([6, 1, 0])(`${name}, %d tokens`, async (T) => {
      const used = new Set(
        JSON.stringify(value)
          .match(/"tensor":"\w+"/g)
          ?.map((text) => text.slice(10, -1)),
      );
      const scalarTensor = tensor('weight', 'scalar', []);
      const tensors = [x, w, id, kid, square, scalarTensor].filter((decl) => used.has(decl.name) || decl.name === 'x');
      await compareLayer(layer(['T'], tensors, [statement('y', axes, value)]), { dims: { T }, seed: 7, most: 4 });
    });
  }

  it('part of a runtime axis: positions', async () => {
    const pos = tensor('weight', 'pos', [9, 2]);
    const y = statement('y', [t, range('e', 2)], op('add', read('pos', ['t', 'e']), read('x', ['t', 'e'])));
    const ir = layer(['T'], [x, pos], [y]);
    for (const T of [0, 1, 9]) await compareLayer(ir, { dims: { T }, seed: 8 });
    const data = { pos: new Float32Array(18) };
    const run = runOnnx(graphOf(ir, data), { T: 10 }, { x: new Float32Array(50) });
    await expect(run).rejects.toThrow(/out of data bounds/);
  });

  it.each([
    [4, 'past the end'],
    [-1, 'negative, which ONNX would count from the end'],
  ])('an index of %d fails: %s', async (bad) => {
    const data = { w: new Float32Array(60) };
    const one = layer(['T'], [id, w], [statement('y', [t, d], read('w', [0, ids('id'), 'd']))]);
    const inputs = { id: Int32Array.of(0, bad) };
    await expect(runOnnx(graphOf(one, data), { T: 2 }, inputs)).rejects.toThrow(/out of data bounds/);
    const zero = op('mul', ids('id'), i32(0));
    const two = layer(['T'], [id, w], [statement('y', [t, d], read('w', [zero, ids('id'), 'd']))]);
    await expect(runOnnx(graphOf(two, data), { T: 2 }, inputs)).rejects.toThrow(/out of data bounds/);
    const fixed = layer(
      ['T'],
      [id, w],
      [statement('y', [t, d], op('add', read('w', [0, bad, 'd']), op('to_f32', ids('id'))))],
    );
    await expect(runOnnx(graphOf(fixed, data), { T: 1 }, { id: Int32Array.of(0) })).rejects.toThrow(
      /out of data bounds/,
    );
  });

  it('a condition guards an access', async () => {
    const inside = (index: Expr, size: Expr): Expr => op('and', op('ge', index, i32(0)), op('lt', index, size));
    const before = op('sub', at('t'), i32(2));
    const after = op('add', ids('id'), i32(1));
    const ir = layer(
      ['T'],
      [x, id, w],
      [
        // A causal shift: the row of two tokens ago, or 0.
        statement('shift', [t, d], select(op('ge', before, i32(0)), read('x', [before, 'd']), f32(0))),
        statement('row', [t, d], select(inside(after, i32(4)), read('w', [0, after, 'd']), f32(-1))),
        statement('pair', [t], select(inside(after, i32(4)), read('w', [0, after, after]), f32(-1))),
        statement('first', [range('a', 2)], select(op('gt', sizeOf('T'), i32(0)), read('x', [0, 'a']), f32(-2))),
        statement(
          'nothing',
          [d],
          select(op('gt', sizeOf('T'), i32(3)), read('x', [3, op('sub', i32(4), at('d'))]), f32(-3)),
        ),
      ],
    );
    for (const T of [0, 1, 2, 7]) await compareLayer(ir, { dims: { T }, seed: 9, most: 4 });
  });

  it('a proof that rests on the condition is none where both branches are computed', async () => {
    const before = op('sub', at('t'), i32(2));
    const access = read('x', [before, 'd']);
    const proven: Expr = access.kind === 'access' ? { ...access, inBounds: [true, true] } : access;
    const shift = statement('shift', [t, d], select(op('ge', before, i32(0)), proven, f32(0)));
    for (const T of [0, 1, 4]) await compareLayer(layer(['T'], [x], [shift]), { dims: { T }, seed: 19 });
  });

  it('i8 weights and i32 weights as numbers', async () => {
    const tensors = [tensor('weight', 'a', [5, 3], 'i8'), tensor('weight', 'b', [5], 'i32'), x];
    const scaled = op('mul', op('to_f32', read('a', ['d', 'k'], 'i32')), read('x', ['t', 'd']));
    const ir = layer(['T'], tensors, [
      statement('y', [t, k], reduce('sum', [d], scaled)),
      statement(
        'n',
        [k],
        reduce('sum', [range('e', 5)], op('mul', read('a', ['e', 'k'], 'i32'), read('b', ['e'], 'i32'))),
      ),
    ]);
    await compareLayer(ir, { dims: { T: 3 }, seed: 10, most: 200 });
  });

  it('a tensor bound under another shape', async () => {
    const square9 = Sizes.multiply(Sizes.dim('T'), Sizes.constant(5));
    const flat = layer(
      ['T'],
      [tensor('input', 'x', [square9])],
      [statement('y', [range('f', square9)], op('neg', read('x', ['f'])))],
    );
    const graph = graphOf(flat, {});
    const folded = { name: 'x', storage: 'f32', shape: [Sizes.dim('T'), Sizes.constant(5)] } as const;
    const viewed = { ...graph, tensors: new Map([...graph.tensors, ['x', folded]]) };
    const result = await runOnnx(viewed, { T: 3 }, { x: Float32Array.from({ length: 15 }, (_, i) => i) });
    expect(result.get('y')).toEqual({ shape: [15], data: Float32Array.from({ length: 15 }, (_, i) => -i) });
  });
});
