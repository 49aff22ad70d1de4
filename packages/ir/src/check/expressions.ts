/**
 * Expressions of the syntax tree to Layer IR: names are resolved, types settled, functions inlined. A function's argument
 * is elaborated once and shared: where a function uses a parameter twice, both places hold the same object.
 */
import { suggest } from '../diagnostics/index.ts';
import type { Expr, ScalarOp, Span } from '../layer-ir.ts';
import * as Sizes from '../size.ts';
import type { BinaryOperator, BinderSyntax, ExprSyntax } from '../syntax/ast.ts';
import { printExpr } from '../syntax/print.ts';
import { callFunction } from './calls.ts';
import { all, attempt, type Context, fail, silently, type TensorInfo } from './context.ts';
import { elaborateDescend } from './descend.ts';
import { type FunctionTable, functionNames } from './functions.ts';
import { elaborateReduce } from './indices.ts';
import type { Range } from './infer.ts';
import { asSize, type Folded, literal, measure, op, select, sizeValue, toF32, toNumber, unify } from './make.ts';
import { powerOf } from './size-expr.ts';

/** What a name bound inside a statement means. */
export type Binding =
  | { readonly kind: 'index'; readonly name: string; readonly span: Span }
  | { readonly kind: 'local'; readonly name: string; readonly type: 'f32' | 'i32' | 'bool'; readonly span: Span }
  /** A parameter of the function being inlined. */
  | { readonly kind: 'value'; readonly value: Expr; readonly span: Span }
  /** A let of a descent, after the descent. */
  | { readonly kind: 'gone'; readonly span: Span };

export interface Env {
  readonly context: Context;
  readonly scope: ReadonlyMap<string, Binding>;
  readonly ranges: ReadonlyMap<BinderSyntax, Range>;
  /** Functions visible here. */
  readonly functions: FunctionTable;
  /** True inside a function, which sees its parameters and other functions only. */
  readonly inFunction: boolean;
}

/** Expressions that a layer may hold in all, counting inlined copies: far above any layer, far below a hang. */
const mostWork = 200_000;
/** Largest and deepest expression of one statement. */
const mostNodes = 50_000;
const deepest = 1_000;

export const clip = (text: string): string => (text.length > 40 ? `${text.slice(0, 37)}…` : text);
const shown = (e: ExprSyntax): string => `\`${clip(printExpr(e))}\``;

/** Keeps a folded result; an overflow is a mistake in the text. */
export function keep(env: Env, folded: Folded, span: Span): Expr {
  if (folded === 'overflow') {
    return fail(env.context, 'E412', span, 'this integer arithmetic leaves the range of i32', {
      help: 'write one of the numbers with a point to compute in f32',
    });
  }
  return folded;
}

/** Refuses expressions that inlining has made too large for anything after the checker. */
export function checkMeasure(env: Env, e: Expr, span: Span): Expr {
  const { nodes, depth } = measure(e);
  if (nodes > mostNodes || depth > deepest) {
    fail(
      env.context,
      'E413',
      span,
      `this expression grows to ${nodes > mostNodes ? `${nodes} nodes` : `${depth} levels`}`,
      {
        help: 'define a part of it as a tensor of its own',
      },
    );
  }
  return e;
}

/** An expression in an environment. The result's type is settled; bools stay bools. */
export function elaborate(env: Env, e: ExprSyntax): Expr {
  const { context } = env;
  context.sources.add(e.span.source);
  if (++context.work > mostWork) {
    // Said once; what comes after is the same runaway.
    if (context.work > mostWork + 1) silently();
    fail(context, 'E413', e.span, `the layer grows beyond ${mostWork} expressions`, {
      help: 'functions are inlined: use less nesting of calls',
    });
  }
  switch (e.kind) {
    case 'number':
      return literal(e.value, e.type, e.span);
    case 'bool':
      return literal(e.value ? 1 : 0, 'bool', e.span);
    case 'name':
      return elaborateName(env, e.name, e.span);
    case 'call':
      return callFunction(env, e);
    case 'access':
      return elaborateAccess(env, e);
    case 'unary': {
      const operand = elaborate(env, e.operand);
      if (e.op === 'not')
        return keep(env, op('not', [condition(env, operand, e.operand, 'not')], 'bool', e.span), e.span);
      const number = toNumber(operand);
      return keep(env, op('neg', [number], number.type, e.span), e.span);
    }
    case 'binary':
      return elaborateBinary(env, e);
    case 'if':
      return elaborateIf(env, e);
    case 'reduce':
      return elaborateReduce(env, e);
    case 'descend':
      return elaborateDescend(env, e);
  }
}

