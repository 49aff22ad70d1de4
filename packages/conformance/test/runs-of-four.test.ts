/**
 * Layers of the sizes at which a CUDA lane takes four neighbours at once: trees, norms and attentions whose rows are long enough
 * to be dealt out in runs, in every form they have, at sizes that do and do not come out even. In the simulator, which
 * watches for races and for reads of what nobody wrote, and as CUDA C for the host, which traps vectors at odd addresses.
 */
import { compile, cuda, type Form, type Target } from '@espalier/codegen';
import { type LayerIR, layerFromText, standardLayer, traceLayer } from '@espalier/ir';
import { type Device, loadLayer } from '@espalier/runtime';
import { openHostCuda } from '@espalier/runtime-cuda/host';
import { openSimulator, simulatorTarget } from '@espalier/runtime-simulator';
import { expect, it } from 'vitest';
import { compareOutputs, poisoned, randomTensors, referenceOf, type Tensors } from '../src/index.ts';
import { whereAvailable } from './support/available.ts';
import { forced } from './support/forced.ts';

type Dims = Readonly<Record<string, number>>;

/** Compiles a layer once, and compares each of its runs with the interpreter. Weights are those of the first run. */
async function check(device: Device, target: Target, layer: LayerIR, runs: readonly Dims[]): Promise<void> {
  const artefact = await compile(layer, { target, verify: 'each' });
  const roleOf = (name: string): string | undefined => layer.tensors.find((t) => t.name === name)?.role;
  const pick = (tensors: Tensors, role: string): Tensors =>
    Object.fromEntries(Object.entries(tensors).filter(([name]) => roleOf(name) === role));
  const weights = pick(randomTensors(layer, runs[0] ?? {}, 31), 'weight');
  using loaded = await loadLayer(poisoned(device), artefact, weights);
  for (const [i, dims] of runs.entries()) {
    const tensors = { ...randomTensors(layer, dims, 40 + i), ...weights };
    const reference = referenceOf(layer, dims, tensors);
    const outputs = await loaded.run(pick(tensors, 'input'), { dims });
    // The reference is traced; a layer that is not has no routes to compare.
    const names = Object.keys(reference.expected).filter((name) => name in outputs);
    expect(names).toContain('y');
    const expected = Object.fromEntries(Object.entries(reference.expected).filter(([name]) => name in outputs));
    expect(compareOutputs({ ...reference, expected }, outputs), JSON.stringify(dims)).toBeNull();
  }
}

const tree = (storage: 'f32' | 'f16'): LayerIR =>
  storage === 'f32'
    ? standardLayer('fff', { dims: { D: 256, O: 256, trees: 2, depth: 4 } })
    : layerFromText(
        `layer half_fff(T, D, O, trees, depth) {
  let nodes = 2^(depth + 1) - 1
  input x[T, D]
  weight w1[trees, nodes, D]: f16, b1[trees, nodes] = 0, w2[trees, nodes, O]: f16
  output y[t, o] = sum k: descend n = 0 for depth + 1 {
    s = (sum i: x[t, i] * w1[k, n, i]) + b1[k, n]
    yield gelu(s) * w2[k, n, o]
    n <- 2 * n + 1 + i32(s > 0)
  }
}`,
        { dims: { D: 256, O: 256, trees: 2, depth: 4 } },
      );

const rowsOf = (together: number) => (forms: readonly Form[]) =>
  forms.find((f) => f.form === 'rows' && f.together === together);

/** All of a device, by name: each runs the layer, and says which forms were asked for. */
const cases: readonly (readonly [string, (device: Device, base: Target) => Promise<readonly string[]>, string])[] = [];
const add = (
  name: string,
  layer: () => LayerIR,
  runs: readonly Dims[],
  choose: ((forms: readonly Form[]) => Form | undefined) | null,
  form: string,
): void => {
  (cases as unknown[]).push([
    name,
    async (device: Device, base: Target) => {
      const seen: string[] = [];
      const target = choose === null ? base : forced(base, choose, (f) => seen.push(f.form));
      await check(device, target, layer(), runs);
      return seen;
    },
    form,
  ]);
};

for (const storage of ['f32', 'f16'] as const)
  for (const traced of [false, true])
    for (const form of ['subtrees', 'rows'] as const)
      add(
        `trees of ${storage}${traced ? ', traced' : ''}, by ${form}`,
        () => (traced ? traceLayer(tree(storage)) : tree(storage)),
        [{ T: 1 }, { T: 3 }, { T: 6 }],
        (forms) => forms.find((f) => f.form === form),
        form,
      );
for (const D of [256, 512])
  add(
    `layer_norm of ${D}`,
    () => standardLayer('layer_norm', { dims: { D } }),
    [0, 1, 3, 6].map((T) => ({ T })),
    null,
    '',
  );
// Rows are kept in registers, but none that is not there: the one before the first.
add(
  'a walk along the row before, where there is one',
  () =>
    layerFromText(
      `layer before(T, D) {
  input x[T, D]
  weight w[31, D]
  output y[t in T] = if t > 0 then (descend n = 0 for 5 {
    s = sum i: x[t - 1, i] * w[n, i]
    yield s
    n <- 2 * n + 1 + i32(s > 0)
  }) else 0
}`,
      { dims: { D: 256 } },
    ),
  [0, 1, 3, 6].map((T) => ({ T })),
  null,
  '',
);
const lengths = [1, 2, 3, 7, 9, 33];
for (const together of [2, 6])
  for (const width of [8, 64])
    for (const causal of [false, true])
      add(
        `attention of width ${width}${causal ? ', causal' : ''}, ${together} queries together`,
        () => standardLayer('attention', { dims: { heads: 2, width }, options: { causal } }),
        [0, 1, 3].flatMap((B) => lengths.map((S) => ({ B, S }))),
        rowsOf(together),
        'rows',
      );

it.each(cases)('%s, in the simulator', { timeout: 60_000 }, async (_, run, form) => {
  using device = await openSimulator();
  expect(new Set(await run(device, simulatorTarget(cuda)))).toEqual(new Set(form === '' ? [] : [form]));
});

await whereAvailable('CUDA C on the host', 'ESPALIER_REQUIRE_HOST_CUDA', openHostCuda, () => {
  it.each(cases)('%s, as CUDA C on the host', { timeout: 60_000 }, async (_, run, form) => {
    using device = await openHostCuda();
    expect(new Set(await run(device, cuda))).toEqual(new Set(form === '' ? [] : [form]));
  });
});
