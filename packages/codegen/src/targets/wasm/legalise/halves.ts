/**
 * Numbers stored as f16 become bit arithmetic: exact for all that are finite, denormals included; the runtime refuses others
 * (`Binding.finite`), since to read them too takes seven operations instead of three. Extended with its sign and shifted up by 13, a half has
 * sign, exponent and fraction where f32 has them, but the sign in four bits, of which three belong to the exponent: those are cleared.
 * Then exponents are rebiased by a multiplication, which also normalises denormals.
 *
 * Weights whose rows are whole blocks lie in pairs (layout `pairs`): a vector load then reads eight of them as four words, whose lower
 * halves are four neighbours and whose upper halves are four others. Half as many loads do, and none has to extend what it reads.
 *
 * Constants come from memory. V8 makes a vector constant anew wherever it is used, in up to seven instructions; what was loaded before
 * a loop stays in its register.
 */
import { type Layout, pairedPlace, rowMajor } from '@espalier/artefact';
import { Sizes } from '@espalier/ir';
import { type Affine, affine, plus, residue, toExpr } from '../../../kernel-ir/affine.ts';
import { type Bind, rewriteBinding } from '../../../kernel-ir/bind.ts';
import * as k from '../../../kernel-ir/build.ts';
import { multiplesIn } from '../../../kernel-ir/multiples.ts';
import type { Expr, Kernel, KernelBuffer } from '../../../kernel-ir/types.ts';
import { Names } from '../../../kernel-ir/walk.ts';

type Load = Extract<Expr, { kind: 'load' }>;

/** Sign and f16's exponent and fraction where f32 has them. */
const KEPT = 0x8fffe000 | 0;
/** 2^112 as f32: the difference of the biases. */
const SCALE = (127 + 112) << 23;
/** 2^13 in the lower half of a word. */
const LOWER = 1 << 13;
const CONSTANTS = [KEPT, SCALE, LOWER] as const;
type Constant = (typeof CONSTANTS)[number];

const LANES = 4;

/** What a load needs to know. */
interface Context {
  readonly block: number;
  readonly multiples: ReadonlyMap<string, number>;
  readonly bind: Bind;
  /** The constant as often as a value has lanes. */
  constant(value: Constant, lanes: number): Expr;
}

/** Expects flat indices. `block`: how many halves are paired, a power of two from 8 on. */
export function widenHalves(kernel: Kernel, block: number): Kernel {
  const stored = kernel.buffers.filter((b) => b.storage === 'f16');
  if (stored.length === 0) return kernel;
  const read = new Map(stored.map((b) => [b.name, boundAs(b, block)]));
  const names = new Names(kernel);
  const constants = names.fresh('constants');
  const multiples = multiplesIn(kernel.body, block);
  const constant = (value: Constant, lanes: number): Expr =>
    lanes === 1 ? k.i32(value) : k.splat(k.load(constants, [k.i32(CONSTANTS.indexOf(value))], k.scalar('i32')), lanes);
  const body = rewriteBinding(kernel.body, names, (e, bind) => {
    const buffer = e.kind === 'load' ? read.get(e.buffer) : undefined;
    if (e.kind !== 'load' || buffer === undefined || e.type.scalar !== 'f32') return e;
    const context: Context = { block, multiples, bind, constant };
    return buffer.storage === 'f16x2' ? fromPairs(e, context) : fromHalves(e, context);
  });
  const stores = CONSTANTS.map((value, i) => k.store(constants, [k.i32(i)], k.i32(value)));
  const memory: KernelBuffer = {
    name: constants,
    space: 'private',
    access: 'read_write',
    storage: 'i32',
    shape: [Sizes.constant(CONSTANTS.length)],
    layout: rowMajor(1),
  };
  const buffers = kernel.buffers.map((b) => read.get(b.name) ?? b);
  return { ...kernel, buffers: [...buffers, memory], body: [...stores, ...body] };
}

/** The buffer as it is bound: in pairs where its rows are whole blocks. Every kernel that reads it finds the same. */
function boundAs(buffer: KernelBuffer, block: number): KernelBuffer {
  const layout = pairedLayout(buffer, block);
  if (layout === null) return { ...buffer, bound: { layout: buffer.layout, finite: true } };
  return { ...buffer, storage: 'f16x2', bound: { layout, finite: true } };
}

