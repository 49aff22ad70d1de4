/**
 * The meaning of every scalar operation, as JavaScript text. f32 values are JavaScript numbers (float64), i32 values are
 * numbers that hold 32-bit integers (arithmetic wraps), bool values are booleans.
 */
import erf from '@stdlib/math-base-special-erf';
import type { ScalarOp, ValueType } from '../layer-ir.ts';

const integer = (type: ValueType): boolean => type === 'i32';
const wrapped = (type: ValueType, text: string): string => (integer(type) ? `(${text} | 0)` : `(${text})`);

/** The text of `op` applied to the texts of its operands, which have type `type`. `h` is `scalarHelpers`. */
export const scalarText: { readonly [K in ScalarOp]: (a: string, b: string, type: ValueType) => string } = {
  add: (a, b, type) => wrapped(type, `${a} + ${b}`),
  sub: (a, b, type) => wrapped(type, `${a} - ${b}`),
  mul: (a, b, type) => (integer(type) ? `Math.imul(${a}, ${b})` : `(${a} * ${b})`),
  div: (a, b) => `(${a} / ${b})`,
  floordiv: (a, b) => `(Math.floor(${a} / ${b}) | 0)`,
  mod: (a, b) => `h.mod(${a}, ${b})`,
  min: (a, b) => `Math.min(${a}, ${b})`,
  max: (a, b) => `Math.max(${a}, ${b})`,
  neg: (a, _b, type) => wrapped(type, `-${a}`),
  abs: (a, _b, type) => wrapped(type, `Math.abs(${a})`),
  sqrt: (a) => `Math.sqrt(${a})`,
  exp: (a) => `Math.exp(${a})`,
  ln: (a) => `Math.log(${a})`,
  tanh: (a) => `Math.tanh(${a})`,
  erf: (a) => `h.erf(${a})`,
  floor: (a) => `Math.floor(${a})`,
  eq: (a, b) => `(${a} === ${b})`,
  ne: (a, b) => `(${a} !== ${b})`,
  lt: (a, b) => `(${a} < ${b})`,
  le: (a, b) => `(${a} <= ${b})`,
  gt: (a, b) => `(${a} > ${b})`,
  ge: (a, b) => `(${a} >= ${b})`,
  and: (a, b) => `(${a} && ${b})`,
  or: (a, b) => `(${a} || ${b})`,
  not: (a) => `(!${a})`,
  to_f32: (a) => `(+${a})`,
  to_i32: (a, _b, type) => (type === 'f32' ? `h.toI32(${a})` : `(+${a})`),
};

/** The operations that compare two numbers. */
export const comparisons: ReadonlySet<ScalarOp> = new Set<ScalarOp>(['eq', 'ne', 'lt', 'le', 'gt', 'ge']);

/** What the texts call by the name `h`. */
export const scalarHelpers = {
  erf,
  /** Rounds towards minus infinity: the result has the divisor's sign. 0 for a divisor of 0, as `| 0` of NaN is. */
  mod: (a: number, b: number): number => (a - b * Math.floor(a / b)) | 0,
  toI32: (x: number): number => (Number.isNaN(x) ? 0 : Math.max(-2147483648, Math.min(2147483647, Math.trunc(x))) | 0),
} as const;

/** A number as JavaScript text that can stand anywhere in an expression. */
export function numberText(value: number): string {
  if (Object.is(value, -0)) return '(-0)';
  return value < 0 ? `(${value})` : String(value);
}
