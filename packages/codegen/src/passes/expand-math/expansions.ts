/**
 * exp, ln, tanh and erf as plain f32 and i32 arithmetic: one expansion for every target, so that targets agree.
 *
 * Branch-free (`select`), the same code for scalars and vectors. Three habits keep results right on machines whose
 * compilers assume there is no NaN or infinity, or reassociate floats: arguments are clamped, classified and signed by
 * integer operations on their bits; 2^n is built from bits; and a NaN is made from the bits of the argument at run time,
 * since a NaN constant does not compile everywhere. Rounding is `nearest`, not the add-and-subtract trick.
 *
 * Largest errors in ulp of the f32 result, against f64 references, and operations (bit casts not counted):
 *
 *            fma fused    fma as mul + add    operations, of them fma
 *   exp      0.95         1.25                24, 8
 *   ln       0.95         1.0                 33, 11
 *   tanh     2.6          2.6                 23, 9
 *   erf      1.6          1.7                 33, 17
 *
 * Measured at every 29th finite f32 and at every one with 1/128 ≤ |x| < 128, then rounded up; the tests assert them on
 * a sample. gelu(x) = 0.5·x·(1 + erf(x / √2)) made from this erf is within 5e-7 and within 1.25e-7·|x|.
 *
 * They hold where +, −, ·, / round correctly. A machine whose division is looser (WGSL: 2.5 ulp) adds that to tanh. A
 * machine that flushes denormals gives exp(x) = 0 for x < −87.34 and flushes denormal tanh and erf; ln of a denormal
 * stays right as long as loads keep its bits. Signs of zero are kept by tanh and erf.
 */
import { add, f32, i32, mul, op, ref, splat, sub } from '../../kernel-ir/build.ts';
import type { Expr, KernelOp, Stmt } from '../../kernel-ir/types.ts';
import { erfFar, erfNear, exp2, expTail, lnTail } from './coefficients.ts';

/** The operations no machine has. */
export type MathOp = Extract<KernelOp, 'exp' | 'ln' | 'tanh' | 'erf'>;

export type Let = Extract<Stmt, { kind: 'let' }>;

/** `value` may use the names that `lets`, run in order just before, define. */
export interface Expansion {
  readonly lets: readonly Let[];
  readonly value: Expr;
}

/** Expands one call. `x` is f32 of any lanes; `fresh` makes a name new to the kernel that contains the hint. */
export type Expander = (x: Expr, fresh: (hint: string) => string) => Expansion;

/** What an expansion is written with: `keep` names a value that is used more than once. */
interface Writer {
  readonly keep: (hint: string, value: Expr) => Expr;
  readonly real: (value: number) => Expr;
  readonly int: (value: number) => Expr;
}

const expander =
  (write: (x: Expr, writer: Writer) => Expr): Expander =>
  (x, fresh) => {
    const lets: Let[] = [];
    const keep = (hint: string, value: Expr): Expr => {
      if (value.kind === 'ref') return value;
      const name = fresh(hint);
      lets.push({ kind: 'let', name, value });
      return ref(name, value.type);
    };
    const { lanes } = x.type;
    const value = write(keep('x', x), {
      keep,
      real: (c) => splat(f32(Math.fround(c)), lanes),
      int: (c) => splat(i32(c | 0), lanes),
    });
    return { lets, value };
  };

const fma = (a: Expr, b: Expr, c: Expr): Expr => op('fma', a, b, c);
const bitsOf = (a: Expr): Expr => op('bits_of', a);
const fromBits = (a: Expr): Expr => op('from_bits', a);
const select = (mask: Expr, then: Expr, otherwise: Expr): Expr => op('select', mask, then, otherwise);

const magnitude = 0x7fffffff;
const sign = 0x80000000;
const infinity = 0x7f800000;
const quietNaN = 0x7fc00000;
/** 1.5·2^23: adding it to an integer |n| < 2^22 leaves n in the low bits of the sum's bits. */
const shifter = 12582912;

/** ln 2 in two parts; the first has 10 significant bits, so that its product with an exponent is exact (Cephes). */
const ln2High = 0.693359375;
const ln2Low = -0.00021219444005469057;

const bitsOfConstant = (value: number): number => new Int32Array(new Float32Array([value]).buffer)[0] ?? 0;

const horner = (coefficients: readonly number[], x: Expr, { real }: Writer): Expr =>
  coefficients.map(real).reduceRight((sum, c) => fma(sum, x, c));

/** 2^n for integral −126 ≤ n ≤ 127 held as f32. The bits of n + (shifter + 127) end in n's biased exponent. */
const power2 = (n: Expr, { real, int }: Writer): Expr =>
  fromBits(op('shl', bitsOf(add(n, real(shifter + 127))), int(23)));

/** x where its magnitude bits are above those of infinity (NaN, made quiet), else `otherwise`. */
const nanOr = (bits: Expr, magnitudeBits: Expr, otherwise: Expr, { int }: Writer): Expr =>
  select(op('gt', magnitudeBits, int(infinity)), fromBits(op('bit_or', bits, int(quietNaN))), otherwise);

