/** Index polynomials: they mean what their expression means, and what is said about strides and residues is true. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { affine, constantOf, equal, exprKey, plus, residue, scale, strideOf, toExpr } from '../src/kernel-ir/affine.ts';
import * as k from '../src/kernel-ir/build.ts';
import type { Expr } from '../src/kernel-ir/types.ts';
import { meaningOf } from '../src/simulate/arithmetic.ts';

type Values = Readonly<Record<string, number>>;
const names = ['a', 'b', 'T'];

/** Expressions over two names and a dim; products, and opaque parts (divisions, minima). */
const expressions: fc.Arbitrary<Expr> = fc.letrec<{ e: Expr }>((tie) => ({
  e: fc.oneof(
    { maxDepth: 4 },
    fc.integer({ min: -9, max: 9 }).map(k.i32),
    fc.constantFrom(k.index('a'), k.index('b'), k.dim('T')),
    fc
      .tuple(fc.constantFrom('add', 'sub', 'mul', 'min'), tie('e'), tie('e'))
      .map(([op, x, y]) => k.op(op as 'add', x, y)),
    fc.tuple(tie('e'), fc.integer({ min: 1, max: 5 })).map(([x, n]) => k.op('floordiv', x, k.i32(n))),
  ),
})).e;
const values = fc.record({ a: fc.integer({ min: -9, max: 9 }), b: fc.integer({ min: 0, max: 9 }), T: fc.nat(9) });

function evaluate(e: Expr, at: Values): number {
  if (e.kind === 'literal') return e.value;
  if (e.kind === 'ref' || e.kind === 'dim') return at[e.name] ?? Number.NaN;
  if (e.kind === 'op') return meaningOf(e.op, 'i32')(...(e.args.map((a) => evaluate(a, at)) as [number, number]));
  throw new Error(`no meaning for ${e.kind}`);
}
/** Equal as 32-bit integers, without a negative zero. */
const same = (x: number, y: number): void => {
  expect(x | 0).toBe(y | 0);
};

describe('affine', () => {
  it('means what its expression means', () => {
    fc.assert(fc.property(expressions, values, (e, at) => same(evaluate(toExpr(affine(e)), at), evaluate(e, at))));
  });

  it('is written back in any order of terms', () => {
    const rank = (e: Expr): number => exprKey(e).length % 3;
    fc.assert(
      fc.property(expressions, values, (e, at) => same(evaluate(toExpr(affine(e), rank), at), evaluate(e, at))),
    );
  });

  it('adds, scales and compares', () => {
    fc.assert(
      fc.property(expressions, expressions, fc.integer({ min: -4, max: 4 }), (x, y, n) => {
        expect(equal(affine(k.add(x, y)), plus(affine(x), affine(y)))).toBe(true);
        expect(equal(affine(k.mul(x, k.i32(n))), scale(affine(x), n))).toBe(true);
        expect(equal(affine(k.mul(x, y)), affine(k.mul(y, x)))).toBe(true);
        expect(equal(affine(x), plus(affine(x), affine(k.i32(1))))).toBe(false);
      }),
    );
  });

  it('knows the stride of a name, or says nothing', () => {
    let known = 0;
    fc.assert(
      fc.property(expressions, values, fc.constantFrom(...names.slice(0, 2)), (e, at, name) => {
        const stride = strideOf(affine(e), name);
        if (stride === null) return;
        known++;
        same(evaluate(e, { ...at, [name]: (at[name as 'a'] ?? 0) + 1 }) - evaluate(e, at), stride);
      }),
      { numRuns: 500 },
    );
    expect(known).toBeGreaterThan(50);
  });

  it('knows a residue, or says nothing', () => {
    let known = 0;
    fc.assert(
      fc.property(
        expressions,
        values,
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 1, max: 8 }),
        (e, at, n, m) => {
          const rest = residue(affine(e), n, new Map([['a', m]]));
          if (rest === null) return;
          known++;
          const value = evaluate(e, { ...at, a: at.a * m });
          same(value - Math.floor(value / n) * n, rest);
        },
      ),
      { numRuns: 1000 },
    );
    expect(known).toBeGreaterThan(50);
  });

  it('recognises numbers', () => {
    const a = k.index('a');
    expect(constantOf(affine(k.sub(k.mul(a, k.i32(3)), k.add(a, k.add(a, a)))))).toBe(0);
    expect(constantOf(affine(k.i32(7)))).toBe(7);
    expect(constantOf(affine(a))).toBeNull();
  });
});

describe('exprKey', () => {
  it('tells apart what is different', () => {
    const float = k.scalar('f32');
    const x = k.load('x', [k.index('a')], float);
    const different = [
      k.f32(0),
      k.f32(-0),
      k.i32(0),
      k.index('a'),
      k.dim('a'),
      x,
      k.load('x', [k.index('a')], float, 1),
      k.load('x', [k.index('b')], float),
      k.load('y', [k.index('a')], float),
      k.load('x', [k.index('a')], k.vector('f32', 4)),
      k.splat(x, 4),
      k.lanesOf([x, x]),
      k.extract(k.lanesOf([x, x]), 0),
      k.extract(k.lanesOf([x, x]), 1),
      k.fold('add', k.splat(x, 4)),
      k.fold('max', k.splat(x, 4)),
      k.op('neg', x),
      k.op('abs', x),
    ];
    expect(new Set(different.map(exprKey)).size).toBe(different.length);
  });
});
