/** Which programs are ground for a comparison: those in which roundings of float32 decide nothing, and no error of the program's own is hidden. */
import { InterpretError, layerFromText } from '@espalier/ir';
import { describe, expect, it } from 'vitest';
import { conditionedReference } from '../src/conditioning.ts';

const noneExact: ReadonlySet<string> = new Set();
const picking = layerFromText(
  `layer picking(N) {
    input x[N], table[1]
    output y[o in 2] = table[i32(sum i: x[i])] * f32(o + 1)
  }`,
  {},
);
const table = Float32Array.of(3);

describe('an index made of a sum', () => {
  it('that no rounding moves is compared', () => {
    const x = Float32Array.of(0.1, 0.3);
    const reference = conditionedReference(picking, { N: 2 }, { x, table }, noneExact);
    expect([...(reference?.expected['y'] ?? [])]).toEqual([3, 6]);
    expect(reference?.allowed['y']).toBeGreaterThan(0);
    expect(reference?.allowed['y']).toBeLessThan(1e-4);
  });

  it('that only a rounding carries outside is no ground for a comparison', () => {
    // Ten numbers whose sum is below 1 by less than float32 may add.
    const x = new Float32Array(10).fill(Math.fround(0.1) - 2 ** -27);
    const sum = x.reduce((total, v) => total + v, 0);
    expect(1 - sum).toBeGreaterThan(0);
    expect(1 - sum).toBeLessThan(1e-7);
    expect(conditionedReference(picking, { N: 10 }, { x, table }, noneExact)).toBe(null);
  });

  it('that lies outside by itself is an error', () => {
    const x = Float32Array.of(1.5);
    const compare = () => conditionedReference(picking, { N: 1 }, { x, table }, noneExact);
    expect(compare).toThrow(InterpretError);
    expect(compare).toThrow(expect.objectContaining({ code: 'out-of-range' }));
  });
});

describe('a route', () => {
  const walk = layerFromText(
    `layer walk(T) {
      input x[T, 3]
      weight w[3, 3]
      output y[t, o in 2] = descend n = 0 for 2 {
        s = sum i: x[t, i] * w[n, i]
        yield f32(n + o)
        n <- 2 * n + 1 + i32(s > 0)
      }
    }`,
    {},
  );
  const w = Float32Array.of(0.1, 0.2, -0.3, 1, 1, 1, 1, 1, 1);

  it('that hangs on a clear score is compared', () => {
    const x = Float32Array.of(1, 1, 0.5);
    expect(conditionedReference(walk, { T: 1 }, { x, w }, noneExact)?.expected['y']).toHaveLength(2);
  });

  it('that hangs on a score within its rounding is not', () => {
    const x = Float32Array.of(1, 1, 1);
    expect(conditionedReference(walk, { T: 1 }, { x, w }, noneExact)).toBe(null);
  });
});
