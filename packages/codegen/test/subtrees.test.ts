/** Which walks are taken by subtrees, with how many levels a round, and which are not, each for its reason. What they compute is for conformance. */
import { type LayerIR, layerFromText, standardLayer, traceLayer } from '@espalier/ir';
import { describe, expect, it } from 'vitest';
import { compile, cuda, type Target, wgsl } from '../src/index.ts';
import { partition } from '../src/lower/partition.ts';

const tree = (dims: Readonly<Record<string, number>>): LayerIR =>
  standardLayer('fff', { dims: { D: 64, O: 8, trees: 1, depth: 5, ...dims } });

/** The levels of a round for each unit that has the form. */
const levels = (layer: LayerIR, target: Target, capabilities = target.defaults): readonly number[] =>
  partition(layer).flatMap((unit) =>
    target.variants(unit, capabilities, layer).flatMap(({ form }) => (form.form === 'subtrees' ? [form.levels] : [])),
  );

describe('walks of few rows', () => {
  it.each([
    [1, 3, 3],
    [2, 2, 3],
    [3, 1, 2],
    [8, 1, 1],
    [20, 1, 1],
  ])(
    'through %d trees take %d levels a round where eight teams have nodes for them, %d where sixteen have',
    (trees, eight, sixteen) => {
      expect(levels(tree({ trees }), wgsl)).toEqual([eight]);
      expect(levels(tree({ trees }), cuda)).toEqual([sixteen]);
    },
  );

  it('are told from many by the number of rows', async () => {
    const { manifest } = await compile(tree({}), { target: cuda });
    expect(manifest.launches.map(({ kernel, when, workgroup, grid }) => ({ kernel, when, workgroup, grid }))).toEqual([
      { kernel: 'k0_few', when: { size: 'T', from: 0, below: 512 }, workgroup: 512, grid: 'T' },
      { kernel: 'k0', when: { size: 'T', from: 512 }, workgroup: 128, grid: ['ceildiv', 'T', 4] },
    ]);
  });

  it.each([
    [11, [3]],
    [4, [3, 2]],
    [6, [3, 2]],
    [3, [2]],
    [0, [1]],
  ])('down a tree of depth %d take rounds of even heights', async (depth, heights) => {
    const { source } = await compile(tree({ depth }), { target: cuda });
    const few = source.slice(source.indexOf(' k0_few('), source.indexOf(' k0('));
    expect([...few.matchAll(/int step\w* = 0; step\w* < (\d)/g)].map((m) => Number(m[1]))).toEqual(heights);
  });

  it('are recorded level by level', async () => {
    const { source } = await compile(traceLayer(tree({})), { target: cuda, verify: 'each' });
    const few = source.slice(source.indexOf(' k0_few('), source.indexOf(' k0('));
    expect(few).toMatch(/y_nodes\[.*\] = route/);
  });

  it('need the threads and the memory', () => {
    expect(levels(tree({}), wgsl, { ...wgsl.defaults, 'workgroup-threads': 128 })).toEqual([]);
    expect(levels(tree({ trees: 200 }), cuda)).toEqual([1]);
    expect(levels(tree({ trees: 200 }), wgsl)).toEqual([]);
  });
});

describe('walks that are taken level by level', () => {
  const walk = (lets: string, next: string, more = ''): string => `layer odd(T, D, N) {
    input x[T, D]${more}
    weight w[N, D], v[N, D]
    output y[t, d] = descend n = 0 for 3 { ${lets}; yield s * v[n, d]; n <- ${next} }
  }`;
  const score = 's = sum i: x[t, i] * w[n, i]';

  it.each<[string, string]>([
    ['nothing is decided', walk(score, 'n + 1')],
    ['the way is a number, not a truth', walk(score, 'min(i32(abs(s)), 6)')],
    ['two truths are asked for', walk(score, '2 * n + i32(s > 0) + i32(s > 1)')],
    ['the way hangs on a number made of the score', walk(`${score}; j = i32(s)`, 'if j > 0 and j < 3 then j else 0')],
    ['children are data', walk(score, 'child[n, i32(s > 0)]', ', child[N, 2]: i32')],
    ['each output walks for itself', walk('s = x[t, d] * w[n, d]', '2 * n + i32(s > 0)')],
    ['a node may lie outside', walk(score, '5 * n + 1 + i32(s > 0)')],
  ])('%s', async (_, text) => {
    const layer = layerFromText(text, { dims: { D: 5, N: 9 } });
    for (const target of [cuda, wgsl]) {
      expect(levels(layer, target)).toEqual([]);
      expect((await compile(layer, { target })).manifest.launches).toHaveLength(1);
    }
  });

  it.each([
    '2 * n + 1 + i32(s > 0)',
    'if n < 4 and s > 0 then 2 * n + 1 else 0',
    'if not (s > 0 or s < -1) then 1 else 2',
  ])('are not those with one truth and nodes that exist: %s', (next) => {
    const layer = layerFromText(walk(score, next), { dims: { D: 5, N: 9 } });
    expect(levels(layer, cuda)).toEqual([3]);
  });
});
