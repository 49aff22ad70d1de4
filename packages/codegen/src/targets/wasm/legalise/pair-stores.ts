/**
 * For engines that fuse neighbouring 128-bit operations into 256-bit ones: two stores of vectors side by side in memory come
 * to stand side by side in the text, everything they store being computed before the first of them. V8's revectoriser starts
 * from such pairs and gives one up when memory is read between the two (`IsSideEffectFree` in wasm-revec-phase.cc).
 */
import * as k from '../../../kernel-ir/build.ts';
import type { Expr, Kernel, Stmt } from '../../../kernel-ir/types.ts';
import { expressionsOf, mapBlocks, Names, visitExpr } from '../../../kernel-ir/walk.ts';

type Store = Extract<Stmt, { kind: 'store' }>;

const VECTOR_BYTES = 16;

/** Expects byte addresses (`addressBytes`) whose common parts have names (`share`). */
export function pairStores(kernel: Kernel): Kernel {
  const names = new Names(kernel);
  return { ...kernel, body: pairBlock(kernel.body, names) };
}

function pairBlock(body: readonly Stmt[], names: Names): readonly Stmt[] {
  const result: Stmt[] = [];
  for (let i = 0; i < body.length; i++) {
    const s = body[i] as Stmt;
    const partner = isVectorStore(s) ? partnerOf(s, body, i) : null;
    if (partner === null || !isVectorStore(s)) {
      result.push(mapBlocks(s, (b) => pairBlock(b, names)));
      continue;
    }
    const between = body.slice(i + 1, partner);
    const second = body[partner] as Store;
    const [first, last] = [valueName(s, names), valueName(second, names)];
    result.push(...first.before, ...between, ...last.before, first.store, last.store);
    i = partner;
  }
  return result;
}

const isVectorStore = (s: Stmt): s is Store => s.kind === 'store' && s.value.type.lanes === 4;

/** Where the store right behind `first` in memory stands, if nothing but names, none of them dependent on it, stands between. */
function partnerOf(first: Store, body: readonly Stmt[], at: number): number | null {
  for (let i = at + 1; i < body.length; i++) {
    const s = body[i] as Stmt;
    if (expressionsOf(s).some((e) => mayRead(e, first))) return null;
    if (isVectorStore(s)) return distance(first, s) === VECTOR_BYTES ? i : null;
    if (s.kind !== 'let') return null;
  }
  return null;
}

/** Bytes from one access to another of the same buffer; null when they have no address in common. */
function distance(
  from: Store,
  to: { readonly buffer: string; readonly indices: readonly Expr[]; readonly offset: number },
) {
  if (from.buffer !== to.buffer) return null;
  const [a, b] = [from.indices[0], to.indices[0]];
  const isSame = a?.kind === 'ref' && b?.kind === 'ref' ? a.name === b.name : JSON.stringify(a) === JSON.stringify(b);
  return isSame ? to.offset - from.offset : null;
}

/** Whether the expression may read what `store` writes. */
function mayRead(e: Expr, store: Store): boolean {
  let may = false;
  visitExpr(e, (x) => {
    if (x.kind !== 'load' || x.buffer !== store.buffer) return;
    const bytes = distance(store, x);
    may ||= bytes === null || Math.abs(bytes) < VECTOR_BYTES;
  });
  return may;
}

/** The store of a name, and what gives the value that name. */
function valueName(s: Store, names: Names): { readonly before: readonly Stmt[]; readonly store: Stmt } {
  if (s.value.kind === 'ref' || s.value.kind === 'literal') return { before: [], store: s };
  const name = names.fresh('stored');
  return { before: [k.letStmt(name, s.value)], store: { ...s, value: k.ref(name, s.value.type) } };
}
