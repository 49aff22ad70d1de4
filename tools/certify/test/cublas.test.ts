/** The calls of cuBLASLt, made of a library that does the product they ask for. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { openCuda } from '@espalier/runtime-cuda';
import koffi from 'koffi';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FakeDriver, fakeDriver, noCompiler } from '../../../packages/runtime-cuda/test/support/fake.ts';
import { openCublasLt } from '../src/bench/cublas.ts';

describe.skipIf(noCompiler)(`cuBLASLt${noCompiler ? ` (${noCompiler})` : ''}`, () => {
  let fake: FakeDriver;
  let folder: string;
  let library: string;
  beforeAll(async () => {
    fake = await fakeDriver();
    folder = await mkdtemp(join(tmpdir(), 'espalier-fake-cublas-'));
    library = join(folder, 'libcublasLt.so');
    const source = fileURLToPath(new URL('./fake-cublas.c', import.meta.url));
    const flags = ['-Wall', '-Wextra', '-Werror', '-O1', '-shared', '-fPIC'];
    await promisify(execFile)('gcc', [...flags, '-o', library, source, fake.library]);
  });
  afterAll(async () => {
    await fake?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  it('multiplies row-major matrices, times it, and lets go of everything', async () => {
    const [tokens, depth, columns] = [3, 5, 4];
    const x = Float32Array.from({ length: tokens * depth }, (_, i) => ((i * 7) % 11) - 5);
    const w = Float32Array.from({ length: columns * depth }, (_, i) => ((i * 5) % 7) - 3);
    const expected = Float32Array.from({ length: tokens * columns }, (_, i) => {
      const [t, o] = [Math.floor(i / columns), i % columns];
      return x.slice(t * depth, (t + 1) * depth).reduce((sum, v, k) => sum + v * (w[o * depth + k] as number), 0);
    });
    {
      using device = await openCuda({ library: fake.library, cache: false });
      const lt = openCublasLt(device, library);
      if ('reason' in lt) throw new Error(lt.reason);
      using open = lt;
      const buffer = (name: string, values: Float32Array) => {
        const made = device.createBuffer(values.byteLength, name);
        made.write(values);
        return made;
      };
      const [bx, bw, by] = [buffer('x', x), buffer('w', w), buffer('y', new Float32Array(tokens * columns))];
      for (const precision of ['f32', 'tf32'] as const) {
        by.fill(0xff);
        using product = open.prepare({ precision, tokens, depth, columns, x: bx, w: bw, y: by });
        product.enqueue();
        expect(new Float32Array((await by.read()).buffer)).toEqual(expected);
        expect(await device.timed(3, () => product.enqueue())).toHaveLength(3);
      }
    }
    expect(fake.live()).toEqual({});
    expect(koffi.load(library).func('int fake_handles()')()).toBe(0);
  });

  it('says why there is none', async () => {
    using device = await openCuda({ library: fake.library, cache: false });
    expect(openCublasLt(device, '/nowhere/libcublasLt.so')).toMatchObject({
      reason: expect.stringMatching(/^\/nowhere/),
    });
    expect(openCublasLt(device, fake.library)).toMatchObject({ reason: expect.stringMatching(/cublasLtCreate/) });
  });
});
