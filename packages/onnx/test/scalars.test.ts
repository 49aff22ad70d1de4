/** Every scalar operation, on ordinary numbers and on those where programs differ. */
import { type Expr, type LayerIR, type ScalarOp, Sizes } from '@espalier/ir';
import { describe, expect, it } from 'vitest';
import { at, bool, f32, i32, layer, op, range, read, select, sizeOf, statement, tensor } from './expressions.ts';
import { compareLayer } from './reference.ts';

const values = Float32Array.of(
  ...[0, -0, 1, -1, 0.5, -2.5, 3.75, 1e-30, 1e30, -1e30, 2147483520, 2147483648, -2147483648, -2147483904, 16777217],
  ...[Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 7.999, -7.999],
);
const integers = Int32Array.of(0, 1, -1, 2, -2, 3, -3, 7, -7, 2147483647, -2147483648, 46341);
const N = values.length;
const M = integers.length;

/** One statement over every pair of test values. */
const pairs = (type: 'f32' | 'i32', body: (a: Expr, b: Expr) => Expr): LayerIR => {
  const count = type === 'f32' ? N : M;
  const value = body(read('a', ['i'], type), read('b', ['j'], type));
  const stored = value.type === 'bool' ? op('to_i32', value) : value;
  return layer(
    [],
    [tensor('input', 'a', [count], type), tensor('input', 'b', [count], type)],
    [statement('y', [range('i', count), range('j', count)], stored)],
  );
};
const data = (type: 'f32' | 'i32') => (type === 'f32' ? { a: values, b: values } : { a: integers, b: integers });

/** float32 of the float64 result: what a single correctly rounded operation gives. */
async function exactly(ir: LayerIR, type: 'f32' | 'i32'): Promise<void> {
  await compareLayer(ir, { seed: 0, data: data(type), rounded: true });
}

const both: readonly ScalarOp[] = ['add', 'sub', 'mul', 'min', 'max', 'eq', 'ne', 'lt', 'le', 'gt', 'ge'];

describe('scalar operations', () => {
  for (const type of ['f32', 'i32'] as const) {
    it.each(both)(`%s of ${type}`, async (name) => {
      await exactly(
        pairs(type, (a, b) => op(name, a, b)),
        type,
      );
    });
    it.each(['neg', 'abs'] as const)(`%s of ${type}`, async (name) => {
      await exactly(
        pairs(type, (a) => op(name, a)),
        type,
      );
    });
  }

  it.each(['sqrt', 'floor'] as const)('%s', async (name) => {
    await exactly(
      pairs('f32', (a) => op(name, a)),
      'f32',
    );
  });

  it('div', async () => {
    await exactly(
      pairs('f32', (a, b) => op('div', a, b)),
      'f32',
    );
  });

  // Functions that ONNX Runtime approximates: near the exact value, and at the same special values.
  it.each(['exp', 'ln', 'tanh', 'erf'] as const)('%s', async (name) => {
    const body = (a: Expr): Expr => op(name, name === 'exp' ? op('min', a, f32(1)) : a);
    await compareLayer(pairs('f32', body), { seed: 0, data: data('f32') });
  });

  it.each([1, -1, 2, -2, 3, -3, 7, 46341, 2147483647])('floordiv and mod by %d', async (divisor) => {
    await exactly(
      pairs('i32', (a) => op('floordiv', a, i32(divisor))),
      'i32',
    );
    await exactly(
      pairs('i32', (a) => op('mod', a, i32(divisor))),
      'i32',
    );
  });

  it('mod by a size that is 0 in a loop that does not run', async () => {
    const y = statement('y', [range('t', 'T')], op('mod', at('t'), sizeOf('T')));
    const x = tensor('input', 'x', ['T']);
    const ir = layer(['T'], [x], [statement('z', [range('u', 'T')], read('x', ['u'])), y]);
    for (const T of [0, 1, 5]) await compareLayer(ir, { dims: { T }, seed: 1 });
  });

  it('to_i32 truncates, saturates, and gives 0 for NaN', async () => {
    await exactly(
      pairs('f32', (a) => op('to_i32', a)),
      'f32',
    );
  });

  it('to_f32 of i32 and of bool', async () => {
    await exactly(
      pairs('i32', (a) => op('to_f32', a)),
      'i32',
    );
    await exactly(
      pairs('i32', (a, b) => op('to_f32', op('lt', a, b))),
      'i32',
    );
  });

  it.each(['and', 'or', 'eq', 'ne'] as const)('%s of bool', async (name) => {
    const body = (a: Expr, b: Expr): Expr => op(name, op('lt', a, b), op('gt', a, f32(0)));
    await exactly(pairs('f32', body), 'f32');
  });

  it('not', async () => {
    await exactly(
      pairs('f32', (a, b) => op('not', op('lt', a, b))),
      'f32',
    );
  });

  it('select of f32, i32 and bool', async () => {
    await exactly(
      pairs('f32', (a, b) => select(op('lt', a, b), a, f32(2))),
      'f32',
    );
    await exactly(
      pairs('i32', (a, b) => select(op('lt', a, b), a, b)),
      'i32',
    );
    await exactly(
      pairs('f32', (a, b) => select(op('lt', a, b), op('gt', a, f32(0)), bool(true))),
      'f32',
    );
  });

  it('literals, indices and sizes as numbers', async () => {
    const plus = Sizes.add(Sizes.multiply(Sizes.dim('T'), Sizes.dim('T')), Sizes.constant(-3));
    const ir = layer(
      ['T'],
      [tensor('input', 'x', ['T', 3])],
      [
        statement('y', [range('t', 'T'), range('d', 3)], op('add', read('x', ['t', 'd']), f32(-0.1))),
        statement('i', [range('a', 2), range('b', 'T')], op('add', at('b'), op('mul', at('a'), sizeOf(plus)))),
        statement('c', [], f32(Number.NEGATIVE_INFINITY)),
        statement('r', [range('e', 4), range('f', 'T')], f32(1e-12)),
      ],
    );
    const { c } = await compareLayer(ir, { dims: { T: 5 }, seed: 2 });
    expect(c).toEqual(Float64Array.of(Number.NEGATIVE_INFINITY));
    await compareLayer(ir, { dims: { T: 0 }, seed: 2 });
  });
});
