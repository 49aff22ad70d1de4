/**
 * The host check: printed CUDA C compiled by g++ and run, compared with the simulator bit for bit where bits are promised; and
 * what it must find in wrong kernels: barriers that lanes miss, memory that is missed.
 */
import { compile, cuda, type Kernel, simulate } from '@espalier/codegen';
import { standardLayer } from '@espalier/ir';
import { type Device, loadLayer, RuntimeError } from '@espalier/runtime';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  everyMemory,
  everyOp,
  legalised,
  opCases,
  product,
  products,
} from '../../codegen/test/support/cuda-kernels.ts';
import { random } from '../../codegen/test/support/kernels.ts';
import {
  attentionOnLanes,
  denseOnLanes,
  denseOnMatrixUnits,
  treeOnLanes,
} from '../../codegen/test/support/lane-kernels.ts';
import { type HostCudaDevice, openHostCuda } from '../src/host/index.ts';
import { artefactOf, type Elements, runKernel } from './support/run-kernel.ts';

const refusal = await openHostCuda().then(
  (device) => device[Symbol.dispose](),
  (error: unknown) => String(error),
);
const required = process.env['ESPALIER_REQUIRE_HOST_CUDA'] === '1';
if (refusal !== undefined && !required) it.skip(`the host check can't run here: ${refusal}`, () => {});
if (required) it('the host check is required', () => expect(refusal).toBeUndefined());

const seed = Math.floor(Math.random() * 2 ** 31);
const next = random(seed);
const floats = (length: number): Float32Array => Float32Array.from({ length }, () => next() * 2 - 1);
const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'no failure',
    (error: unknown) => error,
  );

/** What the simulator makes of a legalised kernel; findings are failures. */
function simulated(
  kernel: Kernel,
  tensors: Readonly<Record<string, Elements>>,
  dims: Readonly<Record<string, number>> = {},
): Readonly<Record<string, readonly number[]>> {
  const { outputs, findings } = simulate(kernel, { dims, tensors: tensors as never, flattened: true });
  expect(findings).toEqual([]);
  return outputs;
}

