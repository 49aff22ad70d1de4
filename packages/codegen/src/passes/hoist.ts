/**
 * The pass `hoist`: what a loop computes alike in every iteration is computed before it. Loads move only out of loops
 * that surely run and don't write their buffer; so do lets and checks, which then run once instead of every time.
 */
import { exprKey } from '../kernel-ir/affine.ts';
import * as k from '../kernel-ir/build.ts';
import type { Expr, Kernel, Stmt } from '../kernel-ir/types.ts';
import {
  children,
  flatMapBlock,
  mapBlocks,
  mapChildren,
  mapOwnExpressions,
  Names,
  namesDefined,
  visitStatements,
} from '../kernel-ir/walk.ts';

type For = Extract<Stmt, { kind: 'for' }>;

/** Hoists values. Index arithmetic stays where it is, because addresses have yet to be put together from it. */
export const hoistValues = (kernel: Kernel): Kernel =>
  hoistIn(kernel, (e) => e.kind === 'op' && e.type.scalar === 'i32');

/** Hoists everything. */
export const hoist = (kernel: Kernel): Kernel => hoistIn(kernel, () => false);

function hoistIn(kernel: Kernel, skip: (e: Expr) => boolean): Kernel {
  const names = new Names(kernel);
  return { ...kernel, body: hoistBlock(kernel.body, names, skip) };
}

function hoistBlock(body: readonly Stmt[], names: Names, skip: (e: Expr) => boolean): readonly Stmt[] {
  return flatMapBlock(body, (s) => {
    const inner = mapBlocks(s, (b) => hoistBlock(b, names, skip));
    return inner.kind === 'for' && inner.binding !== 'grid' && inner.binding !== 'workgroup'
      ? hoistFrom(inner, names, skip)
      : inner;
  });
}

const runs = (loop: For): boolean =>
  loop.from.kind === 'literal' && loop.to.kind === 'literal' && loop.to.value > loop.from.value;

function hoistFrom(loop: For, names: Names, skip: (e: Expr) => boolean): readonly Stmt[] {
  const inside = namesDefined(loop.body);
  inside.add(loop.index);
  const stored = new Set<string>();
  let synchronises = false;
  visitStatements(loop.body, (s) => {
    if (s.kind === 'store') stored.add(s.buffer);
    if (s.kind === 'assign') inside.add(s.name);
    if (s.kind === 'barrier') synchronises = true;
    if (s.kind === 'fragment' && s.move !== 'load' && s.buffer !== null) stored.add(s.buffer);
  });
  // After a barrier, memory holds what other lanes have stored.
  const certain = runs(loop) && !synchronises;
  const memo = new Map<Expr, boolean>();
  const invariant = (e: Expr): boolean => {
    switch (e.kind) {
      case 'literal':
      case 'dim':
      case 'builtin':
        return true;
      case 'ref':
        return !inside.has(e.name);
      case 'shuffle':
      case 'subgroup_fold':
        return false;
    }
    let answer = memo.get(e);
    if (answer === undefined) {
      const mayMove = e.kind !== 'load' || (certain && !stored.has(e.buffer));
      answer = mayMove && children(e).every(invariant);
      memo.set(e, answer);
    }
    return answer;
  };
  const before: Stmt[] = [];
  const body = loop.body.filter((s) => {
    if (s.kind === 'let' && invariant(s.value)) {
      before.push(s);
      inside.delete(s.name);
      memo.clear();
      return false;
    }
    if (certain && s.kind === 'check' && invariant(s.condition)) {
      before.push(s);
      return false;
    }
    return true;
  });
  const moved = new Map<string, string>();
  const lifted = new Map<Expr, Expr>();
  const lift = (e: Expr): Expr => {
    if (isCheap(e)) return e;
    let result = lifted.get(e);
    if (result === undefined) {
      result = skip(e) || !invariant(e) ? mapChildren(e, lift) : named(e);
      lifted.set(e, result);
    }
    return result;
  };
  const named = (e: Expr): Expr => {
    const key = exprKey(e);
    let name = moved.get(key);
    if (name === undefined) {
      name = names.fresh('fixed');
      moved.set(key, name);
      before.push(k.letStmt(name, e));
    }
    return k.ref(name, e.type);
  };
  // Inside a branch a load may be of a place that there is not.
  const liftUnlessLoad = (e: Expr): Expr => (loads(e) && !isCheap(e) ? mapChildren(e, liftUnlessLoad) : lift(e));
  // What a loop inside computes alike in every iteration of this one stands before that loop already.
  const liftIn = (block: readonly Stmt[], change: (e: Expr) => Expr): readonly Stmt[] =>
    block.map((s) => {
      const changed = mapOwnExpressions(s, change);
      return s.kind === 'for' ? changed : mapBlocks(changed, (b) => liftIn(b, liftUnlessLoad));
    });
  const rest = liftIn(body, lift);
  return [...before, { ...loop, body: rest }];
}

const loads = (e: Expr): boolean => e.kind === 'load' || children(e).some(loads);

/** At hand, or as cheap to make as to keep: constants, constants in all lanes. */
function isCheap(e: Expr): boolean {
  if (e.kind === 'literal' || e.kind === 'ref' || e.kind === 'dim' || e.kind === 'builtin') return true;
  if (e.kind === 'splat') return e.value.kind === 'literal';
  return e.kind === 'lanes' && e.elements.every((x) => x.kind === 'literal');
}
