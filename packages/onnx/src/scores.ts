/**
 * What a decision hung on: of the f32 comparisons that `next` (and the lets that decide it) evaluates, the left minus the
 * right side of the one whose sides are closest. Comparisons in a branch that is not taken don't count.
 */
import type { Descend, Expr, IndexRange, Let, ScalarOp } from '@espalier/ir';
import { reduceValue } from './reduce.ts';
import { cast, choose, scalarRules } from './scalar-ops.ts';
import { elementwise, type Space, scalar, type Value } from './values.ts';

const comparisons: ReadonlySet<ScalarOp> = new Set(['eq', 'ne', 'lt', 'le', 'gt', 'ge']);

/** A comparison: left minus right side, and where it is evaluated (null: everywhere). */
interface Candidate {
  readonly difference: Value;
  readonly evaluated: Value | null;
}

/** The expressions directly inside one that a step evaluates with it, in order; a descent's are its own steps'. */
function partsOf(expr: Expr): readonly Expr[] {
  switch (expr.kind) {
    case 'access':
      return expr.indices;
    case 'op':
      return expr.args;
    case 'select':
      return [expr.condition, expr.then, expr.otherwise];
    case 'reduce':
      return [expr.body];
    case 'descend':
      return [
        expr.init,
        expr.next,
        ...expr.lets.map((item) => item.value),
        ...[expr.yield, expr.result].filter((e) => e !== null),
      ];
    default:
      return [];
  }
}

const mentions = (expr: Expr, local: string): boolean =>
  (expr.kind === 'local' && expr.name === local) || partsOf(expr).some((part) => mentions(part, local));

/** The lets that decide where the walk goes: those `next` names, and those they name. In order. */
function decidingLets(descend: Descend): readonly Let[] {
  const chosen: Let[] = [];
  for (const item of descend.lets.toReversed()) {
    if ([descend.next, ...chosen.map((later) => later.value)].some((expr) => mentions(expr, item.name)))
      chosen.unshift(item);
  }
  return chosen;
}

const both = (space: Space, a: Value | null, b: Value): Value =>
  a === null ? b : { ...elementwise(space, 'And', [a, b]), type: 'bool' };

/** The score of one step; `lower` writes an expression at this step, `lowerGuarded` one inside a branch. */
export function closestScore(
  space: Space,
  descend: Descend,
  lower: (expr: Expr) => Value,
  lowerGuarded: (expr: Expr) => Value,
  bind: (indices: readonly IndexRange[]) => readonly string[],
): Value {
  const distance = (value: Value): Value => scalarRules.abs(space, value, value, 'f32');

  /** Over a reduction inside `next`, the closest of all its elements. */
  function closest({ difference, evaluated }: Candidate, indices: readonly string[]): Candidate {
    const far = scalar(space, 'f32', Number.POSITIVE_INFINITY);
    const distances = evaluated === null ? distance(difference) : choose(space, evaluated, distance(difference), far);
    const least = reduceValue(space, 'min', distances, indices);
    const positive = scalarRules.eq(space, difference, least, 'bool');
    const found = reduceValue(space, 'max', cast(space, both(space, evaluated, positive), 'i32'), indices);
    const isPositive = scalarRules.gt(space, found, scalar(space, 'i32', 0), 'bool');
    const anywhere = cast(space, evaluated ?? scalar(space, 'bool', 1), 'i32');
    const any = reduceValue(space, 'max', anywhere, indices);
    return {
      difference: choose(space, isPositive, least, scalarRules.neg(space, least, least, 'f32')),
      evaluated: scalarRules.gt(space, any, scalar(space, 'i32', 0), 'bool'),
    };
  }

  function candidates(expr: Expr, evaluated: Value | null): readonly Candidate[] {
    const write = evaluated === null ? lower : lowerGuarded;
    switch (expr.kind) {
      case 'descend':
        return [];
      case 'select': {
        const condition = write(expr.condition);
        const not = scalarRules.not(space, condition, condition, 'bool');
        return [
          ...candidates(expr.condition, evaluated),
          ...candidates(expr.then, both(space, evaluated, condition)),
          ...candidates(expr.otherwise, both(space, evaluated, not)),
        ];
      }
      case 'reduce': {
        const indices = bind(expr.indices);
        return candidates(expr.body, evaluated).map((candidate) => closest(candidate, indices));
      }
      default: {
        const inner = partsOf(expr).flatMap((child) => candidates(child, evaluated));
        if (expr.kind !== 'op' || !comparisons.has(expr.op)) return inner;
        const [left, right] = expr.args;
        if (left?.type !== 'f32' || right === undefined) return inner;
        return [...inner, { difference: scalarRules.sub(space, write(left), write(right), 'f32'), evaluated }];
      }
    }
  }

  const deciding = decidingLets(descend).filter((item) => item.value.type !== 'f32');
  const [first, ...others] = [...deciding.map((item) => item.value), descend.next].flatMap((expr) =>
    candidates(expr, null),
  );
  const zero = scalar(space, 'f32', 0);
  if (first === undefined) return zero;
  const start = first.evaluated === null ? first.difference : choose(space, first.evaluated, first.difference, zero);
  let best: Candidate = { ...first, difference: start };
  for (const next of others) {
    const nearer = scalarRules.lt(space, distance(next.difference), distance(best.difference), 'bool');
    const none = best.evaluated === null ? null : scalarRules.not(space, best.evaluated, best.evaluated, 'bool');
    const better: Value = none === null ? nearer : { ...elementwise(space, 'Or', [none, nearer]), type: 'bool' };
    const taken = next.evaluated === null ? better : both(space, next.evaluated, better);
    const evaluated =
      best.evaluated === null || next.evaluated === null
        ? null
        : ({ ...elementwise(space, 'Or', [best.evaluated, next.evaluated]), type: 'bool' } as const);
    best = { difference: choose(space, taken, next.difference, best.difference), evaluated };
  }
  return best.difference;
}