describe.skipIf(refusal !== undefined)(`the host check, seed ${seed}`, () => {
  let device: HostCudaDevice;
  beforeAll(async () => {
    device = await openHostCuda();
  });
  afterAll(() => {
    expect(device.alive).toBe(0);
    device[Symbol.dispose]();
  });

  describe('computes what the simulator does', () => {
    const bits = new Int32Array(1);
    const float = new Float32Array(bits.buffer);
    const asFloat = (x: number): number => {
      bits[0] = x;
      return float[0] as number;
    };
    /** f32 of every kind: zeros, infinities, NaN, denormals, near overflow, halves between integers, any. */
    const manyFloats = (): Float32Array =>
      Float32Array.from({ length: 128 }, () => {
        const special = [
          0,
          -0,
          1,
          -1,
          0.5,
          2.5,
          -3.5,
          Infinity,
          -Infinity,
          Number.NaN,
          2 ** -149,
          3e38,
          -3e38,
          2 ** 31,
          1e9,
        ];
        const pick = next();
        if (pick < 0.4) return special[Math.floor(next() * special.length)] as number;
        return pick < 0.7 ? asFloat(Math.floor(next() * 2 ** 32)) : (next() * 2 - 1) * 10;
      });
    const manyIntegers = (): Int32Array =>
      Int32Array.from({ length: 128 }, () => {
        const special = [0, 1, -1, 2 ** 31 - 1, -(2 ** 31), 7, -7];
        return next() < 0.4
          ? (special[Math.floor(next() * special.length)] as number)
          : Math.floor(next() * 2 ** 32) | 0;
      });

    it('in every operation', { timeout: 300_000 }, async () => {
      const kernel = legalised(everyOp(opCases));
      const tensors = Object.fromEntries(
        [0, 1, 2].flatMap((i) => [
          [`f${i}`, manyFloats()],
          [`i${i}`, manyIntegers()],
        ]),
      );
      const found = (await runKernel(device, kernel, tensors))['y'] as Int32Array;
      const expected = simulated(kernel, tensors)['y'] ?? [];
      const fused = new Set(['fma', 'exp', 'ln', 'tanh', 'erf']);
      const wrong = [...found].flatMap((x, at) => {
        const { op, scalars, lanes } = opCases[Math.floor(at / 128)] as (typeof opCases)[number];
        const wanted = expected[at] as number;
        // The simulator's nearest loses the sign of -0.
        if (x === wanted || (op === 'nearest' && asFloat(x) === asFloat(wanted))) return [];
        const isFloat =
          !['eq', 'ne', 'lt', 'le', 'gt', 'ge', 'bits_of', 'to_i32'].includes(op) && scalars.at(-1) !== 'i32';
        const [a, b] = [asFloat(x), asFloat(wanted)];
        const asNumber = isFloat || op === 'from_bits' || op === 'to_f32' || op === 'bits_of';
        if (asNumber && Number.isNaN(a) && Number.isNaN(b)) return [];
        // The simulator rounds a fused operation twice.
        if (fused.has(op) && Math.abs(a - b) <= 2 ** -22 * Math.abs(b)) return [];
        return [`${op} of ${scalars} x${lanes} at ${at % 128}: ${a} (${x}), not ${b} (${wanted})`];
      });
      expect(wrong).toEqual([]);
    });

    it('with every kind of memory', async () => {
      const kernel = legalised(everyMemory());
      const tensors: Record<string, Elements> = {
        x_f32: floats(128),
        x_i32: manyIntegers(),
        // Every f16 but NaN, whose bits may change.
        x_f16: Uint16Array.from({ length: 128 }, () => Math.floor(next() * 0x7c01) | (next() < 0.5 ? 0x8000 : 0)),
        x_i8: Int8Array.from({ length: 128 }, () => Math.floor(next() * 256) - 128),
      };
      const found = await runKernel(device, kernel, tensors);
      for (const storage of ['f32', 'i32', 'f16', 'i8']) {
        const rows = Array.from({ length: 9 }, () => [...(tensors[`x_${storage}`] as Elements)]).flat();
        expect([...(found[`y_${storage}`] as Elements)], storage).toEqual(rows);
      }
    });

    it.each(products.map((p) => [p.label, p] as const))('by matrix units: %s', async (_, handwritten) => {
      const kernel = legalised(handwritten);
      const [a, b] = ['a', 'b'].map((name) => {
        const shape = kernel.buffers.find((x) => x.name === name)?.shape ?? [];
        return shape.reduce((n, s) => n * (s[0]?.coefficient ?? 0), 1);
      }) as [number, number];
      const integers = (length: number): Float32Array =>
        Float32Array.from({ length }, () => Math.floor(next() * 17) - 8);
      const exact = { a: integers(a), b: integers(b) };
      expect([...((await runKernel(device, kernel, exact))['c'] as Elements)]).toEqual(simulated(kernel, exact)['c']);
      // Elsewhere only the ties of a rounding differ.
      const any = { a: floats(a), b: floats(b) };
      const expected = simulated(kernel, any)['c'] ?? [];
      const found = [...((await runKernel(device, kernel, any))['c'] as Elements)];
      expect(found.length).toBe(expected.length);
      const apart = found.map((x, i) => Math.abs(x - (expected[i] as number)));
      expect(Math.max(...apart)).toBeLessThan(2 ** -8);
      expect(Math.min(...apart)).toBeLessThan(2 ** -20);
    });

    const size = (B: number, S: number): number => B * S * 72;
    it.each<[Kernel, Readonly<Record<string, number>>, () => Record<string, Elements>]>([
      [denseOnLanes(12, 40), { T: 33 }, () => ({ x: floats(33 * 12), w: floats(480), b: floats(40) })],
      [denseOnMatrixUnits(12, 40), { T: 33 }, () => ({ x: floats(33 * 12), w: floats(480), b: floats(40) })],
      [
        treeOnLanes(12, 40, 2, 3),
        { T: 6 },
        () => ({ x: floats(72), w1: floats(360), b1: floats(30), w2: floats(1200) }),
      ],
      [
        attentionOnLanes(2, 36),
        { B: 2, S: 35 },
        () => ({
          ...Object.fromEntries(['q', 'k', 'v'].map((x) => [x, floats(size(2, 35))])),
          mask: Int32Array.from({ length: 70 }, () => +(next() < 0.7)),
          scale: Float32Array.of(1 / 6),
        }),
      ],
    ])('in $name', async (handwritten, dims, make) => {
      const kernel = legalised(handwritten);
      const tensors = make();
      const found = [...((await runKernel(device, kernel, tensors, dims))['y'] as Elements)];
      const expected = simulated(kernel, tensors, dims)['y'] ?? [];
      expect(found.length).toBe(expected.length);
      const tolerance = kernel.name === 'dense_matrix_units' ? 12 * 2 ** -11 : 1e-5;
      expect(found.map((x, i) => Math.abs(x - (expected[i] as number))).filter((d) => !(d <= tolerance))).toEqual([]);
    });
  });

  describe('finds', () => {
    const dense = legalised(denseOnLanes(12, 40));
    const tensors = (T: number): Record<string, Elements> => ({ x: floats(T * 12), w: floats(480), b: floats(40) });
    const source = cuda.print([dense], [], cuda.defaults);
    const run = (text: string): Promise<unknown> => failure(runKernel(device, dense, tensors(20), { T: 20 }, text));
    const messageOf = (error: unknown): string => {
      expect(error).toBeInstanceOf(RuntimeError);
      expect((error as RuntimeError).code).toBe('R021');
      return (error as Error).message;
    };

    it('reads that no barrier orders', async () => {
      const y = (await runKernel(device, dense, tensors(20), { T: 20 }, source.replaceAll('__syncthreads();', '')))[
        'y'
      ];
      expect([...(y as Elements)].some((x) => Number.isNaN(x))).toBe(true);
    });

    it('a barrier that lanes miss', async () => {
      const text = source.replace('__syncthreads();', 'if (lane < 100) __syncthreads();');
      expect(messageOf(await run(text))).toMatch(
        /^R021: dense_lanes: kernel dense_lanes .*: block 0: the barrier of line \d+ is reached by (100|28) of the 128 lanes of the block; 0 have ended, (100|28) wait elsewhere/,
      );
    });

    it('lanes that leave before a barrier', async () => {
      const text = source.replace('__syncthreads();', 'if (lane == 7) return; __syncthreads();');
      expect(messageOf(await run(text))).toMatch(
        /is reached by 127 of the 128 lanes of the block; 1 have ended, 0 wait/,
      );
    });

    it('a shuffle that lanes of a warp miss', async () => {
      const text = source.replace(
        '__syncthreads();',
        'if (lane != 40) sum_0 = __shfl_sync(0xffffffffu, sum_0, 3); __syncthreads();',
      );
      expect(messageOf(await run(text))).toMatch(
        /block 0: (what a warp does together|the barrier) of line \d+ is reached by/,
      );
    });

    it('indices outside of shared and private arrays', async () => {
      const shared = source.replace(/x_tile\[(.*?)\] =/, 'x_tile[lane + 1] = 0.0f; x_tile[lane] =');
      expect(messageOf(await run(shared))).toMatch(/block 0, thread 127, line \d+: index 128 lies outside its array/);
      const tree = legalised(treeOnLanes(12, 40, 1, 1));
      const text = cuda.print([tree], [], cuda.defaults).replace(/sums\[(z)\]/, 'sums[$1 - 1]');
      const given = { x: floats(12), w1: floats(36), b1: floats(3), w2: floats(120) };
      expect(messageOf(await failure(runKernel(device, tree, given, { T: 1 }, text)))).toMatch(/index -1 lies outside/);
    });

    it('vectors at addresses that are none of theirs', async () => {
      const kernel = legalised(everyMemory());
      const text = cuda.print([kernel], [], cuda.defaults).replace(/load4\(&x_f32\[(.*?)\]/, 'load4(&x_f32[$1 + 1]');
      const given = {
        x_f32: floats(128),
        x_i32: new Int32Array(128),
        x_f16: new Uint16Array(128),
        x_i8: new Int8Array(128),
      };
      expect(messageOf(await failure(runKernel(device, kernel, given, {}, text)))).toMatch(
        /block 0, thread 0, line \d+: an address that is not a multiple/,
      );
    });

    it('stores outside of a buffer', async () => {
      const text = source.replace(/ y\[(40.*?)\] =/, ' y[$1 + 32] =');
      expect(messageOf(await run(text))).toMatch(/it wrote to byte 3200 of y, which has 3200 bytes/);
    });

    it('nothing in what comes after: the device is as good as before', async () => {
      const given = tensors(20);
      const y = [...((await runKernel(device, dense, given, { T: 20 }))['y'] as Elements)];
      const expected = simulated(dense, given, { T: 20 })['y'] ?? [];
      expect(y.filter((x, i) => !(Math.abs(x - (expected[i] as number)) < 1e-5))).toEqual([]);
    });
  });

  describe('as a device', () => {
    it('runs blocks of one thread where no schedule gathered any', async () => {
      const layer = standardLayer('layer_norm', { dims: { D: 7 } });
      const artefact = await compile(layer, { target: cuda, schedules: { k0: [] } });
      const weights = { gamma: floats(7), beta: floats(7) };
      const names = artefact.manifest.bindings.filter((b) => b.role === 'weight').map((b) => b.name);
      const given = Object.fromEntries(
        names.map((name, i) => [name, Object.values(weights)[i] ?? Float32Array.of(1e-5)]),
      );
      const x = { x: floats(21) };
      const outputs: number[][] = [];
      for (const each of [artefact, await compile(layer, { target: cuda })]) {
        using loaded = await loadLayer(device as Device, each, given);
        outputs.push([...(Object.values(await loaded.run(x))[0]?.data ?? [])]);
      }
      expect(outputs[0]?.length).toBe(21);
      expect(
        outputs[0]?.map((v, i) => Math.abs(v - (outputs[1]?.[i] ?? Number.NaN))).filter((d) => !(d < 1e-5)),
      ).toEqual([]);
    });

    it('refuses artefacts that are not for it, changed, or no C++', async () => {
      const artefact = await artefactOf(legalised(product('tf32', [16, 8, 8])));
      const load = (a: typeof artefact): Promise<unknown> => failure(device.load(a));
      expect(await load({ ...artefact, manifest: { ...artefact.manifest, target: 'wasm' } })).toMatchObject({
        code: 'A008',
      });
      expect(await load({ ...artefact, source: `${artefact.source} ` })).toMatchObject({ code: 'A007' });
      const lacking = { ...artefact.manifest, requires: ['sm=9000'] };
      expect(await load({ ...artefact, manifest: lacking })).toMatchObject({ code: 'A009' });
      const bad = await artefactOf(legalised(product('tf32', [16, 8, 8])), 'this is no kernel');
      expect(await load(bad)).toMatchObject({ code: 'A010', message: expect.stringContaining('no kernel') });
    });

    it('refuses ranges that are none, and what was disposed of', async () => {
      const kernel = legalised(denseOnLanes(12, 40));
      using program = await device.load(await artefactOf(kernel));
      using buffer = device.createBuffer(4096, 'all');
      const launch = (byteOffset: number, byteLength: number) => () =>
        device.prepare([
          {
            ...{ program, launch: 0, grid: 1, scratch: 0, dims: [1], work: 0, label: 'here' },
            buffers: Array.from({ length: 4 }, () => ({ buffer, byteOffset, byteLength })),
          },
        ]);
      expect(launch(4, 8)).toThrow(
        /^R016: here: bytes 4 to 12 for x are not an aligned part of buffer all of 4096 bytes/,
      );
      expect(launch(3840, 512)).toThrow(/^R016/);
      using submission = launch(0, 4096)();
      buffer[Symbol.dispose]();
      await expect(submission.run()).rejects.toThrow(/^R012: here: buffer all was disposed of/);
      expect(launch(0, 4096)).toThrow(/^R012/);
      await expect(buffer.read()).rejects.toThrow(/^R012/);
    });

    it('goes with everything that is on it', async () => {
      const other = await openHostCuda();
      const buffer = other.createBuffer(16, 'left behind');
      await other.load(await artefactOf(legalised(denseOnLanes(12, 40))));
      expect(other.alive).toBe(2);
      other[Symbol.dispose]();
      expect(other.alive).toBe(0);
      expect(() => buffer.write(new Uint8Array(4))).toThrow(/^R012/);
      expect(() => other.createBuffer(4, 'late')).toThrow(/^R012: the device was disposed of/);
    });
  });
});

it('says when there is no compiler', async () => {
  const error = await failure(openHostCuda({ compiler: 'no-such-compiler' }));
  expect(error).toMatchObject({
    code: 'R026',
    message: expect.stringMatching(/no-such-compiler does not work.*install g\+\+/),
  });
});
