/**
 * CUDA C on the host, which traps vectors at addresses that are not multiples of their size: schedules that a user vectorises
 * rows of any width with, what lanes hold of an accumulator, and fragments that come by rows or element by element.
 */
import { compile, cuda, type Kernel, ScheduleRefusal, type Step, type Stmt } from '@espalier/codegen';
import { interpretLayer, type LayerIR, layerFromText, Sizes, standardLayer } from '@espalier/ir';
import { loadLayer } from '@espalier/runtime';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lowerLayer } from '../../codegen/src/compile.ts';
import * as k from '../../codegen/src/kernel-ir/build.ts';
import { loopsOf } from '../../codegen/src/schedule/apply.ts';
import { HELD } from '../../codegen/src/targets/cuda/tiles.ts';
import { legalised, product } from '../../codegen/test/support/cuda-kernels.ts';
import * as h from '../../codegen/test/support/handwritten.ts';
import { type HostCudaDevice, openHostCuda } from '../src/host/index.ts';
import { runKernel } from './support/run-kernel.ts';

const refusal = await openHostCuda().then(
  (device) => device[Symbol.dispose](),
  (error: unknown) => String(error),
);
const required = process.env['ESPALIER_REQUIRE_HOST_CUDA'] === '1';
if (refusal !== undefined && !required) it.skip(`the host check can't run here: ${refusal}`, () => {});
if (required) it('the host check is required', () => expect(refusal).toBeUndefined());

/** Whole numbers from −3 to 3: sums of their products are exact in any order. */
const integers = (length: number, seed: number): Float32Array =>
  Float32Array.from({ length }, (_, e) => ((((e + 1) * 2654435761 + seed * 40503) >>> 7) % 7) - 3);
/** Whole numbers as f16. */
const halves = (length: number, seed: number): Uint16Array =>
  new Uint16Array(Float16Array.from(integers(length, seed)).buffer);

