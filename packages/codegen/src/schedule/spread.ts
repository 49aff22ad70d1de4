/**
 * The step `spread`: each thread of a lane machine takes one grid step, alone. Grid steps are independent, so it fits every
 * kernel: the floor under the cooperative schedules, and the best there is for maps.
 */
import * as k from '../kernel-ir/build.ts';
import type { Expr, Kernel, Stmt } from '../kernel-ir/types.ts';
import { Names } from '../kernel-ir/walk.ts';

type For = Extract<Stmt, { kind: 'for' }>;

/** The outermost loop of a freshly lowered kernel, and where it stands. Null when a step has bound it already. */
export function gridLoop(kernel: Kernel): { readonly loop: For; readonly at: number } | null {
  const at = kernel.body.findIndex((s) => s.kind === 'for' && s.binding === 'grid');
  const loop = kernel.body[at];
  return loop?.kind === 'for' ? { loop, at } : null;
}

/** Replaces the grid loop. */
export const withGrid = (kernel: Kernel, at: number, statements: readonly Stmt[]): readonly Stmt[] => [
  ...kernel.body.slice(0, at),
  ...statements,
  ...kernel.body.slice(at + 1),
];

/** ⌈value / by⌉ in the form that manifests can write. */
export const ceilDivide = (value: Expr, by: number): Expr =>
  by === 1 ? value : k.op('floordiv', k.add(value, k.i32(by - 1)), k.i32(by));

export interface Spread {
  readonly subgroups: number;
  readonly lanes: number;
  /** Most workgroups; with more grid steps than threads each thread takes several, one after another. Bounds scratch memory. */
  readonly workgroups?: number;
}

/** The kernel with its grid dealt out to threads, or why not. */
export function spreadGrid(kernel: Kernel, { subgroups, lanes, workgroups }: Spread): Kernel | string {
  const found = gridLoop(kernel);
  if (found === null || kernel.workgroup !== undefined) return 'the kernel has no grid left to deal out';
  const { loop, at } = found;
  const names = new Names(kernel);
  const threads = subgroups * lanes;
  const group = names.fresh('group');
  const lane: Expr = { kind: 'builtin', which: 'lane', type: k.scalar('i32') };
  const guarded = (first: Expr): readonly Stmt[] => [
    k.letStmt(loop.index, k.add(k.mul(first, k.i32(threads)), lane)),
    { kind: 'if', condition: k.op('lt', k.index(loop.index), loop.to), then: loop.body, otherwise: [] },
  ];
  const needed = ceilDivide(loop.to, threads);
  const bind = (to: Expr, body: readonly Stmt[]): Kernel => ({
    ...kernel,
    body: withGrid(kernel, at, [k.loop(group, k.i32(0), to, body, { binding: 'workgroup', label: 'group' })]),
    workgroup: { subgroups, lanes },
  });
  if (workgroups === undefined) return bind(needed, guarded(k.index(group)));
  const round = names.fresh('round');
  const first = k.add(k.mul(k.index(round), k.i32(workgroups)), k.index(group));
  const rounds = ceilDivide(needed, workgroups);
  return bind(k.min(needed, k.i32(workgroups)), [k.loop(round, k.i32(0), rounds, guarded(first), { label: 'round' })]);
}
