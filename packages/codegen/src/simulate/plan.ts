/**
 * How a kernel is cut for the simulator. What lanes do alone, a lane does at one go: a *stretch*, statements of one block
 * without a barrier or an operation of many lanes in them. Between stretches the lanes go together. Names that one stretch
 * defines and alone uses live in variables of JavaScript; others in arrays of one element a lane.
 *
 * Doing a stretch lane by lane hides nothing: in a stretch nothing orders the lanes, so whatever they meet in is a race.
 */
import type { Expr, Stmt } from '../kernel-ir/types.ts';
import { blocksOf, expressionsOf, visitExpr } from '../kernel-ir/walk.ts';

export interface Plan {
  /** Whether lanes must go through the statement together. */
  together(s: Stmt): boolean;
  /** Names that more than one stretch knows. */
  readonly shared: ReadonlySet<string>;
}

export const isCollective = (e: Expr): boolean => e.kind === 'subgroup_fold' || e.kind === 'shuffle';

function holdsCollective(s: Stmt): boolean {
  let found = false;
  for (const e of expressionsOf(s))
    visitExpr(e, (x) => {
      found ||= isCollective(x);
    });
  return found;
}

export function planOf(body: readonly Stmt[]): Plan {
  const together = new Map<Stmt, boolean>();
  const decide = (s: Stmt): boolean => {
    const known = together.get(s);
    if (known !== undefined) return known;
    // Every block is decided, not only up to the first that settles it.
    const inner = blocksOf(s).map((block) => block.map(decide).includes(true));
    const decided =
      inner.includes(true) ||
      s.kind === 'barrier' ||
      s.kind === 'fragment' ||
      s.kind === 'mma' ||
      (s.kind === 'for' && (s.binding === 'grid' || s.binding === 'workgroup')) ||
      holdsCollective(s);
    together.set(s, decided);
    return decided;
  };
  body.forEach(decide);

  const home = new Map<string, number>();
  const shared = new Set<string>();
  let stretches = 0;
  const meet = (name: string, stretch: number): void => {
    const first = home.get(name);
    if (first === undefined) home.set(name, stretch);
    else if (first !== stretch) shared.add(name);
  };
  const own = (s: Stmt, stretch: number): void => {
    for (const e of expressionsOf(s))
      visitExpr(e, (x) => {
        if (x.kind === 'ref') meet(x.name, stretch);
      });
    if (s.kind === 'let' || s.kind === 'var' || s.kind === 'assign') meet(s.name, stretch);
    if (s.kind === 'for') meet(s.index, stretch);
  };
  const whole = (s: Stmt, stretch: number): void => {
    own(s, stretch);
    for (const block of blocksOf(s)) for (const inner of block) whole(inner, stretch);
  };
  const walk = (block: readonly Stmt[]): void => {
    let current: number | null = null;
    for (const s of block) {
      if (!decide(s)) {
        current ??= stretches++;
        whole(s, current);
        continue;
      }
      current = null;
      own(s, stretches++);
      if (s.kind === 'for') shared.add(s.index);
      for (const inner of blocksOf(s)) walk(inner);
    }
  };
  walk(body);
  return { together: decide, shared };
}
