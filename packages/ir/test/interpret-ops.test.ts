/** Every operation of the Layer IR, at the corners where implementations differ. */
import { describe, expect, it } from 'vitest';
import { type Computed, InterpretError, interpretLayer } from '../src/interpret/index.ts';
import type { Expr, TensorDecl } from '../src/layer-ir.ts';
import {
  at,
  bool,
  define,
  descend,
  f32,
  i32,
  index,
  layer,
  local,
  mapLayer,
  op,
  range,
  reduce,
  select,
  sizeValue,
  tensor,
} from './support/hand-ir.ts';
import { only } from './support/results.ts';

/** y[i] = value for all i, with x and z bound to the given numbers. */
function evaluate(
  value: Expr,
  inputs: Readonly<Record<string, ArrayLike<number>>> = {},
  storage: TensorDecl['storage'] = 'f32',
): number[] {
  const n = Object.values(inputs)[0]?.length ?? 1;
  const decls = Object.entries(inputs).map(([name, values]) => tensor('input', name, [values.length], storage));
  return [...only(interpretLayer(mapLayer(n, value, decls), { tensors: inputs, strict: true }), 'y')];
}

const inf = Number.POSITIVE_INFINITY;
const nan = Number.NaN;
const x = at('x', [index('i')]);
const z = at('z', [index('i')]);
const xi = at('x', [index('i')], 'i32');
const zi = at('z', [index('i')], 'i32');
const asNumber = (condition: Expr): Expr => op('to_i32', condition);

