/** Verdicts and published comparisons, on made-up results. */
import { describe, expect, it } from 'vitest';
import { baselines } from '../src/baselines/index.ts';
import { paperRows, paperText, sections } from '../src/paper.ts';
import { groupName, groupsOf, paperGroups, targetGroups } from '../src/plan.ts';
import { pageOf } from '../src/report/html.ts';
import { markdownOf } from '../src/report/markdown.ts';
import { targetsText } from '../src/report/text.ts';
import { type Result, type ResultRow, type Results, resultsText } from '../src/results.ts';
import { judge, type Target, targets } from '../src/targets.ts';

const spread = (median: number) => ({ median, low: median * 0.9, high: median * 1.1 });
const row = (name: string, time: number, ours: number, more: Partial<ResultRow> = {}): ResultRow => ({
  ...{ name, time: spread(time), turns: 9, gflops: 1, gigabytes: 1, error: 0 },
  ...(name === 'espalier' ? {} : { ratio: spread(time / ours) }),
  ...more,
});
const result = (place: Partial<Result>, times: Readonly<Record<string, number>>): Result => ({
  ...{ group: '', work: 'dense 768-3072-768', kind: 'dense', tokens: 128, threads: 1, mode: 'wide', seed: 1 },
  ...{ skipped: [], rejected: [] },
  rows: Object.entries(times).map(([name, time]) => row(name, time, times['espalier'] ?? 1)),
  ...place,
});
const resultsOf = (results: readonly Result[], more: Partial<Results> = {}): Results => ({
  ...{ version: 2, command: 'espalier bench', seed: 5, stopped: false, amdahl: [] },
  machine: { date: '', cpu: 'A', cores: 2, memory: '', system: '', node: '24', v8: '13' },
  results,
  ...more,
});

/** What each group of the plan is called and has, as `lineup` and the works name them. */
const worksOf = { dense: 'dense 768-3072-768', tree: 'tree 768, 4095 neurons', encoder: 'encoder 12 layers, dense' };
const companyOf = {
  dense: ['onnxruntime-node', 'openblas', 'onnxruntime-web'],
  tree: ['c-tree', 'c-tree-tiled', 'espalier, f16 rows', 'espalier, dense 4095', 'onnxruntime-node, dense 4095'],
  encoder: ['onnxruntime-node', 'onnxruntime-web', 'espalier, trees', 'espalier, no feedforward'],
};
const everything = resultsOf(
  targetGroups().map((g) =>
    result(
      { group: groupName(g), kind: g.kind, tokens: g.tokens, threads: g.threads, mode: g.mode, work: worksOf[g.kind] },
      Object.fromEntries([['espalier', 1], ...companyOf[g.kind].map((name) => [name, 2])]),
    ),
  ),
  {
    amdahl: [{ mode: 'wide', sequence: 128, layers: 12, dense: 3, tree: 1.2, none: 1, reached: 2.5, possible: 3 }],
    call: spread(50),
    memory: { what: 'x', weightBytes: 100, residentBytes: 120 },
    bundle: { oneThread: 16_000, severalThreads: 19_000 },
  },
);

