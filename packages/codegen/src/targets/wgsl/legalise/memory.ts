/**
 * How buffers are declared decides how they are addressed. A buffer is an array of vec4 when every access of the kernel
 * is one, and its index then counts vectors; else vectors are put together from scalars. f16 without the feature, and i8,
 * are read from 32-bit words by the printer, which needs their index twice: it gets a name. Scratch memory is one buffer
 * for all workgroups, so indices become absolute.
 */
import { Sizes } from '@espalier/ir';
import { type Bind, rewriteBinding } from '../../../kernel-ir/bind.ts';
import * as k from '../../../kernel-ir/build.ts';
import type { Expr, Kernel, KernelBuffer, KernelStorage, Stmt } from '../../../kernel-ir/types.ts';
import { mapExpressions, mapStatements, Names, visitExpressions, visitStatements } from '../../../kernel-ir/walk.ts';
import type { Capabilities } from '../../../target.ts';
import { WgslError } from '../errors.ts';

type Load = Extract<Expr, { kind: 'load' }>;
type Store = Extract<Stmt, { kind: 'store' }>;

/** Whether elements are narrower than the words of the buffer's array. Only global memory is: elsewhere f16 and i8 are widened. */
export const isPacked = (b: KernelBuffer, capabilities: Capabilities): boolean =>
  b.space === 'global' && isNarrow(b.storage, capabilities);

const isNarrow = (storage: KernelStorage, capabilities: Capabilities): boolean =>
  storage === 'i8' || (storage === 'f16' && capabilities['f16'] !== true);

/** The buffers that every load and store takes four elements of. */
export function wideBuffers(kernel: Kernel): ReadonlySet<string> {
  const widths = new Map<string, Set<number>>();
  const note = (buffer: string, lanes: number): void => {
    widths.set(buffer, (widths.get(buffer) ?? new Set()).add(lanes));
  };
  visitExpressions(kernel.body, (e) => {
    if (e.kind === 'load') note(e.buffer, e.type.lanes);
  });
  visitStatements(kernel.body, (s) => {
    if (s.kind === 'store') note(s.buffer, s.value.type.lanes);
  });
  const wide = (name: string): boolean => {
    const found = widths.get(name);
    return found?.size === 1 && found.has(4);
  };
  return new Set(kernel.buffers.filter((b) => b.space !== 'scratch' && wide(b.name)).map((b) => b.name));
}

export function legaliseMemory(kernel: Kernel, capabilities: Capabilities): Kernel {
  const wide = wideBuffers(kernel);
  const buffers = new Map(kernel.buffers.map((b) => [b.name, b]));
  const names = new Names(kernel);
  const packed = (name: string): boolean => {
    const b = buffers.get(name);
    return b !== undefined && isPacked(b, capabilities);
  };
  const loads = rewriteBinding(kernel.body, names, (e, bind) => {
    if (e.kind !== 'load') return e;
    if (packed(e.buffer)) return named(e, bind);
    if (wide.has(e.buffer)) return { ...e, indices: [quarter(e)], offset: 0 };
    return e.type.lanes === 1 ? e : assembled(e, bind);
  });
  const body = mapStatements(loads, (s) => {
    if (s.kind !== 'store') return s;
    if (packed(s.buffer)) {
      const storage = buffers.get(s.buffer)?.storage;
      throw new WgslError('W003', kernel.name, `${s.buffer} is written as ${storage}: store f32, or turn on "f16"`);
    }
    if (wide.has(s.buffer)) return { ...s, indices: [quarter(s)], offset: 0 };
    return s.value.type.lanes === 1 ? s : taken(s, names);
  });
  return absoluteScratch({ ...kernel, body }, names);
}

/** The index, offset included, as something that may be written twice. */
const named = (e: Load, bind: Bind): Expr => ({
  ...e,
  indices: [bind('at', k.add(e.indices[0] as Expr, k.i32(e.offset)))],
  offset: 0,
});

function assembled(e: Load, bind: Bind): Expr {
  const at = bind('at', e.indices[0] as Expr);
  const one = k.scalar(e.type.scalar);
  return k.lanesOf(Array.from({ length: e.type.lanes }, (_, i) => k.load(e.buffer, [at], one, e.offset + i)));
}

function taken(s: Store, names: Names): readonly Stmt[] {
  const [at, value] = [names.fresh('at'), names.fresh('stored')];
  return [
    k.letStmt(at, s.indices[0] as Expr),
    k.letStmt(value, s.value),
    ...Array.from({ length: s.value.type.lanes }, (_, i) =>
      k.store(s.buffer, [k.index(at)], k.extract(k.ref(value, s.value.type), i), s.offset + i),
    ),
  ];
}

/** The index of a vector of four: a quarter of the first element's, which is a multiple of 4. */
function quarter(access: { readonly indices: readonly Expr[]; readonly offset: number }): Expr {
  return quarterOf(k.add(access.indices[0] as Expr, k.i32(access.offset)));
}

/** A quarter of an index that is a multiple of 4, exactly where its parts show that they are. */
function quarterOf(e: Expr): Expr {
  const exact = exactQuarter(e);
  if (exact !== null) return exact;
  if (e.kind === 'op' && e.op === 'add') {
    const [a, b] = e.args as [Expr, Expr];
    const [first, second] = [exactQuarter(a), exactQuarter(b)];
    if (first !== null) return k.add(first, quarterOf(b));
    if (second !== null) return k.add(quarterOf(a), second);
  }
  return k.op('shr_s', e, k.i32(2));
}

function exactQuarter(e: Expr): Expr | null {
  if (e.kind === 'literal') return e.value % 4 === 0 ? k.i32(e.value / 4) : null;
  if (e.kind !== 'op' || (e.op !== 'mul' && e.op !== 'add' && e.op !== 'sub')) return null;
  const [a, b] = e.args as [Expr, Expr];
  const [first, second] = [exactQuarter(a), exactQuarter(b)];
  if (e.op === 'mul') return first !== null ? k.mul(first, b) : second !== null ? k.mul(a, second) : null;
  return first === null || second === null ? null : k.op(e.op, first, second);
}

/** Every workgroup's part of the scratch buffer follows that of the one before. */
function absoluteScratch(kernel: Kernel, names: Names): Kernel {
  const scratch = kernel.buffers.find((b) => b.space === 'scratch');
  if (scratch === undefined) return kernel;
  const start = names.fresh('scratch_start');
  const at = (index: Expr | undefined): Expr => k.add(k.index(start), index as Expr);
  const loads = mapExpressions(kernel.body, (e) =>
    e.kind === 'load' && e.buffer === scratch.name ? { ...e, indices: [at(e.indices[0])] } : e,
  );
  const body = mapStatements(loads, (s) => {
    if (s.kind === 'store' && s.buffer === scratch.name) return { ...s, indices: [at(s.indices[0])] };
    if (s.kind !== 'for' || s.binding !== 'workgroup') return s;
    const size = k.sizeExpr(Sizes.product(scratch.shape));
    return { ...s, body: [k.letStmt(start, k.mul(k.index(s.index), size)), ...s.body] };
  });
  return { ...kernel, body };
}
