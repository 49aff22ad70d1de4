/**
 * The 256-bit mode: its self-check on this machine and on machines that lack it, the options and texts that ask for it, and that
 * it changes no results. The flag belongs to the process, so what needs it untouched asks a process of its own.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import * as v8 from 'node:v8';
import { loadLayer } from '@espalier/runtime';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { openWasm, openWasmTarget, wasmCapabilities, wasmVariants } from '../src/index.ts';
import { failure } from './support/failure.ts';
import { gatherArtefact, scaleArtefact } from './support/kernels.ts';
import { randomFloats, randomIntegers } from './support/random.ts';

/** What `script` returns in a fresh process, with the module under test as `wide` and its URL as `source`. */
async function inProcess(script: string): Promise<unknown> {
  const source = JSON.stringify(new URL('../src/wide.ts', import.meta.url).href);
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [
    ...['--conditions=espalier-source', '--input-type=module', '--eval'],
    `import * as wide from ${source}; const source = ${source};
    const main = async () => { ${script} };
    process.stdout.write(JSON.stringify(await main()));`,
  ]);
  expect(stderr).toBe('');
  return JSON.parse(stdout);
}

const realProcess = process;

/** The module of `wide.ts` as if loaded in a process that is like this one but for `parts`. */
async function refusalIn(parts: Record<string, unknown>): Promise<string | undefined> {
  vi.resetModules();
  vi.stubGlobal('process', Object.create(realProcess, Object.getOwnPropertyDescriptors(parts)));
  const { wideRefusal } = await import('../src/wide.ts');
  return wideRefusal();
}

afterEach(() => {
  vi.unstubAllGlobals();
  vi.resetModules();
});

/** Every x64 machine that runs Node 24 here has AVX2; elsewhere V8 has no such mode. */
const fuses = process.arch === 'x64';

describe('the self-check', () => {
  it.runIf(fuses)('finds that this engine fuses, every time, and leaves the flag as it was', async () => {
    // A second copy of the module that can't set the flag finds it as the first left it.
    const script = `
      const first = wide.wideRefusal();
      const again = wide.wideRefusal();
      const { getBuiltinModule } = process;
      const { setFlagsFromString } = getBuiltinModule('node:v8');
      const setNoWidth = (flag) => flag.includes('revectorize') || setFlagsFromString(flag);
      process.getBuiltinModule = () => ({ setFlagsFromString: setNoWidth });
      const untouched = (await import(source + '?second')).wideRefusal();
      process.getBuiltinModule = getBuiltinModule;
      const on = wide.turnWideOn();
      process.getBuiltinModule = () => ({ setFlagsFromString: setNoWidth });
      const turnedOn = (await import(source + '?third')).wideRefusal();
      return [first, again, untouched, on, turnedOn].map((refusal) => refusal ?? 'fuses');`;
    for (let i = 0; i < 3; i++) {
      const nothing = expect.stringMatching(/^nothing is fused: /);
      expect(await inProcess(script)).toEqual(['fuses', 'fuses', nothing, 'fuses', 'fuses']);
    }
  });

  it.runIf(fuses)('finds out that nothing is fused where the flag does nothing', async () => {
    const setFlagsFromString = vi.fn((flag: string) => {
      if (flag.includes('liftoff')) v8.setFlagsFromString(flag);
    });
    const refusal = await refusalIn({ getBuiltinModule: () => ({ setFlagsFromString }) });
    expect(refusal).toMatch(
      /^nothing is fused: a tile that should be 1\.5 times as fast as another is [01]\.\d\d times$/,
    );
    expect(setFlagsFromString.mock.calls).toEqual([
      ['--experimental-wasm-revectorize'],
      ['--no-liftoff'],
      ['--liftoff'],
      ['--no-experimental-wasm-revectorize'],
    ]);
  });

  it('asks no engine of another kind', async () => {
    const setFlagsFromString = vi.fn();
    const getBuiltinModule = (): unknown => ({ setFlagsFromString });
    expect(await refusalIn({ getBuiltinModule: undefined })).toMatch(/only Node can turn on$/);
    expect(await refusalIn({ getBuiltinModule, versions: { ...process.versions, bun: '1.0' } })).toMatch(/only Node/);
    expect(await refusalIn({ getBuiltinModule, versions: { node: '22.1.0' } })).toMatch(/needs Node 24, this is 22$/);
    expect(await refusalIn({ getBuiltinModule, arch: 'arm64' })).toMatch(/on x64 only, this is arm64$/);
    expect(setFlagsFromString).not.toHaveBeenCalled();
  });

  it('says what went wrong when the engine throws, and takes the flag back', async () => {
    const setFlagsFromString = vi.fn((flag: string) => {
      if (flag === '--no-liftoff') throw new Error('flags are frozen');
    });
    const refusal = await refusalIn({ arch: 'x64', getBuiltinModule: () => ({ setFlagsFromString }) });
    expect(refusal).toBe('the self-check failed (flags are frozen)');
    expect(setFlagsFromString.mock.calls.at(-1)).toEqual(['--no-experimental-wasm-revectorize']);
  });

  it.runIf(fuses)('leaves flags alone that the process was started with', async () => {
    const setFlagsFromString = vi.fn();
    await refusalIn({
      execArgv: ['--experimental-wasm-revectorize', '--no-liftoff'],
      getBuiltinModule: () => ({ setFlagsFromString }),
    });
    expect(setFlagsFromString.mock.calls).toEqual([['--experimental-wasm-revectorize']]);
  });
});

