/**
 * Walks by subtrees and walks one level at a time. The suite's runs are short, so by themselves they see the first alone; here
 * both are forced, subtrees with rounds of every height and teams of several sizes, in the simulator, which watches for races
 * and for reads of what nobody wrote, and on what devices there are.
 */
import { cuda, type Target, wgsl } from '@espalier/codegen';
import { type LayerIR, layerFromText, standardLayer } from '@espalier/ir';
import type { Device } from '@espalier/runtime';
import { openHostCuda } from '@espalier/runtime-cuda/host';
import { openSimulator, simulatorTarget } from '@espalier/runtime-simulator';
import { openDawn } from '@espalier/runtime-webgpu/node';
import { expect, it } from 'vitest';
import { checkLayer, oddLayers, randomTensors } from '../src/index.ts';
import { whereAvailable } from './support/available.ts';

type Form = ReturnType<Target['variants']>[number]['form'];
type Subtrees = Extract<Form, { form: 'subtrees' }>;

/** A target that takes every walk it can by subtrees of this shape, or none of them; `seen` hears of each. */
const forced = (base: Target, shape: Partial<Subtrees> | null, seen: () => void): Target => ({
  ...base,
  variants(unit, capabilities, layer) {
    const all = base.variants(unit, capabilities, layer);
    const form = all.find((v) => v.form.form === 'subtrees')?.form;
    if (form?.form !== 'subtrees') return all;
    seen();
    return [{ name: '', from: 0, form: shape === null ? { form: 'elements' } : { ...form, ...shape } }];
  },
});

const odd = (name: string): LayerIR => {
  const found = oddLayers.find((o) => o.name.startsWith(name));
  if (found === undefined) throw new Error(`there is no odd layer ${name}`);
  return layerFromText(found.text, { name, ...(found.dims === undefined ? {} : { dims: found.dims }) });
};

const layers: readonly (readonly [string, LayerIR])[] = [
  ['one tree', standardLayer('fff', { dims: { D: 37, O: 13, trees: 1, depth: 6 } })],
  ['one node', standardLayer('fff', { dims: { D: 3, O: 2, trees: 1, depth: 0 } })],
  ['wide', standardLayer('fff', { dims: { D: 64, O: 300, trees: 1, depth: 4 } })],
  ['three trees', standardLayer('fff', { dims: { D: 32, O: 9, trees: 3, depth: 3 }, options: { activation: 'relu' } })],
  ['many trees', standardLayer('fff', { dims: { D: 5, O: 4, trees: 21, depth: 1 } })],
  ['leaves', standardLayer('leaf_fff', { dims: { D: 40, W: 3, O: 5, depth: 4 } })],
  ['wide leaves', standardLayer('leaf_fff', { dims: { D: 7, W: 70, O: 300, depth: 2 } })],
  ['master leaf', standardLayer('master_leaf_fff', { dims: { D: 33, W: 4, M: 6, O: 5, depth: 3 } })],
  // Ways that also hang on the node, a truth with a name, a start that depends on the tree, sums beside a walk.
  [
    'odd ways',
    layerFromText(
      `layer odd_ways(T, D, O) {
  input x[T, D]
  weight w[2, 12, D], v[2, 12, O], u[D, O]
  output y[t, o] = (sum k in 2: descend n = k for 7 {
    s = sum i: x[t, i] * w[k, n, i]
    right = not (s < 0 or s > 2)
    yield (if right then s else 0.5) * v[k, n, o] + f32(n)
    n <- if n < 5 and right then 2 * n + 1 + i32(right) else max(n - 3, 0)
  }) + (sum i: x[t, i] * u[i, o]) + (max i: x[t, i])
}`,
      { dims: { D: 35, O: 6 } },
    ),
  ],
  ['gated tree', odd('gated tree')],
  ['chain', odd('a long chain')],
  ['ring', odd('walks round a ring')],
];

const shapes: readonly (readonly [Target, Partial<Subtrees> | null])[] = [
  ...[1, 2, 3, 4].map((levels) => [cuda, { levels }] as const),
  [cuda, { levels: 3, subgroups: 2 }],
  [cuda, null],
  ...[1, 2, 3, 4].map((levels) => [wgsl, { levels }] as const),
  [wgsl, { levels: 2, lanes: 64, team: 16 }],
  [wgsl, { levels: 3, lanes: 64, team: 64 }],
  [wgsl, { levels: 3, lanes: 96, team: 32 }],
  [wgsl, null],
];

/** Runs all layers; says which of them were walked. */
async function walkAll(device: Device, target: Target, shape: Partial<Subtrees> | null): Promise<readonly string[]> {
  const walked: string[] = [];
  for (const [i, [name, layer]] of layers.entries()) {
    const seen = (): void => {
      if (!walked.includes(name)) walked.push(name);
    };
    for (const T of [1, 3]) {
      const tensors = randomTensors(layer, { T }, 1000 + 10 * i + T, { start: 5 });
      const subject = { target: forced(target, shape, seen), slack: target.name === 'wgsl' ? 4 : 1 };
      await checkLayer(device, subject, layer, { T }, tensors);
    }
  }
  return walked;
}

it.each(shapes.map(([base, shape]) => [base.name, shape, base] as const))(
  '%s in the simulator, %o',
  async (_, shape, base) => {
    using device = await openSimulator();
    const inSimulator = simulatorTarget(base);
    expect(await walkAll(device, inSimulator, shape)).toEqual(layers.map(([name]) => name));
  },
);

for (const [name, requirement, base, open] of [
  ['CUDA C on the host', 'ESPALIER_REQUIRE_HOST_CUDA', cuda, openHostCuda],
  ['webgpu', 'ESPALIER_REQUIRE_WEBGPU', wgsl, openDawn],
] as const) {
  await whereAvailable(name, requirement, open, () => {
    const mine = shapes.flatMap(([target, shape]) => (target === base ? [[name, shape] as const] : []));
    it.each(mine)('%s, %o', { timeout: 120_000 }, async (_, shape) => {
      using device = await open();
      expect(await walkAll(device, base, shape)).toEqual(layers.map(([layer]) => layer));
    });
  });
}
