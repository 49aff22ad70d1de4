/** What a CUDA device takes and refuses to load, and what compiles it: nvcc for real, the cache, PTX made beforehand. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Artefact, artefactFiles, decodeGraph, encodeGraph, sha256Hex } from '@espalier/artefact';
import { graphOfLayer, loadLayer } from '@espalier/runtime';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { architectureFor, architectures } from '../src/compile/compiler.ts';
import { ptxVersionOf } from '../src/compile/ptx-version.ts';
import { type CudaOptions, openCuda, withPtx } from '../src/index.ts';
import { scaling, scalingSource } from './support/artefacts.ts';
import { type FakeDriver, fakeDriver, noCompiler, noNvcc } from './support/fake.ts';

/** An artefact of CUDA C alone. */
async function sourceOnly(source = scalingSource): Promise<Artefact> {
  const { manifest } = await scaling(new Uint8Array());
  return { manifest: { ...manifest, checksum: await sha256Hex(source) }, source };
}

describe.skipIf(noCompiler)(`loading${noCompiler ? ` (${noCompiler})` : ''}`, () => {
  let fake: FakeDriver;
  let folder: string;
  beforeAll(async () => {
    fake = await fakeDriver();
    folder = await mkdtemp(join(tmpdir(), 'espalier-cuda-cache-'));
  });
  afterAll(async () => {
    await fake?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });
  afterEach(() => {
    fake.heal();
    fake.set('major', 9);
    fake.set('minor', 0);
    fake.set('threads', 1024);
    fake.set('version', 13000);
    fake.set('ptx', 90);
  });
  const open = (options: CudaOptions = {}) => openCuda({ library: fake.library, cache: false, ...options });

  it('refuses what it cannot run, with a way out', async () => {
    using device = await open();
    const load = async (changes: Parameters<typeof scaling>[2]) => device.load(await scaling(fake.kernels, 1, changes));
    await expect(load({ target: 'wgsl' })).rejects.toThrow(
      /A008: scaling was compiled for wgsl, this device runs cuda/,
    );
    await expect(load({ version: 2 as 1 })).rejects.toThrow(/A002/);
    await expect(load({ checksum: '00' })).rejects.toThrow(/A007/);
    await expect(load({ requires: ['sm=100'] })).rejects.toThrow(/A009: scaling needs sm=100, .* has sm=90/);
    await expect(load({ requires: ['levitation'] })).rejects.toThrow(/A009: scaling needs levitation, .* has none/);
    const missing = await scaling(fake.kernels);
    const [launch] = missing.manifest.launches;
    if (!launch) throw new Error('no launch');
    await expect(load({ launches: [{ ...launch, kernel: 'k7' }] })).rejects.toThrow(/A010: .* has no kernel k7/);
    fake.set('threads', 16);
    await expect(load({})).rejects.toThrow(
      /A009: kernel scale of scaling has blocks of 32 threads with 42 registers each/,
    );
    fake.set('threads', 1024);
    using program = await load({ requires: ['sm=90', 'tensor-cores', 'warp-size=32'] });
    expect(program.origin).toBe("the artefact's own PTX");
    expect(fake.live()).toMatchObject({ module: 1 });
  });

  it('shows what the driver’s compiler says of bad PTX', async () => {
    using device = await open();
    const bad = await scaling(new TextEncoder().encode('// nothing'));
    await expect(device.load(bad)).rejects.toThrow(
      /A010: loading scaling \(the artefact's own PTX\): cuModuleLoadDataEx says CUDA_ERROR_INVALID_PTX .*\n.*Missing \.version directive/,
    );
    expect(fake.live().module).toBeUndefined();
  });

  it('says what is missing where nothing compiles', async () => {
    using ptx = await open({ compiler: 'ptx' });
    await expect(ptx.load(await sourceOnly())).rejects.toThrow(
      /A013: scaling has no PTX and the device was opened with/,
    );
    using nothing = await open({ nvrtc: '/nowhere/libnvrtc.so', nvcc: '/nowhere/nvcc' });
    await expect(nothing.load(await sourceOnly())).rejects.toThrow(
      /A013: .*\/nowhere\/libnvrtc\.so could not be loaded.*and \/nowhere\/nvcc does not work/,
    );
    using nvrtc = await open({ compiler: 'nvrtc', nvrtc: fake.library });
    await expect(nvrtc.load(await sourceOnly())).rejects.toThrow(/A013: .*is no NVRTC that works/);
    // A device without compilers still runs what carries its code.
    using layer = await loadLayer(nothing, await scaling(fake.kernels), { w: Float32Array.of(2) });
    expect((await layer.run({ x: Float32Array.of(4) }, { dims: { step: 1 } }))['y']?.data).toEqual(Float32Array.of(9));
  });

  it('chooses machine code where the compiler knows the device, else PTX for the newest older one', () => {
    const choice = (sm: number, known: readonly number[], version = '13.0', driver = '13.0') =>
      architectureFor({ sm, driver }, { version, known });
    expect(choice(90, [80, 90, 100])).toEqual({ kind: 'cubin', arch: 'sm_90' });
    expect(choice(95, [100, 80, 90])).toEqual({ kind: 'ptx', arch: 'compute_90' });
    expect(choice(75, [80, 90])).toBeUndefined();
    // A driver older than the compiler knows nothing of its machine code.
    expect(choice(90, [80, 90, 100], '13.0', '12.4')).toEqual({ kind: 'ptx', arch: 'compute_90' });
    expect(choice(90, [80, 90, 100], '12.4', '12.10')).toEqual({ kind: 'cubin', arch: 'sm_90' });
    expect(architectures('sm_80 sm_90 compute_90a compute_100 sm_90')).toEqual([80, 90, 100]);
  });

  it.each([
    ['11.8', '7.8'],
    ['12.0', '8.0'],
    ['12.4', '8.4'],
    ['12.6', '8.5'],
    ['12.9', '8.8'],
    ['13.0', '9.0'],
  ])('knows that CUDA %s takes PTX %s', (driver, version) => expect(ptxVersionOf(driver)).toBe(version));

  describe.skipIf(noNvcc)(`nvcc${noNvcc ? ` (${noNvcc})` : ''}`, () => {
    it.each([
      [8, 0, 'cubin'],
      [9, 0, 'cubin'],
      [10, 0, 'cubin'],
      [99, 0, 'ptx'],
    ])('compiles CUDA C for %i.%i to %s', async (major, minor, kind) => {
      fake.set('major', major);
      fake.set('minor', minor);
      using device = await open({ compiler: 'nvcc' });
      using program = await device.load(await sourceOnly());
      expect(program.origin).toMatch(
        kind === 'cubin' ? new RegExp(`^nvcc .*, sm_${major}0$`) : /^nvcc .*, compute_\d+$/,
      );
      expect(program.functions).toMatchObject([{ name: 'scale', threads: 32 }]);
      using buffer = device.createBuffer(256, 'all');
      const range = { buffer, byteOffset: 0, byteLength: 256 };
      const buffers = [range, range, range];
      const launch = { program, launch: 0, grid: 1, scratch: 0, buffers, dims: [1, 1], work: 1, label: 'it' };
      using submission = device.prepare([launch]);
      await submission.run();
    });

    it('shows the compiler’s complaints, with the line', async () => {
      using device = await open({ compiler: 'nvcc' });
      const broken = await sourceOnly(scalingSource.replace('int i =', 'itn i ='));
      await expect(device.load(broken)).rejects.toThrow(
        /A010: nvcc .* refuses the code of scaling .*\n.*kernels\.cu\(3\): error/,
      );
    });

    it('keeps what it compiled, and compiles again what was damaged or is refused', async () => {
      const cache = join(folder, 'kept');
      const origins: string[] = [];
      const load = async (): Promise<void> => {
        using device = await open({ compiler: 'nvcc', cache });
        using program = await device.load(await sourceOnly());
        origins.push(program.origin.replace(/ \d+\.\d+/, ''));
      };
      await load();
      await load();
      expect(origins).toEqual(['nvcc, sm_90', 'nvcc, from the cache']);
      const files = await readdir(cache);
      expect(files).toEqual([expect.stringMatching(/^[0-9a-f]{64}\.cubin$/)]);
      const file = join(cache, files[0] as string);
      const entry = await readFile(file);
      await writeFile(file, entry.subarray(0, entry.length - 9));
      await load();
      // The driver refuses the entry once, as one of another version might.
      fake.fail('cuModuleLoadDataEx', 0, 209);
      await load();
      expect(origins.slice(2)).toEqual(['nvcc, sm_90', 'nvcc, sm_90']);
      expect((await readFile(file)).length).toBeGreaterThanOrEqual(entry.length - 9);
      fake.set('major', 8);
      await load();
      expect(await readdir(cache)).toHaveLength(2);
    });

    it('compiles where the cache cannot be written', async () => {
      const file = join(folder, 'a-file');
      await writeFile(file, '');
      using device = await open({ compiler: 'nvcc', cache: file });
      using program = await device.load(await sourceOnly());
      expect(program.origin).toMatch(/sm_90$/);
    });

    it('offers PTX under the version that an older driver knows', async () => {
      const artefact = await withPtx(await sourceOnly());
      const made = /^\.version (\d+)\.(\d+)/m.exec(new TextDecoder().decode(artefact.binary));
      expect(10 * Number(made?.[1]) + Number(made?.[2])).toBeGreaterThan(84);
      fake.set('version', 12040);
      fake.set('ptx', 84);
      using device = await open({ compiler: 'ptx' });
      using program = await device.load(artefact);
      expect(program.functions).toHaveLength(1);
      using compiling = await open({ compiler: 'nvcc' });
      using compiled = await compiling.load(await sourceOnly());
      expect(compiled.origin).toMatch(/compute_90$/);
      // Whose version is older still than it says.
      fake.set('ptx', 70);
      await expect(device.load(artefact)).rejects.toThrow(/A010: .*cuModuleLoadDataEx says CUDA error 222/);
    });

    it('makes PTX beforehand, which travels with the artefact and is what the checksum covers', async () => {
      const artefact = await withPtx(await sourceOnly(), { sm: 90 });
      const text = new TextDecoder().decode(artefact.binary);
      expect(text).toMatch(/\.target sm_90\b/);
      expect(text).toMatch(/\.visible \.entry scale\(/);
      expect(artefact.manifest.requires).toEqual(['sm=90']);
      expect(artefact.manifest.checksum).toBe(await sha256Hex(artefact.binary as Uint8Array));
      expect(artefactFiles(artefact)).toHaveLength(3);
      const travelled = decodeGraph(encodeGraph(graphOfLayer(artefact))).artefacts[0] as Artefact;
      using device = await open({ compiler: 'ptx' });
      using program = await device.load(travelled);
      expect(program.functions).toHaveLength(1);
      fake.set('major', 8);
      using older = await open({ compiler: 'ptx' });
      await expect(older.load(travelled)).rejects.toThrow(/A009: scaling needs sm=90, .* has sm=80/);
      const changed = { ...travelled, binary: (travelled.binary as Uint8Array).map((b, i) => (i === 40 ? b ^ 1 : b)) };
      await expect(device.load(changed)).rejects.toThrow(/A007/);
    });

    it('makes no PTX of what is not CUDA C, or was changed', async () => {
      const artefact = await sourceOnly();
      const other = { ...artefact, manifest: { ...artefact.manifest, target: 'wasm' } };
      await expect(withPtx(other)).rejects.toThrow(/A008/);
      await expect(withPtx({ ...artefact, source: `${artefact.source}\n` })).rejects.toThrow(/A007/);
      await expect(withPtx(artefact, { nvcc: '/nowhere/nvcc' })).rejects.toThrow(/A013: no PTX can be made of scaling/);
    });
  });
});
