/** Opening a device, the report, and the declarations of the driver's calls beside NVIDIA's own header. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { driverCalls, type ParameterKind } from '../src/driver/calls.ts';
import { cudaReport, openCuda, openCudaTarget, parseCudaTarget } from '../src/index.ts';
import { cudaInclude, type FakeDriver, fakeDriver, noCompiler } from './support/fake.ts';

describe('without a driver', () => {
  const library = '/nowhere/libcuda.so.1';

  it('reports why, with the same words that opening rejects with', async () => {
    const report = await cudaReport({ library });
    expect(report).toMatchObject({ available: false, driver: { found: false }, devices: [] });
    expect(report.reason).toMatch(/^\/nowhere\/libcuda\.so\.1 could not be loaded: .*No such file/);
    const error: unknown = await openCuda({ library }).catch((thrown: unknown) => thrown);
    expect(String(error)).toBe(
      `RuntimeError: R026: ${report.reason}; install NVIDIA's driver, or run on another target; cudaReport() says what was found on this machine`,
    );
  });

  it('reports on this machine, whatever it has', async () => {
    const report = await cudaReport();
    expect(report.available).toBe(report.devices.length > 0);
    expect(report.available || (report.reason ?? '').length > 0).toBe(true);
  });

  it('says of a library that is something else that it is no driver', async () => {
    const libc = process.platform === 'linux' ? 'libc.so.6' : 'kernel32.dll';
    await expect(openCuda({ library: libc })).rejects.toThrow(/R026: .*has no cuInit/);
  });

  it('takes targets as texts', async () => {
    expect(parseCudaTarget('cuda')).toEqual({});
    expect(parseCudaTarget('cuda:1')).toEqual({ ordinal: 1 });
    expect(parseCudaTarget('cuda:0,nvcc')).toEqual({ ordinal: 0, compiler: 'nvcc' });
    for (const text of ['wasm', 'cuda:', 'cuda:fast', 'cuda:0:1', 'cuda:-1'])
      expect(() => parseCudaTarget(text)).toThrow(/R023: .* in target/);
    await expect(openCudaTarget('cuda:what')).rejects.toThrow(/R023/);
  });
});

describe.skipIf(noCompiler)(`with a driver${noCompiler ? ` (${noCompiler})` : ''}`, () => {
  let fake: FakeDriver;
  beforeAll(async () => {
    fake = await fakeDriver();
  });
  afterAll(async () => fake?.[Symbol.asyncDispose]());
  afterEach(() => {
    fake.heal();
    fake.set('devices', 1);
  });

  it('reports each device', async () => {
    fake.set('devices', 2);
    const report = await cudaReport({ library: fake.library });
    expect(report).toMatchObject({ available: true, driver: { found: true, path: fake.library, version: '13.0' } });
    expect(report.devices).toMatchObject([
      { ordinal: 0, name: 'Fake GPU 0', sm: 90, multiprocessors: 132, warpSize: 32, sharedBytes: 49152 },
      { ordinal: 1, name: 'Fake GPU 1', sm: 90, memoryBytes: 2 ** 30, l2Bytes: 50 * 2 ** 20, threadsPerBlock: 1024 },
    ]);
    using second = await openCuda({ library: fake.library, ordinal: 1 });
    expect(second.info.name).toMatch(/Fake GPU 1/);
  });

  it('refuses a device that is not there', async () => {
    await expect(openCuda({ library: fake.library, ordinal: 1 })).rejects.toThrow(
      /R026: the driver shows devices 0 to 0, not 1/,
    );
    await expect(openCuda({ library: fake.library, ordinal: -1 })).rejects.toThrow(/R026/);
    fake.set('devices', 0);
    const report = await cudaReport({ library: fake.library });
    expect(report).toMatchObject({ available: false, devices: [] });
    expect(report.reason).toMatch(/cuInit of .* \(CUDA 13\.0\) says CUDA_ERROR_NO_DEVICE/);
    await expect(openCuda({ library: fake.library })).rejects.toThrow(/R026: cuInit of .*CUDA_ERROR_NO_DEVICE/);
  });

  it('reports a driver that fails, and opens none', async () => {
    fake.fail('cuInit', 0, 999);
    expect((await cudaReport({ library: fake.library })).reason).toMatch(/cuInit of .* says CUDA_ERROR_UNKNOWN/);
    fake.fail('cuDeviceGetName', 0, 999);
    expect(await cudaReport({ library: fake.library })).toMatchObject({ available: false, driver: { found: true } });
  });
});

const header = cudaInclude === undefined ? undefined : join(cudaInclude, 'cuda.h');

describe.skipIf(header === undefined)(
  `the declarations${header === undefined ? ' (no cuda.h on this machine)' : ''}`,
  () => {
    const kinds: readonly (readonly [RegExp, readonly ParameterKind[]])[] = [
      [/^const char \*$/, ['text']],
      [/\*+$/, ['out', 'in', 'handle']],
      [/^(CUcontext|CUstream|CUevent|CUmodule|CUfunction|CUgraph|CUgraphExec)$/, ['handle']],
      [/^CUdeviceptr$/, ['address']],
      [/^size_t$/, ['size']],
      [/^unsigned long long$/, ['u64']],
      [/^unsigned (int|char)$/, ['uint']],
      [/^(int|CUdevice|CU\w+)$/, ['int']],
    ];

    /** Asked for without a version, which drivers before 12.8 do not export. */
    const unversioned = new Set(['cuEventElapsedTime']);

    it.each(Object.keys(driverCalls) as (keyof typeof driverCalls)[])('%s is as in cuda.h', (name) => {
      const text = readFileSync(header as string, 'utf8');
      // Macros hide the versions, and one call's other name: prototypes have the name that programs write.
      const macro = new RegExp(`#define (\\w+)\\s+(?:__CUDA_API_PT[SD][ZS]\\()?${name}\\b`).exec(text)?.[1];
      const renamed = new RegExp(`#define ${name}\\s+(?:__CUDA_API_PT[SD][ZS]\\()?(\\w+)`).exec(text)?.[1];
      if (!unversioned.has(name)) expect(renamed ?? name).toBe(name);
      const prototype = new RegExp(`CUresult CUDAAPI ${macro ?? name}\\(([^)]*)\\);`).exec(text)?.[1] ?? '';
      const parameters = prototype.split(',').map((parameter) =>
        parameter
          .trim()
          .replace(/\s*\w+$/, '')
          .trim(),
      );
      const declared: readonly ParameterKind[] = driverCalls[name];
      expect(parameters).toHaveLength(declared.length);
      for (const [i, type] of parameters.entries()) {
        const allowed = kinds.find(([pattern]) => pattern.test(type))?.[1];
        expect(allowed, `parameter ${i} of ${name}: ${type}`).toContain(declared[i]);
      }
    });
  },
);