describe('scalar operations', () => {
  it('computes f32 arithmetic in float64', () => {
    const inputs = { x: [0.1, -3.7, 0, inf], z: [0.2, 1.5, -0, -inf] };
    expect(evaluate(op('add', x, z), inputs)).toEqual([0.1 + 0.2, -3.7 + 1.5, 0, nan]);
    expect(evaluate(op('sub', x, z), inputs)).toEqual([0.1 - 0.2, -3.7 - 1.5, 0, inf]);
    expect(evaluate(op('mul', x, z), inputs)).toEqual([0.1 * 0.2, -3.7 * 1.5, -0, -inf]);
    expect(evaluate(op('div', x, z), inputs)).toEqual([0.5, -3.7 / 1.5, nan, nan]);
    expect(evaluate(op('neg', x), inputs)).toEqual([-0.1, 3.7, -0, -inf]);
    expect(evaluate(op('abs', x), inputs)).toEqual([0.1, 3.7, 0, inf]);
    expect(evaluate(op('floor', x), inputs)).toEqual([0, -4, 0, inf]);
  });

  it('propagates NaN through min and max, from either side', () => {
    const inputs = { x: [nan, 1, nan, -inf, 2], z: [1, nan, nan, inf, -2] };
    expect(evaluate(op('min', x, z), inputs)).toEqual([nan, nan, nan, -inf, -2]);
    expect(evaluate(op('max', x, z), inputs)).toEqual([nan, nan, nan, inf, 2]);
  });

  it('computes the functions', () => {
    const inputs = { x: [0, 1, -2.5, 4] };
    expect(evaluate(op('exp', x), inputs)).toEqual([1, Math.E, Math.exp(-2.5), Math.exp(4)]);
    expect(evaluate(op('tanh', x), inputs)).toEqual([0, Math.tanh(1), Math.tanh(-2.5), Math.tanh(4)]);
    expect(evaluate(op('sqrt', x), inputs)).toEqual([0, 1, nan, 2]);
    expect(evaluate(op('ln', x), inputs)).toEqual([-inf, 0, nan, Math.log(4)]);
  });

  it('computes erf: tabulated values, tails, zeros and NaN', () => {
    const [half, one, minusTwo, tail, minusTail, zero, none] = evaluate(op('erf', x), {
      x: [0.5, 1, -2, inf, -30, -0, nan],
    });
    expect(half).toBeCloseTo(0.5204998778130465, 15);
    expect(one).toBeCloseTo(0.8427007929497149, 15);
    expect(minusTwo).toBeCloseTo(-0.9953222650189527, 15);
    expect([tail, minusTail, zero, none]).toEqual([1, -1, -0, nan]);
  });

  it('compares; all comparisons but ne are false for NaN', () => {
    const inputs = { x: [1, 2, 2, nan, 0], z: [2, 2, 1, 1, -0] };
    expect(evaluate(asNumber(op('lt', x, z)), inputs)).toEqual([1, 0, 0, 0, 0]);
    expect(evaluate(asNumber(op('le', x, z)), inputs)).toEqual([1, 1, 0, 0, 1]);
    expect(evaluate(asNumber(op('gt', x, z)), inputs)).toEqual([0, 0, 1, 0, 0]);
    expect(evaluate(asNumber(op('ge', x, z)), inputs)).toEqual([0, 1, 1, 0, 1]);
    expect(evaluate(asNumber(op('eq', x, z)), inputs)).toEqual([0, 1, 0, 0, 1]);
    expect(evaluate(asNumber(op('ne', x, z)), inputs)).toEqual([1, 0, 1, 1, 0]);
    expect(evaluate(asNumber(op('ne', x, x)), inputs)).toEqual([0, 0, 0, 1, 0]);
  });

  it('combines conditions', () => {
    const table = [0, 1, 2, 3].map((k) => [(k & 1) !== 0, (k & 2) !== 0] as const);
    const all = (combine: (a: Expr, b: Expr) => Expr): number[] =>
      table.flatMap(([a, b]) => evaluate(asNumber(combine(bool(a), bool(b)))));
    expect(all((a, b) => op('and', a, b))).toEqual([0, 0, 0, 1]);
    expect(all((a, b) => op('or', a, b))).toEqual([0, 1, 1, 1]);
    expect(all((a) => op('not', a))).toEqual([1, 0, 1, 0]);
  });

  it('wraps i32 arithmetic at 32 bits', () => {
    const inputs = { x: [2147483647, -2147483648, 7, -7], z: [1, -1, 3, 3] };
    expect(evaluate(op('add', xi, zi), inputs, 'i32')).toEqual([-2147483648, 2147483647, 10, -4]);
    expect(evaluate(op('sub', xi, zi), inputs, 'i32')).toEqual([2147483646, -2147483647, 4, -10]);
    expect(evaluate(op('mul', xi, xi), inputs, 'i32')).toEqual([1, 0, 49, 49]);
    expect(evaluate(op('neg', xi), inputs, 'i32')).toEqual([-2147483647, -2147483648, -7, 7]);
    expect(evaluate(op('abs', xi), inputs, 'i32')).toEqual([2147483647, -2147483648, 7, 7]);
    expect(evaluate(op('max', xi, zi), inputs, 'i32')).toEqual([2147483647, -1, 7, 3]);
  });

  it('rounds floordiv and mod towards minus infinity', () => {
    const inputs = { x: [7, -7, 6, -6, 0, 2147483647, -2147483648] };
    expect(evaluate(op('floordiv', xi, i32(3)), inputs, 'i32')).toEqual([2, -3, 2, -2, 0, 715827882, -715827883]);
    expect(evaluate(op('mod', xi, i32(3)), inputs, 'i32')).toEqual([1, 2, 0, 0, 0, 1, 1]);
    expect(evaluate(op('floordiv', xi, i32(-3)), inputs, 'i32')).toEqual([-3, 2, -2, 2, 0, -715827883, 715827882]);
    expect(evaluate(op('mod', xi, i32(-3)), inputs, 'i32')).toEqual([-2, -1, 0, 0, 0, -2, -2]);
  });

  it('converts: to_i32 truncates, saturates and gives 0 for NaN', () => {
    const inputs = { x: [2.9, -2.9, 1e10, -1e10, inf, -inf, nan, -0, 2147483647.5] };
    expect(evaluate(op('to_i32', x), inputs)).toEqual([
      2, -2, 2147483647, -2147483648, 2147483647, -2147483648, 0, 0, 2147483647,
    ]);
    expect(evaluate(op('to_f32', xi), { x: [3, -4] }, 'i32')).toEqual([3, -4]);
    expect(evaluate(op('to_f32', bool(true)))).toEqual([1]);
    expect(evaluate(op('to_i32', xi), { x: [3, -4] }, 'i32')).toEqual([3, -4]);
  });

  it('takes literals as they are, in float64', () => {
    const values = [Math.SQRT1_2, 0.1, -3.4028234663852886e38, -0, inf, 1e-12];
    expect(values.flatMap((value) => evaluate(op('neg', op('neg', f32(value)))))).toEqual(values);
  });

  it('reads indices and sizes as numbers', () => {
    const ir = layer(
      ['T'],
      [tensor('output', 'y', ['T'], 'i32')],
      [define('y', [range('i', 'T')], op('sub', sizeValue('T'), index('i')))],
    );
    expect([...only(interpretLayer(ir, { dims: { T: 4 }, tensors: {} }), 'y')]).toEqual([4, 3, 2, 1]);
  });
});

