/** The verifier: one ill-formed kernel a rule, each made by changing a kernel that passes. */
import { rowMajor } from '@espalier/artefact';
import { Sizes } from '@espalier/ir';
import { describe, expect, it } from 'vitest';
import * as k from '../src/kernel-ir/build.ts';
import type { Binding, Expr, Kernel, KernelBuffer, Stmt, ValueType } from '../src/kernel-ir/types.ts';
import { VerifyError, verify } from '../src/kernel-ir/verify.ts';

const buffer = (name: string, shape: readonly (number | string)[], more: Partial<KernelBuffer> = {}): KernelBuffer => ({
  name,
  space: 'global',
  access: 'read',
  storage: 'f32',
  shape: shape.map((s) => (typeof s === 'number' ? Sizes.constant(s) : Sizes.dim(s))),
  layout: rowMajor(shape.length),
  ...more,
});
const buffers = [
  buffer('x', ['T', 8]),
  buffer('y', ['T', 8], { access: 'write' }),
  buffer('ids', ['T'], { storage: 'i32' }),
  buffer('w', [8], { storage: 'i8' }),
  buffer('h', [8], { storage: 'f16' }),
  buffer('p', [8], { space: 'private', access: 'read_write' }),
];
const float = k.scalar('f32');
const int = k.scalar('i32');
const t = k.index('t');
const x = k.load('x', [t, k.i32(0)], float);
const put = (value: Expr): Stmt => k.store('y', [t, k.i32(0)], value);

const kernel = (body: readonly Stmt[], more: Partial<Kernel> = {}): Kernel => ({
  name: 'k0',
  label: 'test',
  buffers,
  dims: ['T'],
  body: [k.loop('t', k.i32(0), k.dim('T'), body, { binding: 'grid' })],
  faults: [{ message: 'm', place: 'p' }],
  ...more,
});
/** The problem that verify finds. */
function problem(k0: Kernel): string {
  try {
    verify(k0, 'pass');
  } catch (error) {
    if (error instanceof VerifyError) return error.message.replace('after pass, kernel k0: ', '');
    throw error;
  }
  return 'none';
}
const odd = (op: Extract<Expr, { kind: 'op' }>['op'], type: ValueType, ...args: Expr[]): Expr => ({
  kind: 'op',
  op,
  args,
  type,
});
const wide = k.splat(x, 4);

