/** Constructors of Kernel IR nodes. They settle types and fold what is constant on the spot, and refuse ill-typed operands. */
import { type Size, Sizes } from '@espalier/ir';
import type { Binding, Expr, FoldOp, KernelOp, ScalarType, Stmt, ValueType } from './types.ts';

export const scalar = (type: ScalarType): ValueType => scalars[type];
const scalars: Readonly<Record<ScalarType, ValueType>> = {
  f32: { scalar: 'f32', lanes: 1 },
  i32: { scalar: 'i32', lanes: 1 },
  bool: { scalar: 'bool', lanes: 1 },
};
/** Types of vectors by their lanes, each made once. */
const vectors: Readonly<Record<ScalarType, ValueType[]>> = { f32: [], i32: [], bool: [] };
export function vector(type: ScalarType, lanes: number): ValueType {
  if (lanes === 1) return scalars[type];
  vectors[type][lanes] ??= { scalar: type, lanes };
  return vectors[type][lanes];
}

export const f32 = (value: number): Expr => ({ kind: 'literal', value, type: scalars.f32 });
export const i32 = (value: number): Expr => ({ kind: 'literal', value, type: scalars.i32 });
export const bool = (value: boolean): Expr => ({ kind: 'literal', value: value ? 1 : 0, type: scalars.bool });
export const ref = (name: string, type: ValueType): Expr => ({ kind: 'ref', name, type });
export const index = (name: string): Expr => ({ kind: 'ref', name, type: scalars.i32 });
export const dim = (name: string): Expr => ({ kind: 'dim', name, type: scalars.i32 });

const comparisons: ReadonlySet<KernelOp> = new Set(['eq', 'ne', 'lt', 'le', 'gt', 'ge']);

/** The type an operation has on these operands. */
export function resultType(name: KernelOp, args: readonly Expr[]): ValueType {
  const first = args[0]?.type ?? scalars.f32;
  if (comparisons.has(name)) return vector('bool', first.lanes);
  switch (name) {
    case 'select':
      return args[1]?.type ?? first;
    case 'to_f32':
    case 'from_bits':
      return vector('f32', first.lanes);
    case 'to_i32':
    case 'bits_of':
      return vector('i32', first.lanes);
    default:
      return first;
  }
}

/** An operation. i32 arithmetic on literals is folded; identities (x + 0, x · 1, x · 0 for i32) are applied. */
export function op(name: KernelOp, ...args: readonly Expr[]): Expr {
  const lanes = args[0]?.type.lanes ?? 1;
  for (const arg of args) {
    if (arg.type.lanes !== lanes) throw new TypeError(`${name}: operands of ${lanes} and ${arg.type.lanes} lanes`);
  }
  return foldInteger(name, args) ?? { kind: 'op', op: name, args, type: resultType(name, args) };
}

const literalOf = (e: Expr | undefined): number | null =>
  e?.kind === 'literal' && e.type.scalar === 'i32' ? e.value : null;

function foldInteger(name: KernelOp, args: readonly Expr[]): Expr | null {
  const [a, b] = args;
  if (a === undefined || b === undefined || a.type.scalar !== 'i32' || a.type.lanes !== 1) return null;
  const x = literalOf(a);
  const y = literalOf(b);
  if (x !== null && y !== null) {
    const value = integerValue(name, x, y);
    if (value !== null) return comparisons.has(name) ? bool(value !== 0) : i32(value);
  }
  if (name === 'add' && x === 0) return b;
  if ((name === 'add' || name === 'sub') && y === 0) return a;
  if (name === 'mul' && x === 1) return b;
  if ((name === 'mul' || name === 'floordiv') && y === 1) return a;
  if (name === 'mul' && (x === 0 || y === 0)) return i32(0);
  if (name === 'mod' && y === 1) return i32(0);
  return null;
}

