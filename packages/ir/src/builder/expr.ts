/** Expressions of the layer language as TypeScript calls. Each operator is a function; numbers, bools and names are themselves. */
import { DiagnosticError, diagnostic } from '../diagnostics/index.ts';
import type { ReduceOp, Span } from '../layer-ir.ts';
import type { BinaryOperator, BinderSyntax, ExprSyntax, Name } from '../syntax/ast.ts';
import { ifSyntax } from '../syntax/ast.ts';
import { reserved } from '../syntax/grammar.ts';

/** Trees are built without places; `module` gives them the places of their printed text. */
export const nowhere: Span = { source: 'builder', start: 0, end: 0 };

/** What can stand for an expression: a whole number is i32, another f32, a string is the name of a size, option or index. */
export type Operand = ExprSyntax | number | boolean | string;

/** An index of a definition or reduction: its name, or a name with the size it runs over. */
export type IndexSpec = string | { readonly name: string; readonly in: Operand };

const refuse = (message: string, help: string): never => {
  throw new DiagnosticError([diagnostic('E008', nowhere, message, { help })], []);
};

/**
 * A name of the language.
 *
 * @throws DiagnosticError for a reserved word or anything but letters, digits and _
 */
export function nameOf(text: string, allowed: readonly string[] = []): Name {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(text))
    refuse(`\`${text}\` is not a name`, 'names are ASCII letters, digits and _');
  if (text === '__proto__' || ((reserved as readonly string[]).includes(text) && !allowed.includes(text)))
    refuse(`\`${text}\` is a reserved word`, 'choose another name');
  return { text, span: nowhere };
}

/** A number of the given type; by default whole numbers are i32. */
export function number(
  value: number,
  type: 'i32' | 'f32' = Number.isInteger(value) && Math.abs(value) < 2 ** 31 ? 'i32' : 'f32',
): ExprSyntax {
  if (!Number.isFinite(value)) refuse(`${value} cannot be written in the language`, 'use a finite number');
  const magnitude: ExprSyntax = { kind: 'number', value: Math.abs(value), type, span: nowhere };
  return value < 0 || Object.is(value, -0) ? { kind: 'unary', op: '-', operand: magnitude, span: nowhere } : magnitude;
}

/** Anything that can stand for an expression, as one. */
export function expr(operand: Operand): ExprSyntax {
  switch (typeof operand) {
    case 'number':
      return number(operand);
    case 'boolean':
      return { kind: 'bool', value: operand, span: nowhere };
    case 'string':
      return { kind: 'name', name: nameOf(operand).text, span: nowhere };
    default:
      return operand;
  }
}

const binary =
  (op: BinaryOperator) =>
  (left: Operand, right: Operand): ExprSyntax => ({
    kind: 'binary',
    op,
    left: expr(left),
    right: expr(right),
    span: nowhere,
  });

/** Folds any number of operands from the left. */
const chained =
  (op: BinaryOperator) =>
  (first: Operand, ...rest: readonly Operand[]): ExprSyntax =>
    rest.reduce<ExprSyntax>((left, right) => binary(op)(left, right), expr(first));

export const add = chained('+');
export const sub = binary('-');
export const mul = chained('*');
export const div = binary('/');
/** Whole division, rounding down. */
export const floorDiv = binary('//');
export const mod = binary('%');
/** x ^ n for a small whole n, and powers of sizes. */
export const pow = binary('^');
export const eq = binary('==');
export const ne = binary('!=');
export const lt = binary('<');
export const le = binary('<=');
export const gt = binary('>');
export const ge = binary('>=');
export const and = chained('and');
export const or = chained('or');
export const not = (operand: Operand): ExprSyntax => ({
  kind: 'unary',
  op: 'not',
  operand: expr(operand),
  span: nowhere,
});
export const neg = (operand: Operand): ExprSyntax => ({
  kind: 'unary',
  op: '-',
  operand: expr(operand),
  span: nowhere,
});