describe('select', () => {
  it('evaluates only the chosen branch, so that a condition can guard an access', () => {
    const guarded = select(
      op('lt', index('i'), i32(2)),
      at('x', [op('add', index('i'), i32(1))], 'f32', false),
      f32(-1),
    );
    expect(evaluate(guarded, { x: [10, 20, 30] })).toEqual([20, 30, -1]);
  });

  it('keeps loops of a branch inside it', () => {
    const sum = reduce('sum', [range('j', 3)], at('x', [op('add', index('j'), index('i'))], 'f32', false));
    expect(evaluate(select(op('lt', index('i'), i32(1)), sum, op('neg', x)), { x: [1, 2, 4] })).toEqual([7, -2, -4]);
  });

  it('checks what both sides of a conjunction read', () => {
    const outside = op('gt', at('x', [i32(9)], 'f32', false), f32(0));
    expect(() => evaluate(asNumber(op('and', bool(false), outside)), { x: [1] })).toThrow(InterpretError);
  });
});

describe('reductions', () => {
  const over = (body: Expr, name: Parameters<typeof reduce>[0], n: number): Expr => reduce(name, [range('j', n)], body);
  const row = (name: Parameters<typeof reduce>[0], values: readonly number[]): number => {
    const body = at('x', [index('j')]);
    const value = over(body, name, values.length);
    const ir = layer(
      [],
      [tensor('input', 'x', [values.length]), tensor('output', 'y', [], value.type === 'i32' ? 'i32' : 'f32')],
      [define('y', [], value)],
    );
    return only(interpretLayer(ir, { tensors: { x: values }, strict: true }), 'y')[0] ?? nan;
  };

  it('of nothing are the neutral elements', () => {
    expect([
      row('sum', []),
      row('prod', []),
      row('max', []),
      row('min', []),
      row('argmax', []),
      row('argmin', []),
    ]).toEqual([0, 1, -inf, inf, 0, 0]);
  });

  it('compute, with NaN going through max and min', () => {
    const values = [3, -1, 4, -1.5];
    expect([row('sum', values), row('prod', values), row('max', values), row('min', values)]).toEqual([
      4.5, 18, 4, -1.5,
    ]);
    expect([row('max', [1, nan, 2]), row('min', [1, nan, 2]), row('sum', [1, nan])]).toEqual([nan, nan, nan]);
  });

  it('argmax and argmin: lowest of ties, NaN never wins', () => {
    expect(row('argmax', [1, 3, 2, 3])).toBe(1);
    expect(row('argmin', [1, 0, 2, 0])).toBe(1);
    expect(row('argmax', [nan, -inf, nan])).toBe(1);
    expect(row('argmin', [nan, inf, nan])).toBe(1);
    expect(row('argmax', [nan, nan])).toBe(0);
    expect(row('argmax', [nan, 1, 5, nan])).toBe(2);
    expect(row('argmin', [-0, 0])).toBe(0);
  });

  it('run over several indices, and nest', () => {
    const body = op('mul', at('x', [index('j')]), at('x', [index('k')]));
    expect(evaluate(reduce('sum', [range('j', 3), range('k', 2)], body), { x: [1, 2, 3] })).toEqual([18, 18, 18]);
    const nested = reduce('max', [range('j', 3)], reduce('sum', [range('k', 3)], op('mul', body, f32(-1))));
    expect(evaluate(nested, { x: [1, 2, 3] })).toEqual([-6, -6, -6]);
  });

  it('work on integers', () => {
    const body = at('x', [index('j')], 'i32');
    const both = (['sum', 'prod', 'max', 'min'] as const).map(
      (name) => evaluate(over(body, name, 3), { x: [4, -5, 6] }, 'i32')[0],
    );
    expect(both).toEqual([5, -120, 6, -5]);
  });
});

