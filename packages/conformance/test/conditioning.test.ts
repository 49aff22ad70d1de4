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

describe('a result', () => {
  it('that is a long product may be off by as many roundings as it has factors, whatever the data', () => {
    // The same factor 208 times: lanes that multiply 26 of them each make the same error, and its eighth power is taken.
    const layer = layerFromText(
      `layer power(A) {
        weight w[1]
        output y[o in 1] = prod k in A: w[0]
      }`,
      {},
    );
    for (let i = 0; i < 200; i++) {
      const w = Float32Array.of(0.9 + i / 1000);
      const most = Math.abs((w[0] as number) ** 208);
      const allowed = conditionedReference(layer, { A: 208 }, { w }, noneExact)?.allowed['y'] ?? 0;
      expect(allowed).toBeGreaterThan(207 * 2 ** -25 * most);
      expect(allowed).toBeLessThan(20 * 207 * 2 ** -24 * most);
    }
  });

  it('that is a sum of which little is left may be off by what its partial sums were rounded by', () => {
    const layer = layerFromText(
      `layer total(A) {
        input x[A]
        output y[o in 1] = sum k in A: x[k]
      }`,
      {},
    );
    // From left to right nothing is rounded until the last four; four lanes would add the small ones to the large ones.
    const x = Float32Array.of(1000.1, -1000.1, 500.3, -500.3, 0.001, 0.002, 0.003, 0.004);
    const reference = conditionedReference(layer, { A: 8 }, { x }, noneExact);
    expect(reference?.allowed['y']).toBeGreaterThan(2 ** -24 * 1000);
  });
});
