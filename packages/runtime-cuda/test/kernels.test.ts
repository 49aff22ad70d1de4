/** The compiler's kernels through the whole runtime: compiled for the host, launched by the fake driver, compared with float64. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Artefact, type CompiledGraph, rowMajor } from '@espalier/artefact';
import { compile, cuda } from '@espalier/codegen';
import { interpretLayer, type LayerIR, standardLayer } from '@espalier/ir';
import { type Device, loadGraph, loadLayer, type WeightTensor } from '@espalier/runtime';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCuda } from '../src/index.ts';
import { type FakeDriver, fakeDriver, noCompiler } from './support/fake.ts';
import { withHostKernels } from './support/host-kernels.ts';

/** Seeded numbers from −1 to 1. */
function numbers(length: number, seed: number): Float32Array {
  let state = seed >>> 0;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

/** Buffers begin as NaN, so that what no kernel wrote shows. */
const poisoned = (device: Device): Device => ({
  ...device,
  info: device.info,
  alignment: device.alignment,
  createBuffer: (byteLength, label) => {
    const buffer = device.createBuffer(byteLength, label);
    buffer.write(new Uint8Array(byteLength).fill(0xff));
    return buffer;
  },
  load: (artefact) => device.load(artefact),
  prepare: (launches) => device.prepare(launches),
  [Symbol.dispose]: () => device[Symbol.dispose](),
});

describe.skipIf(noCompiler)(`the compiler's kernels on the fake driver${noCompiler ? ` (${noCompiler})` : ''}`, () => {
  let fake: FakeDriver;
  let folder: string;
  beforeAll(async () => {
    fake = await fakeDriver();
    folder = await mkdtemp(join(tmpdir(), 'espalier-host-kernels-'));
  });
  afterAll(async () => {
    await fake?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  const compiled = async (layer: LayerIR): Promise<Artefact> =>
    withHostKernels(await compile(layer, { target: cuda }), folder);

  /** Runs a layer for each T and compares with the interpreter. */
  async function check(
    layer: LayerIR,
    tokens: readonly number[],
    inputs: (T: number) => Record<string, Float32Array | Int32Array>,
  ) {
    const artefact = await compiled(layer);
    const constant = artefact.manifest.bindings.filter((b) => b.role === 'weight');
    const weights = Object.fromEntries(
      constant.map(({ name, shape }, i) => [
        name,
        numbers(
          shape.reduce<number>((n, size) => n * Number(size), 1),
          7 + i,
        ),
      ]),
    );
    using device = await openCuda({ library: fake.library, cache: false, graphs: true });
    using loaded = await loadLayer(poisoned(device), artefact, weights);
    for (const T of tokens) {
      const given = inputs(T);
      const { y } = await loaded.run(given, { dims: { T } });
      const expected = interpretLayer(layer, { dims: { T }, tensors: { ...weights, ...given }, keep: ['y'] })['y'];
      expect(y?.data.length).toBe(expected?.length);
      const expectedValues = Array.from(expected ?? []);
      const worst = Math.max(0, ...expectedValues.map((v, i) => Math.abs(v - (y?.data[i] ?? Number.NaN))));
      expect(worst, `${layer.name}, T = ${T}`).toBeLessThan(1e-4);
    }
  }

  it('dense layers, few tokens and many', async () => {
    await check(standardLayer('linear', { dims: { D: 19, O: 21 } }), [0, 1, 5, 40], (T) => ({ x: numbers(T * 19, T) }));
    expect(fake.live()).toEqual({});
  });

  it('a tree', async () => {
    const layer = standardLayer('fff', { dims: { D: 12, O: 9, trees: 2, depth: 3 } });
    await check(layer, [1, 33], (T) => ({ x: numbers(T * 12, T + 1) }));
    expect(fake.live()).toEqual({});
  });

  it('a lookup that checks its indices', async () => {
    const layer = standardLayer('embedding', { dims: { V: 5, D: 6 } });
    const ids = (T: number) => Int32Array.from({ length: T }, (_, i) => (i * 3) % 5);
    await check(layer, [1, 50], (T) => ({ ids: ids(T) }));
    using device = await openCuda({ library: fake.library, cache: false });
    using loaded = await loadLayer(device, await compiled(layer), { table: numbers(30, 3) });
    await expect(loaded.run({ ids: Int32Array.of(1, 7) })).rejects.toThrow(
      /F001: embedding: .*ids\[t\] lies outside axis 0 of table/,
    );
  });

  it('a graph of many steps, as a CUDA graph from its second run on', async () => {
    const artefact = await compiled(standardLayer('linear', { dims: { D: 8, O: 8 } }));
    const steps = 6;
    const name = (i: number): string => (i === 0 ? 'x' : i === steps ? 'y' : `h${i}`);
    const plan: CompiledGraph = {
      name: 'deep',
      target: 'cuda',
      dims: ['T'],
      tensors: Array.from({ length: steps + 1 }, (_, i) => ({ name: name(i), storage: 'f32', shape: ['T', 8] })),
      inputs: ['x'],
      outputs: ['y'],
      steps: Array.from({ length: steps }, (_, i) => ({
        id: `step${i}`,
        artefact: 0,
        dims: { T: 'T' },
        tensors: { x: name(i), y: name(i + 1) },
        weights: { w: 'w', b: 'b' },
      })),
      artefacts: [artefact],
    };
    expect(artefact.manifest.bindings.find((b) => b.name === 'b')?.layout).toEqual(rowMajor(1));
    // A permutation: rows turn round, and after eight steps would be where they were.
    const w = new Float32Array(64);
    for (let o = 0; o < 8; o++) w[o * 8 + ((o + 1) % 8)] = 1;
    const weights = new Map<string, WeightTensor>([
      ['w', { storage: 'f32', shape: [8, 8], data: w }],
      ['b', { storage: 'f32', shape: [8], data: new Float32Array(8).fill(0.5) }],
    ]);
    {
      using device = await openCuda({ library: fake.library, cache: false });
      using graph = await loadGraph(poisoned(device), plan, weights);
      fake.journal();
      for (const T of [3, 3, 3, 40, 40]) {
        const x = numbers(8 * T, T);
        const results = await graph.run({ inputs: { x } });
        const expected = x.map((_, i) => {
          let value = x[i - (i % 8) + ((i + steps) % 8)] as number;
          for (let step = 0; step < steps; step++) value = Math.fround(value + 0.5);
          return value;
        });
        expect(results.get('y')?.data).toEqual(expected);
      }
      expect(fake.journal().filter((call) => call === 'cuGraphLaunch')).toHaveLength(3);
    }
    expect(fake.live()).toEqual({});
  });
});
