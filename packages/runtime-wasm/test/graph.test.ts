/** Graphs on several threads: any mixture of launches that are split and launches that are not gives what plain arithmetic gives. */
import { type CompiledGraph, decodeGraph, encodeGraph } from '@espalier/artefact';
import { loadGraph, type WeightTensor } from '@espalier/runtime';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openWasm, type WasmDevice } from '../src/index.ts';
import { scaleArtefact } from './support/kernels.ts';
import { randomFloats } from './support/random.ts';

const heavy = 1000;
const devices: WasmDevice[] = [];

beforeAll(async () => {
  for (const threads of [1, 2, 3, 4]) devices.push(await openWasm({ threads, minimumWork: heavy }));
});

afterAll(() => {
  for (const device of devices) device.dispose();
});

/** h(i+1) = w(i) · reverse(h(i)) + N for each step; a step's launch is split among threads where `split[i]`. */
function chain(split: readonly boolean[]): CompiledGraph {
  const name = (i: number): string => (i === 0 ? 'x' : i === split.length ? 'y' : `h${i}`);
  return {
    name: 'chain',
    target: 'wasm',
    dims: ['N'],
    tensors: Array.from({ length: split.length + 1 }, (_, i) => ({ name: name(i), storage: 'f32', shape: ['N'] })),
    inputs: ['x'],
    outputs: ['y'],
    steps: split.map((parallel, i) => ({
      id: `step ${i}`,
      artefact: parallel ? 1 : 0,
      dims: { N: 'N' },
      tensors: { x: name(i), y: name(i + 1) },
      weights: { scale: `w${i}` },
    })),
    artefacts: [scaleArtefact('alone', 1, true), scaleArtefact('together', heavy, true)],
  };
}

it('gives the same for every mixture, number of threads and size', async () => {
  const splits = fc.array(fc.boolean(), { minLength: 1, maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(splits, fc.integer({ min: 0, max: 70 }), fc.integer(), async (split, N, seed) => {
      const factors = randomFloats(split.length, seed);
      const x = randomFloats(N, seed + 1);
      const expected = factors.reduce((h, w) => h.toReversed().map((v) => Math.fround(Math.fround(w * v) + N)), x);
      const weights = new Map(
        Array.from(factors, (w, i): [string, WeightTensor] => [
          `w${i}`,
          { storage: 'f32', shape: [1], data: Float32Array.of(w) },
        ]),
      );
      const compiled = decodeGraph(encodeGraph(chain(split)));
      for (const device of devices) {
        using graph = await loadGraph(device, compiled, weights);
        for (let i = 0; i < 3; i++) {
          const results = await graph.run({ inputs: { x }, ...(i === 1 ? { keep: 'all' } : {}) });
          expect(results.get('y')).toEqual({ shape: [N], data: expected });
          expect(results.size).toBe(i === 1 ? split.length + 1 : 1);
        }
      }
    }),
    { numRuns: 60 },
  );
  for (const device of devices) expect(device.statistics).toMatchObject({ used: 0, spans: 0 });
});

it('keeps up over many runs of many launches', async () => {
  const split = Array.from({ length: 100 }, (_, i) => i % 3 !== 0);
  const weights = new Map(
    split.map((_, i): [string, WeightTensor] => [
      `w${i}`,
      { storage: 'f32', shape: [1], data: Float32Array.of(i % 2 ? 0.5 : 1) },
    ]),
  );
  const x = randomFloats(64, 1);
  const expected = split.reduce((h, _, i) => h.toReversed().map((v) => Math.fround(v * (i % 2 ? 0.5 : 1)) + 64), x);
  for (const device of devices.slice(0, 3)) {
    using graph = await loadGraph(device, chain(split), weights);
    for (let i = 0; i < 100; i++) {
      const results = await graph.run({ inputs: { x }, outputs: 'view' });
      expect(Float32Array.from(results.get('y')?.data ?? [])).toEqual(expected.map(Math.fround));
    }
  }
});
