/** Layers on every variant of the device: results, faults, traps, empty inputs, reuse, and that threads change nothing. */
import { FaultError, loadLayer, RuntimeError } from '@espalier/runtime';
import { describe, expect, it } from 'vitest';
import { openWasm, parseWasmTarget, type WasmDevice, wasmVariants } from '../src/index.ts';
import { failure } from './support/failure.ts';
import { gatherArtefact, scaleArtefact, trapArtefact } from './support/kernels.ts';
import { randomFloats, randomIntegers } from './support/random.ts';

const table = Float32Array.from({ length: 15 }, (_, i) => i / 4 - 1);

const gatherReference = (x: Float32Array, ids: Int32Array): Float32Array =>
  x.map((value, t) => {
    const id = (ids[t] as number) * 3;
    const sum = Math.fround(Math.fround((table[id] as number) + (table[id + 1] as number)) + (table[id + 2] as number));
    return Math.fround(sum * Math.fround(value * value));
  });

describe.each(wasmVariants().map(({ name }) => name))('%s', (name) => {
  // Every launch is split, however small, so that the threads have something to disagree about.
  const open = (): Promise<WasmDevice> => openWasm({ ...parseWasmTarget(name), minimumWork: 0 });

  it('runs a layer of two launches, workspace and scratch, at many sizes', async () => {
    using device = await open();
    using layer = await loadLayer(device, gatherArtefact(), { table });
    for (const T of [1, 2, 3, 7, 64, 1001, 2, 5000]) {
      const x = randomFloats(T, T);
      const ids = randomIntegers(T, 5, T + 1);
      const { y } = await layer.run({ x, ids });
      expect(y?.shape).toEqual([T]);
      expect(y?.data).toEqual(gatherReference(x, ids));
    }
  });

  it('gives empty outputs for empty inputs', async () => {
    using device = await open();
    using layer = await loadLayer(device, gatherArtefact(), { table });
    const { y } = await layer.run({ x: new Float32Array(0), ids: new Int32Array(0) });
    expect(y).toEqual({ shape: [0], data: new Float32Array(0) });
  });

  it('refuses inputs stored as only weights may be, and says what to do', async () => {
    using device = await open();
    const artefact = scaleArtefact();
    const bindings = artefact.manifest.bindings.map((b) =>
      b.role === 'input' ? { ...b, storage: 'f16' as const } : b,
    );
    const error = await failure(loadLayer(device, { ...artefact, manifest: { ...artefact.manifest, bindings } }, {}));
    expect(error.message).toMatch(
      /^R014: scale: input \w+ is f16, and only weights may be; declare it as f32, and compile the layer again$/,
    );
  });

  it('reports a failed check with label, message and place, and runs again after it', async () => {
    using device = await open();
    using layer = await loadLayer(device, gatherArtefact(), { table });
    const x = randomFloats(100, 1);
    const bad = randomIntegers(100, 5, 2);
    bad[73] = 5;
    const error = await failure(layer.run({ x, ids: bad }));
    expect(error).toBeInstanceOf(FaultError);
    expect(error).toMatchObject({ label: 'gather', place: 'gather.layer:3:21' });
    const ids = randomIntegers(100, 5, 3);
    const { y } = await layer.run({ x, ids });
    expect(y?.data).toEqual(gatherReference(x, ids));
  });

  it.each([
    ['unreachable', '(unreachable)'],
    ['out of bounds', '(drop (i32.load (i32.const 0xfffffff0)))'],
    ['stack', '(call 0 (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5))'],
  ])('turns a trap into an error naming step and kernel, at any grid step: %s', async (_, how) => {
    using device = await open();
    using layer = await loadLayer(device, trapArtefact(how), {});
    for (const where of [0, 50, 99]) {
      const x = new Float32Array(100).fill(1);
      x[where] = -1;
      const error = await failure(layer.run({ x }));
      expect(error).toBeInstanceOf(RuntimeError);
      expect(error.message).toMatch(/^R021: trap: kernel k0 \(k0 of a test\) trapped: /);
      const good = randomFloats(100, where).map(Math.abs);
      const { y } = await layer.run({ x: good });
      expect(y?.data).toEqual(good);
    }
  });

  it('returns views of its memory when asked, and copies otherwise', async () => {
    using device = await open();
    using layer = await loadLayer(device, scaleArtefact(), { scale: Float32Array.of(2) });
    const { y: copy } = await layer.run({ x: Float32Array.of(1, 2) });
    const { y: view } = await layer.run({ x: Float32Array.of(3, 4) }, { outputs: 'view' });
    expect(copy?.data).toEqual(Float32Array.of(4, 6));
    expect([...(view?.data ?? [])]).toEqual([8, 10]);
    await layer.run({ x: Float32Array.of(5, 6) });
    expect([...(view?.data ?? [])]).toEqual([12, 14]);
    expect(copy?.data).toEqual(Float32Array.of(4, 6));
  });

  it('gives all memory back', async () => {
    using device = await open();
    const before = device.statistics;
    for (let i = 0; i < 3; i++) {
      using layer = await loadLayer(device, gatherArtefact(), { table });
      for (const T of [1, 10, 100, 1000, 10, 2000, 3]) {
        const ids = new Int32Array(T);
        await layer.run({ x: new Float32Array(T), ids });
      }
      expect(device.statistics.used).toBeGreaterThan(0);
    }
    expect(before).toMatchObject({ used: 0, spans: 0 });
    expect(device.statistics).toMatchObject({ used: 0, spans: 0 });
  });
});

it('gives the same bits on any number of threads', async () => {
  const x = randomFloats(10_001, 7);
  const ids = randomIntegers(10_001, 5, 8);
  const results: unknown[] = [];
  for (const threads of [1, 2, 3, 5]) {
    using device = await openWasm({ threads, minimumWork: 0 });
    expect(device.info.capabilities).toMatchObject({ threads });
    using layer = await loadLayer(device, gatherArtefact(), { table });
    const { y } = await layer.run({ x, ids });
    results.push(y?.data);
  }
  for (const result of results) expect(result).toEqual(results[0]);
});
