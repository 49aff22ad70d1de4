/**
 * Expressions as WGSL text, with the parentheses its grammar asks for. One table has an answer for every operation; what
 * has none among WGSL's operators and functions is a helper function (helpers.ts).
 */
import type { Expr, KernelBuffer, KernelOp } from '../../../kernel-ir/types.ts';
import { children } from '../../../kernel-ir/walk.ts';
import type { Helpers } from './helpers.ts';
import { INFINITY, literal, NAN, typeName, unsignedName } from './literals.ts';

/** How tightly a text binds. Shifts and bitwise operators take only unary operands, whatever C does. */
const BITS = 0;
const LOGIC = 1;
const RELATION = 2;
const SHIFT = 3;
const SUM = 4;
const PRODUCT = 5;
const UNARY = 6;
const ATOM = 7;

interface Printed {
  readonly text: string;
  readonly level: number;
  /** The operator, of a chain that may go on. */
  readonly chain?: string;
}

type Op = Extract<Expr, { kind: 'op' }>;
type Load = Extract<Expr, { kind: 'load' }>;

/** What a printed expression may refer to. */
export interface Context {
  readonly kernel: string;
  readonly buffers: ReadonlyMap<string, KernelBuffer>;
  /** WGSL names of lets, variables, indices, dims and buffers of the kernel. */
  readonly name: (name: string) => string;
  /** Whether the buffer's elements are narrower than its words. */
  readonly packed: (buffer: KernelBuffer) => boolean;
  /** Whether the buffer is an array of vectors of four. */
  readonly wide: (buffer: string) => boolean;
  /** Whether the buffer is an array of f16. */
  readonly half: (buffer: KernelBuffer) => boolean;
  readonly helpers: Helpers;
  /** Whether all threads are seen to have the same value. */
  readonly visible: (e: Expr) => boolean;
}

const atom = (text: string): Printed => ({ text, level: ATOM });
const call = (name: string, ...args: readonly string[]): Printed => atom(`${name}(${args.join(', ')})`);
const wrapped = (p: Printed, level: number): string => (p.level >= level ? p.text : `(${p.text})`);

type Speller = (e: Op, args: readonly [Printed, Printed, Printed], c: Context) => Printed;

const arithmetic =
  (sign: string, level: number): Speller =>
  (_, [a, b]) => ({ text: `${wrapped(a, level)} ${sign} ${wrapped(b, level + 1)}`, level });
const relation =
  (sign: string): Speller =>
  (_, [a, b]) => ({ text: `${wrapped(a, SHIFT)} ${sign} ${wrapped(b, SHIFT)}`, level: RELATION });
const chained =
  (sign: string, level: number, operand: number): Speller =>
  (_, [a, b]) => ({
    text: `${a.chain === sign ? a.text : wrapped(a, operand)} ${sign} ${wrapped(b, operand)}`,
    level,
    chain: sign,
  });
const unary =
  (sign: string): Speller =>
  (_, [a]) => ({ text: `${sign}${a.text.startsWith(sign) ? `(${a.text})` : wrapped(a, UNARY)}`, level: UNARY });
const named =
  (name: string): Speller =>
  (e, args) =>
    call(name, ...args.slice(0, e.args.length).map((a) => a.text));
const converted =
  (word: 'bitcast' | 'value'): Speller =>
  (e, [a]) =>
    call(word === 'bitcast' ? `bitcast<${typeName(e.type)}>` : typeName(e.type), a.text);
const gone: Speller = (e, _, c) => {
  throw new Error(`legalise left ${e.op} in ${c.kernel}`);
};

/** `max` and `min` of WGSL may drop a NaN; those of layers keep it. */
const extreme: Speller = (e, [a, b], c) =>
  call(e.type.scalar === 'f32' ? c.helpers.extreme(e.op === 'max' ? 'max' : 'min', e.type) : e.op, a.text, b.text);

/** Logic on single conditions may stop at the first operand, unless lanes meet in the second. */
const logic =
  (short: string, bitwise: string): Speller =>
  (e, args, c) =>
    (e.type.lanes === 1 && !meets(e.args[1] as Expr) ? chained(short, LOGIC, RELATION) : chained(bitwise, BITS, UNARY))(
      e,
      args,
      c,
    );

const meets = (e: Expr): boolean => e.kind === 'subgroup_fold' || e.kind === 'shuffle' || children(e).some(meets);

