/** Accuracy and special values of the expansions, evaluated in f32 with `fma` rounding once and twice. */
import erf from '@stdlib/math-base-special-erf';
import { describe, expect, it } from 'vitest';
import { add, f32, mul, op, ref, scalar, store } from '../src/kernel-ir/build.ts';
import { expandMath, expansions, type MathOp } from '../src/passes/expand-math/index.ts';
import { compileLane, type FmaMode, fromBits } from './support/evaluate-lane.ts';

const modes: readonly FmaMode[] = ['fused', 'mul + add'];
const names: readonly MathOp[] = ['exp', 'ln', 'tanh', 'erf'];

const references: Readonly<Record<MathOp, (x: number) => number>> = {
  exp: Math.exp,
  ln: Math.log,
  tanh: Math.tanh,
  erf,
};

/** Largest errors in ulp, as stated in expansions.ts. */
const bounds: Readonly<Record<MathOp, Readonly<Record<FmaMode, number>>>> = {
  exp: { fused: 0.95, 'mul + add': 1.25 },
  ln: { fused: 0.95, 'mul + add': 1 },
  tanh: { fused: 2.6, 'mul + add': 2.6 },
  erf: { fused: 1.6, 'mul + add': 1.7 },
};

function compile(name: MathOp, mode: FmaMode): (x: number) => number {
  let count = 0;
  const expansion = expansions[name](ref('x', scalar('f32')), (hint) => `${hint}_${count++}`);
  return compileLane(expansion, 'x', mode);
}

const doubles = new Float64Array(1);
const words = new Int32Array(doubles.buffer);
const largest = fromBits(0x7f7fffff);

/** The distance of f32 neighbours in the binade of a reference value. */
function ulp(value: number): number {
  doubles[0] = value;
  return 2 ** Math.max((((words[1] ?? 0) >>> 20) & 0x7ff) - 1023 - 23, -149);
}

/** Error in ulp; infinity where the result is NaN or infinite and should not be. Rounding may overflow: infinity is 2^128 then. */
function ulpError(result: number, reference: number): number {
  const limit = 2 ** 128;
  const clip = (v: number): number => Math.max(-limit, Math.min(limit, v));
  if (Number.isNaN(result) !== Number.isNaN(reference)) return Infinity;
  if (Number.isNaN(reference) || result === reference) return 0;
  const expected = clip(reference);
  return Math.abs(clip(result) - expected) / (Math.abs(expected) >= limit ? ulp(largest) : ulp(expected));
}

/** Visits finite f32 from bit pattern `first` to `last`, `stride` patterns apart. */
function sweep(first: number, last: number, stride: number, visit: (x: number) => void): number {
  let count = 0;
  for (let bits = first; bits <= last; bits += stride) {
    const x = fromBits(bits | 0);
    if (!Number.isFinite(x)) continue;
    visit(x);
    count++;
  }
  return count;
}

describe.each(names)('%s', (name) => {
  describe.each(modes)('with fma as %s', (mode) => {
    it(`stays within ${bounds[name][mode]} ulp over all finite f32`, () => {
      const f = compile(name, mode);
      const reference = references[name];
      let worst = { error: 0, x: 0 };
      const visit = (x: number): void => {
        const error = ulpError(f(x), reference(x));
        if (!(error <= worst.error)) worst = { error, x };
      };
      // A new offset each run; a failure names its x.
      const offset = Math.floor(Math.random() * 1021);
      const all = sweep(offset, 2 ** 32 - 1, 1021, visit);
      // ±[1/64, 128): where roundings are worst.
      const near = sweep(0x3c800000 + offset, 0x42ffffff, 61, visit);
      sweep(0xbc800000 + offset, 0xc2ffffff, 61, visit);
      expect(all + near).toBeGreaterThan(5_000_000);
      expect(worst.error, `at x = ${worst.x}`).toBeLessThanOrEqual(bounds[name][mode]);
    });

    it('keeps NaN of either sign and any payload', () => {
      const f = compile(name, mode);
      for (const bits of [0x7fc00000, 0x7f800001, 0x7fffffff, 0xffc00000, 0xff800001, 0xffffffff]) {
        expect(f(fromBits(bits | 0))).toBeNaN();
      }
    });

    it('is right at denormals, at the largest numbers and at powers of two', () => {
      const f = compile(name, mode);
      const reference = references[name];
      const points = [1, 2, 3, 0x7ffffe, 0x7fffff, 0x800000, 0x800001, 0x7f7fffff].map(fromBits);
      for (let e = -149; e < 128; e++) points.push(2 ** e);
      for (const x of points.flatMap((p) => [p, -p])) {
        expect(ulpError(f(x), reference(x)), `at x = ${x}`).toBeLessThanOrEqual(bounds[name][mode]);
      }
    });
  });
});

