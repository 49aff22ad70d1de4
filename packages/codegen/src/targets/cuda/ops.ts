/** How CUDA C++ writes each operation of Kernel IR on scalars; vectors are written element by element, in helpers made of these. */
import type { FoldOp, KernelOp, ScalarType, ValueType } from '../../kernel-ir/types.ts';
import { BINDS, call, choice, infix, prefix, primary, type Text } from '../../print/c-family.ts';
import { type Helper, ordinary, type Preamble } from './helper.ts';

/** What a spelling may depend on. */
export interface Circumstances {
  readonly preamble: Preamble;
  /** An i32 result may leave the range, and must wrap. */
  readonly wraps: boolean;
  /** The first operand is 0 or more. */
  readonly nonNegative: boolean;
  /** Written inside namespace espalier, whose own names hide CUDA's. */
  readonly nested: boolean;
}

type Write = (args: readonly Text[], c: Circumstances) => Text;

/** By the scalar type of the first operand; null where verify or an earlier pass leaves none. */
interface Spelling {
  readonly f32: Write | null;
  readonly i32: Write | null;
  readonly bool: Write | null;
}

const none: Spelling = { f32: null, i32: null, bool: null };
const [A, B] = [0, 1];
const arg = (args: readonly Text[], i: number): Text => args[i] ?? primary('');
const sign =
  (binds: number, text: string): Write =>
  (args) =>
    infix(binds, text, arg(args, A), arg(args, B));
const named =
  (name: string): Write =>
  (args) =>
    call(name, ...args);
const helper =
  (name: string): Write =>
  (args, c) =>
    call(c.preamble.use(name), ...args);
const native =
  (name: string): Write =>
  (args, c) =>
    call(c.nested ? `::${name}` : name, ...args);
const cast =
  (type: string): Write =>
  (args) =>
    prefix(`(${type})`, arg(args, A));

const wrapping =
  (name: string, binds: number, text: string): Write =>
  (args, c) =>
    c.wraps ? helper(`wrapping_${name}`)(args, c) : sign(binds, text)(args, c);
const arithmetic = (name: string, binds: number, text: string): Spelling => ({
  ...none,
  f32: sign(binds, text),
  i32: wrapping(name, binds, text),
});
const floats = (write: Write): Spelling => ({ ...none, f32: write });
const integers = (write: Write): Spelling => ({ ...none, i32: write });
const order = (text: string): Spelling => ({ ...none, f32: sign(BINDS.order, text), i32: sign(BINDS.order, text) });
const equality = (text: string): Spelling => {
  const write = sign(BINDS.equality, text);
  return { f32: write, i32: write, bool: write };
};
/** For a dividend that is not negative C's rounding is right. */
const division = (name: string, text: string): Spelling =>
  integers((args, c) => (c.nonNegative ? sign(BINDS.product, text)(args, c) : helper(name)(args, c)));
const unsignedShift = (text: string): Spelling =>
  integers((args) =>
    prefix('(int)', primary(`(${infix(BINDS.shift, text, prefix('(unsigned)', arg(args, A)), arg(args, B)).text})`)),
  );
/** Four products of −2^15 by itself are the only sum that is beyond an int, hence unsigned. */
const halvesTogether: Write = (args) => {
  const [a, b] = [arg(args, A), arg(args, B)];
  const low = infix(BINDS.product, '*', prefix('(short)', a), prefix('(short)', b));
  const high = infix(BINDS.product, '*', upper(a), upper(b));
  const unsigned = (product: Text): Text => prefix('(unsigned)', primary(`(${product.text})`));
  return prefix('(int)', primary(`(${infix(BINDS.sum, '+', unsigned(low), unsigned(high)).text})`));
};
const upper = (word: Text): Text => primary(`(${infix(BINDS.shift, '>>', word, primary('16')).text})`);
const choose: Write = ([condition, then, otherwise]) =>
  choice(condition ?? primary(''), then ?? primary(''), otherwise ?? primary(''));

