/** What makes stores come in pairs for engines that fuse neighbours: it keeps the meaning, and keeps its hands off where it can't. */
import { rowMajor } from '@espalier/artefact';
import { Sizes } from '@espalier/ir';
import { describe, expect, it } from 'vitest';
import * as k from '../src/kernel-ir/build.ts';
import type { Kernel, Stmt } from '../src/kernel-ir/types.ts';
import { verify } from '../src/kernel-ir/verify.ts';
import { visitStatements } from '../src/kernel-ir/walk.ts';
import { applySchedule } from '../src/schedule/apply.ts';
import { pairFolds } from '../src/targets/wasm/legalise/pair-folds.ts';
import { pairStores } from '../src/targets/wasm/legalise/pair-stores.ts';
import { clean } from './support/clean.ts';
import { integerTensors } from './support/kernels.ts';

const vector = k.vector('f32', 4);
const buffer = (
  name: string,
  access: 'read' | 'write' | 'read_write',
  ...sizes: readonly number[]
): Kernel['buffers'][number] => ({
  name,
  space: 'global',
  access,
  storage: 'f32',
  shape: sizes.map(Sizes.constant),
  layout: rowMajor(sizes.length),
});

/** A kernel whose places are bytes already, as `pairStores` finds them. */
const addressed = (...body: readonly Stmt[]): Kernel => ({
  name: 'k0',
  label: 'test',
  buffers: [buffer('x', 'read', 64), buffer('y', 'read_write', 64)],
  dims: [],
  body: [k.letStmt('p', k.index('y.ptr')), k.letStmt('q', k.index('x.ptr')), ...body],
  faults: [],
});
const load = (name: string, base: string, offset: number) => ({
  ...k.load(name, [k.index(base)], vector),
  offset,
});
const store = (base: string, offset: number, value: ReturnType<typeof load>): Stmt => ({
  kind: 'store',
  buffer: 'y',
  indices: [k.index(base)],
  offset,
  value,
});
/** The kinds of statements in order, and where each store goes. */
const shapeOf = (kernel: Kernel): string => {
  const found: string[] = [];
  visitStatements(kernel.body.slice(2), (s) => {
    found.push(s.kind === 'store' ? `store ${s.offset} ${s.value.kind}` : s.kind);
  });
  return found.join(', ');
};

describe('stores side by side', () => {
  const first = store('p', 0, load('x', 'q', 0));
  const second = store('p', 16, load('x', 'q', 16));
  it('are brought together behind what they store', () =>
    expect(shapeOf(pairStores(addressed(first, second)))).toBe('let, let, store 0 ref, store 16 ref'));
  it('are found behind names that stand between', () =>
    expect(shapeOf(pairStores(addressed(first, k.letStmt('z', load('x', 'q', 32)), second)))).toBe(
      'let, let, let, store 0 ref, store 16 ref',
    ));
  it('are found two pairs in a row, in loops too', () => {
    const more = [store('p', 32, load('y', 'p', 32)), store('p', 48, load('y', 'p', 48))];
    const loop = k.loop('i', k.i32(0), k.i32(2), [first, second, ...more]);
    expect(shapeOf(pairStores(addressed(loop)))).toBe(
      'for, let, let, store 0 ref, store 16 ref, let, let, store 32 ref, store 48 ref',
    );
  });
  it.each([
    ['the second stores what the first may have written', [first, store('p', 16, load('y', 'p', 8))]],
    ['the second reads at an unknown distance', [first, store('p', 16, load('y', 'q', 0))]],
    ['a name between reads what the first wrote', [first, k.letStmt('z', load('y', 'p', 0)), second]],
    ['they are not neighbours', [first, store('p', 32, load('x', 'q', 16))]],
    ['the second stands before the first in memory', [second, first]],
    ['their bases differ', [first, store('q', 16, load('x', 'q', 16))]],
    ['something else happens between', [first, { kind: 'comment', text: 'here' }, second]],
  ] as const)('stay as they are when %s', (_, body) => {
    const kernel = addressed(...body);
    expect(pairStores(kernel).body).toEqual(kernel.body);
  });
});

describe('folds of partial results', () => {
  /** y[t] = Σ x[t, i], by partial results. */
  const sums = (length: number, accumulators: number): Kernel => {
    const term = k.load('x', [k.index('t'), k.index('i')], k.scalar('f32'));
    const acc = k.ref('acc', k.scalar('f32'));
    return applySchedule(
      {
        name: 'k0',
        label: 'sums',
        buffers: [buffer('x', 'read', 3, length), buffer('y', 'write', 3)],
        dims: [],
        body: [
          k.loop('t', k.i32(0), k.i32(3), [
            k.varStmt('acc', k.f32(0)),
            k.loop('i', k.i32(0), k.i32(length), [k.assign('acc', k.add(acc, term))], { label: 'i' }),
            k.store('y', [k.index('t')], acc),
          ]),
        ],
        faults: [],
      },
      [{ step: 'vectorise', loop: 'i', lanes: 4, accumulators }],
    );
  };
  const partials = (kernel: Kernel): number => {
    let count = 0;
    visitStatements(kernel.body, (s) => {
      if (s.kind === 'store' && s.buffer.startsWith('partial')) count++;
    });
    return count;
  };

  it.each([
    [4, 2],
    [4, 4],
    [37, 2],
    [37, 4],
  ])('%i elements in %i vectors: same sums, by way of memory', (length, accumulators) => {
    const kernel = sums(length, accumulators);
    const stored = pairFolds(kernel);
    verify(stored, 'pair-folds');
    const tensors = integerTensors(kernel, {}, 7);
    expect(clean(stored, { dims: {}, tensors })).toEqual(clean(kernel, { dims: {}, tensors }));
    expect(partials(stored)).toBe(length === 4 ? 0 : accumulators);
  });
  it('leaves a single vector, or three, in registers', () => {
    for (const accumulators of [1, 3]) expect(partials(pairFolds(sums(37, accumulators)))).toBe(0);
  });
});
