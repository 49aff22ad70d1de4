/** Kernels by hand for the CUDA target: every operation on every type it has, every kind of memory access, every matrix format. */
import * as k from '../../src/kernel-ir/build.ts';
import type {
  Expr,
  Kernel,
  KernelBuffer,
  KernelOp,
  MmaPrecision,
  ScalarType,
  Stmt,
} from '../../src/kernel-ir/types.ts';
import { verify } from '../../src/kernel-ir/verify.ts';
import { pipelineFor } from '../../src/pipeline.ts';
import { cuda } from '../../src/targets/cuda/index.ts';
import * as h from './handwritten.ts';

const { n, name, buffer, put } = h;

/** The kernel after all passes. */
export function legalised(kernel: Kernel): Kernel {
  verify(kernel, 'test');
  return pipelineFor(cuda, cuda.defaults, []).reduce((current, pass) => {
    const next = pass.run(current);
    verify(next, pass.name);
    return next;
  }, kernel);
}

/** The text of kernels that were written by hand. */
export const printed = (...kernels: readonly Kernel[]): string =>
  cuda.print(kernels.map(legalised), ['by hand'], cuda.defaults);

/** By the types of their operands; exp, ln, tanh and erf are expanded before a target sees them. */
export const operands: Readonly<Record<KernelOp, readonly (readonly ScalarType[])[]>> = {
  add: [
    ['f32', 'f32'],
    ['i32', 'i32'],
  ],
  sub: [
    ['f32', 'f32'],
    ['i32', 'i32'],
  ],
  mul: [
    ['f32', 'f32'],
    ['i32', 'i32'],
  ],
  div: [['f32', 'f32']],
  floordiv: [['i32', 'i32']],
  mod: [['i32', 'i32']],
  min: [
    ['f32', 'f32'],
    ['i32', 'i32'],
  ],
  max: [
    ['f32', 'f32'],
    ['i32', 'i32'],
  ],
  neg: [['f32'], ['i32']],
  abs: [['f32'], ['i32']],
  fma: [['f32', 'f32', 'f32']],
  sqrt: [['f32']],
  exp: [['f32']],
  ln: [['f32']],
  tanh: [['f32']],
  erf: [['f32']],
  floor: [['f32']],
  nearest: [['f32']],
  eq: [
    ['f32', 'f32'],
    ['i32', 'i32'],
    ['bool', 'bool'],
  ],
  ne: [
    ['f32', 'f32'],
    ['i32', 'i32'],
    ['bool', 'bool'],
  ],
  lt: [
    ['f32', 'f32'],
    ['i32', 'i32'],
  ],
  le: [
    ['f32', 'f32'],
    ['i32', 'i32'],
  ],
  gt: [
    ['f32', 'f32'],
    ['i32', 'i32'],
  ],
  ge: [
    ['f32', 'f32'],
    ['i32', 'i32'],
  ],
  and: [['bool', 'bool']],
  or: [['bool', 'bool']],
  not: [['bool']],
  select: [
    ['bool', 'f32', 'f32'],
    ['bool', 'i32', 'i32'],
  ],
  bit_and: [['i32', 'i32']],
  bit_or: [['i32', 'i32']],
  bit_xor: [['i32', 'i32']],
  shl: [['i32', 'i32']],
  shr_s: [['i32', 'i32']],
  shr_u: [['i32', 'i32']],
  dot_i16: [['i32', 'i32']],
  bits_of: [['f32']],
  from_bits: [['i32']],
  to_f32: [['i32'], ['bool']],
  to_i32: [['f32'], ['bool']],
};

/** One operation: where its results go, as bits, and what it is. */
export interface OpCase {
  readonly op: KernelOp;
  readonly scalars: readonly ScalarType[];
  readonly lanes: 1 | 2 | 4;
}

/** Every operation on scalars and vectors. */
export const opCases: readonly OpCase[] = (Object.keys(operands) as KernelOp[]).flatMap((op) =>
  operands[op].flatMap((scalars) => ([1, 2, 4] as const).map((lanes) => ({ op, scalars, lanes }))),
);

