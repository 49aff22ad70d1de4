/**
 * Loops that are dealt out to lanes and come out even, as loops over rounds: every lane then runs the same known number of them, which
 * the compiler can write out, and an array that is split among the lanes is indexed by the round alone, as registers must be.
 */
import * as k from '../../kernel-ir/build.ts';
import type { Expr, Kernel } from '../../kernel-ir/types.ts';
import { mapExpressions, mapStatements, Names } from '../../kernel-ir/walk.ts';

export function countRounds(kernel: Kernel): Kernel {
  const { workgroup } = kernel;
  if (workgroup === undefined) return kernel;
  const names = new Names(kernel);
  const body = mapStatements(kernel.body, (s) => {
    if (s.kind !== 'for' || (s.binding !== 'lane' && s.binding !== 'subgroup')) return s;
    if (s.from.kind !== 'literal' || s.from.value !== 0 || s.to.kind !== 'literal') return s;
    const dealt = s.binding === 'lane' ? workgroup.lanes : workgroup.subgroups;
    const span = dealt * s.step;
    if (s.to.value === 0 || s.to.value % span !== 0) return s;
    const which = s.binding === 'lane' ? 'subgroup_lane' : 'subgroup';
    const own: Expr = k.mul({ kind: 'builtin', which, type: k.scalar('i32') }, k.i32(s.step));
    const rounds = s.to.value / span;
    const round = names.fresh('round');
    const at: Expr = rounds === 1 ? k.i32(0) : k.index(round);
    const inner = mapExpressions(s.body, (e) => (isRoundOf(e, s.index, span) ? at : e));
    const first = k.letStmt(s.index, k.add(k.mul(at, k.i32(span)), own));
    if (rounds === 1) return [first, ...inner];
    return k.loop(round, k.i32(0), k.i32(rounds), [first, ...inner], { label: s.label });
  });
  return { ...kernel, body };
}

/** ⌊index / span⌋: which round an iteration is in. */
const isRoundOf = (e: Expr, index: string, span: number): boolean => {
  if (e.kind !== 'op' || e.op !== 'floordiv') return false;
  const [of, by] = e.args;
  return of?.kind === 'ref' && of.name === index && by?.kind === 'literal' && by.value === span;
};