describe('options', () => {
  it('is off unless asked for', async () => {
    using device = await openWasm();
    expect(device.info.capabilities['simd-256']).toBe(false);
    expect(wasmCapabilities(device.info)).toEqual({ 'relaxed-simd': true, 'simd-256': false });
  });

  it.runIf(fuses)('auto and true turn it on, and the name says so', async () => {
    for (const wide of ['auto', true] as const) {
      using device = await openWasm({ wide });
      expect(device.info.name).toBe('wasm, 1 thread, relaxed SIMD, 256-bit');
      expect(device.info.capabilities).toMatchObject({ 'simd-256': true });
      expect(device.info.capabilities).not.toHaveProperty('simd-256-refused');
      expect(wasmCapabilities(device.info)).toEqual({ 'relaxed-simd': true, 'simd-256': true });
    }
    using plain = await openWasmTarget('wasm:plain,wide');
    expect(wasmCapabilities(plain.info)).toEqual({ 'relaxed-simd': false, 'simd-256': true });
  });

  it('where it is refused, auto says why and true is an error', async () => {
    vi.resetModules();
    vi.stubGlobal('process', Object.create(process, { arch: { value: 'arm64' } }));
    const fresh = await import('../src/index.ts');
    using device = await fresh.openWasm({ wide: 'auto' });
    const refused = 'V8 has a 256-bit mode on x64 only, this is arm64';
    expect(device.info.capabilities).toMatchObject({ 'simd-256': false, 'simd-256-refused': refused });
    expect(device.info.name).toBe('wasm, 1 thread, relaxed SIMD');
    expect((await failure(fresh.openWasm({ wide: true }))).message).toBe(
      `R023: ${refused}; open the device with wide: 'auto' or without it`,
    );
    expect(fresh.wasmVariants().map(({ name }) => name)).not.toContain('wasm:wide');
  });

  it('is a variant to compare results on exactly where it works', () => {
    expect(wasmVariants().some(({ name }) => name === 'wasm:wide')).toBe(fuses);
  });
});

describe.runIf(fuses)('code', () => {
  it.each([1, 2])('gives the same bits as without it, on %i threads', async (threads) => {
    const table = randomFloats(15, 1);
    const x = randomFloats(1003, 2);
    const ids = randomIntegers(1003, 5, 3);
    const results: unknown[] = [];
    for (const wide of [false, true]) {
      using device = await openWasm({ threads, wide, minimumWork: 0 });
      expect(device.info.capabilities['threads']).toBe(threads);
      using layer = await loadLayer(device, gatherArtefact(), { table });
      for (let i = 0; i < 300; i++) await layer.run({ x, ids }, { outputs: 'view' });
      results.push((await layer.run({ x, ids }))['y']?.data);
    }
    expect(results[1]).toEqual(results[0]);
  });

  it('is not taken from what the engine compiled before the mode was on', async () => {
    const { WebAssembly } = globalThis as unknown as {
      WebAssembly: { compile(bytes: Uint8Array): Promise<object> };
    };
    const compile = vi.spyOn(WebAssembly, 'compile');
    const bytes: Uint8Array[] = [];
    for (const wide of [false, true]) {
      using device = await openWasm({ wide });
      using _layer = await loadLayer(device, scaleArtefact(), { scale: Float32Array.of(2) });
      bytes.push(compile.mock.calls.at(-1)?.[0] as Uint8Array);
    }
    compile.mockRestore();
    const [plain, marked] = bytes.map((b) => Buffer.from(b).toString('latin1'));
    expect(marked).toBe(`${plain}\0\x05\x04wide`);
  });
});