function elaborateName(env: Env, name: string, span: Span): Expr {
  const { context } = env;
  const bound = env.scope.get(name);
  switch (bound?.kind) {
    case 'index':
      return { kind: 'index', name: bound.name, type: 'i32', span };
    case 'local':
      return { kind: 'local', name: bound.name, type: bound.type, span };
    case 'value':
      return bound.value;
    case 'gone':
      return fail(context, 'E101', span, `\`${name}\` is gone after the walk`, {
        labels: [{ span: bound.span, text: 'it belongs to a level' }],
        help: '`return` sees the node only',
      });
    default:
  }
  if (env.inFunction) {
    return fail(context, 'E101', span, `\`${name}\` is no parameter of this function`, {
      help: suggest(name, env.scope.keys(), 'a function sees its parameters only') ?? 'pass it as an argument',
    });
  }
  const entry = context.entries.get(name);
  switch (entry?.kind) {
    case 'size':
      return sizeValue(entry.size, span);
    case 'option':
      if (entry.value.kind === 'number') return literal(entry.value.value, entry.value.type, span);
      if (entry.value.kind === 'bool') return literal(entry.value.value ? 1 : 0, 'bool', span);
      return fail(context, 'E106', span, `\`${name}\` is a function and has no value of its own`, {
        labels: [{ span: entry.span, text: 'an option that names a function' }],
        help: `call it: \`${name}(…)\``,
      });
    case 'tensor':
      return fail(context, 'E106', span, `\`${name}\` is a tensor and has no value of its own`, {
        labels: [{ span: entry.tensor.span, text: `it has shape ${entry.tensor.shapeText}` }],
        help: `index it: \`${name}[${entry.tensor.shape.map(() => '…').join(', ')}]\``,
      });
    case 'broken':
      return silently();
    default:
  }
  return unknown(env, name, span);
}

function unknown(env: Env, name: string, span: Span): never {
  const { context } = env;
  const ended = context.ended.get(name);
  if (ended !== undefined) {
    fail(context, 'E101', span, `the index \`${name}\` ends with its reduction`, {
      labels: [{ span: ended, text: 'which ends here' }],
      help: `the body is one product; put a sum in parentheses: \`sum ${name}: (… + …)\``,
    });
  }
  const later = context.declared.get(name);
  if (later !== undefined) {
    fail(context, 'E104', span, `\`${name}\` is used before its definition`, {
      labels: [{ span: later, text: 'defined here' }],
      help: 'move the definition up',
    });
  }
  if (functionNames(env.functions).includes(name)) {
    fail(context, 'E106', span, `\`${name}\` is a function and has no value of its own`, {
      help: `call it: \`${name}(…)\``,
    });
  }
  const values = [...env.scope.keys(), ...[...context.entries].flatMap(([n, e]) => (e.kind === 'broken' ? [] : [n]))];
  return fail(context, 'E101', span, `\`${name}\` is not defined`, { help: suggest(name, values, 'names in sight') });
}

/** The tensor that an access names. */
function findTensor(env: Env, name: string, span: Span): TensorInfo {
  const { context } = env;
  if (env.inFunction) {
    fail(context, 'E103', span, `a function cannot read the tensor \`${name}\``, {
      help: 'pass the element as an argument',
    });
  }
  const entry = context.entries.get(name);
  if (entry?.kind === 'tensor') return entry.tensor;
  if (entry?.kind === 'broken') return silently();
  const bound = env.scope.get(name);
  const other = entry ?? bound;
  if (other !== undefined) {
    const is = entry?.kind === 'size' ? 'a size' : entry?.kind === 'option' ? 'an option' : 'an index or a local value';
    fail(context, 'E106', span, `\`${name}\` is ${is}, not a tensor`, {
      labels: [{ span: other.span, text: 'declared here' }],
      help: `write \`${name}\` without brackets`,
    });
  }
  const later = context.declared.get(name);
  if (later !== undefined) {
    fail(context, 'E104', span, `\`${name}\` is used before its definition`, {
      labels: [{ span: later, text: 'defined here' }],
      help: 'move the definition up; a tensor cannot use itself',
    });
  }
  const tensors = [...context.entries].filter(([, t]) => t.kind === 'tensor').map(([n]) => n);
  return fail(context, 'E103', span, `no tensor is called \`${name}\``, {
    help: suggest(name, tensors, 'known tensors'),
  });
}

