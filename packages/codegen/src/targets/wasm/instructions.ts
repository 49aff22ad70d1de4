/** The instructions that `print` writes, as they stand in a binary: WebAssembly 2.0 and relaxed SIMD. */

/** What follows an instruction's code: nothing, the number of a lane, or a place in memory (the logarithm of its alignment). */
export interface Instruction {
  readonly code: readonly number[];
  readonly follows: 'nothing' | 'lane' | { readonly alignment: number };
}

/** Instructions whose operands and results are values alone. */
const plain: Readonly<Record<string, number>> = {
  select: 0x1b,
  'i32.eqz': 0x45,
  'i32.eq': 0x46,
  'i32.ne': 0x47,
  'i32.lt_s': 0x48,
  'i32.gt_s': 0x4a,
  'i32.le_s': 0x4c,
  'i32.ge_s': 0x4e,
  'f32.eq': 0x5b,
  'f32.ne': 0x5c,
  'f32.lt': 0x5d,
  'f32.gt': 0x5e,
  'f32.le': 0x5f,
  'f32.ge': 0x60,
  'i32.add': 0x6a,
  'i32.sub': 0x6b,
  'i32.mul': 0x6c,
  'i32.div_s': 0x6d,
  'i32.rem_s': 0x6f,
  'i32.and': 0x71,
  'i32.or': 0x72,
  'i32.xor': 0x73,
  'i32.shl': 0x74,
  'i32.shr_s': 0x75,
  'i32.shr_u': 0x76,
  'f32.abs': 0x8b,
  'f32.neg': 0x8c,
  'f32.floor': 0x8e,
  'f32.nearest': 0x90,
  'f32.sqrt': 0x91,
  'f32.add': 0x92,
  'f32.sub': 0x93,
  'f32.mul': 0x94,
  'f32.div': 0x95,
  'f32.min': 0x96,
  'f32.max': 0x97,
  'f32.convert_i32_s': 0xb2,
  'f32.convert_i32_u': 0xb3,
  'i32.reinterpret_f32': 0xbc,
  'f32.reinterpret_i32': 0xbe,
};

/** The same with vectors, after SIMD's prefix. */
const vectors: Readonly<Record<string, number>> = {
  'i32x4.splat': 0x11,
  'f32x4.splat': 0x13,
  'i32x4.eq': 0x37,
  'i32x4.ne': 0x38,
  'i32x4.lt_s': 0x39,
  'i32x4.gt_s': 0x3b,
  'i32x4.le_s': 0x3d,
  'i32x4.ge_s': 0x3f,
  'f32x4.eq': 0x41,
  'f32x4.ne': 0x42,
  'f32x4.lt': 0x43,
  'f32x4.gt': 0x44,
  'f32x4.le': 0x45,
  'f32x4.ge': 0x46,
  'v128.not': 0x4d,
  'v128.and': 0x4e,
  'v128.or': 0x50,
  'v128.xor': 0x51,
  'v128.bitselect': 0x52,
  'f32x4.floor': 0x68,
  'f32x4.nearest': 0x6a,
  'i16x8.extend_low_i8x16_s': 0x87,
  'i32x4.abs': 0xa0,
  'i32x4.neg': 0xa1,
  'i32x4.extend_low_i16x8_s': 0xa7,
  'i32x4.shl': 0xab,
  'i32x4.shr_s': 0xac,
  'i32x4.shr_u': 0xad,
  'i32x4.add': 0xae,
  'i32x4.sub': 0xb1,
  'i32x4.mul': 0xb5,
  'i32x4.min_s': 0xb6,
  'i32x4.max_s': 0xb8,
  'f32x4.abs': 0xe0,
  'f32x4.neg': 0xe1,
  'f32x4.sqrt': 0xe3,
  'f32x4.add': 0xe4,
  'f32x4.sub': 0xe5,
  'f32x4.mul': 0xe6,
  'f32x4.div': 0xe7,
  'f32x4.min': 0xe8,
  'f32x4.max': 0xe9,
  'i32x4.trunc_sat_f32x4_s': 0xf8,
  'f32x4.convert_i32x4_s': 0xfa,
  'f32x4.relaxed_madd': 0x105,
};

const lanes: Readonly<Record<string, number>> = {
  'i32x4.extract_lane': 0x1b,
  'i32x4.replace_lane': 0x1c,
  'f32x4.extract_lane': 0x1f,
  'f32x4.replace_lane': 0x20,
};

/** Code and logarithm of the natural alignment. */
const scalarMemory: Readonly<Record<string, readonly [number, number]>> = {
  'i32.load': [0x28, 2],
  'f32.load': [0x2a, 2],
  'i32.load8_s': [0x2c, 0],
  'i32.load16_s': [0x2e, 1],
  'i32.store': [0x36, 2],
  'f32.store': [0x38, 2],
};
const vectorMemory: Readonly<Record<string, readonly [number, number]>> = {
  'v128.load': [0x00, 4],
  'v128.load16x4_s': [0x03, 3],
  'v128.load32_splat': [0x09, 2],
  'v128.store': [0x0b, 4],
  'v128.load32_zero': [0x5c, 2],
};

const [SIMD, SATURATING] = [0xfd, 0xfc];

/** SIMD's prefix and a number of at most 14 bits, seven to a byte. */
const afterSimd = (code: number): readonly number[] =>
  code < 0x80 ? [SIMD, code] : [SIMD, (code & 0x7f) | 0x80, code >> 7];

/** By name. Control, locals and constants, which are followed by something else, are not among them. */
export const instructions: ReadonlyMap<string, Instruction> = new Map<string, Instruction>([
  ['i32.trunc_sat_f32_s', { code: [SATURATING, 0x00], follows: 'nothing' }],
  ...entries(plain, (code) => ({ code: [code], follows: 'nothing' })),
  ...entries(vectors, (code) => ({ code: afterSimd(code), follows: 'nothing' })),
  ...entries(lanes, (code) => ({ code: afterSimd(code), follows: 'lane' })),
  ...entries(scalarMemory, ([code, alignment]) => ({ code: [code], follows: { alignment } })),
  ...entries(vectorMemory, ([code, alignment]) => ({ code: afterSimd(code), follows: { alignment } })),
]);

function entries<T>(
  table: Readonly<Record<string, T>>,
  make: (value: T) => Instruction,
): readonly (readonly [string, Instruction])[] {
  return Object.entries(table).map(([name, value]) => [name, make(value)]);
}