/** Divisors are positive and shift counts small, as in any kernel. */
function operand({ op, scalars, lanes }: OpCase, i: number, at: Expr): Expr {
  const scalar = scalars[i] as ScalarType;
  if (scalar === 'bool')
    return k.op('gt', operand({ op, scalars: ['f32', 'f32', 'f32'], lanes }, i, at), k.splat(k.f32(0), lanes));
  const loaded = k.load(`${scalar === 'f32' ? 'f' : 'i'}${i}`, [at], k.vector(scalar, lanes));
  const second = i === 1 && scalar === 'i32';
  if (second && (op === 'floordiv' || op === 'mod'))
    return k.op('add', k.op('bit_and', loaded, k.splat(n(0xff), lanes)), k.splat(n(1), lanes));
  if (second && (op === 'shl' || op === 'shr_s' || op === 'shr_u')) return k.splat(n(7), lanes);
  return loaded;
}

/** A value as bits: f32 as it is in memory, bool as 0 and 1. */
function bits(value: Expr): Expr {
  if (value.type.scalar === 'f32') return k.op('bits_of', value);
  return value.type.scalar === 'bool' ? k.op('to_i32', value) : value;
}

/**
 * Applies each of `cases` to the elements 4 · lane … of its inputs f0, f1, f2 (f32) and i0, i1, i2 (i32), of 128 elements; case
 * c leaves its results in y[c].
 */
export function everyOp(cases: readonly OpCase[]): Kernel {
  const inputs = ['f', 'i'].flatMap((s) =>
    [0, 1, 2].map((i) => buffer(`${s}${i}`, [128], 'global', 'read', { storage: s === 'f' ? 'f32' : 'i32' })),
  );
  const first = k.mul(h.lane, n(4));
  const body = cases.flatMap((c, row): readonly Stmt[] =>
    Array.from({ length: 4 / c.lanes }, (_, part) => {
      const at = k.add(first, n(part * c.lanes));
      const args = c.scalars.map((_scalar, i) => operand(c, i, at));
      return put('y', [n(row), at], bits(k.op(c.op, ...args)));
    }),
  );
  return {
    name: 'every_op',
    label: 'every operation',
    dims: [],
    faults: [],
    workgroup: { subgroups: 1, lanes: 32 },
    buffers: [...inputs, buffer('y', [cases.length, 128], 'global', 'write', { storage: 'i32' })],
    body: [h.workgroups('group', n(1), body)],
  };
}

/** Loads and stores every storage type in every width from every kind of memory; y = x, row by row. */
export function everyMemory(): Kernel {
  const storages = ['f32', 'i32', 'f16', 'i8'] as const;
  const spaces = ['global', 'workgroup', 'private'] as const;
  const widths = [1, 2, 4] as const;
  const globals: KernelBuffer[] = storages.flatMap((storage) => [
    buffer(`x_${storage}`, [128], 'global', 'read', { storage }),
    buffer(`y_${storage}`, [widths.length * spaces.length, 128], 'global', 'write', { storage }),
  ]);
  const arrays = storages.flatMap((storage) => [
    buffer(`w_${storage}`, [128], 'workgroup', 'read_write', { storage }),
    buffer(`p_${storage}`, [4], 'private', 'read_write', { storage }),
  ]);
  const first = k.mul(h.lane, n(4));
  const body = storages.flatMap((storage) => {
    const scalar = storage === 'f32' || storage === 'f16' ? 'f32' : 'i32';
    return widths.flatMap((lanes, w) =>
      spaces.flatMap((space, s) =>
        Array.from({ length: 4 / lanes }, (_, part): readonly Stmt[] => {
          const at = k.add(first, n(part * lanes));
          const type = k.vector(scalar, lanes);
          const value = k.load(`x_${storage}`, [at], type);
          const result = (v: Expr): Stmt => put(`y_${storage}`, [n(w * spaces.length + s), at], v);
          if (space === 'global') return [result(value)];
          const array = `${space[0]}_${storage}`;
          const place = space === 'private' ? n(part * lanes) : at;
          return [put(array, [place], value), result(k.load(array, [place], type))];
        }).flat(),
      ),
    );
  });
  return {
    name: 'every_memory',
    label: 'every kind of memory',
    dims: [],
    faults: [],
    workgroup: { subgroups: 1, lanes: 32 },
    buffers: [...globals, ...arrays],
    body: [h.workgroups('group', n(1), body)],
  };
}

