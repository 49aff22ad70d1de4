/** Prepared layers and graphs: the same as ordinary runs, in views of the device's memory, through faults, traps, growth and ends. */
import { FaultError, graphOfLayer, loadGraph, loadLayer } from '@espalier/runtime';
import { describe, expect, it } from 'vitest';
import { openWasm, parseWasmTarget, type WasmDevice, wasmVariants } from '../src/index.ts';
import { failure } from './support/failure.ts';
import { gatherArtefact, scaleArtefact, trapArtefact } from './support/kernels.ts';
import { randomFloats, randomIntegers } from './support/random.ts';

const table = Float32Array.from({ length: 15 }, (_, i) => i / 4 - 1);

/** What `action` throws; fails when it doesn't. */
function thrown(action: () => void): Error & { readonly code?: string } {
  try {
    action();
  } catch (error) {
    return error as Error;
  }
  throw new Error('expected an error');
}

describe.each(wasmVariants().map(({ name }) => name))('%s', (name) => {
  const open = (): Promise<WasmDevice> => openWasm({ ...parseWasmTarget(name), minimumWork: 0 });

  it('gives what a run gives, bit for bit, at once or on all threads', async () => {
    using device = await open();
    using layer = await loadLayer(device, gatherArtefact(), { table });
    for (const T of [1, 2, 7, 64, 1001]) {
      using prepared = await layer.prepare({ T });
      expect(prepared.dims).toEqual({ T });
      expect(prepared.shapes).toEqual({ x: [T], ids: [T], y: [T] });
      for (let i = 0; i < 3; i++) {
        const x = randomFloats(T, T + i);
        const ids = randomIntegers(T, 5, T - i);
        prepared.inputs['x']?.set(x);
        prepared.inputs['ids']?.set(ids);
        const { y } = await layer.run({ x, ids });
        prepared.runSync();
        expect(Float32Array.from(prepared.outputs['y'] ?? [])).toEqual(y?.data);
        prepared.outputs['y']?.fill(Number.NaN);
        await prepared.run();
        expect(Float32Array.from(prepared.outputs['y'] ?? [])).toEqual(y?.data);
        // Inputs stay what they were.
        expect(Float32Array.from(prepared.inputs['x'] ?? [])).toEqual(x);
        expect(Int32Array.from(prepared.inputs['ids'] ?? [])).toEqual(ids);
      }
    }
  });

  it('throws the located fault of a failed check, each time, and runs again after it', async () => {
    using device = await open();
    using layer = await loadLayer(device, gatherArtefact(), { table });
    using prepared = await layer.prepare({ T: 50 });
    const { x, ids } = prepared.inputs;
    x?.set(randomFloats(50, 1));
    for (let i = 0; i < 3; i++) {
      ids?.fill(5, 33, 34);
      for (const error of [thrown(() => prepared.runSync()), await failure(prepared.run())]) {
        expect(error).toBeInstanceOf(FaultError);
        expect(error).toMatchObject({ label: 'gather', place: 'gather.layer:3:21' });
      }
      ids?.fill(4);
      prepared.runSync();
      const expected = await layer.run({ x: Float32Array.from(x ?? []), ids: new Int32Array(50).fill(4) });
      expect(Float32Array.from(prepared.outputs['y'] ?? [])).toEqual(expected['y']?.data);
    }
  });

  it('turns a trap into an error naming step and kernel', async () => {
    using device = await open();
    using layer = await loadLayer(device, trapArtefact(), {});
    using prepared = await layer.prepare({ N: 9 });
    prepared.inputs['x']?.fill(1);
    prepared.inputs['x']?.fill(-1, 5, 6);
    const message = /^R021: trap: kernel k0 \(k0 of a test\) trapped: /;
    expect(thrown(() => prepared.runSync()).message).toMatch(message);
    expect((await failure(prepared.run())).message).toMatch(message);
    prepared.inputs['x']?.fill(2);
    prepared.runSync();
    expect([...(prepared.outputs['y'] ?? [])]).toEqual(new Array(9).fill(2));
  });

  it('takes empty dims', async () => {
    using device = await open();
    using layer = await loadLayer(device, gatherArtefact(), { table });
    using prepared = await layer.prepare({ T: 0 });
    prepared.runSync();
    await prepared.run();
    expect(prepared.outputs['y']).toEqual(new Float32Array(0));
  });

  it('survives growth of the memory: views are taken again, and stale ones are never used in silence', async () => {
    using device = await open();
    using layer = await loadLayer(device, scaleArtefact(), { scale: Float32Array.of(2) });
    using prepared = await layer.prepare({ N: 4 });
    const { x: stale } = prepared.inputs;
    stale?.set([1, 2, 3, 4]);
    const { size } = device.statistics;
    using _ballast = device.createBuffer(2 * size, 'ballast');
    expect(device.statistics.size).toBeGreaterThan(size);
    if (stale?.length === 0) {
      expect(thrown(() => prepared.runSync())).toMatchObject({ code: 'R029' });
    } else {
      // Shared memory grows in place.
      expect(device.info.capabilities['shared-memory']).toBe(true);
    }
    // What was written before is there still.
    prepared.runSync();
    expect([...(prepared.outputs['y'] ?? [])]).toEqual([6, 8, 10, 12]);
    using _more = device.createBuffer(2 * device.statistics.size, 'more ballast');
    prepared.inputs['x']?.set([0, 0, 0, 1]);
    prepared.runSync();
    expect([...(prepared.outputs['y'] ?? [])]).toEqual([4, 4, 4, 6]);
  });

  it('gives its memory back, alone and with its graph, and is refused afterwards', async () => {
    using device = await open();
    const layer = await loadLayer(device, scaleArtefact(), { scale: Float32Array.of(2) });
    const { used } = device.statistics;
    const first = await layer.prepare({ N: 100 });
    const second = await layer.prepare({ N: 100 });
    expect(layer.memory.arenas).toBeGreaterThanOrEqual(1600);
    first.dispose();
    first.dispose();
    second.runSync();
    layer.dispose();
    expect(device.statistics).toMatchObject({ used: 0, spans: 0 });
    expect(used).toBeGreaterThan(0);
    for (const prepared of [first, second]) {
      expect(thrown(() => prepared.runSync()).message).toMatch(/^R012: this submission was disposed of/);
      expect(await failure(prepared.run())).toMatchObject({ code: 'R012' });
      expect(thrown(() => prepared.inputs).message).toBe('R012: prepared scale was disposed of; prepare it again');
    }
    expect(await failure(layer.prepare({ N: 1 }))).toMatchObject({ code: 'R012' });
  });

  it('refuses to run when the device or its program has gone', async () => {
    const device = await open();
    const program = await loadLayer(device, scaleArtefact(), { scale: Float32Array.of(2) });
    const prepared = await program.prepare({ N: 1 });
    prepared.runSync();
    device.dispose();
    expect(thrown(() => prepared.runSync()).message).toMatch(/^R012: the device was disposed of/);
    await device.closed;
  });

  it('asks for the dims', async () => {
    using device = await open();
    using layer = await loadLayer(device, scaleArtefact(), { scale: Float32Array.of(2) });
    expect(await failure(layer.prepare())).toMatchObject({ code: 'R006' });
    expect(await failure(layer.prepare({ N: -1 }))).toMatchObject({ code: 'R007' });
    expect(await failure(layer.prepare({ N: 1, M: 1 }))).toMatchObject({ code: 'R007' });
  });
});

