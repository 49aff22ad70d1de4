/**
 * The step `interleave`: several iterations of a loop over rows run side by side, statement by statement. Unlike `jam` it takes whole
 * rows: each copy gets private memory of its own, what all copies compute alike is computed once, and loops or branches
 * that differ between copies simply follow one another. What several rows read alike (the keys of an attention) is then loaded
 * once, and what each waits for (the next node of a walk) is waited for together.
 */
import * as k from '../kernel-ir/build.ts';
import type { Kernel, KernelBuffer, Stmt } from '../kernel-ir/types.ts';
import { isSame, mapExpressions, mapStatements, Names, namesDefined, visitStatements } from '../kernel-ir/walk.ts';
import { rename, renamed } from './copy.ts';
import { dependence, loadsOf, storesOf } from './memory.ts';
import type { Step } from './steps.ts';
import { endOf } from './vectorise.ts';

type For = Extract<Stmt, { kind: 'for' }>;

type Interleave = Extract<Step, { step: 'interleave' }>;

/** The kernel with `by` iterations of the loop at once, or the reason it can't be done. */
export function interleaveRows(kernel: Kernel, { loop: label, by, apart = [] }: Interleave): Kernel | string {
  const names = new Names(kernel);
  const loops: For[] = [];
  visitStatements(kernel.body, (s) => {
    if (s.kind === 'for' && s.label === label) loops.push(s);
  });
  const [loop, second] = loops;
  if (loop === undefined) return `there is no loop ${label}`;
  if (second !== undefined) return `there are ${loops.length} loops ${label}`;
  if (loop.binding !== 'serial') return 'only serial loops can be interleaved';
  if (!(Number.isInteger(by) && by >= 2)) return `${by} iterations at once`;
  const own = privateTo(loop, kernel);
  const why = dependence(loop.index, withoutBuffers(loop.body, own)) ?? shared(loop);
  if (why !== null) return why;

  const buffers: KernelBuffer[] = [...kernel.buffers];
  const index = names.fresh(loop.index);
  const copies = Array.from({ length: by }, (_, copy) => {
    const at = copy === 0 ? k.index(index) : k.add(k.index(index), k.i32(copy * loop.step));
    const body = renamed(loop.body, names, new Map([[loop.index, at]]));
    return copy === 0 ? body : withOwnBuffers(body, own, buffers, names);
  });
  const step = loop.step * by;
  const end = endOf(loop.from, loop.to, step);
  const main = k.loop(index, loop.from, end, merge(copies, new Set(apart)), { step, label: loop.label });
  const rest = names.fresh(loop.index);
  const body = renamed(loop.body, names, new Map([[loop.index, k.index(rest)]]));
  const tail: Stmt = { ...loop, index: rest, from: end, body, label: `${loop.label}_tail` };
  const isWhole = end.kind === 'literal' && loop.to.kind === 'literal' && end.value === loop.to.value;
  const isLoop = (s: Stmt): boolean => s.kind === 'for' && s.label === label;
  return {
    ...kernel,
    buffers,
    body: mapStatements(kernel.body, (s) => (isLoop(s) ? (isWhole ? [main] : [main, tail]) : s)),
  };
}

/** Private buffers that only the loop uses: an iteration's own, since memory of a row begins unwritten. */
function privateTo(loop: For, kernel: Kernel): ReadonlySet<string> {
  const inside = [...loadsOf(loop.body), ...storesOf(loop.body)];
  const everywhere = [...loadsOf(kernel.body), ...storesOf(kernel.body)];
  const count = (accesses: readonly { readonly buffer: string }[], name: string): number =>
    accesses.filter((a) => a.buffer === name).length;
  return new Set(
    kernel.buffers
      .filter((b) => b.space === 'private' && count(inside, b.name) === count(everywhere, b.name))
      .map((b) => b.name),
  );
}

/** What iterations have in common that one of them may change. */
function shared(loop: For): string | null {
  const defined = namesDefined(loop.body);
  let why: string | null = null;
  visitStatements(loop.body, (s) => {
    if (s.kind === 'assign' && !defined.has(s.name)) why ??= `${s.name} is carried from one iteration to the next`;
    if (s.kind === 'barrier' || s.kind === 'fragment' || s.kind === 'mma') why ??= `${s.kind} in the loop`;
  });
  return why;
}

const withoutBuffers = (body: readonly Stmt[], buffers: ReadonlySet<string>): readonly Stmt[] =>
  mapStatements(body, (s) => (s.kind === 'store' && buffers.has(s.buffer) ? [] : s));

/** The copy on buffers of its own, which are added to `buffers`. */
function withOwnBuffers(
  body: readonly Stmt[],
  own: ReadonlySet<string>,
  buffers: KernelBuffer[],
  names: Names,
): readonly Stmt[] {
  const next = new Map<string, string>();
  for (const name of own) {
    const buffer = buffers.find((b) => b.name === name) as KernelBuffer;
    const copy = names.fresh(name);
    next.set(name, copy);
    buffers.push({ ...buffer, name: copy });
  }
  const moved = mapExpressions(body, (e) =>
    e.kind === 'load' && next.has(e.buffer) ? { ...e, buffer: next.get(e.buffer) as string } : e,
  );
  return mapStatements(moved, (s) =>
    s.kind === 'store' && next.has(s.buffer) ? { ...s, buffer: next.get(s.buffer) as string } : s,
  );
}

/** Statements of copies that are alike in shape, merged into one block. */
function merge(copies: readonly (readonly Stmt[])[], apart: ReadonlySet<string>): readonly Stmt[] {
  const [first = [], ...others] = copies;
  const result: Stmt[] = [];
  let rest = others;
  for (const [i, s] of first.entries()) {
    const alike = rest.map((copy) => copy[i] as Stmt);
    if (s.kind === 'let' && alike.every((o) => o.kind === 'let' && isSame(o.value, s.value))) {
      result.push(s);
      rest = rest.map((copy) => rename(copy, new Map([[(copy[i] as typeof s).name, s.name]])));
    } else if (
      s.kind === 'for' &&
      alike.every((o) => o.kind === 'for' && isSame(o.from, s.from) && isSame(o.to, s.to))
    ) {
      const bodies = alike.map((o) => rename((o as For).body, new Map([[(o as For).index, s.index]])));
      result.push({ ...s, body: merge([s.body, ...bodies], apart) });
    } else if (s.kind === 'if' && alike.every((o) => o.kind === 'if' && isSame(o.condition, s.condition))) {
      const ifs = [s, ...(alike as (typeof s)[])];
      result.push({
        ...s,
        then: merge(
          ifs.map((o) => o.then),
          apart,
        ),
        otherwise: merge(
          ifs.map((o) => o.otherwise),
          apart,
        ),
      });
    } else if (s.kind === 'comment') result.push(s);
    else result.push(s, ...alike);
  }
  return result;
}
