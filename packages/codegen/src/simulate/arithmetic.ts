/**
 * The arithmetic of Kernel IR in JavaScript: what each operation is written as, f32 rounded after each, and the functions that
 * the text calls. A bool is 0 or 1. One table gives every operation its meaning; vectors are done element by element.
 */
import type { FoldOp, KernelOp, MmaPrecision, ScalarType } from '../kernel-ir/types.ts';

const floats = new Float32Array(1);
const ints = new Int32Array(floats.buffer);

/** The bits of an f32, as i32. */
export function bitsOf(x: number): number {
  floats[0] = x;
  return ints[0] as number;
}

/** The f32 with these bits. */
export function fromBits(bits: number): number {
  ints[0] = bits;
  return floats[0] as number;
}

/** Ties to even, signed zero kept. */
export function nearest(x: number): number {
  if (Math.abs(x) >= 2 ** 23 || Number.isNaN(x)) return x;
  const magic = x < 0 ? -(2 ** 52) : 2 ** 52;
  return x + magic - magic;
}

/** Towards zero; NaN is 0, and what does not fit the nearest that does. */
export const toInteger = (x: number): number =>
  Number.isNaN(x) ? 0 : Math.max(-2147483648, Math.min(2147483647, Math.trunc(x)));

/** In float64: 2/√π · e^(−x²) · Σ 2ⁿ x²ⁿ⁺¹ / (2n + 1)!!, of which no term is negative (Abramowitz and Stegun 7.1.6). */
export function erf(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
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

/** Names that the text of operations uses, in the order of `helpers`. Division is the machine's: it reports zeros. */
export const helperNames = ['fround', 'bitsOf', 'fromBits', 'nearest', 'toInteger', 'erf'] as const;
export const helpers = [Math.fround, bitsOf, fromBits, nearest, toInteger, erf] as const;

/** `ofInts`: the first operand is i32. Operands are used once each. `zero` is called in place of a quotient by zero. */
type Printer = (args: readonly string[], ofInts: boolean, zero: string) => string;

const arithmetic =
  (sign: string): Printer =>
  ([a, b], ofInts) =>
    ofInts ? `((${a} ${sign} ${b}) | 0)` : `fround(${a} ${sign} ${b})`;
const comparison =
  (sign: string): Printer =>
  ([a, b]) =>
    `(${a} ${sign} ${b} ? 1 : 0)`;
const bits =
  (sign: string): Printer =>
  ([a, b]) =>
    `(${a} ${sign} ${b})`;
const rounded =
  (name: string): Printer =>
  ([a]) =>
    `fround(${name}(${a}))`;
const unary =
  (name: string): Printer =>
  ([a]) =>
    `${name}(${a})`;
const binary =
  (name: string): Printer =>
  ([a, b]) =>
    `${name}(${a}, ${b})`;

const powerOfTwo = (text: string | undefined): number | null => {
  const value = Number(text);
  return Number.isInteger(value) && value > 0 && (value & (value - 1)) === 0 ? Math.log2(value) : null;
};

const printers: Readonly<Record<KernelOp, Printer>> = {
  add: arithmetic('+'),
  sub: arithmetic('-'),
  mul: ([a, b], ofInts) => (ofInts ? `Math.imul(${a}, ${b})` : `fround(${a} * ${b})`),
  div: arithmetic('/'),
  floordiv: ([a, b], _, zero) => {
    const shift = powerOfTwo(b);
    return shift === null ? `(Math.floor(${a} / (${b} || ${zero})) | 0)` : `(${a} >> ${shift})`;
  },
  mod: ([a, b], _, zero) => {
    const shift = powerOfTwo(b);
    return shift === null ? `remainder(${a}, ${b} || ${zero})` : `(${a} & ${2 ** shift - 1})`;
  },
  min: binary('Math.min'),
  max: binary('Math.max'),
  neg: ([a], ofInts) => (ofInts ? `(-${a} | 0)` : `(-${a})`),
  abs: ([a], ofInts) => (ofInts ? `(Math.abs(${a}) | 0)` : `Math.abs(${a})`),
  // A product of two f32 is exact in f64, so this is off from one rounding only where f64 rounds the sum to a tie.
  fma: ([a, b, c]) => `fround(${a} * ${b} + ${c})`,
  sqrt: rounded('Math.sqrt'),
  exp: rounded('Math.exp'),
  ln: rounded('Math.log'),
  tanh: rounded('Math.tanh'),
  erf: rounded('erf'),
  floor: unary('Math.floor'),
  nearest: unary('nearest'),
  eq: comparison('==='),
  ne: comparison('!=='),
  lt: comparison('<'),
  le: comparison('<='),
  gt: comparison('>'),
  ge: comparison('>='),
  and: bits('&'),
  or: bits('|'),
  not: ([a]) => `(1 - ${a})`,
  select: ([mask, then, otherwise]) => `(${mask} !== 0 ? ${then} : ${otherwise})`,
  bit_and: bits('&'),
  bit_or: bits('|'),
  bit_xor: bits('^'),
  shl: bits('<<'),
  shr_s: bits('>>'),
  shr_u: ([a, b]) => `((${a} >>> ${b}) | 0)`,
  dot_i16: ([a, b]) => `(((${a} << 16) >> 16) * ((${b} << 16) >> 16) + (${a} >> 16) * (${b} >> 16) | 0)`,
  bits_of: unary('bitsOf'),
  from_bits: unary('fromBits'),
  to_f32: unary('fround'),
  to_i32: unary('toInteger'),
};

/** The text of an operation on scalars. `zero` is an expression evaluated where a divisor is zero, and taken in its place. */
export const printOp = (op: KernelOp, ofInts: boolean, args: readonly string[], zero: string): string =>
  printers[op](args, ofInts, zero);

/** a − ⌊a / b⌋ · b. */
export const remainder = (a: number, b: number): number => (a - Math.floor(a / b) * b) | 0;

type Meaning = (a: number, b?: number, c?: number) => number;
const meanings = new Map<string, Meaning>();

/** An operation as a function of scalars; `scalar` is the type of its first operand. Throws RangeError where an integer is divided by 0. */
export function meaningOf(op: KernelOp, scalar: ScalarType): Meaning {
  const key = `${op} ${scalar}`;
  const known = meanings.get(key);
  if (known !== undefined) return known;
  const zero = (): never => {
    throw new RangeError('integer division by 0');
  };
  const text = printOp(op, scalar === 'i32', ['a', 'b', 'c'], 'zero()');
  const make = new Function(...helperNames, 'remainder', 'zero', `'use strict'; return (a, b, c) => ${text};`);
  const meaning = make(...helpers, remainder, zero) as Meaning;
  meanings.set(key, meaning);
  return meaning;
}

/** Folds `count` values at the start of `values`, which it overwrites, pairwise: ((0∘2) ∘ (1∘3)) for four. */
export function foldValues(op: FoldOp, scalar: ScalarType, values: Float64Array, count: number): number {
  const combine = meaningOf(op, scalar);
  if ((count & (count - 1)) === 0) {
    for (let half = count >> 1; half > 0; half >>= 1)
      for (let i = 0; i < half; i++) values[i] = combine(values[i] as number, values[i + half] as number);
    return values[0] as number;
  }
  const fold = (start: number, step: number): number =>
    start + step >= count ? (values[start] as number) : combine(fold(start, 2 * step), fold(start + step, 2 * step));
  return fold(0, 1);
}
