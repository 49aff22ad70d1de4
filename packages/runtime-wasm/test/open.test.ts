/** Opening devices: options, target texts, what is observed, and every refusal of an artefact. */
import { loadLayer } from '@espalier/runtime';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { openWasm, openWasmTarget, parseWasmTarget, wasmVariants } from '../src/index.ts';
import { supports } from '../src/probes.ts';
import { failure } from './support/failure.ts';
import { artefact, scaleArtefact } from './support/kernels.ts';

afterEach(() => {
  vi.unstubAllGlobals();
});

describe('options', () => {
  it('observes SIMD and relaxed SIMD', async () => {
    expect(supports('simd')).toBe(true);
    expect(supports('relaxedSimd')).toBe(true);
    using device = await openWasm();
    expect(device.info).toEqual({
      target: 'wasm',
      name: 'wasm, 1 thread, relaxed SIMD',
      capabilities: { simd: true, 'relaxed-simd': true, 'simd-256': false, threads: 1, 'shared-memory': false },
    });
  });

  it.each([
    ['shared: false', { threads: 2, shared: false }, () => {}, 'shared memory was turned off'],
    [
      'no SharedArrayBuffer',
      { threads: 2 },
      () => vi.stubGlobal('SharedArrayBuffer', undefined),
      'SharedArrayBuffer is hidden',
    ],
    ['no isolation', { threads: 2 }, () => vi.stubGlobal('crossOriginIsolated', false), 'not cross-origin isolated'],
  ])('falls back to one thread and says why: %s', async (_, options, arrange, why) => {
    arrange();
    using device = await openWasm(options);
    expect(device.info.capabilities).toMatchObject({ threads: 1, 'threads-refused': expect.stringContaining(why) });
    using layer = await loadLayer(device, scaleArtefact(), { scale: Float32Array.of(3) });
    expect(await layer.run({ x: Float32Array.of(1, 2) })).toEqual({ y: { shape: [2], data: Float32Array.of(5, 8) } });
  });

  it('shares memory for one thread when told', async () => {
    using device = await openWasm({ shared: true });
    expect(device.info.capabilities).toMatchObject({ threads: 1, 'shared-memory': true });
    using layer = await loadLayer(device, scaleArtefact(), { scale: Float32Array.of(3) });
    expect(await layer.run({ x: Float32Array.of(1) })).toEqual({ y: { shape: [1], data: Float32Array.of(4) } });
  });

  it.each([0, -1, 1.5, 65, Number.NaN])('refuses %s threads', async (threads) => {
    expect((await failure(openWasm({ threads }))).message).toBe(
      `R023: threads is ${threads}; give a number from 1 to 64, or 'auto'`,
    );
  });

  it('says when memory has run out, what holds it, and what to do', async () => {
    using device = await openWasm({ maximumBytes: 2 ** 20 });
    using _half = device.createBuffer(2 ** 19, 'half');
    expect(() => device.createBuffer(2 ** 20, 'arena of bert')).toThrow(
      'R020: out of memory: arena of bert takes 1.0 MiB, 0.5 MiB of at most 1.0 MiB are in use; ' +
        'dispose of what is not needed, run fewer tokens at once, or open the device with a larger maximumBytes (at most 4 GiB)',
    );
  });
});

describe('target texts', () => {
  it.each([
    ['wasm', {}],
    ['wasm:plain', { relaxedSimd: false }],
    ['wasm:threads=2', { threads: 2 }],
    ['wasm:threads=12,plain', { threads: 12, relaxedSimd: false }],
    ['wasm:wide', { wide: true }],
    ['wasm:threads=2,wide', { threads: 2, wide: true }],
    ['wasm:plain,threads=auto', { threads: 'auto', relaxedSimd: false }],
  ])('%s', (spec, options) => {
    expect(parseWasmTarget(spec)).toEqual(options);
  });

  it.each(['', 'cuda', 'wasm:', 'wasm:fast', 'wasm:threads=0', 'wasm:threads=2:plain', 'wasm:threads=2,'])(
    'refuses "%s" and says what there is',
    async (spec) => {
      const { message } = await failure(openWasmTarget(spec));
      expect(message).toMatch(
        /^R023: .*write wasm, wasm:plain, wasm:threads=2, wasm:threads=2,plain, wasm:wide or threads=auto$/,
      );
    },
  );

  it('opens every variant by name', async () => {
    for (const variant of wasmVariants()) {
      using device = await variant.open();
      expect(device.info.capabilities).toMatchObject({
        'relaxed-simd': !variant.name.includes('plain'),
        threads: variant.name.includes('threads=2') ? 2 : 1,
      });
    }
  });
});

describe('loading refuses', () => {
  const good = scaleArtefact();
  const { binary, ...withoutBinary } = good;
  const changed = Uint8Array.from(binary ?? []);
  changed[changed.length - 3] = (changed.at(-3) ?? 0) ^ 1;
  const renamed = artefact('(module (import "env" "memory" (memory 0 65536)))', { ...good.manifest, checksum: '' });
  const wrongImport = artefact('(module (import "env" "memory" (memory 0 65536)) (import "env" "f" (func)))', {
    ...good.manifest,
  });
  const withChecksum = (of: typeof good): typeof good => ({
    ...of,
    manifest: { ...of.manifest, checksum: artefactChecksum(of) },
  });
  const artefactChecksum = (of: typeof good): string => {
    const { manifest } = artefact(of.source, { name: 'x', dims: [], bindings: [], launches: [] });
    return manifest.checksum;
  };

  it.each([
    ['another target', { ...good, manifest: { ...good.manifest, target: 'cuda' } }, /^A008: .*compile it for wasm$/],
    ['no binary', withoutBinary, /^A013/],
    ['changed code', { ...good, binary: changed }, /^A007/],
    ['an unknown version', { ...good, manifest: { ...good.manifest, version: 2 as 1 } }, /^A002/],
    ['an unknown capability', { ...good, manifest: { ...good.manifest, requires: ['gc'] } }, /^A009: scale needs gc/],
    ['a missing kernel', withChecksum(renamed), /^A010: .*does not export kernel k0/],
    ['an unknown import', withChecksum(wrongImport), /^A010: the engine refuses/],
  ])('%s, on one thread and two', async (_, bad, message) => {
    for (const threads of [1, 2]) {
      using device = await openWasm({ threads });
      expect((await failure(device.load(bad))).message).toMatch(message);
      // The refusal leaves the device usable.
      using layer = await loadLayer(device, good, { scale: Float32Array.of(1) });
      expect(await layer.run({ x: Float32Array.of(1) })).toEqual({ y: { shape: [1], data: Float32Array.of(2) } });
    }
  });

  it('relaxed SIMD where it was disabled, and says what to do', async () => {
    using device = await openWasmTarget('wasm:plain');
    const needy = { ...good, manifest: { ...good.manifest, requires: ['simd', 'relaxed-simd'] } };
    expect((await failure(device.load(needy))).message).toBe(
      'A009: scale needs relaxed-simd, which wasm, 1 thread, plain SIMD lacks; open the device without relaxedSimd: false on ' +
        'an engine that has relaxed SIMD, or compile the layer without it',
    );
  });
});
