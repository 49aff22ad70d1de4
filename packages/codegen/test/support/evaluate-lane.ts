/**
 * An executable meaning of Kernel IR arithmetic: compiles an expression with its lets to a JavaScript function of one
 * lane that rounds to f32 after every operation. Elementwise code computes each lane alike, so splats are transparent.
 */

import type { Expr, KernelOp } from '../../src/kernel-ir/types.ts';
import type { Expansion } from '../../src/passes/expand-math/expansions.ts';

/** How `fma` rounds: once, or twice as a multiplication and an addition. */
export type FmaMode = 'fused' | 'mul + add';

const floats = new Float32Array(1);
const ints = new Int32Array(floats.buffer);

/** The bits of an f32, as i32. */
export function bitsOf(x: number): number {
  floats[0] = x;
  return ints[0] ?? 0;
}

/** The f32 with these bits. */
export function fromBits(bits: number): number {
  ints[0] = bits;
  return floats[0] ?? 0;
}

/** Ties to even, signed zero kept. */
export function nearest(x: number): number {
  if (Math.abs(x) >= 2 ** 23 || Number.isNaN(x)) return x;
  const magic = x < 0 ? -(2 ** 52) : 2 ** 52;
  return x + magic - magic;
}

const unsupported = (what: string): never => {
  throw new Error(`evaluate-lane: no meaning for ${what}`);
};

type Printer = (args: readonly string[], ofInts: boolean) => string;
const binary =
  (sign: string): Printer =>
  ([a, b], ofInts) =>
    ofInts ? `((${a} ${sign} ${b}) | 0)` : `fround(${a} ${sign} ${b})`;
const plain =
  (sign: string): Printer =>
  ([a, b]) =>
    `(${a} ${sign} ${b})`;

function printers(fma: FmaMode): Readonly<Partial<Record<KernelOp, Printer>>> {
  return {
    add: binary('+'),
    sub: binary('-'),
    mul: ([a, b], ofInts) => (ofInts ? `Math.imul(${a}, ${b})` : `fround(${a} * ${b})`),
    div: binary('/'),
    // A product of two f32 is exact in f64; the sum's rounding to f64 before f32 is negligible here.
    fma: ([a, b, c]) => (fma === 'fused' ? `fround(${a} * ${b} + ${c})` : `fround(fround(${a} * ${b}) + ${c})`),
    neg: ([a], ofInts) => (ofInts ? `(-${a} | 0)` : `(-${a})`),
    min: ([a, b]) => `Math.min(${a}, ${b})`,
    max: ([a, b]) => `Math.max(${a}, ${b})`,
    nearest: ([a]) => `nearest(${a})`,
    lt: plain('<'),
    le: plain('<='),
    gt: plain('>'),
    ge: plain('>='),
    eq: plain('==='),
    ne: plain('!=='),
    select: ([mask, then, otherwise]) => `(${mask} ? ${then} : ${otherwise})`,
    bit_and: plain('&'),
    bit_or: plain('|'),
    bit_xor: plain('^'),
    shl: plain('<<'),
    shr_s: plain('>>'),
    shr_u: ([a, b]) => `((${a} >>> ${b}) | 0)`,
    bits_of: ([a]) => `bitsOf(${a})`,
    from_bits: ([a]) => `fromBits(${a})`,
    to_f32: ([a]) => `fround(${a})`,
  };
}

/** A function of the value of the ref `argument`; all lets run, in order, then the value is returned. */
export function compileLane(expansion: Expansion, argument: string, fma: FmaMode): (x: number) => number {
  const table = printers(fma);
  const print = (e: Expr): string => {
    switch (e.kind) {
      case 'literal':
        return Object.is(e.value, -0) ? '(-0)' : `(${e.value})`;
      case 'ref':
        return e.name;
      case 'splat':
        return print(e.value);
      case 'op': {
        const printer = table[e.op] ?? unsupported(e.op);
        return printer(e.args.map(print), e.args[0]?.type.scalar === 'i32');
      }
      default:
        return unsupported(e.kind);
    }
  };
  const lets = expansion.lets.map((l) => `const ${l.name} = ${print(l.value)};`);
  const body = `return function lane(${argument}) { ${lets.join(' ')} return ${print(expansion.value)}; };`;
  const make = new Function('fround', 'nearest', 'bitsOf', 'fromBits', body);
  return make(Math.fround, nearest, bitsOf, fromBits) as (x: number) => number;
}
