/** The simulator finds every kind of mistake that is planted, at its statement and lane, and nothing where there is none. */
import { describe, expect, it } from 'vitest';
import * as k from '../src/kernel-ir/build.ts';
import type { Expr, Kernel, KernelBuffer, Stmt, Workgroup } from '../src/kernel-ir/types.ts';
import { verify } from '../src/kernel-ir/verify.ts';
import { flatten } from '../src/passes/flatten.ts';
import { spill } from '../src/passes/spill.ts';
import { type Finding, formatFinding, type SimulateOptions, simulate } from '../src/simulate/index.ts';
import * as h from './support/handwritten.ts';
import { random } from './support/kernels.ts';
import { denseOnLanes, denseOnMatrixUnits } from './support/lane-kernels.ts';

const { n, name, at, put, define, when, lane, barrier } = h;
const next = random(0xfa0175);
const floats = (length: number): Float32Array => Float32Array.from({ length }, () => next() * 2 - 1);

const SMALL: Workgroup = { subgroups: 2, lanes: 4 };
const THREADS = 8;
const GROUPS = 3;
const x = h.buffer('x', [THREADS]);
const y = h.buffer('y', [THREADS * GROUPS], 'global', 'write');
/** The element of `y` that is this thread's own. */
const own = k.add(k.mul(name('group'), n(THREADS)), lane);
const tile = (size = THREADS): KernelBuffer => h.buffer('tile', [size], 'workgroup');
const subgroupBarrier: Stmt = { kind: 'barrier', scope: 'subgroup' };

/** A kernel of three workgroups of two subgroups of four lanes, with `x` of 8 and `y` of 24. */
function kernel(body: readonly Stmt[], more: readonly KernelBuffer[] = [], workgroup = SMALL): Kernel {
  return {
    name: 'k0',
    label: 'planted',
    place: 'planted.layer:3:1',
    buffers: [x, y, ...more],
    dims: [],
    faults: [],
    workgroup,
    body: [h.workgroups('group', n(GROUPS), body)],
  };
}

function findingsOf(planted: Kernel, options: Partial<SimulateOptions> = {}): readonly Finding[] {
  return simulate(planted, { tensors: { x: floats(THREADS) }, ...options }).findings;
}

/** The only finding. */
function only(planted: Kernel, options: Partial<SimulateOptions> = {}): Finding {
  const found = findingsOf(planted, options);
  expect(found.map(formatFinding)).toHaveLength(1);
  return found[0] as Finding;
}

describe('accesses outside a buffer', () => {
  it('a read of global memory: which lane, which element, how often', () => {
    const planted = kernel([put('y', [own], at('x', k.add(lane, n(1))))]);
    expect(only(planted)).toMatchObject({
      kind: 'out-of-bounds',
      kernel: 'k0',
      place: 'planted.layer:3:1',
      workgroup: 0,
      lanes: [7],
      buffer: 'x',
      element: 8,
      times: GROUPS,
      statement: 'y[((group * 8) + @lane)] = x[(@lane + 1)]',
      path: ['for workgroup group in 0 .. 3'],
    });
    expect(only(flatten(planted), { flattened: true })).toMatchObject({
      kind: 'out-of-bounds',
      lanes: [7],
      element: 8,
    });
  });

  it('a write of global memory, which leaves everything else as it was', () => {
    const planted = kernel([put('y', [k.sub(own, n(1))], at('x', lane))]);
    expect(only(planted)).toMatchObject({ kind: 'out-of-bounds', buffer: 'y', element: -1, lanes: [0], workgroup: 0 });
    const tensors = { x: floats(THREADS) };
    const { outputs } = simulate(planted, { tensors });
    expect(outputs['y']?.slice(0, 7)).toEqual([...tensors.x.slice(1)]);
  });

  it('an axis too far, though the element exists', () => {
    const square = h.buffer('square', [4, 4]);
    const planted = kernel([put('y', [own], at('square', n(1), k.sub(lane, n(3))))], [square]);
    const tensors = { x: floats(8), square: floats(16) };
    expect(only(planted, { tensors })).toMatchObject({ kind: 'out-of-bounds', buffer: 'square', lanes: [0] });
  });

  it('the end of a vector', () => {
    const value = k.load('x', [k.mul(k.op('min', lane, n(1)), n(5))], k.vector('f32', 4));
    const planted = kernel([put('y', [own], { kind: 'extract', value, lane: 0, type: h.float })]);
    expect(only(planted)).toMatchObject({ kind: 'out-of-bounds', lanes: [1], element: 8 });
  });

  it.each([
    ['workgroup', tile(7)],
    ['private', h.buffer('tile', [7], 'private')],
  ] as const)('%s memory, read and written', (_, memory) => {
    const planted = kernel([put('tile', [lane], k.f32(1)), barrier, put('y', [own], at('tile', lane))], [memory]);
    const found = findingsOf(planted).filter((f) => f.kind === 'out-of-bounds');
    expect(found.map((f) => [f.buffer, f.element, f.lanes, f.statement])).toEqual([
      ['tile', 7, [7], 'tile[@lane] = 1.0'],
      ['tile', 7, [7], 'y[((group * 8) + @lane)] = tile[@lane]'],
    ]);
  });

  it('but for the one element that runtimes add to empty memory', () => {
    const empty = h.buffer('empty', ['T']);
    const reading = (i: number): Kernel => ({ ...kernel([put('y', [own], at('empty', n(i)))], [empty]), dims: ['T'] });
    const given = { dims: { T: 0 }, tensors: { x: floats(8), empty: floats(0) } };
    expect(findingsOf(reading(0), given)).toEqual([]);
    expect(only(reading(1), given)).toMatchObject({ kind: 'out-of-bounds', buffer: 'empty' });
  });
});