function elaborateAccess(env: Env, e: ExprSyntax & { readonly kind: 'access' }): Expr {
  const { context } = env;
  const tensor = findTensor(env, e.tensor.text, e.tensor.span);
  if (tensor.shape.length !== e.indices.length) {
    const wanted = tensor.shape.length;
    fail(
      context,
      'E301',
      e.span,
      `\`${tensor.name}\` has ${count(wanted, 'axis', 'axes')} but ${count(e.indices.length, 'index is', 'indices are')} given`,
      {
        labels: [{ span: tensor.span, text: `\`${tensor.name}\` has shape ${tensor.shapeText}` }],
        help: `write \`${tensor.name}[${tensor.shape.map((_, i) => clip(e.indices[i] === undefined ? '…' : printExpr(e.indices[i]))).join(', ')}]\``,
      },
    );
  }
  const indices = all(e.indices, (index, i) => {
    const value = elaborate(env, index);
    if (value.type === 'i32') return value;
    const where = `axis ${i + 1} of \`${tensor.name}\``;
    return fail(
      context,
      'E403',
      index.span,
      `${shown(index)} is ${value.type === 'bool' ? 'a bool' : 'an f32'}, and ${where} is indexed by i32`,
      {
        labels: [{ span: tensor.span, text: `\`${tensor.name}\` has shape ${tensor.shapeText}` }],
        help: `convert it: \`i32(${clip(printExpr(index))})\``,
      },
    );
  });
  if (tensor.constant !== null) return tensor.constant;
  const type = tensor.storage === 'f32' || tensor.storage === 'f16' ? 'f32' : 'i32';
  return { kind: 'access', tensor: tensor.name, indices, inBounds: indices.map(() => false), type, span: e.span };
}

export const count = (n: number, one: string, many: string): string => `${n === 0 ? 'no' : n} ${n === 1 ? one : many}`;

/** A bool, or E401. */
function condition(env: Env, value: Expr, e: ExprSyntax, where: string): Expr {
  if (value.type === 'bool') return value;
  return fail(
    env.context,
    'E401',
    e.span,
    `\`${where}\` takes a bool, and ${shown(e)} is ${value.type === 'f32' ? 'an f32' : 'an i32'}`,
    {
      help: `compare it: \`${clip(printExpr(e, 5))} != 0\``,
    },
  );
}

const comparisonOps: Partial<Record<BinaryOperator, ScalarOp>> = {
  '==': 'eq',
  '!=': 'ne',
  '<': 'lt',
  '<=': 'le',
  '>': 'gt',
  '>=': 'ge',
};
const arithmeticOps: Partial<Record<BinaryOperator, ScalarOp>> = { '+': 'add', '-': 'sub', '*': 'mul' };

function elaborateBinary(env: Env, e: ExprSyntax & { readonly kind: 'binary' }): Expr {
  const operands = all([e.left, e.right], (operand) => elaborate(env, operand));
  const [left, right] = operands;
  if (left === undefined || right === undefined) return silently();
  if (e.op === 'and' || e.op === 'or') {
    const args = all([e.left, e.right], (operand, i) => condition(env, operands[i] ?? left, operand, e.op));
    return keep(env, op(e.op, args, 'bool', e.span), e.span);
  }
  if (e.op === '^') return power(env, e, toNumber(left), right);
  if (e.op === '//' || e.op === '%') return divideWhole(env, e, toNumber(left), toNumber(right));
  if (e.op === '/') {
    if (right.kind === 'literal' && right.value === 0 && e.right.kind === 'number') {
      fail(env.context, 'E407', e.right.span, 'this divides by zero', { help: 'divide by another number' });
    }
    return keep(env, op('div', [toF32(left), toF32(right)], 'f32', e.span), e.span);
  }
  const [a, b] = unify(left, right);
  const comparison = comparisonOps[e.op];
  if (comparison !== undefined) return keep(env, op(comparison, [a, b], 'bool', e.span), e.span);
  return keep(env, op(arithmeticOps[e.op] ?? 'add', [a, b], a.type, e.span), e.span);
}