describe('a thread that runs alone', () => {
  const rules: readonly (readonly [string, readonly Stmt[], string])[] = [
    ['nothing wrong', [put(x)], 'none'],
    ['defined twice', [k.letStmt('a', x), k.letStmt('a', x)], 'a is defined twice'],
    [
      'shadowed in a branch',
      [k.letStmt('a', x), { kind: 'if', condition: k.bool(true), then: [k.letStmt('a', x)], otherwise: [] }],
      'a is defined twice',
    ],
    ['undefined', [put(k.ref('a', float))], 'a is used before it is defined'],
    [
      'used outside its block',
      [{ kind: 'if', condition: k.bool(true), then: [k.letStmt('a', x)], otherwise: [] }, put(k.ref('a', float))],
      'a is used before it is defined',
    ],
    [
      'of another type than its let',
      [k.letStmt('a', x), put(k.add(k.f32(1), k.op('to_f32', k.ref('a', int))))],
      'a is f32, used as i32',
    ],
    ['assigned, undefined', [k.assign('a', x)], 'a is assigned before it is defined'],
    ['assigned another type', [k.varStmt('a', x), k.assign('a', k.i32(1))], 'a: f32 is given 1'],
    [
      'a var that starts as another type',
      [{ kind: 'var', name: 'a', type: int, init: x }],
      'var a: i32 starts as x[t, 0]',
    ],
    ['a step of 0', [k.loop('i', k.i32(0), k.i32(8), [], { step: 0 })], 'loop i has step 0'],
    ['bounds that are no integers', [k.loop('i', k.i32(0), x, [])], 'x[t, 0] is f32 where i32 is needed'],
    [
      'a condition that is no bool',
      [{ kind: 'if', condition: k.i32(1), then: [], otherwise: [] }],
      '1 is i32 where bool is needed',
    ],
    [
      'a vector condition',
      [{ kind: 'check', condition: k.splat(k.bool(true), 4), fault: 1 }],
      'splat4(true) is boolx4 where bool is needed',
    ],
    ['a check without a fault', [{ kind: 'check', condition: k.bool(true), fault: 0 }], 'check has fault number 0'],
    ['no such buffer', [put(k.load('z', [t], float))], 'there is no buffer z'],
    ['too few indices', [k.store('y', [], x)], 'y has 2 axes, indexed by 0'],
    ['too many indices', [put(k.load('x', [t, t, t], float))], 'x has 2 axes, indexed by 3'],
    ['a float as index', [put(k.load('x', [t, x], float))], 'x[t, 0] is f32 where i32 is needed'],
    ['writing what is read', [k.store('x', [t, t], x)], 'x is read-only'],
    ['reading what is written', [put(k.load('y', [t, t], float))], 'y is write-only'],
    ['storing another type', [put(k.i32(1))], 'y takes f32, given 1'],
    ['loading another type', [put(k.op('to_f32', k.load('x', [t, t], int)))], 'x holds f32, read as i32'],
    ['loading integers as floats', [put(k.load('w', [t], float))], 'w holds i8, read as f32'],
    ['loading f16 as its bits', [k.letStmt('bits', k.load('h', [t], int))], 'none'],
    ['no such dim', [k.loop('i', k.i32(0), k.dim('S'), [])], 'S is no dim of the kernel'],
    ['an ill-typed operation', [put(odd('add', float, x, t))], '(x[t, 0] + t) is ill-typed'],
    ['an operand too few', [put(odd('add', float, x))], 'add(x[t, 0]) is ill-typed'],
    ['operands of unequal lanes', [put(odd('add', float, x, wide))], '(x[t, 0] + splat4(x[t, 0])) is ill-typed'],
    ['a wrong result type', [put(odd('lt', float, x, x))], '(x[t, 0] < x[t, 0]) is bool, not f32'],
    ['a mask of numbers', [put(odd('select', float, t, x, x))], 'select(t, x[t, 0], x[t, 0]) is ill-typed'],
    ['an integer with a fraction', [k.letStmt('a', k.i32(1.5))], '1.5 is no i32'],
    [
      'a splat of a vector',
      [put({ kind: 'splat', value: wide, type: k.vector('f32', 4) })],
      'splat4(splat4(x[t, 0])) splats a vector',
    ],
    ['lanes of unequal types', [put(k.fold('add', k.lanesOf([x, t])))], '<x[t, 0], t> is ill-typed'],
    ['a lane that is not there', [put(k.extract(k.lanesOf([x, x]), 2))], '<x[t, 0], x[t, 0]>.2 takes lane 2 of 2'],
    [
      'a fold of masks',
      [k.letStmt('a', k.fold('add', k.splat(k.bool(true), 4)))],
      'fold_add(splat4(true)) is ill-typed',
    ],
    ['a grid in a loop', [k.loop('u', k.i32(0), k.i32(1), [], { binding: 'grid' })], 'grid loop u is not outermost'],
    ['a barrier', [{ kind: 'barrier', scope: 'workgroup' }], 'barrier in a kernel whose threads run alone'],
    [
      'a lane loop',
      [k.loop('u', k.i32(0), k.i32(32), [], { binding: 'lane' })],
      'lane loop u in a kernel whose threads run alone',
    ],
    [
      'a lane number',
      [k.letStmt('a', { kind: 'builtin', which: 'lane', type: int })],
      '@lane in a kernel whose threads run alone',
    ],
    [
      'a fold over lanes',
      [put({ kind: 'subgroup_fold', op: 'add', value: x, type: float })],
      'subgroup_add(x[t, 0]) in a kernel whose threads run alone',
    ],
    [
      'a shuffle',
      [put({ kind: 'shuffle', mode: 'xor', value: x, lane: k.i32(1), type: float })],
      'shuffle_xor(x[t, 0], 1) in a kernel whose threads run alone',
    ],
  ];
  it.each(rules)('%s', (_, body, expected) => {
    expect(problem(kernel(body))).toBe(expected);
  });

  it('two buffers of one name', () => {
    expect(problem(kernel([], { buffers: [...buffers, buffer('x', [1])] }))).toBe('two buffers have one name');
  });

  it('workgroup memory', () => {
    expect(problem(kernel([], { buffers: [buffer('s', [8], { space: 'workgroup' })] }))).toBe(
      'workgroup memory s in a kernel whose threads run alone',
    );
  });

  it('names the stage and the kernel', () => {
    expect(() => verify(kernel([put(k.i32(1))]), 'hoist')).toThrow('after hoist, kernel k0: y takes f32, given 1');
  });
});

