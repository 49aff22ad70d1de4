/**
 * The step `repeat` (partial unrolling): an iteration does the work of several, one after another and in their old order, so
 * any loop allows it. Addresses of the copies differ by constants, which loads take for free, and the loop's own
 * counting is paid once for all.
 */
import * as k from '../kernel-ir/build.ts';
import type { Stmt } from '../kernel-ir/types.ts';
import type { Names } from '../kernel-ir/walk.ts';
import { renamed } from './copy.ts';
import { endOf } from './vectorise.ts';

type For = Extract<Stmt, { kind: 'for' }>;

/** The statements that replace `loop`, or the reason it can't be done. */
export function repeatLoop(loop: For, by: number, names: Names): readonly Stmt[] | string {
  if (loop.binding !== 'serial') return 'only serial loops can be repeated';
  if (!(Number.isInteger(by) && by >= 1)) return `it can't be repeated ${by} times`;
  if (by === 1) return [loop];
  const step = loop.step * by;
  const literal = loop.from.kind === 'literal' && loop.to.kind === 'literal';
  const length = literal ? (loop.to as { value: number }).value - (loop.from as { value: number }).value : null;
  // Whole iterations of the old loop: where its last one is partial, that is left to the rest.
  const end = endOf(loop.from, loop.to, step);
  const index = names.fresh(loop.index);
  const copies = Array.from({ length: by }, (_, copy) => {
    const at = copy === 0 ? k.index(index) : k.add(k.index(index), k.i32(copy * loop.step));
    return renamed(loop.body, names, new Map([[loop.index, at]]));
  }).flat();
  const result: Stmt[] = [];
  if (length === null || length >= step)
    result.push(k.loop(index, loop.from, end, copies, { step, label: loop.label }));
  if (length === null || length % step !== 0) {
    const rest = names.fresh(loop.index);
    const body = renamed(loop.body, names, new Map([[loop.index, k.index(rest)]]));
    result.push({ ...loop, index: rest, from: end, body, label: `${loop.label}_tail` });
  }
  return result;
}