it('refuses overlapping runs, and frees what a run uses only when it has ended', async () => {
  const slow = trapArtefact(
    '(loop (br_if 0 (i32.lt_u (local.tee $spin (i32.add (local.get $spin) (i32.const 1))) (i32.const 300000000))))',
  );
  using device = await openWasm({ threads: 2, minimumWork: 0 });
  const graph = await loadGraph(device, graphOfLayer(slow), new Map());
  const prepared = await graph.prepare({ N: 2 });
  prepared.inputs['x']?.set([3, -4]);
  const run = prepared.run();
  const { used } = device.statistics;
  expect(thrown(() => prepared.runSync())).toMatchObject({ code: 'R013' });
  expect(await failure(prepared.run())).toMatchObject({ code: 'R013' });
  graph.dispose();
  expect(device.statistics.used).toBe(used);
  await run;
  expect(device.statistics).toMatchObject({ used: 0, spans: 0 });
});

it('keeps tensors of a graph that it is told to', async () => {
  using device = await openWasm();
  const step = (id: string, x: string, y: string) =>
    ({ id, artefact: 0, dims: { N: 'N' }, tensors: { x, y }, weights: { scale: 's' } }) as const;
  const names = ['x', 'a', 'b', 'y'];
  using graph = await loadGraph(
    device,
    {
      name: 'chain',
      target: 'wasm',
      dims: ['N'],
      tensors: names.map((name) => ({ name, storage: 'f32', shape: ['N'] })),
      inputs: ['x'],
      outputs: ['y'],
      steps: [step('0', 'x', 'a'), step('1', 'a', 'b'), step('2', 'b', 'y')],
      artefacts: [scaleArtefact()],
    },
    new Map([['s', { storage: 'f32', shape: [1], data: Float32Array.of(2) }]]),
  );
  using prepared = await graph.prepare({ N: 2 }, { keep: 'all' });
  prepared.inputs['x']?.set([1, 5]);
  for (let i = 0; i < 2; i++) {
    prepared.runSync();
    const seen = Object.fromEntries(names.map((name) => [name, [...(prepared.outputs[name] ?? [])]]));
    expect(seen).toEqual({ x: [1, 5], a: [4, 12], b: [10, 26], y: [22, 54] });
  }
  expect(await failure(graph.prepare({ N: 2 }, { keep: ['z'] }))).toMatchObject({ code: 'R015' });
});
