/**
 * Operations on nothing but literals, computed here: a WGSL compiler would do it too, but refuses the program when a
 * constant overflows or is not a number.
 */
import * as k from '../../../kernel-ir/build.ts';
import type { Expr, KernelOp } from '../../../kernel-ir/types.ts';

type Meaning = (a: number, b: number, c: number) => number;
type Op = Extract<Expr, { kind: 'op' }>;

const cell = new DataView(new ArrayBuffer(4));
function bitsOf(value: number): number {
  cell.setFloat32(0, value);
  return cell.getInt32(0);
}
function fromBits(bits: number): number {
  cell.setInt32(0, bits);
  return cell.getFloat32(0);
}

function nearest(x: number): number {
  const below = Math.floor(x);
  const rest = x - below;
  const rounded = rest < 0.5 || (rest === 0.5 && below % 2 === 0) ? below : below + 1;
  return rounded === 0 && (x < 0 || Object.is(x, -0)) ? -0 : rounded;
}

/** Results are rounded to f32 or wrapped to i32 afterwards; null where `build` folds already or nothing is gained. */
const meanings: { readonly [K in KernelOp]: Meaning | null } = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  floordiv: null,
  mod: null,
  min: (a, b) => Math.min(a, b),
  max: (a, b) => Math.max(a, b),
  neg: (a) => -a,
  abs: Math.abs,
  fma: (a, b, c) => Math.fround(a * b) + c,
  sqrt: Math.sqrt,
  exp: null,
  ln: null,
  tanh: null,
  erf: null,
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
  shr_u: (a, b) => a >>> b,
  dot_i16: (a, b) => ((a << 16) >> 16) * ((b << 16) >> 16) + (a >> 16) * (b >> 16),
  bits_of: bitsOf,
  from_bits: fromBits,
  to_f32: (a) => a,
  to_i32: (a) => (Number.isNaN(a) ? 0 : Math.max(-2147483648, Math.min(2147483647, Math.trunc(a)))),
};

/** The value of a literal, or of one in all lanes. */
function constantOf(e: Expr): number | null {
  if (e.kind === 'splat') return constantOf(e.value);
  if (e.kind !== 'literal') return null;
  return e.type.scalar === 'f32' ? Math.fround(e.value) : e.value;
}

/** The operation, simpler where operands are constant: a literal where all are. */
export function foldConstant(e: Op): Expr {
  const args = e.args.map(constantOf);
  const [a, b = 0, c = 0] = args;
  const meaning = meanings[e.op];
  if (meaning === null || a === undefined || args.includes(null)) return k.op(e.op, ...e.args);
  const value = meaning(a as number, b as number, c as number);
  const { scalar, lanes } = e.type;
  // A product of i32 may need more bits than a double has.
  const integer = e.op === 'mul' ? Math.imul(a as number, b as number) : value | 0;
  const literal =
    scalar === 'f32' ? k.f32(Math.fround(value)) : scalar === 'i32' ? k.i32(integer) : k.bool(value !== 0);
  return k.splat(literal, lanes);
}
