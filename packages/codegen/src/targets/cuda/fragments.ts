/**
 * Matrix units: fragments of Kernel IR as registers of a warp, by the instructions mma.sync. A fragment is cut into the
 * instruction's own tiles (a: 16 rows, b: 8 columns, accumulator: 16 x 8), row of tiles by row of tiles; which lane holds
 * which element of a tile is in the PTX manual under "Matrix fragments for mma.m16n8k8" and "… m16n8k16".
 */
import { Sizes } from '@espalier/ir';
import { affine, multiply, plus, toExpr } from '../../kernel-ir/affine.ts';
import * as k from '../../kernel-ir/build.ts';
import type { Expr, Kernel, KernelBuffer, MmaPrecision, Stmt } from '../../kernel-ir/types.ts';
import { visitStatements } from '../../kernel-ir/walk.ts';
import { type Helper, instruction, needing, ordinary, templated, together } from './helper.ts';
import { CudaRefusal } from './legalise.ts';

type Format = Exclude<MmaPrecision, 'f32'>;
type Depth = 8 | 16;

/** Registers (32 bits) of a lane for one tile of a. b takes half as many: it is 8 wide, not 16. */
const registersOfA = (format: Format, depth: Depth): number => (format === 'tf32' ? depth / 2 : depth / 4);

/** The function that multiplies two tiles. Asm is volatile because all lanes of the warp must come to it together. */
function multiplier(format: Format, depth: Depth): Helper {
  const count = registersOfA(format, depth);
  const operands = (from: number, n: number): string =>
    `{${Array.from({ length: n }, (_, i) => `%${from + i}`).join(', ')}}`;
  const inputs = (name: string, n: number): readonly string[] =>
    Array.from({ length: n }, (_, i) => `"r"(${name}[${i}])`);
  const c = operands(0, 4);
  return {
    ...ordinary(
      `void mma_k${depth}_${format}(float* c, const unsigned* a, const unsigned* b)`,
      `asm volatile("mma.sync.aligned.m16n8k${depth}.row.col.f32.${format}.${format}.f32 "`,
      `             "${c}, ${operands(4, count)}, ${operands(4 + count, count / 2)}, ${c};"`,
      '             : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])',
      `             : ${[...inputs('a', count), ...inputs('b', count / 2)].join(', ')});`,
    ),
    machine: true,
  };
}

const LANES = 'const int group = threadIdx.x % 32 / 4, member = threadIdx.x % 4;';

/**
 * Loads one tile of an operand and rounds it; `row` and `column` are the strides of `from`. 16-bit elements that are
 * neighbours in depth share a register, the first in its lower half.
 */
function loader(side: 'a' | 'b', format: Format | 'tf32_bits' | 'bf16_bits', depth: Depth): Helper {
  const pairs = format !== 'tf32' && format !== 'tf32_bits';
  const convert = format.replace('bf16_bits', 'f16');
  const at = (wide: number, deep: number): string => {
    const outer = wide === 0 ? 'group' : `(group + ${wide})`;
    const first = pairs ? 'member * 2' : 'member';
    const inner = deep === 0 ? (pairs ? `(${first})` : first) : `(${first} + ${deep})`;
    return side === 'a' ? `from[${outer} * row + ${inner} * column]` : `from[${inner} * row + ${outer} * column]`;
  };
  const places: string[] = [];
  for (let deep = 0; deep < depth; deep += pairs ? 8 : 4) {
    for (const wide of side === 'a' ? [0, 8] : [0]) {
      const value = pairs
        ? `${convert}_pair(${at(wide, deep)}, ${at(wide, deep + 1)})`
        : `${convert}(${at(wide, deep)})`;
      places.push(`to[${places.length}] = ${value};`);
    }
  }
  const head = `void load_${side}_k${depth}_${format}(unsigned* to, const T* from, int row, int column)`;
  return needing([pairs ? `${convert}_pair` : convert], templated('class T', ordinary(head, LANES, ...places)));
}

/** The places of an accumulator's tile, as statements that move each. */
const accumulated = (memory: string, move: (register: string, place: string) => string): readonly string[] =>
  [0, 1, 2, 3].map((i) => {
    const row = i < 2 ? 'group' : '(group + 8)';
    const column = i % 2 === 0 ? '(member * 2)' : '(member * 2 + 1)';
    return `${move(`c[${i}]`, `${memory}[${row} * row + ${column} * column]`)};`;
  });

