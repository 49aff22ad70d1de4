/** Comparisons of whole runs, made up from the interpreter's: flips are followed, unseen ones too, and nothing else is excused. */
import { openCheckpoint } from '@espalier/models';
import { describe, expect, test } from 'vitest';
import type { Case } from '../src/cases/case.ts';
import { openGolden } from '../src/cases/golden-file.ts';
import { goldenCase, modelSubjects } from '../src/cases/model-cases.ts';
import { toleranceOf } from '../src/compare/tolerance.ts';
import { compareRuns, measuredLosses } from '../src/compare/verdict.ts';
import type { Numbers } from '../src/numbers.ts';
import { interpret } from '../src/references/interpreter.ts';
import { type ExactRun, type Run, runOfTensors } from '../src/references/run.ts';
import { fixture } from './support/streams.ts';

const folder = fixture('crammed-fff-trees');
const one: Case = goldenCase(
  modelSubjects(await openCheckpoint(folder)),
  await openGolden(`${folder}/golden.safetensors`),
);
const exact = interpret(one, 'f64');
const tolerance = toleranceOf(one, () => 0);

/** The interpreter's numbers as a target's run, with some tensors replaced. */
function pretend(changed: Readonly<Record<string, (values: Float64Array) => void>>): Run {
  const tensors = new Map<string, Numbers>(exact.tensors);
  for (const tree of one.subject.watched.trees) {
    const route = exact.exact(tree);
    tensors.set(tree.nodesTensor, route.nodes).set(tree.scoresTensor, route.scores);
    for (const { plain, recorded } of tree.twins) tensors.set(recorded, exact.tensors.get(plain) as Numbers);
  }
  for (const [name, change] of Object.entries(changed)) {
    const values = Float64Array.from(tensors.get(name) as Numbers);
    change(values);
    tensors.set(name, name.endsWith('.nodes') ? Int32Array.from(values) : values);
  }
  return runOfTensors('pretended', 'target', tensors);
}

/** An exact run in which the last decision of row 3 in tree 1 of layer 0 is open: score 1e-9 within a bound of 1e-6. */
const open: ExactRun = {
  ...exact,
  exact(tree) {
    const route = exact.exact(tree);
    if (tree.label !== 'fff.0') return route;
    const scores = Float64Array.from(route.scores);
    const bounds = Float64Array.from(route.bounds);
    scores[decision] = 1e-9;
    bounds[decision] = 1e-6;
    return { ...route, scores, bounds };
  },
};
const decision = (3 * 4 + 1) * 4 + 2;
const width = 96;

const check = (run: Run, reference: Run, by: ExactRun, name: string) =>
  compareRuns(one, run, reference, by, tolerance).checks.find((candidate) => candidate.name === name);

