/** Facts about a loop's memory accesses that decide whether its iterations may be run together. */
import { type Affine, affine, equal, mentions, residue, strideOf } from '../kernel-ir/affine.ts';
import type { Expr, Kernel, KernelBuffer, Stmt } from '../kernel-ir/types.ts';
import { namesDefined, visitExpressions, visitStatements } from '../kernel-ir/walk.ts';

export interface Access {
  readonly buffer: string;
  readonly indices: readonly Expr[];
}

export function loadsOf(body: readonly Stmt[]): readonly Access[] {
  const found: Access[] = [];
  visitExpressions(body, (e) => {
    if (e.kind === 'load') found.push(e);
  });
  return found;
}

export function storesOf(body: readonly Stmt[]): readonly Access[] {
  const found: Access[] = [];
  visitStatements(body, (s) => {
    if (s.kind === 'store') found.push(s);
  });
  return found;
}

/** Names that hold different values in different iterations of the loop: its index and what is computed from it. */
export function varyingNames(index: string, body: readonly Stmt[]): Set<string> {
  const varying = new Set([index]);
  for (let grown = true; grown; ) {
    grown = false;
    visitStatements(body, (s) => {
      const value = s.kind === 'let' || s.kind === 'assign' ? s.value : s.kind === 'var' ? s.init : null;
      if (value === null || !('name' in s) || varying.has(s.name)) return;
      if (mentions(value, varying)) {
        varying.add(s.name);
        grown = true;
      }
    });
  }
  return varying;
}

/**
 * Null when the iterations of a loop touch memory independently, else the reason they may not. Independent: for every
 * buffer that is written there is an axis along which all its accesses stand at one place that moves with the loop, and with
 * nothing that changes inside it.
 */
export function dependence(index: string, body: readonly Stmt[]): string | null {
  const stores = storesOf(body);
  const loads = loadsOf(body);
  const inside = namesDefined(body);
  visitStatements(body, (s) => {
    if (s.kind === 'assign') inside.add(s.name);
  });
  for (const buffer of new Set(stores.map((s) => s.buffer))) {
    const [first, ...others] = [...stores, ...loads].filter((a) => a.buffer === buffer);
    const separates = (place: Expr, axis: number): boolean => {
      const stride = strideOf(affine(place), index);
      if (stride === null || stride === 0 || mentions(place, inside)) return false;
      return others.every((a) => equal(affine(a.indices[axis] as Expr), affine(place)));
    };
    if (!first?.indices.some(separates)) return `iterations may meet in ${buffer}`;
  }
  return null;
}

/** What loop indices are known to be multiples of: those that start at a multiple of their step. */
export function multiplesOf(body: readonly Stmt[]): Map<string, number> {
  const multiples = new Map<string, number>();
  visitStatements(body, (s) => {
    if (s.kind === 'for' && s.step > 1 && residue(affine(s.from), s.step, multiples) === 0)
      multiples.set(s.index, s.step);
  });
  return multiples;
}

/**
 * How an access moves when the loop index grows by one: 'uniform' not at all, 'contiguous' to the next element of the
 * physical order (and `lanes` elements from here stay in one run), 'scattered' any other way.
 */
export function movement(
  access: Access,
  buffer: KernelBuffer,
  loop: { readonly index: string; readonly from: Expr },
  lanes: number,
  multiples: ReadonlyMap<string, number>,
): 'uniform' | 'contiguous' | 'scattered' {
  const { index } = loop;
  const only = new Set([index]);
  const moving = access.indices.map((i) => mentions(i, only));
  if (!moving.includes(true)) return 'uniform';
  const last = buffer.layout.at(-1);
  if (last === undefined || moving.some((m, axis) => m && axis !== last.axis)) return 'scattered';
  const place: Affine = affine(access.indices[last.axis] as Expr);
  if (strideOf(place, index) !== 1) return 'scattered';
  if (last.part === 'whole') return 'contiguous';
  // Lanes of a vector stay within a block only if the loop starts at the beginning of one.
  if (residue(affine(loop.from), lanes, multiples) !== 0) return 'scattered';
  const steps = new Map(multiples).set(index, lanes);
  return last.block % lanes === 0 && residue(place, lanes, steps) === 0 ? 'contiguous' : 'scattered';
}

export function bufferOf(kernel: Kernel, name: string): KernelBuffer {
  const found = kernel.buffers.find((b) => b.name === name);
  if (found === undefined) throw new Error(`${kernel.name} has no buffer ${name}`);
  return found;
}
