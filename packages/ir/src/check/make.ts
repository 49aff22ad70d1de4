/**
 * Builders of Layer IR expressions that settle types and fold what is known: casts become ops, an op on literals becomes
 * a literal, a select on a literal becomes its branch. Folding computes in float64, as the interpreter does, and leaves
 * alone what would not survive f32. They assume operands that were checked.
 */
import { childrenOf } from '../children.ts';
import type { Expr, ScalarOp, Span, ValueType } from '../layer-ir.ts';
import type { Size } from '../size.ts';
import * as Sizes from '../size.ts';

const largestF32 = 3.4028234663852886e38;

export const literal = (value: number, type: ValueType, span: Span): Expr => ({ kind: 'literal', value, type, span });

/** A size as a value: a literal when it is known. */
export function sizeValue(size: Size, span: Span): Expr {
  const value = Sizes.constantOf(size);
  return value === null ? { kind: 'size', size, type: 'i32', span } : literal(value, 'i32', span);
}

/** The size that an expression is, or null. */
export function asSize(e: Expr): Size | null {
  if (e.kind === 'size') return e.size;
  return e.kind === 'literal' && e.type === 'i32' ? Sizes.constant(e.value) : null;
}

/** A select as it stands, unfolded; the branches have one type. */
export const selectNode = (condition: Expr, then: Expr, otherwise: Expr, span: Span): Expr => ({
  kind: 'select',
  condition,
  then,
  otherwise,
  type: then.type,
  span,
});

/** A bool becomes 1 or 0: `select(c, 1, 0)` of the wanted type is the one form it takes in the IR. */
function fromBool(e: Expr, type: 'i32' | 'f32'): Expr {
  if (e.kind === 'literal') return literal(e.value, type, e.span);
  return selectNode(e, literal(1, type, e.span), literal(0, type, e.span), e.span);
}

/** Numbers stay, a bool becomes i32. */
export const toNumber = (e: Expr): Expr => (e.type === 'bool' ? fromBool(e, 'i32') : e);

export function toF32(e: Expr): Expr {
  if (e.type === 'f32') return e;
  if (e.type === 'bool') return fromBool(e, 'f32');
  if (e.kind === 'literal') return literal(e.value, 'f32', e.span);
  return { kind: 'op', op: 'to_f32', args: [e], type: 'f32', span: e.span };
}

/** Truncates an f32; saturates; NaN is 0. */
export function toI32(e: Expr): Expr {
  if (e.type !== 'f32') return toNumber(e);
  if (e.kind === 'literal') {
    const value = Math.trunc(e.value) + 0;
    return literal(Math.max(-2147483648, Math.min(2147483647, value)), 'i32', e.span);
  }
  return { kind: 'op', op: 'to_i32', args: [e], type: 'i32', span: e.span };
}

/** Both operands as numbers of one type: f32 if one of them is. */
export function unify(a: Expr, b: Expr): readonly [Expr, Expr] {
  return a.type === 'f32' || b.type === 'f32' ? [toF32(a), toF32(b)] : [toNumber(a), toNumber(b)];
}

const comparisons: Partial<Record<ScalarOp, (a: number, b: number) => boolean>> = {
  eq: (a, b) => a === b,
  ne: (a, b) => a !== b,
  lt: (a, b) => a < b,
  le: (a, b) => a <= b,
  gt: (a, b) => a > b,
  ge: (a, b) => a >= b,
};

const arithmetic: Partial<Record<ScalarOp, (a: number, b: number) => number>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  floordiv: (a, b) => Math.floor(a / b),
  mod: (a, b) => a - b * Math.floor(a / b),
  min: Math.min,
  max: Math.max,
};

const unary: Partial<Record<ScalarOp, (a: number) => number>> = {
  neg: (a) => -a,
  abs: Math.abs,
  sqrt: Math.sqrt,
  floor: Math.floor,
};

const survives = (value: number, type: ValueType): boolean =>
  type === 'i32'
    ? Number.isInteger(value) && value >= -2147483648 && value <= 2147483647
    : Number.isFinite(value) && Math.abs(value) <= largestF32 && (value === 0 || Math.abs(value) > 1e-45);

/** An i32 result that folding knows to overflow; the caller reports it. */
export type Folded = Expr | 'overflow';

function foldNumbers(op: ScalarOp, args: readonly Expr[], span: Span): Folded | null {
  const [a, b] = args;
  if (a?.kind !== 'literal' || (b !== undefined && b.kind !== 'literal')) return null;
  const compare = comparisons[op];
  if (compare !== undefined && b !== undefined) return literal(compare(a.value, b.value) ? 1 : 0, 'bool', span);
  const value = b === undefined ? unary[op]?.(a.value) : arithmetic[op]?.(a.value, b.value);
  if (value === undefined) return null;
  // An i32 has no negative zero.
  const result = a.type === 'i32' ? value + 0 : value;
  if (survives(result, a.type)) return literal(result, a.type, span);
  return a.type === 'i32' && Number.isFinite(result) ? 'overflow' : null;
}

function foldLogic(op: ScalarOp, args: readonly Expr[], span: Span): Expr | null {
  const [a, b] = args;
  if (a === undefined) return null;
  if (op === 'not') return a.kind === 'literal' ? literal(a.value === 0 ? 1 : 0, 'bool', span) : null;
  if (b === undefined || (op !== 'and' && op !== 'or')) return null;
  const neutral = op === 'and' ? 1 : 0;
  // The operands have no effects, so a deciding literal decides wherever it stands.
  if (a.kind === 'literal') return a.value === neutral ? b : a;
  if (b.kind === 'literal') return b.value === neutral ? a : b;
  return null;
}

function foldSizes(op: ScalarOp, args: readonly Expr[], span: Span): Expr | null {
  const sizes = args.map(asSize);
  const [a, b] = sizes;
  if (a === undefined || a === null || b === null) return null;
  if (op === 'neg') return sizeValue(Sizes.negate(a), span);
  if (b === undefined || a.length * b.length > 64) return null;
  if (op === 'add') return sizeValue(Sizes.add(a, b), span);
  if (op === 'sub') return sizeValue(Sizes.subtract(a, b), span);
  return op === 'mul' ? sizeValue(Sizes.multiply(a, b), span) : null;
}

/** An op on operands of settled types. */
export function op(name: ScalarOp, args: readonly Expr[], type: ValueType, span: Span): Folded {
  const logic = foldLogic(name, args, span);
  if (logic !== null) return logic;
  const numbers = foldNumbers(name, args, span);
  if (numbers !== null) return numbers;
  return foldSizes(name, args, span) ?? { kind: 'op', op: name, args, type, span };
}

/** `if condition then … else …` with branches of one type. */
export function select(condition: Expr, then: Expr, otherwise: Expr, span: Span): Expr {
  if (condition.kind === 'literal') return condition.value === 0 ? otherwise : then;
  return selectNode(condition, then, otherwise, span);
}

const measures = new WeakMap<Expr, { readonly nodes: number; readonly depth: number }>();

/** The nodes of an expression counted as a tree, and its depth. Shared parts are measured once. */
export function measure(e: Expr): { readonly nodes: number; readonly depth: number } {
  const known = measures.get(e);
  if (known !== undefined) return known;
  let nodes = 1;
  let depth = 0;
  for (const child of childrenOf(e)) {
    const m = measure(child);
    nodes += m.nodes;
    depth = Math.max(depth, m.depth);
  }
  const result = { nodes, depth: depth + 1 };
  measures.set(e, result);
  return result;
}