describe('descents', () => {
  const next = (go: Expr): Expr => op('add', op('add', op('mul', i32(2), local('n', 'i32')), i32(1)), op('to_i32', go));
  const score = at('x', [local('n', 'i32')]);
  const run = (value: Expr, n: number, values: readonly number[]): Computed => {
    const storage = value.type === 'i32' ? 'i32' : 'f32';
    const ir = layer(
      [],
      [tensor('input', 'x', [n]), tensor('output', 'y', [2], storage)],
      [define('y', [range('o', 2)], value)],
    );
    return only(interpretLayer(ir, { tensors: { x: values }, strict: true }), 'y');
  };
  const yields = op('mul', local('s', 'f32'), op('to_f32', op('add', index('o'), i32(1))));
  const sum = (levels: number): Expr =>
    descend({ levels, lets: { s: score }, yield: yields, next: next(op('gt', local('s', 'f32'), f32(0))) });

  it('sum what is yielded along the way', () => {
    expect(run(sum(3), 7, [1, 100, -2, 100, 100, 4, 100])).toEqual(Float64Array.of(3, 6));
    expect(run(sum(1), 1, [0.5])).toEqual(Float64Array.of(0.5, 1));
  });

  it('of no level are 0, or the result at the start', () => {
    expect(run(sum(0), 0, [])).toEqual(Float64Array.of(0, 0));
    const leaf = descend({ levels: 0, init: i32(5), next: i32(99), result: op('mul', local('n', 'i32'), index('o')) });
    expect(run(leaf, 0, [])).toEqual(Int32Array.of(0, 5));
  });

  it('give the result after the last step', () => {
    const leaf = descend({
      levels: 2,
      lets: { s: score },
      next: next(op('ge', local('s', 'f32'), f32(0))),
      result: op('sub', local('n', 'i32'), i32(3)),
    });
    expect(run(leaf, 3, [0, -1, -1])).toEqual(Int32Array.of(2, 2));
    expect(run(leaf, 3, [nan, -0, -1])).toEqual(Int32Array.of(1, 1));
  });

  it('compute lets that the yield needs and the route does not, at every value', () => {
    const lets = {
      s: score,
      scaled: op('add', local('s', 'f32'), op('to_f32', index('o'))),
      positive: op('gt', local('s', 'f32'), f32(0)),
    };
    const value = descend({ levels: 2, lets, yield: local('scaled', 'f32'), next: next(local('positive', 'bool')) });
    expect(run(value, 3, [1, 50, 7])).toEqual(Float64Array.of(8, 10));
  });

  it('run inside one another', () => {
    const inner = descend({
      node: 'm',
      init: local('n', 'i32'),
      levels: 2,
      yield: at('x', [local('m', 'i32')]),
      next: op('add', local('m', 'i32'), i32(1)),
    });
    const outer = descend({
      levels: 3,
      yield: op('mul', inner, op('to_f32', op('add', index('o'), i32(1)))),
      next: op('add', local('n', 'i32'), i32(1)),
    });
    expect(run(outer, 4, [1, 10, 100, 1000])).toEqual(Float64Array.of(11 + 110 + 1100, 2442));
  });

  it('behind a condition walk only where it holds', () => {
    const value = select(
      op('gt', index('o'), i32(0)),
      descend({ levels: 1, init: i32(9), yield: at('x', [local('n', 'i32')], 'f32', false), next: i32(0) }),
      f32(5),
    );
    const ir = layer(
      [],
      [tensor('input', 'x', [1]), tensor('output', 'y', [1])],
      [define('y', [range('o', 1)], value)],
    );
    expect(only(interpretLayer(ir, { tensors: { x: [1] } }), 'y')).toEqual(Float64Array.of(5));
    expect(() => run(value, 1, [1])).toThrow('index 1 of x is 9');
  });
});