const spellings: Readonly<Record<KernelOp, Spelling>> = {
  add: arithmetic('add', BINDS.sum, '+'),
  sub: arithmetic('sub', BINDS.sum, '-'),
  mul: arithmetic('mul', BINDS.product, '*'),
  div: floats(sign(BINDS.product, '/')),
  floordiv: division('floordiv', '/'),
  mod: division('mod', '%'),
  min: { ...none, f32: helper('min'), i32: native('min') },
  max: { ...none, f32: helper('max'), i32: native('max') },
  neg: {
    ...none,
    f32: (args) => prefix('-', arg(args, A)),
    i32: (args, c) => (c.wraps ? helper('wrapping_sub')([primary('0'), ...args], c) : prefix('-', arg(args, A))),
  },
  abs: {
    ...none,
    f32: named('fabsf'),
    i32: (args, c) => (c.wraps ? helper('wrapping_abs')(args, c) : call('abs', ...args)),
  },
  fma: floats(named('fmaf')),
  sqrt: floats(named('sqrtf')),
  exp: none, // gone after expand-math
  ln: none,
  tanh: none,
  erf: none,
  floor: floats(named('floorf')),
  nearest: floats(named('rintf')),
  eq: equality('=='),
  ne: equality('!='),
  lt: order('<'),
  le: order('<='),
  gt: order('>'),
  ge: order('>='),
  and: { ...none, bool: sign(BINDS.both, '&&') },
  or: { ...none, bool: sign(BINDS.either, '||') },
  not: { ...none, bool: (args) => prefix('!', arg(args, A)) },
  select: { f32: null, i32: null, bool: choose },
  bit_and: integers(sign(BINDS.bits, '&')),
  bit_or: integers(sign(BINDS.bits, '|')),
  bit_xor: integers(sign(BINDS.bits, '^')),
  shl: unsignedShift('<<'),
  shr_s: integers(sign(BINDS.shift, '>>')),
  shr_u: unsignedShift('>>'),
  dot_i16: integers(halvesTogether),
  bits_of: floats(named('__float_as_int')),
  from_bits: integers(named('__int_as_float')),
  to_f32: { ...none, i32: cast('float'), bool: cast('float') },
  to_i32: { ...none, f32: named('__float2int_rz'), bool: cast('int') },
};

/** An operation on scalars. `scalar` is the type of the first operand. */
export function writeOp(op: KernelOp, scalar: ScalarType, args: readonly Text[], c: Circumstances): Text {
  const write = spellings[op][scalar];
  if (write === null) throw new Error(`legalise left ${op} on ${scalar}`);
  return write(args, c);
}

const scalarNames: Readonly<Record<ScalarType, string>> = { f32: 'float', i32: 'int', bool: 'bool' };

/** The C++ type of a value, as it is written outside of namespace espalier. */
export function typeName(type: ValueType, preamble: Preamble): string {
  const scalar = scalarNames[type.scalar];
  if (type.lanes === 1) return scalar;
  return type.scalar === 'bool' ? preamble.use(`bool${type.lanes}`) : `${scalar}${type.lanes}`;
}

/** The member of a vector that lane `i` is. */
export const member = (i: number): string => 'xyzw'[i] ?? '';

/** Operations whose names are C++'s own. */
const otherNames: Readonly<Partial<Record<KernelOp, string>>> = { and: 'both', or: 'either', not: 'opposite' };

const inHelpers = (preamble: Preamble): Circumstances => ({
  preamble,
  wraps: true,
  nonNegative: false,
  nested: true,
});

/** An operation on vectors: a helper that does it element by element, made for this text. */
export function writeVectorOp(
  op: KernelOp,
  args: readonly Text[],
  types: readonly ValueType[],
  result: ValueType,
  preamble: Preamble,
): Text {
  const name = otherNames[op] ?? op;
  const parameters = types.map((t, i) => `${typeName(t, preamble)} ${'abc'[i]}`);
  const head = `${typeName(result, preamble)} ${name}(${parameters.join(', ')})`;
  preamble.make(head, (): Helper => {
    const elements = Array.from({ length: result.lanes }, (_, i) => {
      const operands = types.map((_t, j) => primary(`${'abc'[j]}.${member(i)}`));
      return writeOp(op, types[0]?.scalar ?? 'f32', operands, inHelpers(preamble)).text;
    });
    return ordinary(head, `return {${elements.join(', ')}};`);
  });
  return call(`espalier::${name}`, ...args);
}

/** All lanes of a vector folded, the order of Kernel IR's `fold`. */
export function writeFold(op: FoldOp, value: Text, type: ValueType, preamble: Preamble): Text {
  const scalar: ValueType = { scalar: type.scalar, lanes: 1 };
  const head = `${typeName(scalar, preamble)} fold_${op}(${typeName(type, preamble)} v)`;
  preamble.make(head, () => {
    const halves = (lanes: readonly number[]): Text => {
      if (lanes.length === 1) return primary(`v.${member(lanes[0] as number)}`);
      const parts = [0, 1].map((odd) => halves(lanes.filter((_, i) => i % 2 === odd)));
      return writeOp(op, type.scalar, parts, inHelpers(preamble));
    };
    return ordinary(head, `return ${halves(Array.from({ length: type.lanes }, (_, i) => i)).text};`);
  });
  return call(`espalier::fold_${op}`, value);
}

/** A scalar folded over the lanes of a warp, the order of Kernel IR's `subgroup_fold`: every lane gets the same bits. */
export function writeWarpFold(op: FoldOp, value: Text, scalar: ScalarType, preamble: Preamble): Text {
  const type = scalarNames[scalar];
  const head = `${type} warp_${op}(${type} v)`;
  preamble.make(head, () => {
    const step = writeOp(
      op,
      scalar,
      [primary('v'), primary('__shfl_xor_sync(0xffffffffu, v, distance)')],
      inHelpers(preamble),
    );
    return ordinary(head, `for (int distance = 16; distance > 0; distance /= 2) v = ${step.text};`, 'return v;');
  });
  return call(`espalier::warp_${op}`, value);
}
