/**
 * Vector constants come from memory. V8 makes one anew wherever it is used, in three instructions, or seven for two that it has fused; what
 * was loaded before a loop stays in a register, or is one instruction away. An activation has two dozen of them.
 */
import { rowMajor } from '@espalier/artefact';
import { Sizes } from '@espalier/ir';
import * as k from '../../../kernel-ir/build.ts';
import type { Expr, Kernel, KernelBuffer, Stmt } from '../../../kernel-ir/types.ts';
import { mapChildren, mapOwnExpressions, mapStatements, Names } from '../../../kernel-ir/walk.ts';

type Literal = Extract<Expr, { kind: 'literal' }>;

/** Memory for constants of one type, each once. */
interface Shelf {
  readonly name: string;
  readonly storage: 'f32' | 'i32';
  readonly values: Literal[];
}

const LANES = 4;

/** With fewer, a kernel has nothing that waits for them, and need not store them first. */
const MANY = 8;

/** Expects flat indices. */
export function loadConstants(kernel: Kernel): Kernel {
  const names = new Names(kernel);
  const shelves: readonly Shelf[] = [
    { name: names.fresh('reals'), storage: 'f32', values: [] },
    { name: names.fresh('integers'), storage: 'i32', values: [] },
  ];
  const place = (value: Literal): Expr | null => {
    const shelf = shelves.find((s) => s.storage === value.type.scalar);
    if (shelf === undefined || Object.is(value.value, 0)) return null;
    const known = shelf.values.findIndex((v) => Object.is(v.value, value.value));
    const at = known >= 0 ? known : shelf.values.push(value) - 1;
    return k.load(shelf.name, [k.i32(at)], value.type);
  };
  const change = (e: Expr): Expr => {
    if (e.kind === 'splat' && e.value.kind === 'literal' && e.type.lanes === LANES) {
      const loaded = place(e.value);
      return loaded === null ? e : k.splat(loaded, LANES);
    }
    // A vector's shift takes a scalar count.
    if (e.kind === 'op' && (e.op === 'shl' || e.op === 'shr_s' || e.op === 'shr_u')) {
      const [value, count] = e.args as [Expr, Expr];
      const changed = change(value);
      return changed === value ? e : { ...e, args: [changed, count] };
    }
    return mapChildren(e, change);
  };
  const body = mapStatements(kernel.body, (s) => mapOwnExpressions(s, change));
  if (shelves.reduce((n, s) => n + s.values.length, 0) < MANY) return kernel;
  const used = shelves.filter((s) => s.values.length > 0);
  const buffers = used.map(({ name, storage, values }): KernelBuffer => {
    const shape = [Sizes.constant(values.length)];
    return { name, space: 'private', access: 'read_write', storage, shape, layout: rowMajor(1) };
  });
  const stores = used.flatMap(({ name, values }) => values.map((v, i): Stmt => k.store(name, [k.i32(i)], v)));
  return { ...kernel, buffers: [...kernel.buffers, ...buffers], body: [...stores, ...body] };
}
