/**
 * Whole runs: every golden folder of the repository, the bundled models, and with ESPALIER_GOLDEN the large folders too. Each must
 * agree on every target, against the original program, the interpreter and ONNX Runtime.
 */
import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { bundledModels } from '../src/cases/find.ts';
import { validate } from '../src/validate.ts';
import { fixture } from './support/streams.ts';

const folders = (root: string): readonly string[] =>
  readdirSync(root)
    .map((name) => join(root, name))
    .filter((path) => existsSync(join(path, 'golden.safetensors')));

const committed = folders(fixture(''));
const extra = process.env['ESPALIER_GOLDEN'];
const large = ['crammed-fff-1x11-1layer', 'hf-bert-mlm-small'];
const found = extra === undefined ? [] : folders(extra).filter((path) => large.includes(basename(path)));

async function agrees(folder: string): Promise<void> {
  const report = await validate({ checkpoints: [folder], timing: false });
  const problems = report.checkpoints.flatMap((checkpoint) =>
    checkpoint.cases.flatMap((one) =>
      one.runs.flatMap((run) => (run.agrees ? [] : [`${one.id} ${run.name}: ${run.error ?? run.first?.message}`])),
    ),
  );
  expect(problems).toEqual([]);
  expect(report.agrees).toBe(true);
  expect(report.totals.checks).toBeGreaterThan(20);
  for (const one of report.checkpoints.flatMap((checkpoint) => checkpoint.cases)) {
    const targets = one.runs.filter((run) => run.kind === 'target');
    expect(targets.length).toBe(report.targets.length);
    for (const run of targets) {
      const references = run.comparisons.map((comparison) => comparison.reference);
      expect(references).toEqual(expect.arrayContaining(['golden', 'interpreter', 'onnxruntime']));
      for (const { tokens, comparable } of run.comparisons) expect(comparable).toBe(tokens);
    }
  }
}

describe('golden data', () => {
  test('all ten folders are there', () => {
    expect(committed.length).toBe(10);
  });
  for (const folder of committed) test(basename(folder), () => agrees(folder));

  test.skipIf(extra === undefined)(
    `the large folders are there (2 cases skipped unless ESPALIER_GOLDEN names their folder: ${large.join(', ')})`,
    () => {
      expect(found.map((path) => basename(path)).sort()).toEqual(large);
    },
  );
  for (const folder of found) test(basename(folder), () => agrees(folder));
});

describe('bundled models', () => {
  test('all of them, with texts, by default', async () => {
    const report = await validate({ timing: false, targets: ['wasm', 'wasm:plain'] });
    expect(report.checkpoints.map((checkpoint) => checkpoint.name)).toEqual(bundledModels);
    expect(report.agrees).toBe(true);
    const [bert, tree, spam] = report.checkpoints;
    expect(bert?.cases.map((one) => one.id)).toEqual(['golden', 'texts']);
    expect(tree?.cases[0]?.trees.map((one) => one.label)).toEqual(['fff.0', 'fff.1', 'fff.2', 'fff.3']);
    expect(tree?.cases[1]?.said?.lines[0]?.answers[0]?.length).toBe(5);
    const verdicts = spam?.cases.slice(1).map((one) => one.said?.lines[0]?.answers[0]?.[0]?.word);
    expect(verdicts).toEqual(['spam', 'ham']);
  });
});
