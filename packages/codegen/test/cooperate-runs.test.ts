/**
 * The step `cooperate` on loops that give a lane runs of neighbours: what is folded is folded over the subgroup once, arrays are
 * dealt out in runs, and what lanes pick from is shared where they can meet. Results are those of the plain kernel, exactly, on
 * integers; the simulator watches for races.
 */
import { Sizes } from '@espalier/ir';
import { describe, expect, it } from 'vitest';
import * as k from '../src/kernel-ir/build.ts';
import { printKernel } from '../src/kernel-ir/print.ts';
import type { Expr, FoldOp, Kernel, Stmt } from '../src/kernel-ir/types.ts';
import { verify } from '../src/kernel-ir/verify.ts';
import { visitExpressions } from '../src/kernel-ir/walk.ts';
import { applySchedule } from '../src/schedule/apply.ts';
import type { Step } from '../src/schedule/steps.ts';
import { clean } from './support/clean.ts';
import * as h from './support/handwritten.ts';
import { integerTensors } from './support/kernels.ts';

const { n, name, at, put, set, f } = h;
const [t, i, j] = [name('t'), name('i'), name('j')];
const runs = (loop: string): Step => ({ step: 'vectorise', loop, lanes: 4, accumulators: 1 });
const cooperate = (subgroups = 2, lanes = 8, memory = 4096): Step => ({ step: 'cooperate', subgroups, lanes, memory });

const over = (L: number, body: readonly Stmt[], privates: readonly [string, number][] = []): Kernel => ({
  name: 'k0',
  label: 'test',
  dims: ['T'],
  faults: [],
  buffers: [
    h.buffer('x', ['T', L]),
    h.buffer('w', [L]),
    h.buffer('ids', ['T', L], 'global', 'read', { storage: 'i32' }),
    h.buffer('y', ['T', L], 'global', 'write'),
    ...privates.map(([p, size]) => h.buffer(p, [size], 'private')),
  ],
  body: [h.grid('t', h.T, body)],
});

/** The kernel after the steps, once it was shown to compute the same, with nothing found. */
function same(kernel: Kernel, steps: readonly Step[]): Kernel {
  verify(kernel, 'test');
  const shared = applySchedule(kernel, steps);
  verify(shared, 'cooperate');
  for (const T of [0, 1, 2, 5]) {
    const tensors = integerTensors(kernel, { T }, 17 + T);
    expect(clean(shared, { dims: { T }, tensors }), printKernel(shared)).toEqual(
      clean(kernel, { dims: { T }, tensors }),
    );
  }
  return shared;
}

const folds = (kernel: Kernel): readonly (readonly [FoldOp, number])[] => {
  const found: (readonly [FoldOp, number])[] = [];
  visitExpressions(kernel.body, (e) => {
    if (e.kind === 'subgroup_fold') found.push([e.op, e.type.lanes]);
  });
  return found;
};
/** Where an array is, and how long. */
const placeOf = (kernel: Kernel, buffer: string): readonly [string, ...(number | null)[]] => {
  const b = kernel.buffers.find((x) => x.name === buffer);
  return [b?.space ?? 'nowhere', ...(b?.shape ?? []).map((s) => Sizes.constantOf(s))];
};

/** One round of eight lanes of four, several, and ends that are not whole. */
const LENGTHS = [32, 64, 36, 60, 96, 37, 65, 131, 8];

const dot = (L: number, op: FoldOp, start: Expr): Kernel =>
  over(L, [
    h.variable('acc', start),
    h.serial('i', n(L), [set('acc', k.op(op, f('acc'), k.mul(at('x', t, i), at('w', i))))]),
    put('y', [t, n(0)], f('acc')),
  ]);