function pairedLayout({ layout, shape }: KernelBuffer, block: number): Layout | null {
  const last = layout.at(-1);
  if (last === undefined) return null;
  const { axis } = last;
  const before = layout.slice(0, -1);
  if (last.part !== 'whole') return last.block === block ? [...before, { part: 'pairs', axis, block }] : null;
  const extent = Sizes.constantOf(shape[axis] ?? Sizes.constant(0)) ?? 0;
  if (extent === 0 || extent % block !== 0) return null;
  return [...before, { part: 'outer', axis, block }, { part: 'pairs', axis, block }];
}

/** The number of bits that have their places already, but for three of the sign's. */
function rebiased(shifted: Expr, { constant }: Context): Expr {
  const { lanes } = shifted.type;
  const kept = k.op('bit_and', shifted, constant(KEPT, lanes));
  return k.op('mul', k.op('from_bits', kept), k.op('from_bits', constant(SCALE, lanes)));
}

/** A load of halves one after another. */
function fromHalves(e: Load, context: Context): Expr {
  const bits: Expr = { ...e, type: k.vector('i32', e.type.lanes) };
  return rebiased(k.op('shl', bits, k.splat(k.i32(13), e.type.lanes)), context);
}

/** A load of halves that lie in pairs. */
function fromPairs(e: Load, context: Context): Expr {
  const { block, multiples, bind } = context;
  const flat = plus(affine(e.indices[0] as Expr), affine(k.i32(e.offset)));
  const within = residue(flat, block, multiples);
  if (e.type.lanes === 1) return fromHalves(moved(e, placeOf(flat, within, block, bind)), context);
  if (residue(flat, LANES, multiples) !== 0) {
    const each = Array.from({ length: LANES }, (_, i) => plus(flat, affine(k.i32(i))));
    return k.lanesOf(
      each.map((at) => {
        const one: Load = { ...e, type: k.scalar('f32') };
        return fromHalves(moved(one, placeOf(at, residue(at, block, multiples), block, bind)), context);
      }),
    );
  }
  const half = block / 2;
  if (within !== null) {
    const words = wordsOf(e, plus(flat, affine(k.i32(2 * (within % half) - within))));
    return rebiased(within < half ? lowered(words, context) : raised(words), context);
  }
  const { start, isSecond } = pairOf(flat, block, bind);
  const shift = k.op('shl', k.op('bit_xor', isSecond, k.i32(1)), k.i32(4));
  return rebiased(raised(k.op('shl', wordsOf(e, affine(start)), k.splat(shift, LANES))), context);
}

/** Where the pair of element `flat` begins, and whether the element is its second: found out when it runs. */
function pairOf(flat: Affine, block: number, bind: Bind): { readonly start: Expr; readonly isSecond: Expr } {
  const at = bind('at', toExpr(flat));
  const half = block / 2;
  const place = k.op('shl', k.op('bit_and', at, k.i32(half - 1)), k.i32(1));
  return {
    start: k.add(k.op('bit_and', at, k.i32(-block)), place),
    isSecond: k.op('bit_and', k.op('shr_u', at, k.i32(Math.log2(half))), k.i32(1)),
  };
}

/** The index of element `flat`, which stands at `within` of its block where that is known. */
function placeOf(flat: Affine, within: number | null, block: number, bind: Bind): Affine {
  if (within !== null) return plus(flat, affine(k.i32(pairedPlace(within, block) - within)));
  const { start, isSecond } = pairOf(flat, block, bind);
  return affine(k.add(start, isSecond));
}

/** The load, of another place. */
const moved = (e: Load, flat: Affine): Load => {
  const offset = flat.get('')?.coefficient ?? 0;
  return { ...e, indices: [toExpr(plus(flat, affine(k.i32(-offset))))], offset };
};

const wordsOf = (e: Load, flat: Affine): Expr => ({ ...moved(e, flat), type: k.vector('i32', LANES) });

/** Upper halves of words, three places below the top. */
const raised = (words: Expr): Expr => k.op('shr_s', words, k.splat(k.i32(3), LANES));
/** Lower halves at the same place: products with 2^13, made in one step where shifting there and back takes two. */
const lowered = (words: Expr, { constant }: Context): Expr => k.op('dot_i16', words, constant(LOWER, LANES));
