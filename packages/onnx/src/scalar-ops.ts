/**
 * Every scalar operation of the Layer IR in ONNX operators. Most are one operator; the others are spelled out where ONNX
 * leaves open what the Layer IR settles (integer rounding, conversions out of range, comparing and choosing booleans).
 */
import type { ScalarOp, ValueType } from '@espalier/ir';
import { elementTypes } from './proto.ts';
import { elementwise, type Labelled, type Space, scalar, type Value } from './values.ts';

const i64 = (space: Space, operand: Labelled): Labelled =>
  elementwise(space, 'Cast', [operand], { to: elementTypes.i64 });
const asType = (labelled: Labelled, type: ValueType): Value => ({ ...labelled, type });

/** A value converted to a type that can hold it. */
export function cast(space: Space, value: Value, type: 'f32' | 'i32'): Value {
  if (value.type === type) return value;
  return asType(elementwise(space, 'Cast', [value], { to: elementTypes[type] }), type);
}

/** `condition ? then : otherwise`, element by element; both are computed. */
export function choose(space: Space, condition: Labelled, then: Value, otherwise: Value): Value {
  if (then.type !== 'bool') return asType(elementwise(space, 'Where', [condition, then, otherwise]), then.type);
  // ONNX Runtime has no Where for booleans.
  const unless = elementwise(space, 'Not', [condition]);
  const taken = elementwise(space, 'And', [condition, then]);
  return asType(elementwise(space, 'Or', [taken, elementwise(space, 'And', [unless, otherwise])]), 'bool');
}

/** Quotient and remainder that round towards minus infinity. In int64, where the least i32 divided by −1 does not trap. */
function floored(space: Space, a: Value, b: Value): { readonly quotient: Value; readonly remainder: Value } {
  const zero = { name: space.builder.constant('i64', [], [0]), axes: [] };
  const one = { name: space.builder.constant('i64', [], [1]), axes: [] };
  const dividend = i64(space, a);
  const wide = i64(space, b);
  // A divisor of 0 is a fault elsewhere, where an element is computed; constant folding would compute it all the same, and end the process.
  const divisor = elementwise(space, 'Where', [elementwise(space, 'Equal', [wide, zero]), one, wide]);
  const remainder = elementwise(space, 'Mod', [dividend, divisor]);
  const quotient = elementwise(space, 'Div', [elementwise(space, 'Sub', [dividend, remainder]), divisor]);
  const narrow = (wideValue: Labelled): Value =>
    asType(elementwise(space, 'Cast', [wideValue], { to: elementTypes.i32 }), 'i32');
  return { quotient: narrow(quotient), remainder: narrow(remainder) };
}

/** Truncates, saturates, and gives 0 for NaN: a bare Cast is undefined outside the range of i32. */
function toI32(space: Space, x: Value): Value {
  if (x.type !== 'f32') return cast(space, x, 'i32');
  const limit = scalar(space, 'f32', 2 ** 31);
  const low = scalar(space, 'f32', -(2 ** 31));
  const over = elementwise(space, 'GreaterOrEqual', [x, limit]);
  const under = elementwise(space, 'LessOrEqual', [x, low]);
  const nan = elementwise(space, 'IsNaN', [x]);
  const wild = elementwise(space, 'Or', [elementwise(space, 'Or', [over, under]), nan]);
  const tame = cast(space, choose(space, wild, scalar(space, 'f32', 0), x), 'i32');
  const capped = choose(space, over, scalar(space, 'i32', 2 ** 31 - 1), tame);
  return choose(space, under, scalar(space, 'i32', -(2 ** 31)), capped);
}

/** `a` and `b` are the operands; unary operations get their only operand as both. */
type Rule = (space: Space, a: Value, b: Value, type: ValueType) => Value;

const unary =
  (operator: string): Rule =>
  (space, a, _b, type) =>
    asType(elementwise(space, operator, [a]), type);
const binary =
  (operator: string): Rule =>
  (space, a, b, type) =>
    asType(elementwise(space, operator, [a, b]), type);
/** Booleans compare as 0 and 1. */
const ordered =
  (operator: string): Rule =>
  (space, a, b) => {
    const number = (value: Value): Value => (value.type === 'bool' ? cast(space, value, 'i32') : value);
    return asType(elementwise(space, operator, [number(a), number(b)]), 'bool');
  };

/** The rule of each operation. */
export const scalarRules: { readonly [K in ScalarOp]: Rule } = {
  add: binary('Add'),
  sub: binary('Sub'),
  mul: binary('Mul'),
  div: binary('Div'),
  floordiv: (space, a, b) => floored(space, a, b).quotient,
  mod: (space, a, b) => floored(space, a, b).remainder,
  min: binary('Min'),
  max: binary('Max'),
  neg: unary('Neg'),
  abs: unary('Abs'),
  sqrt: unary('Sqrt'),
  exp: unary('Exp'),
  ln: unary('Log'),
  tanh: unary('Tanh'),
  erf: unary('Erf'),
  floor: unary('Floor'),
  eq: ordered('Equal'),
  ne: (space, a, b) => asType(elementwise(space, 'Not', [ordered('Equal')(space, a, b, 'bool')]), 'bool'),
  lt: ordered('Less'),
  le: ordered('LessOrEqual'),
  gt: ordered('Greater'),
  ge: ordered('GreaterOrEqual'),
  and: binary('And'),
  or: binary('Or'),
  not: unary('Not'),
  to_f32: (space, a) => cast(space, a, 'f32'),
  to_i32: (space, a) => toI32(space, a),
};