describe('targets', () => {
  it('all find what their groups measure', () => {
    const judged = judge(everything);
    expect(judged.filter((j) => j.verdict === 'open').map((j) => j.target.work)).toEqual([]);
    expect(judged).toHaveLength(targets.length);
  });
  it('are open without results', () =>
    expect(new Set(judge(resultsOf([])).map((j) => j.verdict))).toEqual(new Set(['open'])));

  const dense128 = targets.find((t) => t.work.includes('128 tokens') && t.against === 'onnxruntime-node') as Target;
  it.each([
    [2, 'aim'],
    [1.1, 'aim'],
    [1, 'reach'],
    [0.9, 'reach'],
    [0.89, 'short'],
  ] as const)('at %dx : onnxruntime-node: %s', (theirs, verdict) => {
    const one = result({}, { espalier: 1, 'onnxruntime-node': theirs });
    expect(judge(resultsOf([one]), [dense128])[0]?.verdict).toBe(verdict);
  });
  it('are of the mode, the tokens and the threads they name', () => {
    const times = { espalier: 1, 'onnxruntime-node': 2 };
    for (const place of [{ mode: 'plain' }, { tokens: 1024 }, { threads: 2 }, { work: 'dense 768-4095-768' }] as const)
      expect(judge(resultsOf([result(place, times)]), [dense128])[0]?.verdict).toBe('open');
  });
  it('are of their own group, not of a published comparison of the same work', () => {
    const times = (theirs: number) => ({ espalier: 1, 'onnxruntime-node': theirs });
    const list = [result({ group: 'paper: dense' }, times(5)), result({ group: 'dense' }, times(1))];
    for (const order of [list, [...list].reverse()])
      expect(judge(resultsOf(order), [dense128])[0]?.found?.value.median).toBe(1);
  });
  it('compare with the fastest of several', () => {
    const best = targets.find((t) => t.against === 'best dense 4095') as Target;
    const times = { espalier: 1, 'espalier, dense 4095': 400, 'onnxruntime-node, dense 4095': 260 };
    const one = result({ kind: 'tree', tokens: 1, work: worksOf.tree }, times);
    const [judged] = judge(resultsOf([one]), [best]);
    expect(judged?.found).toMatchObject({ value: { median: 260 }, who: 'onnxruntime-node' });
    expect(judged?.verdict).toBe('reach');
  });
  it('turn a ratio over where ours is the one that gains', () => {
    const half = targets.find((t) => t.work.includes('f16')) as Target;
    const one = result({ kind: 'tree', tokens: 1, work: worksOf.tree }, { espalier: 2, 'espalier, f16 rows': 1 });
    expect(judge(resultsOf([one]), [half])[0]?.found?.value.median).toBeCloseTo(2);
  });
  it('want less of what costs', () => {
    const call = targets.find((t) => t.unit === 'ns') as Target;
    const verdict = (ns: number) => judge(resultsOf([], { call: spread(ns) }), [call])[0]?.verdict;
    expect([99, 150, 301].map(verdict)).toEqual(['aim', 'reach', 'short']);
  });
  it('are shown with a count', () => {
    const text = targetsText(everything, { coloured: false });
    expect(text).toMatch(
      /dense 768-3072-768, 128 tokens +onnxruntime-node +0\.90x +1\.10x +✓✓ aim met +2\.00x \(1\.80x … 2\.20x\)/,
    );
    expect(text).toMatch(/memory of a loaded model +its weights +≤ 1\.30x +≤ 1\.10x +✓ met +1\.20x/);
    expect(text).toContain(`of ${targets.length} reached`);
  });
});

describe('published beside measured', () => {
  const tree = result(
    { kind: 'tree', tokens: 16384, work: worksOf.tree },
    { espalier: 10, 'openblas, dense 4095': 700, 'published-level1': 20, 'published-bmm': 50, 'c-tree': 12 },
  );
  const few = row('published-level2, dense 4095', 16, 1, { tokens: 128 });
  const text = paperText(resultsOf([{ ...tree, rows: [...tree.rows, few] }]));
  it('is a ratio of times a token', () => {
    expect(text).toMatch(/ 78x +35x {2}tree, level 1/);
    // 16 ms for 128 tokens : 50 ms for 16,384.
    expect(text).toMatch(/ 40x +41x {2}tree by gathers/);
  });
  it('says what is missing', () => {
    expect(text).toContain('layer 768-3072-768, batch 16,384: not measured');
    expect(text).toMatch(/ – +– {2}tree, level 2 : dense, level 2/);
  });
  it('is of the group with the published programs, not of one that happens to have the same work', () => {
    const other = result({ kind: 'tree', tokens: 16384, work: worksOf.tree }, { espalier: 1, 'c-tree': 9 });
    const measured = paperRows(resultsOf([tree, other])).find((r) => r.claim.includes('best tree in C'))?.measured;
    expect(measured).toBe('1.20x');
  });
  it('invents no published figure', () => {
    const known = ['341x', '78x', '40x', '117x', '–'];
    for (const { published } of paperRows(resultsOf([]))) expect(known).toContain(published);
  });
  it('has a group for every section', () => {
    for (const { kind, tokens } of sections)
      expect(paperGroups().some((g) => g.kind === kind && g.tokens === tokens)).toBe(true);
    expect(groupsOf('paper', { tokens: [], threads: [], modes: [], long: false })).toEqual(paperGroups());
  });
  it('names baselines that there are', () => {
    const names = new Set(baselines.map((b) => b.name));
    for (const name of ['published-level1', 'published-level2', 'published-naive', 'published-bmm', 'published-cpu'])
      expect(names).toContain(name);
  });
});

it('both stand in the page and in the tables', () => {
  for (const text of [pageOf(everything), markdownOf(everything)]) {
    expect(text).toContain('Published and measured');
    expect(text).toContain('aim met');
    expect(text).toContain('16.0 KB');
    expect(text).not.toContain('NaN');
  }
});

it('are kept as they are, to six digits', () => {
  const few = resultsOf([], { call: { median: 12.3456789, low: 1e-9 / 3, high: 123456789 } });
  const { call } = JSON.parse(resultsText(few)) as Results;
  expect(call).toEqual({ median: 12.3457, low: 3.33333e-10, high: 123456789 });
});