const variants: readonly (readonly [Format, Depth])[] = [
  ['tf32', 8],
  ['f16', 8],
  ['f16', 16],
  ['bf16', 8],
  ['bf16', 16],
];

/** What is loaded of elements that were rounded before. */
const rounded = [
  ['tf32_bits', 8],
  ['bf16_bits', 8],
  ['bf16_bits', 16],
] as const;

/** Rows of eight 16-bit elements: each lane says where one begins, and gets two neighbours of one for every register. */
const rowLoader = (side: 'a' | 'b', from: string): Helper =>
  needing(
    ['load_rows'],
    ordinary(
      `void load_${side}_rows(unsigned* to, const unsigned short* from, int pitch)`,
      'const int lane = threadIdx.x % 32;',
      `load_rows(to, from + ${from});`,
    ),
  );

/** Two or four elements rounded and stored by one access. */
function roundedStore(format: Format, n: 2 | 4): Helper {
  const members = ['x', 'y', 'z', 'w'].slice(0, n).map((m) => `v.${m}`);
  if (format === 'tf32') {
    const each = members.map((m) => `f32_to_tf32(${m})`);
    const text = `*reinterpret_cast<float${n}*>(to) = {${each.join(', ')}};`;
    return needing(['f32_to_tf32'], ordinary(`void tf32_store${n}(float* to, float${n} v)`, text));
  }
  const pairs = members.flatMap((m, i) => (i % 2 === 0 ? [`${format}_pair(${m}, ${members[i + 1]})`] : []));
  const [type, value] = n === 2 ? ['unsigned', pairs[0]] : ['uint2', `{${pairs.join(', ')}}`];
  const head = `void ${format}_store${n}(unsigned short* to, float${n} v)`;
  return needing([`${format}_pair`], ordinary(head, `*reinterpret_cast<${type}*>(to) = ${value};`));
}

export const matrixHelpers: Readonly<Record<string, Helper>> = {
  // To 10 bits of fraction; of two equally near, the one away from 0.
  tf32: instruction('tf32(float a)', ['unsigned', 'r'], 'cvt.rna.tf32.f32 %0, %1', '"f"(a)'),
  f16_pair: together(
    instruction(
      'f16_pair(float low, float high)',
      ['unsigned', 'r'],
      'cvt.rn.f16x2.f32 %0, %1, %2',
      '"f"(high)',
      '"f"(low)',
    ),
    ordinary('unsigned f16_pair(unsigned short low, unsigned short high)', 'return low | (unsigned)high << 16;'),
  ),
  bf16_pair: instruction(
    'bf16_pair(float low, float high)',
    ['unsigned', 'r'],
    'cvt.rn.bf16x2.f32 %0, %1, %2',
    '"f"(high)',
    '"f"(low)',
  ),
  ...Object.fromEntries(variants.map(([format, depth]) => [`mma_k${depth}_${format}`, multiplier(format, depth)])),
  f32_to_bf16: instruction('f32_to_bf16(float a)', ['unsigned short', 'h'], 'cvt.rn.bf16.f32 %0, %1', '"f"(a)'),
  f32_to_tf32: needing(['tf32'], ordinary('float f32_to_tf32(float a)', 'return __int_as_float((int)tf32(a));')),
  tf32_bits: ordinary('unsigned tf32_bits(float a)', 'return (unsigned)__float_as_int(a);'),
  ...Object.fromEntries(
    ([2, 4] as const).flatMap((n) =>
      (['f16', 'bf16', 'tf32'] as const).map((format) => [`${format}_store${n}`, roundedStore(format, n)] as const),
    ),
  ),
  load_rows: {
    ...ordinary(
      'void load_rows(unsigned* to, const unsigned short* from)',
      'asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"',
      '             : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])',
      '             : "r"((unsigned)__cvta_generic_to_shared(from)) : "memory");',
    ),
    machine: true,
  },
  load_a_rows: rowLoader('a', 'lane % 16 * pitch + lane / 16 * 8'),
  load_b_rows: rowLoader('b', '(lane / 16 * 8 + lane % 8) * pitch + lane / 8 % 2 * 8'),
  ...Object.fromEntries(
    rounded.flatMap(([format, depth]) =>
      (['a', 'b'] as const).map((side) => [`load_${side}_k${depth}_${format}`, loader(side, format, depth)] as const),
    ),
  ),
  ...Object.fromEntries(
    variants.flatMap(([format, depth]) =>
      (['a', 'b'] as const).map((side) => [`load_${side}_k${depth}_${format}`, loader(side, format, depth)] as const),
    ),
  ),
  load_c: ordinary(
    'void load_c(float* c, const float* from, int row, int column)',
    LANES,
    ...accumulated('from', (register, place) => `${register} = ${place}`),
  ),
  store_c: ordinary(
    'void store_c(const float* c, float* to, int row, int column)',
    LANES,
    ...accumulated('to', (register, place) => `${place} = ${register}`),
  ),
};