describe('lanes together', () => {
  const shared = buffer('s', [64], { space: 'workgroup', access: 'read_write' });
  const fragments = ['a', 'b', 'c'].map((name) => buffer(name, [16, 16], { space: 'subgroup', access: 'read_write' }));
  const group = (body: readonly Stmt[]): Kernel =>
    kernel([], {
      buffers: [...buffers, shared, ...fragments],
      workgroup: { subgroups: 4, lanes: 32 },
      body: [k.loop('t', k.i32(0), k.dim('T'), body, { binding: 'workgroup' })],
    });
  const lane: Expr = { kind: 'builtin', which: 'subgroup_lane', type: int };
  const subgroup: Expr = { kind: 'builtin', which: 'subgroup', type: int };
  const barrier: Stmt = { kind: 'barrier', scope: 'workgroup' };
  const subgroupBarrier: Stmt = { kind: 'barrier', scope: 'subgroup' };
  const fold = (value: Expr): Expr => ({ kind: 'subgroup_fold', op: 'add', value, type: value.type });
  const shuffle = (value: Expr, from: Expr): Expr => ({
    kind: 'shuffle',
    mode: 'index',
    value,
    lane: from,
    type: value.type,
  });
  const when = (condition: Expr, ...then: readonly Stmt[]): Stmt => ({ kind: 'if', condition, then, otherwise: [] });
  const deal = (binding: Binding, count: number, body: readonly Stmt[], name = 'u'): Stmt =>
    k.loop(name, k.i32(0), k.i32(count), body, { binding });
  const mma: Extract<Stmt, { kind: 'mma' }> = {
    kind: 'mma',
    accumulator: 'c',
    a: 'a',
    b: 'b',
    rows: 16,
    columns: 16,
    depth: 16,
    precision: 'tf32',
  };
  const isZero = (e: Expr): Expr => k.op('eq', e, k.i32(0));
  const value = k.op('to_f32', lane);

  const rules: readonly (readonly [string, readonly Stmt[], string])[] = [
    ['a barrier all lanes reach', [when(isZero(t), barrier)], 'none'],
    [
      'a barrier one lane reaches',
      [when(isZero(lane), barrier)],
      'barrier workgroup where lanes of a workgroup part ways',
    ],
    [
      'a barrier one subgroup reaches',
      [when(isZero(subgroup), barrier)],
      'barrier workgroup where subgroups of a workgroup part ways',
    ],
    ['a subgroup’s own barrier', [when(isZero(subgroup), subgroupBarrier)], 'none'],
    [
      'by way of a let',
      [k.letStmt('n', k.add(lane, t)), when(isZero(k.index('n')), barrier)],
      'barrier workgroup where lanes of a workgroup part ways',
    ],
    [
      'by way of a loop’s next round',
      [
        k.varStmt('n', k.i32(0)),
        k.loop('r', k.i32(0), k.i32(4), [when(isZero(k.index('n')), barrier), k.assign('n', lane)]),
      ],
      'barrier workgroup where lanes of a workgroup part ways',
    ],
    [
      'by way of an assignment in a branch',
      [k.varStmt('n', k.i32(0)), when(isZero(lane), k.assign('n', k.i32(1))), when(isZero(k.index('n')), barrier)],
      'barrier workgroup where lanes of a workgroup part ways',
    ],
    [
      'by way of memory',
      [when(isZero(k.load('ids', [lane], int)), barrier)],
      'barrier workgroup where lanes of a workgroup part ways',
    ],
    ['memory at one place', [when(isZero(k.load('ids', [t], int)), barrier)], 'none'],
    [
      'private memory',
      [when(k.op('lt', k.load('p', [k.i32(0)], float), k.f32(0)), barrier)],
      'barrier workgroup where lanes of a workgroup part ways',
    ],
    [
      'a loop of unequal length',
      [k.loop('r', k.i32(0), lane, [barrier])],
      'barrier workgroup where lanes of a workgroup part ways',
    ],
    ['lanes dealt out evenly', [deal('lane', 64, [subgroupBarrier])], 'none'],
    [
      'lanes dealt out unevenly',
      [deal('lane', 33, [subgroupBarrier])],
      'barrier subgroup where lanes of a workgroup part ways',
    ],
    [
      'subgroups dealt out unevenly',
      [deal('subgroup', 5, [barrier])],
      'barrier workgroup where subgroups of a workgroup part ways',
    ],
    [
      'a fold in a branch',
      [when(isZero(lane), k.letStmt('a1', fold(value)))],
      'subgroup_fold where lanes of a workgroup part ways',
    ],
    [
      'a fold’s result agrees',
      [k.letStmt('a1', fold(value)), when(k.op('lt', k.ref('a1', float), k.f32(0)), subgroupBarrier)],
      'none',
    ],
    [
      'a fold’s result, between subgroups',
      [k.letStmt('a1', fold(value)), when(k.op('lt', k.ref('a1', float), k.f32(0)), barrier)],
      'barrier workgroup where subgroups of a workgroup part ways',
    ],
    [
      'a shuffle in a branch',
      [when(isZero(lane), k.letStmt('a1', shuffle(value, k.i32(0))))],
      'shuffle where lanes of a workgroup part ways',
    ],
    [
      'one lane’s value for all',
      [k.letStmt('a1', shuffle(value, k.i32(0))), when(k.op('lt', k.ref('a1', float), k.f32(0)), subgroupBarrier)],
      'none',
    ],
    [
      'each lane another’s value',
      [k.letStmt('a1', shuffle(value, lane)), when(k.op('lt', k.ref('a1', float), k.f32(0)), subgroupBarrier)],
      'barrier subgroup where lanes of a workgroup part ways',
    ],
    [
      'a shuffle from a float',
      [k.letStmt('a1', shuffle(value, k.f32(0)))],
      'shuffle_index(to_f32(@subgroup_lane), 0.0) is ill-typed',
    ],
    ['a product in a branch', [when(isZero(lane), mma)], 'mma where lanes of a workgroup part ways'],
    ['a product', [mma], 'none'],
    ['a product of other sizes', [{ ...mma, depth: 8 }], 'fragment a is 16 x 16 where 16 x 8 is needed'],
    ['a product of memory', [{ ...mma, a: 's' }], 's is not a fragment'],
    [
      'a fragment in a branch',
      [when(isZero(lane), { kind: 'fragment', move: 'zero', fragment: 'c', buffer: null, indices: [] })],
      'fragment where lanes of a workgroup part ways',
    ],
    [
      'a fragment of nothing',
      [{ kind: 'fragment', move: 'load', fragment: 'c', buffer: null, indices: [] }],
      'fragment load with no buffer',
    ],
    [
      'a fragment of private memory',
      [{ kind: 'fragment', move: 'load', fragment: 'c', buffer: 'p', indices: [t] }],
      'p is private: the lanes of a subgroup do not share it',
    ],
    [
      'a fragment stored to what is read',
      [{ kind: 'fragment', move: 'store', fragment: 'c', buffer: 'x', indices: [t, t] }],
      'x is read-only',
    ],
    ['an element of a fragment', [k.letStmt('a1', k.load('c', [t, t], float))], 'c is a fragment and has no addresses'],
    ['a workgroup loop in a loop', [deal('workgroup', 4, [])], 'workgroup loop u is not outermost'],
    ['lanes within lanes', [deal('lane', 32, [deal('lane', 32, [], 'v')])], 'lane loop v lies in a lane loop'],
    [
      'subgroups within lanes',
      [deal('lane', 32, [deal('subgroup', 4, [], 'v')])],
      'subgroup loop v lies in a lane loop',
    ],
    ['lanes within subgroups', [deal('subgroup', 4, [deal('lane', 32, [], 'v')])], 'none'],
  ];
  it.each(rules)('%s', (_, body, expected) => {
    expect(problem(group(body))).toBe(expected);
  });

  it('workgroup memory of a runtime size', () => {
    const k0 = group([]);
    expect(problem({ ...k0, buffers: [buffer('s', ['T'], { space: 'workgroup' })] })).toBe(
      's is workgroup memory of a size that is not constant',
    );
  });
});
