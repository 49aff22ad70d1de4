/** The operations of Kernel IR on numbers and vectors, f32 rounded after each. */
import erf from '@stdlib/math-base-special-erf';
import type { FoldOp, KernelOp, MmaPrecision, ScalarType } from '../../src/kernel-ir/types.ts';
import { bitsOf, fromBits, nearest } from './evaluate-lane.ts';

/** A scalar, or the lanes of a vector; bool is 0 or 1. */
export type Value = number | readonly number[];

/** One element is a scalar. */
export const wrap = (elements: readonly number[]): Value =>
  elements.length === 1 ? (elements[0] as number) : elements;

type Meaning = (a: number, b: number, c: number) => number;

const byZero = (): never => {
  throw new RangeError('integer division by 0');
};
const float =
  (f: Meaning): Meaning =>
  (a, b, c) =>
    Math.fround(f(a, b, c));
const toInteger = (x: number): number =>
  Number.isNaN(x) ? 0 : Math.max(-2147483648, Math.min(2147483647, Math.trunc(x)));

/** On f32; operations that only integers or booleans have are in the next table. */
const floats: Readonly<Record<KernelOp, Meaning>> = {
  add: float((a, b) => a + b),
  sub: float((a, b) => a - b),
  mul: float((a, b) => a * b),
  div: float((a, b) => a / b),
  floordiv: (a, b) => (b === 0 ? byZero() : Math.floor(a / b)),
  mod: (a, b) => (b === 0 ? byZero() : a - Math.floor(a / b) * b),
  min: (a, b) => Math.min(a, b),
  max: (a, b) => Math.max(a, b),
  neg: (a) => -a,
  abs: Math.abs,
  fma: float((a, b, c) => a * b + c),
  sqrt: float(Math.sqrt),
  exp: float(Math.exp),
  ln: float(Math.log),
  tanh: float(Math.tanh),
  erf: float((a) => erf(a)),
  floor: Math.floor,
  nearest,
  eq: (a, b) => +(a === b),
  ne: (a, b) => +(a !== b),
  lt: (a, b) => +(a < b),
  le: (a, b) => +(a <= b),
  gt: (a, b) => +(a > b),
  ge: (a, b) => +(a >= b),
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  not: (a) => 1 - a,
  select: (mask, a, b) => (mask !== 0 ? a : b),
  bit_and: (a, b) => a & b,
  bit_or: (a, b) => a | b,
  bit_xor: (a, b) => a ^ b,
  shl: (a, b) => a << b,
  shr_s: (a, b) => a >> b,
  shr_u: (a, b) => (a >>> b) | 0,
  bits_of: bitsOf,
  from_bits: fromBits,
  to_f32: Math.fround,
  to_i32: toInteger,
};
const integers: Readonly<Partial<Record<KernelOp, Meaning>>> = {
  add: (a, b) => (a + b) | 0,
  sub: (a, b) => (a - b) | 0,
  mul: Math.imul,
  neg: (a) => -a | 0,
  abs: (a) => Math.abs(a) | 0,
};

/** `scalar` is the type of the first operand. */
export function applyOp(name: KernelOp, scalar: ScalarType, args: readonly Value[]): Value {
  const meaning = (scalar === 'i32' ? integers[name] : undefined) ?? floats[name];
  const vectors = args.map((a) => [a].flat());
  const [a = [], b = [], c = []] = vectors;
  return wrap(a.map((x, i) => meaning(x, b[i] as number, c[i] as number)));
}

/** Pairwise: ((0∘2) ∘ (1∘3)). */
export function foldLanes(name: FoldOp, scalar: ScalarType, lanes: readonly number[]): number {
  if (lanes.length === 1) return lanes[0] as number;
  const part = (odd: number): number =>
    foldLanes(
      name,
      scalar,
      lanes.filter((_, i) => i % 2 === odd),
    );
  return applyOp(name, scalar, [part(0), part(1)]) as number;
}

/** Rounds to a matrix unit's operand format, ties to even. */
export function roundTo(precision: MmaPrecision, x: number): number {
  if (precision === 'f32' || !Number.isFinite(x)) return x;
  if (precision === 'f16') return Math.f16round(x);
  const dropped = precision === 'bf16' ? 16 : 13;
  const bits = bitsOf(x);
  const half = (1 << (dropped - 1)) - 1 + ((bits >>> dropped) & 1);
  return fromBits((bits + half) & -(1 << dropped));
}