describe('what is folded', () => {
  it.each(LENGTHS)('over %i elements is folded over the subgroup as one number', (L) => {
    const shared = same(dot(L, 'add', k.f32(3)), [runs('i'), cooperate()]);
    const tail = L % 4;
    // A tail of one is done by all lanes alike; one of two or three is dealt out, and folded for itself.
    expect(folds(shared)).toEqual(
      tail > 1
        ? [
            ['add', 1],
            ['add', 1],
          ]
        : [['add', 1]],
    );
  });

  it.each(['max', 'min'] as const)('by %s', (op) => {
    for (const L of LENGTHS) same(dot(L, op, k.f32(op === 'max' ? -2 : 2)), [runs('i'), cooperate()]);
  });

  it('without runs is folded once as well', () => {
    expect(folds(same(dot(37, 'add', k.f32(0)), [cooperate()]))).toEqual([['add', 1]]);
  });

  it('with several partial results, into which two loops fold', () => {
    for (const accumulators of [2, 3])
      for (const L of [32, 64, 36, 60, 96, 37, 65, 131, 44, 76])
        same(dot(L, 'add', k.f32(1)), [{ ...runs('i'), accumulators } as Step, cooperate()]);
  });

  it('by a loop and its rest, one after the other, keeps what the first found', () => {
    for (const by of [2, 3, 4])
      for (const L of [44, 76, 100, 131])
        same(dot(L, 'add', k.f32(1)), [runs('i'), { step: 'repeat', loop: 'i', by }, cooperate()]);
  });

  it('and used otherwise too, is folded lane of vector by lane of vector', () => {
    // A vector by hand: its sum, and its first element.
    const four = k.vector('f32', 4);
    const vector = k.ref('v', four);
    const kernel = over(64, [
      h.variable('v', k.splat(k.f32(0), 4)),
      h.variable('acc', k.f32(0)),
      k.loop('i', n(0), n(64), [set('v', k.add(vector, h.wideAt('x', t, i)))], { step: 4 }),
      set('acc', k.add(f('acc'), k.fold('add', vector))),
      put('y', [t, n(0)], f('acc')),
      put('y', [t, n(1)], k.extract(vector, 0)),
    ]);
    expect(folds(same(kernel, [cooperate()]))).toEqual([['add', 4]]);
  });

  it('by another operation than it is then folded by, stays a vector', () => {
    const vector = k.ref('v', k.vector('f32', 4));
    const kernel = over(64, [
      h.variable('v', k.splat(k.f32(0), 4)),
      h.variable('acc', k.f32(-9)),
      k.loop('i', n(0), n(64), [set('v', k.add(vector, h.wideAt('x', t, i)))], { step: 4 }),
      set('acc', k.max(f('acc'), k.fold('max', vector))),
      put('y', [t, n(0)], f('acc')),
    ]);
    expect(folds(same(kernel, [cooperate()]))).toEqual([['add', 4]]);
  });

  it('into a vector that holds something already, keeps it', () => {
    const vector = k.ref('v', k.vector('f32', 4));
    const kernel = over(64, [
      h.variable('v', k.splat(k.f32(5), 4)),
      h.variable('acc', k.f32(0)),
      k.loop('i', n(0), n(64), [set('v', k.add(vector, h.wideAt('x', t, i)))], { step: 4 }),
      set('acc', k.add(f('acc'), k.fold('add', vector))),
      put('y', [t, n(0)], f('acc')),
    ]);
    same(kernel, [cooperate()]);
  });
});

