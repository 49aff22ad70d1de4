/** The parts of the bench that need no device: numbers, references, how time is taken, and what is made of it. */
import { halfBits } from '@espalier/conformance';
import { interpretLayer, standardLayer } from '@espalier/ir';
import type { CudaDevice } from '@espalier/runtime-cuda';
import { describe, expect, it } from 'vitest';
import { boundFor, fillRandom, fromBf16, InputPool, randomWeights, toBf16, toF16 } from '../src/bench/data.ts';
import { ratiosOf } from '../src/bench/ratios.ts';
import {
  allSampled,
  compareRows,
  knownRows,
  layerRows,
  productRows,
  rowsOf,
  sampledTokens,
} from '../src/bench/reference.ts';
import { patient, Stopwatch, type TimedSteps } from '../src/bench/timing.ts';
import { encoders, nameOfDense, namesOfTree, products, works } from '../src/bench/works.ts';
import type { Check } from '../src/report.ts';

describe('random numbers', () => {
  it('are spread evenly, the same for a seed, and others for another', () => {
    const values = fillRandom(new Float32Array(100_000), 3, boundFor(12));
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    const variance = values.reduce((a, b) => a + b * b, 0) / values.length;
    expect(Math.abs(mean)).toBeLessThan(0.005);
    expect(12 * variance).toBeCloseTo(1, 1);
    expect(values.every((v) => Math.abs(v) <= boundFor(12))).toBe(true);
    expect(fillRandom(new Float32Array(100_000), 3, boundFor(12))).toEqual(values);
    expect(fillRandom(new Float32Array(8), 4, 1)).not.toEqual(fillRandom(new Float32Array(8), 3, 1));
  });

  it('are rounded as f16 and bfloat16 are', () => {
    const values = Float32Array.of(0, 1, -1.5, 2.3456, -0.0001, 65504, 1e-9, -7e4);
    expect([...toF16(values)]).toEqual([...values].map(halfBits));
    expect([...fromBf16(toBf16(Float32Array.of(1, -2, 0.5, 1 + 2 ** -7)))]).toEqual([1, -2, 0.5, 1 + 2 ** -7]);
    // To nearest, ties to even: half a unit in the last place of 1 goes down, of the next one up.
    expect([...fromBf16(toBf16(Float32Array.of(1 + 2 ** -8, 1 + 3 * 2 ** -8)))]).toEqual([1, 1 + 2 ** -6]);
  });

  it('are the same inputs however many are asked for', () => {
    const pool = new InputPool();
    const few = pool.first(10).slice();
    expect(pool.first(1000).subarray(0, 10)).toEqual(few);
    expect(pool.first(3)).toEqual(few.subarray(0, 3));
  });

  it('make weights as a layer stores them', () => {
    const half = works.find(({ name }) => name === namesOfTree.halfTree);
    if (!half) throw new Error('no such work');
    expect(half.layer.tensors.find(({ name }) => name === 'w1')?.storage).toBe('f16');
    const small = standardLayer('ff', { dims: { D: 4, H: 6, O: 3 }, storage: { w1: 'f16' } });
    const weights = randomWeights(small, 5);
    expect(Object.entries(weights).map(([name, data]) => [name, data.constructor.name, data.length])).toEqual([
      ['w1', 'Uint16Array', 24],
      ['b1', 'Float32Array', 6],
      ['w2', 'Float32Array', 18],
      ['b2', 'Float32Array', 3],
    ]);
  });
});

describe('references', () => {
  it('know the first, the last and a middle token of every number of tokens', () => {
    expect(sampledTokens(1)).toEqual([0]);
    expect(sampledTokens(128)).toEqual([0, 64, 127]);
    expect(allSampled([1, 4, 128])).toEqual([0, 2, 3, 64, 127]);
  });

  it('are the interpreter for layers and sums of products for matrices', () => {
    const layer = standardLayer('linear', { dims: { D: 4, O: 3 } });
    const weights = randomWeights(layer, 1);
    const x = fillRandom(new Float32Array(20), 2, 1);
    const known = layerRows(layer, weights, x, 4, [1, 4]);
    const { y } = interpretLayer(layer, { dims: { T: 5 }, tensors: { ...weights, x } });
    const rowAt = (t: number) => Array.from((y ?? []).slice(3 * t, 3 * t + 3));
    expect(known.columns).toBe(3);
    for (const t of [1, 4]) expect(Array.from(known.rows.get(t) ?? [])).toEqual(rowAt(t));
    expect(known.largest).toBe(Math.max(...[1, 4].flatMap(rowAt).map(Math.abs)));

    const [a, b] = [Float32Array.of(1, 2, 3, 4, 5, 6), Float32Array.of(1, -1, 0, 2, 0, 1)];
    // a is [3, 2], b is [2, 3]: x = (1, 1) gives (3, 7, 11), and that (−4, 17).
    const chain = productRows([a, b], Float32Array.of(9, 9, 1, 1), 2, [1]);
    expect(Array.from(chain.rows.get(1) ?? [])).toEqual([-4, 17]);
    expect(rowsOf(Float32Array.of(1, 2, 3, 4, 5, 6), 2, [0, 2])).toEqual(Float32Array.of(1, 2, 5, 6));
  });

  it('refuse what is off, missing or no number', () => {
    const known = knownRows([0, 3], [1, 2, -4, 0]);
    const given = (values: readonly number[]) => () => compareRows(known, [3], () => values, 1e-2);
    expect(given([-4.02, 0.01])()).toBeCloseTo(0.005, 6);
    expect(given([-4.1, 0])).toThrow(/output 0 of token 3 is -4\.1, in float64 it is -4/);
    expect(given([-4, Number.NaN])).toThrow(/nothing timed: output 1/);
    expect(given([-4])).toThrow(/1 outputs, not 2/);
    expect(() => compareRows(known, [1], () => [0, 0], 1)).toThrow(/nothing is known of token 1/);
  });
});