/** `if condition then … else …` */
export const select = (condition: Operand, then: Operand, otherwise: Operand): ExprSyntax =>
  ifSyntax(expr(condition), expr(then), expr(otherwise), nowhere);

/** A call of a function, a primitive or a function-valued option by name. */
export const call = (callee: string, ...args: readonly Operand[]): ExprSyntax => ({
  kind: 'call',
  callee: nameOf(callee, ['max', 'min']),
  args: args.map(expr),
  span: nowhere,
});

const named =
  (callee: string) =>
  (...args: readonly Operand[]): ExprSyntax =>
    call(callee, ...args);

export const exp = named('exp');
export const ln = named('ln');
export const tanh = named('tanh');
export const erf = named('erf');
export const sqrt = named('sqrt');
export const abs = named('abs');
export const floor = named('floor');
/** The larger of two; the reduction is `maxOver`. */
export const max = named('max');
/** The smaller of two; the reduction is `minOver`. */
export const min = named('min');
export const f32 = named('f32');
export const i32 = named('i32');

export const binder = (spec: IndexSpec): BinderSyntax =>
  typeof spec === 'string'
    ? { name: nameOf(spec), size: null, span: nowhere }
    : { name: nameOf(spec.name), size: expr(spec.in), span: nowhere };

export const indexName = (spec: IndexSpec): ExprSyntax => expr(typeof spec === 'string' ? spec : spec.name);

/** One expression per index of a list, for the function that builds what the indices stand in. */
export type IndexArgs<I extends readonly IndexSpec[]> = { readonly [K in keyof I]: ExprSyntax };

/** Calls a builder function with its indices as expressions. */
export const withIndices = <const I extends readonly IndexSpec[]>(
  specs: I,
  build: (...indices: IndexArgs<I>) => Operand,
): ExprSyntax => expr(build(...(specs.map(indexName) as unknown as IndexArgs<I>)));

const reduction =
  (op: ReduceOp) =>
  /** Over one index or several; the body gets one expression per index. */
  <const I extends readonly [IndexSpec, ...IndexSpec[]]>(
    indices: I,
    body: (...indices: IndexArgs<I>) => Operand,
  ): ExprSyntax => ({
    kind: 'reduce',
    op,
    indices: indices.map(binder),
    body: withIndices(indices, body),
    span: nowhere,
  });

export const sum = reduction('sum');
export const prod = reduction('prod');
export const maxOver = reduction('max');
export const minOver = reduction('min');
export const argmax = reduction('argmax');
export const argmin = reduction('argmin');

/** What the body of a descent is built with, in the order of the steps. */
export interface WalkBuilder {
  /** Names a value of the level. */
  readonly let: (name: string, value: Operand) => ExprSyntax;
}

/** One level: what it yields (unless the descent returns), and the node that follows. */
export interface Level {
  readonly yield?: Operand;
  readonly next: Operand;
}

/**
 * `descend node = from for levels { … }`. The body names values with `walk.let` and returns the level's yield and next node;
 * `returns` makes the value of the descent from the node after the last level instead.
 */
export function descend(
  node: string,
  range: { readonly from: Operand; readonly levels: Operand; readonly returns?: (node: ExprSyntax) => Operand },
  body: (node: ExprSyntax, walk: WalkBuilder) => Level,
): ExprSyntax {
  const name = nameOf(node);
  const lets: { readonly name: Name; readonly value: ExprSyntax; readonly span: Span }[] = [];
  const walk: WalkBuilder = {
    let: (text, value) => {
      lets.push({ name: nameOf(text), value: expr(value), span: nowhere });
      return expr(text);
    },
  };
  const level = body(expr(node), walk);
  return {
    kind: 'descend',
    node: name,
    init: expr(range.from),
    levels: expr(range.levels),
    lets,
    yield: level.yield === undefined ? null : expr(level.yield),
    next: expr(level.next),
    result: range.returns === undefined ? null : expr(range.returns(expr(node))),
    span: nowhere,
  };
}