/** x ^ n as products of the shared x. Of sizes it is a size, with any exponent. */
function power(env: Env, e: ExprSyntax & { readonly kind: 'binary' }, base: Expr, exponent: Expr): Expr {
  const { context } = env;
  const baseSize = asSize(base);
  const exponentSize = asSize(exponent);
  if (baseSize !== null && exponentSize !== null)
    return sizeValue(powerOf(context, e.span, baseSize, exponentSize), e.span);
  const times = exponent.kind === 'literal' && exponent.type === 'i32' ? exponent.value : null;
  if (times === null || times < 0 || times > 16) {
    return fail(context, 'E408', e.right.span, `the exponent ${shown(e.right)} is not a whole number from 0 to 16`, {
      help: 'other powers are `exp(y * ln(x))`, a root is `sqrt(x)`, a reciprocal `1 / x`',
    });
  }
  let value = literal(1, base.type, e.span);
  for (let i = 0; i < times; i++)
    value = i === 0 ? base : keep(env, op('mul', [value, base], base.type, e.span), e.span);
  return checkMeasure(env, value, e.span);
}

function divideWhole(env: Env, e: ExprSyntax & { readonly kind: 'binary' }, left: Expr, right: Expr): Expr {
  const { context } = env;
  if (left.type !== 'i32' || right.type !== 'i32') {
    const wrong = left.type === 'i32' ? e.right : e.left;
    fail(context, 'E406', wrong.span, `\`${e.op}\` divides whole numbers, and ${shown(wrong)} is an f32`, {
      help: e.op === '//' ? '`floor(a / b)` divides f32' : '`a - b * floor(a / b)` is the remainder of f32',
    });
  }
  const divisor = asSize(right);
  if (divisor === null) {
    fail(
      context,
      'E406',
      e.right.span,
      `the divisor of \`${e.op}\` must be a number or a size, not ${shown(e.right)}`,
      {
        help: 'so that it cannot be zero at run time; `floor(a / b)` divides by anything',
      },
    );
  }
  const value = Sizes.constantOf(divisor);
  if (value !== null && value < 0)
    fail(context, 'E406', e.right.span, `the divisor of \`${e.op}\` is ${value}; it must be above 0`, {
      help: '`floor(a / b)` divides by anything',
    });
  if (value === 0 && e.right.kind === 'number')
    fail(context, 'E407', e.right.span, 'this divides by zero', { help: 'divide by another number' });
  return keep(env, op(e.op === '//' ? 'floordiv' : 'mod', [left, right], 'i32', e.span), e.span);
}

function elaborateIf(env: Env, e: ExprSyntax & { readonly kind: 'if' }): Expr {
  const { context } = env;
  const decided = attempt(() => condition(env, elaborate(env, e.condition), e.condition, 'if'));
  const dead = decided?.kind === 'literal' && !context.generic ? (decided.value === 0 ? e.then : e.otherwise) : null;
  const branches = [e.then, e.otherwise].map((branch) => {
    const before = context.problems.length;
    const value = attempt(() => elaborate(env, branch));
    // What a branch that is never taken does with this layer's sizes is nobody's problem; its type still counts.
    if (branch === dead) context.problems.length = before;
    return value;
  });
  const [then, otherwise] = branches;
  if (decided === null || then === undefined || otherwise === undefined) return silently();
  if (then === null || otherwise === null) {
    const taken = dead === e.then ? otherwise : then;
    return dead !== null && taken !== null ? taken : silently();
  }
  if ((then.type === 'bool') !== (otherwise.type === 'bool')) {
    fail(context, 'E404', e.span, 'one branch is a bool, the other a number', {
      labels: [
        { span: e.then.span, text: `this is ${typeText(then)}` },
        { span: e.otherwise.span, text: `this is ${typeText(otherwise)}` },
      ],
      help: 'make the bool a number with `i32(…)`, or the number a bool with `… != 0`',
    });
  }
  const [a, b] = then.type === 'bool' ? [then, otherwise] : unify(then, otherwise);
  return select(decided, a, b, e.span);
}

export const typeText = (e: Expr): string => (e.type === 'bool' ? 'a bool' : e.type === 'f32' ? 'an f32' : 'an i32');