describe('reads of memory never written', () => {
  it.each([
    ['workgroup', tile()],
    ['private', h.buffer('tile', [THREADS], 'private')],
    ['global', h.buffer('tile', [THREADS], 'global', 'read_write')],
    ['scratch', h.buffer('tile', [THREADS], 'scratch', 'read_write', { storage: 'i32' })],
  ] as const)('%s', (space, memory) => {
    const value = space === 'scratch' ? k.op('to_f32', h.integerAt('tile', lane)) : at('tile', lane);
    expect(only(kernel([put('y', [own], value)], [memory]))).toMatchObject({
      kind: 'unwritten-read',
      buffer: 'tile',
      element: 0,
      lanes: [0],
      times: THREADS * GROUPS,
    });
  });

  it('memory that only the last workgroup wrote', () => {
    const first = k.op('eq', name('group'), n(0));
    const planted = kernel([when(first, put('tile', [lane], k.f32(1))), put('y', [own], at('tile', lane))], [tile()]);
    expect(only(planted)).toMatchObject({ kind: 'unwritten-read', workgroup: 1, times: 2 * THREADS });
  });

  it('one element among many', () => {
    const others = k.op('ne', lane, n(5));
    const memory = h.buffer('tile', [THREADS], 'private');
    const planted = kernel([when(others, put('tile', [lane], k.f32(1))), put('y', [own], at('tile', lane))], [memory]);
    expect(only(planted)).toMatchObject({ kind: 'unwritten-read', lanes: [5], element: 5, times: GROUPS });
  });

  it('a fragment', () => {
    const planted = denseOnMatrixUnits(12, 40);
    const without = (body: readonly Stmt[]): readonly Stmt[] =>
      body
        .filter((s) => !(s.kind === 'fragment' && s.move === 'zero'))
        .map((s) => (s.kind === 'for' ? { ...s, body: without(s.body) } : s));
    const tensors = { x: floats(12 * 3), w: floats(12 * 40), b: floats(40) };
    const found = findingsOf({ ...planted, body: without(planted.body) }, { dims: { T: 3 }, tensors });
    expect(found[0]).toMatchObject({
      kind: 'unwritten-read',
      statement: 'mma c += a . bt (16x16x8, tf32)',
      lanes: [0],
    });
  });
});

