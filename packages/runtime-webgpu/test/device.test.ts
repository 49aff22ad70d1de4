/** Buffers, launches and loading: what fits and what is refused, every error of WebGPU heard, artefacts that are not right. */
import { createHash } from 'node:crypto';
import type { Artefact } from '@espalier/artefact';
import type { DeviceLaunch } from '@espalier/runtime';
import { describe, expect, it } from 'vitest';
import { compilerCapabilities, openWebGpu, type WebGpuBuffer, type WebGpuDevice } from '../src/index.ts';
import { missing, open, titled } from './support/device.ts';
import { failure } from './support/failure.ts';
import { bytesArtefact, chainArtefact, gatherArtefact, scaleArtefact } from './support/kernels.ts';
import { randomFloats } from './support/random.ts';

const range = (buffer: WebGpuBuffer) => ({ buffer, byteOffset: 0, byteLength: buffer.byteLength });

async function scaled(device: WebGpuDevice, T: number) {
  const program = await device.load(scaleArtefact());
  const [x, scale, y] = [4 * T, 4, 4 * T].map((bytes, i) => device.createBuffer(bytes, `b${i}`)) as [
    WebGpuBuffer,
    WebGpuBuffer,
    WebGpuBuffer,
  ];
  scale.write(Float32Array.of(2));
  const launch: DeviceLaunch = {
    program,
    launch: 0,
    grid: Math.ceil(T / 64),
    scratch: 0,
    buffers: [range(x), range(scale), range(y)],
    dims: [T],
    work: 0,
    label: 'step',
  };
  return { program, x, scale, y, launch };
}

