/** Shorthand for kernels that are written by hand in tests. */
import { type Layout, rowMajor } from '@espalier/artefact';
import { type Size, Sizes } from '@espalier/ir';
import * as k from '../../src/kernel-ir/build.ts';
import type { Expr, FoldOp, KernelBuffer, Stmt } from '../../src/kernel-ir/types.ts';

export const float = k.scalar('f32');
export const n = k.i32;
export const name = k.index;
export const f = (variable: string): Expr => k.ref(variable, float);
export const T = k.dim('T');
export const lane: Expr = { kind: 'builtin', which: 'lane', type: k.scalar('i32') };
export const subgroup: Expr = { kind: 'builtin', which: 'subgroup', type: k.scalar('i32') };
export const subgroupLane: Expr = { kind: 'builtin', which: 'subgroup_lane', type: k.scalar('i32') };

/** a + b + …, a · b · …, and the other operations on integers and floats. */
export const plus = (...terms: readonly Expr[]): Expr => terms.reduce(k.add);
export const times = (...factors: readonly Expr[]): Expr => factors.reduce(k.mul);
export const div = (a: Expr, b: number): Expr => k.op('floordiv', a, n(b));
export const mod = (a: Expr, b: number): Expr => k.op('mod', a, n(b));
export const ceildiv = (a: Expr, b: number): Expr => div(k.add(a, n(b - 1)), b);
export const less = (a: Expr, b: Expr): Expr => k.op('lt', a, b);
export const exp = (a: Expr): Expr => k.op('exp', a);

export const at = (buffer: string, ...indices: readonly Expr[]): Expr => k.load(buffer, indices, float);
export const wideAt = (buffer: string, ...indices: readonly Expr[]): Expr =>
  k.load(buffer, indices, k.vector('f32', 4));
export const integerAt = (buffer: string, ...indices: readonly Expr[]): Expr =>
  k.load(buffer, indices, k.scalar('i32'));
export const put = (buffer: string, indices: readonly Expr[], value: Expr): Stmt => k.store(buffer, indices, value);
export const increase = (buffer: string, indices: readonly Expr[], by: Expr): Stmt =>
  put(buffer, indices, k.add(at(buffer, ...indices), by));
export const define = k.letStmt;
export const variable = k.varStmt;
export const set = k.assign;
export const serial = (index: string, to: Expr, body: readonly Stmt[], step = 1): Stmt =>
  k.loop(index, n(0), to, body, { step });
export const lanes = (index: string, to: Expr, body: readonly Stmt[]): Stmt =>
  k.loop(index, n(0), to, body, { binding: 'lane' });
export const workgroups = (index: string, to: Expr, body: readonly Stmt[]): Stmt =>
  k.loop(index, n(0), to, body, { binding: 'workgroup' });
export const grid = (index: string, to: Expr, body: readonly Stmt[]): Stmt =>
  k.loop(index, n(0), to, body, { binding: 'grid' });
export const when = (condition: Expr, ...then: readonly Stmt[]): Stmt => ({
  kind: 'if',
  condition,
  then,
  otherwise: [],
});
export const barrier: Stmt = { kind: 'barrier', scope: 'workgroup' };
export const comment = (text: string): Stmt => ({ kind: 'comment', text });
export const foldLanes = (op: FoldOp, value: Expr): Expr => ({ kind: 'subgroup_fold', op, value, type: value.type });
export const fromLane = (value: Expr, from: Expr): Expr => ({
  kind: 'shuffle',
  mode: 'index',
  value,
  lane: from,
  type: value.type,
});

/** GELU as the layers define it: s/2 · (1 + erf(s/√2)). */
export const gelu = (s: Expr): Expr => times(k.f32(0.5), s, plus(k.f32(1), k.op('erf', k.mul(s, k.f32(Math.SQRT1_2)))));

const sizeOf = (s: number | string): Size => (typeof s === 'number' ? Sizes.constant(s) : Sizes.dim(s));
export const buffer = (
  buffered: string,
  shape: readonly (number | string)[],
  space: KernelBuffer['space'] = 'global',
  access: KernelBuffer['access'] = space === 'global' ? 'read' : 'read_write',
  more: { readonly layout?: Layout; readonly storage?: KernelBuffer['storage'] } = {},
): KernelBuffer => ({
  name: buffered,
  space,
  access,
  storage: 'f32',
  shape: shape.map(sizeOf),
  layout: rowMajor(shape.length),
  ...more,
});
