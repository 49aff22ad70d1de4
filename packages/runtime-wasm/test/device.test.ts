/** The device below layers: buffers, submissions, growth, and everything used after its end. */
import { type DeviceLaunch, loadLayer } from '@espalier/runtime';
import { describe, expect, it } from 'vitest';
import { openWasm, type WasmBuffer, type WasmDevice, type WasmProgram } from '../src/index.ts';
import { failure } from './support/failure.ts';
import { gatherArtefact, scaleArtefact, trapArtefact } from './support/kernels.ts';
import { randomFloats } from './support/random.ts';

const range = (buffer: WasmBuffer) => ({ buffer, byteOffset: 0, byteLength: buffer.byteLength });

const launchOf = (program: WasmProgram, buffers: readonly WasmBuffer[], N: number): DeviceLaunch => ({
  program,
  launch: 0,
  grid: N,
  scratch: 0,
  work: 1,
  dims: [N],
  buffers: buffers.map(range),
  label: 'step',
});

async function scaled(device: WasmDevice, N: number) {
  const program = await device.load(scaleArtefact());
  const x = device.createBuffer(4 * N, 'x');
  const scale = device.createBuffer(4, 'scale');
  const y = device.createBuffer(4 * N, 'y');
  return { program, x, scale, y, launch: launchOf(program, [x, scale, y], N) };
}

describe.each([1, 2])('with %i threads', (threads) => {
  const open = (): Promise<WasmDevice> => openWasm({ threads, minimumWork: 0 });

  it('keeps buffers, views and prepared submissions right while the memory grows', async () => {
    using device = await open();
    const { x, scale, y, launch } = await scaled(device, 1000);
    const submission = device.prepare([launch]);
    scale.write(Float32Array.of(2));
    let { size } = device.statistics;
    let growths = 0;
    for (let i = 0; i < 12; i++) {
      const values = randomFloats(1000, i);
      x.write(values);
      const ballast = device.createBuffer(2 ** 21, `ballast ${i}`);
      expect(device.view(ballast, 'f32').every((v) => v === 0)).toBe(true);
      device.view(ballast, 'i8').fill(-1);
      if (device.statistics.size > size) growths++;
      ({ size } = device.statistics);
      await submission.run();
      expect(Float32Array.from(device.view(y, 'f32'))).toEqual(values.map((v) => Math.fround(v * 2) + 1000));
      // A submission made after growth has its table beyond the workers' first view.
      const late = device.prepare([launch]);
      y.write(new Float32Array(1000));
      await late.run();
      expect(Float32Array.from(device.view(y, 'f32'))).toEqual(values.map((v) => Math.fround(v * 2) + 1000));
    }
    expect(growths).toBeGreaterThan(3);
  });

  it('computes the same in runSync as in run', async () => {
    using device = await open();
    const { x, scale, y, launch } = await scaled(device, 501);
    const submission = device.prepare([launch, launch]);
    x.write(randomFloats(501, 1));
    scale.write(Float32Array.of(-0.3));
    await submission.run();
    const first = await y.read();
    y.write(new Float32Array(501));
    submission.runSync();
    expect(await y.read()).toEqual(first);
  });

  it('refuses what was disposed of', async () => {
    using device = await open();
    const { program, x, scale, y, launch } = await scaled(device, 10);
    const submission = device.prepare([launch]);
    await submission.run();
    x[Symbol.dispose]();
    expect(() => x.write(new Float32Array(1))).toThrow('R012: buffer x was disposed of; create another');
    expect((await failure(submission.run())).message).toBe('R012: step: buffer x was disposed of; prepare it again');
    expect(() => device.prepare([launch])).toThrow(/^R012: step: buffer x/);
    using other = device.createBuffer(40, 'other');
    const again = launchOf(program, [other, scale, y], 10);
    using second = device.prepare([again]);
    await second.run();
    program[Symbol.dispose]();
    expect((await failure(second.run())).message).toMatch(/^R012: step: its program/);
    submission[Symbol.dispose]();
    expect((await failure(submission.run())).message).toMatch(/^R012: this submission/);
    device.dispose();
    expect(() => device.createBuffer(4, 'late')).toThrow(/^R012: the device/);
    expect((await failure(device.load(scaleArtefact()))).message).toMatch(/^R012: the device/);
    expect(() => y.view()).toThrow(/^R012/);
    await device.closed;
  });

  it('refuses launches that do not fit', async () => {
    using device = await open();
    using foreign = await open();
    const { program, x, scale, y, launch } = await scaled(device, 10);
    const alien = foreign.createBuffer(40, 'alien');
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
      { buffer: x, byteOffset: 0, byteLength: 41 },
      { buffer: x, byteOffset: 64, byteLength: 0 },
    ])
      expect(bad({ buffers: [wrong, range(scale), range(y)] })).toThrow(
        /^R016: step: bytes .* for x are not an aligned/,
      );
    expect(() => foreign.prepare([launchOf(program, [alien, alien, alien], 1)])).toThrow(/^R016/);
  });

  it('checks reads and writes against the buffer', async () => {
    using device = await open();
    using buffer = device.createBuffer(10, 'ten');
    expect(() => buffer.write(new Uint8Array(11))).toThrow(RangeError);
    expect(() => buffer.write(new Uint8Array(1), 10)).toThrow('bytes 10 to 11 lie outside buffer ten of 10 bytes');
    expect(await failure(buffer.read(0, 11))).toBeInstanceOf(RangeError);
    expect(await failure(buffer.read(-1, 1))).toBeInstanceOf(RangeError);
    buffer.write(Uint8Array.of(1, 2, 3), 7);
    expect(await buffer.read(6)).toEqual(Uint8Array.of(0, 1, 2, 3));
  });

  it('waits for a thread that takes long, while events are handled, and goes on', async () => {
    using device = await open();
    const waste = `(loop (br_if 0 (i32.lt_u (local.tee $spin (i32.add (local.get $spin) (i32.const 1))) (i32.const 150000000))))`;
    const program = await device.load(trapArtefact(waste));
    const [a, b, c] = ['a', 'b', 'c'].map((name) => device.createBuffer(400, name)) as [
      WasmBuffer,
      WasmBuffer,
      WasmBuffer,
    ];
    const step = (from: WasmBuffer, to: WasmBuffer): DeviceLaunch => ({
      ...launchOf(program, [from, to], 100),
      dims: [],
    });
    using submission = device.prepare([step(a, b), step(b, c)]);
    for (const slow of [99, 0]) {
      const values = randomFloats(100, slow).map(Math.abs);
      values[slow] = -1;
      a.write(values);
      const run = submission.run();
      // Read at once: it must wait for the run.
      const result = c.read();
      await run;
      expect(new Float32Array((await result).buffer)).toEqual(values);
    }
  });

  it('runs layers that callers start together, one after the other', async () => {
    using device = await open();
    const table = randomFloats(15, 1);
    const layers = await Promise.all([1, 2, 3].map(() => loadLayer(device, gatherArtefact(), { table })));
    const x = randomFloats(3000, 2);
    const ids = new Int32Array(3000).map((_, i) => i % 5);
    const [first, ...others] = await Promise.all(layers.map((layer) => layer.run({ x, ids })));
    for (const other of others) expect(other).toEqual(first);
  });
});
