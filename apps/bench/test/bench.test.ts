/** The bench itself, small: contenders are checked before they are timed, and the whole way from weights to text. No time is asserted. */
import { interpretGraph } from '@espalier/ir';
import { describe, expect, it } from 'vitest';
import { baselines } from '../src/baselines/index.ts';
import { benchCommand } from '../src/cli.ts';
import { encoderWork } from '../src/encoder.ts';
import { isAbsent, runBench, type Work } from '../src/index.ts';
import { prepareOwn } from '../src/own.ts';
import type { Group } from '../src/plan.ts';
import { denseWork, treeWork } from '../src/works.ts';

const seed = Math.floor(Math.random() * 2 ** 31);
const pace = { seconds: 0.05, turn: 1, warmUp: 0.05 };
const group = (kind: 'dense' | 'tree', size: number, tokens: number): Group => ({
  name: `${kind} small`,
  kind,
  tokens,
  threads: 1,
  mode: 'plain',
  size,
  width: 20,
});

/** What a contender computes for a piece of work, compared with the interpreter. */
async function errorOf(work: Work, prepare: (work: Work) => ReturnType<typeof prepareOwn>): Promise<number | string> {
  const contender = await prepare(work);
  if (isAbsent(contender)) return contender.reason;
  await contender.run();
  const y = await contender.output();
  let worst = 0;
  for (const { row, values } of work.expected)
    values.forEach((v, o) => {
      worst = Math.max(worst, Math.abs(v - (y[row * values.length + o] as number)));
    });
  await contender.dispose();
  return worst;
}

describe.each(baselines.filter((b) => b.kinds.some((kind) => kind !== 'encoder')))('$name', (baseline) => {
  const works = [
    denseWork(33, 7, seed, 20),
    denseWork(8, 1, seed, 12),
    treeWork(3, 9, seed, 20),
    treeWork(6, 1, seed, 13),
  ];
  const own = works.filter((w) => baseline.kinds.includes(w.kind));
  it.each(own.map((w) => [`${w.name}, ${w.tokens} tokens`, w] as const))(
    `computes %s (seed ${seed})`,
    async (_, work) => {
      const error = await errorOf(work, (w) => baseline.prepare(w, 1));
      // Absent is an answer, but not of what this repository depends on.
      if (typeof error === 'string') {
        expect(baseline.name).not.toMatch(/onnxruntime|tfjs/);
        process.stdout.write(`${baseline.name} skipped: ${error}\n`);
      } else expect(error).toBeLessThan(work.allowed);
    },
  );
});

it('gives encoders that the interpreter agrees with', async () => {
  for (const block of ['dense', 'tree', 'none'] as const) {
    const work = encoderWork(1, block, 2, seed);
    const run = interpretGraph(work.graph, { dims: work.dims, inputs: work.inputs });
    const expected = run.tensors.get(work.graph.outputs[0] ?? '') as ArrayLike<number>;
    const contender = await prepareOwn(work, 'plain', 1);
    if (isAbsent(contender)) throw new Error(contender.reason);
    await contender.run();
    const found = await contender.output();
    expect(found.length).toBe(expected.length);
    const apart = found.reduce((m, v, i) => Math.max(m, Math.abs(v - (expected[i] as number))), 0);
    expect(apart).toBeLessThan(2e-4);
    await contender.dispose();
  }
});

it('has baselines for encoders that compute what we do', async () => {
  const work = encoderWork(1, 'tree', 3, seed);
  const own = await prepareOwn(work, 'plain', 1);
  if (isAbsent(own)) throw new Error(own.reason);
  await own.run();
  const expected = await own.output();
  for (const baseline of baselines.filter((b) => b.kinds.includes('encoder'))) {
    const theirs = await baseline.prepare(work, 1);
    if (isAbsent(theirs)) throw new Error(`${baseline.name}: ${theirs.reason}`);
    await theirs.run();
    const found = await theirs.output();
    const apart = found.reduce((m, v, i) => Math.max(m, Math.abs(v - (expected[i] as number))), 0);
    expect(apart, baseline.name).toBeLessThan(2e-4);
    expect(found.length, baseline.name).toBe(expected.length);
    await theirs.dispose();
  }
  await own.dispose();
});

it('measures layers from weights to results', async () => {
  const said: string[] = [];
  const results = await runBench({
    groups: [group('dense', 16, 3), group('tree', 2, 5)],
    seed,
    pace,
    baselines: ['onnxruntime-node'],
    command: 'test',
    progress: (text) => said.push(text),
  });
  const [dense, tree] = results.results;
  expect(dense?.rows.map((r) => r.name)).toEqual(['espalier', 'onnxruntime-node']);
  expect(tree?.rows.map((r) => r.name)).toEqual([
    'espalier',
    'onnxruntime-node',
    'espalier, f16 rows',
    'espalier, dense 7',
    'onnxruntime-node, dense 7',
    'espalier, dense 3',
  ]);
  expect(tree?.note).toMatch(/^\d+ of \d+ leaves reached$/);
  for (const { rows, rejected, skipped } of results.results) {
    expect(rejected).toEqual([]);
    expect(skipped).toEqual([]);
    expect(rows[0]?.ratio).toBe(undefined);
    for (const row of rows) {
      expect(row.turns).toBeGreaterThanOrEqual(3);
      expect(row.time.low).toBeLessThanOrEqual(row.time.median);
      expect(row.error).toBeLessThan(1e-4);
    }
  }
  expect(results.seed).toBe(seed);
  expect(said.some((s) => s.includes('preparing onnxruntime-node'))).toBe(true);
});

it("draws Amdahl's line from the ratios of an encoder's turns", async () => {
  const { amdahl, results } = await runBench({
    groups: [{ ...group('dense', 1, 2), kind: 'encoder', width: 768 }],
    ...{ seed, pace, baselines: ['none'], command: 'test', extras: false },
  });
  const [line] = amdahl;
  expect(line).toMatchObject({ mode: 'plain', layers: 1, sequence: 2 });
  // Its rows say the same the other way round; between two turns in the middle a median may lie.
  for (const [name, found] of [
    ['espalier, trees', line?.reached],
    ['espalier, no feedforward', line?.possible],
  ] as const) {
    const ratio = results[0]?.rows.find((r) => r.name === name)?.ratio;
    expect(1 / (found ?? Number.NaN)).toBeGreaterThanOrEqual((ratio?.low ?? Number.NaN) * 0.999);
    expect(1 / (found ?? Number.NaN)).toBeLessThanOrEqual((ratio?.high ?? Number.NaN) * 1.001);
  }
});

it('is stopped by Ctrl-C, with what there is', { timeout: 60_000 }, async () => {
  const said = { out: '', error: '' };
  const error = (text: string): void => {
    said.error += text;
    if (text.includes('warming up and timing')) setTimeout(() => process.emit('SIGINT'), 50);
  };
  // Turns of ten minutes, which the test would not wait for.
  const given = ['--filter', 'dense 1 token, plain', '--baselines', 'none', '--seconds', '600'];
  const code = await benchCommand(given, {
    out: { write: (text) => (said.out += text) },
    error: { isTTY: true, write: error },
    environment: {},
  });
  expect(code).toBe(130);
  expect(said.error).toContain('stopping after this round of turns; once more ends at once');
  expect(said.out).toContain('stopped early');
  // No group without a turn, whose times would be no numbers.
  expect(said.out).not.toContain('NaN');
});
