/** Reductions: every operation, sums of products of many shapes, nothing to reduce, NaN and ties. */
import { type Expr, type LayerIR, type ReduceOp, Sizes } from '@espalier/ir';
import { describe, expect, it } from 'vitest';
import { at, f32, layer, op, range, read, reduce, select, statement, tensor } from './expressions.ts';
import { exportedOperators } from './model.ts';
import { compareLayer, graphOf } from './reference.ts';

const ops: readonly ReduceOp[] = ['sum', 'prod', 'max', 'min', 'argmax', 'argmin'];
const t = range('t', 'T');
const r = range('r', 'R');
const i = range('i', 5);
const j = range('j', 3);

const of = (factors: readonly Expr[]): Expr => factors.reduce((a, b) => op('mul', a, b));

describe('reductions', () => {
  for (const name of ops) {
    for (const type of ['f32', 'i32'] as const) {
      it.each([
        { T: 3, R: 7 },
        { T: 3, R: 1 },
        { T: 3, R: 0 },
        { T: 0, R: 2 },
        { T: 0, R: 0 },
      ])(`${name} of ${type} %j`, async (dims) => {
        const ir = layer(
          ['T', 'R'],
          [tensor('input', 'x', ['T', 'R', 2], type)],
          [
            statement('rows', [t, range('d', 2)], reduce(name, [r], read('x', ['t', 'r', 'd'], type))),
            statement(
              'columns',
              [range('d2', 2), range('r2', 'R')],
              reduce(name, [range('t2', 'T')], read('x', ['t2', 'r2', 'd2'], type)),
            ),
          ],
        );
        await compareLayer(ir, { dims, seed: 11, most: 5 });
      });
    }

    it(`${name} over an axis that is never there`, async () => {
      const ir = layer(
        ['T'],
        [tensor('input', 'x', ['T', 0])],
        [statement('y', [t], reduce(name, [range('n', 0)], read('x', ['t', 'n'])))],
      );
      await compareLayer(ir, { dims: { T: 3 }, seed: 12 });
    });

    it(`${name} of what does not depend on the index`, async () => {
      const ir = layer(
        ['T', 'R'],
        [tensor('input', 'x', ['T']), tensor('input', 'z', ['R'])],
        [statement('y', [t], reduce(name, [r], read('x', ['t']))), statement('z1', [r], read('z', ['r']))],
      );
      for (const R of [0, 1, 4]) await compareLayer(ir, { dims: { T: 3, R }, seed: 13 });
    });

    it(`${name} with NaN, infinities and ties`, async () => {
      const rows = [
        [1, 3, 3, 2, 0],
        [Number.NaN, 1, 5, 5, 2],
        [4, Number.NaN, 1, 4, 1],
        [Number.NaN, Number.NaN, Number.NaN, Number.NaN, Number.NaN],
        [Number.NaN, Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN, Number.NEGATIVE_INFINITY],
        [Number.POSITIVE_INFINITY, Number.NaN, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 1],
        [0, -0, 0, -0, -0],
      ];
      const ir = layer(
        ['T'],
        [tensor('input', 'x', ['T', 5])],
        [
          statement('y', [t], reduce(name, [i], read('x', ['t', 'i']))),
          statement('z', [range('k', 5)], reduce(name, [range('u', 'T')], read('x', ['u', 'k']))),
        ],
      );
      await compareLayer(ir, { dims: { T: rows.length }, seed: 0, data: { x: Float32Array.from(rows.flat()) } });
    });
  }

  it.each(['sum', 'prod', 'max', 'min'] as const)('%s over several indices, of an expression', async (name) => {
    const body = op('add', read('x', ['t', 'i', 'j']), op('to_f32', op('mul', at('i'), at('t'))));
    const ir = layer(
      ['T'],
      [tensor('input', 'x', ['T', 5, 3])],
      [statement('y', [t], reduce(name, [i, j], op('mul', body, f32(0.1))))],
    );
    await compareLayer(ir, { dims: { T: 3 }, seed: 14, terms: 15 });
  });

  it('a best index that is used as one', async () => {
    const best = reduce('argmax', [i], read('x', ['t', 'i']));
    const ir = layer(
      ['T'],
      [tensor('input', 'x', ['T', 5])],
      [statement('y', [t, j], op('mul', read('x', ['t', best]), op('to_f32', at('j'))))],
    );
    await compareLayer(ir, { dims: { T: 4 }, seed: 15 });
  });
});