const bitwise =
  (sign: string): Speller =>
  (e, args, c) => {
    const [a, b] = args.map((p, i) => mask(e.args[i], p)) as [Printed, Printed];
    return chained(sign, BITS, UNARY)(e, [a, b, b], c);
  };

/** Literals are easier to read in hexadecimal where they stand for bits. */
function mask(e: Expr | undefined, p: Printed): Printed {
  const value = e?.kind === 'splat' ? e.value : e;
  if (e === undefined || value?.kind !== 'literal' || value.value < 10) return p;
  const text = `0x${value.value.toString(16)}`;
  return e.kind === 'splat' ? call(typeName(e.type), text) : atom(text);
}

/** By how many bits: u32 in as many lanes. */
function count(e: Expr, p: Printed): string {
  const value = e.kind === 'splat' ? e.value : e;
  const { lanes } = e.type;
  if (value.kind !== 'literal') return `${unsignedName(lanes)}(${p.text})`;
  return lanes === 1 ? `${value.value}u` : `${unsignedName(lanes)}(${value.value}u)`;
}

const shift =
  (sign: string): Speller =>
  (e, [a, b]) => ({ text: `${wrapped(a, UNARY)} ${sign} ${count(e.args[1] as Expr, b)}`, level: SHIFT });

const sum: Speller = (e, args, c) => {
  const b = e.args[1];
  const negative = b?.kind === 'literal' && b.type.scalar === 'i32' && b.value < 0 && b.value > -(2 ** 31);
  if (!negative) return arithmetic('+', SUM)(e, args, c);
  return { text: `${wrapped(args[0], SUM)} - ${-b.value}`, level: SUM };
};

/** How every operation is written. */
const spellers: { readonly [K in KernelOp]: Speller } = {
  add: sum,
  sub: arithmetic('-', SUM),
  mul: arithmetic('*', PRODUCT),
  div: arithmetic('/', PRODUCT),
  floordiv: arithmetic('/', PRODUCT),
  mod: arithmetic('%', PRODUCT),
  min: extreme,
  max: extreme,
  neg: unary('-'),
  abs: named('abs'),
  fma: named('fma'),
  sqrt: named('sqrt'),
  exp: gone, // these four by expand-math
  ln: gone,
  tanh: gone,
  erf: gone,
  floor: named('floor'),
  nearest: named('round'),
  eq: relation('=='),
  // Of NaN, `!=` may be false.
  ne: (e, args, c) =>
    e.args[0]?.type.scalar === 'f32'
      ? { text: `!(${relation('==')(e, args, c).text})`, level: UNARY }
      : relation('!=')(e, args, c),
  lt: relation('<'),
  le: relation('<='),
  gt: relation('>'),
  ge: relation('>='),
  and: logic('&&', '&'),
  or: logic('||', '|'),
  not: unary('!'),
  select: (_, [condition, then, otherwise]) => call('select', otherwise.text, then.text, condition.text),
  bit_and: bitwise('&'),
  bit_or: bitwise('|'),
  bit_xor: bitwise('^'),
  shl: shift('<<'),
  shr_s: shift('>>'),
  shr_u: (e, [a, b]) => {
    const bits = `${unsignedName(e.type.lanes)}(${a.text}) >> ${count(e.args[1] as Expr, b)}`;
    return call(typeName(e.type), bits);
  },
  dot_i16: (_, [a, b]) => {
    const half = (word: Printed, from: number): string => `extractBits(${word.text}, ${from}u, 16u)`;
    return { text: `${half(a, 0)} * ${half(b, 0)} + ${half(a, 16)} * ${half(b, 16)}`, level: SUM };
  },
  bits_of: converted('bitcast'),
  from_bits: converted('bitcast'),
  to_f32: converted('value'),
  to_i32: (e, args, c) =>
    e.args[0]?.type.scalar === 'f32'
      ? call(c.helpers.toInteger(e.type.lanes), args[0].text)
      : converted('value')(e, args, c),
};

const LETTERS = ['x', 'y', 'z', 'w'];

/** The text of an expression that stands alone: between commas, brackets, or `=` and `;`. */
export const printed = (e: Expr, c: Context): string => print(e, c).text;

