/** Tensors against each other: plain differences, NaN and infinities, lost rows, nothing; and argmax with ties. */
import { describe, expect, test } from 'vitest';
import { argmaxAgreement, differenceOf } from '../src/compare/values.ts';

const f = (...values: number[]): Float64Array => Float64Array.from(values);

describe('differences', () => {
  test('largest, where, relative RMS, cosine', () => {
    const result = differenceOf(f(1, 2, 3, 4.5), f(1, 2, 3, 4), 2);
    expect(result).toMatchObject({ count: 4, maxAbs: 0.5, at: { row: 1, column: 1 }, found: 4.5, expected: 4 });
    expect(result.relativeRms).toBeCloseTo(0.5 / Math.sqrt(30), 12);
    expect(result.cosine).toBeCloseTo(32 / Math.sqrt(34.25 * 30), 12);
  });

  test('equal tensors, also of zeros, NaN and infinities', () => {
    const same = f(0, Number.NaN, Number.POSITIVE_INFINITY, -3);
    expect(differenceOf(same, same, 1)).toMatchObject({ maxAbs: 0, at: null, relativeRms: 0, cosine: 1 });
    expect(differenceOf(f(0, -0), f(-0, 0), 1)).toMatchObject({ maxAbs: 0, cosine: 1 });
  });

  test.each([
    ['NaN for a number', f(1, Number.NaN), f(1, 2)],
    ['a number for NaN', f(1, 2), f(1, Number.NaN)],
    ['an infinity for a number', f(1, Number.NEGATIVE_INFINITY), f(1, 2)],
    ['the other infinity', f(1, Number.NEGATIVE_INFINITY), f(1, Number.POSITIVE_INFINITY)],
  ])('%s is infinitely far', (_, found, expected) => {
    expect(differenceOf(found, expected, 1)).toMatchObject({
      maxAbs: Number.POSITIVE_INFINITY,
      at: { row: 0, column: 1 },
    });
  });

  test('the worst is found also after a first infinity, and lost rows do not count', () => {
    expect(differenceOf(f(9, 1, 9, 2), f(0, 1, 0, 1), 2, Uint8Array.of(1, 1))).toMatchObject({
      count: 0,
      maxAbs: 0,
      at: null,
    });
    expect(differenceOf(f(9, 1, 9, 2), f(0, 1, 8, 1), 2, Uint8Array.of(1, 0))).toMatchObject({ count: 2, maxAbs: 1 });
  });

  test('nothing agrees with nothing; lengths must match', () => {
    expect(differenceOf(f(), f(), 0)).toMatchObject({ count: 0, maxAbs: 0, cosine: 1 });
    expect(differenceOf(f(), f(), 3)).toMatchObject({ count: 0, maxAbs: 0 });
    expect(() => differenceOf(f(1), f(1, 2), 1)).toThrow(RangeError);
  });
});

describe('argmax', () => {
  test('equal, other, and other but tied', () => {
    const expected = f(1, 2, 3, 3, 2.999, 0, 0, 5, 1);
    const found = f(1, 2, 3, 2.999, 3, 0, 6, 5, 1);
    expect(argmaxAgreement(found, expected, 3, 0.001)).toEqual({ rows: 3, equal: 1, tied: 1 });
    expect(argmaxAgreement(found, expected, 3, 0.001, Uint8Array.of(0, 0, 1))).toEqual({ rows: 2, equal: 1, tied: 1 });
    expect(argmaxAgreement(f(), f(), 0, 1)).toEqual({ rows: 0, equal: 0, tied: 0 });
  });
});