describe.skipIf(refusal !== undefined)('vectors on the host', () => {
  let device: HostCudaDevice;
  beforeAll(async () => {
    device = await openHostCuda();
  });
  afterAll(() => {
    device[Symbol.dispose]();
  });

  describe('a schedule that vectorises rows that are no multiples', () => {
    const layers: readonly (readonly [string, LayerIR])[] = [6, 5, 7, 8, 12].flatMap((D) => [
      [`linear of ${D}`, standardLayer('linear', { dims: { D, O: D + 1 } })],
      [
        `f16 rows of ${D}`,
        layerFromText(
          'layer half(T, D, O) { input x[T, D]  weight w[O, D]: f16  output y[t, o] = sum i: x[t, i] * w[o, i] }',
          { dims: { D, O: 6 } },
        ),
      ],
      [
        `copy and sum of ${D}`,
        layerFromText('layer sums(T, D) { input x[T, D]  s[t] = sum i: x[t, i]  output y[t, i] = x[t, i] + s[t] }', {
          dims: { D },
        }),
      ],
    ]);
    const ends: readonly Step[] = [
      { step: 'cooperate', subgroups: 2, lanes: 32, memory: 4096 },
      { step: 'spread', subgroups: 1, lanes: 32 },
    ];

    it.each(layers)('%s', { timeout: 60_000 }, async (_, layer) => {
      const T = 5;
      const tensors = Object.fromEntries(
        layer.tensors
          .filter((t) => t.role === 'input' || t.role === 'weight')
          .map((t, seed) => {
            const length = t.shape.reduce((all, s) => all * Sizes.evaluate(s, new Map([['T', T]])), 1);
            return [t.name, t.storage === 'f16' ? halves(length, seed) : integers(length, seed)];
          }),
      );
      const { x, ...weights } = tensors as { x: Float32Array };
      const expected = [...(interpretLayer(layer, { dims: { T }, tensors })['y'] ?? [])];
      const byRows = { ...cuda, variants: () => [{ name: '', from: 0, form: { form: 'elements' } as const }] };
      const [lowered] = lowerLayer(layer, byRows, cuda.defaults, {});
      if (lowered === undefined) throw new Error('no kernel');
      const { kernel } = lowered;
      const labels = [...new Set(loopsOf(kernel.body).flatMap((l) => (l.binding === 'serial' ? [l.label] : [])))];
      expect(labels.length).toBeGreaterThan(0);
      let ran = 0;
      for (const lanes of [2, 4])
        for (const end of ends) {
          const steps = labels.map((loop): Step => ({ step: 'vectorise', loop, lanes, accumulators: 1 }));
          for (const schedule of [...steps.map((s) => [s, end]), [...steps, end]]) {
            try {
              const artefact = await compile(layer, { target: byRows, schedules: { [kernel.name]: schedule } });
              using loaded = await loadLayer(device, artefact, weights);
              const { y } = await loaded.run({ x });
              expect([...(y?.data ?? [])], JSON.stringify(schedule)).toEqual(expected);
              ran++;
            } catch (error) {
              if (!(error instanceof ScheduleRefusal) && !/refused/.test(String(error))) throw error;
            }
          }
        }
      expect(ran).toBeGreaterThan(0);
    });
  });

  /** Changes the statements of the one workgroup loop. */
  const inGroup = (kernel: Kernel, change: (body: readonly Stmt[]) => readonly Stmt[]): Kernel => ({
    ...kernel,
    body: kernel.body.map((s) => (s.kind === 'for' ? { ...s, body: change(s.body) } : s)),
  });

  it.each(['f16', 'bf16', 'tf32'] as const)('lanes take what the PTX manual says they hold: %s', async (precision) => {
    const each = (32 * 16) / 32;
    const plain = product(precision, [32, 16, 16]);
    const kernel = inGroup(
      {
        ...plain,
        name: 'taking',
        buffers: [
          ...plain.buffers.filter((b) => b.name !== 'c'),
          h.buffer('c', [32, each], 'global', 'write'),
          h.buffer('mine', [each], 'private'),
        ],
      },
      (body) => {
        const at = body.findIndex((s) => s.kind === 'mma');
        return [
          ...body.slice(0, at + 1),
          { kind: 'fragment', move: 'take', fragment: 'fc', buffer: 'mine', indices: [], held: HELD },
          h.serial('e', k.i32(each), [h.put('c', [h.lane, k.index('e')], h.at('mine', k.index('e')))]),
        ];
      },
    );
    const [a, b] = [integers(32 * 16, 1), integers(16 * 16, 2)];
    const found = (await runKernel(device, legalised(kernel), { a, b }))['c'];
    const expected = Array.from({ length: 32 }, (_, lane) =>
      [0, 16].flatMap((r) =>
        [0, 8].flatMap((c) =>
          [0, 1, 2, 3].map((i) => {
            // PTX manual, "Matrix Fragments for mma.m16n8k16": of c_i, groupID (+ 8) and threadID_in_group * 2 (+ 1).
            const row = r + (lane >> 2) + (i < 2 ? 0 : 8);
            const column = c + (lane % 4) * 2 + (i & 1);
            let sum = 0;
            for (let d = 0; d < 16; d++) sum += (a[row * 16 + d] ?? 0) * (b[d * 16 + column] ?? 0);
            return sum;
          }),
        ),
      ),
    ).flat();
    expect([...(found ?? [])]).toEqual(expected);
  });

  /** a · b of 16 × 16 each, where a's lines in workgroup memory are `pitch` long and the fragment begins `first` further on. */
  const padded = (pitch: number, first: number): Kernel => {
    const plain = product('f16', [16, 16, 16], { storage: 'f16', byColumns: true });
    const buffers = plain.buffers.map((b) => {
      if (b.name === 'a') return h.buffer('a', [16, pitch]);
      if (b.name !== 'a_tile') return b;
      return h.buffer('a_tile', [16, pitch], 'workgroup', 'read_write', { storage: 'f16' });
    });
    return inGroup({ ...plain, buffers }, (body) =>
      body.map((s) => {
        if (s.kind === 'fragment' && s.fragment === 'fa') return { ...s, indices: [k.i32(0), k.i32(first)] };
        if (s.kind !== 'for' || s.index !== 'a_tile_at') return s;
        const at = k.index('a_tile_at');
        const place = [h.div(at, pitch), h.mod(at, pitch)];
        return { ...s, to: k.i32(16 * pitch), body: [h.put('a_tile', place, h.at('a', ...place))] };
      }),
    );
  };

  it('rows of a fragment that begin elsewhere than at 16 bytes are found', async () => {
    const kernel = legalised(padded(24, 8));
    const text = cuda.print([kernel], [], cuda.defaults);
    const wrong = text.replace('load_a_rows(fa, &a_tile[8], 24)', 'load_a_rows(fa, &a_tile[4], 24)');
    expect(wrong).not.toBe(text);
    const given = { a: integers(16 * 24, 3), b: integers(256, 4) };
    await expect(runKernel(device, kernel, given, {}, wrong)).rejects.toThrow(
      /block 0, thread \d+: rows of a fragment at an address that is not a multiple of 16 bytes/,
    );
  });

  it.each([
    [16, 0],
    [24, 8],
    [20, 0],
    [18, 2],
    [24, 4],
    [17, 1],
  ])('fragments of lines of %i, begun at %i, are right whichever way they come', async (pitch, first) => {
    const kernel = padded(pitch, first);
    const [a, b] = [integers(16 * pitch, 3), integers(256, 4)];
    const found = (await runKernel(device, legalised(kernel), { a, b }))['c'];
    // The kernel multiplies, stores, loads what it stored, and adds the product once more.
    const expected = Array.from({ length: 256 }, (_, e) => {
      let sum = 0;
      for (let d = 0; d < 16; d++)
        sum += (a[Math.floor(e / 16) * pitch + first + d] ?? 0) * (b[d * 16 + (e % 16)] ?? 0);
      return 2 * sum;
    });
    expect([...(found ?? [])]).toEqual(expected);
  });
});
