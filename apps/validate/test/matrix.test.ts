/** Targets against each other: what is gathered over cases, and how it is shown. */
import { openCheckpoint } from '@espalier/models';
import { describe, expect, test } from 'vitest';
import type { Case } from '../src/cases/case.ts';
import { openGolden } from '../src/cases/golden-file.ts';
import { goldenCase, modelSubjects } from '../src/cases/model-cases.ts';
import { workOf } from '../src/cases/work.ts';
import { type Matrix, MatrixBuilder, type PairDifference, pairOf } from '../src/compare/matrix.ts';
import { largest, type Numbers } from '../src/numbers.ts';
import { interpret } from '../src/references/interpreter.ts';
import { type Run, runOfTensors } from '../src/references/run.ts';
import { matrixSection } from '../src/reports/html/matrix.ts';
import { matrixLines } from '../src/reports/terminal/matrix.ts';
import { styleFor } from '../src/reports/terminal/style.ts';
import { fixture } from './support/streams.ts';

const folder = fixture('crammed-fff-trees');
const one: Case = goldenCase(
  modelSubjects(await openCheckpoint(folder)),
  await openGolden(`${folder}/golden.safetensors`),
);
const exact = interpret(one, 'f64');
const last = one.items.at(-1) as Case['items'][number];

/** The interpreter's numbers as a target's run, with one tensor changed. */
function pretend(name: string, tensor?: string, change?: (values: Float64Array) => void): Run {
  const tensors = new Map<string, Numbers>(exact.tensors);
  for (const tree of one.subject.watched.trees) {
    const { nodes, scores } = exact.exact(tree);
    tensors.set(tree.nodesTensor, nodes).set(tree.scoresTensor, scores);
    for (const { plain, recorded } of tree.twins) tensors.set(recorded, exact.tensors.get(plain) as Numbers);
  }
  if (tensor !== undefined) {
    const values = Float64Array.from(tensors.get(tensor) as Numbers);
    change?.(values);
    tensors.set(tensor, tensor.endsWith('.nodes') ? Int32Array.from(values) : values);
  }
  return runOfTensors(name, 'target', tensors);
}

const gathered = (runs: readonly (readonly Run[])[]): Matrix => {
  const builder = new MatrixBuilder(['a', 'b', 'c']);
  for (const [i, some] of runs.entries()) builder.add(`checkpoint ${i}`, one, some, exact);
  return builder.matrix;
};

describe('matrix', () => {
  test('the largest difference over cases, where it is, and what it is relative to', () => {
    const off = (name: string, by: number): Run =>
      pretend(name, last.tensor, (values) => {
        values[5] = (values[5] as number) - by;
      });
    const matrix = gathered([
      [pretend('a'), off('b', 0.25)],
      [pretend('a'), off('b', 0.5), off('c', 0.75)],
    ]);
    const place = { checkpoint: 'checkpoint 1', case: 'golden', tensor: last.name };
    const ab = pairOf(matrix, 'b', 'a');
    expect(ab).toMatchObject({ a: 'a', b: 'b', cases: 2, absAt: place, relativeAt: place, routesApart: 0 });
    expect(ab?.maxAbs).toBeCloseTo(0.5, 12);
    expect(ab?.maxRelative).toBeCloseTo(0.5 / largest(exact.value(last) ?? []), 12);
    expect(pairOf(matrix, 'b', 'c')).toMatchObject({ cases: 1 });
    expect(pairOf(matrix, 'b', 'c')?.maxAbs).toBeCloseTo(0.25, 12);
    expect(pairOf(matrix, 'c', 'c')).toBeUndefined();
    expect(matrix.pairs.length).toBe(3);
  });

  test('a NaN is as far as can be', () => {
    const wrong = pretend('b', last.tensor, (values) => values.fill(Number.NaN, 0, 1));
    expect(pairOf(gathered([[pretend('a'), wrong]]), 'a', 'b')).toMatchObject({ maxAbs: Number.POSITIVE_INFINITY });
  });

  test('routes that part are counted, and their rows left out after', () => {
    const [tree] = one.subject.watched.trees;
    const turned = pretend('b', tree?.nodesTensor, (nodes) => {
      nodes[1] = 3 - (nodes[1] as number);
    });
    const pair = pairOf(gathered([[pretend('a'), turned]]), 'a', 'b') as PairDifference;
    expect(pair).toMatchObject({ routesApart: 1, maxAbs: 0, cases: 1 });
    expect(pair.walks).toBeGreaterThan(100);
  });

  test('in the terminal, in columns that fit', () => {
    const plain = styleFor(false);
    const pair = { absAt: null, relativeAt: null, walks: 40, routesApart: 0 };
    const place = { checkpoint: 'm', case: 'golden', tensor: 'logits' };
    const matrix: Matrix = {
      targets: ['wasm', 'webgpu', 'cuda'],
      pairs: [
        { ...pair, a: 'wasm', b: 'webgpu', cases: 2, maxAbs: 2e-6, maxRelative: 3e-7, relativeAt: place },
        { ...pair, a: 'wasm', b: 'cuda', cases: 0, maxAbs: 0, maxRelative: 0, walks: 0 },
        { ...pair, a: 'webgpu', b: 'cuda', cases: 1, maxAbs: 0, maxRelative: 0, routesApart: 2 },
      ],
    };
    const lines = matrixLines(matrix, plain);
    expect(lines.slice(4)).toEqual([
      '                 1       2  3',
      '  1 wasm         ·  3.0e-7  –',
      '  2 webgpu  2.0e-6       ·  =',
      '  3 cuda         –       =  ·',
      '  routes: webgpu and cuda part in 2 of 40 walks',
      '  farthest: wasm and webgpu, 3.0e-7 of the largest element at logits (m, golden)',
    ]);
    const html = matrixSection(matrix);
    expect(html).toContain('2 routes apart');
    expect(html).toContain('--heat:');
    expect(html.match(/<td/g)?.length).toBe(3 * 4);
    const many = Array.from({ length: 11 }, (_, i) => `simulator:${i}`);
    const wide = matrixLines({ targets: many, pairs: [] }, plain);
    expect(Math.max(...wide.map((line) => line.length))).toBeLessThanOrEqual(100);
    expect(matrixLines({ targets: ['wasm'], pairs: [] }, plain)).toEqual([]);
    expect(matrixSection({ targets: ['wasm'], pairs: [] })).toBe('');
  });
});

test('work grows with the tokens, and is about what the layers do', () => {
  const work = workOf(one);
  const half = { ...one, dims: { ...one.dims, B: (one.dims['B'] ?? 0) / 2 } };
  expect(work / workOf(half)).toBeCloseTo(2, 1);
  // At least two operations for each weight of the decoder and each token.
  expect(work).toBeGreaterThan(1e5);
});
