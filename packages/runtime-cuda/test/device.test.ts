/** The device contract on the fake driver: values, faults, graphs, timings, what is freed, what is refused. */
import { type Device, type DeviceLaunch, loadLayer } from '@espalier/runtime';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type CudaDevice, type CudaOptions, openCuda } from '../src/index.ts';
import { lookup, scaling, THREADS } from './support/artefacts.ts';
import { type FakeDriver, fakeDriver, noCompiler } from './support/fake.ts';

const numbers = (length: number, seed = 1): Float32Array => {
  let state = seed;
  return Float32Array.from({ length }, () => {
    state = (state * 1103515245 + 12345) % 2 ** 31;
    return state / 2 ** 30 - 1;
  });
};

describe.skipIf(noCompiler)(`a CUDA device on the fake driver${noCompiler ? ` (${noCompiler})` : ''}`, () => {
  let fake: FakeDriver;
  beforeAll(async () => {
    fake = await fakeDriver();
  });
  afterAll(async () => fake?.[Symbol.asyncDispose]());
  afterEach(() => {
    fake.heal();
    for (const name of ['syncMs', 'strictContext', 'patience'] as const) fake.set(name, 0);
    fake.set('memory', 2 ** 30);
    fake.set('threads', 1024);
  });

  const open = (options: CudaOptions = {}): Promise<CudaDevice> =>
    openCuda({ library: fake.library, cache: false, ...options });

  /** A submission of one launch for each step, all from x to y. */
  async function prepared(device: CudaDevice, n: number, steps: readonly number[]) {
    const program = await device.load(await scaling(fake.kernels));
    const x = device.createBuffer(4 * n, 'x');
    const w = device.createBuffer(4, 'w');
    const y = device.createBuffer(4 * n, 'y');
    const values = numbers(n);
    x.write(values);
    w.write(Float32Array.of(3));
    y.fill(0xff);
    const whole = (buffer: typeof x) => ({ buffer, byteOffset: 0, byteLength: buffer.byteLength });
    const launches = steps.map(
      (step): DeviceLaunch => ({
        program,
        launch: 0,
        grid: Math.ceil(n / THREADS),
        scratch: 0,
        buffers: [whole(x), whole(w), whole(y)],
        dims: [n, step],
        work: n,
        label: `step ${step}`,
      }),
    );
    const expected = values.map((v) => Math.fround(Math.fround(v * 3) + (steps.at(-1) ?? Number.NaN)));
    return { submission: device.prepare(launches), launches, program, x, w, y, whole, expected };
  }

  it('says what it is', async () => {
    using device = await open();
    expect(device.info.target).toBe('cuda');
    expect(device.info.name).toBe('cuda, Fake GPU 0, sm_90, 1 GiB, driver of CUDA 13.0');
    expect(device.info.capabilities).toMatchObject({ sm: 90, 'tensor-cores': true, 'warp-size': 32 });
    expect(device.alignment).toBe(256);
  });

  it.each([0, 1, 31, 32, 33, 1000])('runs a layer of %i elements and frees everything', async (n) => {
    {
      using device = await open();
      using layer = await loadLayer(device, await scaling(fake.kernels), { w: Float32Array.of(3) });
      const x = numbers(n, n);
      for (const step of [7, 9]) {
        const { y } = await layer.run({ x }, { dims: { n, step } });
        expect(y?.data).toEqual(x.map((v) => Math.fround(Math.fround(v * 3) + step)));
      }
    }
    expect(fake.live()).toEqual({});
  });

  it('turns a nonzero status word into a fault, and runs on afterwards', async () => {
    {
      using device = await open();
      const table = numbers(5);
      using layer = await loadLayer(device, await lookup(fake.kernels), { table });
      const ids = Int32Array.from({ length: 75 }, (_, i) => i % 5);
      for (let round = 0; round < 2; round++) {
        const { y } = await layer.run({ ids }, { dims: { rows: 5 } });
        expect(y?.data).toEqual(Float32Array.from(ids, (i) => table[i] as number));
        const bad = layer.run({ ids: ids.with(40, 5) }, { dims: { rows: 5 } });
        await expect(bad).rejects.toThrow(
          /F001: lookup: index of table\[ids\[i\]\] lies outside .* \(lookup\.layer:3:9\)/,
        );
      }
    }
    expect(fake.live()).toEqual({});
  });

  it('starts buffers as zeros, copies in pieces larger than a block, and reads any part', async () => {
    using device = await open();
    const length = 3 * 2 ** 20 + 13;
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 9)) & 0xff);
    using buffer = device.createBuffer(length, 'large');
    expect(await buffer.read(5, 9)).toEqual(new Uint8Array(9));
    buffer.write(bytes);
    expect(Buffer.compare(await buffer.read(), bytes)).toBe(0);
    buffer.write(Uint8Array.of(1, 2, 3), 100);
    expect(await buffer.read(99, 5)).toEqual(Uint8Array.of(bytes[99] as number, 1, 2, 3, bytes[103] as number));
    buffer.fill(0xff);
    expect(new Float32Array((await buffer.read(0, 16)).buffer)).toEqual(new Float32Array(4).fill(Number.NaN));
    using empty = device.createBuffer(0, 'empty');
    expect(await empty.read()).toEqual(new Uint8Array());
    expect(() => buffer.write(bytes, 1)).toThrow(RangeError);
    await expect(buffer.read(length, 1)).rejects.toThrow(RangeError);
  });

  it('captures many launches once and launches the graph from the second run on', async () => {
    using device = await open();
    const { submission, y, expected } = await prepared(device, 45, [1, 2, 3, 4, 5]);
    fake.journal();
    await submission.run();
    expect(submission.isGraph).toBe(false);
    expect(fake.journal().filter((name) => name === 'cuLaunchKernel')).toHaveLength(5);
    for (let run = 0; run < 3; run++) {
      y.fill(0xff);
      await submission.run();
      expect(new Float32Array((await y.read()).buffer)).toEqual(expected);
    }
    expect(submission.isGraph).toBe(true);
    const calls = fake.journal();
    expect(calls.filter((name) => name === 'cuGraphLaunch')).toHaveLength(3);
    expect(calls.filter((name) => name === 'cuLaunchKernel')).toHaveLength(5);
    expect(fake.live()).toMatchObject({ exec: 1 });
    expect(fake.live().graph).toBeUndefined();
  });

  it('launches one by one where the driver makes no graph, and says why', async () => {
    using device = await open();
    const { submission, y, expected } = await prepared(device, 45, [1, 2, 3, 4]);
    await submission.run();
    fake.fail('cuGraphInstantiateWithFlags', 0, 1);
    for (let run = 0; run < 2; run++) {
      y.fill(0xff);
      await submission.run();
      expect(new Float32Array((await y.read()).buffer)).toEqual(expected);
    }
    expect(submission.graphRefused).toMatch(/cuGraphInstantiateWithFlags says CUDA_ERROR_INVALID_VALUE/);
    using strict = await open({ graphs: true });
    const other = await prepared(strict, 45, [1]);
    fake.fail('cuGraphInstantiateWithFlags', 0, 1);
    await expect(other.submission.run()).rejects.toThrow(/R027.*cuGraphInstantiateWithFlags/);
    await other.submission.run();
    expect(other.submission.isGraph).toBe(true);
  });

  it('reads ranges in the same go, also those that fit no block', async () => {
    using device = await open();
    const n = 2 ** 18 + 100;
    const { submission, y, whole, expected } = await prepared(device, n, [1]);
    const [all, some, none] = await submission.runAndRead([
      whole(y),
      { buffer: y, byteOffset: 256, byteLength: 40 },
      { buffer: y, byteOffset: 0, byteLength: 0 },
    ]);
    expect(new Float32Array(all?.buffer ?? new ArrayBuffer())).toEqual(expected);
    expect(new Float32Array(some?.buffer ?? new ArrayBuffer())).toEqual(expected.slice(64, 74));
    expect(none).toEqual(new Uint8Array());
    await expect(submission.runAndRead([{ buffer: y, byteOffset: 8, byteLength: 8 }])).rejects.toThrow(/R016/);
  });

  it('times launches and runs', async () => {
    using device = await open();
    const { submission, y, expected } = await prepared(device, 45, [1, 2, 3, 4]);
    const launches = await submission.timings();
    expect(launches).toHaveLength(4);
    expect(launches.every((ms) => ms >= 0 && ms < 60_000)).toBe(true);
    expect(new Float32Array((await y.read()).buffer)).toEqual(expected);
    const runs = await submission.runTimings(6);
    expect(runs).toHaveLength(6);
    expect(runs.every((ms) => ms >= 0)).toBe(true);
    const steps: number[] = [];
    fake.journal();
    const bursts = await submission.timedSteps(3, (i, run) => {
      steps.push(i);
      for (let k = 0; k < i; k++) run();
    });
    expect(bursts).toHaveLength(3);
    expect(steps).toEqual([0, 1, 2]);
    // One run before, none in the first step, one and two in the others.
    expect(fake.journal().filter((call) => call.startsWith('cuGraphLaunch'))).toHaveLength(4);
    submission[Symbol.dispose]();
    expect(fake.live().exec).toBeUndefined();
  });

  it('handles events of the program while it waits', async () => {
    using device = await open();
    const { submission, y, expected } = await prepared(device, 45, [1]);
    fake.set('patience', 10 ** 9);
    fake.set('syncMs', 60);
    let ticks = 0;
    const timer = setInterval(() => ticks++, 5);
    await submission.run();
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(1);
    fake.set('patience', 0);
    expect(new Float32Array((await y.read()).buffer)).toEqual(expected);
  });

  it('asks again and again where the driver wants the context on the waiting thread', async () => {
    using device = await open();
    const { submission, y, expected } = await prepared(device, 45, [1]);
    fake.set('strictContext', 1);
    // More often than 0.3 ms of asking, few enough for the polling that follows.
    fake.set('patience', 1500);
    await submission.run();
    fake.set('patience', 0);
    expect(new Float32Array((await y.read()).buffer)).toEqual(expected);
  });

  it('lets a run end before it frees what the run uses', async () => {
    const device = await open();
    const { submission, y } = await prepared(device, 45, [1]);
    fake.set('patience', 10 ** 9);
    fake.set('syncMs', 20);
    const run = submission.run();
    await expect(submission.run()).rejects.toThrow(/R013/);
    y[Symbol.dispose]();
    device.dispose();
    expect(fake.live()).toMatchObject({ memory: 3, module: 1, context: 1 });
    await run;
    expect(fake.live()).toEqual({});
    await expect(submission.run()).rejects.toThrow(/R012/);
    await expect(y.read()).rejects.toThrow(/R012/);
    expect(() => device.createBuffer(4, 'late')).toThrow(/R012/);
    await expect(device.load(await scaling(fake.kernels))).rejects.toThrow(/R012/);
  });

  it('notices what was disposed of', async () => {
    using device = await open();
    const { submission, y, launches, program } = await prepared(device, 45, [1]);
    await submission.run();
    y[Symbol.dispose]();
    await expect(submission.run()).rejects.toThrow(/R012: step 1: buffer y was disposed of/);
    expect(() => device.prepare(launches)).toThrow(/R012/);
    program[Symbol.dispose]();
    expect(() => device.prepare(launches)).toThrow(/R012: step 1: its program was disposed of/);
  });

  it('refuses launches that do not fit', async () => {
    using device = await open();
    using other = await open();
    const { launches, y } = await prepared(device, 45, [1]);
    const first = launches[0] as DeviceLaunch;
    const change = (changes: Partial<DeviceLaunch>) => () => device.prepare([{ ...first, ...changes }]);
    const range = (byteOffset: number, byteLength: number) => [
      ...first.buffers.slice(0, 2),
      { buffer: y, byteOffset, byteLength },
    ];
    expect(change({ launch: 1 })).toThrow(/R016: step 1: scaling has no launch 1/);
    expect(change({ dims: [1] })).toThrow(/R016: .*2 dims, given are 3 and 1/);
    expect(change({ dims: [1, 2 ** 31] })).toThrow(/R016: .*dim step is 2147483648/);
    expect(change({ grid: 1.5 })).toThrow(/R016/);
    expect(change({ grid: 2 ** 31 })).toThrow(/R025: .*2147483648 blocks/);
    expect(change({ buffers: range(8, 8) })).toThrow(/R016: .*for y are not an aligned part of buffer y of 180 bytes/);
    expect(change({ buffers: range(0, 184) })).toThrow(/R016/);
    expect(() => other.prepare(launches)).toThrow(/R016: .*another device/);
    const moved = [
      {
        ...first,
        buffers: [
          ...first.buffers.slice(0, 2),
          { buffer: other.createBuffer(180, 'o'), byteOffset: 0, byteLength: 180 },
        ],
      },
    ];
    expect(() => device.prepare(moved)).toThrow(/R016: .*the buffer for y is of another device/);
  });

  it('launches nothing for an empty grid or an empty list', async () => {
    using device = await open();
    const { launches, y } = await prepared(device, 45, [1]);
    fake.journal();
    for (const list of [[], launches.map((launch) => ({ ...launch, grid: 0 }))]) {
      using submission = device.prepare(list);
      await submission.run();
      await submission.run();
      const [bytes] = await submission.runAndRead([{ buffer: y, byteOffset: 0, byteLength: 4 }]);
      expect(bytes).toEqual(new Uint8Array(4).fill(0xff));
    }
    expect(fake.journal()).not.toContain('cuLaunchKernel');
  });

  it('says how much memory there is when there is too little', async () => {
    using device = await open();
    using held = device.createBuffer(100 * 2 ** 20, 'held');
    expect(() => device.createBuffer(2 ** 30, 'arena of something')).toThrow(
      'R020: arena of something needs 1.00 GiB (1073741824 bytes) on device 0; 924.00 MiB of 1.00 GiB are free, 100.00 MiB are held',
    );
    expect(held.byteLength).toBe(100 * 2 ** 20);
    expect(device.statistics).toMatchObject({ buffers: 1, used: 100 * 2 ** 20 });
    const program = await device.load(await lookup(fake.kernels));
    const ids = device.createBuffer(400, 'ids');
    const range = { buffer: ids, byteOffset: 0, byteLength: 400 };
    const launch = { program, launch: 0, buffers: [range, range, range], dims: [1, 5], work: 1, label: 'big' };
    expect(() => device.prepare([{ ...launch, grid: 2 ** 27, scratch: 16 }])).toThrow(
      /R020: scratch of 1 launches needs 2.00 GiB/,
    );
  });

  it('is lost after an error inside a kernel, says so in every later call, and frees without a word', async () => {
    const device = await open();
    const { submission, y } = await prepared(device, 45, [1]);
    fake.fault(0, 700);
    await expect(submission.run()).rejects.toThrow(
      /R022: running step 1: .*CUDA_ERROR_ILLEGAL_ADDRESS \(an illegal memory access was encountered\); device 0 is lost to this process/,
    );
    expect(device.lost).toMatch(/CUDA_ERROR_ILLEGAL_ADDRESS/);
    await expect(submission.run()).rejects.toThrow(/R022: running step 1/);
    await expect(y.read()).rejects.toThrow(/R022/);
    expect(() => y.write(new Uint8Array(4))).toThrow(/R022/);
    expect(() => device.createBuffer(4, 'more')).toThrow(/R022/);
    device.dispose();
    fake.heal();
  });

  it('lays weights, arenas and scratch of several layers side by side', async () => {
    using device: Device = await open();
    const layers = await Promise.all(
      [2, 3, 5].map(async (w) => loadLayer(device, await scaling(fake.kernels), { w: Float32Array.of(w) })),
    );
    const x = numbers(77);
    const runs = await Promise.all(layers.map((layer, i) => layer.run({ x }, { dims: { step: i } })));
    for (const [i, w] of [2, 3, 5].entries())
      expect(runs[i]?.['y']?.data).toEqual(x.map((v) => Math.fround(Math.fround(v * w) + i)));
    for (const layer of layers) layer.dispose();
  });
});