describe.skipIf(missing !== '')(titled('a WebGPU device'), () => {
  it('says what it can do, in the compiler’s words', async () => {
    await using device = await open();
    expect(device.info).toMatchObject({ target: 'wgsl', placement: 'separate' });
    expect(device.info.name).toMatch(/^webgpu, /);
    const capabilities = compilerCapabilities(device);
    expect(capabilities['workgroup-threads']).toBeGreaterThanOrEqual(128);
    expect(capabilities['storage-buffers']).toBeGreaterThanOrEqual(8);
    const names = ['subgroups', 'subgroup-size', 'f16', 'workgroup-threads', 'workgroup-bytes', 'storage-buffers'];
    expect(names).toEqual(expect.arrayContaining(Object.keys(capabilities)));
    await using plain = await open({ without: ['subgroups', 'shader-f16'] });
    expect(compilerCapabilities(plain)).toMatchObject({ subgroups: false, f16: false });
    expect(compilerCapabilities(plain)).not.toHaveProperty('subgroup-size');
  });

  it('keeps bytes: odd lengths, parts, many reads at once in one journey', async () => {
    await using device = await open();
    using buffer = device.createBuffer(11, 'eleven');
    expect(await buffer.read()).toEqual(new Uint8Array(11));
    buffer.write(Uint8Array.of(1, 2, 3, 4, 5, 6, 7), 4);
    buffer.write(new Uint8Array([0, 9, 8, 7, 6]).subarray(1));
    const before = device.counters;
    expect(await Promise.all([buffer.read(), buffer.read(3, 5), buffer.read(11), buffer.read(5)])).toEqual([
      Uint8Array.of(9, 8, 7, 6, 1, 2, 3, 4, 5, 6, 7),
      Uint8Array.of(6, 1, 2, 3, 4),
      new Uint8Array(),
      Uint8Array.of(2, 3, 4, 5, 6, 7),
    ]);
    expect(device.counters).toMatchObject({ submissions: before.submissions + 1, readbacks: before.readbacks + 1 });
  });

  it('reads what was there when the read was asked for', async () => {
    await using device = await open();
    using buffer = device.createBuffer(4, 'word');
    buffer.write(Int32Array.of(1));
    const first = buffer.read();
    buffer.write(Int32Array.of(2));
    const second = buffer.read();
    buffer[Symbol.dispose]();
    expect([...(await first)]).toEqual([1, 0, 0, 0]);
    expect([...(await second)]).toEqual([2, 0, 0, 0]);
  });

  it('checks reads and writes against the buffer', async () => {
    await using device = await open();
    using buffer = device.createBuffer(10, 'ten');
    expect(() => buffer.write(new Uint8Array(11))).toThrow(RangeError);
    expect(() => buffer.write(new Uint8Array(4), 8)).toThrow('bytes 8 to 12 lie outside buffer ten of 10 bytes');
    expect(() => buffer.write(new Uint8Array(3), 4)).toThrow(/bytes 4 to 7 of buffer ten are not whole words of 4/);
    expect(() => buffer.write(new Uint8Array(4), 2)).toThrow(/not whole words/);
    expect(await failure(buffer.read(0, 11))).toBeInstanceOf(RangeError);
    expect(await failure(buffer.read(-1, 1))).toBeInstanceOf(RangeError);
  });

  it('runs a submission many times, with what its buffers then hold', async () => {
    await using device = await open();
    const { x, y, launch } = await scaled(device, 100);
    using submission = device.prepare([launch, { ...launch, grid: 0 }]);
    await submission.ready;
    for (let i = 0; i < 3; i++) {
      const values = randomFloats(100, i);
      x.write(values);
      await submission.run();
      const expected = values.map((v, t) => Math.fround(v * 2) + t);
      expect(new Float32Array((await y.read()).buffer)).toEqual(expected);
      const [part] = await submission.runAndRead([{ buffer: y, byteOffset: 0, byteLength: 12 }]);
      expect(new Float32Array(part?.buffer ?? new ArrayBuffer())).toEqual(expected.slice(0, 3));
    }
    using empty = device.prepare([]);
    await empty.run();
    expect(await empty.runAndRead([range(x)])).toHaveLength(1);
  });

  it('refuses what was disposed of', async () => {
    const device = await open();
    const { program, x, y, launch } = await scaled(device, 10);
    const submission = device.prepare([launch]);
    const other = device.createBuffer(40, 'other');
    const second = device.prepare([{ ...launch, buffers: [range(other), ...launch.buffers.slice(1)] }]);
    await submission.run();
    x[Symbol.dispose]();
    x[Symbol.dispose]();
    expect((await failure(submission.run())).message).toMatch(/^R012: step: buffer b0 was disposed of/);
    await second.run();
    program[Symbol.dispose]();
    expect((await failure(second.run())).message).toMatch(/^R012: step: its program/);
    submission[Symbol.dispose]();
    expect((await failure(submission.run())).message).toMatch(/^R012: this submission/);
    device.dispose();
    expect(() => device.createBuffer(4, 'late')).toThrow(/^R012: the device/);
    expect((await failure(device.load(scaleArtefact()))).message).toMatch(/^R012: the device/);
    expect((await failure(y.read())).message).toMatch(/^R012/);
    await device.closed;
  });

  it('refuses launches that do not fit', async () => {
    await using device = await open();
    await using foreign = await open();
    const { program, x, scale, y, launch } = await scaled(device, 100);
    const alien = foreign.createBuffer(400, 'alien');
    const bad =
      (parts: Partial<DeviceLaunch>): (() => unknown) =>
      () =>
        device.prepare([{ ...launch, ...parts }]);
    expect(bad({ buffers: [range(x), range(y)] })).toThrow(
      /^R016: step: kernel k0 takes 3 buffers and 1 dims, given are 2/,
    );
    expect(bad({ dims: [] })).toThrow(/^R016/);
    expect(bad({ launch: 1 })).toThrow(/^R016: step: scale has no launch 1/);
    expect(bad({ buffers: [range(x), range(scale), range(alien)] })).toThrow(
      /^R016: step: the buffer for y is of another/,
    );
    for (const wrong of [
      { buffer: x, byteOffset: 4, byteLength: 4 },
      { buffer: x, byteOffset: 0, byteLength: 401 },
      { buffer: x, byteOffset: 512, byteLength: 0 },
    ])
      expect(bad({ buffers: [wrong, range(scale), range(y)] })).toThrow(
        /^R016: step: bytes .* for x are not an aligned/,
      );
    expect(bad({ buffers: [range(x), range(scale), range(x)] })).toThrow(
      /^R016: step: x and y lie in one buffer, b0, and kernel k0 reads one and writes the other, which WebGPU forbids/,
    );
    expect(bad({ grid: 65_535 * 65_535 + 1 })).toThrow(/^R025: step: a grid of 4294836226 workgroups/);
    // Two rows of workgroups more than 32 bits number.
    expect(bad({ grid: 2 ** 31 - 1 })).toThrow(/this device runs 2147418113 \(/);
    expect(() => foreign.prepare([{ ...launch, program }])).toThrow(/^R016: step: its program/);
    const bytes = await device.load(bytesArtefact(4));
    const most = device.gpuDevice.limits.maxStorageBufferBindingSize;
    expect(() =>
      device.prepare([{ ...launch, program: bytes, buffers: [range(x), range(y)], scratch: 2 ** 20, grid: 2 ** 13 }]),
    ).toThrow(new RegExp(`^R025: step: the scratch of 8192 workgroups of kernel k0 takes .* is ${most}`));
  });

  it('reports what WebGPU finds wrong with a run, though nobody asked', async () => {
    await using device = await open();
    const { y, launch } = await scaled(device, 10);
    using submission = device.prepare([launch]);
    // Behind the runtime's back: the buffer is gone, and the runtime does not know.
    y.gpuBuffer.destroy();
    const error = await failure(submission.run());
    expect(error).toMatchObject({ code: 'R027' });
    expect(error.message).toMatch(/^R027: the GPU refuses a run: .*destroyed/);
  });

  it('throws errors that escaped every scope at the next run, and when it is disposed of', async () => {
    const device = await open();
    const { launch } = await scaled(device, 10);
    using submission = device.prepare([launch]);
    const spoil = async (): Promise<void> => {
      device.gpuDevice.createBuffer({ size: 4, usage: 0 });
      await device.gpuDevice.queue.onSubmittedWorkDone();
      await new Promise((resolve) => setTimeout(resolve, 10));
    };
    await spoil();
    expect(await failure(submission.run())).toMatchObject({ code: 'R027' });
    await submission.run();
    await spoil();
    await spoil();
    expect(() => device.dispose()).toThrow(/^R027: .*\(and 1 more errors\)$/s);
    await device.closed;
  });

  it('leaves a device alone that was brought along, but for what it made', async () => {
    await using host = await open();
    const brought = host.gpuDevice;
    const device = await openWebGpu({ device: brought });
    const { x, launch } = await scaled(device, 10);
    await device.prepare([launch]).run();
    await device[Symbol.asyncDispose]();
    brought.pushErrorScope('validation');
    brought.queue.writeBuffer(x.gpuBuffer, 0, new Uint8Array(4));
    expect((await brought.popErrorScope())?.message).toMatch(/destroyed/);
    await using again = await openWebGpu({ device: brought });
    const { launch: another } = await scaled(again, 10);
    await again.prepare([another]).run();
  });
});

describe.skipIf(missing !== '')(titled('loading refuses'), () => {
  const good = scaleArtefact();
  const changed = (source: string): Artefact => ({
    source,
    manifest: { ...good.manifest, checksum: createHash('sha256').update(source).digest('hex') },
  });
  const withLaunch = (parts: object): Artefact => ({
    ...good,
    manifest: { ...good.manifest, launches: good.manifest.launches.map((launch) => ({ ...launch, ...parts })) },
  });

  it.each<[string, Artefact, RegExp]>([
    ['another target', { ...good, manifest: { ...good.manifest, target: 'cuda' } }, /^A008: .*compile it for wgsl$/],
    ['changed code', { ...good, source: `${good.source}\n` }, /^A007: the source of scale/],
    ['an unknown version', { ...good, manifest: { ...good.manifest, version: 2 as 1 } }, /^A002/],
    [
      'an unknown capability',
      { ...good, manifest: { ...good.manifest, requires: ['rays'] } },
      /^A009: scale needs rays, which webgpu.* gives, or with none$/,
    ],
    [
      'more of a capability',
      { ...good, manifest: { ...good.manifest, requires: ['workgroup-bytes=1000000000'] } },
      /^A009: scale needs workgroup-bytes=1000000000/,
    ],
    [
      'large workgroups',
      withLaunch({ workgroup: 4096 }),
      /^A009: scale needs workgroups of 4096 threads for kernel k0 .* compile the layer with the capabilities that compilerCapabilities\(device\) gives$/,
    ],
    [
      'many buffers',
      withLaunch({ bindings: Array.from({ length: 70 }, () => 'x') }),
      /^A009: scale needs 70 storage buffers for kernel k0/,
    ],
    [
      'a status word that the source lacks',
      withLaunch({ checks: true }),
      /^A010: .*kernel k0 declares uniform at binding 3, where the manifest has \(status\)/,
    ],
    ['a kernel that is missing', withLaunch({ kernel: 'k7' }), /^A010: .*kernel k7 declares nothing at binding 0/],
    [
      'code that is not WGSL',
      changed(good.source.replace('k0_y[t] =', 'k0_y[t] +')),
      /^A010: the GPU's compiler refuses the code of scale: .*\n {2}12 \| {3}k0_y\[t\] \+ k0_x.*\n {5}\| {11}\^\n/,
    ],
    [
      'code of an undeclared feature',
      changed(`enable f16;\n${good.source.replaceAll('array<f32>', 'array<f16>')}`),
      /^A010: the GPU's compiler refuses/,
    ],
  ])('%s, and stays usable', async (_, bad, message) => {
    await using device = await open({ without: ['shader-f16'] });
    expect((await failure(device.load(bad))).message).toMatch(message);
    const { launch } = await scaled(device, 3);
    await device.prepare([launch]).run();
  });

  it('workgroup memory past the limit', async () => {
    await using device = await open();
    const most = device.info.capabilities['workgroup-bytes'];
    const big = changed(
      good.source
        .replace('@compute', 'var<workgroup> k0_tile : array<array<vec4f, 300>, 20>;\n@compute')
        .replace('k0_y[t] =', 'k0_tile[0][t] = vec4f(1.0); k0_y[t] = k0_tile[0][t].x +'),
    );
    expect((await failure(device.load(big))).message).toMatch(
      `A009: scale needs 96000 bytes of workgroup memory for kernel k0 (there are ${most})`,
    );
  });

  it('compiles each kernel once', async () => {
    await using device = await open();
    await device.load(chainArtefact());
    await device.load(gatherArtefact());
    expect(device.counters).toMatchObject({ modules: 2, pipelines: 4 });
  });
});
