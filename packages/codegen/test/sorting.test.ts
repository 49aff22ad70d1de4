/** Which walks are sorted on their way, in which launches. What they compute is for conformance. */
import { evaluateSize, runsAt } from '@espalier/artefact';
import { layerFromText, standardLayer } from '@espalier/ir';
import { describe, expect, it } from 'vitest';
import { compile, cuda, type Target, wgsl } from '../src/index.ts';
import { expectGolden } from './support/golden.ts';

const large = { D: 1024, O: 1024, trees: 1, depth: 12 };
const tree = (dims: Readonly<Record<string, number>>) => standardLayer('fff', { dims: { ...large, ...dims } });

const kernelsAt = async (layer: ReturnType<typeof tree>, target: Target, T: number): Promise<readonly string[]> => {
  const { manifest } = await compile(layer, { target, verify: 'each' });
  return manifest.launches.filter((l) => runsAt(l, { T })).map((l) => l.kernel);
};

describe.each([
  ['cuda', cuda],
  ['wgsl', wgsl],
])('%s', (_, target) => {
  it('sorts thousands of walks through a tree of 64 MB', async () => {
    const sorted = ['k0_many_above', 'k0_many_count', 'k0_many_order', 'k0_many'];
    expect(await kernelsAt(tree({}), target, 16384)).toEqual(sorted);
    expect(await kernelsAt(tree({}), target, 8192)).toEqual(sorted);
    expect(await kernelsAt(tree({}), target, 8191)).toEqual(['k0']);
    expect(await kernelsAt(tree({}), target, 1)).toEqual(['k0_few']);
  });

  it.each([
    ['of 32 MB', tree({ depth: 11 })],
    ['that are two', tree({ trees: 2, depth: 11 })],
    ['of three levels', tree({ D: 1 << 20, O: 1 << 20, depth: 2 })],
  ])('does not sort walks through trees %s', async (_, layer) => {
    expect(await kernelsAt(layer, target, 16384)).toEqual(['k0']);
  });

  it.each([1900, 4000])('sorts only where the numbers of nodes fit: walks that are %i nodes apart', async (apart) => {
    const layer = layerFromText(
      `layer strides(T) {
        input x[T, 64]
        weight w[250000, 64]
        output y[t, o] = descend n = 0 for 5 {
          s = sum i: x[t, i] * w[n, i]
          yield s * w[n, o]
          n <- 2 * n + ${apart} * i32(s > 0)
        }
      }`,
      {},
    );
    const fits = target === cuda || apart < 2000;
    expect((await kernelsAt(layer, target, 16384)).at(-1)).toBe(fits ? 'k0_many' : 'k0');
  });

  it('does not sort where there may be no outputs', async () => {
    const layer = layerFromText(
      `layer odd(T, O) {
        input x[T, 1024]
        input z[O]
        weight w[16383, 1024]
        output y[t, o] = descend n = 0 for 14 {
          s = sum i: x[t, i] * w[n, i]
          yield s * z[o]
          n <- 2 * n + 1 + i32(s > 0)
        }
      }`,
      {},
    );
    expect(await kernelsAt(layer, target, 16384)).toEqual(['k0']);
  });
});

it.each([
  [cuda, 2, 32],
  [wgsl, 1, 64],
])('$name: the text of a small one', async (target, subgroups, lanes) => {
  const layer = tree({ D: 6, O: 5, depth: 3 });
  const form = { form: 'sorted', first: 2, stretches: 3, subgroups, lanes } as const;
  const sorted: Target = { ...target, variants: () => [{ name: '', from: 0, form }] };
  const { source } = await compile(layer, { target: sorted, verify: 'each' });
  expectGolden(`fff_sorted.${target.extension}`, source);
});

it('says what the launches share and which of them bears the cost', async () => {
  const { manifest } = await compile(tree({}), { target: cuda });
  const T = 10_000;
  const shapes = manifest.bindings.flatMap((b) =>
    b.role === 'workspace' ? [[b.name, b.storage, b.shape.map((s) => evaluateSize(s, { T }))]] : [],
  );
  expect(shapes).toEqual([
    ['k0_many_n', 'i32', [T, 9]],
    ['k0_many_s', 'f32', [T, 8]],
    ['k0_many_counts', 'i32', [64, 256]],
    ['k0_many_order', 'i32', [T]],
  ]);
  const launches = manifest.launches.filter((l) => runsAt(l, { T }));
  expect(launches.map((l) => evaluateSize(l.grid, { T }))).toEqual([2500, 64, 64, 2500]);
  const flops = launches.map((l) => evaluateSize(l.flops, { T }));
  expect(flops.slice(0, -1)).toEqual([0, 0, 0]);
  expect(flops.at(-1)).toBeGreaterThan(T * 13 * 4 * 1024);
});