/** How a fragment lies in registers: a grid of tiles. */
export interface Fragment {
  readonly side: 'a' | 'b' | 'c';
  readonly format: Format;
  readonly depth: Depth;
  /** Tiles along its rows and its columns, and the size of one. */
  readonly rows: number;
  readonly columns: number;
  readonly tileRows: number;
  readonly tileColumns: number;
  /** Registers a tile takes in each lane. */
  readonly registers: number;
}

/** The registers of every fragment, from the products it takes part in. Throws CudaRefusal where the units have no such shape. */
export function fragmentsOf(kernel: Kernel): ReadonlyMap<string, Fragment> {
  const found = new Map<string, Fragment>();
  const place = (name: string, fragment: Fragment): void => {
    const known = found.get(name);
    if (known !== undefined && JSON.stringify(known) !== JSON.stringify(fragment))
      throw new CudaRefusal(kernel, `fragment ${name} is used in two ways; give each use its own`);
    found.set(name, fragment);
  };
  visitStatements(kernel.body, (s) => {
    if (s.kind !== 'mma') return;
    if (s.precision === 'f32')
      throw new CudaRefusal(
        kernel,
        'matrix units multiply tf32, bf16 or f16, not f32; schedule these products for lanes',
      );
    const depth: Depth = s.precision !== 'tf32' && s.depth % 16 === 0 ? 16 : 8;
    if (s.rows % 16 !== 0 || s.columns % 8 !== 0 || s.depth % depth !== 0)
      throw new CudaRefusal(
        kernel,
        `a product of ${s.rows} x ${s.columns} x ${s.depth}; rows must be a multiple of 16, columns and depth of 8`,
      );
    const parts = { format: s.precision, depth };
    const a = registersOfA(s.precision, depth);
    const tiles = (side: 'a' | 'b' | 'c', rows: number, columns: number, registers: number): Fragment => {
      const [tileRows, tileColumns] = side === 'a' ? [16, depth] : side === 'b' ? [depth, 8] : [16, 8];
      const size = { tileRows, tileColumns, registers };
      return { side, ...parts, rows: rows / tileRows, columns: columns / tileColumns, ...size };
    };
    place(s.a, tiles('a', s.rows, s.depth, a));
    place(s.b, tiles('b', s.depth, s.columns, a / 2));
    // An accumulator lies the same for every format.
    place(s.accumulator, { ...tiles('c', s.rows, s.columns, 4), format: 'tf32', depth: 8 });
  });
  return found;
}

/** Where a block of memory begins and how far its rows and columns are apart, in elements of the buffer. */
export interface Block {
  readonly corner: Expr;
  readonly row: Expr;
  readonly column: Expr;
}

/** The block of `buffer` that a fragment statement moves. Throws CudaRefusal for a packed buffer. */
export function blockOf(kernel: Kernel, s: Extract<Stmt, { kind: 'fragment' }>, buffer: KernelBuffer): Block {
  const strides = new Map<number, Expr>();
  let stride = affine(k.i32(1));
  for (const d of [...buffer.layout].reverse()) {
    if (d.part !== 'whole')
      throw new CudaRefusal(kernel, `fragment ${s.fragment} moves a block of ${buffer.name}, which is packed`);
    strides.set(
      d.axis,
      toExpr(stride, () => 0),
    );
    stride = multiply(stride, affine(k.sizeExpr(buffer.shape[d.axis] ?? Sizes.constant(1))));
  }
  const of = (axis: number): Expr => strides.get(axis) ?? k.i32(0);
  const rank = buffer.shape.length;
  const corner = s.indices.reduce(
    (sum, index, axis) => plus(sum, multiply(affine(index), affine(of(axis)))),
    affine(k.i32(0)),
  );
  return { corner: toExpr(corner, () => 0), row: of(rank - 2), column: of(rank - 1) };
}
