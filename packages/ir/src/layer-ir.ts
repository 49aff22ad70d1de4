/**
 * Layer IR: what a layer computes, in index notation, after checking.
 *
 * A layer is a list of statements; each defines one tensor by an expression over its axes. Everything is explicit here:
 * types are settled (casts are ops), options and compile-time dims are numbers, functions are inlined, branches on
 * compile-time conditions are folded, and every index and local name is unique within its statement. Only runtime dims
 * (token count, batch, sequence) remain symbolic, inside `Size`.
 */
import type { Size } from './size.ts';

/** Where a node came from: half-open character offsets into the source of that name. */
export interface Span {
  readonly source: string;
  readonly start: number;
  readonly end: number;
}

/** A text that spans point into. */
export interface Source {
  readonly name: string;
  readonly text: string;
}

/** Types of values while computing. */
export type ValueType = 'f32' | 'i32' | 'bool';
/** Types of tensor elements in memory; f16 reads as f32, i8 reads as i32. Only weights and inputs may be f16 or i8. */
export type StorageType = 'f32' | 'f16' | 'i32' | 'i8';

/**
 * Scalar operations. Arithmetic works on f32 or i32 (both operands of one type); `div`, `sqrt`, `exp`, `ln`, `tanh`,
 * `erf` and `floor` are f32 only; `floordiv` and `mod` are i32 only, round towards minus infinity, and their divisor is
 * a literal or a size: one that is 0, or a size below 1, ends the run with a fault. min and max propagate NaN.
 * Comparisons give bool and are false for NaN, except `ne`. `to_i32` truncates, saturates, and gives 0 for NaN.
 */
export type ScalarOp =
  | 'add'
  | 'sub'
  | 'mul'
  | 'div'
  | 'floordiv'
  | 'mod'
  | 'min'
  | 'max'
  | 'neg'
  | 'abs'
  | 'sqrt'
  | 'exp'
  | 'ln'
  | 'tanh'
  | 'erf'
  | 'floor'
  | 'eq'
  | 'ne'
  | 'lt'
  | 'le'
  | 'gt'
  | 'ge'
  | 'and'
  | 'or'
  | 'not'
  | 'to_f32'
  | 'to_i32';

/** sum of nothing is 0, prod 1, max -inf, min +inf, argmax and argmin 0. Ties of argmax/argmin go to the lowest index; NaN never wins. */
export type ReduceOp = 'sum' | 'prod' | 'max' | 'min' | 'argmax' | 'argmin';

export interface IndexRange {
  readonly name: string;
  /** The index runs over 0 … size − 1. */
  readonly size: Size;
  readonly span: Span;
}

export type Expr =
  | { readonly kind: 'literal'; readonly value: number; readonly type: ValueType; readonly span: Span }
  /** The current value of an axis or reduction index, i32. */
  | { readonly kind: 'index'; readonly name: string; readonly type: 'i32'; readonly span: Span }
  /** A size used as a number, i32. */
  | { readonly kind: 'size'; readonly size: Size; readonly type: 'i32'; readonly span: Span }
  /** The node of an enclosing descent (i32) or one of its lets. */
  | { readonly kind: 'local'; readonly name: string; readonly type: ValueType; readonly span: Span }
  | {
      readonly kind: 'access';
      readonly tensor: string;
      readonly indices: readonly Expr[];
      /** Per index: proven to lie inside the tensor (no check needed), else the run must check it. */
      readonly inBounds: readonly boolean[];
      readonly type: 'f32' | 'i32';
      readonly span: Span;
    }
  | {
      readonly kind: 'op';
      readonly op: ScalarOp;
      readonly args: readonly Expr[];
      readonly type: ValueType;
      readonly span: Span;
    }
  /** Only the chosen branch is evaluated: the condition may guard an access of the branch. */
  | {
      readonly kind: 'select';
      readonly condition: Expr;
      readonly then: Expr;
      readonly otherwise: Expr;
      readonly type: ValueType;
      readonly span: Span;
    }
  /** argmax and argmin have exactly one index and give its value (i32). */
  | {
      readonly kind: 'reduce';
      readonly op: ReduceOp;
      readonly indices: readonly IndexRange[];
      readonly body: Expr;
      readonly type: 'f32' | 'i32';
      readonly span: Span;
    }
  | Descend;

/**
 * The conditional walk. `node` starts at `init`; for each of `levels` levels the lets are computed in order, `yield`
 * is added to the value, and node becomes `next`. The value is the sum of the yields (0 for no level) or, when `result`
 * is given, that expression after the last step (it may use `node`, not the lets). Exactly one of the two is present.
 */
export interface Descend {
  readonly kind: 'descend';
  readonly node: string;
  readonly init: Expr;
  readonly levels: Size;
  readonly lets: readonly Let[];
  readonly yield: Expr | null;
  readonly next: Expr;
  readonly result: Expr | null;
  /** When set, the walk is also recorded: see `traceLayer`. */
  readonly trace: Trace | null;
  readonly type: 'f32' | 'i32';
  readonly span: Span;
}

export interface Let {
  readonly name: string;
  readonly value: Expr;
  readonly span: Span;
}

/**
 * Two extra outputs that record a descent. Both have one axis per index in `indices` (those axes of the statement and
 * enclosing reduction indices that the route depends on, outermost first) and a last axis over levels:
 * `nodes` (i32): the node at each level; `scores` (f32): left minus right side of that f32 comparison deciding `next` whose two
 * sides are closest at that node (what the decision hung on; of a choice, only the branch taken counts; lets that are no f32
 * count as part of `next`), 0 if it compares no f32 numbers. Entries of a walk that nothing asks for (behind a condition) are
 * −1 and 0 in the interpreter and undefined on a device.
 */
export interface Trace {
  readonly indices: readonly IndexRange[];
  readonly nodes: string;
  readonly scores: string;
}

export type TensorRole = 'input' | 'weight' | 'local' | 'output';

/** A tensor of the layer, row-major. Weights have constant shapes. A trace's tensors have role output and no statement. */
export interface TensorDecl {
  readonly name: string;
  readonly role: TensorRole;
  readonly storage: StorageType;
  readonly shape: readonly Size[];
  readonly span: Span;
}

/** `target[axes] = value`, for all values of the axes; the shape of the target is the axes' sizes, in order. */
export interface Statement {
  readonly target: string;
  readonly axes: readonly IndexRange[];
  readonly value: Expr;
  readonly span: Span;
}

export interface LayerIR {
  /** The layer's name: for people and file names only; nothing may be decided by it. */
  readonly name: string;
  /** Runtime dims, in order of declaration. */
  readonly dims: readonly string[];
  /** What was fixed at compile time, for the record: dims and options by name (function options by the function's name). */
  readonly fixed: Readonly<Record<string, number | boolean | string>>;
  /** Inputs and weights in order of declaration, then locals and outputs in order of definition. Unused ones are left out. */
  readonly tensors: readonly TensorDecl[];
  /** In order: a statement uses inputs, weights and targets of earlier statements. */
  readonly statements: readonly Statement[];
  readonly sources: readonly Source[];
}