function integerValue(name: KernelOp, x: number, y: number): number | null {
  switch (name) {
    case 'add':
      return (x + y) | 0;
    case 'sub':
      return (x - y) | 0;
    case 'mul':
      return Math.imul(x, y);
    case 'min':
      return Math.min(x, y);
    case 'max':
      return Math.max(x, y);
    case 'floordiv':
      return y === 0 ? null : Math.floor(x / y);
    case 'mod':
      return y === 0 ? null : x - Math.floor(x / y) * y;
    case 'lt':
      return x < y ? 1 : 0;
    case 'le':
      return x <= y ? 1 : 0;
    case 'gt':
      return x > y ? 1 : 0;
    case 'ge':
      return x >= y ? 1 : 0;
    case 'eq':
      return x === y ? 1 : 0;
    case 'ne':
      return x !== y ? 1 : 0;
    case 'shl':
      return x << y;
    default:
      return null;
  }
}

export const add = (a: Expr, b: Expr): Expr => op('add', a, b);
export const sub = (a: Expr, b: Expr): Expr => op('sub', a, b);
export const mul = (a: Expr, b: Expr): Expr => op('mul', a, b);
export const min = (a: Expr, b: Expr): Expr => op('min', a, b);
export const max = (a: Expr, b: Expr): Expr => op('max', a, b);

/** The same scalar in every lane; a vector stays as it is when its lanes agree. */
export function splat(value: Expr, lanes: number): Expr {
  if (value.type.lanes === lanes) return value;
  if (value.type.lanes !== 1) throw new TypeError(`splat of a vector of ${value.type.lanes} lanes to ${lanes}`);
  return { kind: 'splat', value, type: vector(value.type.scalar, lanes) };
}
export const lanesOf = (elements: readonly Expr[]): Expr => ({
  kind: 'lanes',
  elements,
  type: vector(elements[0]?.type.scalar ?? 'f32', elements.length),
});
export const extract = (value: Expr, lane: number): Expr =>
  value.kind === 'splat' ? value.value : { kind: 'extract', value, lane, type: scalar(value.type.scalar) };
export const fold = (name: FoldOp, value: Expr): Expr => ({
  kind: 'fold',
  op: name,
  value,
  type: scalar(value.type.scalar),
});

export const load = (buffer: string, indices: readonly Expr[], type: ValueType, offset = 0): Expr => ({
  kind: 'load',
  buffer,
  indices,
  offset,
  type,
});
export const store = (buffer: string, indices: readonly Expr[], value: Expr, offset = 0): Stmt => ({
  kind: 'store',
  buffer,
  indices,
  offset,
  value,
});
export const touch = (buffer: string, indices: readonly Expr[], offset = 0): Stmt => ({
  kind: 'touch',
  buffer,
  indices,
  offset,
});
export const letStmt = (name: string, value: Expr): Stmt => ({ kind: 'let', name, value });
export const varStmt = (name: string, init: Expr): Stmt => ({ kind: 'var', name, type: init.type, init });
export const assign = (name: string, value: Expr): Stmt => ({ kind: 'assign', name, value });
export const loop = (
  name: string,
  from: Expr,
  to: Expr,
  body: readonly Stmt[],
  options: { readonly step?: number; readonly binding?: Binding; readonly label?: string } = {},
): Extract<Stmt, { kind: 'for' }> => ({
  kind: 'for',
  index: name,
  label: options.label ?? name,
  from,
  to,
  step: options.step ?? 1,
  binding: options.binding ?? 'serial',
  body,
});

/** A size as an i32 expression over dims. */
export function sizeExpr(size: Size): Expr {
  const known = Sizes.constantOf(size);
  if (known !== null) return i32(known);
  return size
    .map((term) => term.dims.reduce<Expr>((product, name) => mul(product, dim(name)), i32(term.coefficient)))
    .reduce((sum, term) => add(sum, term));
}

/** Where a fold starts. */
export const identityOf = (name: FoldOp, type: ScalarType): Expr => {
  const value = {
    add: 0,
    mul: 1,
    max: type === 'f32' ? -Infinity : -2147483648,
    min: type === 'f32' ? Infinity : 2147483647,
  }[name];
  return type === 'f32' ? f32(value) : i32(value);
};
