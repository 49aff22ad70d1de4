/**
 * The Layer IR evaluated by recursion over its expressions, remembering nothing: slow, and written apart from the
 * interpreter, to check that its emitted loops and remembered walks mean the same.
 */

import { scalarHelpers } from '../../src/interpret/scalar.ts';
import type { Expr, LayerIR, ScalarOp } from '../../src/layer-ir.ts';
import { evaluate, type Size } from '../../src/size.ts';

type Scope = ReadonlyMap<string, number>;
export type Numbers = { readonly [index: number]: number; readonly length: number };

const bit = (condition: boolean): number => (condition ? 1 : 0);
const scalar: { readonly [K in ScalarOp]: (a: number, b: number) => number } = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  floordiv: (a, b) => Math.floor(a / b),
  mod: (a, b) => a - b * Math.floor(a / b),
  min: Math.min,
  max: Math.max,
  neg: (a) => -a,
  abs: Math.abs,
  sqrt: Math.sqrt,
  exp: Math.exp,
  ln: Math.log,
  tanh: Math.tanh,
  erf: scalarHelpers.erf,
  floor: Math.floor,
  eq: (a, b) => bit(a === b),
  ne: (a, b) => bit(a !== b),
  lt: (a, b) => bit(a < b),
  le: (a, b) => bit(a <= b),
  gt: (a, b) => bit(a > b),
  ge: (a, b) => bit(a >= b),
  and: Math.min,
  or: Math.max,
  not: (a) => 1 - a,
  to_f32: (a) => a,
  to_i32: scalarHelpers.toI32,
};

/** All tensors of a layer by name. Small numbers only: i32 arithmetic doesn't wrap here. */
export function slowLayer(
  ir: LayerIR,
  dims: Readonly<Record<string, number>>,
  given: Readonly<Record<string, Numbers>>,
): ReadonlyMap<string, Numbers> {
  const sizes = new Map(Object.entries(dims));
  const extent = (size: Size): number => evaluate(size, sizes);
  const tensors = new Map<string, Numbers>(Object.entries(given));
  const shapes = new Map(ir.tensors.map((tensor) => [tensor.name, tensor.shape.map(extent)]));

  function read(name: string, indices: readonly number[]): number {
    const shape = shapes.get(name) ?? [];
    const outside = indices.some((index, k) => !(index >= 0 && index < (shape[k] ?? 0)));
    const value = tensors.get(name)?.[indices.reduce((at, index, k) => at * (shape[k] ?? 0) + index, 0)];
    if (outside || value === undefined) throw new RangeError(`${name}[${indices.join(', ')}]`);
    return value;
  }

  /** Every combination of indices, the last running fastest. */
  function* points(ranges: readonly { readonly name: string; readonly size: Size }[], scope: Scope): Generator<Scope> {
    const [first, ...rest] = ranges;
    if (first === undefined) yield scope;
    else for (let i = 0; i < extent(first.size); i++) yield* points(rest, new Map(scope).set(first.name, i));
  }

  function reduce(expr: Extract<Expr, { kind: 'reduce' }>, scope: Scope): number {
    const terms = [...points(expr.indices, scope)].map((point) => numberOf(expr.body, point));
    if (expr.op === 'sum') return terms.reduce((a, b) => a + b, 0);
    if (expr.op === 'prod') return terms.reduce((a, b) => a * b, 1);
    if (expr.op === 'max') return Math.max(...terms);
    if (expr.op === 'min') return Math.min(...terms);
    const numbers = terms.filter((term) => !Number.isNaN(term));
    const best = expr.op === 'argmax' ? Math.max(...numbers) : Math.min(...numbers);
    return numbers.length === 0 ? 0 : terms.indexOf(best);
  }

  function walk(expr: Extract<Expr, { kind: 'descend' }>, scope: Scope): number {
    let node = numberOf(expr.init, scope);
    let sum = 0;
    for (let level = 0; level < extent(expr.levels); level++) {
      const here = new Map(scope).set(expr.node, node);
      for (const item of expr.lets) here.set(item.name, numberOf(item.value, here));
      if (expr.yield !== null) sum += numberOf(expr.yield, here);
      node = numberOf(expr.next, here);
    }
    return expr.result === null ? sum : numberOf(expr.result, new Map(scope).set(expr.node, node));
  }

  function numberOf(expr: Expr, scope: Scope): number {
    switch (expr.kind) {
      case 'literal':
        return expr.value;
      case 'index':
      case 'local':
        return scope.get(expr.name) ?? Number.NaN;
      case 'size':
        return extent(expr.size);
      case 'access':
        return read(
          expr.tensor,
          expr.indices.map((index) => numberOf(index, scope)),
        );
      case 'op': {
        const [a = Number.NaN, b = Number.NaN] = expr.args.map((arg) => numberOf(arg, scope));
        return scalar[expr.op](a, b);
      }
      case 'select':
        return numberOf(numberOf(expr.condition, scope) !== 0 ? expr.then : expr.otherwise, scope);
      case 'reduce':
        return reduce(expr, scope);
      case 'descend':
        return walk(expr, scope);
    }
  }

  for (const { target, axes, value } of ir.statements) {
    tensors.set(
      target,
      [...points(axes, new Map())].map((point) => numberOf(value, point)),
    );
  }
  return tensors;
}
