/**
 * Random programs on the WASM device: a thousand that are the same every time, and a thousand new ones, whose seed is
 * printed. A program that goes wrong is shown as small as it can be made, with the command that finds it again.
 */
import { wasm } from '@espalier/codegen';
import { openWasmTarget } from '@espalier/runtime-wasm';
import { describe, expect, it } from 'vitest';
import { reportFailure, runPrograms, summary, type Tally } from '../src/index.ts';

const COUNT = 1000;
const BASE_SEED = 20_260;
const freshSeed = Math.floor(Math.random() * 2 ** 31);

/** Programs set aside say nothing: there must be few of them. */
function expectFewSetAside(tally: Tally): void {
  expect(tally.agrees + tally.faults).toBe(COUNT);
  expect(tally.illConditioned / tally.runs).toBeLessThan(0.03);
  expect(tally.refused / tally.runs).toBeLessThan(0.03);
  // Both ends of a run are exercised: results and faults.
  expect(tally.agrees).toBeGreaterThan(COUNT / 2);
  expect(tally.faults).toBeGreaterThan(0);
}

describe('random programs', () => {
  it.each([
    ['of the base seed', BASE_SEED],
    ['of a fresh seed', freshSeed],
  ])('%s (%i) compute what the interpreter computes', { timeout: 600_000 }, async (_, seed) => {
    using device = await openWasmTarget('wasm');
    const { tally, failure } = await runPrograms(device, COUNT, seed);
    process.stdout.write(`random programs, seed ${seed}: ${summary(tally)}\n`);
    if (failure !== null) expect.fail(reportFailure(failure));
    expectFewSetAside(tally);
  });
});

describe('a compiler with a mistake in it', () => {
  it.each([
    ['takes the smaller for the larger', /f32\.max /, 'f32.min '],
    ['goes the other way at a tie', /f32\.gt /, 'f32.ge '],
    ['subtracts in vectors', /f32x4\.add /, 'f32x4.sub '],
  ])('that %s is caught, and the program made small', { timeout: 600_000 }, async (_, from, to) => {
    using device = await openWasmTarget('wasm');
    const broken: typeof wasm = {
      ...wasm,
      print: (kernels, header, capabilities) =>
        wasm.print(kernels, header, capabilities).replaceAll(new RegExp(from, 'g'), to),
    };
    const { failure } = await runPrograms(device, 500, 2 ** 32 - 3, { target: broken });
    expect(failure, 'no program noticed').not.toBeNull();
    expect(failure?.text.split('\n').length).toBeLessThan(12);
    const [, count, seed] = /pnpm fuzz (\d+) (\d+)/.exec(reportFailure(failure as NonNullable<typeof failure>)) ?? [];
    const again = await runPrograms(device, Number(count), Number(seed), { target: broken });
    expect(again.failure?.text).toBe(failure?.text);
  });
});
