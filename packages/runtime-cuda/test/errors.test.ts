/** Every call of the driver fails once at every place where it is made: the error names it, and nothing stays behind. */
import { ArtefactError } from '@espalier/artefact';
import { loadLayer, RuntimeError } from '@espalier/runtime';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DriverCall, driverCalls } from '../src/driver/calls.ts';
import { openCuda } from '../src/index.ts';
import { lookup, scaling } from './support/artefacts.ts';
import { type FakeDriver, fakeDriver, noCompiler } from './support/fake.ts';

/** Calls that end something: they fail while an object is disposed of. */
const ending: ReadonlySet<DriverCall> = new Set([
  'cuMemFree_v2',
  'cuMemFreeHost',
  'cuModuleUnload',
  'cuEventDestroy_v2',
  'cuGraphExecDestroy',
  'cuGraphDestroy',
  'cuStreamDestroy_v2',
  'cuStreamSynchronize',
  'cuDevicePrimaryCtxRelease_v2',
]);

describe.skipIf(noCompiler)(`a failing driver${noCompiler ? ` (${noCompiler})` : ''}`, () => {
  let fake: FakeDriver;
  beforeAll(async () => {
    fake = await fakeDriver();
  });
  afterAll(async () => fake?.[Symbol.asyncDispose]());

  /** A life: open, load, run with and without graphs, time, fault, dispose. */
  async function live(): Promise<void> {
    using device = await openCuda({ library: fake.library, cache: false, graphs: true });
    using layer = await loadLayer(device, await scaling(fake.kernels, 4), { w: Float32Array.of(2) });
    for (let run = 0; run < 2; run++) {
      const { y } = await layer.run({ x: Float32Array.of(1, 2, 3) }, { dims: { step: 1 } });
      expect(y?.data).toEqual(Float32Array.of(3, 5, 7));
    }
    using checked = await loadLayer(device, await lookup(fake.kernels), { table: new Float32Array(5) });
    await checked.run({ ids: Int32Array.of(1, 2) }, { dims: { rows: 5 } });
    using submission = device.prepare([]);
    await submission.runTimings(2);
    if (fake.journal().length === 0) throw new Error('the fake driver wrote nothing down');
  }

  it('is not what this is about when nothing fails', async () => {
    await live();
    expect(fake.live()).toEqual({});
  });

  it.each(Object.keys(driverCalls) as DriverCall[])('%s', async (name) => {
    let failures = 0;
    for (let skip = 0; ; skip++) {
      fake.restart();
      fake.fail(name, skip, 1);
      if (name === 'cuEventSynchronize') {
        fake.set('patience', 10 ** 9);
      }
      const error: unknown = await live().then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      fake.set('patience', 0);
      if (fake.waiting()) break;
      failures++;
      const said = (e: unknown): string =>
        e instanceof SuppressedError
          ? `${said(e.error)} ${said(e.suppressed)}`
          : e instanceof Error
            ? e.message
            : String(e);
      expect(error, `failure ${skip} of ${name}`).toBeInstanceOf(Error);
      if (!(error instanceof SuppressedError))
        expect(error instanceof RuntimeError || error instanceof ArtefactError, said(error)).toBe(true);
      // The call that makes the context current stands for the one it was made for.
      if (name !== 'cuCtxSetCurrent') expect(said(error)).toContain(name);
      expect(said(error)).toContain('CUDA_ERROR_INVALID_VALUE');
      // What fails to be freed is all that stays.
      if (name !== 'cuCtxSetCurrent' && !ending.has(name))
        expect(fake.live(), `failure ${skip} of ${name}`).toEqual({});
      if (skip > 40) break;
    }
    fake.restart();
    // These are made only where memory runs short.
    if (name !== 'cuMemGetInfo_v2') expect(failures).toBeGreaterThan(0);
  });

  it.each([214, 700, 702, 715, 716, 719, 999])('sticky error %i is a lost device', async (code) => {
    fake.restart();
    const device = await openCuda({ library: fake.library, cache: false });
    const layer = await loadLayer(device, await scaling(fake.kernels), { w: Float32Array.of(2) });
    fake.fault(0, code);
    const run = layer.run({ x: Float32Array.of(1) }, { dims: { step: 0 } });
    await expect(run).rejects.toThrow(
      /R022: .*device 0 is lost to this process, its memory with it: start a new process/,
    );
    layer.dispose();
    device.dispose();
    fake.heal();
  });

  it('a launch that the device has no room for is an error of that launch', async () => {
    fake.restart();
    using device = await openCuda({ library: fake.library, cache: false });
    using layer = await loadLayer(device, await scaling(fake.kernels), { w: Float32Array.of(2) });
    fake.fail('cuLaunchKernel', 0, 701);
    const run = layer.run({ x: Float32Array.of(1) }, { dims: { step: 0 } });
    await expect(run).rejects.toThrow(
      /R021: scaling: launching kernel scale with 1 blocks of 32 threads: cuLaunchKernel says CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES/,
    );
    const { y } = await layer.run({ x: Float32Array.of(1) }, { dims: { step: 0 } });
    expect(y?.data).toEqual(Float32Array.of(2));
  });
});