/** c = a · b by the matrix units of one warp, through workgroup tiles of `storage`; b's tile lies as rows or as columns. */
export function product(
  precision: MmaPrecision,
  [rows, columns, depth]: readonly [number, number, number],
  options: { readonly storage?: 'f32' | 'f16'; readonly byColumns?: boolean } = {},
): Kernel {
  const { storage = 'f32', byColumns = false } = options;
  const copy = (from: string, to: string, height: number, width: number): Stmt =>
    h.lanes(`${to}_at`, n(height * width), [
      put(
        to,
        [h.div(name(`${to}_at`), width), h.mod(name(`${to}_at`), width)],
        h.at(from, h.div(name(`${to}_at`), width), h.mod(name(`${to}_at`), width)),
      ),
    ]);
  const move = (what: 'load' | 'store' | 'zero', fragment: string, memory: string | null): Stmt => ({
    kind: 'fragment',
    move: what,
    fragment,
    buffer: memory,
    indices: memory === null ? [] : [n(0), n(0)],
  });
  const columnMajor = [1, 0].map((axis) => ({ part: 'whole' as const, axis }));
  return {
    name: 'product',
    label: `${rows} x ${columns} x ${depth}, ${precision}`,
    dims: [],
    faults: [],
    workgroup: { subgroups: 1, lanes: 32 },
    buffers: [
      buffer('a', [rows, depth]),
      buffer('b', [depth, columns]),
      buffer('c', [rows, columns], 'global', 'read_write'),
      buffer('a_tile', [rows, depth], 'workgroup', 'read_write', { storage }),
      buffer('b_tile', [depth, columns], 'workgroup', 'read_write', {
        storage,
        ...(byColumns ? { layout: columnMajor } : {}),
      }),
      buffer('fa', [rows, depth], 'subgroup'),
      buffer('fb', [depth, columns], 'subgroup'),
      buffer('fc', [rows, columns], 'subgroup'),
    ],
    body: [
      h.workgroups('group', n(1), [
        copy('a', 'a_tile', rows, depth),
        copy('b', 'b_tile', depth, columns),
        h.barrier,
        move('zero', 'fc', null),
        move('load', 'fa', 'a_tile'),
        move('load', 'fb', 'b_tile'),
        { kind: 'mma', accumulator: 'fc', a: 'fa', b: 'fb', rows, columns, depth, precision },
        move('store', 'fc', 'c'),
        move('load', 'fc', 'c'),
        { kind: 'mma', accumulator: 'fc', a: 'fa', b: 'fb', rows, columns, depth, precision },
        move('store', 'fc', 'c'),
      ]),
    ],
  };
}

/** Every format, shape of instruction, storage and order there is. */
export const products: readonly Kernel[] = [
  product('tf32', [16, 8, 8]),
  product('tf32', [32, 24, 16], { byColumns: true }),
  product('bf16', [16, 8, 8]),
  product('bf16', [16, 16, 16], { byColumns: true }),
  product('bf16', [32, 8, 32]),
  product('f16', [16, 8, 8]),
  product('f16', [16, 16, 16]),
  product('f16', [16, 8, 8], { storage: 'f16' }),
  product('f16', [32, 16, 48], { storage: 'f16', byColumns: true }),
].map((kernel, i) => ({ ...kernel, name: `product_${i}` }));