function print(e: Expr, c: Context): Printed {
  switch (e.kind) {
    case 'literal': {
      const text = literal(e.value, e.type.scalar);
      if (text.endsWith(INFINITY)) c.helpers.needs(INFINITY);
      if (text === NAN) c.helpers.needs(NAN);
      return { text, level: text.startsWith('-') ? UNARY : ATOM };
    }
    case 'ref':
    case 'dim':
      return atom(c.name(e.name));
    case 'builtin':
      if (e.which !== 'lane') throw new Error(`legalise left ${e.which} in ${c.kernel}`);
      return atom(c.helpers.lane());
    case 'load':
      return load(e, c);
    case 'op': {
      const [a, b, d] = e.args.map((x) => print(x, c));
      const none = atom('');
      return spellers[e.op](e, [a ?? none, b ?? none, d ?? none], c);
    }
    case 'splat':
      return call(typeName(e.type), printed(e.value, c));
    case 'lanes':
      return call(typeName(e.type), ...e.elements.map((x) => printed(x, c)));
    case 'extract':
      return atom(`${wrapped(print(e.value, c), ATOM)}.${LETTERS[e.lane] ?? ''}`);
    case 'subgroup_fold':
      return call(c.helpers.fold(e.op, e.type), ...c.helpers.foldArguments(), printed(e.value, c));
    case 'shuffle':
      return shuffle(e, c);
    case 'fold':
      throw new Error(`legalise left ${e.kind} in ${c.kernel}`);
  }
}

function shuffle(e: Extract<Expr, { kind: 'shuffle' }>, c: Context): Printed {
  const lane = print(e.lane, c);
  const [mine, value] = [c.helpers.lane(), printed(e.value, c)];
  if (e.mode === 'index' && c.visible(e.lane)) return call(c.helpers.told(e.type), mine, value, lane.text);
  const from = e.mode === 'index' ? lane.text : `${mine} ^ ${wrapped(lane, UNARY)}`;
  return call(c.helpers.shuffle(e.type), mine, value, from);
}

function bufferOf(name: string, c: Context): KernelBuffer {
  const buffer = c.buffers.get(name);
  if (buffer === undefined) throw new Error(`${c.kernel} has no buffer ${name}`);
  return buffer;
}

/** An element of a buffer: "k0_x[i + 3]". */
export function place(name: string, index: Expr, offset: number, c: Context): string {
  const at = print(index, c);
  if (index.kind === 'literal') return `${c.name(name)}[${index.value + offset}]`;
  const moved = offset === 0 ? at.text : `${wrapped(at, SUM)} ${offset < 0 ? '-' : '+'} ${Math.abs(offset)}`;
  return `${c.name(name)}[${moved}]`;
}

function load(e: Load, c: Context): Printed {
  const buffer = bufferOf(e.buffer, c);
  const index = e.indices[0] as Expr;
  if (c.packed(buffer)) return packedLoad(e, buffer.storage === 'f16', c);
  const text = place(e.buffer, index, e.offset, c);
  return c.half(buffer) ? call(typeName(e.type), text) : atom(text);
}

/** Elements of a buffer of words. Vectors begin at a multiple of their length, so two f16 or four i8 are one word. */
function packedLoad(e: Load, half: boolean, c: Context): Printed {
  const { lanes } = e.type;
  const index = print(e.indices[0] as Expr, c);
  const at = wrapped(index, UNARY);
  const name = c.name(e.buffer);
  if (half) {
    const word = `unpack2x16float(${name}[${at} >> 1u])`;
    if (lanes === 1) return atom(`${word}[${at} & 1]`);
    return lanes === 2 ? atom(word) : call('vec4f', word, `unpack2x16float(${name}[(${at} >> 1u) + 1])`);
  }
  const word = `${name}[${at} >> 2u]`;
  if (lanes === 1) return call('extractBits', word, `u32(${at} & 3) * 8u`, '8u');
  // Each byte to the top of a word of its own, and down again with its sign.
  const tops = lanes === 4 ? 'vec4u(24u, 16u, 8u, 0u)' : `(vec2u(24u, 16u) - u32(${at} & 2) * 8u)`;
  return { text: `(vec${lanes}i(${word}) << ${tops}) >> vec${lanes}u(24u)`, level: SHIFT };
}

/** What is stored for a value: f16 memory takes f16. */
export function storedValue(buffer: string, value: Expr, c: Context): string {
  const text = printed(value, c);
  if (!c.half(bufferOf(buffer, c))) return text;
  return value.type.lanes === 1 ? `f16(${text})` : `vec${value.type.lanes}h(${text})`;
}