describe('races', () => {
  it('two lanes at one element of global memory', () => {
    const planted = kernel([put('y', [k.add(k.mul(name('group'), n(8)), h.div(lane, 2))], at('x', lane))]);
    expect(only(planted)).toMatchObject({
      kind: 'race',
      buffer: 'y',
      element: 0,
      lanes: [1],
      workgroup: 0,
      other: { workgroup: 0, lane: 0 },
      times: 4 * GROUPS,
    });
  });

  it('two workgroups at one element of global memory, barriers or not', () => {
    const planted = kernel([barrier, put('y', [lane], k.mul(at('x', lane), k.op('to_f32', name('group')))), barrier]);
    expect(only(planted)).toMatchObject({
      kind: 'race',
      workgroup: 1,
      lanes: [0],
      other: { workgroup: 0, lane: 0 },
      times: 2 * THREADS,
    });
  });

  it('a workgroup that reads what another wrote', () => {
    const shared = h.buffer('shared', [THREADS * GROUPS], 'global', 'read_write');
    const left = k.max(k.sub(own, n(1)), n(0));
    const planted = kernel(
      [put('shared', [own], at('x', lane)), barrier, put('y', [own], at('shared', left))],
      [shared],
    );
    expect(only(planted)).toMatchObject({
      kind: 'race',
      buffer: 'shared',
      workgroup: 1,
      lanes: [0],
      other: { workgroup: 0, lane: 7, statement: 'shared[((group * 8) + @lane)] = x[@lane]' },
    });
  });

  const mirrored = k.sub(n(THREADS - 1), lane);
  const swap = (...between: readonly Stmt[]): Kernel =>
    kernel([put('tile', [lane], at('x', lane)), ...between, put('y', [own], at('tile', mirrored))], [tile()]);

  it('a missing barrier', () => {
    // Lanes of one stretch go one by one, so some reads come before the write that they race with.
    const kinds = findingsOf(swap()).map((f) => [f.kind, f.buffer, f.workgroup]);
    expect(kinds).toContainEqual(['race', 'tile', 0]);
    expect(findingsOf(swap(barrier))).toEqual([]);
  });

  it('a barrier of a subgroup where the workgroup meets', () => {
    expect(only(swap(subgroupBarrier))).toMatchObject({ kind: 'race', lanes: [0], other: { lane: 7 } });
    const within = k.op('bit_xor', lane, n(3));
    const planted = kernel(
      [put('tile', [lane], at('x', lane)), subgroupBarrier, put('y', [own], at('tile', within))],
      [tile()],
    );
    expect(findingsOf(planted)).toEqual([]);
  });

  it('a write of what another lane has read', () => {
    const planted = kernel(
      [
        put('tile', [lane], at('x', lane)),
        barrier,
        define('seen', at('tile', mirrored)),
        subgroupBarrier,
        put('tile', [lane], h.f('seen')),
        put('y', [own], h.f('seen')),
      ],
      [tile()],
    );
    expect(only(planted)).toMatchObject({
      kind: 'race',
      buffer: 'tile',
      lanes: [0],
      other: { lane: 7, statement: 'let seen = tile[(7 - @lane)]' },
    });
  });

  it('a reader that is neither the first nor the last', () => {
    const planted = kernel(
      [
        put('tile', [lane], at('x', lane)),
        barrier,
        put('y', [own], at('tile', n(3))),
        when(k.op('eq', lane, n(3)), put('tile', [n(3)], k.f32(7))),
      ],
      [tile()],
    );
    const found = findingsOf(planted);
    expect(found.map((f) => f.kind)).toContain('race');
  });

  it('scratch memory', () => {
    const memory = h.buffer('tile', [THREADS], 'scratch', 'read_write', { storage: 'i32' });
    const planted = kernel(
      [put('tile', [lane], lane), subgroupBarrier, put('y', [own], k.op('to_f32', h.integerAt('tile', mirrored)))],
      [memory],
    );
    expect(only(planted)).toMatchObject({ kind: 'race', buffer: 'tile', lanes: [0], other: { lane: 7 } });
  });

  it('none between lanes that store the same value, unless asked', () => {
    const planted = kernel([put('y', [name('group')], at('x', n(2)))]);
    expect(findingsOf(planted)).toEqual([]);
    expect(only(planted, { strict: true })).toMatchObject({ kind: 'race', lanes: [1], other: { lane: 0 } });
  });

  it('another value than lanes have stored side by side, though the last of them stores it', () => {
    const twice = (buffer: string, index: Expr): readonly Stmt[] => [
      put(buffer, [index], k.f32(5)),
      when(k.op('eq', lane, n(THREADS - 1)), put(buffer, [index], k.f32(6))),
    ];
    expect(only(kernel(twice('y', name('group'))))).toMatchObject({ kind: 'race', buffer: 'y', lanes: [THREADS - 1] });
    const ended = [...twice('tile', n(0)), barrier, put('y', [own], at('tile', n(0)))];
    expect(only(kernel(ended, [tile()]))).toMatchObject({ kind: 'race', buffer: 'tile', lanes: [THREADS - 1] });
    const apart = [put('tile', [n(0)], k.f32(5)), barrier, ...twice('tile', n(0)).slice(1), barrier];
    expect(findingsOf(kernel([...apart, put('y', [own], at('tile', n(0)))], [tile()]))).toEqual([]);
  });

  it('none between lanes whose values are the same once they are stored', () => {
    for (const storage of ['f16', 'i8'] as const) {
      const memory = h.buffer('tile', [THREADS], 'workgroup', 'read_write', { storage });
      const value = storage === 'f16' ? k.f32(0.1) : n(300);
      const seen = storage === 'f16' ? at('tile', n(0)) : k.op('to_f32', h.integerAt('tile', n(0)));
      expect(findingsOf(kernel([put('tile', [n(0)], value), barrier, put('y', [own], seen)], [memory]))).toEqual([]);
    }
  });

  it('grid steps, which any number of threads may split', () => {
    const planted: Kernel = {
      name: 'k0',
      label: 'planted',
      buffers: [x, h.buffer('y', [THREADS], 'global', 'write')],
      dims: [],
      faults: [],
      body: [h.grid('step', n(THREADS), [put('y', [h.div(name('step'), 2)], at('x', name('step')))])],
    };
    expect(only(planted)).toMatchObject({ kind: 'race', workgroup: 1, other: { workgroup: 0 }, place: null });
  });

  it('a dense layer without its barriers', () => {
    const dense = denseOnLanes(12, 40);
    const strip = (body: readonly Stmt[]): readonly Stmt[] =>
      body.filter((s) => s.kind !== 'barrier').map((s) => (s.kind === 'for' ? { ...s, body: strip(s.body) } : s));
    const tensors = { x: floats(12 * 20), w: floats(12 * 40), b: floats(40) };
    const given = { dims: { T: 20 }, tensors };
    expect(findingsOf(dense, given)).toEqual([]);
    const kinds = findingsOf({ ...dense, body: strip(dense.body) }, given).map((f) => `${f.kind} ${f.buffer}`);
    expect(kinds).toEqual(expect.arrayContaining(['race x_tile', 'race w_tile']));
  });
});