/** Splits x into bits, magnitude bits, sign bit and |x| limited to `limit`. A NaN is limited too: end with `nanOr`. */
function split(x: Expr, limit: number, { keep, int }: Writer) {
  const bits = keep('bits', bitsOf(x));
  const size = keep('size', op('bit_and', bits, int(magnitude)));
  const limited = op('min', size, int(bitsOfConstant(limit)));
  return { bits, size, limited, signBit: op('bit_and', bits, int(sign)) };
}

/**
 * e^x = 2^n · e^r with n = round(x / ln 2). The scaling is two multiplications by about 2^(n/2), so that overflow
 * gives infinity and denormal results round once. Beyond ±105 the result no longer changes.
 */
const exp = expander((x, writer) => {
  const { keep, real, int } = writer;
  const { bits, size, limited, signBit } = split(x, 105, writer);
  const y = keep('y', fromBits(op('bit_or', limited, signBit)));
  const n = keep('n', op('nearest', mul(y, real(Math.LOG2E))));
  const r = keep('r', fma(n, real(-ln2Low), fma(n, real(-ln2High), y)));
  const power = horner([1, 1, ...expTail], r, writer);
  // Twice the bias added: halves of the low nine bits are then the biased exponents of two factors.
  const twice = keep('twice', bitsOf(add(n, real(shifter + 254))));
  const half = keep('half', op('shr_u', twice, int(1)));
  const factor = (exponent: Expr): Expr => fromBits(op('shl', exponent, int(23)));
  return nanOr(bits, size, mul(mul(power, factor(half)), factor(sub(twice, half))), writer);
});

/**
 * x = 2^k · (1 + f) with 2/3 ≤ 1 + f < 4/3, ln x = k ln 2 + ln(1 + f). A denormal is read as its bits, an integer
 * counting 2^-149s.
 */
const ln = expander((x, writer) => {
  const { keep, real, int } = writer;
  const bits = keep('bits', bitsOf(x));
  const denormal = keep('denormal', op('lt', bits, int(0x00800000)));
  const normal = keep('normal', select(denormal, bitsOf(op('to_f32', bits)), bits));
  const twoThirds = int(bitsOfConstant(2 / 3));
  const k = keep('k', op('shr_s', sub(normal, twoThirds), int(23)));
  const f = keep('f', sub(fromBits(sub(normal, op('shl', k, int(23)))), real(1)));
  const n = keep('n', add(op('to_f32', k), select(denormal, real(-149), real(0))));
  const tail = fma(mul(f, f), horner(lnTail, f, writer), fma(n, real(ln2Low), f));
  const finite = fma(n, real(ln2High), tail);
  // From here to the outside: +inf and NaN; any sign bit → NaN; both zeros → −inf, by setting the bits of −inf.
  const positive = select(op('ge', bits, int(infinity)), add(x, x), finite);
  const signed = select(op('lt', bits, int(0)), fromBits(op('bit_or', bits, int(quietNaN))), positive);
  const zero = op('eq', op('bit_and', bits, int(magnitude)), int(0));
  return select(zero, fromBits(op('bit_or', bits, int(0xff800000))), signed);
});

/**
 * tanh t = h / (h + 1) with h = (e^2t − 1) / 2, which keeps its relative accuracy down to denormals because
 * h = 2^n · (e^2r − 1) / 2 + (2^n − 1) / 2 and n = 0 for small t. From 10 on the result is 1.
 */
const tanh = expander((x, writer) => {
  const { keep, real } = writer;
  const { bits, size, limited, signBit } = split(x, 10, writer);
  const t = keep('t', fromBits(limited));
  const n = keep('n', op('nearest', mul(t, real(2 * Math.LOG2E))));
  const r = keep('r', fma(n, real(-ln2Low / 2), fma(n, real(-ln2High / 2), t)));
  // exp's q at 2r: (e^2r − 1) / 2 = r + r² · 2q(2r), and powers of two scale the coefficients exactly.
  const tail = expTail.map((c, power) => c * 2 ** (power + 1));
  const grown = fma(mul(r, r), horner(tail, r, writer), r);
  const scale = keep('scale', power2(n, writer));
  const h = keep('h', fma(scale, grown, fma(scale, real(0.5), real(-0.5))));
  const ratio = op('div', h, add(h, real(1)));
  return nanOr(bits, size, fromBits(op('bit_or', bitsOf(ratio), signBit)), writer);
});

/** A polynomial in t² below 0.9; above, 1 − 2^q(t), where the subtraction forgives q's rounding. From 4 on the result is 1. */
const erf = expander((x, writer) => {
  const { keep, real, int } = writer;
  const { bits, size, limited, signBit } = split(x, 4, writer);
  const t = keep('t', fromBits(limited));
  const near = fma(t, horner(erfNear, keep('z', mul(t, t)), writer), t);
  const q = keep('q', horner(erfFar, t, writer));
  const n = keep('n', op('nearest', q));
  const power = mul(horner(exp2, keep('f', sub(q, n)), writer), power2(n, writer));
  const value = select(op('lt', size, int(bitsOfConstant(0.9))), near, sub(real(1), power));
  return nanOr(bits, size, fromBits(op('bit_or', bitsOf(value), signBit)), writer);
});

/** The expansion of each operation; stated ranges and errors are at the head of this file. */
export const expansions: Readonly<Record<MathOp, Expander>> = { exp, ln, tanh, erf };