describe('arrays', () => {
  /** p[i] = 2 x[t, i], summed, and written down with the sum. */
  const through = (L: number): Kernel =>
    over(
      L,
      [
        h.serial('i', n(L), [put('p', [i], k.mul(at('x', t, i), k.f32(2)))]),
        h.variable('acc', k.f32(0)),
        h.serial('j', n(L), [set('acc', k.add(f('acc'), at('p', j)))]),
        h.serial('l', n(L), [put('y', [t, name('l')], k.add(at('p', name('l')), f('acc')))]),
      ],
      [['p', L]],
    );
  const all = [runs('i'), runs('j'), runs('l')];

  // Eight lanes, four at a time: 32 a round.
  it.each([
    [32, 4],
    [36, 8],
    [64, 8],
    [96, 12],
    [100, 16],
  ])('of %i elements are split in runs of four, %i to a lane', (L, each) => {
    expect(placeOf(same(through(L), [...all, cooperate()]), 'p')).toEqual(['private', each]);
  });

  it.each([
    [32, 4],
    [36, 5],
    [37, 5],
  ])('of %i elements are split singly where lanes go singly, %i to a lane', (L, each) => {
    expect(placeOf(same(through(L), [cooperate()]), 'p')).toEqual(['private', each]);
  });

  it.each([37, 66, 131])('of %i elements, with ends that runs do not reach, are shared', (L) => {
    expect(placeOf(same(through(L), [...all, cooperate()]), 'p')).toEqual(['workgroup', 2, L]);
    expect(placeOf(same(through(L), [...all, cooperate(1)]), 'p')).toEqual(['workgroup', L]);
    expect(placeOf(same(through(L), [...all, cooperate(2, 8, 8 * L - 1)]), 'p')[0]).toBe('scratch');
  });

  it('that some loops take in runs and others singly, are shared', () => {
    expect(placeOf(same(through(64), [runs('i'), runs('l'), cooperate()]), 'p')).toEqual(['workgroup', 2, 64]);
  });
});

describe('arrays that all lanes fill alike', () => {
  const fill = (by: Expr): Stmt => h.serial('s', n(4), [put('p', [name('s')], k.add(at('x', t, name('s')), by))]);
  /** A loop no lane may take a part of, so that all lanes run it: each round needs the one before. */
  const chain: readonly Stmt[] = [
    h.variable('c', k.f32(0)),
    h.serial('s', n(4), [set('c', k.sub(at('x', t, name('s')), f('c'))), put('p', [name('s')], f('c'))]),
  ];
  const readAlike = h.serial('i', n(64), [put('y', [t, i], k.add(at('p', n(2)), at('x', t, i)))]);
  const readPicked = h.serial('i', n(64), [put('y', [t, i], k.add(at('p', h.mod(i, 4)), at('x', t, i)))]);

  it('stay with each where all read them alike', () => {
    expect(placeOf(same(over(64, [...chain, readAlike], [['p', 4]]), [cooperate()]), 'p')).toEqual(['private', 4]);
  });

  it('are shared where a lane’s number says what it reads', () => {
    expect(placeOf(same(over(64, [...chain, readPicked], [['p', 4]]), [cooperate()]), 'p')).toEqual([
      'workgroup',
      2,
      4,
    ]);
  });

  it('stay with each where not all lanes would come to the barrier', () => {
    // Which lanes take the branch can't be known: what is in private memory may be another number in each.
    const kernel = over(
      64,
      [
        h.variable('c', k.f32(0)),
        h.serial('s', n(4), [set('c', k.sub(at('x', t, name('s')), f('c'))), put('q', [name('s')], f('c'))]),
        h.when(
          h.less(at('q', n(1)), k.f32(2)),
          h.variable('d', k.f32(0)),
          h.serial('u', n(4), [set('d', k.sub(at('x', t, name('u')), f('d'))), put('p', [name('u')], f('d'))]),
          readPicked,
        ),
      ],
      [
        ['p', 4],
        ['q', 4],
      ],
    );
    const shared = same(kernel, [cooperate()]);
    expect(placeOf(shared, 'p')).toEqual(['private', 4]);
    expect(printKernel(shared)).not.toContain('barrier');
  });

  it('are shared at once where each element is a lane’s own to fill', () => {
    // Dealt out to fill, picked from to read.
    const kernel = over(64, [fill(k.f32(1)), readPicked], [['p', 4]]);
    expect(placeOf(same(kernel, [cooperate()]), 'p')).toEqual(['workgroup', 2, 4]);
  });
});