describe('sums of products', () => {
  const x = tensor('input', 'x', ['T', 5]);
  const a = tensor('input', 'a', ['T', 5, 3]);
  const w = tensor('weight', 'w', [4, 5]);
  const m = tensor('weight', 'm', [4, 5, 3]);
  const v = tensor('weight', 'v', [5]);
  const u = tensor('weight', 'u', [3]);
  const o = range('o', 4);
  const X = read('x', ['t', 'i']);
  const A = read('a', ['t', 'i', 'j']);
  const W = read('w', ['o', 'i']);
  const M = read('m', ['o', 'i', 'j']);
  const V = read('v', ['i']);
  const U = read('u', ['j']);

  const programs: Readonly<Record<string, LayerIR>> = {
    x·wᵀ: layer(['T'], [x, w], [statement('y', [t, o], reduce('sum', [i], of([X, W])))]),
    'w·xᵀ, turned': layer(['T'], [x, w], [statement('y', [o, t], reduce('sum', [i], of([X, W])))]),
    'a vector': layer(['T'], [x, v], [statement('y', [t], reduce('sum', [i], of([V, X])))]),
    squares: layer(['T'], [x], [statement('y', [t], reduce('sum', [i], of([X, X])))]),
    'two summed indices': layer(['T'], [a, m], [statement('y', [t, o], reduce('sum', [i, j], of([A, M])))]),
    'a sum in a sum': layer(
      ['T'],
      [a, m],
      [statement('y', [t, o], reduce('sum', [i], reduce('sum', [j], of([A, M]))))],
    ),
    'two kept indices on each side': layer(
      ['T'],
      [a, m],
      [statement('y', [o, range('k', 3), t, j], reduce('sum', [i], of([A, read('m', ['o', 'i', 'k'])])))],
    ),
    'a batch': layer(
      ['T'],
      [a, x, m],
      [statement('y', [t, range('s', 'T'), j], reduce('sum', [i], of([A, read('a', ['s', 'i', 'j'])])))],
    ),
    'no index in common': layer(['T'], [x, u], [statement('y', [t], reduce('sum', [i, j], of([X, U])))]),
    'one side summed alone': layer(['T'], [x, m], [statement('y', [t, o], reduce('sum', [i, j], of([X, M])))]),
    bilinear: layer(
      ['T'],
      [x, a, m],
      [statement('y', [t, o], reduce('sum', [i, j], of([X, M, read('a', ['t', 0, 'j'])])))],
    ),
    'four factors': layer(['T'], [x, w, v], [statement('y', [t, o], reduce('sum', [i], of([X, W, V, f32(0.5)])))]),
    'factors that grow apart': layer(
      ['T'],
      [x, w],
      [statement('y', [t, o, range('p', 4)], reduce('sum', [i], of([X, W, read('w', ['p', 'i'])])))],
    ),
    differences: layer(
      ['T'],
      [x, w],
      [statement('y', [t, o], reduce('sum', [i], of([op('sub', X, W), op('sub', X, W)])))],
    ),
    'a factor without the index': layer(
      ['T'],
      [x, w],
      [statement('y', [t, o], reduce('sum', [i], of([read('w', ['o', 0]), X])))],
    ),
    'a masked sum': layer(
      ['T'],
      [x, w],
      [statement('y', [t, o], reduce('sum', [i], select(op('gt', W, f32(0)), of([X, W]), f32(0))))],
    ),
    integers: layer(
      ['T'],
      [tensor('input', 'n', ['T', 5], 'i32'), tensor('weight', 'q', [4, 5], 'i32')],
      [statement('y', [t, o], reduce('sum', [i], of([read('n', ['t', 'i'], 'i32'), read('q', ['o', 'i'], 'i32')])))],
    ),
    'a runtime inner index': layer(
      ['T'],
      [x],
      [statement('y', [i, range('k', 5)], reduce('sum', [t], of([X, read('x', ['t', 'k'])])))],
    ),
  };

  for (const [name, ir] of Object.entries(programs)) {
    it.each([4, 1, 0])(`${name}, %d tokens`, async (T) => {
      await compareLayer(ir, { dims: { T }, seed: 16, most: 100, terms: 15 });
    });
  }

  it('runs the dense case as one matrix multiplication', () => {
    const dense = layer(['T'], [x, w], [statement('y', [t, o], reduce('sum', [i], of([X, W])))]);
    const types = exportedOperators(graphOf(dense, { w: new Float32Array(20) }));
    expect(types.filter((type) => type === 'MatMul')).toHaveLength(1);
    expect(types.filter((type) => type.startsWith('Reduce') || type === 'Expand' || type === 'Mul')).toEqual([]);
  });

  it('sizes over dims', async () => {
    const both = Sizes.multiply(Sizes.dim('T'), Sizes.dim('R'));
    const ir = layer(
      ['T', 'R'],
      [tensor('input', 'x', ['T', 'R']), tensor('input', 'f', [both])],
      [
        statement(
          'y',
          [],
          op('add', reduce('sum', [range('b', both)], read('f', ['b'])), reduce('sum', [t, r], read('x', ['t', 'r']))),
        ),
      ],
    );
    await compareLayer(ir, { dims: { T: 3, R: 5 }, seed: 17, terms: 15 });
  });
});