describe('the stopwatch', () => {
  /** A device on which a run takes `run` milliseconds and a fill one; what is put on it is written down. */
  function fake(run: number) {
    const journal: string[] = [];
    const timed = async (count: number, step: (i: number) => void): Promise<readonly number[]> =>
      Array.from({ length: count }, (_, i) => {
        const before = journal.length;
        step(i);
        const done = journal.slice(before);
        return done.reduce((ms, what) => ms + (what === 'run' ? run : 1), 0);
      });
    const buffer = { fill: () => void journal.push('fill'), [Symbol.dispose]: () => void journal.push('freed') };
    const device = { createBuffer: () => buffer, timed } as unknown as CudaDevice;
    const steps: TimedSteps = (count, step) => timed(count, (i) => step(i, () => void journal.push('run')));
    return { device, steps, journal };
  }

  it('times short runs in bursts behind work that keeps the device busy', async () => {
    const { device, steps, journal } = fake(0.01);
    {
      using stopwatch = new Stopwatch(device, patient);
      const timing = await stopwatch.measure(steps);
      expect(timing).toMatchObject({ runs: 60, burst: 64 });
      expect(timing.median).toBeCloseTo(0.01, 9);
      expect(timing.backToBack).toBeCloseTo(0.01, 9);
    }
    expect(journal.at(-1)).toBe('freed');
    // The last burst: filled, one run for the caches, 64 that count.
    expect(journal.slice(-67, -1)).toEqual(['fill', ...Array.from({ length: 65 }, () => 'run')]);
  });

  it('times long runs one by one', async () => {
    const { device, steps, journal } = fake(20);
    using stopwatch = new Stopwatch(device, patient);
    expect(await stopwatch.measure(steps)).toEqual({ median: 20, low: 20, high: 20, runs: 5, backToBack: 20 });
    expect(journal).toEqual(Array.from({ length: 8 }, () => 'run'));
  });
});

describe('what timings come to', () => {
  const check = (by: string, work: string, precision: string, tokens: number, backToBack: number): Check => ({
    name: `${by} ${work} ${precision} ${tokens}`,
    subject: { by, work, precision, tokens },
    outcome: 'passed',
    figures: { backToBack },
  });
  const { tree } = namesOfTree;

  it('is compared by work, precision and tokens, the tree with the fastest of all', () => {
    const ratios = ratiosOf([
      check('espalier', nameOfDense, 'f32', 16384, 4),
      check('espalier', nameOfDense, 'bf16', 16384, 1),
      check('cuBLASLt', nameOfDense, 'bf16', 16384, 0.5),
      check('cuBLASLt', nameOfDense, 'bf16', 128, 0.1),
      check('espalier', tree, 'f32', 16384, 0.125),
      check('espalier', tree, 'f32', 1, 0.005),
    ]);
    expect(ratios).toEqual([
      {
        name: `${nameOfDense}: our speed, cuBLASLt's being 1`,
        precision: 'bf16',
        tokens: 16384,
        microseconds: 1000,
        comparedWith: 500,
        times: 0.5,
        aim: 0.8,
        met: false,
      },
      {
        name: `${tree}: speed, the fastest ${nameOfDense} being 1`,
        chosen: 'cuBLASLt, bf16',
        tokens: 16384,
        microseconds: 125,
        comparedWith: 500,
        times: 4,
        aim: 5,
        met: false,
      },
      { name: `${tree}: one token`, precision: 'f32', tokens: 1, microseconds: 5, aim: 6, met: true },
    ]);
  });

  it('compares whole encoders, and forwards on WebGPU by the clock', () => {
    const clocked = (by: string, byClock: number, writing?: string): Check => ({
      name: by,
      subject: { by, work: 'tiny-bert', precision: 'f32', tokens: 14 },
      outcome: 'passed',
      figures: { byClock, ...(writing === undefined ? {} : { writing }) },
    });
    const ratios = ratiosOf([
      check('espalier', encoders[0].name, 'tf32', 128, 3),
      check('espalier', encoders[1].name, 'tf32', 128, 2),
      clocked('espalier, WebGPU', 2),
      clocked('onnxruntime-web, WebGPU', 6, 'exported'),
      clocked('onnxruntime-web, WebGPU', 4, 'fused'),
    ]);
    expect(ratios.map(({ times, chosen }) => [times, chosen])).toEqual([
      [1.5, undefined],
      [2, 'fused'],
    ]);
  });

  it('makes nothing of what failed or was not timed', () => {
    const failed: Check = { ...check('cuBLASLt', nameOfDense, 'f32', 1, 1), outcome: 'failed' };
    expect(ratiosOf([failed, check('espalier', nameOfDense, 'f32', 1, 1), { name: 'x', outcome: 'passed' }])).toEqual(
      [],
    );
  });

  it('is asked of works that exist', () => {
    const names = works.map(({ name }) => name);
    for (const name of [nameOfDense, ...Object.values(namesOfTree), ...products.map((p) => p.name)])
      expect(names).toContain(name);
    expect(new Set(names).size).toBe(names.length);
  });
});
