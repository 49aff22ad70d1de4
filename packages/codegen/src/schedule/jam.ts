/**
 * The step `jam` (unroll and jam): an outer loop runs several of its iterations at once, and the copies of each loop
 * inside it become one loop. With vector values this makes the register tile: the copies' accumulators live side by
 * side, and what the copies load alike is loaded once (the pass `share` sees to that).
 */
import { mentions } from '../kernel-ir/affine.ts';
import * as k from '../kernel-ir/build.ts';
import type { Expr, Stmt } from '../kernel-ir/types.ts';
import { isSame, type Names, namesDefined, visitStatements } from '../kernel-ir/walk.ts';
import { copied, renamed } from './copy.ts';
import { dependence } from './memory.ts';
import { endOf } from './vectorise.ts';

type For = Extract<Stmt, { kind: 'for' }>;

/** The statements that replace `loop`, or the reason it can't be done. */
export function jamLoop(loop: For, by: number, names: Names): readonly Stmt[] | string {
  if (loop.binding !== 'serial') return 'only serial loops can be jammed';
  const carried = carriedName(loop);
  if (carried !== null) return `${carried} is carried from one iteration to the next`;
  const why = dependence(loop.index, loop.body);
  if (why !== null) return why;
  const trips =
    loop.from.kind === 'literal' && loop.to.kind === 'literal'
      ? Math.ceil((loop.to.value - loop.from.value) / loop.step)
      : null;
  const copies = trips === null ? by : Math.min(by, trips);
  if (copies < 2) return [loop];
  const step = loop.step * copies;
  // Whole steps of the original loop only: a last partial step can't occur, since vectorise cuts at whole steps.
  const end = endOf(loop.from, loop.to, step);
  const index = names.fresh(loop.index);
  const places = Array.from({ length: copies }, (_, c) => k.add(k.index(index), k.i32(c * loop.step)));
  const jammed = jamBody(loop, places, names);
  if (typeof jammed === 'string') return jammed;
  const result: Stmt[] = [];
  const known = end.kind === 'literal' && loop.from.kind === 'literal' ? end.value - loop.from.value : null;
  if (known !== 0) result.push(k.loop(index, loop.from, end, jammed, { step, label: loop.label }));
  if (!(end.kind === 'literal' && loop.to.kind === 'literal' && end.value >= loop.to.value)) {
    const rest = names.fresh(loop.index);
    const body = renamed(loop.body, names, new Map([[loop.index, k.index(rest)]]));
    result.push({ ...loop, index: rest, from: end, body, label: `${loop.label}_tail` });
  }
  return result;
}

/** A variable of outside that the loop changes. */
function carriedName(loop: For): string | null {
  const inside = namesDefined(loop.body);
  let carried: string | null = null;
  visitStatements(loop.body, (s) => {
    if (s.kind === 'assign' && !inside.has(s.name)) carried = s.name;
  });
  return carried;
}

function jamBody(loop: For, places: readonly Expr[], names: Names): readonly Stmt[] | string {
  // Copy 0 keeps the names; the others get fresh ones for lets and vars. Loops inside are shared, so their indices are too.
  const own = new Set<string>();
  visitStatements(loop.body, (s) => {
    if (s.kind === 'let' || s.kind === 'var') own.add(s.name);
  });
  const renames = places.map(
    (_, copy) => new Map([...own].map((n) => [n, copy === 0 ? n : names.fresh(n.replace(/_\d+$/, ''))])),
  );
  const depends = new Set([loop.index, ...own]);
  const copiesOf = (s: Stmt): readonly Stmt[] =>
    places.map(
      (place, copy) => copied([s], renames[copy] as Map<string, string>, new Map([[loop.index, place]]))[0] as Stmt,
    );
  const jam = (body: readonly Stmt[]): readonly Stmt[] | string => {
    const result: Stmt[] = [];
    for (const s of body) {
      if (s.kind === 'for') {
        if (mentions(s.from, depends) || mentions(s.to, depends))
          return `the bounds of loop ${s.label} depend on ${loop.label}`;
        const inner = jam(s.body);
        if (typeof inner === 'string') return inner;
        result.push({ ...s, body: inner });
      } else if (s.kind === 'barrier' || s.kind === 'fragment' || s.kind === 'mma') return `${s.kind} in the loop`;
      else if (s.kind === 'comment') result.push(s);
      else if (s.kind === 'if') return 'a branch in the loop';
      else {
        const [first, ...others] = copiesOf(s) as [Stmt, ...Stmt[]];
        // What all copies name alike is named once, so that addresses made from it are seen to be the same.
        if (first.kind === 'let' && others.every((o) => o.kind === 'let' && isSame(o.value, first.value))) {
          result.push(first);
          others.forEach((_, i) => {
            renames[i + 1]?.set((s as typeof first).name, first.name);
          });
        } else result.push(first, ...others);
      }
    }
    return result;
  };
  return jam(loop.body);
}
