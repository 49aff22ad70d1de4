/**
 * Numbers stored as f16 become bit arithmetic: exact, denormals, infinities and NaN included. Read as a signed integer and shifted up
 * by 13, the sign stands in four bits, of which three belong to the exponent: those are cleared, and set where all five bits of
 * the exponent are. Then exponents are rebiased by a multiplication, which also normalises denormals.
 *
 * The four constants that this takes come from memory. V8 makes a vector constant anew wherever it is used, in up to seven
 * instructions; what was loaded before a loop stays in its register.
 */
import { rowMajor } from '@espalier/artefact';
import { Sizes } from '@espalier/ir';
import { rewriteBinding } from '../../../kernel-ir/bind.ts';
import * as k from '../../../kernel-ir/build.ts';
import type { Expr, Kernel, KernelBuffer } from '../../../kernel-ir/types.ts';
import { Names } from '../../../kernel-ir/walk.ts';

/** Sign and f16's exponent and fraction where f32 has them. */
const KEPT = 0x8fffe000 | 0;
/** f16's exponent. */
const EXPONENT = 0x7c00;
/** The bits of f32's exponent that f16 lacks. */
const TOP = 0x70000000;
/** 2^112 as f32: the difference of the biases. */
const SCALE = (127 + 112) << 23;
const CONSTANTS = [KEPT, EXPONENT, TOP, SCALE] as const;

/** Expects flat indices. Loads of f16 are of their bits afterwards, sign-extended. */
export function widenHalves(kernel: Kernel): Kernel {
  const halves = new Set(kernel.buffers.filter((b) => b.storage === 'f16').map((b) => b.name));
  if (halves.size === 0) return kernel;
  const names = new Names(kernel);
  const constants: KernelBuffer = {
    name: names.fresh('constants'),
    space: 'private',
    access: 'read_write',
    storage: 'i32',
    shape: [Sizes.constant(CONSTANTS.length)],
    layout: rowMajor(1),
  };
  const body = rewriteBinding(kernel.body, names, (e, bind) => {
    if (e.kind !== 'load' || !halves.has(e.buffer) || e.type.scalar !== 'f32') return e;
    const { lanes } = e.type;
    const constant = (value: (typeof CONSTANTS)[number]): Expr =>
      lanes === 1
        ? k.i32(value)
        : k.splat(k.load(constants.name, [k.i32(CONSTANTS.indexOf(value))], k.scalar('i32')), lanes);
    const bits = bind('half', { ...e, type: k.vector('i32', lanes) });
    const shifted = k.op('bit_and', k.op('shl', bits, k.splat(k.i32(13), lanes)), constant(KEPT));
    const isSpecial = k.op('eq', k.op('bit_and', bits, constant(EXPONENT)), constant(EXPONENT));
    const special = k.op('select', isSpecial, constant(TOP), k.splat(k.i32(0), lanes));
    return k.op('mul', k.op('from_bits', k.op('bit_or', shifted, special)), k.op('from_bits', constant(SCALE)));
  });
  const stores = CONSTANTS.map((value, i) => k.store(constants.name, [k.i32(i)], k.i32(value)));
  return { ...kernel, buffers: [...kernel.buffers, constants], body: [...stores, ...body] };
}