describe('what lanes do together', () => {
  const few = k.op('lt', lane, n(3));

  it('a barrier in a branch that some lanes take', () => {
    const planted = kernel([when(few, barrier), put('y', [own], at('x', lane))]);
    expect(() => verify(planted, 'test')).toThrow(/part ways/);
    expect(only(planted)).toMatchObject({
      kind: 'divergent-barrier',
      lanes: [0, 1, 2],
      message: 'barrier reached by lanes 0 … 2 of 8 lanes, not by lanes 3 … 7',
      statement: 'barrier workgroup',
      path: ['for workgroup group in 0 .. 3', 'if (@lane < 3)'],
      times: GROUPS,
    });
  });

  it('a barrier in a loop that lanes leave at different times', () => {
    const planted = kernel([h.serial('i', k.add(lane, n(1)), [barrier]), put('y', [own], at('x', lane))]);
    expect(only(planted)).toMatchObject({ kind: 'divergent-barrier', times: 7 * GROUPS });
  });

  it('a barrier of a subgroup that a part of it reaches; not one that whole subgroups leave out', () => {
    expect(only(kernel([when(few, subgroupBarrier), put('y', [own], at('x', lane))]))).toMatchObject({
      kind: 'divergent-barrier',
      message: 'barrier reached by lanes 0 … 2 of 4 lanes, not by lane 3',
    });
    const half = k.op('eq', h.subgroup, n(1));
    expect(findingsOf(kernel([when(half, subgroupBarrier), put('y', [own], at('x', lane))]))).toEqual([]);
  });

  it.each([
    ['fold', h.foldLanes('add', at('x', lane))],
    ['shuffle', h.fromLane(at('x', lane), n(0))],
  ])('a %s in a branch that some lanes take', (what, value) => {
    const planted = kernel([put('y', [own], at('x', lane)), when(few, put('y', [own], value))]);
    expect(() => verify(planted, 'test')).toThrow(/part ways/);
    expect(only(planted)).toMatchObject({
      kind: 'divergent-subgroup',
      lanes: [0, 1, 2],
      message: `${what} reached by lanes 0 … 2 of 4 lanes, not by lane 3`,
    });
  });

  it('a shuffle from a lane that the subgroup does not have', () => {
    const shuffle = (mode: 'index' | 'xor', from: Expr): Expr => ({
      kind: 'shuffle',
      mode,
      value: at('x', lane),
      lane: from,
      type: h.float,
    });
    const found = only(kernel([put('y', [own], shuffle('index', lane))]));
    expect(found).toMatchObject({ kind: 'shuffle-out-of-range', lanes: [4], times: 4 * GROUPS });
    expect(only(kernel([put('y', [own], shuffle('xor', n(4)))]))).toMatchObject({ lanes: [0], times: 8 * GROUPS });
    expect(findingsOf(kernel([put('y', [own], shuffle('xor', n(3)))]))).toEqual([]);
  });

  it('a fragment whose lanes want different places', () => {
    const planted = kernel(
      [
        { kind: 'fragment', move: 'load', fragment: 'a', buffer: 'square', indices: [n(0), k.op('mod', lane, n(2))] },
        put('y', [own], at('x', lane)),
      ],
      [h.buffer('square', [4, 4]), h.buffer('a', [2, 2], 'subgroup')],
    );
    const tensors = { x: floats(8), square: floats(16) };
    expect(only(planted, { tensors })).toMatchObject({ kind: 'divergent-subgroup', lanes: [1], times: 2 * GROUPS });
  });
});