describe('whole runs', () => {
  test('the interpreter against itself', () => {
    const result = compareRuns(one, pretend({}), exact, exact, tolerance);
    expect(result).toMatchObject({ first: null, tokens: 40, comparable: 40 });
    expect(result.checks.map((item) => item.name)).toEqual([
      'hidden_states.0',
      'ffn.0.input',
      'fff.0.nodes',
      'ffn.0.output',
      'hidden_states.1',
      'ffn.1.input',
      'fff.1.nodes',
      'ffn.1.output',
      'hidden_states.2',
      'last_hidden_state',
      'logits',
    ]);
  });

  test('a flip within the bound: the token goes, then its sequence, and the other sequence stays', () => {
    const run = pretend({
      'fff.0.nodes': (nodes) => {
        nodes[decision + 1] =
          nodes[decision + 1] === 2 * (nodes[decision] as number) + 1
            ? 2 * (nodes[decision] as number) + 2
            : 2 * (nodes[decision] as number) + 1;
      },
      'fff.0.scores': (scores) => scores.set([1e-9], decision),
      'ffn.0.output': (values) => values.fill(7, 3 * width, 4 * width),
      'hidden_states.1': (values) => values.fill(7, 3 * width, 4 * width),
      logits: (values) => values.fill(Number.NaN, 0, 20 * 210),
    });
    const reference: Run = { ...exact, route: (tree) => open.exact(tree) };
    const result = compareRuns(one, run, reference, open, tolerance);
    expect(result.first).toBeNull();
    expect(result).toMatchObject({ tokens: 40, comparable: 20 });
    const rows = Object.fromEntries(result.checks.map((item) => [item.name, item.rows]));
    expect(rows).toMatchObject({
      'fff.0.nodes': 40,
      'ffn.0.output': 39,
      'hidden_states.1': 39,
      'ffn.1.input': 20,
      'fff.1.nodes': 20,
      logits: 20,
    });
    expect(compareRuns(one, run, exact, exact, tolerance).first).toMatchObject({ kind: 'route', name: 'fff.0.nodes' });
  });

  test('a flip that only the plain kernel took is seen by its values, where a decision was open, and only there', () => {
    const scores = (values: Float64Array): void => values.set([1e-9], decision);
    const at = (row: number) => ({
      'fff.0.scores': scores,
      'ffn.0.output': (values: Float64Array) => values.fill(7, row * width, (row + 1) * width),
    });
    const reference: Run = { ...exact, route: (tree) => open.exact(tree) };
    const excused = check(pretend(at(3)), reference, open, 'fff.0.nodes');
    expect(excused).toMatchObject({
      agrees: true,
      differences: [{ row: 3, tree: 1, level: 2, score: 1e-9, within: true }],
    });
    expect(check(pretend(at(3)), reference, open, 'ffn.0.output')).toMatchObject({ agrees: true, rows: 39 });
    expect(check(pretend(at(5)), reference, open, 'ffn.0.output')).toMatchObject({
      agrees: false,
      rows: 40,
      at: { row: 5 },
    });
  });

  test('one NaN, and one element beyond its allowance, are differences; argmax is looked at', () => {
    const nan = pretend({ 'ffn.1.output': (values) => values.set([Number.NaN], 100) });
    expect(compareRuns(one, nan, exact, exact, tolerance).first).toMatchObject({
      name: 'ffn.1.output',
      maxAbs: Number.POSITIVE_INFINITY,
    });
    const { allowed } = tolerance.of(
      one.items.find((item) => item.name === 'hidden_states.1') as Case['items'][number],
    );
    const by = (factor: number): Run =>
      pretend({ 'hidden_states.1': (values) => values.set([(values[9] as number) + factor * allowed], 9) });
    expect(check(by(0.99), exact, exact, 'hidden_states.1')?.agrees).toBe(true);
    expect(check(by(1.01), exact, exact, 'hidden_states.1')?.agrees).toBe(false);
    expect(check(pretend({}), exact, exact, 'logits')).toMatchObject({ argmax: { rows: 40, equal: 40, tied: 0 } });
  });

  test('a loss that cannot be measured allows nothing but the floor', () => {
    const bare: Case = { ...one, golden: null };
    const item = bare.items[0] as Case['items'][number];
    expect(toleranceOf(bare, () => Number.POSITIVE_INFINITY).of(item)).toEqual({
      allowed: 1e-6,
      unit: 0,
      from: 'measured',
    });
    // A lucky run on few tokens is no measure where more was recorded on others; an unlucky one is.
    const elsewhere: Case = { ...bare, lostElsewhere: new Map([[item.name, 4e-6]]) };
    expect(toleranceOf(elsewhere, () => 1e-9).of(item)).toMatchObject({ allowed: 9e-6, from: 'measured' });
    expect(toleranceOf(elsewhere, () => 5e-6).of(item).unit).toBe(5e-6);
    expect(toleranceOf(bare, (other) => (other.name === 'hidden_states.2' ? 3e-6 : 1e-6)).of(item).allowed).toBe(7e-6);
  });

  test('what float32 costs is small, and more than nothing', () => {
    const losses = measuredLosses(one, interpret(one, 'f32'), exact);
    for (const item of one.items) {
      expect(losses(item), item.name).toBeGreaterThan(1e-8);
      expect(losses(item), item.name).toBeLessThan(2e-5);
    }
  });
});
