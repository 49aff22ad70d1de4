/** What is no contest, and contenders that only some groups have. */
import { expect, it } from 'vitest';
import { baselines } from '../src/baselines/index.ts';
import { runBench } from '../src/bench.ts';
import { lineup, tunedLineup } from '../src/contenders.ts';
import { isAbsent } from '../src/contract.ts';
import { bundleSize, residentMemory } from '../src/extras.ts';
import { errorOf } from '../src/measure.ts';
import { prepareOwn } from '../src/own.ts';
import type { Group } from '../src/plan.ts';
import { treeWork } from '../src/works.ts';

const seed = Math.floor(Math.random() * 2 ** 31);
const small = { name: 'small', tokens: 5, threads: 1, mode: 'plain', width: 20 } as const;

it('weighs the runtime as a page loads it', async () => {
  const found = await bundleSize();
  if ('reason' in found) throw new Error(found.reason);
  // The packages' own test holds it to less than this; a bundle that lacks the runtime would be a few bytes.
  expect(found.oneThread).toBeGreaterThan(8_000);
  expect(found.oneThread).toBeLessThan(20_000);
  expect(found.severalThreads).toBeGreaterThan(found.oneThread);
});

it('finds what a loaded model takes', async () => {
  const { weightBytes, residentBytes } = await residentMemory(4);
  // Four layers: 4 + 8 matrices of 768 x 768 and 9 rows of 768 each.
  expect(weightBytes).toBe(4 * 4 * (12 * 768 * 768 + 9 * 768));
  // A copy too many would be 2; pages of weights that nobody touched, 0.
  expect(residentBytes / weightBytes).toBeGreaterThan(0.7);
  expect(residentBytes / weightBytes).toBeLessThan(1.7);
});

it(`has trees with f16 rows that compute what they should (seed ${seed})`, async () => {
  const work = treeWork(4, 9, seed, 20, 'f16');
  expect(work.graph.weights.get('w1')?.data).toBeInstanceOf(Uint16Array);
  expect(work.weightBytes).toBeLessThan(treeWork(4, 9, seed, 20).weightBytes);
  const byC = baselines.find((b) => b.name === 'c-tree-f16');
  for (const contender of [await prepareOwn(work, 'plain', 1), await byC?.prepare(work, 1)]) {
    if (contender === undefined || isAbsent(contender)) continue;
    await contender.run();
    expect(errorOf(work, await contender.output(), null)).toBeLessThan(work.allowed);
    await contender.dispose();
  }
});

it('lets slow baselines wait until they are asked', () => {
  const tree: Group = { ...small, kind: 'tree', size: 2 };
  const names = (asked: readonly string[], group = tree) => lineup(group, seed, asked).candidates.map((c) => c.name);
  expect(names([])).not.toContain('published-naive');
  expect(names(['published-naive'])).toContain('published-naive');
  expect(names([], { ...tree, company: 'paper' })).toEqual(
    expect.arrayContaining(['published-naive', 'published-level2', 'published-level1, dense 7']),
  );
  expect(names([], { ...tree, kind: 'dense', company: 'paper' })).toEqual([
    ...['espalier', 'onnxruntime-node', 'openblas', 'published-level1', 'published-level2', 'espalier, tree 4095'],
  ]);
  expect(tunedLineup(tree, seed).candidates.map((c) => c.name)).toEqual(['espalier', 'espalier, tuned']);
});

it('compares a tuning with the own choice of forms', async () => {
  const form = { form: 'rows', together: 2, deferred: true } as const;
  const shapes = { 'rows [* 20] sum 1 walk 3 sum 20': [{ name: '', from: 0, form }] };
  const capabilities = { 'simd-256': false };
  const run = (mode: Group['mode']) =>
    runBench({
      groups: [{ ...small, kind: 'tree', size: 2, mode }],
      ...{ seed, baselines: [], command: 'test', extras: false },
      pace: { seconds: 0.02, turn: 1, warmUp: 0.02 },
      tuning: { version: 1, target: 'wasm', capabilities, shapes },
    });
  const [{ rows, rejected } = { rows: [], rejected: [] }] = (await run('plain')).results;
  expect(rows.map((r) => r.name)).toEqual(['espalier', 'espalier, tuned']);
  expect(rejected).toEqual([]);
  const [wide] = (await run('wide')).results;
  expect(wide?.skipped.map((s) => s.name)).toContain('espalier, tuned');
});