describe('the rest', () => {
  it('an integer division by zero', () => {
    const quotient = k.op('floordiv', n(100), k.sub(lane, n(6)));
    const planted = kernel([put('y', [own], k.op('to_f32', quotient))]);
    expect(only(planted)).toMatchObject({ kind: 'division-by-zero', lanes: [6], times: GROUPS });
  });

  it('counts what it does not keep', () => {
    const planted = kernel([1, 2, 3, 4].map((i) => put('y', [own], at('x', k.add(lane, n(i))))));
    const { findings, total } = simulate(planted, { tensors: { x: floats(8) }, limit: 2 });
    expect(findings).toHaveLength(2);
    // A lane does all four before the next begins: the fifth lane is the first outside, by the last statement.
    expect(findings.map((f) => f.lanes)).toEqual([[4], [5]]);
    expect(total).toBe((1 + 2 + 3 + 4) * GROUPS);
  });

  it('says all of it to people', () => {
    const planted = kernel([when(k.op('lt', lane, n(9)), put('y', [own], at('x', k.add(lane, n(1)))))]);
    expect(formatFinding(only(planted))).toMatchInlineSnapshot(`
      "out-of-bounds: x[8] lies outside [8]
        in kernel k0, workgroup 0, lane 7: planted
        from planted.layer:3:1
        at y[((group * 8) + @lane)] = x[(@lane + 1)]
        in for workgroup group in 0 .. 3 > if (@lane < 9)
        3 times"
    `);
  });

  it('a spilled array is each lane’s own, in scratch memory', () => {
    const memory = h.buffer('tile', ['T'], 'private');
    const planted: Kernel = {
      ...kernel(
        [h.serial('i', h.T, [put('tile', [name('i')], at('x', lane))]), put('y', [own], at('tile', n(1)))],
        [memory],
      ),
      dims: ['T'],
    };
    const tensors = { x: floats(THREADS) };
    const expected = simulate(planted, { dims: { T: 3 }, tensors });
    const spilled = spill(flatten(planted), 0);
    expect(spilled.buffers.map((b) => b.space)).toContain('scratch');
    expect(expected.findings).toEqual([]);
    expect(simulate(spilled, { dims: { T: 3 }, tensors, flattened: true })).toEqual(expected);
  });

  it('f16 and i8 elements, as numbers and as bits', () => {
    const half = h.buffer('half', [THREADS], 'global', 'read', { storage: 'f16' });
    const small = h.buffer('small', [THREADS], 'global', 'read', { storage: 'i8' });
    const values = k.add(
      at('half', lane),
      k.op('to_f32', k.add(h.integerAt('half', n(0)), h.integerAt('small', lane))),
    );
    const given = Float16Array.from({ length: THREADS }, (_, i) => i / 4);
    const tensors = {
      x: floats(8),
      half: new Uint16Array(given.buffer),
      small: Int8Array.from({ length: THREADS }, (_, i) => -i),
    };
    const { outputs, findings } = simulate(kernel([put('y', [own], values)], [half, small]), { tensors });
    expect(findings).toEqual([]);
    expect(outputs['y']?.slice(0, THREADS)).toEqual([...given].map((v, i) => v - i));
  });

  it('refuses dims without a value', () => {
    const planted = { ...kernel([put('y', [own], k.op('to_f32', h.T))]), dims: ['T'] };
    expect(() => simulate(planted, { tensors: {} })).toThrow(/needs a value for dim T/);
  });
});