describe.each(modes)('special values with fma as %s', (mode) => {
  const table: Readonly<Record<MathOp, readonly (readonly [number, number])[]>> = {
    exp: [
      [0, 1],
      [-0, 1],
      [Infinity, Infinity],
      [-Infinity, 0],
      [-3.4e38, 0],
      [3.4e38, Infinity],
      [88.72284, Infinity],
      [-104, 0],
      [-103.9, 2 ** -149],
    ],
    ln: [
      [0, -Infinity],
      [-0, -Infinity],
      [1, 0],
      [Infinity, Infinity],
      [-Infinity, Number.NaN],
      [-1, Number.NaN],
      [-1e-45, Number.NaN],
    ],
    tanh: [
      [0, 0],
      [-0, -0],
      [Infinity, 1],
      [-Infinity, -1],
      [3.4e38, 1],
      [-20, -1],
      [1e-45, 1e-45],
    ],
    erf: [
      [0, 0],
      [-0, -0],
      [Infinity, 1],
      [-Infinity, -1],
      [-3.4e38, -1],
      [4, 1],
      [1e-45, 1e-45],
    ],
  };
  it.each(names)('%s', (name) => {
    const f = compile(name, mode);
    for (const [x, value] of table[name]) expect(f(Math.fround(x)), `${name}(${x})`).toBe(Math.fround(value));
  });

  it.each(['tanh', 'erf'] as const)('%s is odd to the bit and never leaves [−1, 1]', (name) => {
    const f = compile(name, mode);
    let broken = 0;
    const count = sweep(Math.floor(Math.random() * 4001), 0x7f7fffff, 4001, (x) => {
      const y = f(x);
      if (!Object.is(f(-x), -y) || !(y >= 0 && y <= 1)) broken++;
    });
    expect(count).toBeGreaterThan(500_000);
    expect(broken).toBe(0);
  });
});

describe.each(modes)('gelu(x) = 0.5·x·(1 + erf(x / √2)) with fma as %s', (mode) => {
  it('is never NaN for finite x and within 5e-7 and 1.25e-7·|x| of the truth, exactly x from 6 and 0 below −6', () => {
    const x = ref('x', scalar('f32'));
    const call = op('erf', mul(x, f32(Math.fround(Math.SQRT1_2))));
    const kernel = expandMath({
      name: 'gelu',
      label: 'gelu',
      buffers: [],
      dims: [],
      faults: [],
      body: [store('y', [], mul(mul(f32(0.5), x), add(f32(1), call)))],
    });
    const lets = kernel.body.filter((s) => s.kind === 'let');
    const result = kernel.body.at(-1);
    if (result?.kind !== 'store') throw new Error('the store is gone');
    const gelu = compileLane({ lets, value: result.value }, 'x', mode);

    // 5e-7 is f32's own: near 5 the last product alone rounds by 2.4e-7, and 1 + erf by 1.5e-7 of the result.
    let worst = { error: 0, x: 0 };
    let worstShare = { error: 0, x: 0 };
    let wrong = 0;
    const visit = (v: number): void => {
      const y = gelu(v);
      // The truth: x·Φ(x), where 1 + erf loses nothing in f64 that matters to an absolute error in f32.
      const truth = 0.5 * v * (1 + erf(v * Math.SQRT1_2));
      const error = Math.abs(y - truth);
      const share = error / Math.max(Math.abs(v), 2 ** -120);
      if (!(error <= worst.error)) worst = { error, x: v };
      if (!(share <= worstShare.error)) worstShare = { error: share, x: v };
      if (Number.isNaN(y) || (v >= 6 && y !== v) || (v <= -6 && y !== 0)) wrong++;
    };
    const offset = Math.floor(Math.random() * 1021);
    sweep(offset, 2 ** 32 - 1, 1021, visit);
    sweep(0x3c800000 + offset, 0x417fffff, 101, visit);
    sweep(0xbc800000 + offset, 0xc17fffff, 101, visit);
    expect(wrong).toBe(0);
    expect(worst.error, `at x = ${worst.x}`).toBeLessThanOrEqual(5e-7);
    expect(worstShare.error, `at x = ${worstShare.x}`).toBeLessThanOrEqual(1.25e-7);
  });
});
