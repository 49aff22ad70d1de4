/** Layers on a GPU: values, faults, odd sizes, empty tensors, large grids, and what a run costs in counted steps. */
import { FaultError, loadGraph, loadLayer, RuntimeError } from '@espalier/runtime';
import { describe, expect, it } from 'vitest';
import { countersBetween } from '../src/index.ts';
import { missing, open, titled } from './support/device.ts';
import { failure } from './support/failure.ts';
import { bytesArtefact, chainArtefact, countArtefact, gatherArtefact, scaleArtefact } from './support/kernels.ts';
import { randomFloats, randomIntegers } from './support/random.ts';

const seed = Math.floor(Math.random() * 2 ** 31);

describe.skipIf(missing !== '')(titled(`layers on a GPU, seed ${seed}`), () => {
  it.each([0, 1, 63, 64, 65, 1000])('runs %i elements, again and again', async (T) => {
    await using device = await open();
    using layer = await loadLayer(device, scaleArtefact(), { scale: Float32Array.of(-1.5) });
    for (let i = 0; i < 3; i++) {
      const x = randomFloats(T, seed + i);
      const { y } = await layer.run({ x });
      expect(y).toEqual({ shape: [T], data: x.map((v, t) => Math.fround(v * -1.5) + t) });
    }
  });

  it('runs launches in order, by way of workspaces and outputs that are read again', async () => {
    await using device = await open();
    using layer = await loadLayer(device, chainArtefact(), {});
    const x = randomFloats(777, seed);
    const before = device.counters;
    const outputs = await layer.run({ x });
    expect(outputs).toEqual({
      y: { shape: [777], data: x.map((v) => 2 * v + v) },
      z: { shape: [777], data: x.map((v) => Math.fround(2 * v + v) - 2 * v) },
    });
    expect(countersBetween(before, device.counters)).toMatchObject({
      runs: 1,
      dispatches: 3,
      submissions: 1,
      readbacks: 1,
      bytesWritten: 777 * 4,
      bytesRead: 2 * 777 * 4,
      bytesBound: (2 + 3 + 3) * 777 * 4,
      pipelines: 0,
    });
  });

  it('finds faults, says where, and goes on', async () => {
    await using device = await open();
    const table = randomFloats(15, seed);
    using layer = await loadLayer(device, gatherArtefact(), { table });
    const ids = randomIntegers(130, 5, seed);
    const expected = Float32Array.from(ids, (id) => {
      const [a, b, c] = table.slice(id * 3) as Float32Array & [number, number, number];
      return Math.fround(a + b) + c;
    });
    for (const [at, id, place] of [
      [129, 5, 'gather.layer:3:9'],
      [0, -1, 'gather.layer:3:7'],
    ] as const) {
      const bad = ids.with(at, id);
      const error = await failure(layer.run({ ids: bad }));
      expect(error).toBeInstanceOf(FaultError);
      expect(error).toMatchObject({ label: 'gather', place });
      const { y } = await layer.run({ ids });
      expect(y?.data).toEqual(expected);
    }
  });

  it.each([1, 3, 4, 7, 70])('takes %i bytes of weights, and scratch', async (length) => {
    await using device = await open();
    const w = Int8Array.from(randomIntegers(length, 256, seed), (v) => v - 128);
    using layer = await loadLayer(device, bytesArtefact(length), { w });
    const { y } = await layer.run({}, { dims: { T: length } });
    expect(y?.data).toEqual(Float32Array.from(w));
  });

  it.each([65_535, 65_536, 70_001])('dispatches %i workgroups', async (T) => {
    await using device = await open();
    using layer = await loadLayer(device, countArtefact(), {});
    const { y } = await layer.run({}, { dims: { T } });
    expect(y?.data.length).toBe(T);
    expect(y?.data.findIndex((v, t) => v !== t + 1)).toBe(-1);
  });

  it('runs a graph whose steps take one tensor twice and one weight for all', async () => {
    await using device = await open();
    const artefact = chainArtefact();
    const tensor = (name: string) => ({ name, storage: 'f32', shape: ['T'] }) as const;
    const names = ['x', 'y0', 'z0', 'y1', 'z1', 'y2', 'z2'];
    const step = (i: number, x: string) =>
      ({
        id: `step ${i}`,
        artefact: 0,
        dims: { T: 'T' },
        tensors: { x, y: `y${i}`, z: `z${i}` },
        weights: {},
      }) as const;
    using graph = await loadGraph(
      device,
      {
        name: 'chains',
        target: 'wgsl',
        dims: ['T'],
        tensors: names.map(tensor),
        inputs: ['x'],
        outputs: ['y2'],
        steps: [step(0, 'x'), step(1, 'y0'), step(2, 'y1')],
        artefacts: [artefact],
      },
      new Map(),
    );
    const x = randomIntegers(100, 50, seed);
    const data = Float32Array.from(x);
    for (const keep of [[], 'all'] as const) {
      const results = await graph.run({ inputs: { x: data }, keep });
      expect(results.get('y2')?.data).toEqual(data.map((v) => 27 * v));
      if (keep === 'all') expect(results.get('z1')?.data).toEqual(data.map((v) => 3 * v));
    }
  });

  it('runs layers that callers start together', async () => {
    await using device = await open();
    const layers = await Promise.all(
      [1, 2, 3].map((scale) => loadLayer(device, scaleArtefact(), { scale: Float32Array.of(scale) })),
    );
    const x = randomFloats(500, seed);
    const results = await Promise.all(layers.map((layer) => layer.run({ x })));
    for (const [i, { y }] of results.entries()) expect(y?.data).toEqual(x.map((v, t) => Math.fround(v * (i + 1)) + t));
    expect(await failure(Promise.all([layers[0]?.run({ x }), layers[0]?.run({ x })]))).toMatchObject({ code: 'R013' });
    await layers[1]?.run({ x });
  });

  it('says what is too large before WebGPU does', async () => {
    await using device = await open({
      requiredLimits: { maxStorageBufferBindingSize: 2 ** 16, maxBufferSize: 2 ** 20 },
    });
    using layer = await loadLayer(device, scaleArtefact(), { scale: Float32Array.of(1) });
    expect(device.info.capabilities).toMatchObject({ 'binding-bytes': 2 ** 27, 'buffer-bytes': 2 ** 28 });
    const error = await failure(layer.run({ x: new Float32Array(2 ** 25 + 1) }));
    expect(error).toBeInstanceOf(RuntimeError);
    expect(error.message).toMatch(
      /^R025: scale: x, bound by kernel k0, takes 128.0 MiB \(134217732 bytes\), this device allows 128.0 MiB \(maxStorageBufferBindingSize is 134217728\); run fewer rows at once/,
    );
    expect(() => device.createBuffer(2 ** 28 + 1, 'huge')).toThrow(
      /^R025: buffer huge takes 256.0 MiB \(268435457 bytes\), this device allows 256.0 MiB \(maxBufferSize is 268435456\)/,
    );
    const { y } = await layer.run({ x: Float32Array.of(1, 2) });
    expect(y?.data).toEqual(Float32Array.of(1, 3));
  });
});
