/**
 * Walks that are sorted on their way, after every level and by workgroups of several sizes: against the interpreter, routes before
 * values; in the simulator, which watches for races and for reads of what nobody wrote, and on what devices there are. A row has the same
 * bits as when it walks row by row.
 */
import { compile, cuda, type Form, type Target, wgsl } from '@espalier/codegen';
import { type LayerIR, layerFromText, standardLayer } from '@espalier/ir';
import { type Device, loadLayer } from '@espalier/runtime';
import { openHostCuda } from '@espalier/runtime-cuda/host';
import { openSimulator, simulatorTarget } from '@espalier/runtime-simulator';
import { openDawn } from '@espalier/runtime-webgpu/node';
import { describe, expect, it } from 'vitest';
import { compareLayer, randomTensors } from '../src/index.ts';
import { whereAvailable } from './support/available.ts';
import { forced } from './support/forced.ts';

type Sorted = Omit<Extract<Form, { form: 'sorted' }>, 'form'>;

const seed = Math.floor(Math.random() * 2 ** 31);

/** Every walk in this form, for all numbers of rows. */
const sorted = (base: Target, form: Sorted): Target => forced(base, () => ({ form: 'sorted', ...form }));

const layers: readonly (readonly [string, LayerIR, number])[] = [
  ['a tree', standardLayer('fff', { dims: { D: 37, O: 13, trees: 1, depth: 5 } }), 6],
  ['right at zero', standardLayer('fff', { dims: { D: 3, O: 40, trees: 1, depth: 3 }, options: { rule: 'ge' } }), 4],
  [
    'a tree for all sequences of a batch, whose nodes are not next to each other',
    layerFromText(
      `layer batches(T, S) {
        input x[S, T, 33]
        weight w[99, 33], v[99, 6]
        output y[b, t, o] = 1 + (descend n = 2 for 4 {
          s = sum i: x[b, t, i] * w[n, i]
          yield (s + 2) * v[n, o] + f32(n)
          n <- 2 * n + 3 * (if s > 0 then 1 else 0)
        })
      }`,
      {},
    ),
    4,
  ],
  [
    'a yield that asks for no node',
    layerFromText(
      `layer scores(T, S) {
        input x[T, 9]
        weight w[15, 9], u[5]
        output y[t, o] = descend n = 0 for 4 {
          s = sum i: x[t, i] * w[n, i]
          yield s * u[o]
          n <- 2 * n + 1 + i32(s > 0)
        }
      }`,
      {},
    ),
    4,
  ],
];

/** Fewer rows than a workgroup has threads, more, and several rounds of them; nothing. */
const rows = [0, 1, 5, 150];

async function walkAll(device: Device, target: Target, form: Omit<Sorted, 'first'>): Promise<void> {
  for (const [name, layer, levels] of layers)
    for (const T of rows)
      for (let first = 1; first < levels; first++) {
        if (first > 1 && first < levels - 1 && T < 100) continue;
        const dims = { T, S: 2 };
        const used = Object.fromEntries(Object.entries(dims).filter(([dim]) => layer.dims.includes(dim)));
        const tensors = randomTensors(layer, used, seed + T);
        const options = { target: sorted(target, { ...form, first }) };
        const what = `${name}, ${T} rows, sorted after ${first} levels`;
        expect(await compareLayer(device, layer, used, tensors, options), what).toBe(null);
      }
}

const shapes = {
  cuda: [
    { stretches: 1, subgroups: 1, lanes: 32 },
    { stretches: 7, subgroups: 2, lanes: 32 },
  ],
  wgsl: [
    { stretches: 1, subgroups: 1, lanes: 32 },
    { stretches: 7, subgroups: 1, lanes: 64 },
  ],
};

for (const base of [cuda, wgsl])
  it.each(shapes[base.name as 'cuda' | 'wgsl'])(
    `${base.name} in the simulator, %o (seed ${seed})`,
    { timeout: 120_000 },
    async (shape) => {
      using device = await openSimulator();
      await walkAll(device, simulatorTarget(base), shape);
    },
  );

for (const [name, requirement, base, open] of [
  ['CUDA C on the host', 'ESPALIER_REQUIRE_HOST_CUDA', cuda, openHostCuda],
  ['webgpu', 'ESPALIER_REQUIRE_WEBGPU', wgsl, openDawn],
] as const)
  await whereAvailable(name, requirement, open, () => {
    describe(name, () => {
      it.each(shapes[base.name as 'cuda' | 'wgsl'])(`%o (seed ${seed})`, { timeout: 240_000 }, async (shape) => {
        using device = await open();
        await walkAll(device, base, shape);
      });

      it('sorts by itself where the tree is large', { timeout: 240_000 }, async () => {
        const layer = standardLayer('fff', { dims: { D: 64, O: 64, trees: 1, depth: 16 } });
        const T = 8200;
        const tensors = randomTensors(layer, { T }, seed);
        using device = await open();
        expect(await compareLayer(device, layer, { T }, tensors, { target: base })).toBe(null);
      });

      it('gives rows the bits they have row by row', { timeout: 60_000 }, async () => {
        const layer = standardLayer('fff', { dims: { D: 129, O: 70, trees: 1, depth: 6 } });
        const { x, ...weights } = randomTensors(layer, { T: 300 }, seed) as Record<string, Float32Array>;
        using device = await open();
        const outputs = async (target: Target): Promise<Float32Array> => {
          using loaded = await loadLayer(device, await compile(layer, { target }), weights);
          return Float32Array.from((await loaded.run({ x: x as Float32Array }))['y']?.data as Float32Array);
        };
        const byRows = await outputs(forced(base, () => ({ form: 'rows', together: 1, deferred: true })));
        expect(new Set(byRows).size).toBeGreaterThan(10_000);
        const [, shape] = shapes[base.name as 'cuda' | 'wgsl'];
        for (const first of [1, 4, 6])
          expect(await outputs(sorted(base, { first, ...(shape as Omit<Sorted, 'first'>) })), `after ${first}`).toEqual(
            byRows,
          );
      });
    });
  });
